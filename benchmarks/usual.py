"""A detector as one would write it without this project: one event per record, rules as Python functions, a forest asked session by session.

It gets its events enriched for nothing.
"""

from __future__ import annotations

import json
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
import polars as pl
from sklearn.ensemble import IsolationForest

from detector import features, rulebook, sigma
from detector.explain import explain
from detector.history import History, arrive
from detector.sessionise import Limits, assign, no_tails
from detector.step import Context

Predicate = Callable[[Mapping[str, object]], bool]


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
