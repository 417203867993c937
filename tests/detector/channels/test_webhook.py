"""A webhook's receiver can check who sends, drop what it has, and show what it gets."""

from __future__ import annotations

import base64
import hashlib
import hmac
import ipaddress
import json
from collections.abc import Iterator
from typing import Any

import pytest

from contract import notice
from detector.channels.channel import RefusedError
from detector.channels.http import target
from detector.channels.webhook import Webhook, shown
from tests.detector.channels.hostile import HOSTILE, with_text
from tests.detector.channels.receivers import Receiver, receiver
from tests.detector.channels.test_inert import acts

KEY = b"k" * 32


@pytest.fixture
def server() -> Iterator[Receiver]:
    with receiver() as running:
        yield running


def webhook(server: Receiver, now_s: float = 1_775_000_000.9) -> Webhook:
    where = target(f"http://127.0.0.1:{server.port}/hook", [ipaddress.ip_network("127.0.0.1/32")], 5)
    return Webhook("soc", where, KEY, lambda: now_s)


def test_a_receiver_can_check_the_signature_and_the_time(server: Receiver):
    webhook(server).deliver([notice.example()])
    [request] = server.got
    name, at = request.headers["webhook-id"], request.headers["webhook-timestamp"]
    expected = hmac.new(KEY, f"{name}.{at}.".encode() + request.body, hashlib.sha256).digest()
    assert request.headers["webhook-signature"] == f"v1,{base64.b64encode(expected).decode()}"
    assert at == "1775000000"
    assert json.loads(request.body) == notice.example()


def test_the_same_notice_has_the_same_name_and_bytes_whenever_it_is_sent(server: Receiver):
    webhook(server).deliver([notice.example()])
    webhook(server, 1_776_000_000).deliver([notice.example()])
    webhook(server).deliver([notice.example() | {"revision": 2}])
    first, again, other = server.got
    assert first.headers["Idempotency-Key"] == first.headers["webhook-id"] == again.headers["webhook-id"]
    assert first.body == again.body
    assert first.headers["webhook-signature"] != again.headers["webhook-signature"]
    assert other.headers["webhook-id"] != first.headers["webhook-id"]


def test_one_is_posted_at_a_time(server: Receiver):
    assert webhook(server).deliver([notice.example()] * 3) == 1
    assert len(server.got) == 1


def test_a_refusal_is_passed_on(server: Receiver):
    server.answer = (422, {}, b"")
    with pytest.raises(RefusedError):
        webhook(server).deliver([notice.example()])


def texts(value: Any) -> Iterator[str]:
    """All texts in an object."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from texts(item)


@pytest.mark.parametrize("name", HOSTILE)
def test_nothing_in_a_post_acts(server: Receiver, name: str):
    hostile = HOSTILE[name]
    item = with_text(hostile, analytic=hostile, finding=hostile, findings=[hostile], run=hostile, newer=hostile)
    item["text"] = item["text"] | {"fr": hostile}
    webhook(server).deliver([item])
    assert [acts(text) for text in texts(json.loads(server.got[0].body)) if acts(text)] == []


def test_numbers_ids_and_words_of_the_form_stay():
    kept = {key: value for key, value in notice.example().items() if key not in ("title", "text", "check_first")}
    assert {key: value for key, value in shown(notice.example()).items() if key in kept} == kept
