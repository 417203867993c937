"""`sekimori verify`: read a topic from Kafka or from a capture and judge the chains in it; or judge an archive."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
import tomllib
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError, TopicAuthorizationFailedError
from pydantic import ValidationError

from audit.chains import capture
from audit.chains.capture import CaptureError, Damage, Taken, Topic
from audit.chains.verdict import CANNOT, WORDS, Summary, Verdict
from audit.verify import Verifier
from collector.config import Kafka
from commands import show, verify_archive
from commands.failure import Failure
from contract.sealkey import SealKey, SealKeyError
from registers.config import explain
from service import producer, trouble
from service.options import Ground
from service.printable import printable
from service.private import PrivateFileError, read_private

_BOOTSTRAP_MS = 10_000
_STALLED_S = 60.0


def run(options: argparse.Namespace) -> int:
    """Run the sub-command; returns the exit status: 0 ok, 1 tampered, 2 gap, 3 cannot verify."""
    try:
        verdict = _verified(options)
    except Failure as failure:
        show.say(str(failure), sys.stderr)
        return CANNOT
    except OSError as error:
        show.say(f"{error.filename or 'standard output'}: {error.strerror or error}: cannot verify", sys.stderr)
        return CANNOT
    except KeyboardInterrupt:
        show.say("sekimori: stopped by the keyboard: nothing was verified", sys.stderr)
        return CANNOT
    if options.json:
        show.say(json.dumps(_summary(verdict), ensure_ascii=False))
    else:
        _print(verdict)
    return verdict.status


def _verified(options: argparse.Namespace) -> Verdict:
    keys = seal_keys([path for path in options.key if path.suffix != verify_archive.PUBLIC], options.folder is not None)
    if options.folder is not None:
        return verify_archive.judged(options, keys)
    if public := verify_archive.public_keys([path for path in options.key if not path.is_dir()]):
        raise Failure(f"{public[0]}: is for an archive: give the agents' seal keys")
    if wrong := [name for name in ("until", "since", "without_agents") if getattr(options, name)]:
        raise Failure(f"--{wrong[0].replace('_', '-')}: is for an archive: give the folder of one")
    given = {"silent_after_s": options.silent_after, "allow_unsealed": options.allow_unsealed}
    if options.capture is not None:
        if options.save is not None:
            raise Failure("--save: a capture is saved already: leave it out, or read from Kafka")
        with options.capture.open("rb") as file:
            try:
                topic = capture.read_head(file.readline(1 << 20))
            except CaptureError as error:
                raise Failure(f"{options.capture}: {error}") from error
            return _judged(Verifier(keys, topic, **given), capture.read_lines(file))
    settings = _settings(options)
    with _Reader(settings) as reader:
        topic = reader.topic(options.topic or settings.topic)
        records = reader.records(topic)
        if options.save is not None:
            records = _saved(options.save, topic, records)
        return _judged(Verifier(keys, topic, **given), records)


def _judged(verifier: Verifier, records: Iterator[Taken | Damage]) -> Verdict:
    for record in records:
        verifier.take(record)
    return verifier.verdict()


def seal_keys(paths: Sequence[Path], for_archive: bool) -> list[SealKey]:
    """The seal keys in some files and folders; all problems at once. For an archive, a folder may hold its key only."""
    files = [file for path in paths for file in (sorted(path.glob("*.seal")) if path.is_dir() else [path])]
    empty = [path for path in paths if path.is_dir() and not any(path.glob("*.seal"))]
    keys, problems = [], [f"{path}: holds no *.seal file" for path in empty if not for_archive]
    for file in files:
        try:
            key = SealKey.parse(read_private(file))
            keys.append(key)
            if key.start:
                problems.append(f"{file}: is the key of a later start: give the copy made by sekimori keys seal")
        except PrivateFileError as error:
            problems.append(str(error))
        except SealKeyError as error:
            problems.append(f"{file}: {error}")
    if problems:
        raise Failure("\n".join(problems))
    return keys


def _settings(options: argparse.Namespace) -> Kafka:
    """How to reach Kafka: the servers alone, or the table [kafka] of a file like the agent's."""
    if options.config is None:
        folder, table = Path(), {"bootstrap_servers": options.kafka.split(",")}
    else:
        folder = options.config.parent
        try:
            table = tomllib.loads(options.config.read_text(encoding="utf-8")).get("kafka", {})
        except ValueError as error:  # no TOML, no UTF-8
            raise Failure(f"{options.config}: cannot be read: {error}") from error
    try:
        return Kafka.model_validate(table, context=Ground(folder, frozenset()))
    except ValidationError as error:
        where = options.config or "--kafka"
        raise Failure("\n".join(f"{where}: kafka.{line}" for line in explain(error, Kafka))) from error


class _Reader:
    """A topic on Kafka, read once from its beginning to where it ended when we came."""

    def __init__(self, settings: Kafka) -> None:
        self._settings = settings
        self._listener = trouble.Listener(settings, "")
        self._consumer: Any = None

    def __enter__(self) -> _Reader:
        try:
            self._consumer = KafkaConsumer(
                **producer.access(self._settings),
                client_id="sekimori-verify",
                enable_auto_commit=False,
                auto_offset_reset="none",
                allow_auto_create_topics=False,
                bootstrap_timeout_ms=_BOOTSTRAP_MS,
                metrics_enabled=False,
            )
        except KafkaError as error:
            self._listener.close()
            raise self._failure(error) from error
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()
        self._consumer.close()

    def topic(self, name: str) -> Topic:
        """What there is to be read of a topic now."""
        try:
            places = [
                TopicPartition(name, number) for number in sorted(self._consumer.partitions_for_topic(name) or ())
            ]
            if not places:
                raise Failure(trouble.whose(self._settings, self._no_topic(name)))
            self._consumer.assign(places)
            firsts, ends = self._consumer.beginning_offsets(places), self._consumer.end_offsets(places)
        except TopicAuthorizationFailedError as error:
            raise Failure(trouble.whose(self._settings, self._no_topic(name))) from error
        except KafkaError as error:
            raise self._failure(error) from error
        spans = {place.partition: (firsts[place], ends[place]) for place in places}
        return Topic(name, int(datetime.now(UTC).timestamp() * 1000), spans)

    def records(self, topic: Topic) -> Iterator[Taken | Damage]:
        """Everything in the spans of the topic, partition by partition."""
        for number, (first, end) in topic.spans.items():
            place = TopicPartition(topic.name, number)
            try:
                self._consumer.assign([place])
                self._consumer.seek(place, first)
                yield from self._partition(place, end)
            except TopicAuthorizationFailedError as error:
                who = trouble.user(self._settings)
                what = f"does not let {who!r} read topic {topic.name}: add an ACL that allows READ"
                raise Failure(trouble.whose(self._settings, what)) from error
            except KafkaError as error:
                raise self._failure(error) from error

    def _partition(self, place: TopicPartition, end: int) -> Iterator[Taken]:
        quiet_since = time.monotonic()
        while (at := self._consumer.position(place)) < end:
            batch = self._consumer.poll(timeout_ms=1000).get(place, ())
            if batch:
                quiet_since = time.monotonic()
            elif time.monotonic() - quiet_since > _STALLED_S and self._consumer.position(place) == at:
                what = f"gives nothing from {place.topic}, partition {place.partition}, offset {at} on"
                raise Failure(trouble.whose(self._settings, what))
            for record in batch:
                if record.offset < end:
                    headers = tuple((name, value or b"") for name, value in record.headers)
                    yield Taken(
                        place.partition, record.offset, record.timestamp, record.key, headers, record.value or b""
                    )

    def _no_topic(self, name: str) -> str:
        return f"has no topic {name}, or does not let {trouble.user(self._settings)!r} read it"

    def _failure(self, error: KafkaError) -> Failure:
        cause = self._listener.cause(at_once=True)
        return Failure(cause or trouble.whose(self._settings, f"cannot be read: {error or type(error).__name__}"))


def _saved(path: Path, topic: Topic, records: Iterator[Taken | Damage]) -> Iterator[Taken | Damage]:
    """The records, each also written to a new file."""
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        raise Failure(f"{path}: exists already: give --save another name") from None
    with closing(os.fdopen(handle, "wb")) as file:
        yield from _written(file, topic, records)


def _written(file: BinaryIO, topic: Topic, records: Iterator[Taken | Damage]) -> Iterator[Taken | Damage]:
    file.write(capture.head(topic))
    count = 0
    for record in records:
        if isinstance(record, Taken):
            file.write(capture.line(record))
            count += 1
        yield record
    file.write(capture.tail(count))


def _print(verdict: Verdict) -> None:
    for note in verdict.notes:
        show.say(printable(note))
    for one in verdict.agents:
        show.say(printable(f"{one.agent}: {_told(one)}"))
    for problem in verdict.problems:
        whose = f"{problem.agent}: " if problem.agent else ""
        show.say(printable(f"{WORDS[problem.status]}: {whose}{problem.text}"))
    show.say(WORDS[verdict.status])


def _told(one: Summary) -> str:
    parts = [f"{one.events:,} events in {one.records:,} records of {one.starts:,} starts"]
    if one.first_ms is not None and one.last_ms is not None:
        parts.append(f"from {_moment(one.first_ms)} to {_moment(one.last_ms)}")
    if one.repeated:
        parts.append(f"{one.repeated:,} records came again")
    if one.excused:
        parts.append(f"{one.excused:,} events of crashed starts stand under other numbers")
    if one.under_way:
        parts.append(f"{one.under_way:,} events may be under way")
    if one.since:
        parts.append(f"complete only from {one.since} on: the topic keeps nothing older")
    return ", ".join(parts)


def _moment(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, tz=UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def _summary(verdict: Verdict) -> dict[str, Any]:
    return {
        "status": verdict.status,
        "verdict": WORDS[verdict.status],
        "problems": [asdict(problem) | {"status": WORDS[problem.status]} for problem in verdict.problems],
        "agents": [asdict(one) for one in verdict.agents],
        "notes": list(verdict.notes),
    }
