"""The core over a whole period: feed stretches of time, then finish.

This is what `sekimori analyze` runs over files and what tests run over frames. The streaming detector calls the same
`step`, `group`, `judge` and `publish`; it only keeps their state elsewhere.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

import polars as pl

from contract import event
from detector import baseline, delivery, features, findings, hits, judge, moments, repeats, witness
from detector import model as models
from detector.baseline import Baseline
from detector.enrich import ENRICHED
from detector.model import Model
from detector.rulebook import RuleBook
from detector.schedule import CODE, EVER, Pins, Schedule
from detector.step import CLOSED, NOTES, Context, Groups, Output, State, group, step
from detector.witness.summary import summary
from registers.site import Site

DAY_MS: Final = 86_400_000
# Fewer sessions than this say nothing about what is usual.
LEAST_SESSIONS: Final = 100
# How far beyond the last event the clock is moved to close what is open: longer than any session or day.
CLOSING_MS: Final = 3 * DAY_MS
# What is kept of a stage one's output until the end.
_KEPT: Final = ("sessions", "days", "hits", "moments")

# Finds the events of sessions: names in, columns of `step.CLOSED` out, in event order.
Lookup = Callable[[pl.Series], pl.DataFrame]


@dataclass(frozen=True, slots=True)
class Result:
    """What is known at the end.

    Attributes:
        findings: OCSF objects, sorted by (time, uid).
        sessions: One row per session: `session`, `actor.id`, `system.id`, `src.device`, `first`, `last`, `events`,
            `subjects`, `explained`, `p`, `queue`, `finding`; sorted by (first, session).
        accesses, explained: Accesses to a subject that could be judged, and those of them that are explained.
        first, last: UTC ms of the first and last event; None without events.
        model: The model that was used, or None.
        usual: The baseline that was used.
        mode: `pinned` (a given model), `retrospective` (fitted on the period itself) or `rules` (no model).
        staff_days: Sum over days of the staff employed.
        not_run: Checks that could not run, and what they need.
        strangers: Actors who stand in no register, sorted; empty without the staff register.
    """

    findings: list[dict[str, Any]]
    sessions: pl.DataFrame
    accesses: int
    explained: int
    first: int | None
    last: int | None
    model: Model | None
    usual: Baseline
    mode: str
    staff_days: int
    not_run: list[dict[str, Any]]
    versions: Mapping[str, str]
    strangers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Pinned:
    """What decides besides the period itself.

    Attributes:
        model: A fitted model; without one a model is fitted on these sessions themselves, if they are enough.
        usual: How often each rule hits in this office; without it, as often as in this period.
        seed: Of the forest that is fitted.
        run: Name of the run, for `unmapped.run`.
        budget: The default of its class if not given.
    """

    model: Model | None = None
    usual: Baseline | None = None
    seed: int = 0
    run: str = "analyze"
    budget: delivery.Budget | None = None


class Analysis:
    """Gathers what the core says about successive stretches of time. Not pure: it is the notebook of one run."""

    def __init__(self, site: Site, rules: RuleBook, schedule: Schedule[Pins] | None = None) -> None:
        """Begin.

        Args:
            site, rules: What is in effect throughout, unless there is a schedule.
            schedule: What is in effect when; then a model and a baseline that are given at the end are not looked at.
        """
        self.context = Context(site, rules)
        self.schedule = schedule
        self._watermark = EVER
        self._state, self._groups = State(), Groups()
        self._gathered: dict[str, list[pl.DataFrame]] = {part: [] for part in (*_KEPT, "filled", "incidents")}
        self._accesses = self._explained = 0
        self._first: int | None = None
        self._last: int | None = None

    def feed(self, events: pl.DataFrame, watermark: int) -> pl.DataFrame:
        """Take the events up to the watermark (UTC ms); returns them for the archive (`step.Output.rows`)."""
        rows = []
        schedule = self.schedule or Schedule(((EVER, Pins(self.context)),))
        for after, upto, pins in schedule.stretches(min(self._watermark, watermark - 1), watermark):
            part = events.filter(pl.col("time.occurred").is_between(after + 1, upto))
            self._state, output = step(self._state, part, upto, pins.context)
            self.take(output, upto, pins.context)
            rows.append(output.rows)
        self._watermark = max(self._watermark, watermark)
        return pl.concat(rows)

    def take(self, output: Output, watermark: int, context: Context | None = None) -> None:
        """Take what stage one, wherever it ran, said of the stretch up to the watermark (UTC ms).

        Several stage ones that share the actors among them are joined by `step.merge` before.
        """
        if output.rows.height:
            times = output.rows["time.occurred"]
            first, last = int(times.min()), int(times.max())  # type: ignore[arg-type]
            self._first = first if self._first is None else min(self._first, first)
            self._last = last if self._last is None else max(self._last, last)
        heard = -1 if self._last is None else self._last
        self._groups, filled, incidents = group(
            self._groups, output.candidates, output.notes, watermark, context or self.context, heard
        )
        kept = [(part, getattr(output, part)) for part in _KEPT]
        for name, new in (*kept, ("filled", filled), ("incidents", incidents)):
            if new.height or not self._gathered[name]:
                self._gathered[name].append(new)
        judged = output.rows["explained"].drop_nulls()
        self._accesses += judged.len()
        self._explained += int((judged == "explained").sum())

    def note_again(self, rows: pl.DataFrame) -> None:
        """Hear that agents numbered these events, which are known under other numbers, so that no gap is seen there.

        Args:
            rows: In `contract.event` columns, any order.
        """
        nobody = [name for name in NOTES if name not in rows.columns]
        numbers = rows.with_columns(*(pl.lit(None).alias(name) for name in nobody), pl.lit(True).alias("again"))
        evidence, said = witness.advance(
            self._groups.evidence, summary(numbers), -1 if self._last is None else self._last, self.context.evidence
        )
        self._groups = replace(self._groups, evidence=evidence)
        self._gathered["incidents"].append(said)

    def finish(self, lookup: Lookup, pinned: Pinned | None = None) -> Result:
        """Close what `feed` left open, and decide: see `conclude`."""
        self.feed(event.empty(), self.closing)
        return self.conclude(lookup, pinned)

    @property
    def closing(self) -> int:
        """UTC ms to which a stage one is moved, without events, to close what is open at the end of the period."""
        return 0 if self._last is None else self._last + CLOSING_MS

    def conclude(self, lookup: Lookup, pinned: Pinned | None = None) -> Result:
        """Decide about everything that was taken; every stage one has been moved to `closing`.

        Args:
            lookup: Finds the events of sessions.
            pinned: What is given rather than taken from this period; nothing by default.
        """
        pinned = pinned or Pinned()
        site = self.context.site
        period = self._period()
        staff = staff_by_day(site, period.sessions, self._first, self._last)
        # Logs alone say nothing of the office: their accounts may be anybody's who tried a name, so nothing is called usual
        # and nothing is held back. With caseload or reasons declared, the people seen are the office at work.
        anybody = all(site.tables[name].is_empty() for name in ("staff", "assignments", "bases"))
        counted = 0 if anybody else sum(count for _, count in staff)
        mode, schedule = self._pins(period, pinned, counted)
        judged = judge_all(period, schedule)
        budget = pinned.budget or (delivery.UNLIMITED if anybody else delivery.Budget())
        judged = [
            (pins, judge.with_events(part, lookup))
            for pins, part in zip(
                (pins for pins, _ in judged),
                judge.within_budget([part for _, part in judged], staff, site.config.time_zone, budget),
                strict=True,
            )
        ]
        published = [
            item for pins, part in judged for item in findings.publish(part, period.incidents, maker(pins, pinned.run))
        ]
        published.sort(key=lambda item: (item["time"], item["finding_info"]["uid"]))
        newest = schedule.pins[-1][1]
        return Result(
            findings=published,
            sessions=_session_table(period.sessions, [part for _, part in judged], published),
            accesses=self._accesses,
            explained=self._explained,
            first=self._first,
            last=self._last,
            model=newest.model,
            usual=newest.usual,
            mode=mode,
            staff_days=sum(count for _, count in staff),
            not_run=not_run(site, newest.rules, mode),
            versions=newest.versions,
            strangers=_strangers(period.sessions),
        )

    def _pins(self, period: judge.Period, pinned: Pinned, staff_days: int) -> tuple[str, Schedule[Pins]]:
        """What decides, and whether it was `pinned`, is `retrospective`, or `rules` alone."""
        if self.schedule is not None:
            return ("pinned" if self.schedule.pins[-1][1].model else "rules"), self.schedule
        model, usual, mode = pinned.model, pinned.usual, "pinned" if pinned.model else "rules"
        if model is None and period.sessions.height >= LEAST_SESSIONS:
            mode, model = "retrospective", fit(period.sessions, pinned.seed)
        if usual is None:
            usual = baseline.measure(judge.apart(judge.all_hits(period), judge.strangers(period)), staff_days)
        return mode, Schedule(((EVER, Pins(self.context, model, usual)),))

    def _period(self) -> judge.Period:
        parts = {name: pl.concat(frames) for name, frames in self._gathered.items()}
        return judge.Period(
            sessions=parts["sessions"].sort("last", "session"),
            days=parts["days"].sort("unit"),
            hits=hits.total_again(parts["hits"]),
            moments=parts["moments"],
            groups=parts["filled"].sort("time.occurred", "event.id", "rule", "group"),
            # What was said last of each, where more was said later.
            incidents=parts["incidents"].unique(["check", "who", "beside"], keep="last", maintain_order=True),
        )  # fmt: skip


def judge_all(period: judge.Period, schedule: Schedule[Pins]) -> list[tuple[Pins, judge.Judged]]:
    """Judge each unit with what was in effect when it closed.

    Args:
        period: As `Analysis` gathers it, with moments that nobody weighed yet.
        schedule: What is in effect when.
    """
    ever = event.MAX_TIME
    told = pl.concat([moments.none(), *(
        moments.paging(
            period.moments.filter(pl.col("time").is_between(after + 1, upto)), pins.rules.rules, pins.usual,
            pins.context.thresholds,
        )
        for after, upto, pins in schedule.stretches(EVER, ever)
    )])  # fmt: skip
    said, out = repeats.nothing(), []
    for after, upto, pins in schedule.stretches(EVER, ever):
        part = judge.between(replace(period, moments=told, told=told), after, upto, pins.site.config.time_zone)
        judged, said = judge.judge(part, pins.rules, pins.model, pins.usual, pins.context.thresholds, said)
        out.append((pins, judged))
    return out


def maker(pins: Pins, run: str) -> findings.Maker:
    """What all findings of a run share that are decided with these pins."""
    site = pins.site
    systems = {name: system.name or name for name, system in site.config.systems.items()}
    departments = dict(site.config.departments)
    names = {"system.id": systems, "person.dept": departments, "person.previous_dept": departments}
    return findings.Maker(pins.rules, pins.versions, site.config.time_zone, names, run, CODE)


def fit(sessions: pl.DataFrame, seed: int) -> Model:
    """Fit the model on sessions (rows of `features.sessions`, any order)."""
    # Scattered, since a period holds special weeks: learning from its begin and calibrating on its end would call either
    # the quake or the quiet unusual.
    return models.fit(judge.for_model(sessions), list(features.MODEL_FEATURES), "peers", seed, held_out="scattered")


def analyse(
    events: pl.DataFrame, site: Site, rules: RuleBook, model: Model | None = None, cuts: Iterable[int] = ()
) -> Result:
    """Run the core over a frame of events.

    Args:
        events: `contract.event` columns, any order; an event that comes twice counts once.
        site, rules, model: As for `Analysis`.
        cuts: UTC ms at which the input is cut into pieces; the result does not depend on them.
    """
    events = events.unique("event.id", keep="first", maintain_order=True).sort("time.occurred", "event.id")
    analysis = Analysis(site, rules)
    end = int(events["time.occurred"].max() or 0)  # type: ignore[arg-type]
    before, rows = -1, []
    for cut in [*sorted(at for at in set(cuts) if at < end), end]:
        rows.append(analysis.feed(events.filter(pl.col("time.occurred").is_between(before + 1, cut)), cut))
        before = cut
    return analysis.finish(in_memory(rows), Pinned(model))


def in_memory(rows: Sequence[pl.DataFrame]) -> Lookup:
    """Look-up in what `Analysis.feed` returned, for periods that fit into memory."""
    kept = pl.concat([part.select(CLOSED) for part in rows])
    return lambda sessions: kept.filter(pl.col("session").is_in(sessions.implode()))


def staff_by_day(site: Site, sessions: pl.DataFrame, first: int | None, last: int | None) -> list[tuple[date, int]]:
    """People of type staff employed on each calendar day of the period; without a register, the people seen in it."""
    if first is None or last is None:
        return []
    zone = ZoneInfo(site.config.time_zone)
    start = datetime.fromtimestamp(first / 1000, UTC).astimezone(zone).date()
    end = datetime.fromtimestamp(last / 1000, UTC).astimezone(zone).date()
    days = [start + timedelta(days=n) for n in range((end - start).days + 1)]
    staff = site.tables["staff"]
    if staff.is_empty():
        people = sessions.filter(~pl.col("actor.type").is_in(["service", "system"]).fill_null(False))
        seen = people["actor.id"].n_unique()
        return [(day, seen) for day in days]
    people = staff.filter(pl.col("type").fill_null("staff") == "staff").with_columns(
        pl.col("start").fill_null(0), pl.col("end").fill_null(event.MAX_TIME)
    )
    # Counted once between two changes: a stray year in one line makes a period of a million days.
    changes = sorted({*people["start"], *(people["end"] + 1)})
    counts: dict[int, int] = {}
    out = []
    for day in days:
        noon = int(datetime(day.year, day.month, day.day, 12, tzinfo=zone).timestamp() * 1000)
        between = bisect_right(changes, noon)
        if between not in counts:
            counts[between] = people.filter(pl.lit(noon).is_between("start", "end"))["actor_id"].n_unique()
        out.append((day, counts[between]))
    return out


def not_run(site: Site, rules: RuleBook, mode: str) -> list[dict[str, Any]]:
    """Checks that could not run, or only in part, for want of a register: `check` and `needs`, sorted."""
    out = []
    for rule in rules.rules:
        needs = {need for name in rule.fields if name in ENRICHED for need in ENRICHED[name].needs}
        missing = sorted(needs & set(site.missing))
        if missing:
            out.append({"check": rule.name, "title": rule.title.model_dump(), "needs": missing})
    if mode == "rules":
        title = {"ja": "統計モデル", "en": "model"}
        out.append({"check": judge.MODEL, "title": title, "needs": [f"{LEAST_SESSIONS} sessions"]})
    return out


def _strangers(sessions: pl.DataFrame) -> tuple[str, ...]:
    unknown = sessions.filter(~pl.col("person.known"))["actor.id"]
    return tuple(unknown.drop_nulls().unique().sort().to_list())


def _session_table(
    sessions: pl.DataFrame, judged: Sequence[judge.Judged], published: list[dict[str, Any]]
) -> pl.DataFrame:
    uids = pl.DataFrame(
        [(item["unmapped"]["unit"], item["finding_info"]["uid"], item["unmapped"]["queue"]) for item in published],
        schema={"session": pl.String, "finding": pl.String, "queue": pl.String},
        orient="row",
    )
    scores = pl.concat([part.scores.select("session", "p") for part in judged])
    return (
        sessions.join(scores, on="session", how="left")
        .join(uids, on="session", how="left")
        .select(
            "session", "actor.id", "system.id", "src.device", "first", "last",
            pl.col("events", "subjects").cast(pl.Int64), "explained", "p",
            pl.col("queue").fill_null("none"), "finding",
        )
        .sort("first", "session")
    )  # fmt: skip
