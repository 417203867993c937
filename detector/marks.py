"""Where rules are true, for many rules over one frame.

What `sigma.expression` says of one rule at a time (the executable specification), said for a whole rule book at less
cost: rules share their comparisons, cheap ones are made once for the frame, and what looks into texts is only asked of
rows that everything else in a condition has left.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from detector import sigma

Bools = npt.NDArray[np.bool_]

# A column with more distinct texts than this is compared only where a condition still needs it.
FEW_TEXTS: Final = 64
_ORDERED: Final = ("number", "lt", "lte", "gt", "gte", "neq")


class Marks:
    """A frame, and what has been found out about its rows."""

    def __init__(self, frame: pl.DataFrame) -> None:
        self.frame = frame
        self._schema = frame.schema
        self._cheap: dict[sigma.Atom, Bools] = {}
        self._texts: dict[str, dict[str, list[str]] | None] = {}
        self._equal: dict[tuple[str, str], Bools] = {}

    def where(self, tree: sigma.Tree) -> Bools:
        """True in the rows on which the tree is true."""
        return self._among(tree, np.ones(self.frame.height, dtype=np.bool_))

    def _among(self, tree: sigma.Tree, rows: Bools) -> Bools:
        """True where the tree is true, right in `rows` at least; elsewhere false or not asked."""
        if isinstance(tree, sigma.Atom):
            return self._made(tree) if self._is_cheap(tree) else self._asked(tree, rows)
        if isinstance(tree, sigma.Not):
            return ~self._among(tree.part, rows)
        parts = sorted(tree.parts, key=lambda part: not self._is_cheap(part))
        if isinstance(tree, sigma.All):
            left = rows
            for part in parts:
                if not left.any():
                    break
                left = left & self._among(part, left)
            return left
        return self._any(parts, rows)

    def _any(self, parts: list[sigma.Tree], rows: Bools) -> Bools:
        found = np.zeros(len(rows), dtype=np.bool_)
        dear: list[sigma.Tree] = []
        for part in parts:
            if isinstance(part, sigma.Atom) and not self._is_cheap(part):
                dear.append(part)
            else:
                found |= self._among(part, rows & ~found)
        # Alternatives over the same text look at it once.
        return found | self._asked(sigma.Any_(tuple(dear)), rows & ~found) if dear else found

    def _asked(self, tree: sigma.Tree, rows: Bools) -> Bools:
        """Ask the specification, of these rows only."""
        result = np.zeros(len(rows), dtype=np.bool_)
        places = np.flatnonzero(rows)
        if len(places):
            named = [name for name in sigma.fields(tree) if name in self._schema]
            if not named:
                return rows & bool(pl.select(sigma.expression(tree, self._schema)).item())
            asked = self.frame.select(named)
            asked = asked if len(places) == len(rows) else asked[places]
            result[places] = asked.select(sigma.expression(tree, self._schema)).to_series().to_numpy()
        return result

    def _is_cheap(self, tree: sigma.Tree) -> bool:
        if isinstance(tree, sigma.Not):
            return self._is_cheap(tree.part)
        if not isinstance(tree, sigma.Atom):
            return all(self._is_cheap(part) for part in tree.parts)
        kind = self._schema.get(tree.field)
        if kind is None or tree.operator in ("null", "exists"):
            return True
        if tree.operator == "equals":
            return kind == pl.String and self._distinct(tree.field) is not None
        return (tree.operator == "bool" and kind == pl.Boolean) or (tree.operator in _ORDERED and kind.is_numeric())

    def _made(self, atom: sigma.Atom) -> Bools:
        if atom not in self._cheap:
            self._cheap[atom] = self._texts_equal(atom) if self._is_text(atom) else self._compared(atom)
        return self._cheap[atom]

    def _is_text(self, atom: sigma.Atom) -> bool:
        return atom.operator == "equals" and atom.field in self._schema

    def _compared(self, atom: sigma.Atom) -> Bools:
        found = self.frame.select(sigma.expression(atom, self._schema)).to_series().to_numpy()
        return found if len(found) == self.frame.height else np.full(self.frame.height, bool(found[0]))

    def _texts_equal(self, atom: sigma.Atom) -> Bools:
        result = np.zeros(self.frame.height, dtype=np.bool_)
        folded = self._distinct(atom.field) or {}
        for text in folded.get(str(atom.value).lower(), ()):
            if not atom.cased or text == str(atom.value):
                result = result | self._same(atom.field, text)
        return result

    def _same(self, field: str, text: str) -> Bools:
        if (field, text) not in self._equal:
            self._equal[field, text] = (self.frame[field] == text).fill_null(False).to_numpy()
        return self._equal[field, text]

    def _distinct(self, field: str) -> dict[str, list[str]] | None:
        """The texts of a column by how they read without case; none if they are many."""
        if field not in self._texts:
            texts = self.frame[field].drop_nulls().unique()
            self._texts[field] = None if len(texts) > FEW_TEXTS else _folded(texts)
        return self._texts[field]


def _folded(texts: pl.Series) -> dict[str, list[str]]:
    result: dict[str, list[str]] = {}
    for text, folded in zip(texts, texts.str.to_lowercase(), strict=True):
        result.setdefault(folded, []).append(text)
    return result
