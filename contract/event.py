"""The event: one access-log line in words that every part understands (design §5).

This module is the one place where an event is defined. The Polars schema, the validation, the table in
`docs/event.md` and the examples all follow from `FIELDS`.

Names are OCSF's where OCSF has one (https://schema.ocsf.io), FHIR AuditEvent's for subject, purpose and basis
(https://hl7.org/fhir/auditevent.html).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import polars as pl

SCHEMA_VERSION: Final = 1

Kind = Literal["str", "int", "bool"]

CLASSES: Final = ("authentication", "access", "export", "admin", "log", "physical", "heartbeat")
ACTIONS: Final = (
    "logon", "logoff", "timeout", "lock", "search", "list", "read", "print", "export", "copy", "send",
    "create", "update", "delete", "approve", "register", "inquire", "provide", "import", "grant", "revoke",
    "config", "connect", "log_clear", "enter", "leave",
)  # fmt: skip
OUTCOMES: Final = ("success", "failure", "denied", "unknown")
ACTOR_TYPES: Final = ("staff", "vendor", "service", "system", "unknown")
AUTH_METHODS: Final = ("password", "card", "card+password", "certificate", "sso", "none")
RESOURCE_TYPES: Final = ("record", "table", "report", "file", "screen", "config")
RESOURCE_CLASSES: Final = ("mynumber", "tax", "health", "welfare", "bank", "address", "general")
QUERY_KINDS: Final = ("id", "name", "address", "wildcard")


@dataclass(frozen=True, slots=True)
class Field:
    """One key of an event.

    Attributes:
        key: Dotted name, as it stands in the JSON object and as the column name.
        kind: JSON type of the value: `str`, `int` (64 bit) or `bool`.
        meaning: One sentence for `docs/event.md`.
        example: A value of that kind, used for the examples.
        values: The closed set of words allowed; empty if the value is free.
        ocsf: The attribute of OCSF that it corresponds to, or empty.
        fhir: The element of FHIR AuditEvent that it corresponds to, or empty.
        minimum, maximum: Inclusive bounds of an `int`.
    """

    key: str
    kind: Kind
    meaning: str
    example: str | int | bool
    values: tuple[str, ...] = ()
    ocsf: str = ""
    fhir: str = ""
    minimum: int | None = None
    maximum: int | None = None

    @property
    def dtype(self) -> pl.DataType:
        """Polars type; every int is 64 bit because `read_ndjson` panics on 8 and 16 bit."""
        return {"str": pl.String(), "int": pl.Int64(), "bool": pl.Boolean()}[self.kind]


# 9998-12-31T23:59:59.999Z: a time zone or the days after which something closes never lead out of Python's last year.
MAX_TIME: Final = 253_370_764_799_999

FIELDS: Final[tuple[Field, ...]] = (
    Field("event.id", "str", "Stable: same line, same id, on every replay", "5f0c2a9be1d44c07", ocsf="metadata.uid"),
    Field("event.schema", "int", "Version of this table", 1, ocsf="metadata.version", minimum=1),
    Field("event.class", "str", "What kind of thing happened", "access", CLASSES, ocsf="class_uid", fhir="type"),
    Field("event.action", "str", "What was done", "read", ACTIONS, ocsf="activity_id", fhir="subtype"),
    Field("event.outcome", "str", "How it ended", "success", OUTCOMES, ocsf="status_id", fhir="outcome"),
    Field("event.reason", "str", "Free text of the system, masked", "bad password", ocsf="status_detail"),
    Field("time.occurred", "int", "At the system; UTC milliseconds", 1775090912000, ocsf="time", fhir="recorded", minimum=0, maximum=MAX_TIME),
    Field("time.received", "int", "At the agent; UTC milliseconds", 1775090913100, ocsf="metadata.logged_time", minimum=0, maximum=MAX_TIME),
    Field("agent.id", "str", "Which agent", "ag-welfare", ocsf="metadata.log_provider"),
    Field("agent.boot", "str", "Which start of the agent", "77ab0c12"),
    Field("agent.seq", "int", "Gapless number within the boot", 50211, ocsf="metadata.sequence", minimum=0),
    Field("source.id", "str", "Configured log source", "welfare-ops", ocsf="metadata.log_name", fhir="source.site"),
    Field("source.position", "str", "File identity and offset", "ops.csv:4410021"),
    Field("raw.mac", "str", "HMAC-SHA256 of the raw line's bytes under the agent's key", "1d5c0c3a4f4f4e0a5f7e5d5b9c6c0d2a9a1b7c8d6e5f40312233445566778899"),
    Field("actor.id", "str", "Who acts, as logged", "100231", ocsf="actor.user.uid", fhir="agent.who"),
    Field("actor.type", "str", "What kind of account", "staff", ACTOR_TYPES, ocsf="actor.user.type", fhir="agent.type"),
    Field("actor.role", "str", "Role as logged (registers know better)", "caseworker", ocsf="actor.user.groups", fhir="agent.role"),
    Field("actor.dept", "str", "Department as logged (registers know better)", "seikatsu", ocsf="actor.user.org"),
    Field("session.id", "str", "The system's own session, where it has one", "W-77120", ocsf="actor.session.uid"),
    Field("auth.method", "str", "How the actor logged on", "card+password", AUTH_METHODS, ocsf="auth_protocol"),
    Field("auth.card", "str", "Serial number of the card", "C-4471"),
    Field("src.ip", "str", "Address of the terminal", "192.0.2.41", ocsf="src_endpoint.ip", fhir="agent.network"),
    Field("src.device", "str", "Name of the terminal", "HO0041", ocsf="src_endpoint.uid"),
    Field("system.id", "str", "Business system", "welfare", ocsf="app.uid", fhir="source.observer"),
    Field("op.code", "str", "Function or screen code", "WE110", ocsf="api.operation"),
    Field("op.name", "str", "Label of the function", "ケース記録照会"),
    Field("resource.type", "str", "What kind of thing was touched", "record", RESOURCE_TYPES, ocsf="resources.type", fhir="entity.type"),
    Field("resource.id", "str", "Name of the thing; a token where type is record", "r_8842", ocsf="resources.uid", fhir="entity.what"),
    Field("resource.class", "str", "How sensitive the thing is", "welfare", RESOURCE_CLASSES, ocsf="resources.data_classification"),
    Field("target.actor", "str", "Account acted upon (grant, revoke, create)", "100777", ocsf="user.uid"),
    Field("target.function", "str", "Right acted upon", "WE210", ocsf="privileges"),
    Field("origin", "str", "Where an import came from", "shiminzei"),
    Field("channel", "str", "By which way an import or export went", "lgwan"),
    Field("amount", "int", "Money, in yen", 80000),
    Field("payee.token", "str", "Token of the account paid to", "h_77aa01c2d3e4f506"),
    Field("duration_ms", "int", "How long it ran", 420, ocsf="duration", minimum=0),
    Field("resource.count", "int", "Rows or pages concerned; in a heartbeat the events sent since the one before", 1, ocsf="count", minimum=0),
    Field("bytes.out", "int", "Bytes that left", 20480, ocsf="traffic.bytes_out", minimum=0),
    Field("subject.token", "str", "Person whose data it is, never the raw id", "s_91d2c0aa3be47710", fhir="patient"),
    Field("household.token", "str", "Household of that person, never the raw id", "h_02bb71c9d0e4a5f6"),
    Field("subject.area", "str", "Coarse area of residence", "A03"),
    Field("subject.step", "int", "Difference of this subject's raw id from the actor's previous one, −9…9, else absent", 1, minimum=-9, maximum=9),
    Field("query.kind", "str", "What was searched by", "name", QUERY_KINDS, fhir="entity.query"),
    Field("purpose.code", "str", "Stated purpose (`emergency` = break-glass)", "reception", fhir="authorization"),
    Field("basis.ref", "str", "Case, reception or ticket number", "SEI40348742", fhir="basedOn"),
    Field("basis.law", "str", "Legal ground", "T42", fhir="agent.policy"),
    Field("approver.id", "str", "Second person, where the system logs one", "100118"),
    Field("media.id", "str", "Storage medium", "USB-0012", ocsf="device.uid"),
    Field("destination", "str", "Where an export or message went", "share-3", ocsf="dst_endpoint"),
    Field("warning.shown", "bool", "A warning was shown before", True),
    Field("warning.ack_ms", "int", "Milliseconds until the warning was acknowledged", 2300, minimum=0),
    Field("message", "str", "Masked free text", "session opened for user root", ocsf="message"),
)  # fmt: skip

KEYS: Final[tuple[str, ...]] = tuple(field.key for field in FIELDS)
BY_KEY: Final[dict[str, Field]] = {field.key: field for field in FIELDS}
REQUIRED: Final = ("event.id", "event.schema", "event.class", "time.occurred")

# Actions that show or take somebody's data: what `explained_share` counts when the event names a subject.
ACCESS_ACTIONS: Final = (
    "search", "list", "read", "print", "export", "copy", "send", "create", "update", "delete", "approve",
    "register", "inquire", "provide", "import",
)  # fmt: skip


def schema() -> pl.Schema:
    """Polars schema of a frame of events: one column per key, in the order of `FIELDS`."""
    return pl.Schema({field.key: field.dtype for field in FIELDS})


def empty() -> pl.DataFrame:
    """A frame of events with no rows."""
    return pl.DataFrame(schema=schema())
