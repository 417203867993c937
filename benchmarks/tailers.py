"""Two tailers as people write them, for `agent.py` to measure: confluent-kafka, no state, no masking, no seal.

    python benchmarks/tailers.py parsed|packed FILE BOOTSTRAP TOPIC

parsed: one record a line, read by a regular expression and written as JSON by orjson.
packed: raw lines, as many as fit into 64 kB a record.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator

import orjson
from confluent_kafka import Producer

PACK_BYTES = 64 << 10
LINE = re.compile(
    rb'(?P<host>\S+) (?P<ident>\S+) (?P<user>\S+) \[(?P<time>[^\]]+)\] "(?P<request>[^"]*)" (?P<status>\d+) (?P<bytes>\S+)'
    rb' "(?P<referer>[^"]*)" "(?P<agent>[^"]*)"'
)


def parsed(path: str) -> Iterator[bytes]:
    """One JSON object per line of a combined log; other lines are dropped."""
    with open(path, "rb") as file:
        for line in file:
            found = LINE.match(line)
            if found:
                yield orjson.dumps({key: value.decode() for key, value in found.groupdict().items()})


def packed(path: str) -> Iterator[bytes]:
    """Whole lines, together up to 64 kB."""
    rest = b""
    with open(path, "rb") as file:
        while data := file.read(PACK_BYTES - len(rest)):
            end = data.rfind(b"\n") + 1
            if end:
                yield rest + data[:end]
                rest = b""
            rest += data[end:]
    if rest:
        yield rest


def send(values: Iterator[bytes], bootstrap: str, topic: str) -> int:
    """Send and wait for all acknowledgements; returns how many failed."""
    failed = 0

    def told(error: object, _: object) -> None:
        nonlocal failed
        failed += error is not None

    producer = Producer(
        {"bootstrap.servers": bootstrap, "enable.idempotence": True, "compression.type": "zstd", "linger.ms": 50}
    )
    for value in values:
        while True:
            try:
                producer.produce(topic, value, on_delivery=told)
                break
            except BufferError:  # its queue is full
                producer.poll(0.1)
        producer.poll(0)
    producer.flush()
    return failed


KINDS: dict[str, Callable[[str], Iterator[bytes]]] = {"parsed": parsed, "packed": packed}

if __name__ == "__main__":
    kind, path, bootstrap, topic = sys.argv[1:]
    sys.exit(1 if send(KINDS[kind](path), bootstrap, topic) else 0)
