"""Opening the audit database: its address, its schema's version, and making or upgrading it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, create_engine, event, inspect, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError

_WAIT_S: Final = 30
_MIGRATIONS: Final = Path(__file__).parent / "migrations"


class DatabaseError(Exception):
    """The database cannot be used; the message says what and what to do."""


def address(text: str, folder: Path) -> str:
    """The address of a database, checked; the path of a SQLite file starts at a folder.

    Raises:
        ValueError: It is none, or of a kind that is not supported.
    """
    try:
        url = make_url(text)
    except ArgumentError:
        raise ValueError(
            f"{_shown(text)} is no database: write sqlite:///audit.db or postgresql://user@host/name"
        ) from None
    kind = url.get_backend_name()
    if kind == "sqlite":
        if not url.database or url.database == ":memory:":
            raise ValueError("a SQLite database needs a file: write sqlite:///audit.db")
        return url.set(database=str(folder / url.database)).render_as_string(hide_password=False)
    if kind == "postgresql":
        return url.set(drivername="postgresql+psycopg").render_as_string(hide_password=False)
    raise ValueError(f"{kind!r} is no kind of database that is supported: take sqlite or postgresql")


def opened(url: str) -> Engine:
    """A database that is there and of this version's schema; a SQLite file that is not there is made.

    Raises:
        DatabaseError: It cannot be reached, or its schema is older or newer than this version's.
    """
    engine = _engine(url)
    with _told(engine), engine.begin() as connection:
        has, known = _revision(connection), _known()
        if has == known[0]:
            return engine
        if has is None and not inspect(connection).get_table_names():
            if engine.dialect.name == "sqlite":
                _upgrade(connection)
                return engine
            raise DatabaseError(f"{shown(engine)}: is empty: make its tables (sekimori database upgrade)")
        if has in known:
            raise DatabaseError(
                f"{shown(engine)}: its schema is {has}, this version needs {known[0]}: "
                "back it up, then upgrade it (sekimori database upgrade)"
            )
        if has is None:
            raise DatabaseError(f"{shown(engine)}: holds tables of something else: give a database of its own")
        raise DatabaseError(
            f"{shown(engine)}: its schema is {has}, which this version does not know: it was used with a newer Sekimori; "
            "upgrade this one"
        )


def upgrade(url: str) -> tuple[str | None, str]:
    """Make the tables, or bring them to this version's schema; returns the revision before (None: empty) and after.

    Raises:
        DatabaseError: It cannot be reached, or is newer than this version.
    """
    engine = _engine(url)
    with _told(engine), engine.begin() as connection:
        before = _revision(connection)
        if before is not None and before not in _known():
            raise DatabaseError(f"{shown(engine)}: its schema is {before}, newer than this version: upgrade Sekimori")
        _upgrade(connection)
        return before, _known()[0]


def shown(engine: Engine) -> str:
    """The address without its password."""
    return engine.url.render_as_string(hide_password=True)


def _shown(text: str) -> str:
    # What is no address may still hold a password.
    return repr(text.split("@")[-1])


def _engine(url: str) -> Engine:
    try:
        engine = create_engine(url, connect_args=_arguments(url))
    except (NoSuchModuleError, ModuleNotFoundError):
        raise DatabaseError("PostgreSQL needs its driver: pip install 'sekimori[postgresql]'") from None
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _prepare)
    return engine


def _arguments(url: str) -> dict[str, Any]:
    return {"timeout": _WAIT_S} if make_url(url).get_backend_name() == "sqlite" else {"connect_timeout": _WAIT_S}


def _prepare(connection: Any, record: Any) -> None:
    # What was written is on the disk when the command ends, and what refers to nothing is refused.
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")


class _told:
    """Says what is wrong with a database in one line."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, SQLAlchemyError):
            raise DatabaseError(f"{shown(self._engine)}: {reason(error)}") from None


def reason(error: SQLAlchemyError) -> str:
    """What the database said, on one line, and what to do."""
    said = " ".join(str(getattr(error, "orig", None) or error).split())
    return f"cannot be used ({said[:300]}): check its address, its permissions and its disk"


def _revision(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def _known() -> list[str]:
    """Revisions of this version, the newest first."""
    return [one.revision for one in ScriptDirectory.from_config(_config()).walk_revisions()]


def _upgrade(connection: Connection) -> None:
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    return config
