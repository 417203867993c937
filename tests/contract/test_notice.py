"""The notice: read back as written, and refused with a reason where it is none."""

from __future__ import annotations

from typing import Any

import pytest

from contract import notice
from contract.notice import NoticeError, from_json, identity, pages, to_json


def test_what_is_written_is_read_back():
    assert from_json(to_json(notice.example()).encode()) == notice.example()


def test_equal_notices_have_equal_bytes_whatever_the_order_of_their_keys():
    example = notice.example()
    assert to_json(dict(reversed(example.items()))) == to_json(example)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "no JSON"),
        (b"\xff{}", "no JSON"),
        (b"[" * 60_000, "no JSON"),
        (b"[]", "should be an object"),
        (b" " * (notice.MOST_BYTES + 1), "at most 65,536"),
        (b'{"version": 2}', "version 2 of a newer program"),
    ],
    ids=["empty", "no-text", "deep", "list", "long", "newer"],
)
def test_what_is_no_notice_is_refused(data: bytes, said: str):
    with pytest.raises(NoticeError, match=said):
        from_json(data)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"fingerprint": "n-<!here>"}, "fingerprint: "),
        ({"change": "resolved"}, "ending: null does not go with change resolved"),
        ({"ending": "closed"}, "ending: "),
        ({"findings": []}, "findings: 0 of them"),
        ({"findings": ["f-1", "f-2"]}, "findings: 2 of them do not go with count 1"),
        ({"severity_id": 9}, "severity_id: "),
        ({"to": "@channel"}, "to: unknown key"),
    ],
)
def test_what_contradicts_itself_is_named(change: dict[str, Any], said: str):
    [problem] = notice.validate(notice.example() | change)
    assert problem.startswith(said)


def test_a_key_of_a_newer_program_is_let_be():
    later = notice.example() | {"mood": "odd"}
    assert from_json(to_json(later).encode()) == later


def test_only_what_is_new_or_worse_pages():
    assert {change for change in notice.Change if pages({"change": change})} == {"opened", "raised"}


def test_an_alert_is_named_by_its_run_and_first_finding():
    first = notice.fingerprint("live", "f-1")
    assert first == notice.fingerprint("live", "f-1")
    assert len({first, notice.fingerprint("again", "f-1"), notice.fingerprint("live", "f-2")}) == 3
    assert identity(notice.example() | {"fingerprint": first, "revision": 3}) == f"{first}.3"
