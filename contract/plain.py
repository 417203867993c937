"""The plain lane of `wire.decode`: one line at a time, with Python's own `json`. It defines what a line means."""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import Any, Final, NamedTuple

from contract import rejected
from contract.event import BY_KEY, FIELDS, KEYS, REQUIRED, Field
from contract.rejected import Reason, Refusal

MAX_LINE_BYTES: Final = 1 << 20


class Line(NamedTuple):
    """One line that is an event: its values by key, and the keys outside the contract."""

    event: dict[str, str | int | bool]
    unknown: list[str]


def read(raw: bytes) -> Line | Refusal | None:
    """One line without its newline; None where it is blank.

    A refusal names every problem of the line; its reason is that of the first one.
    """
    if not raw.strip(b" \t\r"):
        return None
    if len(raw) > MAX_LINE_BYTES:
        head = raw[: 4 * rejected.KEPT_CHARS + 4].decode(errors="replace")
        return Refusal(Reason.TOO_LONG, f"{len(raw):,} bytes, at most {MAX_LINE_BYTES:,} are read", head)
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        detail = f"byte {raw[error.start]:#04x} at {error.start} of the line is no UTF-8"
        return Refusal(Reason.ENCODING, detail, raw.decode(errors="replace"))
    if "\0" in text:
        return Refusal(Reason.ENCODING, f"NUL at {text.index(chr(0))} of the line", text)
    try:
        pairs = _DECODER.decode(text)
    except json.JSONDecodeError as error:
        return Refusal(Reason.JSON, f"{error.msg} at character {error.pos}", text)
    except ValueError as error:  # _constant
        return Refusal(Reason.JSON, str(error), text)
    except RecursionError:
        return Refusal(Reason.JSON, "nested too deeply", text)
    if not isinstance(pairs, _Pairs):
        return Refusal(Reason.JSON, "not an object", text)
    return _line(pairs, text)


def label(key: str) -> str:
    """An unknown key as counts and messages name it: short and printable."""
    return rejected.cut(_printable(key), 60)


class _Pairs(list[tuple[str, Any]]):
    """A JSON object before its keys are known to be unique."""


class _Huge:
    """An integer too long to be worth reading."""


def _integer(digits: str) -> int | _Huge:
    # Python refuses more than 4,300 digits with an exception that names no key.
    return int(digits) if len(digits) <= 20 else _Huge()


def _constant(word: str) -> None:
    raise ValueError(f"{word} is no JSON")


_DECODER: Final = json.JSONDecoder(object_pairs_hook=_Pairs, parse_int=_integer, parse_constant=_constant)
_NAMES: Final = {"str": "text", "int": "an integer", "bool": "true or false"}
_TYPES: Final[dict[str, type]] = {"str": str, "int": int, "bool": bool}
_INT64: Final = (-(2**63), 2**63 - 1)
_BROKEN: Final = re.compile("[\0\ud800-\udfff]")


def _line(pairs: _Pairs, text: str) -> Line | Refusal:
    known = [(key, value) for key, value in pairs if key in BY_KEY]
    event = {key: value for key, value in known if value is not None and value != ""}
    fine = len(dict(known)) == len(known) and all(key in event for key in REQUIRED)
    if not fine or any(_problem(BY_KEY[key], value) for key, value in event.items()):
        problems = list(_problems(known, event))
        return Refusal(problems[0][0], "; ".join(detail for _, detail in problems), text)
    unknown = [label(key) for key, _ in pairs if key not in BY_KEY] if len(known) < len(pairs) else []
    return Line(event, unknown)


def _problems(known: list[tuple[str, Any]], event: dict[str, Any]) -> list[tuple[Reason, str]]:
    """Everything that is wrong with a line: keys given twice, then key by key in the order of the contract."""
    times = Counter(key for key, _ in known)
    problems = [(Reason.DUPLICATE, f"{key}: given {times[key]} times") for key in KEYS if times[key] > 1]
    for field in FIELDS:
        if field.key in event:
            problem = _problem(field, event[field.key])
            problems += [problem] if problem else []
        elif field.key in REQUIRED:
            problems.append((Reason.REQUIRED, f"{field.key}: missing or empty"))
    return problems


def _problem(field: Field, value: Any) -> tuple[Reason, str] | None:
    """What is wrong with one value."""
    if type(value) is not _TYPES[field.kind]:  # not isinstance: True is an int to Python
        if isinstance(value, _Huge) and field.kind == "int":
            return Reason.VALUE, f"{field.key}: more than 20 digits"
        return Reason.TYPE, f"{field.key}: should be {_NAMES[field.kind]}, got {_shown(value)}"
    if isinstance(value, str):
        if _BROKEN.search(value):
            return Reason.ENCODING, f"{field.key}: holds a NUL or half of a surrogate pair"
        if field.values and value not in field.values:
            return Reason.VALUE, f"{field.key}: {_shown(value)} is none of {' '.join(field.values)}"
    elif isinstance(value, int) and field.kind == "int":
        low = _INT64[0] if field.minimum is None else field.minimum
        high = _INT64[1] if field.maximum is None else field.maximum
        if not low <= value <= high:
            return Reason.VALUE, f"{field.key}: {value} is not within {low} and {high}"
    return None


def _shown(value: Any) -> str:
    """A value as a message quotes it: short, and JSON where it is simple."""
    if isinstance(value, _Huge):
        return "a number of more than 20 digits"
    if isinstance(value, list):
        return "an object" if isinstance(value, _Pairs) else "a list"
    return rejected.cut(_printable(json.dumps(value, ensure_ascii=False)), 40)


def _printable(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode()
