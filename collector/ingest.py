"""Files in, events out: find, recognise, cut, parse. Bad input becomes a line in `problems`; nothing stops."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from collector.parse import FALLBACK_YEAR, Parsed, State, parse
from collector.read import DEFAULT_LIMITS, Cutter, Limits, Unreadable, files, head, pieces
from collector.recognise import LINES, recognise
from collector.sources import TIMED, Source
from registers.tokens import SiteKey


@dataclass(frozen=True, slots=True)
class LogFile:
    """One file and what it was taken for.

    Attributes:
        path: Where it is.
        name: What it is called in positions: its path below the argument it came from.
        source: How it is read.
    """

    path: Path
    name: str
    source: Source


def find(
    paths: Sequence[Path], sources: Sequence[Source], problems: list[str], source: Source | None = None
) -> list[LogFile]:
    """The log files below some paths.

    Args:
        paths: Files and folders.
        sources: Candidates for recognition by content.
        problems: Gets a line for every path that cannot be read and every file that is of no source.
        source: If given, every file is of this source.

    Returns:
        The files sorted by source and name, each once.
    """
    return take([pair for path in paths for pair in files(path, problems)], sources, problems, source)


def take(
    named: Iterable[tuple[Path, str]], sources: Sequence[Source], problems: list[str], source: Source | None = None
) -> list[LogFile]:
    """Those of some files (as `read.files` lists them) that are logs; else as `find`."""
    found: dict[Path, LogFile] = {}
    for file, name in named:
        log = _look(file, name, sources, problems, source)
        if log is not None:
            found.setdefault(file.resolve(), log)
    return sorted(found.values(), key=lambda log: (log.source.id, log.name, str(log.path)))


def _look(
    file: Path, name: str, sources: Sequence[Source], problems: list[str], source: Source | None
) -> LogFile | None:
    try:
        data = head(file)
    except Unreadable as error:
        problems.append(_named(error, file, name))
        return None
    chosen = source or recognise(data, name, sources)
    if chosen is None:
        what = "is binary, not a log" if b"\0" in data else "is of no known source"
        advice = "leave it out, or declare its source in a TOML (--sources)"
        problems.append(f"{name}: {what}, nothing of it was read: {advice}")
        return None
    return LogFile(file, name, chosen)


def _named(error: Unreadable, file: Path, name: str) -> str:
    return str(error).replace(f"{file.name}: ", f"{name}: ", 1)


def ingest(
    paths: Sequence[Path],
    sources: Sequence[Source],
    site_key: SiteKey,
    time_zone: str,
    *,
    problems: list[str],
    notes: list[str] | None = None,
    source: Source | None = None,
    reference_year: int | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> Iterator[Parsed]:
    """Read logs piece by piece; never raises for bad input.

    Args:
        paths: Files (plain or gzip) and folders.
        sources: What files are recognised as.
        site_key: Key of event ids, tokens and MACs.
        time_zone: IANA name, for stamps without zone.
        problems: Gets one line per file that could not be read, or not to its end.
        notes: Gets one line per assumption made, if wanted.
        source: If given, every file is of this source and none is guessed.
        reference_year: As for `read`.
        limits: Bounds of memory.

    Yields:
        One `Parsed` per piece, sorted by source and name, in file order. A file that stands twice in the paths is read once;
        a copy under another name gives the same event ids again.
    """
    logs = find(paths, sources, problems, source)
    yield from read(logs, site_key, time_zone, problems, [] if notes is None else notes, reference_year, limits)


def read(
    logs: Sequence[LogFile],
    site_key: SiteKey,
    time_zone: str,
    problems: list[str],
    notes: list[str],
    reference_year: int | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> Iterator[Parsed]:
    """Read log files that were found; never raises for bad input.

    Args:
        logs: What `find` gave.
        site_key: Key of event ids, tokens and MACs.
        time_zone: IANA name, for stamps without zone.
        problems: Gets one line per file that could not be read, or not to its end.
        notes: Gets one line per assumption made.
        reference_year: Year of the first stamp of files whose stamps have none; by default the year of the oldest
            first stamp among the files that have one, else 2000.
        limits: Bounds of memory.

    Yields:
        As `ingest`.
    """
    assumed = reference_year is None
    if reference_year is None and any(log.source.format in ("syslog", *TIMED) for log in logs):
        reference_year = _oldest_year(logs, site_key, time_zone)
    states: dict[str, State] = {}
    yearless: dict[str, None] = {}
    for log in logs:
        state = states.get(log.source.id, State()).next_file()
        try:
            for piece in pieces(log.path, log.name, log.source, limits):
                parsed = parse(piece, log.source, site_key, time_zone, state, reference_year)
                state = parsed.state
                if parsed.yearless and log.source.assume_year is None:
                    yearless[log.name] = None
                yield parsed
        except Unreadable as error:
            problems.append(_named(error, log.path, log.name))
        states[log.source.id] = state
    if yearless and assumed:
        notes.append(_assumption(list(yearless), reference_year or FALLBACK_YEAR))


def _assumption(names: Sequence[str], year: int) -> str:
    which = names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more"
    advice = "if it is another, say so (--year, or assume_year in a source file)"
    return f"{which}: stamps have no year, {year} was taken for the first one: {advice}"


def _oldest_year(logs: Sequence[LogFile], site_key: SiteKey, time_zone: str) -> int | None:
    """The year of the oldest first stamp among the files whose stamps have a year."""
    oldest: int | None = None
    for log in logs:
        cutter = Cutter(log.name, log.source)
        try:
            first = head(log.path)
        except Unreadable:  # told when it is read
            continue
        few = b"\n".join(first.split(b"\n")[:LINES])
        for piece in (*cutter.feed(few), *cutter.finish()):
            parsed = parse(piece, log.source, site_key, time_zone)
            times = parsed.events.get_column("time.occurred")
            if not parsed.yearless and times.len():
                oldest = min(times.item(0), oldest if oldest is not None else times.item(0))
    return None if oldest is None else datetime.fromtimestamp(oldest / 1000, tz=ZoneInfo(time_zone)).year
