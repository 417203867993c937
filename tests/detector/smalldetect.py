"""A detector with both real stages around small cores: `python -m tests.detector.smalldetect detector.toml [FROM TO]`.

Runs until SIGTERM; with `--once` until all is worked through. FROM and TO, in UTC ms, make a re-run of it.
"""

from __future__ import annotations

import logging
import signal
import sys
from pathlib import Path

from detector import config as settings
from detector.cases import Cases
from detector.inputs import Cores, inputs
from detector.partitions import LIVE, Span
from detector.pins import Deployment
from detector.run import Running
from detector.versions import Library, Store
from service import logs
from service.settings import Log
from tests.detector.small import CountActors, CountEverybody


def main() -> int:
    config = settings.load(Path(sys.argv[1]))
    logs.set_up(Log(), sys.stderr, {})
    numbers = [int(argument) for argument in sys.argv[2:] if argument.isdigit()]
    span = Span(*numbers) if numbers else None
    run = LIVE if span is None else f"again-{numbers[0]}-{numbers[1]}"
    library = Library(Store(config.detector.state_dir / "versions"), None)
    assert config.detector.rules is not None
    deployment = Deployment(library, library.deploy({"rules": config.detector.rules}))
    cases = Cases(config.kafka, config.topics.decisions, "cases")
    cores = Cores(CountActors(), CountEverybody(), "0.1.0")
    asked: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: asked.append(1))
    running = Running(config, inputs(config, deployment, run, cases, cores), run=run, span=span)
    logging.getLogger(__name__).info("metrics at port %d", running.server.port)
    while not asked:
        running.turn()
        if (span or "--once" in sys.argv) and running.finished:
            break
    return 0 if running.stop() else 1


if __name__ == "__main__":
    sys.exit(main())
