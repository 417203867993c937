"""Sessions: where they begin, where they end, and that the way the input is cut does not matter."""

import polars as pl
import pytest

from contract import event
from detector import sessionise

MINUTE = 60_000
LIMITS = sessionise.Limits()


def events(*rows: dict[str, object]) -> pl.DataFrame:
    filled = [
        {"event.id": f"{n:016x}", "event.class": "access", "actor.id": "a", "src.device": "T1"} | row
        for n, row in enumerate(rows)
    ]
    return pl.DataFrame(filled, schema=event.schema())


def at(minute: float, **more: object) -> dict[str, object]:
    names = {
        "action": "event.action",
        "own": "session.id",
        "device": "src.device",
        "actor": "actor.id",
        "subject": "subject.token",
    }
    return {"time.occurred": int(minute * MINUTE)} | {names[key]: value for key, value in more.items()}


def sessions_of(frame: pl.DataFrame) -> list[str]:
    return assigned(frame)["session"].to_list()


def assigned(frame: pl.DataFrame, limits: sessionise.Limits = LIMITS) -> pl.DataFrame:
    return sessionise.assign(sessionise.no_tails(), frame, limits)[0]


def test_a_pause_of_half_an_hour_is_still_one_session():
    assert len(set(sessions_of(events(at(0), at(30))))) == 1


def test_a_longer_pause_begins_a_new_session():
    assert len(set(sessions_of(events(at(0), at(30.001))))) == 2


def test_a_session_of_the_system_itself_lasts_over_lunch():
    assert len(set(sessions_of(events(at(0, own="W1"), at(90, own="W1"))))) == 1


@pytest.mark.parametrize("closer", ["logoff", "timeout"])
def test_what_comes_after_the_end_is_another_session(closer: str):
    names = sessions_of(events(at(0, own="W1"), at(1, own="W1", action=closer), at(2, own="W1")))
    assert names[0] == names[1] != names[2]


def test_two_devices_are_two_sessions_and_so_are_two_people():
    assert len(set(sessions_of(events(at(0), at(1, device="T2"), at(2, actor="b"))))) == 3


def test_a_log_off_comes_after_what_happened_in_the_same_millisecond():
    names = sessions_of(events(at(0, action="logoff"), at(0, action="read")))
    assert len(set(names)) == 1


def test_an_event_without_actor_has_a_session_too():
    assert None not in sessions_of(events({"time.occurred": 0, "actor.id": None, "src.device": None}))


def test_what_nobody_did_is_kept_apart_by_agent_and_source():
    def nobody(agent: str, source: str, own: str | None = None) -> dict[str, object]:
        return {"time.occurred": 0, "actor.id": None, "agent.id": agent, "source.id": source, "session.id": own}

    alike = [nobody("ag1", "sshd"), nobody("ag1", "sshd")]
    assert len(set(sessions_of(events(*alike, nobody("ag2", "sshd"), nobody("ag1", "doors"))))) == 3
    assert len(set(sessions_of(events(nobody("ag1", "sshd", "p7"), nobody("ag2", "sshd", "p7"))))) == 2


def test_a_service_account_that_never_pauses_is_cut():
    rows = assigned(events(*(at(n) for n in range(25))), sessionise.Limits(events=10))
    assert rows.group_by("session").len()["len"].sort().to_list() == [5, 10, 10]


@pytest.mark.parametrize("limits", [LIMITS, sessionise.Limits(events=4)])
def test_what_was_said_of_an_event_is_not_changed_by_later_ones(limits: sessionise.Limits):
    def row(n: int) -> dict[str, object]:
        action = {0: "logoff", 5: "read"}.get(n % 13, "search")
        minute = n * 7 % 90 + 100 * (n // 40)
        return at(minute, own="W1" if n % 3 else None, subject=f"s{n % 4}", action=action, actor="ab"[n % 11 == 0])

    whole = events(*(row(n) for n in range(120))).sort(sessionise.order())
    everything = assigned(whole, limits)
    tails, parts = sessionise.no_tails(), []
    times = whole["time.occurred"].unique().sort().to_list()
    for first, after in zip([0, *times[4::5]], [*times[4::5], times[-1] + 1], strict=True):
        rows, tails = sessionise.assign(
            tails, whole.filter(pl.col("time.occurred").is_between(first, after - 1)), limits
        )
        tails = tails.filter(~sessionise.is_closed(after - 1, limits))
        parts.append(rows)
    assert pl.concat(parts).sort("event.id").equals(everything.sort("event.id"))


def test_the_empty_frame_has_all_columns():
    rows = assigned(event.empty())
    assert rows.is_empty()
    assert set(sessionise.SEQUENCE) <= set(rows.columns)


@pytest.mark.parametrize("unit", [1000, MINUTE, sessionise.DAY_MS])
def test_a_duration_does_not_depend_on_the_rows_beside_it(unit: int):
    given = pl.DataFrame({"ms": [unit * n // 7 for n in range(2000)]})
    exact = sessionise.in_units(pl.col("ms"), unit)
    together = given.select(exact).to_series().to_list()
    assert together[::7] == [float(n) for n in range(286)]
    assert all(given[n : n + 1].select(exact).item() == together[n] for n in range(0, 2000, 13))
