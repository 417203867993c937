"""Agent, detectors and broker die while a log is written: at the end what was found is what `analyze` finds in that log.

A few kills in every run; `make chaos` makes thirty during 100,000 events.
"""

from __future__ import annotations

import json
import os
import random
import signal
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import pytest

from contract import wire
from tests import command
from tests.detector.desk import Desk
from tests.detector.stream import sent
from tests.detector.stream.sent import Month
from tests.detector.stream.streamed import comparable, differences, last
from tests.host import Host
from tests.kafka.broker import Broker

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:kafka")

KILLS = int(os.environ.get("SEKIMORI_KILLS", "6"))
SEED = int(os.environ.get("SEKIMORI_SEED", "1"))
RECORDS = int(os.environ.get("SEKIMORI_RECORDS", "4000"))
# A small office writes some 16,000 lines a month.
MUCH = 16_000


@pytest.fixture
def written(request: pytest.FixtureRequest, tmp_path: Path) -> Month:
    """A month with at least so many events."""
    if RECORDS <= MUCH:
        small: Month = request.getfixturevalue("month")
        return small
    return sent.simulated(tmp_path / "month", volume=RECORDS / 18_000)


class Log:
    """A program that writes its log bytes by bytes, and has it rotated now and then."""

    def __init__(self, folder: Path, month: Month, draw: random.Random) -> None:
        events = month.events.head(RECORDS)
        assert events.height == RECORDS
        self._rest = wire.joined(wire.encode_lines(events))
        self._piece = len(self._rest) // (2 * KILLS) + 1
        self._path, self._draw, self._rotated = folder / "events.log", draw, 0

    def write(self) -> None:
        """Write on, not always to the end of a line; in small pieces with pauses between."""
        size = self._piece
        rotate = self._draw.random() < 0.2
        if rotate:  # a program that writes a line in two opens the new file after it
            size = self._rest.find(b"\n", size) + 1 or len(self._rest)
        piece, self._rest = self._rest[:size], self._rest[size:]
        while piece:
            size = self._draw.randrange(len(piece) // 10 + 1, len(piece) + 2)
            with self._path.open("ab") as file:
                file.write(piece[:size])
            piece = piece[size:]
            time.sleep(self._draw.random() * 0.3)
        if rotate and self._rest:
            self._path.rename(self._path.with_name(f"events.log.{self._rotated}"))
            self._rotated += 1


def test_whatever_dies_while_a_log_is_written_what_is_found_is_what_analyze_finds_in_it(
    desk_of: Callable[..., Desk], written: Month, broker: Broker, tmp_path: Path
):
    desk = desk_of(broker, written, 2)
    desk.options["limits"] = {"snapshot_s": 2, "turn_records": 20, "stuck_after_s": 5}
    desk.options["detector"]["sealed_agents"] = ["ag-test"]
    host = agent_of(desk, written)
    draw = random.Random(SEED)
    try:
        again = torment(desk, host, broker, Log(host.folder / "logs", written, draw), draw)
    finally:
        host.close()

    options = ["--site", written.folder / "site", "--model", written.model, "--source", "event", "--json"]
    ran = command.sekimori(tmp_path, "analyze", host.folder / "logs", *options, out=tmp_path / "out")
    assert ran.status == 0, ran.err
    assert ran.summary["events"] == RECORDS
    told = (tmp_path / "out" / "findings.ndjson").read_text().splitlines()
    wanted = {one["finding_info"]["uid"]: one for one in map(json.loads, told)}
    assert wanted
    assert not differences(*comparable(last(desk.found()), wanted))
    # Whatever the agent numbered anew after its deaths, nothing is said to be missing.
    said = {one["finding_info"]["analytic"]["uid"] for one in desk.found() if one["unmapped"]["kind"] == "evidence"}
    assert said <= {"source_silent"}
    status, verdict = host.verify()
    assert status == 0, verdict
    print(f"{KILLS} kills, {RECORDS} events, {len(wanted)} findings, {again} findings came again, with equal bytes")


def agent_of(desk: Desk, month: Month) -> Host:
    """An agent with the site's key that follows `logs/events.log`, and beats only when it starts and stops.

    Its clock is ours and the log is of another month: a heartbeat in between would say that the month is over.
    """
    options = {"agent": {"heartbeat_s": 3600}}
    files = [("event", "logs/events.log")]
    host = Host(
        desk.folder / "host",
        desk.kafka,
        desk.topics["events"],
        desk.topics["dead_letters"],
        options=options,
        files=files,
    )
    (host.folder / "site.key").write_bytes((month.folder / "site" / "keys" / "site.key").read_bytes())
    return host


def torment(desk: Desk, host: Host, broker: Broker, log: Log, draw: random.Random) -> int:
    """Let everything die that may, until all is written, read and decided; returns how many findings came again."""
    host.start()
    host.until(lambda: "metrics at port" in host.said)
    running = {name: desk.start(name=name) for name in ("a", "b")}
    running["a"].until(lambda: "taken over" in running["a"].said)
    for number in range(KILLS):
        log.write()
        victim = draw.choice(("a", "b", "agent"))
        if number == KILLS // 3:
            broker.kill()
            log.write()
            broker.start()
        elif number == KILLS // 2:
            sleep_over(desk, log)
        elif victim == "agent":
            host.end(signal.SIGKILL)
            log.write()
            host.start()
        else:
            running[victim].end(signal.SIGKILL)
            log.write()
            running[victim] = desk.start(name=victim)
    host.end(signal.SIGKILL)
    # The first reads what is left; after the second, which found nothing more, time is ours.
    assert [host.once(), host.once()] == [0, 0], host.said
    for one in running.values():
        one.end(signal.SIGKILL)
    done = desk.start("--once")
    assert done.process.wait(180) == 0, done.said
    return came_again(desk)


def sleep_over(desk: Desk, log: Log) -> None:
    """Freeze the newest detector until others have its partitions; then it wakes up."""
    zombie, heir = desk.running[-1], desk.start(name="heir")
    zombie.send(signal.SIGSTOP)
    living = [one for one in desk.running if one.is_up and one is not zombie]
    everything = sum(desk.partitions)
    heir.until(lambda: sum(one.metric("sekimori_detector_partitions") for one in living) == everything, 90)
    log.write()
    zombie.send(signal.SIGCONT)
    heir.end(signal.SIGKILL)


def came_again(desk: Desk) -> int:
    """How many findings were published again; each was created once, in the same bytes whenever it was said."""
    created = defaultdict(list)
    for record in desk.kafka.stored(desk.topics["findings"]):
        if json.loads(record.value)["activity_id"] == 1:
            created[record.key].append(record.value)
    torn = {key: values for key, values in created.items() if len(set(values)) > 1}
    assert not torn, f"{len(torn)} were created again with other bytes: {list(torn.items())[:2]}"
    assert not desk.kafka.stored(desk.topics["dead_letters"])
    return sum(len(values) - 1 for values in created.values())
