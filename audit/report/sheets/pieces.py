"""Blocks of the report as lines of text and grids of cells, one below the other: what a sheet shows, before anything is written."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, assert_never

from audit.report.model import (
    Block,
    Cards,
    Cell,
    Chart,
    Column,
    Figures,
    Items,
    Kind,
    Notice,
    Paragraph,
    Promises,
    Section,
    Signatures,
    Table,
    Tone,
)
from audit.report.sheets import cells
from audit.report.sheets.wording import Language, say

# A name of a column, as Excel counts it; and what it would read as a sign by number.
_MOST_HEAD: Final = 255
_CODE: Final = re.compile("_(?=x[0-9a-fA-F]{4}_)")


@dataclass(frozen=True, slots=True)
class Line:
    """A text of its own.

    Attributes:
        text: What it says.
        style: "heading" over what follows, or "body".
        tone: Of a notice.
    """

    text: str
    style: Literal["heading", "body"] = "body"
    tone: Tone = Tone.PLAIN


@dataclass(frozen=True, slots=True)
class Typed:
    """A cell of another kind than its column."""

    value: Cell
    kind: Kind


@dataclass(frozen=True, slots=True)
class Grid:
    """Rows under heads.

    Attributes:
        id: Of the table, the figure or the chart; unique in the report after `named`.
        title: What the rows are.
        columns: At least one.
        rows: In the order of the columns.
        empty: What to say where there are none.
        note: What to know about them, above the heads; may be empty.
    """

    id: str
    title: str
    columns: tuple[Column, ...]
    rows: Sequence[Sequence[Cell | Typed]]
    empty: str
    note: str = ""

    @property
    def head(self) -> int:
        """How many rows stand above the heads: the title, and the note."""
        return 2 if self.note else 1


Piece = Line | Grid


def pieces(section: Section, language: Language) -> list[Piece]:
    """What a section says, from above to below."""
    return [piece for block in section.blocks for piece in _block(block, section.id, language)]


def _block(block: Block, section: str, language: Language) -> Iterator[Piece]:
    match block:
        case Paragraph():
            yield Line(block.text)
        case Notice():
            mark = "" if block.tone is Tone.PLAIN else f"[{say(block.tone, language)}] "
            yield Line(mark + block.text, tone=block.tone)
        case Items():
            if block.title:
                yield Line(block.title, "heading")
            for place, item in enumerate(block.items, start=1):
                yield Line(f"{place}. {item}" if block.ordered else f"・{item}")
        case Figures():
            yield _figures(block, section, language)
        case Table():
            yield _table(block)
        case Chart():
            data = block.data
            title = block.title if data.title == block.title else f"{block.title} - {data.title}"
            note = f"{block.alt} {data.note}".strip()
            yield Grid(data.id, title, data.columns, data.rows, data.empty, note)
        case Promises():
            yield _promises(block, language)
        case Cards():
            yield _cards(block, language)
        case Signatures():
            yield _signatures(block, section, language)
        case _:
            assert_never(block)


def _table(table: Table) -> Grid:
    return Grid(table.id, table.title, table.columns, table.rows, table.empty, table.note)


def _columns(language: Language, *names: tuple[str, Kind]) -> tuple[Column, ...]:
    return tuple(Column(say(name, language), kind) for name, kind in names)


def _figures(block: Figures, section: str, language: Language) -> Grid:
    def row(place: int) -> tuple[Cell | Typed, ...]:
        figure = block.figures[place]
        value = Typed(figure.value, figure.kind)
        if figure.value is None:
            value = Typed(say("unknown", language), "text")
        unit = figure.unit or (say("unit_hours", language) if figure.kind == "duration" else "")
        return figure.label, value, unit, figure.note, say(figure.tone, language), figure.id

    columns = _columns(
        language,
        ("label", "text"),
        ("value", "text"),
        ("unit", "text"),
        ("note", "text"),
        ("tone", "text"),
        ("id", "id"),
    )
    rows = [row(place) for place in range(len(block.figures))]
    first = block.figures[0].label if block.figures else "-"
    title = say("figures", language).format(first=first)
    return Grid(f"{section}.figures", title, columns, rows, say("unknown", language))


def _promises(block: Promises, language: Language) -> Grid:
    rows = [
        (
            promise.id,
            promise.verdict,
            promise.title,
            promise.quote,
            say("own_words" if promise.paraphrase else "quoted", language),
            promise.stands_in,
            promise.counts,
            promise.number if promise.number is not None else Typed(say("unknown", language), "text"),
            promise.unit,
            promise.expected,
            promise.reason,
            "\n".join(promise.evidence),
            "\n".join(promise.references),
        )
        for promise in block.promises
    ]
    names: tuple[tuple[str, Kind], ...] = (
        ("number", "id"),
        ("verdict", "text"),
        ("promise", "text"),
        ("quote", "text"),
        ("paraphrase", "text"),
        ("stands_in", "text"),
        ("counts", "text"),
        ("value", "integer"),
        ("unit", "text"),
        ("expected", "text"),
        ("reason", "text"),
        ("evidence", "text"),
        ("references", "text"),
    )
    return Grid(block.id, block.title, _columns(language, *names), rows, say("no_promises", language))


def _cards(block: Cards, language: Language) -> Grid:
    """One row per finding; each label of its facts, and of what was done, is a column."""
    facts = [_joined(card.facts) for card in block.cards]
    done = [_joined(card.done) for card in block.cards]
    labels, deeds = _labels(facts), _labels(done)
    first = _columns(
        language, ("id", "id"), ("tone", "text"), ("badges", "text"), ("what", "text"), ("sentence", "text")
    )
    columns = (*first, *(Column(label) for label in labels), *(Column(say("done", language) + deed) for deed in deeds))
    rows = [
        (
            card.id,
            say(card.tone, language),
            " / ".join(card.badges),
            card.title,
            card.text,
            *(known.get(label) for label in labels),
            *(did.get(deed) for deed in deeds),
        )
        for card, known, did in zip(block.cards, facts, done, strict=True)
    ]
    return Grid(block.id, block.title, columns, rows, block.empty)


def _joined(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """By label; what stands under the same label is listed."""
    out: dict[str, str] = {}
    for label, value in pairs:
        out[label] = f"{out[label]}\n{value}" if label in out else value
    return out


def _labels(rows: Iterable[Mapping[str, str]]) -> list[str]:
    return list(dict.fromkeys(label for row in rows for label in row))


def _signatures(block: Signatures, section: str, language: Language) -> Grid:
    columns = _columns(language, ("role", "text"), ("by", "text"), ("at", "moment"), ("of", "id"))
    rows = [(line.role, line.by, line.at, line.of) for line in block.lines]
    return Grid(f"{section}.signatures", block.title, columns, rows, say("nobody", language), block.note)


def heads(columns: Sequence[Column], language: Language) -> list[str]:
    """Names of columns as Excel takes them: one line, not empty, none like another; a duration says that it is in hours."""
    out: list[str] = []
    seen: set[str] = set()
    for place, column in enumerate(columns, start=1):
        words = _CODE.sub("_ ", " ".join(cells.text(column.name, language).split()))
        name = words[: _MOST_HEAD // 2 - 20] or f"({place})"
        name += say("hours", language) if column.kind == "duration" else ""
        unique, count = name, 2
        while unique.lower() in seen:
            unique, count = f"{name} ({count})", count + 1
        seen.add(unique.lower())
        out.append(unique)
    return out


def name(id: str, taken: set[str]) -> str:
    """A name for a table by which formulas find it, made from its id; it is added to those taken."""
    base = re.sub(r"[^A-Za-z0-9_.]", "_", id)[:200]
    # With a dot between words nothing reads like a cell (A1, R1C1).
    base = base if re.match("[A-Za-z_]", base) and re.search(r"[A-Za-z_.]\.[A-Za-z_]", base) else f"table.{base}"
    unique, count = base, 2
    while unique.lower() in taken:
        unique, count = f"{base}_{count}", count + 1
    taken.add(unique.lower())
    return unique
