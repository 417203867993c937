"""A small office: its logs are read without a refusal, and its truth speaks of events that are there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from collector.ingest import ingest
from collector.sources import shipped
from registers.site import load
from registers.tokens import SiteKey
from simulator.office import Summary, simulate


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Summary]:
    out = tmp_path_factory.mktemp("office")
    return out, simulate(out, seed=7)


@pytest.fixture(scope="module")
def events(office: tuple[Path, Summary]) -> pl.DataFrame:
    out, _ = office
    problems: list[str] = []
    key = SiteKey.read(out / "site" / "keys" / "site.key")
    parsed = list(ingest([out / "logs"], shipped(), key, "Asia/Tokyo", problems=problems))
    assert problems == []
    refused = pl.concat([piece.rejected for piece in parsed])
    assert refused.rows() == []
    return pl.concat([piece.events for piece in parsed])


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_every_line_is_read(office: tuple[Path, Summary], events: pl.DataFrame) -> None:
    assert events.height == office[1].events
    assert events.get_column("event.id").is_unique().all()


def test_every_event_of_the_truth_exists(office: tuple[Path, Summary], events: pl.DataFrame) -> None:
    out, _ = office
    there = set(events.get_column("event.id"))
    for name in ("truth", "lookalikes"):
        for episode in lines(out / f"{name}.ndjson"):
            ids = episode["event_ids"]
            assert isinstance(ids, list)
            assert ids, episode
            assert set(ids) <= there, episode


def test_the_actor_of_an_episode_is_named_in_its_events(office: tuple[Path, Summary], events: pl.DataFrame) -> None:
    out, _ = office
    evidence = {"ag-kita", "doors", "root"}
    for name in ("truth", "lookalikes"):
        for episode in lines(out / f"{name}.ndjson"):
            mine = events.filter(pl.col("event.id").is_in(episode["event_ids"]))
            named = set(mine.get_column("actor.id").drop_nulls()) | set(mine.get_column("agent.id").drop_nulls())
            assert episode["actor"] in named | evidence, episode
            assert mine.get_column("time.occurred").min() == episode["first"]
            assert mine.get_column("time.occurred").max() == episode["last"]


def test_forty_scenarios_in_two_shapes_each(office: tuple[Path, Summary]) -> None:
    out, summary = office
    shapes: dict[object, set[object]] = {}
    for episode in lines(out / "truth.ndjson"):
        shapes.setdefault(episode["scenario"], set()).add(episode["shape"])
    assert sum(len(names) >= 2 for names in shapes.values()) >= 40
    assert summary.episodes == len(lines(out / "truth.ndjson"))
    assert len({episode["scenario"] for episode in lines(out / "lookalikes.ndjson")}) >= 40


def test_the_site_is_in_order(office: tuple[Path, Summary]) -> None:
    site = load(office[0] / "site")
    assert site.problems == ()
    assert site.missing == frozenset()


def test_a_few_proper_accesses_have_no_reason_recorded(office: tuple[Path, Summary], events: pl.DataFrame) -> None:
    out, _ = office
    tables = load(out / "site").tables
    bad = [i for episode in lines(out / "truth.ndjson") for i in episode["event_ids"]]
    seen = events.filter(pl.col("subject.token").is_not_null() & ~pl.col("event.id").is_in(bad))
    people = tables["accounts"].filter(pl.col("system") == "disaster").select(pl.col("account"), person="actor_id")
    seen = seen.join(people, left_on="actor.id", right_on="account", how="left")
    seen = seen.with_columns(person=pl.coalesce("person", "actor.id"))
    cases = tables["assignments"].select("subject.token", person="actor_id", case=True).drop_nulls().unique()
    wards = tables["assignments"].select("area", person="actor_id", ward=True).drop_nulls().unique()
    seen = seen.join(cases, on=["subject.token", "person"], how="left", maintain_order="left")
    seen = seen.join(wards, left_on=["subject.area", "person"], right_on=["area", "person"], how="left")
    stated = pl.col("basis.ref").is_in(tables["bases"].get_column("basis_ref").unique().to_list())
    none = seen.filter(~(stated.fill_null(False) | pl.col("case").fill_null(False) | pl.col("ward").fill_null(False)))
    assert 0.05 <= none.height / seen.height <= 0.08


def test_an_office_of_the_issue(office: tuple[Path, Summary]) -> None:
    staff = pl.read_csv(office[0] / "site" / "staff.csv", infer_schema_length=0)
    people = staff.filter(pl.col("type") == "staff")
    assert people.get_column("actor_id").n_unique() >= 150
    assert people.get_column("dept").drop_nulls().n_unique() == 7
    assert 90_000 <= office[1].events <= 200_000


def test_same_seed_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        simulate(tmp_path / name, seed=3 + (name == "c"), days=4, staff=40, misuse=8)
    files = sorted(p.relative_to(tmp_path / "a") for p in (tmp_path / "a").rglob("*") if p.is_file())
    assert files == sorted(p.relative_to(tmp_path / "b") for p in (tmp_path / "b").rglob("*") if p.is_file())
    for file in files:
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()
    assert (tmp_path / "a" / "truth.ndjson").read_bytes() != (tmp_path / "c" / "truth.ndjson").read_bytes()


def test_no_misuse_no_truth(tmp_path: Path) -> None:
    summary = simulate(tmp_path, days=3, staff=40, misuse=0)
    assert summary.episodes == summary.lookalikes == 0
    assert (tmp_path / "truth.ndjson").read_bytes() == b""


def test_volume_multiplies_ordinary_work(tmp_path: Path) -> None:
    one = simulate(tmp_path / "1", days=3, staff=40, misuse=0)
    five = simulate(tmp_path / "5", days=3, staff=40, misuse=0, volume=5)
    assert five.events > 2 * one.events


@pytest.mark.parametrize(("name", "value"), [("days", 1), ("staff", 3), ("misuse", -1), ("volume", float("nan"))])
def test_an_argument_out_of_range_is_named(tmp_path: Path, name: str, value: float) -> None:
    with pytest.raises(ValueError, match=name):
        simulate(tmp_path, **{name: value})  # type: ignore[arg-type]
