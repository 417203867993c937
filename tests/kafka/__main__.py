"""`make kafka`: a real Kafka to play with, until Ctrl-C; what was in it is deleted."""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
from pathlib import Path

from tests.kafka.broker import Broker
from tests.kafka.jars import VERSION, BrokerError

# By name, how many partitions; None: as many as asked for.
TOPICS = dict.fromkeys(("access-events", "sekimori-correlate", "dead-letters", "sekimori-vault")) | dict.fromkeys(
    ("sekimori-state", "findings", "sekimori-notices", "decisions"), 1
)


def main() -> None:
    """Start it, make the topics, say where it is, and wait."""
    options = argparse.ArgumentParser(prog="python -m tests.kafka", description=__doc__)
    options.add_argument("--port", type=int, default=9092, help="default: %(default)s")
    options.add_argument("--partitions", type=int, default=4, help="of the topics that have many; default: %(default)s")
    given = options.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with (
            tempfile.TemporaryDirectory(prefix="sekimori-kafka-") as folder,
            Broker(Path(folder), port=given.port) as node,
        ):
            for name, partitions in TOPICS.items():
                node.topic(partitions or given.partitions, name)
            print(f"Kafka {VERSION} at {node.address} with {', '.join(TOPICS)}; Ctrl-C stops it", flush=True)
            node.wait()
            sys.exit(f"Kafka ended by itself; the last it said:\n{node.log.read_text(errors='replace')[-2000:]}")
    except BrokerError as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        print()


if __name__ == "__main__":
    main()
