import random
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from contract import event
from detector.enrich import ENRICHED, Enricher, enrich
from detector.explain import explain
from registers.register import REGISTERS
from registers.site import Site
from tests.detector.offices import at, events, site

TOML = """
[office_hours]
from = "08:30"
to = "17:15"
[holidays]
country = "JP"
[limits]
grace_days = 3
handover_days = 5
[[contractors]]
company = "x1"
approved = true
[[offices]]
id = "honcho"
network = "10.0.0.0/8"
[systems.x1]
departments = ["x1", "x2"]
auth = "card"
[systems.x2]
import_from = ["x3"]
[[emergencies]]
from = "2026-04-05"
to = "2026-04-09"
systems = ["x2"]
"""


def any_office(rng: random.Random) -> Site:
    """Registers in which the same few words stand everywhere, so that everything meets everything."""

    def cell(name: str, dtype: Any) -> Any:
        if rng.random() < 0.2:
            return None
        if dtype == pl.Int64:
            return at("2026-04-01") + rng.randrange(-20, 20) * 43_200_000
        if dtype == pl.Boolean:
            return rng.random() < 0.5
        kinds = ("staff", "vendor", "service", "leave", "on-site", "overtime", "terminal", "card", "media")
        return rng.choice(
            kinds if name in ("kind", "type") else ("x1", "x2", "x3", "*" if name == "function" else "x4")
        )

    tables = {
        name: [{column: cell(column, dtype) for column, dtype in register.schema().items()} for _ in range(25)]
        for name, register in REGISTERS.items()
    }
    return site(TOML, **tables)


def any_events(rng: random.Random, count: int) -> pl.DataFrame:
    def cell(field: event.Field) -> Any:
        if field.key == "time.occurred":
            return at("2026-04-01") + rng.randrange(-15 * 86_400_000, 15 * 86_400_000)
        if field.key not in event.REQUIRED and rng.random() < 0.2:
            return None
        if field.values:
            return rng.choice(field.values)
        if field.kind == "int":
            return rng.randrange(5)
        return rng.random() < 0.5 if field.kind == "bool" else rng.choice(("x1", "x2", "x3", "x4", "10.0.0.1", ""))

    return events(*({field.key: cell(field) for field in event.FIELDS} for _ in range(count)))


@pytest.mark.parametrize("seed", range(6))
def test_a_row_depends_on_no_other_row(seed):
    rng = random.Random(seed)
    office, frame = Enricher(any_office(rng)), any_events(rng, 120)
    whole = explain(enrich(frame, office))

    order = rng.sample(range(frame.height), frame.height)
    cut = rng.randrange(frame.height)
    parts = [explain(enrich(part, office)) for part in (frame[order][:cut], frame[order][cut:])]

    assert_frame_equal(pl.concat(parts), whole[order])
    assert_frame_equal(pl.concat([explain(enrich(frame[i : i + 1], office)) for i in range(20)]), whole[:20])


@pytest.mark.parametrize("seed", range(6))
def test_the_order_of_columns_and_rows_is_kept(seed):
    rng = random.Random(seed)
    frame = any_events(rng, 50)
    found = enrich(frame, any_office(rng))

    assert found.columns == [*frame.columns, *ENRICHED]
    assert [found.schema[name] for name in ENRICHED] == [column.dtype for column in ENRICHED.values()]
    assert_frame_equal(found.select(frame.columns), frame)


def test_without_a_site_only_the_clock_and_the_log_speak():
    frame = any_events(random.Random(1), 200)
    found = enrich(frame, Site.none())

    speaking = {name for name in ENRICHED if found[name].null_count() < found.height}
    assert speaking == {
        "person.id", "person.type", "subject.home", "time.hour", "time.date", "time.weekday", "target.self", "approver.self",
    }  # fmt: skip
    assert explain(found)["explained"].null_count() == found.height


@pytest.mark.parametrize("absent", sorted(REGISTERS))
def test_a_missing_register_leaves_null_what_needs_it(absent):
    rng = random.Random(7)
    whole = any_office(rng)
    tables = {name: [] for name in REGISTERS if name != absent}
    partial = site(TOML, **tables)
    frame = any_events(rng, 100)

    found = enrich(frame, partial)

    said_else = {"person.id", "person.type", "subject.home", "src.office", "target.self", "approver.self"}
    for name, column in ENRICHED.items():
        if column.needs[0].split(".")[0] == absent and name not in said_else:
            assert found[name].null_count() == found.height, name
    assert enrich(frame, whole).height == frame.height


def test_no_events_at_all():
    found = explain(enrich(event.empty(), any_office(random.Random(3))))

    assert found.height == 0
    assert found.columns == [*event.KEYS, *ENRICHED, "explained", "explained.by"]


def test_events_with_few_keys_are_enriched_too():
    frame = pl.DataFrame({"event.id": ["1"], "time.occurred": [at("2026-04-15")], "actor.id": ["x1"]})

    found = explain(enrich(frame, any_office(random.Random(3))))

    assert found.height == 1
    assert found.columns == [*frame.columns, *ENRICHED, "explained", "explained.by"]


def test_enriching_twice_is_enriching_once():
    office, frame = any_office(random.Random(4)), any_events(random.Random(5), 30)
    once = enrich(frame, office)

    assert_frame_equal(enrich(once, office), once)


def test_every_column_names_what_it_needs():
    known = {f"{name}.{column}" for name, register in REGISTERS.items() for column in register.columns} | set(REGISTERS)
    for name, column in ENRICHED.items():
        assert column.needs, name
        for need in column.needs:
            assert need in known or need.split(".")[0] == "site", (name, need)
        assert column.meaning[0].isupper() or column.meaning.split()[0] in ("staff,", "terminal,", "card"), name
        assert not column.meaning.endswith("."), name
