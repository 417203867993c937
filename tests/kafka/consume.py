"""`make consume`: a console consumer on a topic of the Kafka of `make kafka`, from its beginning."""

from __future__ import annotations

import argparse
import sys

from kafka.cli.consumer import run_cli


def main() -> None:
    """Print every value in the topic; ends when nothing came for five seconds."""
    options = argparse.ArgumentParser(prog="python -m tests.kafka.consume", description=__doc__)
    options.add_argument("topic")
    options.add_argument("--bootstrap-servers", default="127.0.0.1:9092", help="default: %(default)s")
    given = options.parse_args()
    whole = ["-C", "auto_offset_reset=earliest", "-C", "consumer_timeout_ms=5000"]
    sys.exit(run_cli(["-b", given.bootstrap_servers, "-t", given.topic, *whole]))


if __name__ == "__main__":
    main()
