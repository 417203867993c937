"""The topics of Kafka: who writes what for whom, under which key (design §5). One name, one place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic.

    Attributes:
        name: Its name on the broker.
        key: What the record's key is, which decides the partition.
        value: What a record holds.
        producers, consumers: The commands that write and read it.
        meaning: One sentence for `docs/event.md`.
    """

    name: str
    key: str
    value: str
    producers: tuple[str, ...]
    consumers: tuple[str, ...]
    meaning: str


EVENTS: Final = Topic(
    "access-events",
    "actor.id, else agent.id",
    "1…N events as NDJSON",
    ("sekimori collect", "third parties"),
    ("sekimori detect",),
    "Access-log lines as events; one actor is always in one partition",
)
STATE: Final = Topic(
    "sekimori-state",
    "run, input topic and partition",
    "claims of owners, one step per micro-batch, now and then a snapshot in pieces",
    ("sekimori detect",),
    ("sekimori detect",),
    "The detector's chained state log, from which it recovers",
)
CORRELATE: Final = Topic(
    "sekimori-correlate",
    "no key; the partition is that of rule and group value, or of the agent or source",
    "NDJSON, one line per kind and piece, rows in columns: candidates of rules, notes on the logs being whole",
    ("sekimori detect",),
    ("sekimori detect",),
    "Input of stage two: what groups by something else than the actor",
)
FINDINGS: Final = Topic(
    "findings",
    "finding_info.uid",
    "one finding as JSON",
    ("sekimori detect",),
    ("sekimori case", "alert delivery", "third parties"),
    "What was found; a later record of the same key takes the place of the earlier",
)
NOTICES: Final = Topic(
    "sekimori-notices",
    "fingerprint",
    "one notice as JSON",
    ("sekimori detect",),
    ("sekimori detect", "third parties"),
    "Who is to be told what: changes of alerts, read by every channel with a consumer group of its own",
)
DECISIONS: Final = Topic(
    "decisions",
    "finding_info.uid, else the exception's name",
    "one decision as JSON",
    ("sekimori case",),
    ("sekimori detect",),
    "Cases closed and exceptions in force",
)
DEAD_LETTERS: Final = Topic(
    "dead-letters",
    "source.id",
    "refused lines, masked, with reason and position",
    ("sekimori collect", "sekimori detect"),
    ("sekimori report",),
    "What could not be read; nothing is dropped in silence",
)
VAULT: Final = Topic(
    "sekimori-vault",
    "agent.id",
    "1…N entries as NDJSON: tokens in the clear, their ids encrypted to several people together",
    ("sekimori collect",),
    ("sekimori vault open",),
    "Which ids tokens stand for, for those who hold the keys; empty unless a vault is configured",
)

TOPICS: Final[tuple[Topic, ...]] = (EVENTS, STATE, CORRELATE, FINDINGS, NOTICES, DECISIONS, DEAD_LETTERS, VAULT)
