import pytest

from registers.site import Site
from tests.detector.offices import at, end, one, site

STAFF = [
    {"actor_id": "a1", "dept": "shimin", "subject_id": "s_a1", "household_id": "h_a1", "area": "A1"},
    {"actor_id": "a2", "dept": "zei", "subject_id": "s_a2", "household_id": "h_a2", "area": "A2"},
    {"actor_id": "a3", "dept": "zei", "area": "A1"},
]
SUBJECTS = [
    {"subject_id": "s_wife", "household_id": "h_a1", "area": "A1"},
    {"subject_id": "s_next", "household_id": "h_9", "area": "A1"},
    {"subject_id": "s_dv", "area": "A3", "protected": True, "expiry": end("2026-04-14")},
    {"subject_id": "s_vip", "vip": True, "valid_from": at("2026-04-15")},
]
NAMES = ("self", "own_household", "colleague", "colleague_dept", "neighbour")


@pytest.mark.parametrize(
    ("subject", "expected"),
    [
        ("s_a1", (True, False, False, None, False)),
        ("s_wife", (False, True, False, None, False)),
        ("s_next", (False, False, False, None, True)),
        ("s_a2", (False, None, True, "zei", None)),
        ("s_far", (False, None, False, None, None)),
        (None, (None, None, None, None, None)),
    ],
)
def test_how_the_subject_is_related_to_the_actor(subject, expected):
    area = "A1" if subject == "s_a1" else None
    row = one(site(staff=STAFF, subjects=SUBJECTS), actor__id="a1", subject__token=subject, subject__area=area,
              household__token="h_a1" if subject == "s_a1" else None)  # fmt: skip

    assert tuple(row[f"subject.{name}"] for name in NAMES) == expected


def test_the_event_knows_household_and_area_better_than_the_register():
    row = one(
        site(staff=STAFF, subjects=SUBJECTS),
        actor__id="a1",
        subject__token="s_next",
        household__token="h_a1",
        subject__area="A9",
    )

    assert (row["subject.own_household"], row["subject.home"], row["subject.neighbour"]) == (True, "A9", False)


def test_the_own_household_by_the_own_record_where_staff_names_none():
    staff = [{"actor_id": "a1", "subject_id": "s_wife"}]
    subjects = [*SUBJECTS, {"subject_id": "s_child", "household_id": "h_a1"}]

    assert (
        one(site(staff=staff, subjects=subjects), actor__id="a1", subject__token="s_child")["subject.own_household"]
        is True
    )


def test_who_has_no_own_record_on_file_cannot_be_told_from_the_subject():
    row = one(site(staff=STAFF), actor__id="a3", subject__token="s_a2")

    assert (row["subject.self"], row["subject.colleague"]) == (None, True)


def test_two_ids_of_one_person_are_no_colleagues():
    staff = [*STAFF, {"actor_id": "b1", "subject_id": "s_a1"}]
    rows = [one(site(staff=staff), actor__id=actor, subject__token="s_a1") for actor in ("a1", "b1")]

    assert [(row["subject.self"], row["subject.colleague"]) for row in rows] == [(True, False)] * 2


def test_a_service_account_is_nobodys_colleague():
    staff = [*STAFF, {"actor_id": "batch", "type": "service", "subject_id": "s_batch"}]

    assert one(site(staff=staff), actor__id="a1", subject__token="s_batch")["subject.colleague"] is False


def test_marks_end_with_their_expiry_and_begin_with_their_validity():
    of = site(subjects=SUBJECTS)

    def marks(subject, when):
        row = one(of, subject__token=subject, time__occurred=at(when))
        return row["subject.protected"], row["subject.vip"]

    assert marks("s_dv", "2026-04-14 23:59") == (True, False)
    assert marks("s_dv", "2026-04-15") == (False, False)
    assert marks("s_vip", "2026-04-14") == (False, False)
    assert marks("s_vip", "2026-04-15") == (False, True)
    assert marks("s_unlisted", "2026-04-15") == (False, False)
    assert marks(None, "2026-04-15") == (None, None)


def test_a_register_without_the_column_says_nothing_about_it():
    row = one(site(subjects=SUBJECTS, missing=("subjects.vip",)), subject__token="s_vip")

    assert (row["subject.protected"], row["subject.vip"]) == (False, None)


def test_no_registers_no_answers():
    row = one(Site.none(), actor__id="a1", subject__token="s_a1", household__token="h_a1", subject__area="A1")

    assert [row[f"subject.{name}"] for name in (*NAMES, "protected", "vip")] == [None] * 7
    assert row["subject.home"] == "A1"
