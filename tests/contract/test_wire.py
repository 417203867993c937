"""The wire format: whatever stands in a line, the fast lane says what the plain lane says, and no line harms another."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contract import event, proof, wire
from contract.event import BY_KEY, FIELDS, KEYS
from contract.rejected import KEPT_CHARS, REJECTED_SCHEMA, Reason
from tests.contract.rows import LEAST, events

GOOD = json.dumps(LEAST)


@pytest.fixture(scope="module", autouse=True)
def no_batch_is_too_small_for_the_fast_lane() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(wire, "FEW_LINES", 0)
        yield


def line(**changes: Any) -> str:
    """The least event with changes; `actor__id` stands for `actor.id`."""
    return json.dumps(LEAST | {key.replace("__", "."): value for key, value in changes.items()})


def with_raw(member: str) -> str:
    """The least event with one more member, spelt as given."""
    return GOOD[:-1] + ", " + member + "}"


def both(data: bytes) -> wire.Decoded:
    """What `decode` says, having checked that the plain lane says the same; also without blanks, as agents write."""
    agreed(data.replace(b'": ', b'":').replace(b', "', b',"'))
    return agreed(data)


def agreed(data: bytes) -> wire.Decoded:
    """What `decode` says, having checked that the plain lane says the same, also where lines first seem to be an agent's."""
    fast = agreed_once(data)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(wire, "_object", lambda line: LEAST)
        agreed_once(data)
    return fast


def agreed_once(data: bytes) -> wire.Decoded:
    fast, plain = wire.decode(data, name="log"), wire.decode_plainly(data, name="log")
    assert fast.frame.schema == plain.frame.schema == event.schema()
    assert fast.rejected.schema == plain.rejected.schema == REJECTED_SCHEMA
    assert fast.frame.to_dicts() == plain.frame.to_dicts()
    assert fast.rejected.to_dicts() == plain.rejected.to_dicts()
    assert fast.unknown == plain.unknown
    return fast


def refused(text: str | bytes) -> tuple[str, str]:
    """Reason and detail of one bad line, having checked that its neighbours are read."""
    raw = text.encode() if isinstance(text, str) else text
    decoded = both(GOOD.encode() + b"\n" + raw + b"\n" + GOOD.encode() + b"\n")
    assert len(decoded.frame) == 2
    [row] = decoded.rejected.to_dicts()
    assert row["source.position"] == f"log:{len(GOOD) + 1}"
    return row["reason"], row["detail"]


def value(text: str, key: str) -> Any:
    """The value of one key in one good line."""
    decoded = both(text.encode())
    assert decoded.rejected.is_empty(), decoded.rejected.to_dicts()
    return decoded.frame[key].item()


# --- what is read ---------------------------------------------------------------------------------------------------


def test_every_field_survives_the_way_there_and_back():
    frame = pl.DataFrame([{field.key: field.example for field in FIELDS}, LEAST], schema=event.schema())
    data = wire.encode(frame)
    assert both(data).frame.equals(frame)
    assert list(json.loads(data.splitlines()[0])) == list(KEYS)
    assert json.loads(data.splitlines()[1]) == LEAST


def test_nothing_is_an_empty_batch():
    for data in (b"", b"\n", b"\r\n \t\n", b"\xef\xbb\xbf"):
        decoded = both(data)
        assert decoded.frame.is_empty()
        assert decoded.rejected.is_empty()


@pytest.mark.parametrize(
    "data",
    [
        f"{GOOD}\n{GOOD}\n",
        f"{GOOD}\n{GOOD}",
        f"{GOOD}\r\n{GOOD}\r\n",
        f"\ufeff{GOOD}\n\n  \n{GOOD}\r",
        f"  {GOOD}\t\n\n\n\n{json.dumps(LEAST, indent=1).replace(chr(10), ' ')}  \n\r\n",
    ],
)
def test_blank_lines_crlf_bom_and_a_missing_last_newline_do_no_harm(data: str):
    assert both(data.encode()).frame.to_dicts() == both(f"{GOOD}\n{GOOD}\n".encode()).frame.to_dicts()


def test_null_and_the_empty_string_mean_absent():
    decoded = both(f"{line(actor__id='')}\n{line(actor__id=None, amount=None)}\n{GOOD}\n".encode())
    assert decoded.frame["actor.id"].to_list() == [None] * 3
    assert decoded.frame["amount"].to_list() == [None] * 3


def test_unknown_keys_are_ignored_and_counted():
    nested = {"future": {"actor.id": "hidden", "a": [1, {"b": None}]}}
    decoded = both(
        f"{line(next=1)}\n{line(next='x', actor__idx=2.5)}\n{line(**nested)}\n{GOOD}\n{line(amount='no', next=1)}".encode()
    )
    assert len(decoded.frame) == 4
    assert decoded.unknown == {"actor.idx": 1, "future": 1, "next": 2}
    assert decoded.frame["actor.id"].null_count() == 4


def test_counts_of_unknown_keys_stay_bounded():
    decoded = both("\n".join(line(**{f"k{number:03}": 1}) for number in range(130)).encode())
    assert len(decoded.unknown) == wire.MAX_UNKNOWN_KEYS + 1
    assert decoded.unknown[wire.OTHER_KEYS] == 30


def test_a_key_that_no_sampled_line_has_is_read():
    lines = [GOOD] * 3000
    lines[1234] = line(media__id="USB-0012")
    assert both("\n".join(lines).encode()).frame["media.id"].to_list()[1234] == "USB-0012"


def test_escapes_are_read_as_json_means_them():
    assert value(with_raw(r'"message": "\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00\uD55C"'), "message") == '"\\/\b\f\n\r\té😀한'
    assert value(with_raw(r'"actor\u002eid": "1"'), "actor.id") == "1"
    assert value(with_raw(r'"event.action": "re\u0061d"'), "event.action") == "read"
    assert value(with_raw('"message": "\u2028\x7f\ufeff髙①"'), "message") == "\u2028\x7f\ufeff髙①"


@pytest.mark.parametrize("text", [r"\\", r"\"", r"\\\"", r"\\\\", r"a\\b\"c\n\\"])
@pytest.mark.parametrize("times", [1, 2, 4])
def test_backslashes_hide_no_key_that_comes_twice(text: str, times: int):
    twice = with_raw('"event.schema":1')
    lines_ = [line(message="")[:-1] + f',"op.name":"{text}"}}' for _ in range(times)]

    decoded = both("\n".join([*lines_, twice, *lines_]).encode())

    assert decoded.frame.height == 2 * times
    assert decoded.rejected.height == 1
    assert decoded.frame["op.name"].to_list() == [json.loads(f'"{text}"')] * 2 * times


def test_text_that_looks_like_keys_is_text():
    for text in ('"actor.id": "2"', '","actor.id":"2', ':"amount":null', '\\","event.id":null,"'):
        assert value(line(message=text, actor__id="1"), "message") == text


@pytest.mark.parametrize("number", [0, 1, -1, 10**18, 2**63 - 1, -(2**63), "-0"])
def test_integers_of_64_bit_are_read(number: int | str):
    assert value(with_raw(f'"amount": {number}'), "amount") == int(number)


# --- what is refused, alone -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("member", "reason"),
    [
        ('"actor.id": 12', Reason.TYPE),
        ('"actor.id": true', Reason.TYPE),
        ('"actor.id": ["a"]', Reason.TYPE),
        ('"actor.id": {"id": "a"}', Reason.TYPE),
        ('"amount": "12"', Reason.TYPE),
        ('"amount": 12.0', Reason.TYPE),
        ('"amount": 1e3', Reason.TYPE),
        ('"amount": true', Reason.TYPE),
        ('"warning.shown": 1', Reason.TYPE),
        ('"warning.shown": "true"', Reason.TYPE),
        ('"amount": 9223372036854775808', Reason.VALUE),
        ('"amount": -9223372036854775809', Reason.VALUE),
        ('"amount": ' + "9" * 5000, Reason.VALUE),
        ('"subject.step": 10', Reason.VALUE),
        ('"duration_ms": -1', Reason.VALUE),
        ('"time.received": 253402300800000', Reason.VALUE),
        ('"event.action": "frobnicate"', Reason.VALUE),
        ('"event.action": "Read"', Reason.VALUE),
        ('"actor.id": "a", "actor.id": "b"', Reason.DUPLICATE),
        ('"actor.id": "a", "actor.id": ""', Reason.DUPLICATE),
        ('"amount": 1, "amount": null', Reason.DUPLICATE),
        (r'"actor.id": "a", "actor\u002eid": "a"', Reason.DUPLICATE),
        ('"amount": NaN', Reason.JSON),
        ('"amount": -Infinity', Reason.JSON),
        ('"future": NaN', Reason.JSON),
        ('"amount": 012', Reason.JSON),
        ('"amount": +1', Reason.JSON),
        ('"message": "a\tb"', Reason.JSON),
        ("'message': 'a'", Reason.JSON),
        (r'"message": "\x41"', Reason.JSON),
        (r'"message": "\ud800"', Reason.ENCODING),
        (r'"message": "\udc00\ud800"', Reason.ENCODING),
        (r'"message": "a\u0000b"', Reason.ENCODING),
        ('"message": "a\0b"', Reason.ENCODING),
    ],
)
def test_a_wrong_member_refuses_its_line_alone(member: str, reason: Reason):
    assert refused(with_raw(member))[0] == reason


@pytest.mark.parametrize(
    "text",
    ["{", "[]", "1", "null", '"text"', GOOD[:-1], GOOD + GOOD, GOOD + ",", "\ufeff" + GOOD, "not json", "[" * 100_000],
)
def test_what_is_not_one_object_is_refused(text: str):
    assert refused(text)[0] == Reason.JSON


@pytest.mark.parametrize("key", event.REQUIRED)
def test_required_keys_are_required(key: str):
    without = {other: given for other, given in LEAST.items() if other != key}
    assert refused(json.dumps(without)) == (Reason.REQUIRED, f"{key}: missing or empty")
    assert refused(json.dumps(without | {key: ""}))[0] == Reason.REQUIRED
    assert refused(json.dumps(without | {key: None}))[0] == Reason.REQUIRED


def test_bytes_that_are_no_utf8_are_refused():
    assert refused(with_raw('"message": "髙"').encode("cp932"))[0] == Reason.ENCODING
    assert refused(with_raw('"message": "x"').encode().replace(b"x", b"\xed\xa0\x80"))[0] == Reason.ENCODING


def test_a_line_longer_than_a_mebibyte_is_refused():
    room = wire.MAX_LINE_BYTES - len(line(message=""))
    assert len(value(line(message="x" * room), "message")) == room
    assert refused(line(message="x" * (room + 1)))[0] == Reason.TOO_LONG


def test_all_problems_of_a_line_are_named_at_once():
    reason, detail = refused('{"event.id": 7, "event.class": "visit", "amount": 1.5}')
    assert reason == Reason.TYPE
    assert [part.split(":")[0] for part in detail.split("; ")] == [
        "event.id", "event.schema", "event.class", "time.occurred", "amount",
    ]  # fmt: skip


def test_the_position_of_a_refused_line_is_its_byte():
    data = b"\xef\xbb\xbf" + f"{line(op__name='髙')}\r\n\nbad\n{GOOD}\nworse".encode()
    decoded = wire.decode(data, source_id="s", name="ops", offset=1000)
    starts = [int(position.removeprefix("ops:")) - 1000 for position in decoded.rejected["source.position"]]
    assert [data[start:].split(b"\n")[0] for start in starts] == [b"bad", b"worse"]
    assert decoded.rejected["source.id"].to_list() == ["s", "s"]


def test_a_refused_line_is_kept_cut():
    [row] = both(("x" * 2000).encode()).rejected.to_dicts()
    assert row["line"] == "x" * KEPT_CHARS


# --- what is proven at once ------------------------------------------------------------------------------------------

LEAST_WHOLE = ",".join(f"{json.dumps(key)}:{json.dumps(given)}" for key, given in LEAST.items())


def is_proven_at_once(*lines_: str) -> bool:
    data = "".join(one + "\n" for one in lines_).encode()
    frame = pl.read_ndjson(data, schema=event.schema())
    series = pl.Series("line", lines_, dtype=pl.String)
    return proof.is_whole(proof.count(data), data, series, frame)


def test_every_key_ends_with_the_letter_that_is_counted():
    assert all("a" <= key[-1] <= "z" for key in KEYS)


def test_what_agents_write_is_proven_at_once():
    frame = pl.DataFrame([{field.key: field.example for field in FIELDS}, LEAST], schema=event.schema())
    assert is_proven_at_once(*wire.encode(frame).decode().splitlines())
    assert is_proven_at_once(f'{{{LEAST_WHOLE},"message":"a \\\\ \\"b\\" : \\u00e9"}}', f"{{{LEAST_WHOLE}}}")
    assert is_proven_at_once(f'{{{LEAST_WHOLE},"message":":","op.name":"","origin":"x:"}}')


@pytest.mark.parametrize(
    "members_",
    [
        '"actor.id":1',
        '"actor.id":null',
        '"future":1',
        '"actor.id":"a","actor.id":"b"',
        # What cancels out in one count does not in the other.
        '"actor.id":1,"future":2',
        '"actor.id":1,"actor.role":2,"future":"x"',
        '"actor.id":1,"future":"x"',
        '"actor.id":true,"amount":null',
        '"actor.id":1,"":":","actor.role":2',
        '"actor.id":1,":":1',
        '"actor.id":[":"]',
        '"actor.id":["a"],"actor.role":{}',
        '"actor.id":{"a":"b"}',
        '"actor.id":{"a":":"},"actor.role":1,"origin":2',
        '"actor.id":1, "zz" :1',
        '"actor.id":1,"zz" :"x"',
        '"actor.id" :"1","zz":1',
        '"actor.id" :"1","actor.role":1,"zz":"x","yy":"x"',
        '"origin": "x","actor.id":1,"zz":"z"',
        '"actor.id":1,"actor.id":"1"',
        '"actor.id":1,"actor.role":1,"channel":"x","channel":"y"',
        '"actor.id":1,"actor.role":1,"x9":"y"',
        r'"message":"\u0000"',
        r'"message":"\\","actor.id":1,"zz":"z"',
    ],
)
def test_what_is_lost_or_taken_for_text_is_not_proven_at_once(members_: str):
    bad = f"{{{LEAST_WHOLE},{members_}}}"
    assert not is_proven_at_once(bad)
    assert not is_proven_at_once(f"{{{LEAST_WHOLE}}}", bad, f"{{{LEAST_WHOLE}}}")
    assert not is_proven_at_once(bad, bad)
    agreed(f"{{{LEAST_WHOLE}}}\n{bad}\n{bad}\n".encode())


def test_keys_of_a_later_version_are_counted_at_once(monkeypatch: pytest.MonkeyPatch):
    later = "{" + LEAST_WHOLE + ',"next":1,"next.text":"x","^.*$":true,"*":"","next.part":0.5}'
    bad = later.replace('"access"', '"visit"')
    fewer = "{" + LEAST_WHOLE + ',"next":2}'
    data = "\n".join([later, fewer, later, bad]).encode()
    expected = wire.decode_plainly(data)
    assert expected.unknown == {"*": 2, "^.*$": 2, "next": 3, "next.part": 2, "next.text": 2}
    agreed(data)

    whole = data.replace(b',"*":""', b"")
    monkeypatch.setattr(wire, "_by_line", None)
    decoded = agreed_once(whole)
    assert decoded.unknown == {"^.*$": 2, "next": 3, "next.part": 2, "next.text": 2}


@pytest.mark.parametrize(
    "odd", ['"next":null', '"next":{}', '"next":"x","next":"y"', '"next":1', '"next":2.5', '"new":1']
)
def test_keys_of_a_later_version_that_are_not_alike_are_counted_line_by_line(odd: str):
    lines_ = [f'{{{LEAST_WHOLE},"next":"x"}}'] * 30
    for place in (0, 15, 29):
        agreed_once("\n".join([*lines_[:place], f"{{{LEAST_WHOLE},{odd}}}", *lines_[place:]]).encode())


def test_blank_lines_are_not_proven_at_once():
    assert not is_proven_at_once(f"{{{LEAST_WHOLE}}}", "", f"{{{LEAST_WHOLE}}}")


_pieces = st.sampled_from([
    '"actor.id":1', '"actor.role":true', '"origin":"x"', '"origin":""', '"channel":[]', '"channel":[":"]', '"zz":"x"', '"zz":1',
    '"zz" :"x"', '"Z":"x"', '":":"x"', '":":1', '"":":"', '"actor.id":":"', '"actor.id": ":"', '"actor.id":{"a":"b"}', '"amount":null',
    '"amount":1', '"amount": 1', '"op.name":"a\":\"b"', '"op.name":{}', '"yy":{"a":["b"]}', '"payee.token":"\":\""',
])  # fmt: skip


@settings(max_examples=500, deadline=None)
@given(st.lists(st.lists(_pieces, max_size=6), min_size=1, max_size=3))
def test_counts_that_cancel_out_prove_nothing_that_is_wrong(batch: list[list[str]]):
    agreed("".join(f"{{{','.join([LEAST_WHOLE, *pieces])}}}\n" for pieces in batch).encode())


# --- both lanes -----------------------------------------------------------------------------------------------------

_any_text = st.text(st.characters(codec=None, exclude_categories=()), max_size=6)
_odd_values = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(-(2**64), 2**64),
    st.floats(),
    _any_text,
    st.sampled_from(["", "read", "access", "\0", '"', '\\"', ":", '":null', '","amount":1', "{", "1"]),
    st.just([]),
    st.just({"event.id": 1}),
)


@st.composite
def members(draw: st.DrawFn, key: str, compact: bool) -> str:
    """One member of an object as text: mostly right, now and then odd."""
    field = BY_KEY.get(key)
    right: st.SearchStrategy[Any]
    if field is None:
        right = _odd_values
    elif field.values:
        right = st.sampled_from(field.values)
    elif field.kind == "str":
        right = st.text(max_size=6)
    elif field.kind == "bool":
        right = st.booleans()
    else:
        right = st.integers(field.minimum or 0, min(field.maximum or 2**63 - 1, 2**63 - 1))
    chosen = draw(_odd_values if draw(st.integers(0, 19)) == 0 else right)
    written = json.dumps(chosen, ensure_ascii=draw(st.booleans()))
    if isinstance(chosen, int) and not isinstance(chosen, bool) and draw(st.integers(0, 19)) == 0:
        written = draw(st.sampled_from(["-0", f"{chosen}.0", f"{chosen}e0", f"0{chosen}", f'"{chosen}"']))
    space = "" if compact else draw(st.sampled_from(["", " ", "\t", "  "]))
    return f"{json.dumps(key)}{space}:{space}{written}"


@st.composite
def objects(draw: st.DrawFn) -> str:
    optional = st.sampled_from([*KEYS, "future", "actor.idx", "actor.", "", ":x", 'x"y', "event.id\\"])
    keys = [key for key in event.REQUIRED if draw(st.integers(0, 29))] + draw(st.lists(optional, max_size=8))
    compact = draw(st.booleans())  # as agents write
    comma = "," if compact else draw(st.sampled_from([",", ", ", "\t,"]))
    return "{" + comma.join([draw(members(key, compact)) for key in draw(st.permutations(keys))]) + "}"


@st.composite
def lines(draw: st.DrawFn) -> bytes:
    text = draw(st.one_of(objects(), objects(), objects(), st.just(GOOD), st.sampled_from(["", " ", "x", "{}", "[1]"])))
    raw = text.encode("utf-8", "surrogatepass")
    if raw and draw(st.integers(0, 9)) == 0:  # damage
        place = draw(st.integers(0, len(raw) - 1))
        raw = raw[:place] + draw(st.sampled_from([b"", b"\xff", b"\0", b'"', b"\\", b",", b"\r"])) + raw[place + 1 :]
    return raw + draw(st.sampled_from([b"\n", b"\n", b"\r\n", b" \n"]))


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(st.lists(lines(), max_size=6), st.sampled_from([b"", b"\xef\xbb\xbf"]), st.booleans())
def test_both_lanes_say_the_same(batch: list[bytes], mark: bytes, ended: bool):
    data = mark + b"".join(batch)
    both(data if ended else data.rstrip(b"\n"))


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=60))
def test_any_bytes_are_read_without_harm(data: bytes):
    both(data)
    both(GOOD.encode() + b"\n" + data)


@settings(max_examples=200, deadline=None)
@given(st.lists(events(), min_size=1, max_size=5))
def test_what_is_encoded_decodes_to_the_same(rows: list[dict[str, Any]]):
    frame = pl.DataFrame(rows, schema=event.schema())
    data = wire.encode(frame)
    assert both(data).frame.equals(frame)
    assert [json.loads(one) for one in data.decode().split("\n")[:-1]] == rows
    assert data.count(b"\n") == len(rows)


@pytest.mark.shared
def test_the_public_examples_are_read(shared: Path):
    data = (shared / "examples" / "events.ndjson").read_bytes()
    decoded = both(data)
    assert decoded.rejected.is_empty()
    assert wire.encode(decoded.frame) == data


def test_small_batches_take_the_plain_lane(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(wire, "FEW_LINES", 2)
    monkeypatch.setattr(wire, "_fast", None)
    assert len(wire.decode(GOOD.encode()).frame) == 1


def test_numbers_that_json_lacks_stay_out():
    assert not math.isfinite(json.loads("NaN"))  # Python reads what JSON does not know: hence the reader's own check
    assert refused(with_raw('"message": NaN'))[0] == Reason.JSON


@pytest.mark.parametrize("magic", [b"(\xb5/\xfd", b"\x1f\x8b\x08\x00", b"x^", b"x\x9c"])
def test_a_first_line_that_begins_like_a_compressed_stream_is_refused_alone(magic: bytes):
    batch = magic + b"\n" + (GOOD.encode() + b"\n") * 200
    decoded = wire.decode(batch, name="log")
    assert decoded.frame.height == 200
    assert decoded.rejected.height == 1
