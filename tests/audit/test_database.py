"""The audit database, in SQLite and in a real PostgreSQL: rows are added and never changed, and its version is known."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from audit.cases import Action, Code, Entry
from audit.database import engine, schema
from audit.database.engine import DatabaseError
from audit.database.store import Conflict, Exemption, Store
from tests import postgres


@pytest.fixture(scope="session")
def elsewhere() -> Iterator[str]:
    """A real PostgreSQL; `make system` installs it."""
    if postgres.programs() is None:
        pytest.skip("needs PostgreSQL: make system")
    with postgres.server() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database."""
    if request.param == "sqlite":
        return engine.address("sqlite:///audit.db", tmp_path)
    url = engine.address(request.getfixturevalue("elsewhere"), tmp_path)
    with sa.create_engine(url).begin() as connection:
        connection.execute(sa.text("DROP SCHEMA public CASCADE"))
        connection.execute(sa.text("CREATE SCHEMA public"))
    return url


@pytest.fixture
def store(address: str) -> Store:
    engine.upgrade(address)
    return Store(engine.opened(address))


def entry(number: int, action: Action = Action.CLAIM, finding: str = "f-1", at: int = 0, **more: Any) -> Entry:
    return Entry(finding, number, at or number, "100007", "root", action, **more)


def exemption(at: int = 9) -> Exemption:
    return Exemption("f-1", at, "100007", "root", "届出あり", 1_000, actor="100231")


def test_entries_come_back_as_they_were_in_the_order_of_their_numbers(store: Store):
    closing = entry(
        2, Action.CLOSE, text="本人が認めた。髙𠮷葛󠄀", code=Code.MISUSE, reference="K-1", whom="100231", due=2**45
    )
    for one in (entry(1), closing, entry(1, finding="f-2")):
        store.add(one)
    assert store.entries() == {"f-1": [entry(1), closing], "f-2": [entry(1, finding="f-2")]}
    assert store.entries(["f-2"]) == {"f-2": [entry(1, finding="f-2")]}
    assert store.entries([]) == {}


def test_of_two_people_at_once_one_is_told_to_look_again(store: Store):
    told: list[BaseException] = []

    def add() -> None:
        try:
            store.add(entry(1))
        except Conflict as conflict:
            told.append(conflict)

    threads = [threading.Thread(target=add) for _ in range(8)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert len(told) == 7
    assert store.entries() == {"f-1": [entry(1)]}


@pytest.mark.parametrize("change", ["UPDATE {} SET id = id", "DELETE FROM {}"])
def test_no_row_is_ever_changed_or_deleted(address: str, store: Store, change: str):
    store.add(entry(1))
    store.allow(exemption())
    for one in store.unsent():
        store.mark_sent(one, 5)
    store.begin_run("r-1", "analyze", 1, {"inputs": []})
    store.sign("2026-04", "0" * 64, "confirm", "100007", "root", 5)
    database = sa.create_engine(address)
    with database.begin() as connection:
        connection.execute(
            sa.insert(schema.sample_verdicts).values(
                report="2026-04", event="e", at=1, by="1", login="r", verdict="proper"
            )
        )
    for table in schema.METADATA.tables:
        with pytest.raises(sa.exc.DBAPIError, match="never changed"), database.begin() as connection:
            connection.execute(sa.text(change.format(table)))


def test_what_was_not_sent_is_known_in_the_order_in_which_it_was_decided(store: Store):
    store.add(entry(1, Action.CLOSE, at=20, code=Code.TEST))
    store.allow(exemption(at=10))
    store.add(entry(2, Action.NOTE, at=30))
    waiting = list(store.unsent())
    assert [(one.table, one.decision.at) for one in waiting] == [("exception", 10), ("entry", 20)]
    store.mark_sent(waiting[0], 40)
    assert [one.table for one in store.unsent()] == ["entry"]
    assert store.exemptions() == [exemption(at=10)]


def test_a_run_that_crashed_has_a_beginning_and_no_end(store: Store):
    store.begin_run("r-1", "analyze", 1, {"inputs": [{"name": "ログ.csv"}]})
    store.begin_run("r-2", "analyze", 2, {})
    store.end_run("r-1", "analyze", 3, {"events": 5})
    assert [(one["run"], one["step"]) for one in store.runs()] == [("r-1", "begin"), ("r-2", "begin"), ("r-1", "end")]
    assert store.runs()[0]["what"] == {"inputs": [{"name": "ログ.csv"}]}
    with pytest.raises(DatabaseError):
        store.end_run("r-1", "analyze", 4, {})


def test_who_signed_a_report_is_known_by_its_hash(store: Store):
    store.sign("2026-04", "0" * 64, "confirm", "100007", "root", 5)
    [one] = store.sign_offs("2026-04")
    assert (one["sha256"], one["role"], one["by"]) == ("0" * 64, "confirm", "100007")
    assert store.sign_offs("2026-05") == []


def test_the_migrations_make_just_the_tables_that_the_code_knows(address: str):
    engine.upgrade(address)
    with sa.create_engine(address).connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), schema.METADATA) == []


def test_upgrading_twice_does_no_harm(address: str):
    assert engine.upgrade(address) == (None, "0001")
    store = Store(engine.opened(address))
    store.add(entry(1))
    assert engine.upgrade(address) == ("0001", "0001")
    assert Store(engine.opened(address)).entries() == {"f-1": [entry(1)]}


def test_a_file_is_made_where_none_is_and_an_empty_server_is_not(address: str):
    if address.startswith("sqlite"):
        assert Store(engine.opened(address)).entries() == {}
        return
    with pytest.raises(DatabaseError, match="sekimori database upgrade"):
        engine.opened(address)


def test_a_database_of_a_newer_version_is_left_alone(address: str):
    engine.upgrade(address)
    with sa.create_engine(address).begin() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    for use in (engine.opened, engine.upgrade):
        with pytest.raises(DatabaseError, match="newer"):
            use(address)


def test_tables_of_something_else_are_left_alone(address: str):
    with sa.create_engine(address).begin() as connection:
        connection.execute(sa.text("CREATE TABLE theirs (id INTEGER)"))
    with pytest.raises(DatabaseError, match="a database of its own"):
        engine.opened(address)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("audit.db", "is no database"),
        ("sqlite://", "needs a file"),
        ("sqlite:///:memory:", "needs a file"),
        ("mysql://a:secret@h/d", "no kind of database that is supported"),
        ("", "is no database"),
    ],
)
def test_an_address_that_is_none_is_refused_without_its_password(text: str, said: str):
    with pytest.raises(ValueError, match=said) as caught:
        engine.address(text, Path("/srv"))
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("make", [lambda path: path.mkdir(), lambda path: path.write_bytes(b"no database" * 100)])
def test_a_file_that_is_no_database_is_told(tmp_path: Path, make: Callable[[Path], object]):
    make(tmp_path / "audit.db")
    with pytest.raises(DatabaseError, match="cannot be used"):
        engine.opened(engine.address("sqlite:///audit.db", tmp_path))


def test_a_server_that_is_away_is_told_without_its_password(tmp_path: Path):
    url = engine.address("postgresql://sekimori:secret@127.0.0.1:1/audit", tmp_path)
    with pytest.raises(DatabaseError, match="cannot be used") as caught:
        engine.opened(url)
    assert "secret" not in str(caught.value)
