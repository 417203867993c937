"""Pages of options and of metrics, in Markdown, made from what the code declares."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from pydantic import BaseModel

from service.vocabulary import Declared

Schema = dict[str, Any]


def options(config: type[BaseModel]) -> str:
    """A section per table of a configuration, in the order of the models."""
    return "\n".join(_tables(config.model_json_schema()))


def vocabulary(declared: Iterable[Declared]) -> str:
    """A table of metrics, in the order in which the code declares them."""
    lines = ["| metric | type | labels | meaning |", "|---|---|---|---|"]
    for one in declared:
        labels = "; ".join(
            f"`{label}`: {', '.join(values)}" if values else f"`{label}`" for label, values in one.labels.items()
        )
        lines.append(f"| `{one.name}` | {one.kind} | {labels} | {one.text} |")
    return "\n".join(lines) + "\n"


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
