"""What is hashed and signed: everything that gives a record its meaning, so that no two records spell the same bytes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.sealed import HEADERS, Predecessor, Seal, boot_name, next_boot_secret, record_hash
from contract.sealkey import SealKey, SealKeyError

SEAL = Seal("ndjson", 2, "ag-1", "00" * 8, 10, 11, "0" * 64)


def digest(partition: int = 0, key: bytes | None = None, seal: Seal = SEAL, value: bytes = b"{}\n{}\n") -> bytes:
    return record_hash(partition, key, seal.headers(), value)


def test_headers_stand_in_the_order_of_the_contract():
    assert [name for name, _ in SEAL.headers()] == list(HEADERS)[:-1]
    assert dict(SEAL.headers())["first"] == b"10"


@pytest.mark.parametrize(
    "other",
    [
        digest(partition=1),
        digest(key=b""),
        digest(key=b"ag-1"),
        digest(seal=Seal("event", 2, "ag-1", "00" * 8, 10, 11, "0" * 64)),
        digest(seal=Seal("ndjson", 2, "ag-2", "00" * 8, 10, 11, "0" * 64)),
        digest(seal=Seal("ndjson", 2, "ag-1", "00" * 8, 9, 10, "0" * 64)),
        digest(seal=Seal("ndjson", 2, "ag-1", "00" * 8, 10, 11, "1" * 64)),
        digest(value=b"{}\n{}\n "),
    ],
)
def test_every_part_of_a_record_changes_its_hash(other: bytes):
    assert other != digest()


@given(st.lists(st.binary(max_size=4), min_size=2, max_size=2), st.lists(st.binary(max_size=4), min_size=2, max_size=2))
def test_what_stands_at_the_border_of_two_parts_cannot_move_over_it(one: list[bytes], two: list[bytes]):
    def hashed(texts: list[bytes]) -> bytes:
        return record_hash(0, None, [("boot", texts[0])], texts[1])

    assert (hashed(one) == hashed(two)) == (one == two)


def test_a_key_file_survives_the_way_to_disk_and_back():
    key = SealKey.enrol("ag-福祉", b"s" * 32)

    assert SealKey.parse(key.text().encode()) == key
    assert SealKey.parse(key.successor().text().encode()).start == 1
    assert "73" * 32 not in repr(key)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "is no seal key"),
        (b"\xff\xfe", "is no seal key"),
        (b"[]", "is no seal key"),
        (b'{"kind":"other"}', "is no seal key"),
        (SealKey.enrol("a", b"s" * 32).text().replace('"version": 1', '"version": 2').encode(), "version 2"),
        (SealKey.enrol("a", b"s" * 32).text().replace('"a"', '"b"').encode(), "damaged"),
        (SealKey.enrol("a", b"s" * 32).text().replace('"start": 0', '"start": 1e999').encode(), "is no seal key"),
        (SealKey.enrol("a", b"s" * 32).text().replace("7373", "7374", 1).encode(), "damaged"),
    ],
)
def test_what_is_no_key_is_told_and_not_shown(data: bytes, said: str):
    with pytest.raises(SealKeyError, match=said) as caught:
        SealKey.parse(data)
    assert "7373" not in str(caught.value)


def test_a_boots_name_tells_nothing_of_the_next_one():
    secret = b"s" * 32
    assert boot_name(secret) != boot_name(next_boot_secret(secret))
    assert len(boot_name(secret)) == 16


def test_a_statement_about_the_boot_before_survives_json():
    one = Predecessor("00" * 8, 41, "ab" * 32, ((3, 5), (40, 41)), 2)
    assert Predecessor.from_json(one.as_json()) == one


@pytest.mark.parametrize("value", [None, [], {}, {"boot": "x", "last": True, "hash": "", "unacknowledged": []}, "x"])
def test_what_is_no_statement_is_refused(value: object):
    with pytest.raises(ValueError, match="no statement"):
        Predecessor.from_json(value)
