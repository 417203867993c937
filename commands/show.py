"""What a person at a terminal sees: progress while it works, a summary at the end."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final

from rich.console import Console
from rich.progress import BarColumn, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars
from rich.table import Table

from commands.say import say as say
from commands.say import stop as stop

if TYPE_CHECKING:
    from commands.analyze import Done
    from commands.truth import Comparison

PHASES: Final = {
    "simulate": "simulating a month",
    "read": "reading logs",
    "analyse": "analysing events",
    "decide": "deciding",
    "report": "writing the report",
}
MOST_LINES: Final = 12
# Control characters, and the ones that turn the direction of writing.
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
SEVERITIES: Final = {5: "critical", 4: "high", 3: "medium", 2: "low", 1: "informational"}


class Progress:
    """A progress bar per phase on standard error; silent when asked to be, or when nobody watches."""

    def __init__(self, quiet: bool = False) -> None:
        self._bars = Bars(
            SpinnerColumn(),
            TextColumn("{task.description:<20}"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f}%"),
            TimeElapsedColumn(),
            console=Console(stderr=True),
            transient=True,
            disable=quiet or not sys.stderr.isatty(),
        )
        self._task: TaskID | None = None

    def __enter__(self) -> Progress:
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.stop()

    def start(self, phase: str, total: float | None) -> None:
        """Begin a phase of `PHASES`; `total` in whatever `advance` counts, None if unknown."""
        if self._task is not None:
            self._bars.remove_task(self._task)
        self._task = self._bars.add_task(PHASES[phase], total=total)

    def advance(self, amount: float) -> None:
        """So much more is done."""
        if self._task is not None:
            self._bars.advance(self._task, amount)

    def reach(self, share: float) -> None:
        """The phase, begun with total 1, has come to this share."""
        if self._task is not None:
            self._bars.update(self._task, completed=share)


class _Console(Console):
    def on_broken_pipe(self) -> None:
        # The reader (`head`, a pager) has seen enough; the exit status still tells how the work went.
        self.quiet = True
        stop(sys.stdout)


def terminal(wide: int = 100) -> Console:
    """Where tables are printed; so many columns wide where the output goes to a file."""
    return _Console(width=None if sys.stdout.isatty() else wide, highlight=False)


def _lines(console: Console, heading: str, lines: list[str], rest: str = "") -> None:
    if not lines:
        return
    console.print(f"\n{heading}")
    for line in lines[:MOST_LINES]:
        console.print(f"  {_printable(line)}", markup=False, soft_wrap=True)
    if len(lines) > MOST_LINES:
        console.print(f"  … and {len(lines) - MOST_LINES} more{rest}", soft_wrap=True)


def _printable(line: str) -> str:
    """Text out of logs must not move the cursor of a terminal."""
    return _CONTROL.sub("\ufffd", line)


def aside(done: Done) -> None:
    """Print, on standard error, what `--json` leaves no room for."""
    for what, lines in (("problem", done.problems), ("refused", done.refused), ("note", done.notes)):
        for line in lines:
            say(f"{what}: {_printable(line)}", sys.stderr)


def summary(done: Done, out: Path) -> None:
    """Print what an analysis found."""
    console, numbers = terminal(), done.summary
    share = numbers["explained_share"]
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    refused = f" ({numbers['rejected']:,} lines refused)" if numbers["rejected"] else ""
    table.add_row("events", f"{numbers['events']:,}{refused}")
    table.add_row("sessions", f"{numbers['sessions']:,}")
    table.add_row("explained", "cannot be said" if share is None else f"{share:.1%} of the accesses to a person's data")
    raised = f"{numbers['alerts']} alerts, {numbers['review_items']} for review"
    table.add_row("findings", f"{numbers['findings']:,}: {raised}")
    by_severity = _by_severity(done)
    if by_severity:
        table.add_row("by severity", ", ".join(f"{name} {count}" for name, count in by_severity.items()))
    table.add_row("model", _model(done))
    table.add_row("took", f"{numbers['seconds']:.1f} s, {numbers['peak_rss_mb']:,.0f} MB")
    console.print(table)
    _top(console, done)
    _lines(console, "could not be read or used", done.problems, f"; all stand in {out / 'runs.ndjson'}")
    _lines(console, f"refused, kept in {out / 'rejected.ndjson'}", done.refused)
    _lines(console, "notes", done.notes)
    made = [str(out / f"report.{face}") for face in ("html", "pdf", "xlsx") if (out / f"report.{face}").exists()]
    console.print(f"\nreport: {', '.join(made)}", soft_wrap=True)


def _by_severity(done: Done) -> dict[str, int]:
    shown = [finding["severity_id"] for finding in done.result.findings if finding["unmapped"]["queue"] != "none"]
    return {name: shown.count(level) for level, name in SEVERITIES.items() if shown.count(level)}


def _model(done: Done) -> str:
    return {
        "pinned": "as given",
        "retrospective": "fitted on this period itself (retrospective)",
        "rules": "none: too few sessions, rules only",
    }[done.result.mode]


def _top(console: Console, done: Done) -> None:
    alerts = [finding for finding in done.result.findings if finding["is_alert"]]
    alerts.sort(key=lambda finding: (-finding["risk_score"], finding["time"], finding["finding_info"]["uid"]))
    _lines(console, "alerts, the most serious first", [_alert(finding) for finding in alerts])


def _alert(finding: dict[str, Any]) -> str:
    first = finding["unmapped"]["text"]["en"].split(". ")[0].rstrip(".")
    return f"{finding['risk_score']:>5}  {first}."


def comparison(found: Comparison, false_rate: float, review_rate: float) -> None:
    """Print findings against the truth of a demo."""
    console = terminal()
    share = found.found / max(1, found.injected)
    console.print(
        f"\n{found.found} of {found.injected} injected misuses found ({share:.0%}); "
        f"{found.false_alerts} false alerts, {false_rate:.1f} per 1,000 staff and day; "
        f"{review_rate:.1f} review items per 1,000 staff and day",
        soft_wrap=True,
    )
    console.print(f"{found.disturbed} of {found.lookalikes} legitimate look-alikes were raised")
    cells = [f"{number:>2} {got}/{of}" for number, (got, of) in found.by_scenario.items()]
    width = 8
    console.print("\nfound/injected by scenario")
    for start in range(0, len(cells), width):
        console.print("  " + "   ".join(f"{cell:<7}" for cell in cells[start : start + width]).rstrip())
    if found.missed:
        console.print("not found: " + ", ".join(found.missed), soft_wrap=True, markup=False)
