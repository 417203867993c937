"""How long it takes from an event in Kafka to the finding in Kafka and to the alert in Alertmanager, under a steady load, and what the detectors cost and hold meanwhile.

    python benchmarks/latency.py [--quick] [--json] [--rate EVENTS] [--seconds S] [--detectors N]

The fictional office's events (two thirds of a month; `--quick` of ten days) are sent as if they happened now, evenly, so many a second, sealed by
one agent into two partitions of a real Kafka every fifth of a second. `sekimori detect` has the options that ship, 50 rules and some of its own, a
model, and waits ten seconds for what is late (`lateness_s`). Every second something is planted of each kind, by people whom nobody knows:

- `event`: what a rule on one event pages for; from the moment at which Kafka took the event until it took the finding
- `session`: a session that ends with a log-off; `person`: eight failed log-ons of one account and a
  log-off (stage one);
  `group`: one address that fails with five accounts (stage two). These wait for the watermark: until Kafka took the finding, from when the last
  of their events was `lateness_s` old.
- `alert`: as `event`, until the alert stood in a real Alertmanager (its `updatedAt`), where one is installed (`make system`).

Times are the broker's (`LogAppendTime`) but for the age of an event and Alertmanager's, which are this machine's as well. The first five seconds do not count.
CPU is that of the detectors; the agent and Kafka take theirs of the same cores.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# As the detector does; it is read when Polars loads.
os.environ.setdefault("POLARS_MAX_THREADS", "1")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # runs from a checkout, installed or not

import backlog
import numpy as np
import polars as pl
import processes
from backlog import Agent, Office
from processes import PARTITIONS, Post, Shown
from standing import Standing, alertmanager
from usage import memory_mb

import rules as shipped
from contract import event
from tests.detector.desk import Desk
from tests.kafka.cluster import Cluster

LATENESS_S = 10
BEAT_S = 0.2
WARM_S = 5
KINDS = ("event", "session", "person", "group")
RULE = """\
title: Planted {name}
id: 8361dd80-f253-51f8-ac9d-ff92b51a{number:04}
name: planted_{name}
status: test
description: For a benchmark.
author: Sekimori
date: 2026-11-23
tags: [sekimori.scenario.07]
logsource: {{product: sekimori, category: {name}}}
detection:
  selection: {{{where}}}
  condition: selection
level: critical
sekimori:
  family: vendor
  precision: 0.95
  excused_by: []
  title: 規則{name}
  observed: {{field: count, unit: {{ja: 件, en: times}}, usual: 0}}
  text: {{ja: "{{actor.id}}が{{count}}回", en: "{{actor.id}} did it {{count}} times"}}
  check_first: {{ja: "確認", en: "look"}}
"""
SHIPPED = ("auth/guessing", "auth/spraying_from_an_address")
WHERE = {"event": "op.code: PLANTED", "session": "n.print|gte: 40"}


def add_rules(folder: Path) -> None:
    """Put rules for what is planted beside the others; two that ship are for the other kinds."""
    for number, (name, where) in enumerate(WHERE.items()):
        place = folder / "planted" / f"planted_{name}"
        place.mkdir(parents=True)
        text = RULE.format(name=name, number=number, where=where)
        if name == "session":
            text = (
                text.replace("{actor.id}", "{person.id}")
                .replace("field: count", "field: n.print")
                .replace("{count}", "{n.print}")
            )
        (place / "rule.yml").write_text(text)
    for name in SHIPPED:
        shutil.copytree(Path(shipped.__file__).parent / name, folder / name, dirs_exist_ok=True)


def planted(number: int, at_ms: int) -> pl.DataFrame:
    """One of each kind, all at one moment; the last event of each is the last of it."""
    rows: list[dict[str, Any]] = [_row("event", number, {"op.code": "PLANTED", "event.action": "read"})]
    page = {"event.action": "print", "session.id": f"s-{number}"}
    rows += [_row("session", number, page)] * 40 + [_row("session", number, page | {"event.action": "logoff"})]
    failed = {"event.class": "authentication", "event.action": "logon", "event.outcome": "failure"}
    guess = failed | {"session.id": f"g-{number}"}
    rows += [_row("person", number, guess)] * 8 + [_row("person", number, guess | {"event.action": "logoff"})]
    address = f"198.18.{number // 250}.{number % 250}"
    rows += [
        _row("group", number, failed | {"actor.id": f"planted-group-{number}-{n}", "src.ip": address}) for n in range(5)
    ]
    frame = pl.DataFrame(
        rows, schema_overrides={name: dtype for name, dtype in event.schema().items() if name in rows[0]}
    )
    return frame.match_to_schema(event.schema(), missing_columns="insert").with_columns(
        pl.lit(at_ms).alias("time.occurred"),
        pl.concat_str(pl.lit(f"{number:016x}"), pl.int_range(pl.len()).cast(pl.String).str.zfill(16)).alias("event.id"),
    )


def _row(kind: str, number: int, more: dict[str, Any]) -> dict[str, Any]:
    common = {
        "event.schema": event.SCHEMA_VERSION, "event.class": "access", "event.outcome": "success", "source.id": "planted",
        "system.id": "planted", "actor.id": f"planted-{kind}-{number}", "op.code": None, "session.id": None, "src.device": None,
        "src.ip": None,
    }  # fmt: skip
    return common | more


def steady(events: pl.DataFrame, rate: int) -> Iterator[pl.DataFrame]:
    """Pieces of a fifth of a second for ever; ids and names of files differ each time round, as no file is read twice."""
    size, cycle = round(rate * BEAT_S), 0
    # Of one moment in the order of their files: here each gets a moment of its own, and files are read from their beginning on.
    place = pl.col("source.position").str.extract(":([0-9]+)$").cast(pl.Int64)
    events = events.sort("time.occurred", place, nulls_last=True, maintain_order=True).with_columns(
        pl.lit(None, dtype=event.schema()["time.received"]).alias("time.received")
    )
    while True:
        for part in events.iter_slices(size):
            fresh = pl.concat_str(pl.lit(f"{cycle:03x}"), pl.col("event.id").str.slice(3))
            yield part.with_columns(
                fresh.alias("event.id"), (pl.lit(f"{cycle:03x}-") + pl.col("source.position")).alias("source.position")
            )
        cycle += 1


def drive(office: Office, agent: Agent, post: Post, rate: int, seconds: float) -> float:
    """Send at that rate for so long; returns the rate that was reached."""
    begin, sent, planted_next = time.time(), 0, 0.0
    for number, part in enumerate(steady(office.events, rate), 1):
        due = begin + number * BEAT_S
        time.sleep(max(0.0, due - time.time()))
        if time.time() - begin > seconds:
            break
        now_ms = time.time_ns() // 1_000_000
        spread = now_ms - int(BEAT_S * 1000) + pl.int_range(pl.len()) * int(BEAT_S * 1000) // part.height
        records = agent.seal(part.with_columns(spread.alias("time.occurred")), now_ms)
        sent += part.height
        if time.time() - begin >= planted_next:
            records += agent.seal(planted(int(planted_next), now_ms), now_ms)
            planted_next += 1
        post.send(records)
    return sent / (time.time() - begin)


@dataclass(frozen=True, slots=True)
class Waits:
    """Seconds waited, by kind, sorted; how many of each kind were planted, and how many findings there were."""

    by_kind: dict[str, np.ndarray]
    planted: int
    findings: int


def waits(place: Desk, seconds: float, standing: dict[str, int] | None) -> Waits:
    """Look up in Kafka when what was planted came and when it was found; and since when its alerts stand (UTC ms, by finding)."""
    came: dict[tuple[str, int], tuple[int, int]] = {}
    for one in place.kafka.stored(place.topics["events"]):
        if b"planted-" in one.value:
            for line in one.value.splitlines():
                for kind, number in re.findall(rb'"actor.id":"planted-(\w+)-(\d+)', line):
                    came[kind.decode(), int(number)] = one.timestamp_ms, json.loads(line)["time.occurred"]
    found: dict[tuple[str, int], int] = {}
    alerts: dict[int, int] = {}
    published = place.kafka.stored(place.topics["findings"])
    for one in published:
        uid = (one.key or b"").decode()
        for kind, number in set(re.findall(rb"planted-(\w+)-(\d+)", one.value)):
            found.setdefault((kind.decode(), int(number)), one.timestamp_ms)
            if kind == b"event" and standing and uid in standing:
                alerts[int(number)] = standing[uid]
    last = int(seconds) - LATENESS_S - 8  # what came later may have had no time to be found
    wanted = range(WARM_S, last)
    by_kind = {}
    for kind in KINDS:
        taken = [
            found[kind, number] - (came[kind, number][0] if kind == "event" else came[kind, number][1] + LATENESS_S * 1000)
            for number in wanted if (kind, number) in found
        ]  # fmt: skip
        by_kind[kind] = np.sort(np.array(taken, dtype=np.float64)) / 1000
    if standing is not None:
        taken = [alerts[number] - came["event", number][0] for number in wanted if number in alerts]
        by_kind["alert"] = np.sort(np.array(taken, dtype=np.float64)) / 1000
    return Waits(by_kind, len(wanted), len(published))


def measure(
    kafka: Cluster, pager: Standing | None, folder: Path, office: Office, rate: int, seconds: float, count: int
) -> dict[str, Any]:
    """One run."""
    place = processes.desk(kafka, folder / "desk", office, PARTITIONS, LATENESS_S)
    if pager is not None:
        place.options["alertmanager"] = {"urls": [pager.url]}
    for kind in ("events", "findings"):
        kafka.configure(place.topics[kind], message_timestamp_type="LogAppendTime")
    agent = Agent(folder / "desk/agent", office, PARTITIONS, place.topics["events"])
    post = Post(kafka, place.topics["events"])
    try:
        post.send(agent.beat(time.time_ns() // 1_000_000))
        detectors = [place.start(name=f"det{number}") for number in range(count)]
        processes.until(lambda: processes.ready(detectors), detectors, 120)
        pids = [one.process.pid for one in detectors]
        before, begin, early = sum(map(processes.cpu_s, pids)), time.monotonic(), Shown.of(detectors)
        reached = drive(office, agent, post, rate, seconds)
        took = time.monotonic() - begin
        used, shown = (sum(map(processes.cpu_s, pids)) - before) / took, Shown.of(detectors)
        busy, turns = (processes.by_label(shown, early, name) for name in ("busy_seconds_total", "steps_total"))
        found = waits(place, seconds, None if pager is None else pager.stop())
        return {
            "benchmark": "latency",
            "detectors": count,
            "events_per_s_asked": rate,
            "events_per_s": round(reached),
            "lag_records": round(shown.sum("lag_records")),
            "cores_used": used,
            "rss_mb": max(memory_mb(pid, "VmRSS") for pid in pids),
            "peak_rss_mb": max(memory_mb(pid, "VmHWM") for pid in pids),
            "turns_per_s": {name: count / took for name, count in turns.items()},
            "busy_by_step": {name: seconds / took for name, seconds in sorted(busy.items())},
            "planted": found.planted,
            "findings_per_s": found.findings / took,
            "waits_s": {kind: _percentiles(values) for kind, values in found.by_kind.items()},
        }
    finally:
        post.close()
        agent.close()
        place.close()


def _percentiles(values: Sequence[float] | np.ndarray) -> dict[str, float]:
    if not len(values):
        return {"found": 0}
    p50, p99 = np.quantile(values, [0.5, 0.99])
    return {"found": len(values), "p50": float(p50), "p99": float(p99), "max": float(np.max(values))}


def show(result: dict[str, Any]) -> None:
    """Print the table."""
    print(
        f"{result['events_per_s']:,} events/s (asked: {result['events_per_s_asked']:,}), {result['detectors']} detectors, "
        f"{result['cores_used']:.2f} cores, {result['rss_mb']} MB (peak {result['peak_rss_mb']}), lag {result['lag_records']} records, {result['findings_per_s']:.0f} findings/s\n"
    )
    most = sorted(result["busy_by_step"].items(), key=lambda one: -one[1])[:6]
    print("turns a second: " + ", ".join(f"{name} {count:.1f}" for name, count in result["turns_per_s"].items()))
    print("of the clock: " + ", ".join(f"{name} {share:.0%}" for name, share in most) + "\n")
    print(f"seconds     found of {result['planted']:<6} p50     p99     max")
    for kind, each in result["waits_s"].items():
        told = "  ".join(f"{each[name]:>6.2f}" for name in ("p50", "p99", "max")) if each["found"] else ""
        print(f"  {kind:<10} {each['found']:>8}      {told}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="ten days, half a minute")
    parser.add_argument("--json", action="store_true", help="last line is one JSON object")
    parser.add_argument("--rate", type=int, default=5000, help="events a second")
    parser.add_argument("--seconds", type=float, help="how long; default: 120, 35 with --quick")
    parser.add_argument("--detectors", type=int, default=1, choices=(1, 2))
    args = parser.parse_args()
    seconds = args.seconds or (32.0 if args.quick else 120.0)
    with tempfile.TemporaryDirectory(prefix="sekimori-bench-") as name:
        office = backlog.made(Path(name) / "office", 10 if args.quick else 30, 50)
        add_rules(office.folder / "rules")
        with processes.cluster(Path(name)) as kafka, alertmanager(Path(name) / "pager", "planted_event") as pager:
            if pager is None:
                print(
                    "no Alertmanager is installed, so that the time to the alert is not measured: type make system",
                    file=sys.stderr,
                )
            result = measure(kafka, pager, Path(name), office, args.rate, seconds, args.detectors)
    show(result)
    if args.json:
        print(json.dumps(result))


if __name__ == "__main__":
    main()
