"""Keyed tokens, ids of events, key files."""

import hmac
from concurrent.futures import ThreadPoolExecutor

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from registers import tokens
from registers.tokens import (
    KeyFileError,
    SiteKey,
    event_ids,
    household_tokens,
    ids_and_macs,
    payee_tokens,
    raw_macs,
    record_tokens,
    subject_tokens,
)

KEY = SiteKey(bytes(range(32)))


def _ids(*values: str | None) -> pl.Series:
    return pl.Series("id", values, dtype=pl.String)


def test_one_person_has_one_token_however_the_id_is_written():
    half, full, blanks = subject_tokens(_ids("123", "１２３", " 123　"), KEY)
    assert half == full == blanks
    assert half.startswith("s_")
    assert len(half) == 18


def test_padding_matters_unless_the_source_says_otherwise():
    padded, bare = subject_tokens(_ids("00123", "123"), KEY)
    assert padded != bare
    padded, bare = subject_tokens(_ids("00123", "123"), KEY, strip_zeros=True)
    assert padded == bare


def test_a_token_is_the_same_whether_its_id_was_seen_before_or_not(monkeypatch):
    monkeypatch.setattr(tokens, "_MOST_KNOWN", 5)  # so that what is remembered is forgotten on the way
    raw = [str(number) for number in range(12)] + ["３", None, "003"]
    at_once = subject_tokens(_ids(*raw), KEY, strip_zeros=True).to_list()
    tokens._known.cache_clear()
    one_by_one = [subject_tokens(_ids(one), KEY, strip_zeros=True).item() for one in raw * 2]
    assert one_by_one == at_once * 2
    assert at_once[3] == at_once[12] == at_once[14]
    assert len(set(at_once)) == 13


def test_threads_at_once_give_nobody_another_s_token():
    """The agent parses syslog and files at the same time, and both look up what the other learned."""
    key = SiteKey(b"of this test alone")
    parts = [_ids(*(str(number) for number in range(at, at + 300))) for at in range(0, 60_000, 100)]
    with ThreadPoolExecutor(4) as threads:
        found = pl.concat(list(threads.map(lambda part: subject_tokens(part, key), parts)))
    ids = pl.concat(parts).to_list()
    expected = {one: "s_" + hmac.digest(key.derive("subject"), one.encode(), "sha256")[:8].hex() for one in set(ids)}
    assert found.to_list() == [expected[one] for one in ids]


def test_no_id_no_token():
    assert subject_tokens(_ids(None, "", "　"), KEY).to_list() == [None] * 3
    assert subject_tokens(_ids(), KEY).to_list() == []


def test_the_four_kinds_of_token_say_nothing_about_each_other():
    kinds = [make(_ids("123"), KEY).item() for make in (subject_tokens, household_tokens, record_tokens, payee_tokens)]
    assert [token[:2] for token in kinds] == ["s_", "h_", "r_", "p_"]
    assert len({token[2:] for token in kinds}) == 4


def test_tokens_are_kept_only_on_request():
    token = subject_tokens(_ids("123"), KEY).item()
    assert subject_tokens(_ids(token), KEY, already=True).item() == token
    assert subject_tokens(_ids(token), KEY).item() != token


def test_another_key_gives_other_tokens():
    assert subject_tokens(_ids("123"), KEY).item() != subject_tokens(_ids("123"), SiteKey(b"another key")).item()


@given(st.binary(min_size=1, max_size=100), st.lists(st.binary(max_size=200), max_size=5))
def test_macs_are_hmac_sha256(secret, lines):
    key = SiteKey(secret)
    expected = [hmac.digest(key.derive("raw"), line, "sha256").hex() for line in lines]
    assert raw_macs(pl.Series(lines, dtype=pl.Binary), key).to_list() == raw_macs(lines, key).to_list() == expected


def test_an_event_id_changes_with_every_part():
    def one(source="ops", generation="ab12", offset=7, line="x", key=KEY) -> str:
        return event_ids(source, generation, pl.Series([offset]), _ids(line), key).item()

    others = [one(source="op"), one(generation="ab1"), one(offset=8), one(line="y"), one(key=SiteKey(b"k"))]
    assert len({one(), *others}) == 6
    assert one() == one()
    # The parts are fenced off by their lengths: moving a letter from one to the next is another event.
    assert one(source="opsa", generation="b12") != one()


@given(st.lists(st.text(alphabet=st.characters(exclude_categories=["Cs"]))))
def test_equal_lines_at_different_places_are_different_events(lines):
    offsets = pl.Series(range(len(lines)), dtype=pl.Int64)
    ids = event_ids("ops", "g", offsets, _ids(*lines), KEY)
    assert ids.equals(event_ids("ops", "g", offsets, [line.encode() for line in lines], KEY))
    assert ids.n_unique() == len(lines)
    assert ids.str.contains("^[0-9a-f]{16}$").all()


def test_offsets_and_lines_must_pair():
    with pytest.raises(ValueError, match="1 offsets for 2 lines"):
        event_ids("ops", "g", pl.Series([0]), _ids("a", "b"), KEY)


@given(st.lists(st.binary(max_size=100), max_size=20), st.integers(1, 5))
def test_ids_and_macs_made_at_once_are_those_made_one_after_the_other(lines, at_once):
    raw = pl.Series(lines, dtype=pl.Binary)
    offsets = pl.Series(range(7, 7 + len(lines)), dtype=pl.Int64)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tokens, "_AT_ONCE", at_once)
        ids, macs = ids_and_macs("ops", "g", offsets, raw, KEY)
    assert ids.equals(event_ids("ops", "g", offsets, raw, KEY))
    assert macs.to_list() == raw_macs(raw, KEY).to_list()
    assert (ids.name, macs.name) == ("event.id", "raw.mac")


def test_a_key_file_holds_hex_or_raw_bytes(tmp_path):
    path = tmp_path / "site.key"
    path.write_text(KEY.secret.hex() + "\r\n")
    assert SiteKey.read(path) == KEY
    path.write_bytes(b"\xff\n" * 16)
    assert SiteKey.read(path).secret == b"\xff\n" * 16
    path.write_text("a pass phrase of enough length\n")
    assert SiteKey.read(path).secret == b"a pass phrase of enough length"


def test_a_key_file_that_cannot_be_used_says_why(tmp_path):
    with pytest.raises(KeyFileError, match=r"site\.key: key file cannot be read \(No such file or directory\)"):
        SiteKey.read(tmp_path / "site.key")
    (tmp_path / "empty.key").write_text("\n")
    with pytest.raises(KeyFileError, match=r"empty\.key: key file is empty: write at least 32 hex digits"):
        SiteKey.read(tmp_path / "empty.key")
    with pytest.raises(ValueError, match="cannot be empty"):
        SiteKey(b"")


def test_a_key_is_never_shown():
    assert KEY.secret.hex() not in repr(KEY)
    assert repr(KEY.secret) not in repr(KEY)
    assert len(KEY.fingerprint) == 16
