import polars as pl
import pytest

from detector.enrich import enrich
from registers.site import Site
from tests.detector.offices import at, end, events, one, site

STAFF = {"actor_id": "a1", "type": "staff", "dept": "shimin"}
MOVED = [
    STAFF | {"valid_from": at("2020-04-01"), "valid_to": end("2026-03-31")},
    STAFF | {"dept": "zei", "valid_from": at("2026-04-01")},
]


def columns(of: Site, *names: str, **keys: object) -> list[object]:
    row = one(of, **keys)
    return [row[name] for name in names]


def test_last_day_counts_in_full_and_the_next_midnight_is_day_one():
    of = site(staff=[STAFF | {"end": end("2026-03-31")}])
    names = ("person.employed", "person.days_after_end", "person.days_to_end")

    assert columns(of, *names, actor__id="a1", time__occurred=at("2026-03-31 23:59")) == [True, None, 0]
    assert columns(of, *names, actor__id="a1", time__occurred=at("2026-04-01 00:00")) == [False, 1, None]
    assert columns(of, *names, actor__id="a1", time__occurred=at("2026-03-01")) == [True, None, 30]


def test_before_the_first_day_nobody_has_left():
    of = site(staff=[STAFF | {"start": at("2026-05-01")}])

    assert columns(of, "person.employed", "person.days_after_end", actor__id="a1") == [False, None]


def test_a_transfer_is_a_second_row():
    names = ("person.dept", "person.days_since_transfer", "person.previous_dept")
    of = site(staff=MOVED)

    assert columns(of, *names, actor__id="a1", time__occurred=at("2026-03-31 23:00")) == ["shimin", None, None]
    assert columns(of, *names, actor__id="a1", time__occurred=at("2026-04-01 00:00")) == ["zei", 0, "shimin"]
    assert columns(of, *names, actor__id="a1", time__occurred=at("2026-04-06 09:00")) == ["zei", 5, "shimin"]


def test_a_transfer_with_the_old_row_left_open():
    of = site(staff=[STAFF, STAFF | {"dept": "zei", "valid_from": at("2026-04-01")}])

    assert columns(of, "person.dept", "person.days_since_transfer", actor__id="a1") == ["zei", 14]


def test_a_renewal_in_the_same_department_is_no_transfer():
    rows = [
        *MOVED[:1],
        STAFF | {"role": "chief", "valid_from": at("2026-04-01"), "valid_to": end("2026-04-09")},
        STAFF | {"dept": "zei", "valid_from": at("2026-04-10"), "valid_to": end("2026-04-12")},
        STAFF | {"dept": "zei", "role": "chief", "valid_from": at("2026-04-13")},
    ]

    found = columns(
        site(staff=rows), "person.days_since_transfer", "person.previous_dept", "person.role", actor__id="a1"
    )

    assert found == [5, "shimin", "chief"]


def test_the_day_of_leaving_on_the_new_row_decides_though_the_old_row_is_open():
    of = site(staff=[STAFF, STAFF | {"dept": "zei", "valid_from": at("2026-04-01"), "end": end("2026-04-10")}])

    assert columns(of, "person.employed", "person.days_after_end", actor__id="a1") == [False, 5]


def test_a_yearly_contract_renewed_without_a_gap():
    rows = [
        STAFF | {"start": at(f"{year}-04-01"), "end": end(f"{year + 1}-03-31"), "valid_from": at(f"{year}-04-01")}
        for year in (2024, 2025, 2026)
    ]
    of = site(staff=rows)

    assert columns(of, "person.employed", "person.days_to_end", actor__id="a1") == [True, 350]
    assert columns(of, "person.employed", actor__id="a1", time__occurred=at("2026-03-31 20:00")) == [True]
    assert columns(of, "person.employed", "person.days_after_end", actor__id="a1", time__occurred=at("2027-04-03")) == [
        False,
        3,
    ]


def test_reemployed_after_a_gap():
    rows = [STAFF | {"end": end("2025-03-31")}, STAFF | {"start": at("2026-04-10")}]
    of = site(staff=rows)

    assert columns(of, "person.employed", actor__id="a1") == [True]
    assert columns(of, "person.employed", "person.days_after_end", actor__id="a1", time__occurred=at("2026-04-09")) == [
        False,
        374,
    ]


def test_out_of_the_register_without_a_day_of_leaving():
    of = site(staff=[STAFF | {"valid_to": end("2026-04-12")}])
    names = ("person.employed", "person.days_after_end", "person.dept", "person.type", "person.known")

    assert columns(of, *names, actor__id="a1") == [False, 3, None, "staff", True]


def test_a_second_post_for_half_a_year_does_not_end_the_first():
    second = STAFF | {"dept": "zei", "valid_from": at("2026-04-01"), "valid_to": end("2026-09-30")}
    of = site(staff=[STAFF | {"valid_from": at("2020-04-01")}, second])

    assert columns(of, "person.employed", "person.dept", actor__id="a1", time__occurred=at("2026-10-01")) == [
        True,
        "shimin",
    ]


def test_a_register_without_days_of_leaving_says_nothing_about_employment():
    of = site(staff=[STAFF], missing=("staff.end",))

    assert columns(of, "person.known", "person.employed", actor__id="a1") == [True, None]


def test_no_register_no_answer_and_no_row_no_person():
    names = ("person.known", "person.type", "person.dept", "person.employed")

    assert columns(Site.none(), *names, actor__id="a1", actor__type="vendor") == [None, "vendor", None, None]
    assert columns(site(staff=[STAFF]), *names, actor__id="a2", actor__type="vendor") == [False, "vendor", None, None]
    assert columns(site(staff=[STAFF]), *names, "person.id") == [None, None, None, None, None]


ACCOUNTS = [
    {
        "account": "suzuki",
        "system": "welfare",
        "actor_id": "a1",
        "valid_from": at("2026-01-01"),
        "valid_to": end("2026-03-31"),
    },
    {"account": "suzuki", "system": "welfare", "actor_id": "a2", "valid_from": at("2026-04-10")},
    {"account": "adm", "actor_id": "a1", "valid_from": at("2025-04-01"), "valid_to": end("2026-03-31")},
    {"account": "adm", "actor_id": "a1", "valid_from": at("2026-04-01")},
]


@pytest.mark.parametrize(
    ("account", "system", "when", "person"),
    [
        ("suzuki", "welfare", "2026-03-31 23:59", "a1"),
        ("suzuki", "welfare", "2026-04-10", "a2"),
        ("suzuki", "welfare", "2026-04-05", "a1"),  # nobody's any more: still leads to whom it was given last
        ("suzuki", "welfare", "2025-12-31", "suzuki"),  # not yet given to anybody
        ("suzuki", "disaster", "2026-04-15", "suzuki"),  # another system's account of the same name
        ("suzuki", None, "2026-04-15", "suzuki"),  # two people had it: not guessed
        ("adm", None, "2026-04-15", "a1"),
        ("adm", "disaster", "2026-04-15", "a1"),  # the row names no system: everywhere
        ("other", "welfare", "2026-04-15", "other"),
    ],
)
def test_the_person_behind_an_account(account, system, when, person):
    of = site(accounts=ACCOUNTS)

    assert columns(of, "person.id", actor__id=account, system__id=system, time__occurred=at(when)) == [person]


def test_age_of_an_account_counts_from_its_first_row():
    of = site(accounts=ACCOUNTS)

    assert columns(of, "account.age_days", actor__id="adm") == [379]
    assert columns(of, "account.age_days", actor__id="suzuki", system__id="welfare") == [5]
    assert columns(of, "account.age_days", actor__id="other") == [None]


def test_account_and_person_are_joined_for_the_staff_register():
    of = site(accounts=ACCOUNTS, staff=[STAFF | {"end": end("2026-04-14")}])

    found = enrich(events({"actor.id": "adm"}, {"actor.id": "a1"}), of)

    assert found["person.days_after_end"].to_list() == [1, 1]


def test_a_company_is_kept_by_a_later_row_that_leaves_it_out():
    rows = [
        {"actor_id": "v1", "type": "vendor", "company": "㈱架空", "valid_from": at("2025-04-01")},
        {"actor_id": "v1", "valid_from": at("2026-04-01")},
    ]

    assert columns(site(staff=rows), "person.type", "person.company", actor__id="v1") == ["vendor", "㈱架空"]


def test_an_empty_frame_has_the_columns():
    found = enrich(events().clear(), site(staff=MOVED, accounts=ACCOUNTS))

    assert found.height == 0
    assert found.schema["person.employed"] == pl.Boolean
