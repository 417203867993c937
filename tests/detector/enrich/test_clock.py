from datetime import date

from contract.event import MAX_TIME
from detector.enrich import enrich
from registers.site import Site
from tests.detector.offices import at, end, events, one, site

TOML = """
[office_hours]
from = "08:30"
to = "17:15"
[holidays]
country = "JP"
local = ["2026-04-16"]
[[emergencies]]
name = "地震"
from = "2026-04-10T03:40:00+09:00"
to = "2026-04-20"
systems = ["disaster"]
"""


def clock(when, of=None):
    row = one(of or site(TOML), time__occurred=at(when))
    return tuple(row[f"time.{name}"] for name in ("hour", "weekday", "day_off", "office_hours"))


def test_office_hours_end_where_they_end():
    assert clock("2026-04-15 08:29:59") == (8, 3, False, False)
    assert clock("2026-04-15 08:30") == (8, 3, False, True)
    assert clock("2026-04-15 17:14:59") == (17, 3, False, True)
    assert clock("2026-04-15 17:15") == (17, 3, False, False)


def test_weekends_national_and_local_holidays_are_off():
    assert clock("2026-04-18 10:00") == (10, 6, True, False)
    assert clock("2026-04-29 10:00") == (10, 3, True, False)
    assert clock("2026-04-16 10:00") == (10, 4, True, False)


def test_the_date_is_the_sites():
    assert one(site(TOML), time__occurred=at("2026-04-15 00:30"))["time.date"] == date(2026, 4, 15)
    abroad = one(site('time_zone = "UTC"'), time__occurred=at("2026-04-15 00:30"))
    assert (abroad["time.date"], abroad["time.hour"]) == (date(2026, 4, 14), 15)


def test_what_is_not_declared_is_not_known():
    assert clock("2026-04-15 10:00", Site.none()) == (10, 3, None, None)
    # Outside the declared hours it is outside on any day.
    assert clock("2026-04-15 20:00", site('[office_hours]\nfrom = "08:30"\nto = "17:15"')) == (20, 3, None, False)


def test_the_ends_of_time():
    found = enrich(events({"time.occurred": 0}, {"time.occurred": MAX_TIME}), site(TOML))

    assert found["time.date"].to_list() == [date(1970, 1, 1), date(9999, 1, 1)]
    assert found["time.day_off"].to_list() == [True, None]


def test_an_emergency_is_declared_per_system():
    def active(system, when="2026-04-15"):
        return one(site(TOML), system__id=system, time__occurred=at(when))["emergency.active"]

    assert [active("disaster"), active("welfare"), active(None)] == [True, False, None]
    assert [active("disaster", "2026-04-10 03:39"), active("disaster", "2026-04-20 23:59")] == [False, True]
    assert active(None, "2026-04-21") is False
    assert one(Site.none(), system__id="disaster")["emergency.active"] is None


def test_an_emergency_that_names_no_system_is_the_whole_offices():
    of = site('[[emergencies]]\nfrom = "2026-04-15"')

    assert one(of, system__id="welfare")["emergency.active"] is True
    assert one(of)["emergency.active"] is True


PRESENCE = [
    {"actor_id": "a1", "kind": "leave", "from": at("2026-04-15 08:30"), "to": at("2026-04-15 12:00")},
    {"actor_id": "a1", "kind": "on-site", "from": at("2026-04-15 12:40"), "to": at("2026-04-15 19:00")},
    {"actor_id": "a2", "kind": "on-site", "from": at("2026-04-15 08:20")},
    {"actor_id": "a1", "kind": "overtime", "from": at("2026-04-15 17:15"), "to": at("2026-04-15 22:00")},
]


def presence(actor, when, of=None):
    row = one(of or site(presence=PRESENCE), actor__id=actor, time__occurred=at(when))
    return tuple(row[f"presence.{name}"] for name in ("leave", "onsite", "overtime"))


def test_half_a_day_of_leave():
    assert presence("a1", "2026-04-15 12:00") == (True, False, False)
    assert presence("a1", "2026-04-15 13:00") == (False, True, False)
    assert presence("a1", "2026-04-15 18:00") == (False, True, True)


def test_who_forgot_to_stamp_out_is_gone_at_midnight():
    assert presence("a2", "2026-04-15 23:59:59") == (False, True, False)
    assert presence("a2", "2026-04-16 00:00") == (False, False, False)


def test_a_register_of_leave_says_nothing_about_doors():
    assert presence("a1", "2026-04-15 10:00", site(presence=PRESENCE[:1])) == (True, None, False)
    assert presence("a1", "2026-04-15 10:00", Site.none()) == (None, None, None)
    assert presence(None, "2026-04-15 10:00") == (None, None, None)


def test_leave_by_whole_days():
    of = site(presence=[{"actor_id": "a1", "kind": "leave", "from": at("2026-04-14"), "to": end("2026-04-15")}])

    assert presence("a1", "2026-04-15 23:59", of)[0] is True
    assert presence("a1", "2026-04-16", of)[0] is False
