"""Whether an access to somebody's data has a recorded reason, and which.

Explanation beats anomaly (design §9): first what can be explained from the office's own records is explained, and only
the rest is scored. Three answers: `explained` by a record that fits; `to_check` where a reason was given or is
plausible, but no record proves it; `unexplained`. Null where the event is no access to a subject, or where the site
has neither caseload nor recorded reasons, so that nothing can be said.
"""

from __future__ import annotations

from functools import cache
from typing import Final

import polars as pl

from contract.event import ACCESS_ACTIONS

EXPLAINED: Final = "explained"
TO_CHECK: Final = "to_check"
UNEXPLAINED: Final = "unexplained"

# What an ordinary function does at a counter or desk; what takes data out or destroys it is never "just on duty".
ORDINARY: Final = ("search", "list", "read", "print", "create", "update", "approve", "register")

# Words of `explained.by`, in the order in which they are tried. Those in `PROOF` explain, the others are to be checked.
PROOF: Final = ("assignment", "basis", "subject_basis")
REASONS: Final[dict[str, str]] = {
    "assignment": "The subject, or its area, is assigned to the actor",
    "basis": "The stated reference is known, for this subject, and open",
    "subject_basis": "Something of the subject is open in the actor's department",
    "family_assignment": "A relative's case is assigned to the actor: proper only if the office knows",
    "basis_unverified": "A reference was stated, but there is no register to hold it against",
    "basis_unknown": "The stated reference stands in no register",
    "basis_other": "The stated reference is another person's",
    "basis_closed": "The stated reference was not open",
    "subject_basis_elsewhere": "Something of the subject is open, but nobody knows in which department the actor works",
    "break_glass": "Emergency access, with a reason in words",
    "emergency": "A declared emergency, in a department that may use the system",
    "service": "A service account at work in one of the office's own systems",
    "duty": "On duty, permitted, an ordinary function and a stated purpose, but no record",
}

_KEYS: Final = (
    "event.action", "event.outcome", "event.reason", "message", "subject.token", "basis.ref", "purpose.code",
)  # fmt: skip


def explain(enriched: pl.DataFrame) -> pl.DataFrame:
    """Explain accesses, row by row.

    Args:
        enriched: Events with the columns of `detector.enrich.ENRICHED`; keys of the event may be missing.

    Returns:
        The same rows in the same order with `explained` ("explained", "to_check", "unexplained" or null) and
        `explained.by` (a key of `REASONS`; null where `explained` is null or "unexplained").
    """
    frame = enriched.drop("explained", "explained.by", strict=False)
    unsaid = [pl.lit(None, dtype=pl.String).alias(key) for key in _KEYS if key not in frame.columns]
    by, explained = _answers()
    asked = frame.with_columns(unsaid) if unsaid else frame
    return frame.hstack(asked.select(by).select(*explained))


@cache
def _answers() -> tuple[pl.Expr, tuple[pl.Expr, pl.Expr]]:
    """The reason, "" for none; and from it `explained` and `explained.by`. Put together once, which takes a while."""
    by = pl.col("explained.by")
    return pl.when(_is_access() & ~_cannot_say()).then(_reason().fill_null("")).alias("explained.by"), (
        pl.when(by == "")
        .then(pl.lit(UNEXPLAINED))
        .when(by.is_in(PROOF))
        .then(pl.lit(EXPLAINED))
        .when(by.is_not_null())
        .then(pl.lit(TO_CHECK))
        .alias("explained"),
        pl.when(by != "").then(by).alias("explained.by"),
    )


def _yes(name: str) -> pl.Expr:
    return pl.col(name).fill_null(False)


def _no(name: str) -> pl.Expr:
    return (~pl.col(name)).fill_null(False)


def _said(name: str) -> pl.Expr:
    return pl.col(name).is_not_null()


def _is_access() -> pl.Expr:
    shows = pl.col("event.action").is_in(ACCESS_ACTIONS).fill_null(False)
    refused = pl.col("event.outcome").is_in(["failure", "denied"]).fill_null(False)
    return _said("subject.token") & shows & ~refused


def _cannot_say() -> pl.Expr:
    """Neither caseload nor recorded reasons have an answer for this row."""
    unverified = _said("basis.known") | _said("basis.any_open")
    return pl.col("assignment.match").is_null() & ~unverified


def _reason() -> pl.Expr:
    """The first reason that applies, null if none. Nobody's own record has a reason; a relative's needs its own."""
    own, family = _yes("subject.self"), _yes("subject.own_household")
    stated, known = _said("basis.ref"), _yes("basis.known")
    fits = known & _yes("basis.matches") & _yes("basis.open")
    purpose = pl.col("purpose.code").str.to_lowercase()
    reasons: list[tuple[str, pl.Expr]] = [
        ("assignment", _yes("assignment.match") & ~family),
        ("basis", fits),
        ("subject_basis", _yes("basis.any_open") & ~family),
        ("family_assignment", _yes("assignment.match")),
        ("basis_unknown", stated & _no("basis.known")),
        ("basis_other", stated & known & _no("basis.matches")),
        ("basis_closed", stated & known & _no("basis.open")),
        ("basis_unverified", stated),
        # Undecided, not false: without staff register and department the reason may be the actor's own.
        ("subject_basis_elsewhere", pl.col("basis.any_open").is_null() & _yes("basis.within_30_days") & ~family),
        ("break_glass", (purpose == "emergency") & _in_words("event.reason", "message")),
        ("emergency", _yes("emergency.active") & _yes("system.dept_allowed")),
        ("service", pl.col("person.type").is_in(["service", "system"]) & _yes("system.known")),
        ("duty", _on_duty() & (purpose != "emergency") & ~family),
    ]
    result: pl.expr.whenthen.Then | pl.expr.whenthen.ChainedThen = pl.when(own).then(None)
    for word, applies in reasons:
        result = result.when(applies.fill_null(False)).then(pl.lit(word))
    return result.otherwise(None)


def _in_words(*names: str) -> pl.Expr:
    """A reason that was written down, not a dot to get past the form."""
    return pl.any_horizontal([pl.col(name).str.strip_chars().str.len_chars() >= 4 for name in names]).fill_null(False)


def _on_duty() -> pl.Expr:
    """The right department or permission, at work, within hours or with overtime ordered, on an ordinary function."""
    placed = (_yes("system.dept_allowed") | _yes("permission.granted")) & ~_no("system.dept_allowed")
    present = ~_yes("presence.leave") & ~_no("presence.onsite") & ~_no("person.employed")
    hours = _yes("time.office_hours") | _yes("presence.overtime")
    ordinary = pl.col("event.action").is_in(ORDINARY).fill_null(False)
    return placed & ~_no("permission.granted") & present & hours & ordinary & _said("purpose.code")
