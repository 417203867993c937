"""The tables. Each row is something that happened; what is now follows from all of them (`audit.cases`).

The migrations make them, with triggers that refuse every change and deletion. Times are UTC milliseconds.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKey,
    Integer,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
)

METADATA: Final = MetaData()
_KEY: Final = BigInteger().with_variant(Integer, "sqlite")  # SQLite counts up an INTEGER only

case_entries: Final = Table(
    "case_entries",
    METADATA,
    Column("id", _KEY, primary_key=True, autoincrement=True),
    Column("finding", Text, nullable=False),
    Column("number", Integer, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("by", Text, nullable=False),
    Column("login", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("text", Text),
    Column("code", Text),
    Column("reference", Text),
    Column("whom", Text),
    Column("due", BigInteger),
    # Of two people who do something at once, one is told to look again.
    UniqueConstraint("finding", "number"),
    CheckConstraint("number > 0"),
)

exceptions: Final = Table(
    "exceptions",
    METADATA,
    Column("id", _KEY, primary_key=True, autoincrement=True),
    Column("finding", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("by", Text, nullable=False),
    Column("login", Text, nullable=False),
    Column("approver", Text),
    Column("reason", Text, nullable=False),
    Column("analytic", Text),
    Column("actor", Text),
    Column("subject", Text),
    Column("until", BigInteger, nullable=False),
)

# What went to the topic of decisions, so that nothing is forgotten while Kafka is away.
sent: Final = Table(
    "sent",
    METADATA,
    Column("id", _KEY, primary_key=True, autoincrement=True),
    Column("entry", _KEY, ForeignKey("case_entries.id"), unique=True),
    Column("exception", _KEY, ForeignKey("exceptions.id"), unique=True),
    Column("at", BigInteger, nullable=False),
    CheckConstraint("(entry IS NULL) <> (exception IS NULL)"),
)

run_entries: Final = Table(
    "run_entries",
    METADATA,
    Column("id", _KEY, primary_key=True, autoincrement=True),
    Column("run", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("step", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("what", JSON, nullable=False),
    # A run begins once and ends once; one that never ended crashed.
    UniqueConstraint("run", "step"),
    CheckConstraint("step IN ('begin', 'end')"),
)

sign_offs: Final = Table(
    "sign_offs",
    METADATA,
    Column("id", _KEY, primary_key=True, autoincrement=True),
    Column("report", Text, nullable=False),
    Column("sha256", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("by", Text, nullable=False),
    Column("login", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
    CheckConstraint("role IN ('confirm', 'approve')"),
)

sample_verdicts: Final = Table(
    "sample_verdicts",
    METADATA,
    Column("id", _KEY, primary_key=True, autoincrement=True),
    Column("report", Text, nullable=False),
    Column("event", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("by", Text, nullable=False),
    Column("login", Text, nullable=False),
    Column("verdict", Text, nullable=False),
    Column("text", Text),
    CheckConstraint("verdict IN ('proper', 'improper', 'unknown')"),
)
