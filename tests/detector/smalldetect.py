"""A detector with both real stages around small cores: `python -m tests.detector.smalldetect detector.toml [FROM TO]`.

Runs until SIGTERM; with `--once` until all is worked through. FROM and TO, in UTC ms, make a re-run of it.
"""

from __future__ import annotations

import logging
import signal
import sys
from pathlib import Path
from typing import Any

from detector import config as settings
from detector.admission import Trust
from detector.partitions import LIVE, Counts, Input, Span
from detector.pins import Deployment
from detector.place import Place
from detector.run import Running
from detector.stage_one import One
from detector.stage_two import Two
from detector.versions import Library, Store
from service import logs
from service.settings import Log
from tests.detector.small import CountActors, CountEverybody


def inputs(config: settings.Config, deployment: Deployment, run: str) -> list[Input]:
    topics = config.topics

    def one(place: Place, counts: Counts) -> One[dict[str, Any]]:
        return One(CountActors(), config, deployment, place, counts, run, "0.1.0", Trust())

    def two(place: Place, counts: Counts) -> Two[dict[str, Any]]:
        return Two(CountEverybody(), topics, deployment, place, counts, run, "0.1.0")

    return [Input("one", topics.events, one), Input("two", topics.correlate, two)]


def main() -> int:
    config = settings.load(Path(sys.argv[1]))
    logs.set_up(Log(), sys.stderr, {})
    numbers = [int(argument) for argument in sys.argv[2:] if argument.isdigit()]
    span = Span(*numbers) if numbers else None
    run = LIVE if span is None else f"again-{numbers[0]}-{numbers[1]}"
    library = Library(Store(config.detector.state_dir / "versions"), None)
    assert config.detector.rules is not None
    deployment = Deployment(library, library.deploy({"rules": config.detector.rules}))
    asked: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: asked.append(1))
    running = Running(config, inputs(config, deployment, run), run=run, span=span)
    logging.getLogger(__name__).info("metrics at port %d", running.server.port)
    while not asked:
        running.turn()
        if (span or "--once" in sys.argv) and running.finished:
            break
    return 0 if running.stop() else 1


if __name__ == "__main__":
    sys.exit(main())
