"""Write the pages that the code declares: `python -m detector.document`."""

from __future__ import annotations

from pathlib import Path

from prometheus_client import CollectorRegistry

from detector.config import Config
from detector.enrich.columns import ENRICHED
from detector.explain import PROOF, REASONS
from detector.metrics import Metrics
from service import document

DOCS = Path(__file__).resolve().parents[1] / "docs"

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


_CONFIGURATION = """\
# Configuration of the detector

Made by `python -m detector.document`; do not edit. The agent's is [configuration.md](configuration.md).

One TOML file in UTF-8. Unknown keys are refused, and `sekimori detect -c FILE --check` prints every problem at once: also
files that are missing, secrets that others may read, and rules that cannot be used. Relative paths start at the folder
of the file. SIGHUP reads site, rules, model and baseline anew, under the same paths or others; everything else changes at a
restart.
"""

_METRICS = """\
# Metrics of the detector

Made by `python -m detector.document`; do not edit. They are served at `/metrics` of the port in `[metrics]`, beside
`/healthz` (200, or 503 with a line per problem), `/readyz` (503 until all partitions that are ours are at work) and `/live`
(503 only when the main loop hangs).

Labels are small closed sets, never a person, a path or an address; those without a list of values take names of rules,
hashes of versions or names of channels. Counters begin at 0 with each start of the detector.
"""


def files() -> dict[Path, str]:
    """Every generated page: its path and its text."""
    return {
        DOCS / "columns.md": columns(),
        DOCS / "configuration-detector.md": configuration(),
        DOCS / "metrics-detector.md": metrics(),
    }


def configuration() -> str:
    """The page of options, in the order of the models."""
    return _CONFIGURATION + "\n" + document.options(Config)


def metrics() -> str:
    """The page of metrics, in the order in which the code declares them."""
    return _METRICS + "\n" + document.vocabulary(Metrics(CollectorRegistry()).declared)


def columns() -> str:
    """The page of columns."""
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
    """Write the pages."""
    for path, text in files().items():
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
