"""A month of the fictional office as detectors find it in Kafka: registers, rules, a model, and sealed records."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

import rules
from collector import heartbeat, ingest, sources
from collector.heartbeat import Clock, Tally
from collector.seal import Sealer
from commands.declared import baseline
from contract.partition import partitions_of
from contract.sealed import Record
from contract.sealkey import SealKey
from detector import core, rulebook
from detector.rulebook import RuleBook
from detector.versions import Kind
from registers import site as sites
from registers.site import Site
from simulator import office

AGENT = "ag"
RECORD_EVENTS = 1000


@dataclass(frozen=True, slots=True)
class Office:
    """What is deployed, and what happened.

    Attributes:
        folder: Holds `site/`, `rules/`, `model` and the model's baseline.
        site, book: The same, loaded.
        events: In `contract.event` columns, in the order of time; the model has not seen them.
    """

    folder: Path
    site: Site
    book: RuleBook
    events: pl.DataFrame

    @property
    def deployed(self) -> dict[Kind, Path]:
        """What a detector is given."""
        model = self.folder / "model"
        return {
            "site": self.folder / "site",
            "rules": self.folder / "rules",
            "model": model,
            "baseline": baseline(model),
        }

    def options(self) -> dict[str, Any]:
        """The same as options of `detector.toml`."""
        return {kind: str(path) for kind, path in self.deployed.items()} | {"sealed_agents": [AGENT]}


def made(folder: Path, days: int, count: int) -> Office:
    """Let the office work (seed 1, four times the usual work) and fit a model on the first third.

    Args:
        folder: For registers, rules and model.
        days: How long.
        count: How many rules, of all kinds; 0: all that ship.
    """
    office.simulate(folder, seed=1, days=days, volume=4.0)
    site = sites.load(folder / "site")
    parsed = ingest.ingest([folder / "logs"], list(sources.shipped()), site.key, "Asia/Tokyo", problems=[])
    events = pl.concat([part.events for part in parsed]).unique("event.id").sort("time.occurred", "event.id")
    shutil.rmtree(folder / "logs")
    book = _rules(folder / "rules", count)
    third = events.height // 3
    learned = core.analyse(events[:third], site, book)
    if learned.model is None:
        raise SystemExit("too few sessions for a model: simulate more days")
    learned.model.save(folder / "model")
    baseline(folder / "model").write_bytes(learned.usual.to_bytes())
    return Office(folder, site, book, events[third:])


def _rules(folder: Path, count: int) -> RuleBook:
    shipped = Path(rules.__file__).parent
    known = rulebook.load(shipped).rules
    for rule in known[:: max(len(known) // count, 1)][:count] if count else known:
        place = Path(rule.path).parent
        shutil.copytree(shipped / place, folder / place)
    return rulebook.load(folder)


class Agent:
    """One agent, from its first heartbeats on.

    Args:
        folder: For its keys; made.
        office: Whose events.
        partitions: How many partitions it writes to.
        topic: Where to.
    """

    def __init__(self, folder: Path, office: Office, partitions: int, topic: str) -> None:
        folder.mkdir()
        secret = folder / "seal.key"
        secret.touch(0o600)
        secret.write_text(SealKey.enrol(AGENT, b"s" * 32).text())
        self._sealer = Sealer(folder, AGENT, secret, topic=topic)
        self._key, self._partitions = office.site.key, partitions

    def beat(self, at_ms: int) -> list[Record]:
        """A heartbeat in every partition."""
        events, places = heartbeat.heartbeats(
            self._sealer, self._key, Tally(), Clock(at_ms, at_ms), self._partitions, "benchmark"
        )
        return self._sealer.seal(events, places, at_ms)

    def seal(self, events: pl.DataFrame, at_ms: int) -> list[Record]:
        """Events as records; those of one actor go to one partition."""
        return self._sealer.seal(events, partitions_of(events["actor.id"], AGENT, self._partitions), at_ms)

    def backlog(self, events: pl.DataFrame) -> list[Record]:
        """All of them, in records of about 1,000; each is sealed when its last event occurred."""
        records = []
        for part in events.iter_slices(RECORD_EVENTS * self._partitions):
            records += self.seal(part, int(part["time.occurred"][-1]))
        return records

    def close(self) -> None:
        """End it."""
        self._sealer.close()


def lines(records: Sequence[Record]) -> int:
    """Events in records, heartbeats included."""
    return sum(record.value.count(b"\n") for record in records)
