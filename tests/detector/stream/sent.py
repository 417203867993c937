"""A month of the simulated office as two agents send it to Kafka: sealed, with heartbeats, and as much out of order as may be.

Beside it lies what decides about it: the site, a model and two baselines, made as an operator makes them.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl
from kafka import KafkaProducer

from collector import ingest, sources
from collector.heartbeat import Clock, Tally, heartbeats
from collector.seal import Sealer
from contract.partition import partitions_of
from contract.sealed import Record
from contract.sealkey import SealKey
from detector.baseline import Baseline
from registers import site as sites
from registers.site import Site
from simulator import office
from tests import command

HOUR_MS: Final = 3_600_000
# What the detectors of these tests allow, and how much of it is made use of.
LATENESS_S: Final = 3600
DISORDER_MS: Final = 3_500_000
# Long after the last event everything is closed.
AFTER_MS: Final = 4 * 24 * HOUR_MS
# How many partitions the topics behind stage one have.
CORRELATE: Final = 3
FINDINGS: Final = 2
AGENTS: Final = ("ag-logs", "ag-doors")
OF_DOORS: Final = ("doors", "windows-security", "file-server")


@dataclass(frozen=True)
class Month:
    """What was simulated.

    Attributes:
        folder: Holds `logs` and `site`.
        events: In `contract.event` columns, each once; no agent has numbered them yet.
        model: With its baseline beside it.
        later: Another baseline.
    """

    folder: Path
    events: pl.DataFrame
    model: Path
    later: Path

    @property
    def site(self) -> Site:
        """The registers."""
        return sites.load(self.folder / "site")

    @property
    def middle(self) -> int:
        """A full hour in the middle, UTC ms."""
        return int(self.events["time.occurred"].median() or 0) // HOUR_MS * HOUR_MS  # type: ignore[arg-type]


def simulated(folder: Path, days: int = 30, volume: float = 0.3) -> Month:
    """Let the office work, and learn from another month of it."""
    office.simulate(folder, seed=1, days=days, staff=office.MINIMUM_STAFF, volume=volume)
    # These come numbered by agents of their own, which are not ours to seal for.
    shutil.rmtree(folder / "logs" / "agents")
    site = sites.load(folder / "site")
    (folder / "logs" / "more.ndjson").write_text("".join(json.dumps(one) + "\n" for one in together(site)))
    parsed = ingest.ingest([folder / "logs"], list(sources.shipped()), site.key, "Asia/Tokyo", problems=[])
    events = pl.concat([part.events for part in parsed]).unique("event.id").sort("time.occurred", "event.id")
    before = folder / "before"
    office.simulate(before, seed=2, days=10, staff=office.MINIMUM_STAFF, volume=volume)
    model = folder / "model.npz"
    learned = command.sekimori(
        folder,
        "analyze",
        before / "logs",
        "--site",
        before / "site",
        "--save-model",
        model,
        "--json",
        out=before / "out",
    )
    assert learned.status == 0, learned.err
    rates = json.loads(beside(model).read_bytes())["rates"]
    later = folder / "later.json"
    # What was usual is so no more, and what was rare is usual now.
    later.write_bytes(Baseline({rule: 40.0 if rate < 5 else 1.0 for rule, rate in rates.items()}).to_bytes())
    return Month(folder, events, model, later)


# What several people do together around the middle of the month: found by subject and by device, in stage two only.
TOGETHER: Final = {"many_look_at_one", "many_accounts_on_one_terminal", "spraying_from_a_terminal"}


def together(site: Site) -> Iterator[dict[str, Any]]:
    """Six of the staff look at one person, one an hour; all log on at one terminal, and fail at another."""
    people = site.tables["staff"].filter(pl.col("type") == "staff")["actor_id"].sort()[:6]
    terminals = site.tables["devices"].filter(pl.col("kind") == "terminal")["device_id"].sort()[:2]
    begin = int(datetime(2026, 3, 24, 2, tzinfo=UTC).timestamp() * 1000)
    common = {"event.schema": 1, "source.id": "welfare-ops", "system.id": "welfare"}
    logon = common | {"event.class": "authentication", "event.action": "logon"}
    look = common | {"event.class": "access", "event.action": "read", "event.outcome": "success"}
    for number, actor in enumerate(people):
        for kind, at, row in (
            (1, number * 60_000, logon | {"event.outcome": "success", "src.device": terminals[0]}),
            (2, number * 60_000 + 1, logon | {"event.outcome": "failure", "src.device": terminals[1]}),
            (3, number * HOUR_MS + 2, look | {"subject.token": "s_a000000000000099", "src.device": terminals[0]}),
        ):
            yield {"event.id": f"{kind:08x}{number:08x}", "time.occurred": begin + at, "actor.id": actor} | row


def beside(model: Path) -> Path:
    """Where the baseline of a model lies."""
    return model.with_name(model.name + ".baseline.json")


class Agents:
    """Two agents on their way through the month.

    Args:
        folder: Where they keep their seals.
        month: What they read.
        address: Kafka's.
        topic: Where they send.
        partitions: How many it has.
        disorder_ms: How much later than it occurred an event may come.
        seed: Of the disorder.
    """

    def __init__(
        self, folder: Path, month: Month, address: str, topic: str, partitions: int, disorder_ms: int = 0, seed: int = 1
    ) -> None:
        self._address, self._topic, self._partitions = address, topic, partitions
        self._middle, self._key = month.middle, month.site.key
        assert self._key is not None
        self._sealers = []
        for name in AGENTS:
            key = folder / f"{name}.seal"
            folder.mkdir(parents=True, exist_ok=True)
            key.touch(0o600)
            key.write_text(SealKey.enrol(name, b"s" * 32).text())
            self._sealers.append(Sealer(folder / name, name, key, topic=topic))
        noise = np.random.default_rng(seed).integers(0, disorder_ms + 1, month.events.height)
        self._events = month.events.with_columns((pl.col("time.occurred") + pl.Series(noise)).alias("_comes")).sort(
            "_comes", "event.id"
        )
        self._at = int(self._events["_comes"][0]) // HOUR_MS * HOUR_MS

    def first_half(self) -> int:
        """Send up to the middle, and say twice that there is no more, so that all partitions come to the same time.

        Returns:
            UTC ms up to which the agents were heard.
        """
        self._send(self._until(self._middle))
        return self._beat(self._at + 30_000, self._at + 60_000)

    def second_half(self) -> int:
        """Send the others; long after them all is closed. Returns UTC ms up to which the agents were heard."""
        end = int(self._events["_comes"][-1]) + HOUR_MS
        self._send(self._until(end))
        # The first of these ends a silence, and that is decided too.
        after = self._at + AFTER_MS
        return self._beat(after, after + HOUR_MS, after + 2 * HOUR_MS)

    def _beat(self, *moments: int) -> int:
        for at in moments:
            self._send(record for place in range(len(AGENTS)) for record in self._sealed(place, None, at))
        return moments[-1]

    def _until(self, end: int) -> Iterator[Record]:
        """Hour by hour what comes, with a heartbeat at the end of each."""
        while self._at < end:
            first, self._at = self._at, self._at + HOUR_MS
            comes = self._events.filter(pl.col("_comes").is_between(first, self._at, closed="left")).drop("_comes")
            doors = pl.col("source.id").is_in(OF_DOORS)
            for place, rows in enumerate((comes.filter(~doors), comes.filter(doors))):
                if not self._sealers[place].begun:
                    yield from self._sealed(place, None, first)
                yield from self._sealed(place, rows, self._at)
            if self._at // HOUR_MS % 200 == 0:
                self._sealed(1, None, self._at + 1000)  # a round of heartbeats that never arrives

    def _sealed(self, place: int, rows: pl.DataFrame | None, at: int) -> list[Record]:
        sealer, key = self._sealers[place], self._key
        beats, places = heartbeats(sealer, key, Tally(), Clock(at, at), self._partitions, "c")
        if rows is not None:
            own = partitions_of(rows["actor.id"], AGENTS[place], self._partitions)
            beats, places = pl.concat([rows, beats]), pl.concat([own, places])
        return sealer.seal(beats, places, at)

    def _send(self, records: Iterator[Record]) -> None:
        now_ms = time.time_ns() // 1_000_000
        with closing(KafkaProducer(bootstrap_servers=self._address.split(","), linger_ms=20)) as producer:
            for one in records:
                producer.send(
                    self._topic, value=one.value, key=one.key, partition=one.partition, headers=one.headers,
                    timestamp_ms=now_ms,
                )  # fmt: skip
            producer.flush()
