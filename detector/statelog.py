"""The state log of one input partition, kept in Kafka: what a worker decided, in order, by one owner at a time.

What the records mean stands in `detector.statechain`. An append is acknowledged, and read back unless nothing can lie
between what was read last and it, before it counts: so an owner that was replaced learns it before it acts. Several keys
may share a partition of the state topic. All methods belong to one thread; no consumer group is joined.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Final

from kafka.errors import (
    AuthorizationError,
    InvalidTopicError,
    KafkaError,
    KafkaTimeoutError,
    MessageSizeTooLargeError,
    OffsetOutOfRangeError,
    RecordListTooLargeError,
    TopicAuthorizationFailedError,
)

from detector import statechain
from detector.statechain import Broken as Broken
from detector.statechain import Chain, Landed, Link
from detector.statechain import Recovered as Recovered
from detector.statechain import Step as Step
from detector.statechain import Unknown as Unknown
from detector.statetopic import Found, StatePartition
from service import trouble
from service.settings import Kafka

LIVE: Final = "live"

_log = logging.getLogger(__name__)
_PAUSE_S: Final = 0.25
# A re-run of which nothing was heard for so long is over, and nobody keeps its log; the live one's is kept for ever.
_OVER_MS: Final = 7 * 86_400_000
_SILENT: Final = "does not answer: is it well, and the network to it?"
# Trying again would change nothing.
_FINAL: Final = (AuthorizationError, InvalidTopicError, MessageSizeTooLargeError, RecordListTooLargeError)


class Fenced(Exception):
    """Somebody else has claimed the key: whatever was not accepted before is not to be acted upon."""


class Unreachable(Exception):
    """Kafka did not answer in time, or refused; the same call may be made again."""


@dataclass(frozen=True, slots=True)
class _Pending:
    """A record that may have been written, and may be yet.

    Attributes:
        what: Tells it from others.
        value: Its bytes.
        number: In our epoch.
        last: `Chain.last` once it counts.
    """

    what: object
    value: bytes
    number: int
    last: str


def key_of(run: str, topic: str, partition: int) -> str:
    """The key of an input partition's log.

    Args:
        run: `live`, or the name of a re-run.
        topic, partition: The input.
    """
    return f"{run}/{topic}/{partition}"


def partition_for(partition: int, count: int) -> int:
    """The state partition of an input partition, of `count` that the state topic has."""
    return partition % count


class StateLog:
    """One input partition's log.

    Attributes:
        key: Whose log.
        epoch: Ours; 0 before `take_over`.
        foreign: Records in the partition that no state log wrote.
        outdated: Records of this key whose writer was not the owner any more.
        repeated: Records of this key that came again.
        untrimmed: Why records that are not needed any more could not be deleted, in one line; None if they could.
    """

    def __init__(
        self,
        settings: Kafka,
        topic: str,
        partition: int,
        key: str,
        *,
        client_id: str = "sekimori-state",
        timeout_s: float = 30.0,
        trim: bool = True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Prepare; `take_over` connects.

        Args:
            settings: Whom to connect to.
            topic, partition: Where the log is kept (`partition_for`).
            key: Whose log (`key_of`).
            client_id: What Kafka knows us as.
            timeout_s: Longest that Kafka is waited for: until something is read, or one record is written.
            trim: After a snapshot, delete records that no log in the partition needs any more.
            clock: Seconds, never back.
        """
        self.key = key
        self.epoch = 0
        self.foreign = self.outdated = self.repeated = 0
        self.untrimmed: str | None = None
        self._settings = settings
        self._log = StatePartition(settings, topic, partition, client_id, clock)
        self._timeout_s, self._trim, self._clock = timeout_s, trim, clock
        self._chains: dict[str, Chain] = {}
        self._opaque: set[str] = set()  # other keys of which there are records of another version
        self._heard: dict[str, int] = {}  # by key, the newest timestamp
        self._read = 0  # offset of the next record to be taken
        self._pending: _Pending | None = None
        self._written: tuple[bytes, int] | None = None  # of an unfinished snapshot: its hash, pieces that count

    def take_over(self) -> Recovered:
        """Claim the log, and read all that was accepted before.

        Raises:
            Unreachable: Kafka does not answer, or refuses.
            Unknown: There are records of a version that this program does not know.
            Broken: What is there does not add up.
        """
        self._pending = self._written = None
        self.epoch = 0
        with self._explained():
            while not self.epoch:
                # Meanwhile the present owner, or that of another key, may delete what nobody needs: then all over again.
                with contextlib.suppress(OffsetOutOfRangeError):
                    self._claim()
        found = self._mine.recovered()
        self._mine.release()
        return found

    def append(self, step: Step) -> None:
        """Write a step down; returns when it counts.

        After `Unreachable` only the same step may be appended: it may have been written, and then it is found.

        Raises:
            Fenced: Somebody else has claimed the log; the step does not count.
            Unreachable: Kafka did not answer in time, or refused.
            Broken: The log was damaged meanwhile.
            ValueError: The step does not begin where the one before ended, or is another than the unfinished one.
        """
        expected = self._mine.next
        if self._pending is None and expected is not None and step.start != expected:
            raise ValueError(f"the step begins at {step.start}, the one before ended at {expected}")
        self._put(step, lambda link: statechain.step(link, step))

    def snapshot(self, next: int, payload: bytes) -> None:
        """Write the whole state down, in pieces; returns when it counts. Then older records are deleted.

        After `Unreachable` the same snapshot must be written before anything else.

        Args:
            next: Input offset up to which the state holds everything: that of the last step. All effects of the steps
                before it must have been acknowledged, for these steps are forgotten.
            payload: The state.

        Raises:
            Fenced, Unreachable, Broken, ValueError: As `append`.
        """
        if self._mine.next not in (None, next):
            raise ValueError(f"a snapshot at {next}, where the last step ended at {self._mine.next}")
        name = hashlib.sha256(b"%d " % next + payload).digest()
        first = self._written[1] if self._written is not None and self._written[0] == name else 0
        for number in range(first, statechain.parts(payload)):
            self._written = name, number
            self._put((name, number), partial(statechain.part, upto=next, payload=payload, number=number))
        self._written = None
        if self._trim:
            self._delete_old()

    def close(self) -> None:
        """Disconnect; what was not accepted is given up."""
        self._log.close()

    @property
    def _mine(self) -> Chain:
        return self._chain(self.key)

    @property
    def _where(self) -> str:
        return f"topic {self._log.topic} partition {self._log.number}"

    def _chain(self, key: str) -> Chain:
        if key not in self._chains:
            self._chains[key] = Chain(key, self._where, keep=key == self.key)
        return self._chains[key]

    def _put(self, what: object, encoded: Callable[[Link], bytes]) -> None:
        """Have a record of ours accepted; `what` tells it from others."""
        if not self.epoch:
            raise ValueError("take_over comes first")
        again = self._pending is not None
        if self._pending is None:
            link = self._mine.link()
            value = encoded(link)
            self._pending = _Pending(what, value, link.number, statechain.digest(link.head, value))
        if self._pending.what != what:
            raise ValueError("what could not be finished is to be tried again before anything else")
        with self._explained():
            if again:
                self._read_to(self._log.end(self._deadline))
            self._land(self._pending.value, partial(self._counts, self._pending))
        self._pending = None

    def _is_claimed(self, epoch: int) -> bool:
        return self._mine.epoch >= epoch

    def _counts(self, pending: _Pending) -> bool:
        """Whether a record of ours counts."""
        if self._mine.epoch != self.epoch:
            raise Fenced(f"state of {self.key} has another owner now: epoch {self._mine.epoch}, ours was {self.epoch}")
        if self._mine.link().number <= pending.number:
            return False
        if self._mine.last != pending.last:
            raise Broken(
                f"{self._where} before offset {self._read}: somebody else writes state of {self.key} in this program's "
                "name: see who may write to the topic, and start again"
            )
        return True

    def _land(self, value: bytes, done: Callable[[], bool]) -> None:
        """Write a record, as often as it takes, until something holds that reading the log tells."""
        deadline = self._deadline
        while not done():
            try:
                written = self._log.write(self.key, value, deadline)
            except _FINAL:
                raise
            except KafkaError:
                time.sleep(min(_PAUSE_S, self._log.left_s(deadline)))
                self._read_to(self._log.end(deadline))  # it may have been written all the same
                continue
            if written.offset == self._read:  # nothing lies between, so there is nothing to read
                self._take(written)
                self._read += 1
            else:
                self._read_to(written.offset + 1)

    def _claim(self) -> None:
        """Read the partition as it stands, and claim the key; of two claims of one epoch only the first counts."""
        self._chains, self._opaque, self._heard = {}, set(), {}
        self.foreign = self.outdated = self.repeated = 0
        self._read = self._log.first(self._deadline)
        self._read_to(self._log.end(self._deadline))
        self._check_places(self._log.count())
        while not self.epoch:
            wanted, owner = self._mine.epoch + 1, secrets.token_hex(8)
            self._land(statechain.claim(wanted, owner), partial(self._is_claimed, wanted))
            self.epoch = wanted if self._mine.owner == owner else 0

    def _check_places(self, count: int) -> None:
        """Other logs here belong here still: a topic that was given more partitions would hide them from their owners."""
        for name, chain in self._chains.items():
            number = name.rpartition("/")[2]
            if chain.since is None or not number.isdecimal() or partition_for(int(number), count) == self._log.number:
                continue
            raise Broken(
                f"{self._where} holds state of {name}, which with {count} partitions belongs into another: the topic had "
                "another number of them. That cannot be undone: set [topics] state to a new topic, which begins from nothing"
            )

    @property
    def _deadline(self) -> float:
        """Of what begins now."""
        return self._clock() + self._timeout_s

    def _read_to(self, upto: int) -> None:
        """Take every record before an offset, and none after."""
        for found in self._log.records(self._read, upto, self._timeout_s):
            self._take(found)
            self._read = found.offset + 1
        self._read = max(self._read, upto)

    def _take(self, found: Found) -> None:
        name = (found.key or b"").decode(errors="replace")
        chain = self._chain(name)
        self._heard[name] = max(found.timestamp_ms, self._heard.get(name, -1))
        if name in self._opaque:
            return
        try:
            landed = chain.take(found.offset, found.value)
        except Unknown:
            if chain is self._mine:
                raise
            # Its owner knows what it needs; nothing from here on is deleted.
            self._opaque.add(name)
            chain.since = found.offset if chain.since is None else chain.since
            return
        self.foreign += landed is Landed.FOREIGN
        self.outdated += chain is self._mine and landed is Landed.OUTDATED
        self.repeated += chain is self._mine and landed is Landed.REPEATED

    def _delete_old(self) -> None:
        """Delete what no log in the partition needs any more; nothing depends on it."""
        over = max(self._heard.values()) - _OVER_MS
        needed = [
            chain for name, chain in self._chains.items() if name.startswith(f"{LIVE}/") or self._heard[name] > over
        ]
        if not all(chain.whole for chain in needed):
            return
        floor = min(chain.since for chain in needed if chain.since is not None)
        try:
            self._log.delete_before(floor)
            self.untrimmed = None
        except (KafkaError, OSError) as error:
            said = (
                f"{self._where} keeps state that is not needed any more: {type(error).__name__} {error}: allow DELETE"
            )
            if self.untrimmed is None:
                _log.warning("%s", said)
            self.untrimmed = said

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        """Put kafka-python's errors into words."""
        try:
            yield
        except OffsetOutOfRangeError:
            # Only who claimed the key, and wrote a snapshot since, could do without them; else `take_over` finds out.
            self.epoch = -1
            raise Fenced(
                f"{self._where}: records from offset {self._read} on were deleted: {self.key} has another owner"
            ) from None
        except TopicAuthorizationFailedError as error:
            what = f"does not let {trouble.user(self._settings)!r} use topic {self._log.topic}: allow READ and WRITE"
            raise Unreachable(trouble.whose(self._settings, what)) from error
        except KafkaTimeoutError as error:
            raise Unreachable(trouble.whose(self._settings, _SILENT)) from error
        except KafkaError as error:
            size = len(self._pending.value) if self._pending else 0
            said = trouble.refusal(self._settings, self._log.topic, self._log.number, size, error)
            raise Unreachable(said) from error
        except OSError as error:
            raise Unreachable(trouble.whose(self._settings, f"cannot be connected to: {error}")) from error
