"""As-of joins."""

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from registers.asof import as_of

_EVENTS = {"actor.id": pl.String, "time.occurred": pl.Int64}
_STAFF = {"actor_id": pl.String, "valid_from": pl.Int64, "valid_to": pl.Int64, "dept": pl.String}


def _join(events: list[tuple], staff: list[tuple]) -> list[str | None]:
    left = pl.DataFrame(events, schema=_EVENTS, orient="row")
    right = pl.DataFrame(staff, schema=_STAFF, orient="row")
    joined = as_of(left, right, ["actor.id"], ["actor_id"], columns={"dept": "person.dept"})
    assert joined.drop("person.dept").equals(left)
    return joined.get_column("person.dept").to_list()


def test_a_transfer_counts_from_its_first_moment_to_the_last_of_the_row_before():
    staff = [("a", None, 99, "shimin"), ("a", 100, 200, "zeimu")]
    assert _join([("a", at) for at in (0, 99, 100, 200, 201)], staff) == ["shimin", "shimin", "zeimu", "zeimu", None]


def test_the_latest_valid_row_wins_then_the_later_in_the_register():
    staff = [("a", 100, None, "new"), ("a", None, None, "old"), ("a", 100, None, "newer")]
    assert _join([("a", 99), ("a", 100)], staff) == ["old", "newer"]


def test_unknown_keys_and_times_match_nothing():
    assert _join([(None, 1), ("b", 1), ("a", None)], [("a", None, None, "x"), (None, None, None, "y")]) == [None] * 3


def test_nothing_joins_with_nothing():
    assert _join([], []) == []
    assert _join([("a", 1)], []) == [None]
    assert _join([], [("a", None, None, "x")]) == []


def test_a_row_with_times_of_its_own_is_joined_by_these():
    events = pl.DataFrame({"who": ["a", "a"], "at": [5, 50], "kind": ["old", "old"]})
    presence = pl.DataFrame(
        {"actor_id": ["a"], "kind": ["leave"], "from": [0], "to": [10], "valid_from": [900], "valid_to": [None]},
        schema_overrides={"valid_to": pl.Int64},
    )
    columns = {"kind": "kind", "to": "until"}
    joined = as_of(events, presence, ["who"], ["actor_id"], "at", columns, start="from", end="to")
    assert joined.to_dict(as_series=False) == {
        "who": ["a", "a"],
        "at": [5, 50],
        "kind": ["leave", None],
        "until": [10, None],
    }


def test_keys_must_pair():
    with pytest.raises(ValueError, match="1 left keys for 2 right keys"):
        as_of(pl.DataFrame({"a": [1], "time.occurred": [1]}), pl.DataFrame(), ["a"], ["b", "c"])


_MOMENT = st.integers(0, 20)
_OPEN = st.none() | _MOMENT
_KEY = st.sampled_from(["a", "b", None])


@given(
    st.lists(st.tuples(_KEY, st.none() | _MOMENT), max_size=12),
    st.lists(st.tuples(_KEY, _OPEN, _OPEN), max_size=8),
)
def test_the_join_is_what_a_person_would_look_up(events, rows):
    staff = [(key, start, end, str(place)) for place, (key, start, end) in enumerate(rows)]

    def look_up(who: str | None, at: int | None) -> str | None:
        valid = [
            (-1 if start is None else start, place, dept)
            for place, (key, start, end, dept) in enumerate(staff)
            if who is not None
            and at is not None
            and key == who
            and (start is None or start <= at)
            and (end is None or at <= end)
        ]
        return max(valid)[2] if valid else None

    assert _join(events, staff) == [look_up(who, at) for who, at in events]
