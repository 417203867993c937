"""What tests ask of a Kafka, whoever runs it: topics of their own, what stands in them, rights."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass

from kafka import KafkaConsumer, TopicPartition
from kafka.admin import (
    ACL,
    ACLFilter,
    ACLOperation,
    ACLPermissionType,
    ACLResourcePatternType,
    ConfigResource,
    KafkaAdminClient,
    ResourcePattern,
    ResourcePatternFilter,
    ResourceType,
    UserScramCredentialUpsertion,
)


@dataclass(frozen=True, slots=True)
class Stored:
    """One record as it stands in a topic."""

    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes
    headers: list[tuple[str, bytes]]


class Cluster:
    """A Kafka without access control, reached at `address` (`host:port`, several with commas)."""

    def __init__(self, address: str) -> None:
        self.address = address

    @contextmanager
    def admin(self) -> Iterator[KafkaAdminClient]:
        """A client for everything the methods below do not cover."""
        with closing(KafkaAdminClient(bootstrap_servers=self.address.split(","))) as client:
            yield client

    def topic(self, partitions: int = 4, name: str | None = None, **options: object) -> str:
        """Make a topic, by default of a name nobody else has, and return its name.

        Args:
            partitions: How many.
            name: If it must have a certain one.
            options: Settings of the topic, with `_` for `.`: `max_message_bytes=10_000`.
        """
        name = name or f"test-{secrets.token_hex(6)}"
        details = {"num_partitions": partitions, "replication_factor": 1, "configs": _settings(options)}
        with self.admin() as admin:
            admin.create_topics({name: details})
            admin.wait_for_topics([name])
        return name

    def configure(self, topic: str, **options: object) -> None:
        """Change settings of a topic, named as for `topic`."""
        with self.admin() as admin:
            admin.alter_configs([ConfigResource("TOPIC", topic, configs=_settings(options))])

    def delete(self, topic: str) -> None:
        """Remove a topic; returns when nothing more can be written to it."""
        with self.admin() as admin:
            admin.delete_topics([topic])
            while topic in admin.list_topics():
                time.sleep(0.05)

    def stored(self, topic: str) -> list[Stored]:
        """Everything in a topic now, by partition and offset."""
        with closing(
            KafkaConsumer(bootstrap_servers=self.address.split(","), auto_offset_reset="earliest")
        ) as consumer:
            places = [TopicPartition(topic, number) for number in sorted(consumer.partitions_for_topic(topic) or ())]
            consumer.assign(places)
            ends = consumer.end_offsets(places)
            found = []
            while any(consumer.position(place) < ends[place] for place in places):
                for records in consumer.poll(timeout_ms=500).values():
                    found += [
                        Stored(r.partition, r.offset, r.timestamp, r.key, r.value, list(r.headers)) for r in records
                    ]
        return sorted(found, key=lambda record: (record.partition, record.offset))

    def lag(self, group: str, topic: str) -> int:
        """Records in a topic that a group has not committed."""
        with self.admin() as admin:
            committed = admin.list_group_offsets({group: None})[group]
        with closing(KafkaConsumer(bootstrap_servers=self.address.split(","))) as consumer:
            places = [TopicPartition(topic, number) for number in consumer.partitions_for_topic(topic) or ()]
            ends = consumer.end_offsets(places)
        return sum(ends[place] - (committed[place].offset if place in committed else 0) for place in places)

    def allow(self, user: str, topic: str, *operations: str) -> None:
        """Let a user do something with a topic: WRITE, READ, DESCRIBE …"""
        with self.admin() as admin:
            admin.create_acls([_right(user, topic, operation) for operation in operations])

    def set_password(self, user: str, password: str) -> None:
        """Let a user log in with a password (SCRAM-SHA-256), and with no other."""
        change = UserScramCredentialUpsertion(user, "SCRAM-SHA-256", password)
        with self.admin() as admin:
            admin.alter_user_scram_credentials([change])

    def forbid(self, user: str, topic: str) -> None:
        """Take away all that `allow` gave a user in a topic."""
        pattern = ResourcePatternFilter(ResourceType.TOPIC, topic, ACLResourcePatternType.LITERAL)
        with self.admin() as admin:
            admin.delete_acls([ACLFilter(f"User:{user}", None, ACLOperation.ANY, ACLPermissionType.ANY, pattern)])


def _settings(options: Mapping[str, object]) -> dict[str, str]:
    return {key.replace("_", "."): str(value) for key, value in options.items()}


def _right(user: str, topic: str, operation: str) -> ACL:
    pattern = ResourcePattern(ResourceType.TOPIC, topic)
    return ACL(f"User:{user}", "*", ACLOperation[operation], ACLPermissionType.ALLOW, pattern)
