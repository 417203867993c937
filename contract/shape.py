"""The shape of a JSON object, said once as a table of its keys: validation, the order on the wire, an example."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

Type = Literal["str", "int", "number", "bool", "texts", "ints", "map"]


@dataclass(frozen=True, slots=True)
class Field:
    """One key of an object.

    Attributes:
        path: Dotted place in the object; `[]` behind a name stands for each item of a list.
        type: `number` takes int and finite float, `texts` a list of strings, `ints` a list of integers, `map` an object of strings.
        example: A right value, used for the examples.
        meaning: One sentence for `docs/event.md`.
        required: Whether the key must be there wherever the object around it is.
        nullable: Whether null may stand in its place.
        values: The closed set of values; empty if the value is free.
        minimum, maximum: Inclusive bounds of a number.
    """

    path: str
    type: Type
    example: Any
    meaning: str
    required: bool = True
    nullable: bool = False
    values: tuple[str | int, ...] = ()
    minimum: int | None = None
    maximum: int | None = None


class Shape:
    """Objects whose keys are known.

    Args:
        name: What such an object is called, for problems.
        fields: Every key, in the order in which they travel.
        contradictions: Given an object whose single values are right, a line `path: problem` for each way in which they
            contradict one another.
    """

    def __init__(
        self,
        name: str,
        fields: Sequence[Field],
        contradictions: Callable[[Mapping[str, Any]], Iterable[str]] | None = None,
    ) -> None:
        self._name = name
        self._contradictions = contradictions
        self._root = _Node()
        for known in fields:
            node = self._root
            for step in known.path.split("."):
                node = node.children.setdefault(step.removesuffix("[]"), _Node(items=step.endswith("[]")))
            node.known = known

    def to_json(self, value: Mapping[str, Any]) -> str:
        """One line of compact JSON without newline; keys in the order of the fields, unknown ones behind them by name.

        Raises:
            ValueError: A number is NaN or infinite, which JSON cannot say.
        """
        return json.dumps(_ordered(value, self._root), ensure_ascii=False, separators=(",", ":"), allow_nan=False)

    def from_json(self, data: bytes) -> dict[str, Any]:
        """Read an object; keys that nobody knows here are let be.

        Raises:
            ValueError: It is no JSON, or wrong in any key; all problems are named.
        """
        try:
            text = data.decode()
            value = json.loads(text)
        except (ValueError, RecursionError):  # a UnicodeDecodeError is a ValueError
            raise ValueError("is no JSON") from None
        if "\\ud" in text.lower() and not _is_whole(value):
            raise ValueError("holds half of a character (a lone surrogate): no UTF-8 can say that")
        if problems := self.problems(value, newer=True):
            raise ValueError("; ".join(problems))
        return dict(value)

    def example(self) -> dict[str, Any]:
        """An object made of the examples; every key is there, every list has one item."""

        def built(node: _Node) -> Any:
            if node.known:
                return node.known.example
            value = {key: built(child) for key, child in node.children.items()}
            return [value] if node.items else value

        return dict(built(self._root))

    def problems(self, value: object, newer: bool = False) -> list[str]:
        """What is wrong with an object, as lines `path: problem` in the order of the fields; empty if nothing is.

        Args:
            value: Anything.
            newer: Let keys be that nobody knows here, as readers do: a newer program may have written them.
        """
        problems = list(_checked(value, self._root, "", self._name, newer))
        if not problems and self._contradictions and isinstance(value, Mapping):
            problems += self._contradictions(value)
        return problems


@dataclass(slots=True)
class _Node:
    """One place in the tree of keys: a value with its `Field`, or an object, or a list of objects."""

    known: Field | None = None
    items: bool = False
    children: dict[str, _Node] = field(default_factory=dict)

    @property
    def required(self) -> bool:
        """An object or list is required if it is a list or anything in it is required."""
        if self.known:
            return self.known.required
        return self.items or any(child.required for child in self.children.values())


_NOBODYS: Final = _Node()
_PLAIN: Final = frozenset({str, int, float, bool, type(None)})


def _ordered(value: Any, node: _Node) -> Any:
    # Nearly all values are plain: to call this for each, or to ask whether it is a mapping, takes longer than all else.
    if type(value) in _PLAIN:
        return value
    if isinstance(value, list | tuple):
        return [item if type(item) in _PLAIN else _ordered(item, node) for item in value]
    if not isinstance(value, Mapping):
        return value
    children = node.children
    made = {
        key: found if type(found := value[key]) in _PLAIN else _ordered(found, child)
        for key, child in children.items()
        if key in value
    }
    if len(made) < len(value):
        rest = sorted(key for key in value if key not in children)
        made |= {key: _ordered(value[key], _NOBODYS) for key in rest}
    return made


def _checked(value: object, node: _Node, path: str, what: str, newer: bool, item: bool = False) -> Iterator[str]:
    if node.known:
        problem = _problem(node.known, value)
        if problem:
            yield f"{path}: {problem}"
    elif node.items and not item:
        if not isinstance(value, list):
            yield f"{path}: should be a list, got {shown(value)}"
            return
        for number, element in enumerate(value):
            yield from _checked(element, node, f"{path}[{number}]", what, newer, item=True)
    elif not isinstance(value, Mapping):
        yield f"{path or what}: should be an object, got {shown(value)}"
    else:
        dot = f"{path}." if path else ""
        for key, child in node.children.items():
            if key in value:
                yield from _checked(value[key], child, dot + key, what, newer)
            elif child.required:
                yield f"{dot}{key}: missing"
        if not newer:
            yield from (f"{dot}{key}: unknown key" for key in sorted(map(str, value)) if key not in node.children)


def _problem(known: Field, value: object) -> str:
    """What is wrong with one value, or nothing."""
    if value is None and known.nullable:
        return ""
    if not _is(known.type, value):
        return f"should be {_EXPECTED[known.type]}, got {shown(value)}"
    if known.values and value not in known.values:
        return f"{shown(value)} is none of {' '.join(map(str, known.values))}"
    if isinstance(value, int | float):
        if known.minimum is not None and value < known.minimum:
            return f"{value} is below {known.minimum}"
        if known.maximum is not None and value > known.maximum:
            return f"{value} is above {known.maximum}"
    return ""


_EXPECTED: Final[dict[Type, str]] = {
    "str": "text, not empty",
    "int": "an integer",
    "number": "a number",
    "bool": "true or false",
    "texts": "a list of texts",
    "ints": "a list of integers",
    "map": "an object of texts",
}


def _is(kind: Type, value: object) -> bool:
    match kind:
        case "str":
            return isinstance(value, str) and value != ""
        case "bool":
            return isinstance(value, bool)
        case "int":
            return isinstance(value, int) and not isinstance(value, bool)
        case "number":
            return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        case "texts":
            return isinstance(value, list) and all(isinstance(item, str) for item in value)
        case "ints":
            return isinstance(value, list) and all(type(item) is int for item in value)
        case "map":
            return isinstance(value, Mapping) and all(isinstance(item, str) for pair in value.items() for item in pair)


def shown(value: object) -> str:
    """A value in a problem, in at most 60 characters."""
    return json.dumps(value, ensure_ascii=False, default=repr)[:60]


def _is_whole(value: object) -> bool:
    """Whether a value can be written as UTF-8."""
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True
