import pytest

from registers.site import Site
from tests.detector.offices import at, end, one, site

TOML = """
[limits]
handover_days = 5
inquiry_items = ["T42"]
[departments]
seikatsu = "生活支援課"
shimin = "市民課"
[systems.welfare]
auth = "card+password"
departments = ["seikatsu"]
[systems.disaster]
prohibited = ["provide"]
import_from = ["shimin"]
inquiry_items = []
provision_items = ["P1"]
[systems.files]
departments = []
"""
STAFF = {"actor_id": "a1", "dept": "seikatsu"}


def test_a_system_is_known_when_declared():
    def known(of, system):
        return one(of, system__id=system)["system.known"]

    assert [known(site(TOML), name) for name in ("welfare", "tax", None)] == [True, False, None]
    assert known(Site.none(), "welfare") is None


@pytest.mark.parametrize(
    ("dept", "system", "allowed"),
    [
        ("seikatsu", "welfare", True),
        ("生活支援課", "welfare", True),  # the name where the code was meant
        ("shimin", "welfare", False),
        ("elsewhere", "welfare", False),
        (None, "welfare", None),
        ("seikatsu", "disaster", None),  # declares no departments
        ("seikatsu", "files", None),  # an empty list: not filled in
    ],
)
def test_departments_that_may_use_a_system(dept, system, allowed):
    row = one(site(TOML, staff=[STAFF | {"dept": dept}]), actor__id="a1", system__id=system)

    assert row["system.dept_allowed"] is allowed


def test_the_former_department_still_counts_while_handing_over():
    moved = [STAFF | {"valid_to": end("2026-03-31")}, STAFF | {"dept": "shimin", "valid_from": at("2026-04-01")}]
    of = site(TOML, staff=moved)

    def allowed(when):
        return one(of, actor__id="a1", system__id="welfare", time__occurred=at(when))["system.dept_allowed"]

    assert [allowed("2026-04-06 23:59"), allowed("2026-04-07 00:00")] == [True, False]


def test_two_posts_at_once_both_count():
    posts = [STAFF | {"valid_to": end("2026-12-31")}, STAFF | {"dept": "shimin", "valid_from": at("2026-04-01")}]

    row = one(site(TOML, staff=posts), actor__id="a1", system__id="welfare")

    assert (row["person.dept"], row["system.dept_allowed"]) == ("shimin", True)


def test_what_the_assessment_says_never_happens():
    def prohibited(system, action):
        return one(site(TOML), system__id=system, event__action=action)["system.prohibited"]

    assert prohibited("disaster", "provide") is True
    assert prohibited("disaster", "read") is False
    assert prohibited("welfare", "provide") is None  # declares nothing


def test_log_on_by_the_declared_method():
    def ok(**keys):
        return one(
            site(TOML), **({"event__action": "logon", "event__outcome": "success", "system__id": "welfare"} | keys)
        )["system.auth_ok"]

    assert ok(auth__method="card+password") is True
    assert ok(auth__method="password") is False
    assert ok() is None
    assert ok(auth__method="password", event__outcome="failure") is None
    assert ok(auth__method="password", system__id="disaster") is None


@pytest.mark.parametrize(
    ("keys", "listed"),
    [
        ({"event__action": "inquire", "system__id": "welfare", "basis__law": "T42"}, True),
        ({"event__action": "inquire", "system__id": "welfare", "purpose__code": "T42"}, True),
        ({"event__action": "inquire", "system__id": "welfare", "basis__law": "T99", "purpose__code": "T42"}, False),
        ({"event__action": "inquire", "system__id": "welfare"}, False),
        ({"event__action": "inquire", "system__id": "welfare", "basis__ref": "B1"}, None),
        ({"event__action": "inquire", "system__id": "disaster", "basis__law": "T42"}, False),  # declared: none at all
        ({"event__action": "provide", "system__id": "disaster", "basis__law": "P1"}, True),
        ({"event__action": "provide", "system__id": "welfare", "basis__law": "P1"}, None),
        ({"event__action": "read", "system__id": "welfare", "basis__law": "T42"}, None),
        ({"event__action": "inquire", "system__id": "tax", "basis__law": "T42"}, None),
    ],
)
def test_legal_grounds(keys, listed):
    assert one(site(TOML), **keys)["system.law_listed"] is listed


def test_imports_come_from_declared_departments():
    def allowed(**keys):
        return one(site(TOML), system__id="disaster", **keys)["system.origin_allowed"]

    assert allowed(event__action="import", origin="市民課") is True
    assert allowed(event__action="import", origin="zei") is False
    assert allowed(event__action="import") is None
    assert allowed(event__action="read", origin="zei") is None


def test_words_for_a_function():
    labels = [
        {"code": "W1", "system": "welfare", "ja": "照会", "en": "look up"},
        {"code": "W1", "ja": "一般", "en": "general"},
    ]

    def ja(system):
        return one(site(labels=labels), op__code="W1", system__id=system)["label.ja"]

    assert [ja("welfare"), ja("disaster"), ja(None)] == ["照会", "一般", "一般"]
    assert one(site(labels=labels), op__code="W2")["label.en"] is None
