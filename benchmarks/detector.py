"""What the detector costs per event, stage by stage, beside its limit and beside the usual way of writing one.

    python benchmarks/detector.py [--quick] [--json] [--batch EVENTS] [--rules COUNT]

A month of the fictional office (seed 1, four times the usual work; `--quick` ten days) is simulated, parsed and sealed into records
of 1,000 events, as an agent sends them. A model is fitted on the first third. The rest is a backlog in memory, worked off in
micro-batches with the model and 50 rules of all kinds: `read` (records to events), `admit` (what came again is left
out), `step` (enrich, explain, sessions, rules on events, sessions and days), `relay` (what stage one hands on to stage two,
written for twelve partitions and read again), `group` (correlations over many people, evidence) and `judge` (model, risk, findings). CPU seconds per million events, all threads; Kafka is not in it.

The limit is `bare`: the same bytes decoded, and nothing else. The usual way gets one enriched event per record, for
nothing: `json.loads`, each of the rules on single events as a Python predicate, and a call of scikit-learn's `score_samples` per session
with eight counts. Both must find the same hits.
"""

from __future__ import annotations

import argparse
import json
import re
import resource
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
from sklearn.ensemble import IsolationForest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # runs from a checkout, installed or not

import rules
from collector import ingest, sources
from collector.seal import Sealer
from contract import event, wire
from contract.sealkey import SealKey
from detector import admission, core, correlate, features, relay, rulebook, sigma
from detector.admission import Arrived
from detector.explain import explain
from detector.history import History, arrive
from detector.model import Model
from detector.seen import Seen
from detector.sessionise import Limits, assign, no_tails
from detector.step import Context, Output, State, step
from registers import site as sites
from registers.site import Site
from simulator import office

LATENESS_MS = 60_000
USUAL_EVENTS = 20_000
Predicate = Callable[[Mapping[str, object]], bool]


def simulated(folder: Path, days: int) -> tuple[pl.DataFrame, Site]:
    """Events of the office in the order of time, and its registers."""
    office.simulate(folder, seed=1, days=days, volume=4.0)
    site = sites.load(folder / "site")
    parsed = ingest.ingest([folder / "logs"], list(sources.shipped()), site.key, "Asia/Tokyo", problems=[])
    events = pl.concat([part.events for part in parsed]).unique("event.id")
    return events.sort("time.occurred", "event.id"), site


def sealed(folder: Path, events: pl.DataFrame) -> list[Arrived]:
    """Records of one partition, as an agent seals them and Kafka gives them back."""
    secret, at_ms = folder / "agent.seal", int(events["time.occurred"].max() or 0)  # type: ignore[arg-type]
    secret.touch(0o600)
    secret.write_text(SealKey.enrol("ag", b"s" * 32).text())
    sealer, records = Sealer(folder / "state", "ag", secret), []
    beat = events[:1].with_columns(pl.lit("heartbeat").alias("event.class"), pl.lit("beat").alias("event.id"))
    for part in (beat, *events.iter_slices(1000)):
        records += sealer.seal(part, pl.repeat(0, part.height, dtype=pl.Int32, eager=True), at_ms)
    sealer.close()
    return [
        Arrived(one.topic, 0, offset, one.timestamp_ms, one.key, one.value, tuple(one.headers))
        for offset, one in enumerate(records)
    ]


class Stages:
    """CPU seconds by stage."""

    def __init__(self) -> None:
        self.spent: Counter[str] = Counter()

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        begin = time.process_time()
        yield
        self.spent[name] += time.process_time() - begin


def work_off(
    records: Sequence[Arrived], site: Site, book: rulebook.RuleBook, model: Model, batch: int
) -> tuple[Stages, core.Result]:
    """Send records through everything that the detector does with them between two Kafkas."""
    stages, analysis, state, rows = Stages(), core.Analysis(site, book), State(), []
    trust, seen, waiting, watermark = admission.Trust(frozenset({"ag"})), Seen(), event.empty(), -1

    def decided(state: State, events: pl.DataFrame, upto: int) -> State:
        with stages("step"):
            state, output = step(state, events, upto, analysis.context)
        with stages("relay"):
            hand_on(output)
        with stages("group"):
            analysis.take(output, upto)
        rows.append(output.rows)
        return state

    for start in range(0, len(records), batch // 1000):
        with stages("read"):
            read = admission.read(records[start : start + batch // 1000], trust)
        if read.rejected.height:
            raise SystemExit(f"detector: {read.rejected.height} lines refused; do not use these figures")
        with stages("admit"):
            seen, new, _ = admission.admit(seen, read.events, watermark)
            watermark = max(one.newest for one in read.heard) - LATENESS_MS
            waiting = pl.concat([waiting, new])
            late = pl.col("time.occurred") > watermark
            due, waiting = waiting.filter(~late), waiting.filter(late)
        state = decided(state, due, watermark)
    state = decided(state, waiting, watermark + LATENESS_MS)
    decided(state, event.empty(), analysis.closing)
    with stages("judge"):
        result = analysis.conclude(core.in_memory(rows), core.Pinned(model))
    return stages, result


def hand_on(output: Output) -> None:
    """Write what goes on to stage two, and read it there."""
    keys = output.candidates.select(pl.concat_str("rule", "group", separator=correlate.SEPARATOR)).to_series()
    rows = [relay.Rows("candidate", keys, output.candidates), relay.Rows("note", output.notes["who"], output.notes)]
    sender, stretch = relay.Sender("live", 0, 12), relay.Stretch(relay.NEVER, 0, 0)
    for one in relay.records(rows, sender, stretch, "sekimori-correlate", 12):
        relay.read(Arrived(one.topic, one.partition, 0, 0, None, one.value, tuple(one.headers)))


# --- the usual way --------------------------------------------------------------------------------------------------


def predicate(tree: sigma.Tree) -> Predicate:
    """A Sigma condition as a Python function of one event."""
    if isinstance(tree, sigma.Not):
        part = predicate(tree.part)
        return lambda event: not part(event)
    if isinstance(tree, sigma.All | sigma.Any_):
        parts, joined = [predicate(part) for part in tree.parts], all if isinstance(tree, sigma.All) else any
        return lambda event: joined(part(event) for part in parts)
    return compared(tree)


def compared(atom: sigma.Atom) -> Predicate:
    """One comparison of one field as a Python function of one event."""
    field, value, text = atom.field, atom.value, str(atom.value).lower()
    if atom.operator in ("null", "exists"):
        wanted = atom.operator == "exists" and value is True
        return lambda event: (event.get(field) is not None) is wanted
    if atom.operator == "re":
        search = re.compile(str(value).replace("(?-u:", "(?a:")).search  # RE2's ASCII classes
        return lambda event: field in event and search(str(event[field])) is not None
    if atom.operator == "fieldref":
        other = str(value).rpartition(":")[2]
        return lambda event: (
            field in event and other in event and str(event[field]).lower() == str(event[other]).lower()
        )
    numbers: dict[str, Callable[[float], bool]] = {
        "number": lambda number: number == value, "neq": lambda number: number != value,
        "lt": lambda number: number < value, "lte": lambda number: number <= value,  # type: ignore[operator]
        "gt": lambda number: number > value, "gte": lambda number: number >= value,  # type: ignore[operator]
    }  # fmt: skip
    if atom.operator in numbers:
        holds = numbers[atom.operator]
        return lambda event: field in event and holds(event[field])  # type: ignore[arg-type]
    if atom.operator == "bool":
        return lambda event: event.get(field) is value
    texts: dict[str, Callable[[str], bool]] = {
        "equals": lambda given: given == text, "contains": lambda given: text in given,
        "startswith": lambda given: given.startswith(text), "endswith": lambda given: given.endswith(text),
    }  # fmt: skip
    fits = texts[atom.operator]
    return lambda event: field in event and fits(str(event[field]).lower())


COUNTED = ("read", "search", "list", "print", "export", "update", "delete")


def usual(records: Sequence[bytes], book: rulebook.RuleBook, forest: IsolationForest) -> Counter[str]:
    """One event per record: match every rule, count by session, score a session when the next one of its actor begins."""
    wanted = [(rule.name, predicate(rule.where)) for rule in book.of("event") if rule.where is not None]
    hits: Counter[str] = Counter()
    sessions: dict[str, tuple[str, Counter[str]]] = {}
    for record in records:
        event = json.loads(record)
        for name, fires in wanted:
            if fires(event):
                hits[name] += 1
        who, session = event.get("actor.id", ""), event["session"]
        known, counts = sessions.get(who, (session, Counter()))
        if known != session:
            forest.score_samples(np.array([[counts["events"], *(counts[name] for name in COUNTED)]]))
            counts = Counter()
        counts.update(("events", event.get("event.action")))
        sessions[who] = session, counts
    return hits


def enriched(events: pl.DataFrame, context: Context) -> pl.DataFrame:
    """Events with all that rules read, as `step` makes them."""
    _, rows = arrive(History(), explain(context.enricher(events)))
    fresh, _ = assign(no_tails(), rows, Limits())
    return fresh


def lines(rows: pl.DataFrame) -> Iterator[bytes]:
    """Rows as JSON, what is null left out."""
    for row in rows.iter_rows(named=True):
        yield json.dumps({key: value for key, value in row.items() if value is not None}, default=str).encode()


def measure_usual(events: pl.DataFrame, context: Context, book: rulebook.RuleBook) -> float:
    """CPU seconds per million events of the usual way."""
    rows = enriched(events, context)
    counts = features.sessions(rows.select(features.SESSION_COLUMNS)).select(
        "events", "n.read", "n.search", "n.list", "n.print", "n.export", "n.write", "n.delete"
    )
    forest = IsolationForest(random_state=0).fit(counts.to_numpy().astype(np.float64))
    records = list(lines(rows))
    begin = time.process_time()
    theirs = usual(records, book, forest)
    spent = time.process_time() - begin
    ours = Counter(rulebook.match(rows, book.of("event"))["rule"].to_list())
    if ours != theirs:
        raise SystemExit(f"detector: hits differ ({(ours - theirs) + (theirs - ours)}); do not use these figures")
    return spent / len(records) * 1e6


def measure(folder: Path, days: int, batch: int, count: int) -> dict[str, float | int]:
    """Run everything once on an office of so many days."""
    events, site = simulated(folder, days)
    book = rulebook.load(Path(rules.__file__).parent)
    chosen = book.rules[:: max(len(book.rules) // count, 1)][:count] if count else book.rules
    book = replace(book, rules=tuple(chosen))
    third = events.height // 3
    learned = core.analyse(events[:third], site, book)
    if learned.model is None:
        raise SystemExit("detector: too few sessions for a model")
    records = sealed(folder, events[third:])
    million = sum(record.value.count(b"\n") for record in records) / 1e6

    stages, result = work_off(records, site, book, learned.model, batch)
    step_ = batch // 1000
    bare = Stages()
    for start in range(0, len(records), step_):
        data = b"".join(record.value for record in records[start : start + step_])
        with bare("bare"):
            wire.decode(data)
    plain = measure_usual(events[third : third + USUAL_EVENTS], Context(site, book), book)
    total = sum(stages.spent.values()) / million
    return {
        "events": round(million * 1e6),
        "rules": len(book.rules),
        "findings": len(result.findings),
        **{f"{name}_cpu_s_per_million": spent / million for name, spent in stages.spent.items()},
        "total_cpu_s_per_million": total,
        "bare_decode_cpu_s_per_million": bare.spent["bare"] / million,
        "usual_cpu_s_per_million": plain,
        "events_per_s_per_core": round(1e6 / total),
        "bare_events_per_s_per_core": round(million * 1e6 / bare.spent["bare"]),
        "usual_events_per_s_per_core": round(1e6 / plain),
        "peak_rss_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="ten days instead of a month")
    parser.add_argument("--json", action="store_true", help="last line is one JSON object")
    parser.add_argument("--batch", type=int, default=50_000, help="events in a micro-batch")
    parser.add_argument("--rules", type=int, default=50, help="how many rules; 0: all that ship")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        figures = measure(Path(folder), 10 if args.quick else 30, args.batch, args.rules)
    for name, value in figures.items():
        print(f"{name:<34} {value:>12,.2f}" if isinstance(value, float) else f"{name:<34} {value:>12,}")
    if args.json:
        print(json.dumps({"benchmark": "detector"} | figures))


if __name__ == "__main__":
    main()
