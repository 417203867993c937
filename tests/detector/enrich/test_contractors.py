import pytest

from registers.site import Site
from tests.detector.offices import at, one, site

TOML = """
[[contractors]]
company = "㈱架空システム"
approved = true
approved_on = "R8.4.10"
[[contractors]]
company = "下請"
approved = false
subcontractor_of = "㈱架空システム"
[[contractors]]
company = "未定"
"""
STAFF = [
    {"actor_id": "v1", "type": "vendor", "company": "(株) 架空システム"},
    {"actor_id": "v2", "type": "vendor", "company": "下請"},
    {"actor_id": "v3", "type": "vendor", "company": "無届"},
    {"actor_id": "v4", "type": "vendor", "company": "未定"},
    {"actor_id": "a1", "type": "staff"},
]
ORDERS = [
    {"order": "O1", "company": "㈱架空システム", "system": "welfare", "window_from": at("2026-04-15 09:00"), "window_to": at("2026-04-15 12:00")},
    {"order": "O2", "company": "下請", "actor_id": "v9", "system": "welfare"},
    {"order": "O3", "actor_id": "v2", "system": "disaster"},
    {"order": "O4", "actor_id": "v3"},
]  # fmt: skip


@pytest.mark.parametrize(
    ("actor", "system", "covers"),
    [
        ("v1", "welfare", True),  # by company, whichever way its name is written
        ("v1", "disaster", False),
        ("v2", "welfare", False),  # the order is for another person of the company
        ("v2", "disaster", True),
        ("v2", None, None),
        ("v3", "anything", True),  # the order names no system
        ("v3", None, True),
        ("a1", "welfare", None),
    ],
)
def test_work_orders(actor, system, covers):
    row = one(site(TOML, staff=STAFF, work_orders=ORDERS), actor__id=actor, system__id=system)

    assert row["order.covers"] is covers


def test_a_work_order_has_a_window():
    of = site(TOML, staff=STAFF, work_orders=ORDERS)

    assert one(of, actor__id="v1", system__id="welfare", time__occurred=at("2026-04-15 12:01"))["order.covers"] is False
    assert one(site(TOML, staff=STAFF), actor__id="v1", system__id="welfare")["order.covers"] is None


@pytest.mark.parametrize(
    ("actor", "when", "approved", "sub"),
    [
        ("v1", "2026-04-10", True, False),
        ("v1", "2026-04-09 23:59", False, False),  # approval must come before the work
        ("v2", "2026-04-15", False, True),
        ("v3", "2026-04-15", False, False),
        ("v4", "2026-04-15", None, False),
        ("a1", "2026-04-15", None, None),
    ],
)
def test_companies(actor, when, approved, sub):
    row = one(site(TOML, staff=STAFF), actor__id=actor, time__occurred=at(when))

    assert (row["contractor.approved"], row["contractor.subcontractor"]) == (approved, sub)


def test_without_declared_contractors_nothing_is_known():
    assert one(site(staff=STAFF), actor__id="v1")["contractor.approved"] is None


ACCOUNTS = [{"account": "adm", "system": "welfare", "actor_id": "a1"}]


def test_acting_upon_oneself_under_another_account():
    of = site(accounts=ACCOUNTS)

    def target(account, actor="a1"):
        return one(of, actor__id=actor, system__id="welfare", target__actor=account)["target.self"]

    assert [target("a1"), target("adm"), target("a2"), target(None), target("a1", None)] == [
        True,
        True,
        False,
        None,
        None,
    ]


def test_approving_oneself():
    def approver(name, of):
        row = one(of, actor__id="adm", system__id="welfare", approver__id=name)
        return row["approver.self"], row["approver.known"]

    of = site(accounts=ACCOUNTS, staff=STAFF)
    assert [approver(name, of) for name in ("a1", "v1", "nobody", None)] == [
        (True, True),
        (False, True),
        (False, False),
        (None, None),
    ]
    assert approver("adm", Site.none()) == (True, None)
