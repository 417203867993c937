"""What records say of themselves in their headers, and whether their content says the same.

The seal's signature is left to `sekimori verify`: the keys belong on another machine than the one that everybody sends to.
So this finds what is damaged or mislabelled; who forges headers and content alike is found there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from contract import rejected
from contract.event import SCHEMA_VERSION
from contract.rejected import Reason, Refusal
from contract.sealed import EVENT, HEADERS, NDJSON
from detector.arrival import Arrived, Batch, shown

NEWER: Final = f"this program reads {SCHEMA_VERSION}: upgrade it, then work through that time again"
_ONLY_SEALED: Final = frozenset(("boot", "first", "last", "prev", "mac"))


class Claim(NamedTuple):
    """What the headers of a sealed record say: n events, those of this agent's start numbered from first to last."""

    agent: str
    boot: str
    first: int
    last: int
    n: int


def claim(record: Arrived) -> Claim | Refusal | None:
    """What the headers say; None where they claim no seal; a refusal where they cannot be right, or nobody here can read it."""
    told = [(name, value) for name, value in record.headers if name in HEADERS]
    if not told:
        return None
    says = {name: (value or b"").decode(errors="replace") for name, value in told}
    schema, fmt = says.get("schema", ""), says.get("fmt", NDJSON)
    if schema.isdecimal() and int(schema[:9]) > SCHEMA_VERSION:
        return Refusal(Reason.SCHEMA, f"header schema: {schema[:9]}; {NEWER}", shown(record.value))
    if fmt not in (NDJSON, EVENT):
        detail = f"header fmt: {rejected.cut(fmt, 40)!r} is none of {NDJSON} {EVENT}"
        return Refusal(Reason.FORMAT, detail, shown(record.value))
    if not _ONLY_SEALED.intersection(says):
        return None
    problem = _misshapen([name for name, _ in told], says)
    if problem:
        return Refusal(Reason.SEAL, problem, shown(record.value))
    return Claim(says["agent"], says["boot"], int(says["first"]), int(says["last"]), int(says["n"]))


def _misshapen(names: list[str], says: Mapping[str, str]) -> str:
    """What is wrong with the headers of a record that claims to be sealed; empty if nothing is."""
    if names != list(HEADERS):
        return "the record has not just the headers of a sealed one, in their order"
    for name in ("n", "first", "last"):
        digits = says[name].removeprefix("-") if name == "last" else says[name]
        if not (digits.isdecimal() and digits.isascii() and len(digits) <= 18):
            return f"header {name}: {rejected.cut(says[name], 40)!r} is no number"
    n, first, last = (int(says[name]) for name in ("n", "first", "last"))
    if last < first - 1 or n < max(1, last - first + 1):
        return f"its headers say {n} events numbered {first} to {last}, which cannot be"
    return "" if says["agent"] and says["boot"] else "its headers name no agent or no start"


def contradictory(batch: Batch, claims: Mapping[int, Claim]) -> dict[int, str]:
    """Which records hold something else than their headers say, and what.

    Events of the sealing agent are numbered from `first` to `last`, one by one; others in the same record are relayed. A
    line that is no event may have been either.

    Args:
        batch: Records, decoded.
        claims: By number of the record, of those that were decoded.
    """
    if not claims:
        return {}
    size = len(batch.lines)
    span, wrong, sealed = np.zeros(size, np.int64), np.zeros(size, np.bool_), np.zeros(size, np.bool_)
    for number, one in claims.items():
        span[number] = one.last - one.first + 1
        wrong[number] = batch.lines[number] != one.n
        sealed[number] = True
    own, mismatched = _own(batch, claims, sealed)
    unreadable = np.bincount(np.array([one.record for one in batch.refused], np.int64), minlength=size)
    counts = np.bincount(batch.record[own], minlength=size)
    wrong |= sealed & ((counts > span) | (counts < span - unreadable))
    wrong[batch.record[mismatched]] = True
    return {number: _said(claims[number], int(batch.lines[number])) for number in np.flatnonzero(wrong).tolist()}


def _said(one: Claim, lines: int) -> str:
    return (
        f"its headers say {one.n} events, numbers {one.first} to {one.last} of agent {rejected.cut(one.agent, 60)} in its "
        f"start {rejected.cut(one.boot, 40)}; its {lines} lines say otherwise"
    )


def _own(
    batch: Batch, claims: Mapping[int, Claim], sealed: NDArray[np.bool_]
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Rows that are the sealing agent's own, and those of them whose start or number is not as it should be."""
    numbers = sorted(claims)
    place = np.zeros(len(sealed), np.int64)  # of a record's claim among `numbers`
    place[numbers] = np.arange(len(numbers))
    at = place[batch.record]
    told = pl.DataFrame([claims[number] for number in numbers], schema=Claim._fields, orient="row")
    names = batch.frame.select(
        agent=(pl.col("agent.id") == pl.lit(told["agent"].gather(at))).fill_null(False),
        boot=(pl.col("agent.boot") == pl.lit(told["boot"].gather(at))).fill_null(False),
        seq=pl.col("agent.seq").fill_null(-1),
    )
    own = names["agent"].to_numpy() & sealed[batch.record]
    seq, first, last = names["seq"].to_numpy(), told["first"].to_numpy()[at], told["last"].to_numpy()[at]
    wrong = own & (~names["boot"].to_numpy() | (seq < first) | (seq > last))
    rows = np.flatnonzero(own)
    standing = (np.diff(seq[rows]) <= 0) & (np.diff(batch.record[rows]) == 0)
    wrong[rows[1:][standing]] = True
    return own, wrong
