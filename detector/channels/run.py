"""All channels at work, a thread each, so that one that waits lets the others go on."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Final

import polars as pl
from kafka.errors import KafkaError

from contract.notice import NoticeError, from_json
from contract.partition import partition_of
from contract.rejected import Reason, Refusal, frame
from contract.sealed import Record
from contract.topics import DEAD_LETTERS, NOTICES
from detector.channels.channel import Channel
from detector.channels.courier import Aside, Courier, Patience, Tally
from detector.channels.feed import Feed, Place
from service.printable import safe_line
from service.publish import Publisher
from service.settings import Kafka

_TURN_S: Final = 0.5
_BACK_S: Final = (1.0, 2.0, 5.0, 10.0, 30.0)
_LETTER_S: Final = 10.0
_LATE_S: Final = 60.0
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Post:
    """What all channels share.

    Attributes:
        settings: How to reach Kafka.
        topic, dead_letters: Names of the topics.
        client_id: What Kafka knows us as; groups are `sekimori-notices-<channel>`.
        patience: How long a notice is tried.
        stuck_after_s: See `Place`.
    """

    settings: Kafka
    topic: str = NOTICES.name
    dead_letters: str = DEAD_LETTERS.name
    client_id: str = "sekimori-notices"
    patience: Patience = field(default_factory=Patience)
    stuck_after_s: float = 60.0


@dataclass(frozen=True, slots=True)
class State:
    """How a channel stands, for metrics and health.

    Attributes:
        name: Of the channel.
        tally: What was done since the start.
        waiting: Notices read and not delivered yet.
        oldest_s: Age of the oldest of them.
        lost: Notices that Kafka had deleted before they were read.
        trouble: What keeps it from its work, in one line; empty: nothing.
    """

    name: str
    tally: Tally
    waiting: int
    oldest_s: float
    lost: int
    trouble: str


class Runner:
    """Starts, watches and stops the channels.

    Args:
        channels: With names of their own.
        post: What they share.
        now_ms: UTC milliseconds.
        clock: Seconds, never back.
    """

    def __init__(
        self,
        channels: Sequence[Channel],
        post: Post,
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._works = [_Work(channel, post, now_ms, clock) for channel in channels]

    def start(self) -> None:
        """Begin; returns at once."""
        for work in self._works:
            work.start()

    def stop(self, timeout_s: float = 8.0) -> bool:
        """End after what is being delivered now. Returns whether all ended in time; the rest dies with the process."""
        for work in self._works:
            work.stopping.set()
        deadline = time.monotonic() + timeout_s
        for work in self._works:
            work.join(max(0.0, deadline - time.monotonic()))
        return not any(work.is_alive() for work in self._works)

    def states(self) -> list[State]:
        """How each channel stands now."""
        return [work.state() for work in self._works]

    def problems(self) -> tuple[str, ...]:
        """What is not well, one line each, for the health page; empty: all is."""
        return tuple(line for work in self._works for line in work.problems())


class _Work(threading.Thread):
    """One channel at work."""

    def __init__(self, channel: Channel, post: Post, now_ms: Callable[[], int], clock: Callable[[], float]) -> None:
        super().__init__(name=f"channel {channel.name}", daemon=True)
        self.stopping = threading.Event()
        self._channel = channel
        self._post = post
        self._now_ms = now_ms
        self._since_ms = now_ms()
        self._courier = Courier(channel, self._put_aside, post.patience, now_ms, clock)
        self._clock = clock
        self._lost = 0
        self._kafka = ""  # what keeps us from reading
        self._fault = ""  # why the thread ended before its time
        self._letters: Publisher | None = None
        self._sent: tuple[int, int] | None = None  # whose dead letter is on its way

    def state(self) -> State:
        courier = self._courier
        trouble = self._fault or self._kafka or courier.trouble
        return State(self._channel.name, courier.tally, courier.waiting, courier.oldest_s, self._lost, trouble)

    def problems(self) -> list[str]:
        state = self.state()
        if not state.trouble:
            return []
        waits = f" ({state.waiting} notices wait, the oldest for {state.oldest_s:.0f} s)" if state.waiting else ""
        return [f"channel {state.name}: {safe_line(state.trouble)}{waits}"]

    def run(self) -> None:
        failures = 0
        try:
            while not self.stopping.is_set():
                try:
                    self._serve()
                except (KafkaError, OSError) as error:
                    self._kafka = f"kafka: {type(error).__name__}: the notices cannot be read now; trying again"
                    self.stopping.wait(_BACK_S[min(failures, len(_BACK_S) - 1)])
                    failures += 1
                else:
                    failures = 0
        except Exception as error:  # noqa: BLE001 - a thread that ends in silence is the one thing that must not be
            # Its words may hold an address with a secret in it; where it happened is enough to find it.
            place = error.__traceback__
            while place is not None and place.tb_next is not None:
                place = place.tb_next
            where = f"{place.tb_frame.f_code.co_filename}:{place.tb_lineno}" if place else "?"
            self._fault = (
                f"ended by a fault of this program ({type(error).__name__} at {where}): restart, and report it"
            )
            _log.error("channel %s: %s", self._channel.name, self._fault)
        finally:
            if self._letters is not None:
                self._letters.close(1.0)

    def _serve(self) -> None:
        """Read and deliver until told to stop.

        Raises:
            KafkaError, OSError: Kafka cannot be reached, or the reader is of no use any more.
        """
        post, name = self._post, self._channel.name
        place = Place(
            post.settings, post.topic, f"sekimori-notices-{name}", f"{post.client_id}-{name}", self._since_ms,
            post.stuck_after_s,
        )  # fmt: skip
        before = self._lost
        with closing(Feed(place, self._clock)) as feed:
            self._courier.drop()
            self._channel.forget()
            wait_s = _TURN_S
            while not self.stopping.is_set():
                arrived = feed.poll(wait_s, self._courier.room)
                self._kafka = ""
                self._lost = before + feed.lost
                if feed.moved():
                    self._courier.drop()
                    self._learn(feed)
                    continue
                self._courier.take(arrived)
                until_s = self._clock() + _TURN_S
                while (went_on := self._courier.turn()) and self._clock() < until_s and not self.stopping.is_set():
                    pass  # a commit costs as much as some deliveries
                wait_s = 0.0 if went_on else _TURN_S
                if done := self._courier.done():
                    self._commit(feed, done)

    def _learn(self, feed: Feed) -> None:
        """Let a channel that must know it know how the alerts of our partitions stand."""
        self._channel.forget()
        if not self._channel.remembers:
            return
        for value in feed.history():
            try:
                self._channel.recall(from_json(value))
            except NoticeError:
                continue  # it was told when it was to be delivered
            if self.stopping.is_set():
                return

    def _commit(self, feed: Feed, done: dict[int, int]) -> None:
        try:
            feed.commit(done)
        except KafkaError as error:
            # The group moves on, or Kafka is away: the next commit says more, else some are delivered again.
            _log.warning("channel %s: offsets were not taken (%s)", self._channel.name, type(error).__name__)

    def _put_aside(self, aside: Aside) -> bool:
        """Keep a notice that was given up among the dead letters; true when Kafka has it."""
        post, place = self._post, (aside.record.partition, aside.record.offset)
        if self._letters is None:
            self._letters = Publisher(post.settings, [post.dead_letters], client_id=f"{post.client_id}-letters")
        deadline = self._clock() + _LETTER_S
        arrived = self._letters.poll()
        while not arrived:
            partitions = self._letters.partitions(post.dead_letters)
            if partitions is not None and self._sent != place:
                self._letters.send(letter(aside, self._channel.name, post, partitions, self._now_ms()))
                self._sent = place
            if self._clock() > deadline or self.stopping.is_set():
                return False
            arrived = self._letters.poll(0.2)
        self._sent = None
        _log.error(
            "channel %s: a notice was set aside among the dead letters: %s", self._channel.name, safe_line(aside.detail)
        )
        return True


def letter(aside: Aside, channel: str, post: Post, partitions: int, at_ms: int) -> Record:
    """A dead letter about a notice that a channel gave up: where it stands, why, and its first words, masked."""
    record = aside.record
    text = safe_line(record.value.decode("utf-8", "replace"))
    refusal = Refusal(Reason.UNDELIVERED, safe_line(f"{aside.reason}: {aside.detail}"), text)
    key = f"notices/{channel}"
    table = frame([refusal], [f"{post.topic}/{record.partition}/{record.offset}"], key)
    value = table.with_columns(pl.lit(post.client_id).alias("agent.id")).write_ndjson().encode()
    return Record(post.dead_letters, partition_of(key, partitions), value, [], at_ms, key.encode())
