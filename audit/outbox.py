"""Decisions on their way to the detectors: what Kafka acknowledged is remembered, what it did not is sent the next time."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import Any, Final

from audit.database.store import Store, Unsent
from contract import decision
from contract.partition import partition_of
from contract.sealed import Record
from service import trouble
from service.producer import Attempt, Client, Producer
from service.settings import Kafka

_CONNECT_S: Final = 15.0
_ANSWER_S: Final = 15.0


def send(
    settings: Kafka, topic: str, waiting: Sequence[tuple[Unsent, Mapping[str, Any]]], store: Store, now: int
) -> str | None:
    """Tell the detectors what people decided.

    Args:
        settings: How to reach Kafka.
        topic: Of the decisions.
        waiting: What has not been sent, in order.
        store: Remembers what was acknowledged.
        now: UTC milliseconds.

    Returns:
        Why some of it could not be sent now, in a line; None if all was.
    """
    if not waiting:
        return None
    client = Client(settings, "sekimori-case", "decisions")
    listener = trouble.Listener(settings, client.threads)
    try:
        attempt = Attempt(client, [topic], lambda: None)
        attempt.thread.join(_CONNECT_S)
        if attempt.producer is None:
            attempt.abandon()
            return attempt.problem or listener.cause(at_once=True) or trouble.whose(settings, "does not answer")
        return _sent(attempt.producer, settings, topic, attempt.partitions[topic], waiting, store, now)
    finally:
        listener.close()


def _sent(
    producer: Producer, settings: Kafka, topic: str, partitions: int,
    waiting: Sequence[tuple[Unsent, Mapping[str, Any]]], store: Store, now: int,
) -> str | None:  # fmt: skip
    answers: dict[int, BaseException | None] = {}
    complete = threading.Event()

    def reporter(number: int, size: int) -> Any:
        def report(error: BaseException | None) -> None:
            answers[number] = error
            if len(answers) == size:
                complete.set()

        return report

    try:
        for number, (_, said) in enumerate(waiting):
            key = str(said["finding"])
            value = decision.to_json(said).encode()
            record = Record(topic, partition_of(key, partitions), value, [], int(said["time"]), key.encode())
            producer.send(record, now, reporter(number, len(waiting)))
        complete.wait(_ANSWER_S)
    finally:
        producer.end(wait_s=2.0)
    for number, (what, said) in enumerate(waiting):
        if number not in answers:
            return trouble.whose(settings, f"did not answer within {_ANSWER_S:.0f} s")
        error = answers[number]
        if error is not None:
            place = partition_of(str(said["finding"]), partitions)
            return trouble.refusal(settings, topic, place, len(decision.to_json(said)), error)
        store.mark_sent(what, now)
    return None
