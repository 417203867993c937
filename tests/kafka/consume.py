"""`make consume`: Kafka's own console consumer on a topic of the Kafka of `make kafka`."""

from __future__ import annotations

import os
import sys
from typing import Final

from tests.kafka.jars import BrokerError, jars, program

_CONSUMER: Final = "org.apache.kafka.tools.consumer.ConsoleConsumer"


def main() -> None:
    """Become the consumer; ends when nothing came for ten seconds."""
    topic = sys.argv[1]
    try:
        java = program("java")
        command = [java, "-cp", f"{jars()}/*", _CONSUMER, "--bootstrap-server", "127.0.0.1:9092", "--topic", topic]
    except BrokerError as error:
        sys.exit(str(error))
    os.execv(java, [*command, "--from-beginning", "--timeout-ms", "10000"])


if __name__ == "__main__":
    main()
