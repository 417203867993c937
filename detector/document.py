"""Write docs/columns.md from the declarations in the code: `python -m detector.document`."""

from __future__ import annotations

from pathlib import Path

from detector.enrich.columns import ENRICHED
from detector.explain import PROOF, REASONS

PAGE = Path(__file__).resolve().parents[1] / "docs" / "columns.md"

_HEAD = """\
# Columns that the detector adds to an event

Made by `python -m detector.document`; do not edit. The event's own keys are in [event.md](event.md).

Every column is what the site's registers say *as of the event's time*. It is null where the site does not declare what
it needs, or where the event lacks the key: nothing is guessed. Days are differences of calendar days in the site's
time zone. In the last column, `staff.end` is the column `end` of `staff.csv`, `site.…` a section of `site.toml`.
"""

_EXPLAINED = """\
## `explained` and `explained.by`

Accesses to a subject (an action that shows or takes data, not refused) are `explained`, `to_check` or `unexplained`.
Null: no access, or the site has neither `assignments.csv` nor `bases.csv`. The first of these reasons that applies
stands in `explained.by`; the actor's own record never has one.
"""


def page() -> str:
    """The page as text."""
    lines = [_HEAD, "| column | type | meaning | needs |", "|---|---|---|---|"]
    for name, column in ENRICHED.items():
        needs = ", ".join(f"`{need}`" for need in column.needs)
        lines.append(f"| {name} | {column.dtype} | {column.meaning} | {needs} |")
    lines += ["", _EXPLAINED, "| by | gives | meaning |", "|---|---|---|"]
    for word, meaning in REASONS.items():
        answer = "explained" if word in PROOF else "to_check"
        lines.append(f"| {word} | {answer} | {meaning} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Write the page."""
    PAGE.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
