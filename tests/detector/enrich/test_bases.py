import pytest

from registers.site import Site
from tests.detector.offices import at, end, one, site

TOML = '[limits]\ngrace_days = 7\nhandover_days = 5\n[departments]\nzei = "税務課"\n'
STAFF = [{"actor_id": "a1", "dept": "zei"}, {"actor_id": "a2", "dept": "shimin"}]
BASES = [
    {"basis_ref": "B1", "kind": "application", "subject_id": "s_1", "opened": at("2026-04-10"), "closed": end("2026-04-12"), "dept": "zei"},
    {"basis_ref": "B1", "kind": "application", "subject_id": "s_2", "opened": at("2026-04-10"), "dept": "税務課"},
    {"basis_ref": "B2", "kind": "visit", "subject_id": "s_1", "opened": at("2026-03-01"), "closed": end("2026-03-02"), "dept": "zei"},
    {"basis_ref": "B3", "kind": "list", "opened": at("2026-04-01"), "closed": end("2026-04-20")},
    {"kind": "phone", "subject_id": "s_4", "opened": at("2026-04-15 09:00"), "closed": at("2026-04-15 09:30")},
]  # fmt: skip
OF = site(TOML, staff=STAFF, bases=BASES)


def stated(ref, subject, when="2026-04-15 10:00", of=OF, actor="a1"):
    row = one(of, basis__ref=ref, subject__token=subject, time__occurred=at(when), actor__id=actor)
    return tuple(row[f"basis.{name}"] for name in ("known", "kind", "matches", "open", "days_after_close"))


@pytest.mark.parametrize(
    ("ref", "subject", "when", "expected"),
    [
        ("B1", "s_1", "2026-04-11 10:00", (True, "application", True, True, None)),
        ("B1", "s_1", "2026-04-15 10:00", (True, "application", True, True, 3)),  # inside the days of grace
        ("B1", "s_1", "2026-04-20 00:00", (True, "application", True, False, 8)),
        ("B1", "s_1", "2026-04-09 23:59", (True, "application", True, False, None)),
        ("B1", "s_2", "2026-05-15 10:00", (True, "application", True, True, None)),  # its own row is still open
        ("B1", "s_3", "2026-04-15 10:00", (True, "application", False, True, None)),  # another person's
        ("B3", "s_3", "2026-04-15 10:00", (True, "list", True, True, None)),  # for nobody in particular
        ("B1", None, "2026-04-15 10:00", (True, "application", None, True, None)),
        ("B9", "s_1", "2026-04-15 10:00", (False, None, None, None, 3)),
        (None, "s_1", "2026-04-15 10:00", (None, None, None, None, 3)),
        (None, "s_2", "2026-04-15 10:00", (None, None, None, None, None)),
    ],
)
def test_a_stated_reference(ref, subject, when, expected):
    assert stated(ref, subject, when) == expected


def test_no_register_no_answer():
    assert stated("B1", "s_1", of=Site.none()) == (None,) * 5
    assert stated("B1", "s_1", of=site(bases=BASES, missing=("bases.basis_ref",)))[0] is None


def any_open(subject, actor="a1", when="2026-04-15 10:00", of=OF, **keys):
    return one(of, subject__token=subject, actor__id=actor, time__occurred=at(when), **keys)["basis.any_open"]


def test_something_open_in_the_actors_department():
    assert any_open("s_1") is True
    assert any_open("s_1", actor="a2") is False
    assert any_open("s_2") is True  # the register names the department in words
    assert any_open("s_4", actor="a2") is True  # a basis without department
    assert any_open("s_4", actor="a2", when="2026-04-15 08:59") is False
    assert any_open("s_9") is False
    assert any_open(None) is None


def test_an_actor_of_no_known_department_is_undecided_only_where_it_matters():
    assert any_open("s_1", actor="a3") is None
    assert any_open("s_4", actor="a3") is True
    assert any_open("s_9", actor="a3") is False
    assert any_open("s_1", actor="a3", actor__dept="zei") is True  # as logged
    assert any_open("s_1", actor="a3", actor__dept="unheard-of") is False


def test_the_former_departments_work_is_handed_over_for_some_days():
    staff = [
        STAFF[0] | {"valid_to": end("2026-04-10")},
        {"actor_id": "a1", "dept": "shimin", "valid_from": at("2026-04-11")},
    ]
    of = site(TOML, staff=staff, bases=BASES)

    assert any_open("s_1", of=of) is True
    assert any_open("s_2", of=of, when="2026-04-17") is False


def test_a_basis_without_its_own_times_falls_back_on_validity():
    bases = [{"basis_ref": "B1", "subject_id": "s_1", "valid_from": at("2026-04-10"), "valid_to": end("2026-04-12")}]

    assert any_open("s_1", of=site(bases=bases), when="2026-04-13") is False
    assert any_open("s_1", of=site(bases=bases), when="2026-04-12") is True


def test_its_own_times_decide_though_the_register_learned_of_it_later():
    bases = [{"basis_ref": "B1", "subject_id": "s_1", "opened": at("2026-04-10"), "valid_from": at("2026-04-16")}]

    assert any_open("s_1", of=site(bases=bases)) is True


def test_within_thirty_days_in_any_department():
    def near(when, subject="s_1"):
        row = one(OF, subject__token=subject, actor__id="a2", time__occurred=at(when))
        return row["basis.within_30_days"]

    assert [near("2026-01-29"), near("2026-01-30"), near("2026-05-12"), near("2026-05-13")] == [
        False,
        True,
        True,
        False,
    ]
    assert near("2026-04-15", "s_9") is False


def test_many_bases_of_one_subject_do_not_multiply_rows():
    bases = [BASES[0] | {"basis_ref": f"B{n}"} for n in range(50)]

    assert any_open("s_1", of=site(TOML, staff=STAFF, bases=bases)) is True


ASSIGNMENTS = [
    {"actor_id": "a1", "subject_id": "s_1", "kind": "primary", "valid_to": end("2026-04-15")},
    {"actor_id": "a1", "area": "A1", "kind": "area"},
    {"actor_id": "a2", "subject_id": "s_2", "area": "A2", "kind": "cover", "valid_from": at("2026-04-15")},
]


def assigned(actor, subject, area=None, when="2026-04-15 10:00", of=None):
    of = of or site(assignments=ASSIGNMENTS, subjects=[{"subject_id": "s_5", "area": "A1"}])
    row = one(of, actor__id=actor, subject__token=subject, subject__area=area, time__occurred=at(when))
    return row["assignment.match"], row["assignment.kind"]


def test_caseload_by_person_and_by_area():
    assert assigned("a1", "s_1") == (True, "primary")
    assert assigned("a1", "s_9", "A1") == (True, "area")
    assert assigned("a1", "s_5") == (True, "area")  # the register knows where the subject lives
    assert assigned("a1", "s_9", "A2") == (False, None)
    assert assigned("a2", "s_2") == (True, "cover")
    assert assigned("a2", "s_9", "A2") == (False, None)  # the row is about a person, its area is only told


def test_caseload_is_as_of_the_day():
    assert assigned("a1", "s_1", "A9", "2026-04-16") == (False, None)
    assert assigned("a2", "s_2", when="2026-04-14 23:59") == (False, None)


def test_a_caseload_by_area_and_a_subject_of_no_known_area_is_undecided():
    assert assigned("a1", "s_9") == (None, None)
    assert assigned("a2", "s_9") == (False, None)


def test_no_caseload_no_subject_no_actor():
    assert assigned("a1", "s_1", of=Site.none()) == (None, None)
    assert assigned("a1", None, "A1") == (None, None)
    assert assigned(None, "s_1") == (None, None)
