"""Write the page that the code declares: `python -m audit.document`."""

from __future__ import annotations

from pathlib import Path

from audit.config import Config
from service import document

DOCS = Path(__file__).resolve().parents[1] / "docs"

_CONFIGURATION = """\
# Configuration of cases and reports

Made by `python -m audit.document`; do not edit. The agent's is [configuration.md](configuration.md), the detector's
[configuration-detector.md](configuration-detector.md).

One TOML file in UTF-8, `audit.toml` where nothing else is said. Unknown keys are refused, and every problem is printed at once.
Relative paths start at the folder of the file. Without `[kafka]` closed cases and exceptions stay in the database, and
no detector learns of them.
"""


def files() -> dict[Path, str]:
    """Every generated page: its path and its text."""
    return {DOCS / "configuration-audit.md": _CONFIGURATION + "\n" + document.options(Config)}


def main() -> None:
    """Write the pages."""
    for path, text in files().items():
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
