"""Where rules are true, for many rules over one frame.

What `sigma.expression` says of one rule at a time (the executable specification), said for a whole rule book at less
cost: rules share their comparisons, cheap ones are made for the frame all at once, and what looks into texts is only asked
of rows that everything else in a condition has left.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property, lru_cache
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt
import polars as pl

from detector import sigma
from detector.correlation import SEPARATOR

Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]
_Kind = Literal["text", "flag", "number", "other"]

# A column with more distinct texts than this is compared only where a condition still needs it.
FEW_TEXTS: Final = 64
_FIRST: Final = 2048
_ORDERED: Final = ("number", "lt", "lte", "gt", "gte", "neq")


class Marks:
    """A frame, and what has been found out about its rows."""

    def __init__(self, frame: pl.DataFrame, atoms: Iterable[sigma.Atom] = ()) -> None:
        """Begin.

        Args:
            frame: The rows.
            atoms: Comparisons that are going to be asked for; others are made when they are.
        """
        self.frame = frame
        self.schema = frame.schema
        self._kinds: dict[str, _Kind | None] = {}
        # None stands for a comparison that is not cheap.
        self._known: dict[sigma.Atom, Bools | None] = {}
        self._texts: dict[str, dict[str, list[str]] | None] = {}
        self._joined: dict[tuple[str | None, ...], pl.Series] = {}
        self._learn(atoms)

    def where(self, tree: sigma.Tree) -> Bools:
        """True in the rows on which the tree is true."""
        return self._among(tree, np.ones(self.frame.height, dtype=np.bool_))

    def text(self, names: tuple[str | None, ...]) -> pl.Series:
        """Columns put together as one text; null where one of them is, or is not there."""
        if names not in self._joined:
            self._joined[names] = self._put_together(names)
        return self._joined[names]

    def _put_together(self, names: tuple[str | None, ...]) -> pl.Series:
        present = [name for name in names if name is not None and name in self.schema]
        if len(present) < len(names):
            return pl.Series([None], dtype=pl.String).new_from_index(0, self.frame.height)
        if len(names) == 1 and self.schema[present[0]] == pl.String:
            return self.frame[present[0]]
        return self.frame.select(pl.concat_str(pl.col(present).cast(pl.String), separator=SEPARATOR)).to_series()

    @cached_property
    def places(self) -> Ints:
        """Place of each row by (time, event id)."""
        times = self.frame["time.occurred"].to_numpy()
        order = np.argsort(times, kind="stable")
        same = times[order][1:] == times[order][:-1]
        tied = np.append(same, False) | np.append(False, same)
        if tied.any():
            # Few are of one millisecond: only these are held against each other by their ids.
            some = order[tied]
            keys = self.frame[["time.occurred", "event.id"]][index(some)].with_row_index("at")
            order[tied] = some[keys.sort("time.occurred", "event.id", maintain_order=True)["at"].to_numpy()]
        places = np.empty(len(order), dtype=np.int64)
        places[order] = np.arange(len(order))
        return places

    def _among(self, tree: sigma.Tree, rows: Bools) -> Bools:
        """True where the tree is true, right in `rows` at least; elsewhere false or not asked."""
        if isinstance(tree, sigma.Atom):
            known = self._known[tree] if self._is_cheap(tree) else None
            return self._asked(tree, rows) if known is None else known
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
            named = tuple((name, self.schema[name]) for name in sigma.fields(tree) if name in self.schema)
            if not named:
                return rows & bool(pl.select(sigma.expression(tree, self.schema)).item())
            asked = self.frame[[name for name, _ in named]]
            asked = asked if len(places) == len(rows) else asked[index(places)]
            result[places] = asked.select(_asking(tree, named)).to_series().to_numpy()
        return result

    def _is_cheap(self, tree: sigma.Tree) -> bool:
        if isinstance(tree, sigma.Not):
            return self._is_cheap(tree.part)
        if not isinstance(tree, sigma.Atom):
            return all(self._is_cheap(part) for part in tree.parts)
        if tree not in self._known:
            self._learn((tree,))
        return self._known[tree] is not None

    def _learn(self, atoms: Iterable[sigma.Atom]) -> None:
        """Make comparisons, if they are cheap."""
        new = [atom for atom in atoms if atom not in self._known]
        if not new:
            return
        self._look_at_texts({atom.field for atom in new if self._is_text(atom)})
        parts = {atom: self._parts(atom) for atom in new}
        wanted = dict.fromkeys(part for found in parts.values() for part in found or ())
        made = self.frame.select(_compared(part, self.schema[part.field]) for part in wanted)
        masks = {part: column.to_numpy() for part, column in zip(wanted, made.iter_columns(), strict=True)}
        nowhere, everywhere = (np.full(self.frame.height, value) for value in (False, True))
        for atom, found in parts.items():
            if self._kind(atom.field) is None:
                self._known[atom] = everywhere if sigma.if_absent(atom) else nowhere
            else:
                self._known[atom] = None if found is None else _some([masks[part] for part in found], nowhere)

    def _parts(self, atom: sigma.Atom) -> list[sigma.Atom] | None:
        """The comparisons of which one must hold, each a look at the column; None if the atom is not cheap."""
        kind = self._kind(atom.field)
        if kind is None:
            return []
        if self._is_text(atom):
            folded, text = self._texts[atom.field], str(atom.value)
            if folded is None:
                return None
            alike = [one for one in folded.get(text.lower(), ()) if not atom.cased or one == text]
            return [sigma.Atom(atom.field, "equals", one, cased=True) for one in alike]
        plain = atom.operator in ("null", "exists") or (atom.operator == "bool" and kind == "flag")
        return [atom] if plain or (atom.operator in _ORDERED and kind == "number") else None

    def _is_text(self, atom: sigma.Atom) -> bool:
        return atom.operator == "equals" and self._kind(atom.field) == "text"

    def _kind(self, field: str) -> _Kind | None:
        """What a column holds; None where it is absent or, which says no more, without any value."""
        if field not in self._kinds:
            absent = field not in self.schema or self.frame.get_column(field).null_count() == self.frame.height
            self._kinds[field] = None if absent else _kind_of(self.schema[field])
        return self._kinds[field]

    def _look_at_texts(self, fields: set[str]) -> None:
        """Learn the texts of columns by how they read without case; none of a column with many."""
        new = sorted(fields - self._texts.keys())
        if new and self.frame.height > 2 * _FIRST:
            # Most columns with many texts show it in their first rows. Null counts as one.
            few = self.frame[:_FIRST].select(pl.col(new).n_unique() <= FEW_TEXTS + 1)
            self._texts |= {name: None for name in new if not few.item(0, name)}
            new = [name for name in new if name not in self._texts]
        if not new:
            return
        distinct = self.frame.select(pl.col(name).drop_nulls().unique().head(FEW_TEXTS + 1).implode() for name in new)
        for name, texts in zip(new, distinct.row(0), strict=True):
            known: dict[str, list[str]] = {}
            for text in texts:
                known.setdefault(_folded(text), []).append(text)
            self._texts[name] = None if len(texts) > FEW_TEXTS else known


def index(rows: npt.NDArray[Any]) -> pl.Series:
    """Places in a frame, to take rows by."""
    # Polars takes rows by 32-bit numbers at an eighth of the cost.
    return pl.Series(rows.astype(np.uint32))


def _folded(text: str) -> str:
    """As `sigma.expression` compares a text without case."""
    return text.lower() if text.isascii() else _folded_as_polars_does(text)


@lru_cache(maxsize=4096)
def _folded_as_polars_does(text: str) -> str:
    return str(pl.Series([text]).str.to_lowercase()[0])


@lru_cache(maxsize=64)
def _kind_of(dtype: pl.DataType) -> _Kind:
    if dtype == pl.String:
        return "text"
    if dtype == pl.Boolean:
        return "flag"
    return "number" if dtype.is_numeric() else "other"


@lru_cache(maxsize=4096)
def _compared(atom: sigma.Atom, dtype: pl.DataType) -> pl.Expr:
    """A comparison under a name of its own."""
    return sigma.expression(atom, {atom.field: dtype}).alias(repr(atom))


@lru_cache(maxsize=4096)
def _asking(tree: sigma.Tree, columns: tuple[tuple[str, pl.DataType], ...]) -> pl.Expr:
    return sigma.expression(tree, dict(columns))


def _some(masks: list[Bools], nowhere: Bools) -> Bools:
    if len(masks) < 2:
        return masks[0] if masks else nowhere
    return np.asarray(np.logical_or.reduce(masks))
