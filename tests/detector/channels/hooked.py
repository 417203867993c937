"""A process with one webhook channel, to be killed: `python -m tests.detector.channels.hooked kafka topic dead url name`."""

from __future__ import annotations

import ipaddress
import sys
import threading

from detector.channels.http import target
from detector.channels.run import Post, Runner
from detector.channels.webhook import Webhook
from service.settings import Kafka


def main(kafka: str, topic: str, dead: str, url: str, name: str) -> None:
    """Deliver until killed."""
    hook = Webhook(name, target(url, [ipaddress.ip_network("127.0.0.0/8")], 5), b"k" * 32)
    Runner([hook], Post(Kafka(bootstrap_servers=kafka.split(",")), topic, dead)).start()
    threading.Event().wait()


if __name__ == "__main__":
    main(*sys.argv[1:])
