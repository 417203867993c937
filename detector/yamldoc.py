"""YAML documents that remember their lines, for errors that say where.

Duplicate keys are refused (YAML forbids them; most loaders keep the last one silently), and so are aliases that expand
without end.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml
from sigma.exceptions import SigmaError
from sigma.rule.base import check_alias_expansion


class Problem(Exception):
    """Why a file is no YAML that we accept, and on which line."""

    def __init__(self, line: int, reason: str) -> None:
        super().__init__(reason)
        self.line = line
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Document:
    """One document of a file.

    Attributes:
        value: What it says.
        node: Where it says it.
    """

    value: dict[str, Any]
    node: yaml.nodes.MappingNode

    def line(self, *keys: str) -> int:
        """Line of the deepest of these nested keys that exists; the document's first line if none does."""
        node: yaml.nodes.Node = self.node
        line: int = self.node.start_mark.line + 1
        for key in keys:
            entries = node.value if isinstance(node, yaml.nodes.MappingNode) else []
            found = [(name, value) for name, value in entries if name.value == key]
            if not found:
                break
            line, node = found[0][0].start_mark.line + 1, found[0][1]
        return line


def read(data: bytes) -> list[Document]:
    """Read all documents of a file.

    Raises:
        Problem: no UTF-8, no YAML, a duplicate key, a document that is no mapping, aliases without end.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Problem(data[: error.start].count(b"\n") + 1, "is not UTF-8") from error
    try:
        return [_document(node) for node in yaml.compose_all(text, Loader=yaml.CSafeLoader) if not _empty(node)]
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise Problem(mark.line + 1 if mark else 1, f"is no YAML: {error.problem or error.context}") from error
    except (yaml.YAMLError, ValueError) as error:
        raise Problem(1, f"is no YAML: {' '.join(str(error).split())}") from error
    except RecursionError as error:
        raise Problem(1, "is nested too deeply") from error


def _empty(node: yaml.nodes.Node | None) -> bool:
    return node is None or (isinstance(node, yaml.nodes.ScalarNode) and node.value == "")


def _document(node: yaml.nodes.Node) -> Document:
    if not isinstance(node, yaml.nodes.MappingNode):
        raise Problem(node.start_mark.line + 1, "a rule must be a mapping of keys")
    seen: set[int] = set()
    for name, line in _duplicates(node, seen):
        raise Problem(line, f"the key {name!r} comes twice: YAML would drop the first")
    loader = yaml.SafeLoader("")
    try:
        value = loader.construct_document(node)
        check_alias_expansion(value)
    except SigmaError as error:
        raise Problem(node.start_mark.line + 1, str(error)) from error
    finally:
        loader.dispose()
    if not all(isinstance(key, str) for key in value):
        raise Problem(node.start_mark.line + 1, "keys of a rule must be text")
    return Document(value, node)


def _duplicates(node: yaml.nodes.Node, seen: set[int]) -> Iterator[tuple[str, int]]:
    if id(node) in seen:
        return
    seen.add(id(node))
    if isinstance(node, yaml.nodes.SequenceNode):
        for item in node.value:
            yield from _duplicates(item, seen)
    elif isinstance(node, yaml.nodes.MappingNode):
        keys: set[tuple[str, str]] = set()
        for key, value in node.value:
            mark = (key.tag, str(key.value))
            if mark in keys:
                yield str(key.value), key.start_mark.line + 1
            keys.add(mark)
            yield from _duplicates(value, seen)
