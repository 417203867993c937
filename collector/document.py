"""Write docs/configuration.md and docs/metrics.md from the declarations in the code: `python -m collector.document`."""

from __future__ import annotations

from pathlib import Path

from prometheus_client import CollectorRegistry

from collector.config import Config
from collector.metrics import Metrics
from service import document

DOCS = Path(__file__).resolve().parents[1] / "docs"

_CONFIGURATION = """\
# Configuration of the agent

Made by `python -m collector.document`; do not edit. The detector's is
[configuration-detector.md](configuration-detector.md). An example to start from is
[collector.toml](../collector/deploy/collector.toml); installing and running stand in
[operations/agent.md](operations/agent.md).

One TOML file in UTF-8. Unknown keys are refused, and `sekimori collect -c FILE --check` prints every problem at once: also
files that are missing, secrets that others may read and certificates without their key. Relative paths start at the folder
of the file. Secrets never stand in the file, only the paths of the files that hold them; such a file must be readable by
its owner alone (`chmod 600`), or belong to root and be readable by one group besides (`chmod 640`).
"""

_METRICS = """\
# Metrics of the agent

Made by `python -m collector.document`; do not edit. The detector's are in [metrics-detector.md](metrics-detector.md). They are served at `/metrics` of the port in `[metrics]`, beside
`/health` (200, or 503 with a line per problem) and `/live` (503 only when the main loop hangs).

Labels are small closed sets, never a person, a path or an address. `source` is the id of a source, or `auto` before a
file's content was recognised. Counters begin at 0 with each start of the agent. The usual `process_…` metrics (CPU time, memory, open
files) are there too.
"""


def files() -> dict[Path, str]:
    """Every generated page: its path and its text."""
    return {DOCS / "configuration.md": configuration(), DOCS / "metrics.md": metrics()}


def configuration() -> str:
    """The page of options, in the order of the models."""
    return _CONFIGURATION + "\n" + document.options(Config)


def metrics() -> str:
    """The page of metrics, in the order in which the code declares them."""
    return _METRICS + "\n" + document.vocabulary(Metrics(CollectorRegistry()).declared)


def main() -> None:
    """Write the pages."""
    for path, text in files().items():
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
