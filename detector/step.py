"""The core: `step(state, events, watermark)` gives what is decided about a stretch of time.

Stage one (`step`) sees the events of some actors and closes sessions and days. Stage two (`group`) sees what groups by
something else than the actor. Both are pure: same state and input, same output; how the input is cut into calls, and
how actors are spread over several stage ones, does not change what comes out in the end.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from functools import cache, lru_cache
from typing import Final
from zoneinfo import ZoneInfo

import polars as pl

from contract import event
from detector import (
    correlate,
    decide,
    features,
    held,
    history,
    hits,
    moments,
    rulebook,
    sessionise,
    sigma,
    stowed,
    witness,
)
from detector.enrich import Enricher
from detector.explain import explain
from detector.marks import Marks
from detector.rulebook import RuleBook
from detector.witness.summary import summary
from registers.calendar import Calendar, day_end
from registers.site import Site

DEFAULT_HEARTBEAT_S: Final = 600


@dataclass(frozen=True, slots=True)
class Context:
    """What does not change from call to call.

    Attributes:
        site: The organisation's registers.
        rules: The rule book.
        limits: When a session ends.
        thresholds: From which risk on something is looked at.
        narrow_rows: From so many events on, they are held in little memory, and those of closed sessions packed until their
            day is over.
    """

    site: Site
    rules: RuleBook
    limits: sessionise.Limits = field(default_factory=sessionise.Limits)
    thresholds: decide.Thresholds = field(default_factory=decide.Thresholds)
    narrow_rows: int = 50_000
    enricher: Enricher = field(init=False)
    evidence: witness.Limits = field(init=False)
    atoms: tuple[sigma.Atom, ...] = field(init=False)

    def __post_init__(self) -> None:
        # The registers are sorted for look-ups once, not for every batch.
        object.__setattr__(self, "enricher", Enricher(self.site))
        config = self.site.config
        limits = witness.Limits(
            int(config.limits.heartbeat_s or DEFAULT_HEARTBEAT_S), config.time_zone, cache(Calendar(config).day_off)
        )
        object.__setattr__(self, "evidence", limits)
        object.__setattr__(self, "atoms", _atoms_of_events(self.rules))

    @property
    def declared(self) -> tuple[str, ...]:
        """Sources that must speak (`systems.*.sources`), sorted."""
        return tuple(sorted({name for system in self.site.config.systems.values() for name in system.sources or ()}))


def _atoms_of_events(rules: RuleBook) -> tuple[sigma.Atom, ...]:
    """Comparisons that plain rules on events and correlations make, each once."""
    trees = [rule.where for rule in rules.of("event") if rule.where is not None]
    for stage in (1, 2):
        trees += [base.where for what in _correlations(rules, stage).values() for base in what.bases]
    return tuple(dict.fromkeys(atom for tree in trees for atom in sorted(sigma.atoms(tree), key=repr)))


@dataclass(frozen=True, slots=True)
class State:
    """What stage one remembers between calls.

    Attributes:
        watermark: UTC ms up to which (inclusive) every event has been seen.
        tails: Sessions that may go on (`sessionise.TAILS`).
        open_hits: Hits in these sessions.
        rows: Events of these sessions and of days that are not over (`features.ROWS`). Those of sessions that closed
            stay until the day is over.
        stowed: Such events, packed (`detector.stowed`).
        history: What is remembered of each actor.
        windows: Windows of the correlations by actor; of a rule that is in effect no longer none.
        declared: Sources of which stage two was told that they must speak.
    """

    watermark: int = -1
    tails: pl.DataFrame = field(default_factory=sessionise.no_tails)
    open_hits: pl.DataFrame = field(default_factory=hits.none)
    rows: held.Held = field(default_factory=held.Held)
    stowed: stowed.Stowed = ()
    history: history.History = field(default_factory=history.History)
    windows: correlate.State = field(default_factory=dict)
    declared: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Output:
    """What one call decided.

    Attributes:
        rows: The events of this call in event order: the event's columns, `session` (null for heartbeats), `explained`,
            `explained.by`.
        sessions: Sessions that closed (`features.sessions`, and `event.id`).
        days: Days that ended (`features.days`, and `unit`; where a rule hit, `event.id`, the first event concerned).
            Both have `closes` (UTC ms: when they were over), and where a rule hit them `related` and `about`, the
            events concerned and whom these are about.
        closed: Events of the sessions that closed (`features.SESSION_COLUMNS`), in event order.
        closed_hits: Hits of rules on single events in these sessions (`hits.HITS`).
        tails: The last event of each of these sessions (`sessionise.TAILS`).
        moments: Hits that may page alone (`moments.MOMENTS`), of the events of this call.
        hits: Hits in these sessions and days, one row per unit and rule (`hits.SUMS`).
        candidates: Rows for stage two (`correlate.CANDIDATES`).
        notes: What the events say about the logs being whole (`witness.summary.SUMMARY`), for stage two.
    """

    rows: pl.DataFrame
    sessions: pl.DataFrame
    days: pl.DataFrame
    closed: pl.DataFrame
    closed_hits: pl.DataFrame
    tails: pl.DataFrame
    moments: pl.DataFrame
    hits: pl.DataFrame
    candidates: pl.DataFrame
    notes: pl.DataFrame


def merge(outputs: Sequence[Output]) -> Output:
    """What several stage ones, each with actors of its own, say of the same time, as if one had seen everybody.

    Args:
        outputs: At least one, any order: all that every stage one gave for the same stretch of time, in however many
            calls.
    """

    def joined(part: str, order: Sequence[str | pl.Expr]) -> pl.DataFrame:
        frames: list[pl.DataFrame] = [getattr(output, part) for output in outputs]
        return pl.concat([frame for frame in frames if frame.height] or frames[:1]).sort(order, maintain_order=True)

    return Output(
        rows=joined("rows", sessionise.order()),
        sessions=joined("sessions", ["last", "session"]),
        days=joined("days", ["time.date", "actor.id"]),
        closed=joined("closed", ["session"]),
        closed_hits=joined("closed_hits", ["unit", "rule", "time", "event.id"]),
        tails=joined("tails", ["session"]),
        moments=joined("moments", ["time", "event.id", "rule"]),
        hits=joined("hits", ["unit", "rule"]),
        candidates=joined("candidates", ["rule", "time.occurred", "event.id", "base"]),
        notes=joined("notes", ["kind", "who", "boot", "tick", "slot", "lo", "first", "first_id"]),
    )


# What a finding needs of the events of a session.
CLOSED: Final = ("event.id", "session", "event.action", "explained", "subject.token")
# What is read of an event to say what came before it.
_FOLLOWED: Final = tuple(dict.fromkeys((*history.READ, *sessionise.READ)))
ARCHIVE = (*event.KEYS, "session", "explained", "explained.by")
NOTES = (
    "event.id", "event.class", "time.occurred", "time.date", "time.hour", "time.day_off", "agent.id", "agent.boot",
    "agent.seq", "source.id", "resource.count", "time.received", "message",
)  # fmt: skip


def step(state: State, events: pl.DataFrame, watermark: int, context: Context) -> tuple[State, Output]:
    """Move stage one forward.

    Args:
        state: What the call before returned; `State()` at first.
        events: Events later than `state.watermark` and up to `watermark`, any order, `contract.event` columns, each
            of them once.
        watermark: UTC ms; no event up to it will come any more.
        context: Registers and rules.
    """
    return advance(state, prepare(sessionise.in_order(events), context), watermark, context)


def prepare(events: pl.DataFrame, context: Context) -> pl.DataFrame:
    """What can be said of each event alone: it is enriched from the registers, and explained. Same rows, same order."""
    return explain(context.enricher(events))


# What is to be remembered of days that are over, the days, and the hits in them.
Ended = tuple[history.Noted | None, pl.DataFrame, pl.DataFrame]


def advance(
    state: State, prepared: pl.DataFrame, watermark: int, context: Context, days_ended: Sequence[Ended] | None = None
) -> tuple[State, Output]:
    """`step` with events that were prepared, and perhaps with all that `sum_days` says of the days that are over then."""
    remembered, tails, heard = _followed(state, sessionise.in_order(prepared), context)
    found, single, windows, candidates = _event_hits(heard, state.windows, context)

    closed = sessionise.is_closed(watermark, context.limits)
    ending = tails.filter(closed)
    tails = tails.filter(~closed) if ending.height else tails
    gone = ending["session"]
    new = heard[list(features.ROWS)]
    new = new.filter(pl.col("session").is_not_null()) if new["session"].null_count() else new
    rows = held.added(state.rows, new, context.narrow_rows)
    done = rows.of(gone, features.SESSION_COLUMNS)
    sessions, session_hits = summed_up(
        done, ending.select("session", closes=sessionise.closes(context.limits)), context
    )
    found = pl.concat([state.open_hits, found])
    ended = pl.col("unit").is_in(gone.implode())
    remembered, days, day_hits = _days_over(remembered, replace(state, rows=rows), watermark, context, days_ended)
    rows, packed = _left(rows, state, watermark, tails, context)

    output = Output(
        rows=heard.select(ARCHIVE),
        sessions=sessions,
        days=days,
        closed=done,
        closed_hits=found.filter(ended),
        tails=ending,
        moments=single,
        hits=hits.total(pl.concat([found.filter(ended), session_hits, day_hits])),
        candidates=candidates,
        notes=summary(heard.select(NOTES), [name for name in context.declared if name not in state.declared]),
    )
    after = State(
        watermark=watermark,
        tails=tails,
        open_hits=found.filter(~ended),
        rows=rows,
        stowed=packed,
        history=remembered,
        windows=correlate.forget(
            windows, state.watermark, watermark, correlate.by_windows(_correlations(context.rules, stage=1))
        ),
        declared=context.declared if heard.height else state.declared,
    )
    return after, output


def _followed(state: State, new: pl.DataFrame, context: Context) -> tuple[history.History, pl.DataFrame, pl.DataFrame]:
    """Say of each event what came before it: the actors' past, the tails of sessions, and all rows with these columns."""
    # A heartbeat is nobody's work: it proves that the agent lives, and belongs to no session.
    work = (new["event.class"] != "heartbeat").fill_null(True)
    remembered, told = history.arrive(state.history, new.select(_FOLLOWED).filter(work))
    told, tails = sessionise.assign(state.tails, told, context.limits)
    told = told.select(*history.ARRIVAL, *sessionise.SEQUENCE)
    if told.height < new.height:
        places = pl.select(pl.when(work).then(work.cum_sum() - 1)).to_series()
        told = told.select(pl.all().gather(places))
    return remembered, tails, new.with_columns(told)


def sum_days(
    state: State, watermark: int, context: Context, most: int = stowed.MOST_ROWS
) -> Iterator[tuple[int, Ended]]:
    """Sum up the days that are over when the watermark has come so far and no event comes any more, some actors at a time.

    Args:
        state: With all events of these days.
        watermark: UTC ms.
        context: Registers and rules.
        most: How many events are worked on at a time, or little more.

    Yields:
        How many events these were, and what is said of them.
    """
    first, today = (local_date(at + 1, context.site) for at in (state.watermark, watermark))
    for over in stowed.days(state.stowed, state.rows, first, today, most):
        yield over.height, _days(state.history, over, context)


def _days_over(
    remembered: history.History, state: State, watermark: int, context: Context, ended: Sequence[Ended] | None
) -> tuple[history.History, pl.DataFrame, pl.DataFrame]:
    """Sum up the days that are over since the watermark of the state."""
    first, today = (local_date(at + 1, context.site) for at in (state.watermark, watermark))
    if first >= today:
        return remembered, *_days(remembered, state.rows.fresh.clear(), context)[1:]
    parts = [part for _, part in sum_days(state, watermark, context)] if ended is None else ended
    noted = [one for one, _, _ in parts if one is not None]
    days = [some for _, some, _ in parts]
    whole = days[0] if len(days) == 1 else pl.concat([one for one in days if one.height] or days[:1]).sort(_DAY)
    remembered = history.remember(remembered, noted) if noted else remembered
    return remembered, whole, pl.concat([hit for _, _, hit in parts])


def _left(
    rows: held.Held, state: State, watermark: int, tails: pl.DataFrame, context: Context
) -> tuple[held.Held, stowed.Stowed]:
    """What stays of the events, and what of them is packed from now on."""
    first, today = (local_date(at + 1, context.site) for at in (state.watermark, watermark))
    if first < today:
        stays = [
            one | other for one, other in zip(held.among(rows, tails["session"]), held.since(rows, today), strict=True)
        ]
        return held.kept(rows, stays), stowed.left(state.stowed, today)
    # To look at all of them takes time, so it is done once in a minute of event time, and where enough of them closed.
    enough = context.narrow_rows // 2
    if (
        rows.height < context.narrow_rows
        or rows.height - int(tails["n"].sum()) < enough
        or state.watermark // sessionise.MINUTE_MS == watermark // sessionise.MINUTE_MS
    ):
        return rows, state.stowed
    open_ = held.among(rows, tails["session"])
    # Of what came late into an open session the tails know nothing.
    if rows.height - sum(int(mask.sum()) for mask in open_) < enough:
        return rows, state.stowed
    return held.kept(rows, open_), stowed.stow(state.stowed, held.others(rows, open_))


def _event_hits(
    heard: pl.DataFrame, windows: correlate.State, context: Context
) -> tuple[pl.DataFrame, pl.DataFrame, correlate.State, pl.DataFrame]:
    """Hits, moments, windows and candidates for stage two."""
    marks, rules = Marks(heard, context.atoms), context.rules
    work = heard["session"].is_not_null().to_numpy()
    found = [hits.match(marks, rules.of("event"), "session", "event.id", "time.occurred", work)]
    correlations = _correlations(rules, stage=1)
    candidates = correlate.candidates(marks, correlations, work)
    after, edges = correlate.advance_all(windows, candidates, correlations)
    if edges.height:
        turned = heard.filter(pl.col("event.id").is_in(edges["event.id"].implode()))
        by_rule = edges.partition_by("rule", as_dict=True)
        for rule in rules.correlations(1):
            if (rule.name,) in by_rule:
                found.append(hits.correlated(turned, by_rule[rule.name,], rule))
    every = pl.concat(found)
    single = moments.of(every, heard, rules.rules, context.thresholds)
    return every, single, after, correlate.candidates(marks, _correlations(rules, stage=2))


def _correlations(rules: RuleBook, stage: int) -> dict[str, correlate.Correlation]:
    return {rule.name: rule.correlation for rule in rules.correlations(stage) if rule.correlation is not None}


def summed_up(done: pl.DataFrame, ending: pl.DataFrame, context: Context) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Sessions, and the hits of rules on them.

    Args:
        done: Their events in `features.SESSION_COLUMNS`, in event order.
        ending: `session` and `closes`.
        context: Rules.
    """
    sessions = features.sessions(done).join(ending, on="session", how="left", maintain_order="left")
    sessions = sessions.with_columns(pl.col("session").str.strip_prefix("w-").alias("event.id"))
    rules = context.rules.of("session")
    # Of ten million events the ids of all sessions fill the memory: what a finding needs of a session that no rule
    # hits is looked up (`Output.closed`).
    found = rulebook.match(sessions, rules)
    sessions = _concerning(sessions, found, done, ["session"])
    return sessions, hits.described(sessions, found, rules, "session", "event.id", "last")


def _concerning(units: pl.DataFrame, found: pl.DataFrame, rows: pl.DataFrame, key: Sequence[str]) -> pl.DataFrame:
    """Add to units that a rule hit which events are concerned, and whom these are about: `related` and `about`."""
    hit = units.select(key)[found["row"].unique()]
    about = hits.concerned(rows.join(hit, on=key, how="semi", maintain_order="left"), key)
    return units.hstack(units.select(key).join(about, on=key, how="left", maintain_order="left").drop(key))


def _days(
    remembered: history.History, rows: pl.DataFrame, context: Context
) -> tuple[history.Noted | None, pl.DataFrame, pl.DataFrame]:
    limit, zone = context.site.config.limits.export_rows_needing_approval, context.site.config.time_zone
    rules = context.rules.of("actor_day")
    rows = rows.filter(pl.col("actor.id").is_not_null())
    if rows.is_empty():
        return None, _no_days(tuple(rows.schema.items()), limit, zone), hits.none()
    noted, days = _named_days(remembered, rows, limit, zone)
    found = rulebook.match(days, rules)
    days = _with_first(_concerning(days, found, rows, _DAY))
    return noted, days, hits.described(days, found, rules, "unit", "event.id", "last")


_DAY: Final = ["time.date", "actor.id"]


def _named_days(
    remembered: history.History, rows: pl.DataFrame, limit: int | None, zone: str
) -> tuple[history.Noted, pl.DataFrame]:
    noted, days = history.look_back(remembered, features.days(rows, limit), rows)
    name = pl.concat_str(pl.lit("d-"), pl.col("time.date").cast(pl.String), pl.lit("-"), "actor.id")
    return noted, days.with_columns(name.alias("unit"), day_end(pl.col("time.date"), zone).alias("closes"))


def _with_first(days: pl.DataFrame) -> pl.DataFrame:
    return days.with_columns(pl.col("related").list.first().alias("event.id"))


@lru_cache(maxsize=16)
def _no_days(schema: tuple[tuple[str, pl.DataType], ...], limit: int | None, zone: str) -> pl.DataFrame:
    """No days, in their columns. Most calls end none, and finding out what none look like takes a while."""
    rows = pl.DataFrame(schema=dict(schema))
    _, days = _named_days(history.History(), rows, limit, zone)
    return _with_first(_concerning(days, rulebook.match(days, ()), rows, _DAY))


def local_date(at: int, site: Site) -> date:
    """The calendar day of a moment (UTC ms) at the site."""
    moment = datetime.fromtimestamp(max(at, 0) / 1000, UTC)
    return moment.astimezone(ZoneInfo(site.config.time_zone)).date()


@dataclass(frozen=True, slots=True)
class Groups:
    """What stage two remembers between calls: the watermark, windows of its correlations, and the evidence."""

    watermark: int = -1
    windows: correlate.State = field(default_factory=dict)
    evidence: witness.State = field(default_factory=witness.State)


def group(
    state: Groups,
    candidates: pl.DataFrame,
    notes: pl.DataFrame,
    watermark: int,
    context: Context,
    heard: int | None = None,
) -> tuple[Groups, pl.DataFrame, pl.DataFrame]:
    """Move stage two forward.

    Args:
        state: What the call before returned; `Groups()` at first.
        candidates, notes: What all stage ones gave for the stretch of time up to the watermark.
        watermark: UTC ms; no candidate up to it will come any more.
        context: Registers and rules.
        heard: UTC ms up to which agents could be heard, if that is less: files end, and their agents are not silent then.

    Returns:
        The new state, one row per group that filled (`correlate.HITS`), sorted by (time, event id, rule, group), and what is
        to be said of the evidence (`witness.FINDINGS`).
    """
    correlations = _correlations(context.rules, stage=2)
    windows, filled = correlate.advance_all(state.windows, candidates, correlations)
    kept = correlate.forget(windows, state.watermark, watermark, correlate.by_windows(correlations))
    upto = watermark if heard is None else min(watermark, heard)
    evidence, incidents = witness.advance(state.evidence, notes, upto, context.evidence)
    groups = filled.sort("time.occurred", "event.id", "rule", "group")
    return Groups(watermark, kept, evidence), groups, incidents
