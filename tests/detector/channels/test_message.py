"""Mail to a real SMTP server and chat to a real HTTP server: what people get, how often, and that nothing in it acts."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from email.message import EmailMessage

import pytest

from contract import notice
from detector.channels.channel import LaterError
from detector.channels.message import Message, Pace
from tests.detector.channels.hostile import HOSTILE, with_text
from tests.detector.channels.pagers import Mailbox
from tests.detector.channels.receivers import Receiver, receiver
from tests.detector.channels.test_inert import acts

pytest.importorskip("apprise", reason="needs apprise: type make venv")


@pytest.fixture
def chat() -> Iterator[tuple[Receiver, str]]:
    """A server that a chat's address points to (Mattermost's incoming webhook), and that address."""
    with receiver() as server:
        yield server, f"mmost://127.0.0.1:{server.port}/3ccdd113474722377935511fc85d3dd4"


def body(message: EmailMessage) -> str:
    """The text of a mail; it has no other part."""
    [part] = [part for part in message.walk() if not part.is_multipart()]
    return str(part.get_content())


def test_a_mail_says_what_happened(mailbox: tuple[Mailbox, str]):
    box, url = mailbox
    channel = Message("mail", f"{url}&format=text", link="https://siem.example/f/{finding}")
    assert channel.deliver([notice.example()]) == 1
    [(to, message)] = box.got
    assert to == ["soc@office.example"]
    assert message["Subject"] == "Sekimori 高 新規 退庁処理後のIDによる閲覧"
    text = body(message)
    assert notice.example()["text"]["ja"] in text
    assert "https://siem.example/f/f-3c9d0e17b2a84f65" in text
    assert "n-8a51f0c2d97be034" in text


@pytest.mark.parametrize("form", ["text", "html", "markdown"])
@pytest.mark.parametrize("name", HOSTILE)
def test_nothing_in_a_mail_acts(mailbox: tuple[Mailbox, str], name: str, form: str):
    box, url = mailbox
    Message("mail", f"{url}&format={form}", language="en").deliver([with_text(HOSTILE[name])])
    [(to, message)] = box.got
    assert to == ["soc@office.example"]
    assert {key for key in message if key in ("Bcc", "Cc", "Reply-To")} <= {"Reply-To"}
    assert acts(message["Subject"]) == []
    parts = [part for part in message.walk() if not part.is_multipart()]
    for part in parts:
        text = str(part.get_content())
        assert not any(
            evil in text for evil in ("<script", "<img", "<b>", "href", "evil.example", "@channel", "\u202e")
        )


def test_nothing_in_a_chat_acts(chat: tuple[Receiver, str]):
    server, url = chat
    server.answer = (200, {}, b"ok")
    channel = Message("chat", url, language="en", pace=Pace(burst=100))
    for text in HOSTILE.values():
        channel.deliver([with_text(text)])
    assert len(server.got) == len(HOSTILE)
    for request in server.got:
        sent = json.loads(request.body)["text"]
        assert not any(evil in sent for evil in ("<", ">", "](", "**b", "`", "~~", "@", "://", "\u202e", "\u200b"))


def test_only_what_pages_or_ends_is_told(mailbox: tuple[Mailbox, str]):
    box, url = mailbox
    changes = ["opened", "updated", "updated", "raised", "updated", "resolved", "updated"]
    waiting = [notice.example() | {"change": change, "ending": None} for change in changes]
    waiting[5]["ending"] = "closed"
    channel = Message("mail", f"{url}&format=text", language="en")
    while waiting:
        waiting = waiting[channel.deliver(waiting) :]
    subjects = [message["Subject"].split()[2] for _, message in box.got]
    assert subjects == ["opened", "raised", "resolved"]


def test_what_is_resolved_is_not_told_if_nobody_wants_it(mailbox: tuple[Mailbox, str]):
    box, url = mailbox
    channel = Message("mail", url, resolved=False)
    assert channel.deliver([notice.example() | {"change": "resolved", "ending": "closed"}]) == 1
    assert box.got == []


def test_a_flood_becomes_few_summaries_and_none_is_stepped_over(mailbox: tuple[Mailbox, str]):
    box, url = mailbox
    now_s = [0.0]
    channel = Message("mail", f"{url}&format=text", language="en", pace=Pace(5, 3, 10.0), clock=lambda: now_s[0])
    left = 5_000
    while left and now_s[0] < 1000:
        waiting = [notice.example() | {"severity_id": 4 + number % 2} for number in range(min(left, 500))]
        done = channel.deliver(waiting)
        left -= done
        now_s[0] += 0 if done else 1
    assert left == 0
    assert len(box.got) == 10
    assert 70 <= now_s[0] <= 72  # three at once, then one in ten seconds
    subject, text = box.got[0][1]["Subject"], body(box.got[0][1])
    assert subject == "Sekimori summary of 500 notices"
    assert text.splitlines()[0].startswith("250 × critical opened")


def test_hostile_texts_are_inert_in_a_summary_too(mailbox: tuple[Mailbox, str]):
    box, url = mailbox
    Message("mail", f"{url}&format=text").deliver([with_text(text) for text in HOSTILE.values()])
    [(_, message)] = box.got
    for line in body(message).splitlines():
        assert acts(line) == []


def test_a_server_that_takes_no_mail_is_tried_again(mailbox: tuple[Mailbox, str]):
    box, url = mailbox
    box.status = "451 later"
    channel = Message("mail", url)
    with pytest.raises(LaterError, match="mail: the service took no message"):
        channel.deliver([notice.example()])
    box.status = "250 OK"
    assert channel.deliver([notice.example()]) == 1
    assert len(box.got) == 1


def test_a_chat_that_leads_elsewhere_is_not_followed(chat: tuple[Receiver, str]):
    server, url = chat
    with receiver() as elsewhere:
        server.answer = (307, {"Location": f"http://127.0.0.1:{elsewhere.port}/"}, b"")
        with pytest.raises(LaterError):
            Message("chat", url).deliver([notice.example()])
        assert elsewhere.got == []


def test_no_secret_reaches_a_log_or_an_error(
    chat: tuple[Receiver, str], caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
):
    server, url = chat
    secret = url.rsplit("/", 1)[1]
    with caplog.at_level(logging.DEBUG):
        channel = Message("chat", url)
        server.answer = (200, {}, b"ok")
        channel.deliver([notice.example()])
        server.answer = (403, {}, secret.encode())
        with pytest.raises(LaterError) as forbidden:
            channel.deliver([notice.example()])
        server.shutdown()
        server.server_close()
        with pytest.raises(LaterError) as away:
            channel.deliver([notice.example()])
        with pytest.raises(ValueError, match="no address") as refused:
            Message("chat", f"nothing://{secret}")
    assert secret in server.got[0].path
    printed = capfd.readouterr()
    said = [str(error.value) for error in (forbidden, away, refused)]
    assert secret not in caplog.text + "".join(said) + printed.out + printed.err


@pytest.mark.parametrize(
    "url", ["", "mailto://", "nothing://x", "json://127.0.0.1/", "XMLS://h/", "forms://h", "syslog://"]
)
def test_an_address_that_must_not_be_used_is_refused(url: str):
    with pytest.raises(ValueError, match=r"no address|use \[\[webhooks\]\]|desktop or machine"):
        Message("x", url)
