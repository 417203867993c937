"""Alembic's entry: the caller gives a connection (`audit.database.engine`); there is no alembic.ini."""

from __future__ import annotations

from alembic import context

from audit.database.schema import METADATA

context.configure(connection=context.config.attributes["connection"], target_metadata=METADATA, transactional_ddl=True)
with context.begin_transaction():
    context.run_migrations()
