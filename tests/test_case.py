"""`sekimori case`, as people type it: findings of an analysis, a database of the test's own, detectors that learn of it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import pytest

from contract import decision
from contract.finding import example
from detector.cases import Case, Cases, Exempted
from service.settings import Kafka
from tests.command import Command, table
from tests.detector.channels.receivers import until

if TYPE_CHECKING:
    from tests.kafka.cluster import Cluster

STAFF = ["100003", "100007", "100009", "100231"]


class Typed(Protocol):
    """Types `sekimori case …`; the answer has to end with this status."""

    def __call__(self, *words: object, status: int = 0) -> str: ...


def found(uid: str, actor: str = "100231", **more: Any) -> dict[str, Any]:
    """A finding for people."""
    one = example() | more
    one["finding_info"] = one["finding_info"] | {"uid": uid}
    one["evidences"] = [{"actor": {"user": {"uid": actor}}}]
    one["unmapped"] = one["unmapped"] | {"queue": "alert"}
    return one | {"is_alert": True, "resources": [{"uid": "s_own"}]}


@pytest.fixture
def office(tmp_path: Path) -> Path:
    """A site, two findings and an `audit.toml`."""
    site, out = tmp_path / "site", tmp_path / "out"
    site.mkdir()
    out.mkdir()
    (site / "site.toml").write_text(
        'name = "架空市"\ntime_zone = "Asia/Tokyo"\nsubjects_are_tokens = true\n', encoding="utf-8"
    )
    rows = [f"{actor},staff,s_{'own' if actor == '100003' else actor}\n" for actor in STAFF]
    (site / "staff.csv").write_text("actor_id,type,subject_id\n" + "".join(rows), encoding="utf-8")
    (site / "accounts.csv").write_text("account,system,actor_id\nds-00231,disaster,100231\n", encoding="utf-8")
    lines = [
        json.dumps(found(uid, actor), ensure_ascii=False)
        for uid, actor in (("f-aaaa", "100231"), ("f-aabb", "ds-00231"))
    ]
    (out / "findings.ndjson").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (tmp_path / "audit.toml").write_text(table("[audit]", {"site": "site", "results": "out"}), encoding="utf-8")
    return tmp_path


@pytest.fixture
def case(office: Path, sekimori: Command) -> Typed:
    def typed(*words: object, status: int = 0) -> str:
        done: subprocess.CompletedProcess[str] = sekimori("case", *words)
        assert done.returncode == status, done.stdout + done.stderr
        return done.stdout + done.stderr

    return typed


def test_findings_are_cases_from_the_beginning_and_late_ones_say_so(case: Typed):
    rows = json.loads(case("list", "--json"))
    assert {row["case"]: row["state"] for row in rows} == {"f-aaaa": "new", "f-aabb": "new"}
    said = case("list")
    assert "nobody looked" in said
    assert "2 cases, 2 late" in said
    assert "ds-00231" not in said
    assert said.count("100231") == 2


def test_a_case_goes_from_its_claim_to_two_people_who_close_it(case: Typed):
    case("claim", "f-aaaa", "--by", "100007")
    assert "waiting (100007)" in case("ask", "f-aaaa", "--by", "100007", "--text", "なぜ", "--due", "2099-12-31")
    case("answer", "f-aaaa", "--by", "100007", "--text", "友人に頼まれた")
    assert "confirm f-aaaa" in case("close", "f-aaaa", "--by", "100007", "--code", "misuse", "--text", "私的な閲覧")
    assert "has to be another" in case("confirm", "f-aaaa", "--by", "100007", status=2)
    for concerned in ("100003", "100231"):  # whose data it was, and who acted
        assert f"the finding is about {concerned}" in case("confirm", "f-aaaa", "--by", concerned, status=2)
    assert "f-aaaa: closed misuse" in case("confirm", "f-aaaa", "--by", "100009")
    assert "reopen it first" in case("claim", "f-aaaa", "--by", "100009", status=2)
    assert "f-aaaa: claimed" in case("reopen", "f-aaaa", "--by", "100009", "--text", "新しい証言")


def test_who_closes_what_concerns_the_own_record_needs_a_second_person(case: Typed):
    said = case("close", "f-aabb", "--by", "100003", "--code", "mistake", "--text", "入力の誤り")
    assert "what concerns oneself needs a second person" in said
    assert "f-aabb: closed mistake" in case("confirm", "f-aabb", "--by", "100007")
    shown = json.loads(case("show", "f-aabb", "--json"))
    assert [(one["action"], one["by"]) for one in shown["entries"]] == [("close", "100003"), ("confirm", "100007")]
    assert shown["second"] == "100007"
    assert "f-aabb" not in case("list")
    assert "closed mistake" in case("list", "--all")


def test_a_case_is_named_by_as_much_of_its_uid_as_is_needed(case: Typed):
    assert "may be any of f-aaaa, f-aabb" in case("show", "f-aa", status=2)
    assert "f-aaaa" in case("show", "f-aaa")
    assert "is no finding of these results" in case("show", "f-x", status=2)


def test_who_acts_is_in_the_register_of_staff(case: Typed):
    assert 'did you mean "100007"' in case("claim", "f-aaaa", "--by", "10007", status=2)


def test_a_my_number_that_somebody_types_is_masked(case: Typed):
    said = case("note", "f-aaaa", "--by", "100007", "--text", "本人の番号は 1234-5678-9018 です")
    assert "was masked" in said
    assert "9018" not in case("show", "f-aaaa", "--json")


def test_hostile_text_stays_on_its_line(case: Typed):
    case("note", "f-aaaa", "--by", "100007", "--text", "a\x1b[2Jb\nc\u202ed")
    said = case("show", "f-aaaa")
    assert "\x1b[2J" not in said
    assert "\\x1b[2Jb\\nc\\u202ed" in said


def test_an_exception_names_who_stands_for_it_and_ends(case: Typed):
    assert "at least one says what is allowed" in case(
        "allow", "f-aaaa", "--by", "100007", "--until", "2099-01-01", "--text", "届出", status=2
    )
    said = case("allow", "f-aaaa", "--by", "100007", "--until", "2027-06-30", "--text", "届出", "--who")
    assert "who 100231" in said
    assert "1 exceptions in force" in case("exceptions")
    case("allow", "f-aaaa", "--by", "100007", "--until", "2020-01-01", "--text", "終了", "--who")
    assert "0 exceptions in force" in case("exceptions")


def test_what_is_configured_wrong_is_said_at_once_without_a_traceback(office: Path, case: Typed):
    (office / "audit.toml").write_text('[audit]\nsite = "nowhere"\nresult = "out"\ndatabase = "mysql://h/d"\n')
    said = case("list", status=2)
    assert "audit.toml: 4 problems" in said
    for part in ("is no folder", 'did you mean "results"', "results", "no kind of database"):
        assert part in said
    assert "cannot be read" in case("list", "-c", "no.toml", status=2)


def test_a_database_of_another_version_is_refused_and_upgraded_by_its_command(office: Path, sekimori: Command):
    assert "schema 0001, made" in sekimori("database", "upgrade").stdout
    assert "is of schema 0001 already" in sekimori("database", "upgrade").stdout
    (office / "audit.db").write_bytes(b"\0" * 5000)
    done = sekimori("case", "list")
    assert done.returncode == 2
    assert "audit.database" in done.stderr


@pytest.fixture
def listening(office: Path, kafka: Cluster) -> Iterator[tuple[Cases, str]]:
    """Detectors' reader of decisions, on a topic that the `audit.toml` names."""
    topic = kafka.topic(2)
    servers = kafka.address.split(",")
    with (office / "audit.toml").open("a", encoding="utf-8") as file:
        file.write(table("[kafka]", {"bootstrap_servers": servers}) + table("[topics]", {"decisions": topic}))
    cases = Cases(Kafka(bootstrap_servers=servers), topic, "test-case")
    cases.start()
    yield cases, topic
    cases.stop()
    cases.join(20)


def test_detectors_learn_of_closed_cases_and_exceptions_once(kafka: Cluster, case: Typed, listening: tuple[Cases, str]):
    cases, topic = listening
    case("allow", "f-aabb", "--by", "100007", "--until", "2027-06-30", "--text", "届出", "--rule", "--who", "100231")
    case("close", "f-aaaa", "--by", "100007", "--code", "misuse", "--text", "私的な閲覧")
    case("close", "f-aabb", "--by", "100007", "--code", "proper", "--reference", "K-1", "--text", "受付あり")
    assert "0 sent, 0 left" in case("send")
    until(lambda: len(cases.since({})[0]) == 2)
    taken = sorted(type(one).__name__ for one in cases.since({})[0])
    assert taken == [Case.__name__, Exempted.__name__]
    said = [decision.from_json(one.value) for one in kafka.stored(topic)]
    assert {(one["kind"], one["finding"], one["outcome"]) for one in said} == {
        ("exception", "f-aabb", "allowed"),
        ("case", "f-aabb", "proper"),
    }


def test_what_kafka_does_not_take_is_kept_and_sent_later(office: Path, kafka: Cluster, case: Typed):
    topic = kafka.topic(1)
    text = (office / "audit.toml").read_text()
    (office / "audit.toml").write_text(text + table("[kafka]", {"bootstrap_servers": ["127.0.0.1:1"]}))
    said = case("close", "f-aaaa", "--by", "100007", "--code", "test", "--text", "訓練")
    assert "closed test" in said
    assert "refuses connections" in said
    here = {"bootstrap_servers": kafka.address.split(",")}
    (office / "audit.toml").write_text(text + table("[kafka]", here) + table("[topics]", {"decisions": "nowhere"}))
    assert "0 sent, 1 left: Kafka at" in case("send", status=1)
    (office / "audit.toml").write_text(text + table("[kafka]", here) + table("[topics]", {"decisions": topic}))
    assert "1 sent, 0 left" in case("send")
    assert [decision.from_json(one.value)["outcome"] for one in kafka.stored(topic)] == ["test"]
