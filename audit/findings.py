"""Findings as a folder holds them: a flat table of all of them, and in full the few that are shown.

`sekimori analyze` writes `findings.ndjson`, `sekimori archive tables` Parquet by day. Both may be long: of each finding only what the
table needs is kept, and where it stands.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import polars as pl

SUPPRESSED: Final = 3
NAME: Final = "findings.ndjson"

SCHEMA: Final = pl.Schema(
    {
        "uid": pl.String(),
        "time": pl.Int64(),
        "first": pl.Int64(),
        "last": pl.Int64(),
        "rule": pl.String(),
        "rules": pl.List(pl.String()),
        "family": pl.String(),
        "severity": pl.Int64(),
        "risk": pl.Float64(),
        "queue": pl.String(),
        "is_alert": pl.Boolean(),
        "status": pl.Int64(),
        "explained": pl.String(),
        "kind": pl.String(),
        "actor": pl.String(),
        "actors": pl.List(pl.String()),
        "session": pl.String(),
        "device": pl.String(),
        "events": pl.Int64(),
        "subjects": pl.Int64(),
        "event": pl.String(),
        "controls": pl.List(pl.String()),
        "title_ja": pl.String(),
        "title_en": pl.String(),
        "file": pl.String(),
        "offset": pl.Int64(),
    }
)


@dataclass(frozen=True, slots=True)
class Findings:
    """What a folder holds.

    Attributes:
        table: One row per finding in `SCHEMA`, worst first: by severity and risk, then time and uid. `event` is its
            first event's id; `file` and `offset` say where it stands: the place of its line, or the number of its row.
        bad_lines: Numbers of lines that hold no finding.
        folder: Where its files are.
    """

    table: pl.DataFrame
    bad_lines: tuple[int, ...]
    folder: Path

    @property
    def serious(self) -> pl.DataFrame:
        """Rows that ask for a person: queue `alert` or `review`, not suppressed."""
        return self.table.filter(pl.col("queue").is_in(["alert", "review"]) & (pl.col("status") != SUPPRESSED))

    def in_full(self, uids: Sequence[str]) -> list[Mapping[str, Any]]:
        """The findings of these uids, in the order asked for; those that are not there are left out."""
        wanted = pl.DataFrame({"uid": uids}, schema={"uid": pl.String})
        places = wanted.join(self.table.select("uid", "file", "offset"), on="uid", maintain_order="left")
        found: dict[tuple[str, int], Mapping[str, Any]] = {}
        for (file,), rows in places.group_by("file", maintain_order=True):
            for offset, text in _texts(self.folder / str(file), rows["offset"].to_list()):
                found[str(file), offset] = json.loads(text)
        return [found[place] for place in places.select("file", "offset").iter_rows()]


def read(folder: Path) -> Findings:
    """Read findings; a later line of the same uid (an update) replaces the earlier one.

    Args:
        folder: With `findings.ndjson`, or `findings/` with Parquet by day; both need not exist.
    """
    rows: dict[str, tuple[Any, ...]] = {}
    bad: list[int] = []
    for number, (file, offset, line) in enumerate(_lines(folder), start=1):
        try:
            row = (*_row(json.loads(line)), file, offset)
        except (ValueError, KeyError, TypeError, IndexError):  # no JSON, or no finding
            bad.append(number)
        else:
            rows[row[0]] = row
    table = pl.DataFrame(list(rows.values()), schema=SCHEMA, orient="row", strict=False)
    order = ["severity", "risk", "time", "uid"]
    return Findings(table.sort(order, descending=[True, True, False, False]), tuple(bad), folder)


def _lines(folder: Path) -> Iterator[tuple[str, int, bytes | str]]:
    """File, place and text of every finding."""
    path = folder / NAME
    if path.exists():
        with path.open("rb") as file:
            offset = 0
            for line in file:
                if line.strip():
                    yield NAME, offset, line
                offset += len(line)
        return
    for day in sorted((folder / "findings").glob("[0-9]*.parquet")):
        for number, text in enumerate(pl.read_parquet(day, columns=["finding"])["finding"]):
            yield f"findings/{day.name}", number, text


def _texts(path: Path, offsets: Sequence[int]) -> Iterator[tuple[int, bytes | str]]:
    if path.suffix == ".parquet":
        texts = pl.read_parquet(path, columns=["finding"])["finding"]
        yield from ((offset, texts[offset]) for offset in offsets)
        return
    with path.open("rb") as file:
        for offset in offsets:
            file.seek(offset)
            yield offset, file.readline()


def _row(found: Mapping[str, Any]) -> tuple[Any, ...]:
    """One finding in the order of `SCHEMA`, without where it stands."""
    info, more = found["finding_info"], found["unmapped"]
    shares = sorted(more["shares"], key=lambda share: (-share["share"], share["family"]))
    related = [item["uid"] for item in info["related_events"]]
    seen = [item.get("actor", {}) for item in found["evidences"]]
    actors = [who["user"]["uid"] for who in seen if "user" in who]
    sessions = [who["session"]["uid"] for who in seen if "session" in who]
    places = [item["src_endpoint"] for item in found["evidences"] if "src_endpoint" in item]
    devices = [place.get("uid") or place.get("ip") for place in places]
    title = more.get("title") or {"ja": info["title"], "en": info["analytic"]["name"]}
    return (
        info["uid"],
        found["time"],
        info["first_seen_time"],
        info["last_seen_time"],
        info["analytic"]["uid"],
        [info["analytic"]["uid"], *(item["uid"] for item in info["related_analytics"])],
        shares[0]["family"] if shares else None,
        found["severity_id"],
        float(found["risk_score"]),
        more["queue"],
        found["is_alert"],
        found["status_id"],
        more["explained"],
        more.get("kind"),
        actors[0] if actors else None,
        actors,
        sessions[0] if sessions else None,
        devices[0] if devices else None,
        len(related),
        len({item["uid"] for item in found["resources"]}),
        min(related) if related else None,
        list(more["controls"]),
        title["ja"],
        title["en"],
    )
