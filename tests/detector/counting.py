"""A detector with a stage of our own: it counts what each key was sent, and relays every tenth to another topic.

`python -m tests.detector.counting detector.toml` runs until SIGTERM; with `--once` until all is worked through.
"""

from __future__ import annotations

import json
import logging
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from contract.partition import partition_of
from contract.sealed import Record
from detector import config as settings
from detector.arrival import Arrived
from detector.inputs import archive
from detector.partitions import Counts, Input
from detector.place import Place
from detector.run import Running
from detector.stage import Moment, Sent
from service import logs
from service.settings import Log

State = dict[str, int]


class Counting:
    """Each record `key: value` counts its key up by one; each count becomes a finding that names the value.

    Every decision is written to the findings too, so that a replay which decides anew would be seen.
    """

    def __init__(self, topic: str, relay: str | None, partitions: int) -> None:
        self._topic, self._relay, self._partitions = topic, relay, partitions

    def begin(self) -> State:
        return {}

    def prepare(self, records: Sequence[Arrived]) -> Sequence[Arrived]:
        return records

    def decide(self, state: State, prepared: Sequence[Arrived], moment: Moment) -> dict[str, Any]:
        if moment.lost is not None:
            return {"lost": list(moment.lost)}
        return {"at": moment.now_ms} if prepared else {}

    def advance(self, state: State, prepared: Sequence[Arrived], decision: Mapping[str, Any]) -> tuple[State, Sent]:
        state = dict(state)
        made = []
        if "lost" in decision:
            made.append(self._record(self._topic, "lost", {"lost": decision["lost"]}))
        for one in prepared:
            key = (one.key or b"").decode()
            state[key] = state.get(key, 0) + 1
            found = {"key": key, "count": state[key], "value": one.value.decode(), "at": decision["at"]}
            made.append(self._record(self._topic, f"{key}-{state[key]}", found))
            if self._relay is not None and state[key] % 10 == 0:
                made.append(self._record(self._relay, f"sum-{key[-1]}", {"tens": state[key]}))
        return state, Sent(made)

    def dump(self, state: State) -> bytes:
        return json.dumps(state, sort_keys=True).encode()

    def load(self, data: bytes) -> State:
        loaded: State = json.loads(data)
        return loaded

    def is_over(self, state: State) -> bool:
        return True

    def show(self, state: State) -> Mapping[str, float]:
        return {}

    def _record(self, topic: str, key: str, body: dict[str, Any]) -> Record:
        value = json.dumps(body, sort_keys=True).encode()
        return Record(topic, partition_of(key, self._partitions), value, [], 0, key=key.encode())


def inputs(config: settings.Config) -> list[Input]:
    """Stage one counts and relays, stage two counts what was relayed."""
    topics = config.topics

    def one(place: Place, counts: Counts) -> Counting:
        return Counting(topics.findings, topics.correlate, min(counts.correlate, counts.findings))

    def two(place: Place, counts: Counts) -> Counting:
        return Counting(topics.findings, None, counts.findings)

    return [Input("one", topics.events, one, archive(config)), Input("two", topics.correlate, two)]


def main() -> int:
    config = settings.load(Path(sys.argv[1]))
    logs.set_up(Log(), sys.stderr, {})
    asked: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: asked.append(1))
    running = Running(config, inputs(config))
    logging.getLogger(__name__).info("metrics at port %d", running.server.port)
    while not asked:
        running.turn()
        if "--once" in sys.argv and running.finished:
            break
    return 0 if running.stop() else 1


if __name__ == "__main__":
    sys.exit(main())
