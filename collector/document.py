"""Write docs/configuration.md and docs/metrics.md from the declarations in the code: `python -m collector.document`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry

from collector.config import Config
from collector.metrics import Metrics

DOCS = Path(__file__).resolve().parents[1] / "docs"
Schema = dict[str, Any]

_CONFIGURATION = """\
# Configuration of the agent

Made by `python -m collector.document`; do not edit. An example to start from is
[collector.toml](../collector/deploy/collector.toml); installing and running stand in
[operations/agent.md](operations/agent.md).

One TOML file in UTF-8. Unknown keys are refused, and `sekimori collect -c FILE --check` prints every problem at once: also
files that are missing, secrets that others may read and certificates without their key. Relative paths start at the folder
of the file. Secrets never stand in the file, only the paths of the files that hold them; such a file must be readable by
its owner alone (`chmod 600`), or belong to root and be readable by one group besides (`chmod 640`).
"""

_METRICS = """\
# Metrics of the agent

Made by `python -m collector.document`; do not edit. They are served at `/metrics` of the port in `[metrics]`, beside
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
    schema = Config.model_json_schema()
    return "\n".join([_CONFIGURATION, *_tables(schema)])


def _tables(schema: Schema) -> Iterator[str]:
    for name, option in schema["properties"].items():
        repeated = option.get("type") == "array"
        section = schema["$defs"][_reference(option)]
        needed = name in schema["required"]
        yield f"## `{f'[[{name}]]' if repeated else f'[{name}]'}`"
        yield ""
        again = " May stand there several times." if repeated else " Must be there." if needed else ""
        yield section["description"] + again
        yield ""
        yield "| option | type | default | meaning |"
        yield "|---|---|---|---|"
        for key, value in section["properties"].items():
            default = "*must be given*" if key in section.get("required", ()) else _default(value)
            yield f"| `{key}` | {_type(value)} | {default} | {value['description']} |"
        yield ""


def _reference(option: Schema) -> str:
    inner = option.get("items") or next(iter(option.get("anyOf", [option])))
    return str(inner["$ref"].rpartition("/")[2])


def _default(option: Schema) -> str:
    return "" if option.get("default") is None else f"`{json.dumps(option['default'], ensure_ascii=False)}`"


def _type(option: Schema) -> str:
    if "anyOf" in option:
        return _type(next(kind for kind in option["anyOf"] if kind.get("type") != "null"))
    if "enum" in option:
        return " or ".join(f"`{word}`" for word in option["enum"])
    if option["type"] == "array":
        least = f", at least {option['minItems']}" if option.get("minItems", 1) > 1 else ""
        return f"list of {_type(option['items'])}{least}"
    if option["type"] == "integer":
        low, high = option.get("minimum"), option.get("maximum")
        return f"integer, {low} … {high}" if high is not None else f"integer, at least {low}"
    return str(option.get("format", option["type"]))


def metrics() -> str:
    """The page of metrics, in the order in which the code declares them."""
    lines = [_METRICS, "| metric | type | labels | meaning |", "|---|---|---|---|"]
    for one in Metrics(CollectorRegistry()).declared:
        labels = "; ".join(
            f"`{label}`: {', '.join(values)}" if values else f"`{label}`" for label, values in one.labels.items()
        )
        lines.append(f"| `{one.name}` | {one.kind} | {labels} | {one.text} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Write the pages."""
    for path, text in files().items():
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
