"""Versions by hash: kept, loaded from what was kept, and missed with what to do."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import rules as shipped
from detector.baseline import Baseline
from detector.versions import Library, MissingError, Pin, Store, digest_of, refused
from registers.config import ConfigError

RULES = Path(shipped.__file__).parent
RULE = "auth/guessing"


@pytest.fixture
def book(tmp_path: Path) -> Path:
    """A rule book of one rule."""
    folder = tmp_path / "rules"
    shutil.copytree(RULES / RULE, folder / RULE)
    return folder


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "versions")


def test_equal_content_has_one_hash_and_another_content_another(store: Store, book: Path, tmp_path: Path):
    first = store.keep("rules", book)
    shutil.copytree(book, tmp_path / "copy")
    assert store.keep("rules", tmp_path / "copy") == first

    with (book / RULE / "rule.yml").open("a") as file:
        file.write("# changed\n")

    assert store.keep("rules", book) != first
    assert len(list((tmp_path / "versions").iterdir())) == 2


def test_a_log_beside_a_rule_makes_no_new_version(store: Store, book: Path):
    first = store.keep("rules", book)
    (book / RULE / "another.csv").write_text("x")

    assert store.keep("rules", book) == first


def test_what_was_kept_is_loaded_though_the_source_has_changed(store: Store, book: Path):
    library = Library(store, None)
    before = library.deploy({"rules": book})
    shutil.rmtree(book / RULE)
    shutil.copytree(RULES / "admin/right_granted_to_oneself", book / "admin/right_granted_to_oneself")
    after = library.deploy({"rules": book})

    again = Library(store, None).load(before.hashes)

    assert [rule.name for rule in again.book.rules] == ["guessing"]
    assert [rule.name for rule in after.book.rules] == ["right_granted_to_oneself"]
    assert again.book.version == before.book.version
    assert digest_of(before.hashes) != digest_of(after.hashes)


def test_a_bad_rule_is_refused_with_file_and_line_and_the_rest_load(store: Store, book: Path):
    (book / "auth" / "bad").mkdir()
    (book / "auth" / "bad" / "rule.yml").write_text("title: x\ndetection:\n  selection: {no.such: 1}\n")

    loaded = Library(store, None).deploy({"rules": book})

    assert [rule.name for rule in loaded.book.rules] == ["guessing"]
    [line] = refused(loaded)
    assert line.startswith("rules: refused, the others are in use: auth/bad/rule.yml:")


def test_a_rule_book_without_a_usable_rule_cannot_be_deployed(store: Store, tmp_path: Path):
    (tmp_path / "none").mkdir()

    with pytest.raises(ConfigError) as caught:
        Library(store, None).deploy({"rules": tmp_path / "none"})

    assert caught.value.problems[0] == "rules: hold none that can be used"


def test_all_that_is_wrong_is_told_at_once(store: Store, book: Path, tmp_path: Path):
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "site.toml").write_text("[site]\nno_such = 1\n")
    (tmp_path / "model.npz").write_bytes(b"no model")
    (tmp_path / "base.json").write_text("{}")
    sources = {
        "rules": book,
        "site": tmp_path / "site",
        "model": tmp_path / "model.npz",
        "baseline": tmp_path / "base.json",
    }

    with pytest.raises(ConfigError) as caught:
        Library(store, None).deploy(sources)

    assert {line.partition(":")[0] for line in caught.value.problems} == {"site", "model", "baseline"}
    assert not any(str(tmp_path / "versions") in line for line in caught.value.problems)


def test_a_version_that_is_not_here_is_named_with_where_to_get_it(store: Store, tmp_path: Path):
    with pytest.raises(MissingError, match=r"versions/0{64}: the state was made with this version of the rules"):
        store.path("rules", "0" * 64)


def test_a_copy_that_was_altered_is_refused(store: Store, tmp_path: Path):
    (tmp_path / "base.json").write_bytes(Baseline({"guessing": 1.0}).to_bytes())
    digest = store.keep("baseline", tmp_path / "base.json")
    (tmp_path / "versions" / digest / "file").write_bytes(b"{}")

    with pytest.raises(MissingError, match="was altered"):
        store.path("baseline", digest)


def test_copies_are_closed_to_others(store: Store, book: Path, tmp_path: Path):
    digest = store.keep("rules", book)

    kept = tmp_path / "versions" / digest
    assert (tmp_path / "versions").stat().st_mode & 0o077 == 0
    assert all(path.stat().st_mode & 0o077 == 0 for path in [kept, *kept.rglob("*")])


def test_a_pin_comes_back_from_its_json_and_nothing_else_does():
    pin = Pin(60_000, {"rules": "a" * 64})

    assert Pin.from_json(pin.as_json()) == pin
    with pytest.raises(ValueError, match="is no pin"):
        Pin.from_json({"since": "soon", "hashes": {}})
