"""What the tests of verification share: a topic in which everything arrived, and the verdict on one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from audit.chains.capture import Damage, Taken
from audit.chains.verdict import Verdict
from audit.verify import Verifier
from collector.seal import Sealer
from contract.sealed import Record
from contract.sealkey import SealKey
from tests.collector.sealing import NOON, SECRET, beats, enrolled, rows, some, start, topic

KEY = SealKey.enrol("ag-test", SECRET)


def judged(
    lying: Sequence[Taken | Damage],
    keys: Sequence[SealKey] = (KEY,),
    *,
    taken_ms: int = NOON,
    firsts: dict[int, int] | None = None,
    **more: bool,
) -> Verdict:
    """The verdict on what lies in a topic, or stands in a capture, read at `taken_ms`; `firsts` as the topic's spans say."""
    known = [one for one in lying if isinstance(one, Taken)]
    verifier = Verifier(keys, topic(known, taken_ms, firsts), **more)
    for one in lying:
        verifier.take(one)
    return verifier.verdict()


def says(verdict: Verdict, *parts: str) -> None:
    """One of the problems names all of these."""
    texts = [problem.text for problem in verdict.problems]
    assert any(all(part in text for part in parts) for text in texts), texts


def month(folder: Path, **more: str) -> list[list[Record]]:
    """Three starts of an agent: two that stop in order or die with everything arrived, and one that still runs."""
    enrolled(folder)
    told = []
    for number in range(3):
        sealer = start(folder, **more)
        records = beats(sealer) + some(sealer, 20) + beats(sealer) + some(sealer, 7)
        sealer.acknowledged(records)
        records += beats(sealer, stopping=number == 0)
        sealer.commit()
        sealer.acknowledged(records)
        sealer.close()
        told.append(records)
    return told


def changed(data: bytes, at: int, by: int) -> bytes:
    """The bytes with one of them changed."""
    at %= len(data)
    return data[:at] + bytes([data[at] ^ by]) + data[at + 1 :]


def relayed(sealer: Sealer, partition: int, **columns: object) -> list[Record]:
    """A record that holds another agent's events only, and so no number of our own."""
    theirs = {"agent.id": "ag-other", "agent.boot": "b", "agent.seq": [7, 8]}
    return sealer.seal(rows(2, **theirs, **columns), pl.Series([partition] * 2), NOON)
