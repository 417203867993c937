import pytest

from tests.detector.offices import at, end, one, site

KEYS = ("granted", "ever", "age_days", "ended_days", "granted_by", "system")
ROWS = [
    {"actor_id": "a1", "system": "welfare", "function": "W1", "granted_by": "m1", "valid_from": at("2026-04-01"), "valid_to": end("2026-04-12")},
    {"actor_id": "a1", "system": "welfare", "function": "W2", "valid_from": at("2025-04-01"), "valid_to": end("2026-03-31")},
    {"actor_id": "a1", "system": "welfare", "function": "W2", "granted_by": "m2", "valid_from": at("2026-04-01")},
    {"actor_id": "a2", "system": "welfare", "function": "*", "granted_by": "m3"},
]  # fmt: skip


@pytest.mark.parametrize(
    ("actor", "function", "expected"),
    [
        ("a1", "W1", (False, True, None, 3, None, True)),
        ("a1", "W2", (True, True, 379, None, "m2", True)),  # renewed without a gap: the age goes on
        ("a1", "W3", (False, False, None, None, None, True)),
        ("a2", "W3", (True, True, None, None, "m3", True)),  # every function; open validity has no age
        ("a3", "W1", (False, False, None, None, None, False)),
        (None, "W1", (None,) * 6),
        ("a1", None, (None, None, None, None, None, True)),
    ],
)
def test_permissions(actor, function, expected):
    row = one(site(permissions=ROWS), actor__id=actor, system__id="welfare", op__code=function)

    assert tuple(row[f"permission.{key}"] for key in KEYS) == expected


def test_a_system_that_the_register_never_names_is_not_managed_there():
    row = one(site(permissions=ROWS), actor__id="a1", system__id="files", op__code="W1")

    assert [row["permission.granted"], row["permission.system"]] == [None, None]


def test_several_rows_valid_at_once_the_latest_says_who_granted():
    rows = [ROWS[2], ROWS[2] | {"granted_by": "a1", "valid_from": at("2026-04-14")}]

    row = one(site(permissions=rows), actor__id="a1", system__id="welfare", op__code="W2")

    assert (row["permission.granted_by"], row["permission.age_days"]) == ("a1", 14)


def test_the_receiver_of_an_export_is_looked_up_like_an_actor():
    of = site(permissions=ROWS)

    def permitted(destination):
        row = one(of, actor__id="a1", system__id="welfare", destination=destination)
        return row["destination.permitted"]

    assert [permitted(to) for to in ("a2", "share-3", None)] == [True, None, None]
    with_staff = site(permissions=ROWS, staff=[{"actor_id": "a9"}])
    assert one(with_staff, system__id="welfare", destination="a9")["destination.permitted"] is False
