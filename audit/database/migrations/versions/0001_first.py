"""Cases, exceptions, runs and sign-offs; rows are added only."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_KEY = sa.BigInteger().with_variant(sa.Integer, "sqlite")
_TABLES = ("case_entries", "exceptions", "sent", "run_entries", "sign_offs", "sample_verdicts")


def _text(*names: str) -> list[sa.Column[str]]:
    """Columns of text; those that may be missing end with a question mark."""
    return [sa.Column(name.rstrip("?"), sa.Text, nullable=name.endswith("?")) for name in names]


def upgrade() -> None:
    """Make the tables, and what refuses to change them."""

    def key() -> sa.Column[int]:
        return sa.Column("id", _KEY, primary_key=True, autoincrement=True)

    def at(name: str = "at", nullable: bool = False) -> sa.Column[int]:
        return sa.Column(name, sa.BigInteger, nullable=nullable)

    op.create_table(
        "case_entries",
        key(),
        *_text("finding"),
        sa.Column("number", sa.Integer, nullable=False),
        at(),
        *_text("by", "login", "action", "text?", "code?", "reference?", "whom?"),
        at("due", nullable=True),
        sa.UniqueConstraint("finding", "number"),
        sa.CheckConstraint("number > 0"),
    )
    op.create_table(
        "exceptions",
        key(),
        *_text("finding"),
        at(),
        *_text("by", "login", "approver?", "reason", "analytic?", "actor?", "subject?"),
        at("until"),
    )
    op.create_table(
        "sent",
        key(),
        sa.Column("entry", _KEY, sa.ForeignKey("case_entries.id"), unique=True),
        sa.Column("exception", _KEY, sa.ForeignKey("exceptions.id"), unique=True),
        at(),
        sa.CheckConstraint("(entry IS NULL) <> (exception IS NULL)"),
    )
    op.create_table(
        "run_entries",
        key(),
        *_text("run"),
        at(),
        *_text("step", "kind"),
        sa.Column("what", sa.JSON, nullable=False),
        sa.UniqueConstraint("run", "step"),
        sa.CheckConstraint("step IN ('begin', 'end')"),
    )
    op.create_table(
        "sign_offs",
        key(),
        *_text("report", "sha256", "role", "by", "login"),
        at(),
        sa.CheckConstraint("role IN ('confirm', 'approve')"),
    )
    op.create_table(
        "sample_verdicts",
        key(),
        *_text("report", "event"),
        at(),
        *_text("by", "login", "verdict", "text?"),
        sa.CheckConstraint("verdict IN ('proper', 'improper', 'unknown')"),
    )
    for table in _TABLES:
        _lock(table)


def _lock(table: str) -> None:
    if op.get_bind().dialect.name == "sqlite":
        for change in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER {table}_no_{change.lower()} BEFORE {change} ON {table} "
                f"BEGIN SELECT RAISE(ABORT, '{table}: rows are never changed'); END"
            )
        return
    op.execute(
        f"CREATE FUNCTION {table}_locked() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN RAISE EXCEPTION '{table}: rows are never changed'; END $$"
    )
    op.execute(
        f"CREATE TRIGGER {table}_no_change BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
        f"FOR EACH STATEMENT EXECUTE FUNCTION {table}_locked()"
    )
