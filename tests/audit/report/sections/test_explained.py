"""Explained shares and the sample, against counts in plain loops."""

from __future__ import annotations

import hashlib
from collections import defaultdict

import polars as pl
import pytest
from scipy.stats import beta

from audit.report import sources
from audit.report.draft import Draft
from audit.report.misses import estimate
from audit.report.model import Tone
from audit.report.sections.explained import section
from audit.sections import LEAST_PEOPLE
from contract.event import ACCESS_ACTIONS
from tests.audit.office import DISASTER, WELFARE, WORKING, at, finding, good
from tests.audit.report.sections.month import MADE, MARCH, block, figures, gathered, rows, texts

KINDS = ("explained", "to_check", "unexplained")
HEADS = ("記録された理由あり", "理由の確認が必要", "理由の記録なし")
DEPT = {"seikatsu": "生活課", "kikikanri": "危機管理課", "shimin": "市民課"}


def mixed():
    """The small office, where people of the citizens' section, two of the tax section and a nightly batch use welfare as well."""
    office = good()
    for number in range(2):
        office.registers["staff"][number]["dept"] = "zeimu"
    office.registers["staff"].append(
        {"actor_id": "batch01", "type": "service", "start": "2020-04-01", "valid_from": "2020-04-01"}
    )
    for number, actor in enumerate([*DISASTER[20:26], "batch01", "stranger1"]):
        for step in range(3 + number):
            office.event(
                at(WORKING[step], "15:00:00") + number * 60_000, actor, "welfare", "read", subject_token=f"s_{step:016x}",
                explained=KINDS[(number + step) % 3],
            )  # fmt: skip
    return office


def dept_of(office, actor):
    person = actor.removeprefix("d.")
    known = [one for one in office.registers["staff"] if one["actor_id"] == person]
    if known and known[0]["type"] == "service":
        return person, "自動処理"
    return person, known[0]["dept"] if known else None


def counted(office):
    """(system, department) → people, counts by kind."""
    cells = defaultdict(lambda: [set(), [0, 0, 0]])
    for one in office.events:
        if one.get("explained"):
            person, dept = dept_of(office, one["actor.id"])
            cells[one["system.id"], dept][0].update(set() if dept == "自動処理" else {person})
            cells[one["system.id"], dept][1][KINDS.index(one["explained"])] += 1
    return cells


@pytest.fixture(scope="module")
def month(tmp_path_factory):
    office = mixed()
    office.findings += [
        finding(0, events=[one["event.id"] for one in office.events[:40]]),
        finding(1, queue="digest", events=[one["event.id"] for one in office.events[40:60]]),
        finding(2, queue="review", status=3, events=[one["event.id"] for one in office.events[60:90]]),
    ]
    sources = gathered(tmp_path_factory.mktemp("month"), office)
    draft = Draft()
    return office, sources, section(sources, draft), draft


def quiet(office):
    """Accesses in no finding that somebody was told of."""
    told = {
        each["uid"]
        for one in office.findings
        if one["status_id"] != 3
        for each in one["finding_info"]["related_events"]
    }
    return [
        one["event.id"]
        for one in office.events
        if one.get("subject.token") and one["event.action"] in ACCESS_ACTIONS and one["event.id"] not in told
    ]


def by_hand(ids, seed="架空市 2026-03"):
    return sorted(ids, key=lambda uid: hashlib.sha256(f"{seed}\n{uid}".encode()).hexdigest())[:30]


def test_shares_are_those_of_a_plain_loop_and_small_cells_are_merged(month):
    office, _, said, _ = month
    cells = counted(office)
    table = {(one["システム"], one["部署"]): one for one in rows(said, "explained.shares")}

    def line(name, dept):
        one = table.pop((name, dept))
        return one["人数"], [one[head] for head in HEADS], one["操作件数"], one["説明できた割合"]

    def expected(system, *depts):
        people = set().union(*(cells[system, dept][0] for dept in depts))
        counts = [sum(cells[system, dept][1][place] for dept in depts) for place in range(3)]
        return len(people) or None, counts, sum(counts), counts[0] / sum(counts)

    welfare, disaster = "生活保護システム", "被災者台帳システム"
    assert len(cells["welfare", "zeimu"][0]) == 2
    assert len(cells["welfare", None][0]) == 1
    # Two of one section and one whom nobody knows are three: the next larger cell goes with them.
    assert line(welfare, "生活課") == expected("welfare", "seikatsu")
    assert line(welfare, "税務課、市民課、所属不明（合算）") == expected("welfare", "zeimu", "shimin", None)
    assert line(welfare, "自動処理") == expected("welfare", "自動処理")
    assert line(disaster, "危機管理課") == expected("disaster", "kikikanri")
    assert table == {}


def test_totals_are_those_of_all_lines(month):
    office, _, said, _ = month
    counts = [sum(one.get("explained") == kind for one in office.events) for kind in KINDS]
    found = figures(said)

    assert found["explained.accesses"].value == sum(counts)
    assert found["explained.share"].value == counts[0] / sum(counts)
    assert found["explained.to_check"].value == counts[1]
    assert found["explained.unexplained"].value == counts[2]
    assert [sum(one[head] for one in rows(said, "explained.chart")) for head in HEADS] == counts


def test_no_line_is_about_fewer_than_five_people(month):
    _, _, said, _ = month

    assert all(one["人数"] is None or one["人数"] >= LEAST_PEOPLE for one in rows(said, "explained.shares"))


def test_a_system_of_too_few_people_is_in_no_sum(tmp_path):
    office = mixed()
    before = sum(bool(one.get("explained")) for one in office.events)
    for number in range(4):
        office.event(at(WORKING[0]), WELFARE[number], "console", "read", subject_token="s_1", explained="unexplained")

    draft = Draft()
    said = section(gathered(tmp_path, office), draft)

    assert figures(said)["explained.accesses"].value == before
    assert "console" not in {one["システム"] for one in rows(said, "explained.shares")}
    assert "1 件は、個人が推測される" in texts(said)
    assert draft.remembered["explained.accesses"].collect().height == before


def test_two_systems_of_few_people_are_one_line_once_they_are_enough(tmp_path):
    office = mixed()
    for number in range(8):
        system = ("console", "vault")[number % 2]
        office.event(at(WORKING[0]), WELFARE[number], system, "read", subject_token="s_1", explained="to_check")

    said = section(gathered(tmp_path, office), Draft())

    line = rows(said, "explained.shares")[-1]
    assert (line["システム"], line["人数"], line["理由の確認が必要"]) == ("利用者が5人未満のシステム（2）", 8, 8)


def test_a_transfer_counts_from_its_day_on(tmp_path):
    office = good()
    moved = at(WORKING[6], "00:00:00")
    for number in range(6):
        office.registers["staff"].append(
            office.registers["staff"][4 + number] | {"dept": "zeimu", "valid_from": str(WORKING[6]), "valid_to": ""}
        )
        office.registers["staff"][4 + number]["valid_to"] = str(WORKING[5])

    said = section(gathered(tmp_path, office), Draft())

    movers = set(WELFARE[4:10])
    after = [
        one for one in office.events
        if one.get("explained") and one["actor.id"] in movers and one["time.occurred"] >= moved
    ]  # fmt: skip
    [line] = [one for one in rows(said, "explained.shares") if one["部署"] == "税務課"]
    assert (line["人数"], line["操作件数"]) == (6, len(after))


def test_without_reasons_on_record_nothing_is_said_of_shares(tmp_path):
    office = good()
    for one in office.events:
        one.pop("explained", None)

    said = section(gathered(tmp_path, office), Draft())

    found = figures(said)
    for name in ("accesses", "share", "to_check", "unexplained"):
        assert found[f"explained.{name}"].value is None
        assert found[f"explained.{name}"].tone is Tone.LACKING
    accesses = sum(bool(one.get("subject.token")) and one["event.action"] in ACCESS_ACTIONS for one in office.events)
    assert found["explained.undecided"].value == accesses
    assert "assignments.csv、bases.csv がない" in texts(said)


def test_results_without_the_column_say_so(tmp_path):
    office = good()
    for one in office.events:
        one.pop("explained", None)
    office.registers["assignments"].append(
        {"actor_id": WELFARE[0], "subject_id": "s_0000000000000001", "kind": "primary"}
    )
    office.registers["bases"].append(
        {"basis_ref": "A1", "kind": "case", "subject_id": "s_0000000000000001", "opened": "2026-03-01"}
    )
    out, site = office.write(tmp_path)
    for path in (out / "events").glob("*.parquet"):
        pl.read_parquet(path).drop("explained", "explained.by").write_parquet(path)

    said = section(sources.gather(out, site, MARCH, MADE, "ja"), Draft())

    assert "explained" in texts(said)
    assert figures(said)["explained.share"].value is None


def test_without_staff_there_are_no_departments(tmp_path):
    office = good()
    del office.registers["staff"]

    said = section(gathered(tmp_path, office), Draft())

    assert "staff.csv" in texts(said)
    assert {one["部署"] for one in rows(said, "explained.shares")} == {"所属不明"}


def test_a_month_without_a_record_says_that_nothing_is_known(tmp_path):
    office = good()
    office.events.clear()

    said = section(gathered(tmp_path, office), Draft())

    assert [one.tone for one in said.blocks] == [Tone.LACKING]


def test_the_sample_is_drawn_from_what_raised_nothing(month):
    office, _, said, draft = month
    pool = quiet(office)

    assert figures(said)["explained.population"].value == len(pool)
    assert [one["操作の番号"] for one in rows(said, "explained.sample")] == by_hand(pool)
    assert set(draft.remembered["explained.sample"].collect()["event.id"]) == set(by_hand(pool))
    assert sorted(draft.remembered["explained.population"].collect()["event.id"]) == sorted(pool)


def test_before_anybody_looked_no_rate_is_given(month):
    _, _, said, _ = month
    found = figures(said)

    assert (found["explained.miss_rate"].value, found["explained.missed"].value) == (None, None)
    assert found["explained.miss_rate"].note == "まだ確認していない"
    assert found["explained.judged"].value == 0


def test_of_a_sample_half_judged_no_rate_is_given(tmp_path):
    office = mixed()
    judged = [(uid, "proper", MADE - 1) for uid in by_hand(quiet(office))[:12]]

    found = figures(section(gathered(tmp_path, office, samples=judged), Draft()))

    assert found["explained.miss_rate"].value is None
    assert found["explained.miss_rate"].note == "30 件のうち 18 件をまだ確認していない"
    assert found["explained.judged"].value == 12


def test_a_judged_sample_gives_the_rate_its_interval_and_what_it_comes_to(tmp_path):
    office = mixed()
    pool = quiet(office)
    verdicts = ["improper"] * 2 + ["unknown"] + ["proper"] * 27
    judged = [(uid, verdict, MADE - 2) for uid, verdict in zip(by_hand(pool), verdicts, strict=True)]
    # Somebody was wrong first: the last verdict of each counts. And one of an access that is not in the sample counts nothing.
    judged = [(judged[5][0], "improper", MADE - 3), *judged, ("ffffffffffffffff", "improper", MADE - 1)]

    said = section(gathered(tmp_path, office, samples=judged), Draft())

    found = figures(said)
    low, high = beta.ppf(0.025, 2, 29), beta.ppf(0.975, 4, 27)
    assert found["explained.miss_rate"].value == pytest.approx(2 / 29)
    assert found["explained.miss_rate"].note == f"95%信頼区間 {100 * low:.1f}%〜{100 * high:.0f}%"
    assert found["explained.missed"].value == round(2 / 29 * len(pool))
    assert found["explained.missed"].note == f"95%信頼区間 {int(low * len(pool)):,}〜{int(high * len(pool)) + 1:,}"
    assert found["explained.miss_rate"].tone is Tone.URGENT
    assert [one["確認の結果"].partition("（")[0] for one in rows(said, "explained.sample")] == ["不適正"] * 2 + [
        "判断できない"
    ] + ["適正"] * 27


def test_what_was_judged_after_the_report_was_made_does_not_count(tmp_path):
    office = mixed()
    judged = [(uid, "proper", MADE + 1) for uid in by_hand(quiet(office))]

    assert figures(section(gathered(tmp_path, office, samples=judged), Draft()))["explained.judged"].value == 0


def test_without_a_database_nothing_is_known_of_what_people_found(tmp_path):
    said = section(gathered(tmp_path, mixed(), None), Draft())

    assert figures(said)["explained.judged"].value is None
    assert figures(said)["explained.miss_rate"].value is None
    assert "audit.database" in texts(said)
    assert len(rows(said, "explained.sample")) == 30


@pytest.mark.parametrize(
    ("verdicts", "rate"), [((0, 0, 30), None), ((30, 0, 0), 0.0), ((0, 30, 0), 1.0), ((10, 10, 10), 0.5)]
)
def test_the_rate_lies_between_its_limits(verdicts, rate):
    found = estimate(*verdicts, population=1000)

    assert (found and found.rate) == rate
    if found:
        assert 0 <= found.low <= found.rate <= found.high <= 1


def test_where_all_were_looked_at_nothing_is_estimated():
    assert estimate(8, 2, 0, population=10).high == 0.2
    assert estimate(8, 2, 0, population=11).high > 0.5


def test_hostile_names_stay_what_they_are(tmp_path):
    office = good()
    hostile = "=HYPERLINK(1)<b>\u202e"
    for number in range(6):
        office.event(at(WORKING[0]), f"{hostile}{number}", hostile, "read", subject_token="s_1", explained="explained")
    office.events = [one for one in office.events if one["system.id"] == hostile]

    said = section(gathered(tmp_path, office), Draft())

    [line] = rows(said, "explained.shares")
    assert (line["システム"], line["部署"], line["人数"]) == (hostile, "所属不明", 6)
    assert {one["利用者"] for one in rows(said, "explained.sample")} == {f"{hostile}{number}" for number in range(6)}
    assert block(said, "explained.chart").svg.count("<b>") == 0


def test_both_languages_say_the_same(tmp_path):
    made = {
        language: section(gathered(tmp_path / language, mixed(), language=language), Draft())
        for language in ("ja", "en")
    }

    numbers = [[(one.id, one.value) for one in figures(said).values()] for said in made.values()]
    assert numbers[0] == numbers[1]
    assert [one.block for one in made["ja"].blocks] == [one.block for one in made["en"].blocks]
    assert not any("\u3040" < sign < "\u30ff" for sign in texts(made["en"]))


def test_the_same_is_said_twice(month):
    _, sources, said, _ = month

    assert section(sources, Draft()) == said
