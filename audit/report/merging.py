"""Cells about people, merged until each is about enough of them that nobody can be singled out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from audit.sections import LEAST_PEOPLE


@dataclass(frozen=True, slots=True)
class Cell:
    """Counts of some people.

    Attributes:
        name: What they have in common, such as a department; None: of those whose it is not known.
        people: Who they are; empty: nobody, as where a program acts by itself, and nobody can be singled out.
        counts: What is counted, in any order that all cells share.
    """

    name: str | None
    people: frozenset[str]
    counts: tuple[int, ...]

    @property
    def is_small(self) -> bool:
        """Whether it is about somebody, but too few."""
        return 0 < len(self.people) < LEAST_PEOPLE


@dataclass(frozen=True, slots=True)
class Merged:
    """Cells, and what became of those that were too small.

    Attributes:
        cells: Those that may be shown as they are, in the order given.
        others: The rest in one, without a name; None: there was none. It may still be too small: then neither it nor a sum over
            all cells may be shown.
        names: What was merged into it, in the order given.
    """

    cells: tuple[Cell, ...]
    others: Cell | None
    names: tuple[str | None, ...] = ()


def merged(cells: Iterable[Cell]) -> Merged:
    """Merge cells of too few people, and with them the next larger ones until together they are enough.

    The last is needed because sums are shown: who knows the sum and all cells but one knows that one. People who stand in several
    cells count once.

    Args:
        cells: All cells of a sum.
    """
    cells = list(cells)
    apart = {place for place, cell in enumerate(cells) if cell.is_small}
    rest = sorted(
        (place for place, cell in enumerate(cells) if cell.people and place not in apart),
        key=lambda place: (len(cells[place].people), place),
    )
    for place in rest if apart else ():
        if len(_people(cells[one] for one in apart)) >= LEAST_PEOPLE:
            break
        apart.add(place)
    kept = tuple(cell for place, cell in enumerate(cells) if place not in apart)
    some = [cells[place] for place in sorted(apart)]
    if not some:
        return Merged(kept, None)
    return Merged(kept, together(some), tuple(cell.name for cell in some))


def together(cells: Iterable[Cell]) -> Cell:
    """Several cells, at least one, as one without a name."""
    cells = list(cells)
    return Cell(
        None, _people(cells), tuple(sum(column) for column in zip(*(cell.counts for cell in cells), strict=True))
    )


def _people(cells: Iterable[Cell]) -> frozenset[str]:
    return frozenset[str]().union(*(cell.people for cell in cells))
