"""site.toml."""

import pytest

from registers.config import ConfigError, SiteConfig, parse

# The example of the contract, as it stands there.
EXAMPLE = """
name = "架空市"
time_zone = "Asia/Tokyo"
subjects_are_tokens = false

[office_hours]
from = "08:30"
to = "17:15"

[holidays]
country = "JP"
local = ["2026-12-29"]

[limits]
export_rows_needing_approval = 100
idle_min = 15
heartbeat_s = 600
handover_days = 5
grace_days = 7
dormant_days = 180
inquiry_items = ["T42", "T43"]

[keys]
site = "keys/site.key"

[[emergencies]]
name = "地震対応 第1号"
from = "2026-03-21T03:40:00+09:00"
to = "2026-03-31T00:00:00+09:00"
systems = ["disaster"]

[[contractors]]
company = "㈱架空"
approved = true
approved_on = "R7.4.1"
application_ref = "7-12"
systems = ["disaster"]
subcontractor_of = "株式会社　親"
max_handlers = 9

[[offices]]
id = "honcho"
name = "本庁舎"
network = "10.11.0.0/16"

[[travel]]
between = ["honcho", "kita"]
minutes = 35

[systems.welfare]
name = "生活保護システム"
pia = "kanagawa-9"
auth = "card+password"
sources = ["welfare-ops"]
departments = ["seikatsu"]
inquiry_items = ["T42", "T43"]
provision_items = []
[systems.disaster]
name = "被災者台帳システム"
pia = "sakai-48"
prohibited = ["provide", "inquire", "send"]
import_from = ["shiminzei", "shimin"]

[departments]
shimin = "市民課"
"""


def _problems(toml: str) -> list[str]:
    with pytest.raises(ConfigError) as refused:
        parse(toml)
    return list(refused.value.problems)


def test_the_example_of_the_contract_is_read():
    site = parse(EXAMPLE)
    assert site.office_hours is not None
    assert (site.office_hours.from_min, site.office_hours.to_min) == (510, 1035)
    assert site.limits.grace_days == 7
    assert site.systems["welfare"].provision_items == []
    assert site.systems["welfare"].prohibited is None
    assert site.emergencies[0].systems == ["disaster"]
    assert site.contractors[0].company == "(株)架空"
    assert site.moment(site.contractors[0].approved_on) == 1743433200000
    assert site.moment("R7.4.1", end_of_day=True) == 1743433200000 + 86_399_999
    assert site.moment(None) is None


def test_everything_may_be_left_out_and_nothing_is_guessed():
    site = parse("")
    assert site == SiteConfig()
    assert site.office_hours is None
    assert site.holidays is None
    assert set(site.limits.model_dump().values()) == {None}
    assert parse("[systems.welfare]").systems["welfare"].departments is None
    assert parse("[holidays]").holidays is not None


def test_dates_and_times_may_stand_without_quotes():
    site = parse(
        "[office_hours]\nfrom = 08:30:00\nto = 17:15:00\n[[emergencies]]\nfrom = 2026-03-21T03:40:00+09:00\nto = 2026-03-31"
    )
    assert site.office_hours is not None
    assert site.office_hours.from_min == 510
    assert site.moment(site.emergencies[0].start) == 1774032000000


def test_every_problem_is_named_at_once_with_what_to_do():
    toml = (
        EXAMPLE.replace("idle_min", "idle_mins")
        .replace("minutes = 35", 'minutes = "35"')
        .replace('pia = "sakai-48"', 'pai = "sakai-48"')
        .replace('"Asia/Tokyo"', '"Asia/Tokio"')
        .replace('"R7.4.1"', '"R7.14.1"')
        .replace("10.11.0.0/16", "10.11")
        .replace('"JP"', '"Japan"')
        .replace("[departments]", "[department]")
        .replace('to = "17:15"', 'until = "17:15"')
        .replace('company = "㈱架空"', 'company = " "')
    )
    assert _problems(toml) == [
        "time_zone: no time zone 'Asia/Tokio': use an IANA name such as Asia/Tokyo",
        "office_hours.to: missing, add it",
        "office_hours.until: unknown key, remove it",
        "holidays.country: 'Japan' is no country: use an ISO code such as JP",
        'limits.idle_mins: unknown key, did you mean "idle_min"?',
        "contractors.1.company: is empty: fill it in or remove the key",
        "contractors.1.approved_on: 'R7.14.1' is no date: write 2026-04-01, 2026-04-01 08:30 or R8.4.1",
        "offices.1.network: '10.11' is no network: write 10.11.0.0/16",
        "travel.1.minutes: input should be a valid integer, got '35'",
        'systems.disaster.pai: unknown key, did you mean "pia"?',
        'department: unknown key, did you mean "departments"?',
    ]


@pytest.mark.parametrize(
    ("toml", "problem"),
    [
        ("a =", "is no valid TOML: Invalid value (at end of document)"),
        ("name = 3", "name: input should be a valid string, got 3"),
        ("[systems]\nwelfare = 3", "systems.welfare: must be a table of keys, got 3"),
        ("emergencies = 3", "emergencies: input should be a valid list, got 3"),
        ("[limits]\ngrace_days = -1", "limits.grace_days: input should be greater than or equal to 0, got -1"),
        ("subjects_are_tokens = 1", "subjects_are_tokens: input should be a valid boolean, got 1"),
        ('[office_hours]\nfrom = "8"\nto = "17:00"', "office_hours.from: '8' is no time of day: write 08:30"),
        ('[office_hours]\nfrom = "17:00"\nto = "08:30"', "office_hours.to: '08:30' is not after from '17:00'"),
        (
            '[[emergencies]]\nfrom = "2026-04-02"\nto = "2026-04-01"',
            "emergencies.1.to: '2026-04-01' lies before from '2026-04-02'",
        ),
        ('[[travel]]\nbetween = ["a"]\nminutes = 1', "travel.1.between: list should have at least 2 items after validation, not 1, got ['a']"),
        ('[[emergencies]]\nform = "2026-04-02"', 'emergencies.1.from: missing, add it'),
    ],
)  # fmt: skip
def test_a_wrong_value_is_named(toml, problem):
    assert _problems(toml)[0] == problem
