"""Numbers of sessions and days: what counts, what does not, and what happens where nothing is known."""

from typing import Any

import polars as pl
import pytest

from detector import features, words
from tests.detector.offices import at
from tests.detector.rows import with_sessions


def session(*given: dict[str, Any]) -> dict[str, Any]:
    [row] = features.sessions(with_sessions(*given)).to_dicts()
    return row


def day(*given: dict[str, Any], limit: int | None = 100) -> dict[str, Any]:
    [row] = features.days(with_sessions(*given), limit).to_dicts()
    return row


def look(subject: str = "s1", explained: str | None = "unexplained", **more: Any) -> dict[str, Any]:
    return {"subject.token": subject, "explained": explained} | {k.replace("__", "."): v for k, v in more.items()}


def test_accesses_are_counted_by_their_reason():
    got = session(look("s1"), look("s1"), look("s2", "to_check"), look("s3", "explained"), {"event.action": "list"})
    assert (got["events"], got["subjects"], got["n.accesses"]) == (5, 3, 4)
    assert (got["n.unexplained"], got["n.unexplained_subjects"], got["n.to_check"]) == (2, 1, 1)
    assert got["explained"] == 0.25


def test_where_nothing_can_be_said_the_explained_share_is_unknown():
    got = session(look(explained=None))
    assert got["explained"] is None
    assert got["n.accesses"] == 1


@pytest.mark.parametrize("outcome", ["failure", "denied"])
def test_what_was_refused_is_no_access(outcome: str):
    got = session(look(explained=None, event__outcome=outcome, subject__step=1))
    assert (got["n.accesses"], got["step.share"], got[f"n.{outcome}"]) == (0, 0.0, 1)


def test_a_session_of_nothing_but_nulls_has_a_row():
    bare = dict.fromkeys(("actor.id", "src.device", "event.action"))
    got = session(bare)
    assert (got["actor.id"], got["events"], got["n.accesses"], got["rows.max"]) == (None, 1, 0, None)
    assert all(got[name] is None or got[name] >= 0 for name in features.MODEL_FEATURES)


def test_the_model_gets_no_nan_from_sessions_of_one_event():
    numbers = features.sessions(with_sessions({})).select(features.MODEL_FEATURES).cast(pl.Float64)
    assert not any(numbers.select(pl.all().is_nan().any()).row(0))


def test_no_events_give_no_sessions_but_all_columns():
    got = features.sessions(with_sessions())
    assert got.is_empty()
    assert {*features.SHARED, *features.SESSION_ONLY, *features.MODEL_FEATURES, *features.PEOPLE} <= set(got.columns)


def test_empty_and_full_frames_have_the_same_columns_and_types():
    assert features.sessions(with_sessions()).schema == features.sessions(with_sessions({})).schema
    for limit in (None, 100):
        assert features.days(with_sessions(), limit).schema == features.days(with_sessions({}), limit).schema


def test_every_feature_of_the_model_has_words():
    assert set(features.MODEL_FEATURES) <= set(words.FEATURES)


def test_a_run_of_neighbouring_numbers_is_broken_by_another_number():
    steps = [None, 1, 1, 1, 5, -1, 1, None]
    got = session(*(look(f"s{n}", subject__step=step) for n, step in enumerate(steps)))
    assert got["step.run"] == 3
    assert got["step.share"] == 5 / 8


def test_an_event_about_nobody_does_not_break_a_run():
    steps = [look("s1", subject__step=1), {"event.action": "logon"}, look("s2", subject__step=1)]
    assert session(*steps)["step.run"] == 2


def test_runs_of_two_sessions_are_neither_joined_nor_broken_by_each_other():
    rows = [look(f"s{n}", subject__step=1 if n % 2 else 5, session__id=f"W{n % 2}") for n in range(8)]
    found = features.sessions(with_sessions(*rows))
    assert dict(found.select("session.id", "step.run").iter_rows()) == {"W0": 0, "W1": 4}
    rows = [look(f"s{n}", subject__step=1, session__id=f"W{n // 3}") for n in range(6)]
    assert features.sessions(with_sessions(*rows))["step.run"].to_list() == [3, 3]


def test_coming_back_to_a_subject_counts_only_where_nothing_was_entered():
    again = [look("s1")] * 3
    assert session(*again, look("s2"))["repeat.max"] == 3
    assert session(*again, look("s1", event__action="update"), look("s2"))["repeat.max"] == 1
    assert session(look("s1", "explained"), look("s1", "explained"))["repeat.max"] == 0


def test_the_work_after_a_long_pause_is_compared_with_the_work_before():
    minute, start = 60_000, at("2026-04-15 10:00")

    def work(pause: float, op: str) -> list[dict[str, Any]]:
        own = {"session.id": "W1", "subject.token": "s1"}
        first = [
            own | {"op.code": "X", "explained": "explained", "time.occurred": start + n * minute} for n in range(3)
        ]
        later = [own | {"op.code": op, "explained": "unexplained", "time.occurred": int(start + (2 + pause + n) * minute)}
                 for n in range(3)]  # fmt: skip
        return first + later

    other, same, short = session(*work(15, "Y")), session(*work(15, "X")), session(*work(14.9, "Y"))
    assert (other["shift.ops"], other["shift.unexplained"]) == (1.0, 1.0)
    assert (same["shift.ops"], same["shift.unexplained"]) == (0.0, 1.0)
    assert (short["shift.ops"], short["shift.unexplained"]) == (0.0, 0.0)


def test_a_log_off_after_a_long_pause_is_no_other_work():
    start = at("2026-04-15 10:00")
    rows = [{"op.code": "X", "session.id": "W1"}, {"event.action": "logoff", "op.code": "OUT", "session.id": "W1",
            "time.occurred": start + 60 * 60_000}]  # fmt: skip
    assert session(*rows)["shift.ops"] == 0.0


def test_a_system_or_device_is_the_most_frequent_one_and_ties_do_not_depend_on_order():
    rows = [{"system.id": name, "session.id": None} for name in ("b", "a", None, None, None)]
    assert session(*rows)["system.id"] == session(*rows[::-1])["system.id"] == "a"


def test_what_the_register_says_is_that_of_the_last_event():
    assert session({"person.dept": "tax"}, {"person.dept": "welfare"})["person.dept"] == "welfare"


def test_warnings_are_fast_under_a_second():
    assert session({"warning.ack_ms": 999}, {"warning.ack_ms": 1000}, {"warning.ack_ms": None})["warn.fast"] == 1


def test_rows_of_one_event_and_rows_taken_are_told_apart():
    got = session({"resource.count": 900}, {"resource.count": 7, "event.action": "export"})
    assert (got["rows.max"], got["rows.sum"]) == (900, 7)


def test_a_day_is_summed_up_over_sessions_and_systems():
    got = day(
        look(system__id="x", session__id="1"), look(system__id="y", session__id="2"), look("s2", src__device="T2")
    )
    assert (got["sessions"], got["systems"], got["n.devices"], got["n.unexplained_subjects"]) == (3, 2, 2, 2)
    assert got["actor.id"] == "a"


def test_what_nobody_did_is_nobodys_day():
    assert features.days(with_sessions({"actor.id": None}), 100).is_empty()


def test_midnight_parts_days_and_not_sessions():
    late = [{"time.occurred": at("2026-04-15 23:59")}, {"time.occurred": at("2026-04-16 00:01")}]
    assert features.sessions(with_sessions(*late)).height == 1
    assert features.days(with_sessions(*late), 100)["events"].to_list() == [1, 1]


@pytest.mark.parametrize(("rows", "near"), [(79, 0), (80, 1), (99, 1), (100, 0), (None, 0)])
def test_an_export_just_below_the_limit_is_counted(rows: int | None, near: int):
    assert day({"event.action": "export", "resource.count": rows})["near_limit"] == near


def test_without_a_declared_limit_nothing_is_near_it():
    assert day({"event.action": "export", "resource.count": 99}, limit=None)["near_limit"] is None


def test_a_row_does_not_depend_on_the_rows_beside_it():
    rows = [
        look(f"s{n % 5}", ("explained", "unexplained", None)[n % 3], session__id=f"W{n % 7}", subject__step=n % 3,
             op__code=f"X{n % 4}", time__occurred=at("2026-04-15 10:00") + n * n * 7_919, resource__count=n)
        for n in range(60)
    ]  # fmt: skip
    events = with_sessions(*rows)
    for together, by in (
        (features.sessions(events), "session"),
        (features.days(events.with_columns(pl.col("session").alias("actor.id")), 50), "actor.id"),
    ):
        assert together.height == 7
        for row in together.iter_slices(1):
            own = events.filter(pl.col("session") == row[by].item())
            if by == "session":
                assert features.sessions(own).equals(row)
            else:
                assert features.days(own.with_columns(pl.col("session").alias("actor.id")), 50).equals(row)


def test_the_columns_of_a_day_are_enough_to_sum_it_up():
    rows = with_sessions(look(), look("s2", event__action="export"))
    assert features.days(rows.select(features.DAY_COLUMNS), 100).equals(features.days(rows, 100))
