"""A real Alertmanager: what it holds, whom it pages and how often, also after a replay and after it lost its memory."""

from __future__ import annotations

import json
import shutil
import time
from typing import Any

import pytest

from contract import notice
from detector.channels.alertmanager import Alertmanager, Pace, labels, words
from detector.channels.channel import LaterError, RefusedError
from detector.channels.http import target
from tests.detector.channels.hostile import HOSTILE, with_text
from tests.detector.channels.pagers import Real
from tests.detector.channels.receivers import receiver, until
from tests.detector.channels.test_inert import acts


def channel(*ports: int, **pace: Any) -> Alertmanager:
    targets = [target(f"http://127.0.0.1:{port}/api/v2/alerts", None, 5) for port in ports]
    return Alertmanager("am", targets, {}, "https://siem.example/f/{finding}", Pace(**pace))


def item(revision: int = 1, change: str = "opened", **more: Any) -> dict[str, Any]:
    ending = "closed" if change == "resolved" else None
    made = notice.example() | {"revision": revision, "change": change, "ending": ending} | more
    assert notice.validate(made) == []
    return made


def test_an_open_alert_stands_there_with_its_time_and_words(real: Real):
    assert channel(real.port).deliver([item()]) == 1
    [alert] = real.alerts()
    assert alert["startsAt"] == "2026-04-02T00:48:32.000Z"
    assert alert["labels"] == {
        "alertname": "SekimoriFinding", "severity": "high", "kind": "session", "analytic": "after_resignation",
        "run": "live", "fingerprint": "n-8a51f0c2d97be034",
    }  # fmt: skip
    assert alert["annotations"]["description"] == notice.example()["text"]["ja"]
    assert alert["generatorURL"] == "https://siem.example/f/f-3c9d0e17b2a84f65"


def test_a_replay_does_not_page_twice_and_a_count_neither(real: Real):
    first = channel(real.port)
    first.deliver([item()])
    until(lambda: real.pages() == [("firing", "high")])
    channel(real.port).deliver([item()])
    first.deliver([item(2, "updated", count=7)])
    [alert] = real.alerts()
    assert alert["annotations"]["count"] == "7"
    time.sleep(1.5)  # five times group_interval: a change that pages would have
    assert real.pages() == [("firing", "high")]


def test_a_rise_pages_again_and_leaves_one_alert(real: Real):
    one = channel(real.port)
    one.deliver([item()])
    until(lambda: len(real.pages()) == 1)
    one.deliver([item(2, "raised", severity_id=5)])
    until(lambda: ("firing", "critical") in real.pages())
    assert [alert["labels"]["severity"] for alert in real.alerts()] == ["critical"]


def test_a_rise_in_the_same_batch_leaves_one_alert(real: Real):
    one, waiting = channel(real.port), [item(), item(2, "raised", severity_id=5)]
    while waiting:
        waiting = waiting[one.deliver(waiting) :]
    assert [alert["labels"]["severity"] for alert in real.alerts()] == ["critical"]


def test_a_closed_case_resolves(real: Real):
    one = channel(real.port)
    one.deliver([item()])
    until(lambda: len(real.pages()) == 1)
    one.deliver([item(2, "resolved")])
    until(lambda: real.pages() == [("firing", "high"), ("resolved", "high")])
    assert real.alerts() == []
    assert one.open == 0


def test_an_alertmanager_that_lost_its_memory_is_told_again(real: Real):
    one = channel(real.port, resend_s=0.2)
    one.deliver([item()])
    real.end()
    time.sleep(0.3)
    with pytest.raises(LaterError, match="Connection refused"):
        one.turn()
    shutil.rmtree(real.folder / "data")
    real.start()
    assert real.alerts() == []
    one.turn()
    assert len(real.alerts()) == 1


def test_what_is_not_told_again_ends_of_itself(real: Real):
    one = channel(real.port, valid_s=1.0, resend_s=0.3)
    one.deliver([item()])
    for _ in range(8):
        time.sleep(0.3)
        one.turn()
        assert len(real.alerts()) == 1
    until(lambda: real.alerts() == [])


def test_one_that_begins_anew_knows_what_is_open_and_how_severe_it_was(real: Real):
    channel(real.port).deliver([item()])
    later = channel(real.port, resend_s=0.0)
    for known in (item(), item(2, "raised", severity_id=5), item(1, fingerprint="n-00000000000000aa")):
        later.recall(known)
    later.recall(item(2, "resolved", fingerprint="n-00000000000000aa"))
    assert later.open == 1
    later.turn()
    assert [alert["labels"]["severity"] for alert in real.alerts()] == ["critical"]


def test_a_revision_that_comes_again_late_does_not_count():
    one = channel(9)
    one.recall(item(3, "raised", severity_id=5))
    one.recall(item(1))
    assert [known["revision"] for known in one._open.values()] == [3]


def test_forgetting_forgets_all():
    one = channel(9)
    one.recall(item())
    one.forget()
    assert one.open == 0
    one.turn()  # posts nothing, so nobody has to be there


def test_one_of_a_cluster_that_is_away_stops_nothing_and_is_said(real: Real):
    one = channel(9, real.port)
    assert one.deliver([item()]) == 1
    assert len(real.alerts()) == 1
    assert "cannot be reached at port 9" in one.trouble


def test_an_alert_that_is_refused_lets_the_others_through():
    with receiver() as picky:

        def answer(handler: Any) -> None:
            handler.send_response(400 if b"00bb" in picky.got[-1].body else 200)
            handler.end_headers()

        picky.answer = answer
        one = channel(picky.port)
        good, bad, other = (item(fingerprint=f"n-{name:0>16}") for name in ("00aa", "00bb", "00cc"))
        assert one.deliver([good, bad, other]) == 1
        with pytest.raises(RefusedError):
            one.deliver([bad, other])
        assert one.deliver([other]) == 1
        assert one.open == 2


def test_nothing_in_an_alert_acts(real: Real):
    texts = [
        with_text(text, analytic=text, run=text, fingerprint=f"n-{place:016x}")
        for place, text in enumerate(HOSTILE.values())
    ]
    assert channel(real.port).deliver(texts) == len(texts)
    alerts = real.alerts()
    assert len(alerts) == len(texts)
    shown = [text for alert in alerts for text in (*alert["labels"].values(), *alert["annotations"].values())]
    assert [acts(text) for text in shown if acts(text)] == []


def test_labels_name_no_person_and_do_not_move_with_words():
    other = with_text("x", count=9, findings=["f-2"], risk_score=1.0, last=1775090912001)
    assert labels(other, 4) == labels(notice.example(), 4)
    assert not any(text in json.dumps(labels(notice.example(), 4)) for text in notice.example()["findings"])


def test_words_are_bounded():
    long = with_text("長" * 100_000, findings=["f-" + "x" * 1000] * 20, count=500)
    assert len(json.dumps(words(long), ensure_ascii=False)) < 10_000


def test_a_flood_stays_bounded_and_the_newest_are_told_again():
    one = channel(9, most_open=100)
    for number in range(10_000):
        one.recall(item(fingerprint=f"n-{number:016x}"))
    assert one.open == 100
    assert next(iter(one._open)) == f"n-{9_900:016x}"
