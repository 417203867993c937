"""`sekimori archive tables`: events, findings, decisions and sessions as Parquet by day, made from the archive's segments."""

from __future__ import annotations

import argparse
from pathlib import Path

from commands import show
from commands.failure import Failure
from detector.archive import derive, store
from detector.archive.derive import BusyError, DamagedError
from detector.archive.store import StoreError
from registers import config
from registers.config import ConfigError, SiteConfig


def run(options: argparse.Namespace) -> int:
    """Run the sub-command; returns the exit status: 0 done, 1 done and something was refused."""
    out = options.out or (Path(options.folder) if "://" not in options.folder else None)
    if out is None:
        raise Failure(f"{options.folder}: give --out a local folder for the tables")
    try:
        sources = derive.sources_of(options.topic, options.findings_topic, options.decisions_topic)
        where = store.opened(options.folder)
        made = derive.derive(where, out, _zone(options.site), again=options.again, sources=sources)
    except (BusyError, DamagedError, StoreError) as error:
        raise Failure(str(error)) from None
    except OSError as error:
        raise Failure(
            f"{error.filename or out}: {error.strerror or error}: free space there, or check its permissions"
        ) from None
    for table, days in made.days.items():
        if not days and table not in made.rows:
            continue
        rows, refused = made.rows.get(table, 0), made.refused.get(table, 0)
        more = f", {refused:,} lines are none" if refused else ""
        show.say(f"{out / table}: {rows:,} rows of {len(days):,} days{more}")
    show.say(f"{made.segments:,} segments read")
    return 1 if any(made.refused.values()) else 0


def _zone(site: Path | None) -> str:
    """The time zone that a site declares."""
    if site is None:
        return SiteConfig().time_zone
    path = site / "site.toml"
    try:
        return config.parse(path.read_text(encoding="utf-8")).time_zone
    except ConfigError as error:
        raise Failure("\n".join(f"{path}: {problem}" for problem in error.problems)) from None
    except OSError as error:
        raise Failure(f"{path}: cannot be read ({error.strerror}): give --site the folder with site.toml") from None
    except UnicodeDecodeError:
        raise Failure(f"{path}: is no UTF-8: save it as UTF-8") from None
