"""A group is reloaded one detector after the other, and partitions move meanwhile: nothing older is put in force again."""

from __future__ import annotations

import json
import shutil
import signal
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

import rules as shipped
from contract import finding
from tests.detector.desk import Desk, Running
from tests.kafka.cluster import Cluster
from tests.test_detect import found, publish

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:kafka")

RULES = Path(shipped.__file__).parent


@pytest.fixture
def desk(tmp_path: Path, kafka: Cluster) -> Iterator[Desk]:
    """Detectors that have their rules in `rules-<name>`; what they share are two partitions of each topic."""
    one = Desk(tmp_path / "desk", kafka, module=("sekimori", "detect", "-c"))
    yield one
    one.close()


def start(desk: Desk, name: str) -> Running:
    if not (desk.folder / f"rules-{name}").exists():
        shutil.copytree(RULES / "auth/guessing", desk.folder / f"rules-{name}/auth/guessing")
    desk.options |= {"detector": {"rules": f"rules-{name}"}, "limits": {"snapshot_s": 3600}}
    return desk.start(name=name)


def put(desk: Desk, *names: str) -> None:
    """Put a second rule in place."""
    for name in names:
        rule = "admin/right_granted_to_oneself"
        shutil.copytree(RULES / rule, desk.folder / f"rules-{name}" / rule)


def ends(desk: Desk) -> dict[int, int]:
    """The last offset of each partition of the state log."""
    return {record.partition: record.offset for record in desk.kafka.stored(desk.topics["state"])}


def pinned(desk: Desk, after: Mapping[int, int] = MappingProxyType({})) -> dict[str, list[str]]:
    """Which rules were put in force in each partition, one after the other."""
    made: dict[str, list[str]] = {}
    for record in desk.kafka.stored(desk.topics["state"]):
        if record.offset <= after.get(record.partition, -1):
            continue
        pin = json.loads(record.value.split(b"\n")[0]).get("decision", {}).get("pin")
        if pin is not None:
            hashes = made.setdefault((record.key or b"").decode(), [])
            hashes += [pin["hashes"]["rules"]][: pin["hashes"]["rules"] not in hashes[-1:]]  # another try of one step
    return made


def two(desk: Desk) -> tuple[Running, Running]:
    """Two detectors that have half of the partitions each."""
    running = start(desk, "a"), start(desk, "b")
    for one in running:
        one.until_it_has(3)
    running[0].until(lambda: len(pinned(desk)) == 6)
    return running


def reload(desk: Desk, one: Running) -> None:
    one.send(signal.SIGHUP)
    one.until(lambda: "reloaded" in one.said)
    one.until(lambda: sorted(map(len, pinned(desk).values())) == [1, 1, 1, 2, 2, 2])


def versions(desk: Desk, name: str) -> set[str]:
    return {path.name for path in (desk.folder / f"state-{name}" / "versions").iterdir()}


def test_who_has_the_same_files_in_place_deploys_them_when_a_partition_comes_to_it(desk: Desk):
    a, b = two(desk)
    put(desk, "a", "b")
    reload(desk, a)

    a.send(signal.SIGKILL)

    b.until_it_has(6)
    b.until(lambda: all(len(rules) == 2 for rules in pinned(desk).values()))
    assert "deployed what other detectors have" in b.said
    assert b.get("/healthz") == (200, "ok\n")
    assert "reloaded" not in b.said
    assert len({tuple(rules) for rules in pinned(desk).values()}) == 1  # the former ones, then the newer ones
    assert b.end() == 0


def test_who_was_not_reloaded_goes_on_with_what_is_newer_and_says_so_also_after_a_restart(desk: Desk):
    a, b = two(desk)
    put(desk, "a")
    reload(desk, a)
    for name in versions(desk, "a") - versions(desk, "b"):
        shutil.copytree(desk.folder / "state-a/versions" / name, desk.folder / "state-b/versions" / name)
    before = pinned(desk)
    newer = {rules[1] for rules in before.values() if len(rules) == 2}

    a.send(signal.SIGKILL)

    b.until_it_has(6)
    b.until(lambda: "other detectors have deployed newer ones" in b.get("/healthz")[1])
    b.send(signal.SIGHUP)  # nothing new lies in place: it deploys nothing
    b.until(lambda: "reloaded" in b.said)
    publish(desk, *(finding.to_json(found(number)).encode() for number in range(8)))
    b.until(lambda: len({value["finding"] for value in map(told, desk.kafka.stored(desk.topics["notices"]))}) == 8)
    assert pinned(desk) == before
    assert b.end() == 0
    stopped = ends(desk)
    b = start(desk, "b")
    b.until_it_has(6)
    b.until(lambda: "other detectors have deployed newer ones" in b.get("/healthz")[1])
    assert pinned(desk, stopped) == {}

    put(desk, "b")
    b.send(signal.SIGHUP)
    b.until(lambda: len(pinned(desk, stopped)) == 3)
    assert {rules for made in pinned(desk, stopped).values() for rules in made} == newer
    b.until(lambda: b.get("/healthz") == (200, "ok\n"))
    assert b.end() == 0


def told(record: Any) -> dict[str, Any]:
    return dict(json.loads(record.value))


def test_who_does_not_have_what_is_newer_waits_with_that_partition_until_it_is_put_in_place(desk: Desk):
    a, b = two(desk)
    put(desk, "a")
    reload(desk, a)

    a.send(signal.SIGKILL)

    b.until(lambda: "which is not kept here" in b.get("/healthz")[1])
    assert b.metric("sekimori_detector_partitions") < 6
    put(desk, "b")
    b.send(signal.SIGHUP)
    b.until_it_has(6)
    b.until(lambda: all(len(rules) == 2 for rules in pinned(desk).values()))
    b.until(lambda: b.get("/healthz") == (200, "ok\n"))
    assert b.end() == 0
