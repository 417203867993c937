"""Some days of a small office with registers (rules/site), for tests that need everything at once.

Seeded, so that a failure can be looked at again. About twenty actors: staff, contractors, a service account, people in
no register, and events of nobody. Sessions with and without an id of their own, an agent that numbers its lines and
beats, and enough misuse that rules of every kind of unit hit.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import polars as pl

from contract import event
from detector import rulebook
from detector.rulebook import RuleBook
from registers import site as sites
from registers.site import Site
from tests.detector.offices import at

RULES = Path(__file__).resolve().parents[2] / "rules"

STAFF = tuple(str(number) for number in range(100101, 100111))
OTHERS = ("V2001", "V2002", "S3001", "100999", "200001", "200002", "200003", "200004", "200005")
SUBJECTS = (
    *(f"s_a{number:015d}" for number in range(1, 60)),
    "s_d000000000000001", "s_f000000000000001", "s_0000000000100102", "s_0000000000100101", "s_a000000000000090",
)  # fmt: skip
ACTIONS = ("read", "search", "update", "list", "print", "export", "logon", "logoff", "approve", "delete", "copy")
WEIGHTS = (0.45, 0.14, 0.1, 0.05, 0.05, 0.04, 0.07, 0.05, 0.02, 0.02, 0.01)
DAY_MS = 86_400_000
FIRST_DAY = "2026-04-10"


@cache
def rules() -> RuleBook:
    """The rules that ship."""
    return rulebook.load(RULES)


@cache
def office() -> Site:
    """The site that the rules' logs are tried on."""
    return sites.load(RULES / "site")


def month(seed: int, events: int = 1200, days: int = 8) -> pl.DataFrame:
    """Events in `contract.event` columns, shuffled."""
    rng = np.random.default_rng(seed)
    start = at(FIRST_DAY)
    actors = np.array(STAFF + OTHERS)
    bursts = events // 8
    actor = rng.choice(actors, bursts)
    begin = (
        start + rng.integers(0, days, bursts) * DAY_MS + (rng.normal(12.5, 3.5, bursts) % 24 * 3_600_000).astype(int)
    )
    which = np.sort(rng.integers(0, bursts, events))
    own = rng.random(bursts) < 0.6
    device = np.char.add("HO01", np.char.zfill((np.array([hash_(a) for a in actor]) % 9 + 1).astype(str), 2))
    action = rng.choice(np.array(ACTIONS), events, p=np.array(WEIGHTS))
    step = rng.choice([500, 5_000, 40_000, 400_000, 2_400_000], events, p=[0.2, 0.35, 0.3, 0.1, 0.05])
    system = np.where(rng.random(bursts) < 0.8, "welfare", "disaster")
    takes = np.isin(action, ["export", "print", "list", "copy"])
    frame = pl.DataFrame(
        {
            "event.class": np.where(np.isin(action, ["logon", "logoff"]), "authentication", "access"),
            "event.action": action,
            "event.outcome": rng.choice(["success", "failure", "denied"], events, p=[0.9, 0.06, 0.04]),
            "_burst": which,
            "_step": step,
            "_begin": begin[which],
            "source.id": np.char.add(system[which], "-ops"),
            "actor.id": actor[which],
            "_own": own[which],
            "system.id": system[which],
            "src.device": device[which],
            "op.code": rng.choice(["WE110", "WE120", "WE130", "WE310", "WE500", "WE900"], events),
            "subject.token": rng.choice(np.array(SUBJECTS), events),
            "subject.step": rng.integers(-3, 4, events),
            "resource.count": np.where(takes, rng.choice([3, 85, 95, 400], events), 1),
            "basis.ref": rng.choice(["", "SEI0001", "SEI0004", "SEI9999"], events, p=[0.7, 0.15, 0.1, 0.05]),
            "purpose.code": rng.choice(["", "reception"], events),
            "query.kind": rng.choice(["id", "name", "wildcard"], events),
        }
    )
    nobody = pl.col("_burst") % 29 == 0
    about = ~pl.col("event.action").is_in(["logon", "logoff"])
    frame = frame.with_columns(
        (pl.col("_begin") + pl.col("_step").cum_sum().over("_burst")).alias("time.occurred"),
        pl.when(~nobody).then("actor.id").alias("actor.id"),
        pl.when(pl.col("_own")).then(pl.format("W-{}", "_burst")).alias("session.id"),
        *(pl.when(about).then(name).alias(name) for name in ("subject.token", "subject.step", "query.kind")),
        *(pl.when(pl.col(name) != "").then(name).alias(name) for name in ("basis.ref", "purpose.code")),
    )
    return complete(pl.concat([frame, misuse(), beats(start, days)], how="diagonal_relaxed"), seed)


def misuse() -> pl.DataFrame:
    """What must be found: a leaver, a rumour, a cleared log, a guessed password."""
    day = at("2026-04-14")
    rows: list[dict[str, object]] = []
    for number in range(6):
        rows.append({"actor.id": "100109", "event.action": "read", "subject.token": SUBJECTS[number + 20], "at": 600})
        rows.append(
            {"actor.id": STAFF[number], "event.action": "read", "subject.token": SUBJECTS[50], "at": 60 * number}
        )
        outcome = "failure" if number < 5 else "success"
        rows.append({"actor.id": "100104", "event.class": "authentication", "event.action": "logon",
                     "event.outcome": outcome, "at": 1 + number})  # fmt: skip
    rows.append({"actor.id": "100108", "event.class": "log", "event.action": "log_clear", "at": 700})
    common = {"event.class": "access", "event.outcome": "success", "system.id": "welfare", "src.device": "HO0102",
              "source.id": "welfare-ops", "op.code": "WE110"}  # fmt: skip
    frame = pl.DataFrame([common | row for row in rows], infer_schema_length=None)
    return frame.with_columns((day + 9 * 3_600_000 + pl.col("at") * 60_000).alias("time.occurred")).drop("at")


def beats(start: int, days: int) -> pl.DataFrame:
    """An agent that beats every ten minutes, with nothing in between, and loses two hours and a number."""
    number = np.arange(days * 144)
    frame = pl.DataFrame(
        {
            "event.class": "heartbeat", "agent.id": "ag-1", "agent.boot": "b1", "agent.seq": number,
            "time.occurred": start + number * 600_000, "resource.count": 0,
        }
    )  # fmt: skip
    return frame.filter(~pl.col("agent.seq").is_between(300, 311))


def complete(frame: pl.DataFrame, seed: int) -> pl.DataFrame:
    """Give every row its id and all columns, and shuffle."""
    frame = frame.with_columns(
        pl.format("{}{}", pl.lit("e"), pl.int_range(pl.len()).cast(pl.String).str.zfill(15)).alias("event.id"),
        pl.lit(1).alias("event.schema"),
    )
    known = [name for name in event.KEYS if name in frame.columns]
    frame = pl.concat([event.empty(), frame.select(known)], how="diagonal_relaxed")
    return frame.select(event.KEYS).cast(dict(event.schema())).sample(fraction=1.0, shuffle=True, seed=seed)


def hash_(text: str) -> int:
    """A number of a text that is the same in every process."""
    return sum((place + 1) * ord(letter) for place, letter in enumerate(text))
