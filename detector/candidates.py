"""The events that correlations need, and what of each they need: group, time, id, value."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from detector.correlation import SUBJECT, Correlation
from detector.marks import Bools, Marks, index

CANDIDATES: Final[dict[str, pl.DataType]] = {
    "rule": pl.String(),
    "base": pl.String(),
    "group": pl.String(),
    "time.occurred": pl.Int64(),
    "event.id": pl.String(),
    "value": pl.String(),
    "actor.id": pl.String(),
    "subject": pl.String(),
}

_Names = tuple[str | None, ...]


class _Pick(NamedTuple):
    """Events that one base of a correlation matches: which rows, and the columns of their group, value and subject."""

    rule: int
    base: str
    keys: _Names
    value: str | None
    subject: str | None
    rows: npt.NDArray[np.intp]


def candidates(
    frame: pl.DataFrame | Marks, correlations: Mapping[str, Correlation], among: Bools | None = None
) -> pl.DataFrame:
    """Pick the events that correlations need, and keep what they need of them.

    Args:
        frame: Enriched events; as `Marks` where others ask about them too.
        correlations: What to pick for, by the name of the rule.
        among: Rows to pick from; all by default.

    Returns:
        Rows of `CANDIDATES`, rule by rule in the order given, those of a rule sorted by (time, event id, base). An event
        whose group-by is not known is left out: it belongs to nobody. An event may stand for several bases.
    """
    marks = frame if isinstance(frame, Marks) else Marks(frame)
    picks = [
        pick for rule, what in enumerate(correlations.values()) for pick in _picks(marks, rule, what, among)
    ]  # fmt: skip
    if not picks:
        return pl.DataFrame(schema=CANDIDATES)
    rows = np.concatenate([pick.rows for pick in picks])
    own = np.repeat(np.arange(len(picks)), [len(pick.rows) for pick in picks])
    rules = np.array([pick.rule for pick in picks])
    names, ranks = np.unique([pick.base for pick in picks], return_inverse=True)
    # One number says (rule, time, event id, base); it nearly ascends already.
    place = (rules[own] * marks.frame.height + marks.places[rows]) * len(names) + ranks[own]
    order = np.argsort(place, kind="stable")
    rows, own = rows[order], own[order]
    at = index(rows)
    parts = {
        "rule": pl.Series(list(correlations))[index(rules[own])],
        "base": pl.Series(names.tolist())[index(ranks[own])],
        "group": _texts(marks, [pick.keys for pick in picks], rows, own),
        "time.occurred": marks.frame["time.occurred"][at],
        "event.id": marks.frame["event.id"][at],
        "value": _texts(marks, [(pick.value,) for pick in picks], rows, own),
        "actor.id": marks.text(("actor.id",))[at],
        "subject": _texts(marks, [(pick.subject,) for pick in picks], rows, own),
    }
    found = pl.DataFrame([parts[name].alias(name) for name in CANDIDATES])
    return found.drop_nulls("group") if parts["group"].null_count() else found


def _picks(marks: Marks, rule: int, correlation: Correlation, among: Bools | None) -> Iterator[_Pick]:
    # A base may be named several times: "five failures, then a log-on".
    for base in {base.name: base for base in correlation.bases}.values():
        keys = tuple(correlation.field_in(group, base.name) for group in correlation.group_by)
        if any(key not in marks.schema for key in keys):
            continue
        where = marks.where(base.where)
        rows = np.flatnonzero(where if among is None else where & among)
        if len(rows):
            subject = None if correlation.tells_subject(base.name) else SUBJECT
            yield _Pick(rule, base.name, keys, correlation.field, subject, rows)


def _texts(marks: Marks, wanted: Sequence[_Names], rows: npt.NDArray[np.intp], own: npt.NDArray[np.intp]) -> pl.Series:
    """Of each row the text of the columns that its pick wants."""
    # Several picks want the same columns: those are looked at once.
    number = {names: place for place, names in enumerate(dict.fromkeys(wanted))}
    texts = [marks.text(names) for names in number]
    if len(texts) == 1:
        return texts[0][index(rows)]
    which = np.array([number[names] for names in wanted])[own]
    # To take rows of several pieces takes four times as long as to put the pieces together.
    return pl.concat(texts, rechunk=True)[index(which * marks.frame.height + rows)]
