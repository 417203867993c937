"""The report as plain values: what it says, nothing of how it looks.

Sections write it (`audit.report.sections`), faces show it (HTML, PDF, Excel), and it stands beside them as JSON. All texts are in the
report's one language; numbers, moments and days stay numbers, moments and days, so that each face writes them in its own way.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Literal

from pydantic import TypeAdapter

SCHEMA: Final = 1

# What a column or a figure holds, and in which form:
#   text      as it is; may be hostile: every face escapes it
#   id        an id, a token, a hash: never broken into words, never taken for a number
#   integer   counted; thousands are grouped
#   decimal   measured; one or two places
#   share     0 to 1; shown in percent
#   moment    UTC milliseconds; shown on the site's clocks
#   day       ISO 8601 (`2026-03-01`)
#   duration  milliseconds
Kind = Literal["text", "id", "integer", "decimal", "share", "moment", "day", "duration"]
Cell = str | int | float | None


class Tone(StrEnum):
    """How pressing something is; every face shows it in words or a sign as well, never by colour alone."""

    GOOD = "good"
    PLAIN = "plain"
    CHECK = "check"
    LACKING = "lacking"
    URGENT = "urgent"


@dataclass(frozen=True, slots=True)
class Figure:
    """A number that stands out.

    Attributes:
        id: By which `sekimori report --explain` finds the events behind it: `section.name`, small letters, digits, `_`, `.`, `-`.
        label: What is counted.
        value: In the form of its kind; None: not known, which is never the same as 0.
        kind: Of the value.
        unit: After the value, such as 件; may be empty.
        note: What to know about it, or why it is not known; may be empty.
        tone: How pressing it is.
    """

    id: str
    label: str
    value: Cell
    kind: Kind = "integer"
    unit: str = ""
    note: str = ""
    tone: Tone = Tone.PLAIN


@dataclass(frozen=True, slots=True)
class Figures:
    """Numbers side by side, two to eight."""

    figures: tuple[Figure, ...]
    block: Literal["figures"] = "figures"


@dataclass(frozen=True, slots=True)
class Paragraph:
    """A few sentences."""

    text: str
    block: Literal["paragraph"] = "paragraph"


@dataclass(frozen=True, slots=True)
class Notice:
    """Something that a reader must not miss, such as what could not be known."""

    text: str
    tone: Tone
    block: Literal["notice"] = "notice"


@dataclass(frozen=True, slots=True)
class Items:
    """Sentences one below the other."""

    items: tuple[str, ...]
    title: str = ""
    ordered: bool = False
    block: Literal["items"] = "items"


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table.

    Attributes:
        name: Its head.
        kind: Of its cells.
        weight: How wide it is beside the others: 1 for a number, 2 to 6 for texts.
    """

    name: str
    kind: Kind = "text"
    weight: int = 1


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under heads.

    Attributes:
        id: As of a figure; unique in the report.
        title: What the rows are.
        columns: At least one.
        rows: Cells in the order of the columns; None: not known, or not so.
        empty: What to say where there are no rows.
        note: What to know about them; may be empty.
        head_rows: Rows that screen and PDF show in the section; the rest stands in the appendix, and all of them in Excel. None: all.
    """

    id: str
    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    empty: str
    note: str = ""
    head_rows: int | None = None
    block: Literal["table"] = "table"


@dataclass(frozen=True, slots=True)
class Chart:
    """A picture of numbers.

    Attributes:
        id: As of a figure.
        title: What it shows.
        alt: The same in a sentence or two, with its most telling numbers, for those who do not see it.
        svg: SVG 1.1 with a viewBox, colours of its own, texts as texts; no script, no style sheet, no link.
        data: The numbers it is drawn from.
    """

    id: str
    title: str
    alt: str
    svg: str
    data: Table
    block: Literal["chart"] = "chart"


@dataclass(frozen=True, slots=True)
class Promise:
    """A control of an assessment and its verdict.

    Attributes:
        id: `assessment/control`; `--explain` knows it.
        title, quote, stands_in: The promise in a few words, as it is written, and where; `paraphrase`: the quote is our own wording.
        verdict: 適合, 要確認 or 証跡不足.
        tone: Of the verdict.
        number, unit, counts: What was counted; None: it could not be.
        expected: What it should be.
        reason: Why the verdict reads so.
        evidence: Where the evidence is.
        references: First few of what is to be checked.
    """

    id: str
    title: str
    quote: str
    stands_in: str
    paraphrase: bool
    verdict: str
    tone: Tone
    number: int | None
    unit: str
    counts: str
    expected: str
    reason: str
    evidence: tuple[str, ...]
    references: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Promises:
    """The promises of one assessment."""

    id: str
    title: str
    promises: tuple[Promise, ...]
    block: Literal["promises"] = "promises"


@dataclass(frozen=True, slots=True)
class Card:
    """One serious finding in plain words.

    Attributes:
        id: Uid of the finding; `--explain` knows it.
        title: What happened.
        text: In a sentence with numbers.
        tone: How pressing it is.
        badges: A few words, such as severity and queue.
        facts: Label and value: who, when, where.
        done: Label and value: what people did about it, by whom, by when.
    """

    id: str
    title: str
    text: str
    tone: Tone
    badges: tuple[str, ...]
    facts: tuple[tuple[str, str], ...]
    done: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Cards:
    """Serious findings, the worst first; `head_cards` of them in the section, the rest in the appendix."""

    id: str
    title: str
    cards: tuple[Card, ...]
    empty: str
    head_cards: int | None = None
    block: Literal["cards"] = "cards"


@dataclass(frozen=True, slots=True)
class Signature:
    """A line to sign on.

    Attributes:
        role: 確認者, 承認者.
        by: Who signed; None: nobody has.
        at: When, UTC milliseconds.
        of: The first digits of the SHA-256 of what they signed.
    """

    role: str
    by: str | None = None
    at: int | None = None
    of: str | None = None


@dataclass(frozen=True, slots=True)
class Signatures:
    """Who stands for the report."""

    title: str
    lines: tuple[Signature, ...]
    note: str = ""
    block: Literal["signatures"] = "signatures"


Block = Paragraph | Notice | Items | Figures | Table | Chart | Promises | Cards | Signatures


@dataclass(frozen=True, slots=True)
class Section:
    """A chapter.

    Attributes:
        id: Small letters; ids of figures in it begin with it.
        title: Its head, without a number: faces count sections in their order.
        blocks: What it says, in order.
    """

    id: str
    title: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True)
class Report:
    """The whole.

    Attributes:
        title: Of the first page.
        language: Of all texts.
        site: Name of the organisation.
        time_zone: Of all moments.
        begin, end: The period, UTC milliseconds, `end` excluded.
        period: The same in words, with the Japanese era beside the Western year.
        as_of: When it was made, UTC milliseconds: what people have done by then counts.
        draft: Why it is not final, on every page; None: it is final.
        summary: One page: the period in three to five sentences.
        sections: In the order in which a privacy officer reads.
        version: Of Sekimori.
        schema: Of this model.
        traced: Whether `sekimori report --explain` knows its ids; where it does not nobody needs to see them.
    """

    title: str
    language: Literal["ja", "en"]
    site: str
    time_zone: str
    begin: int
    end: int
    period: str
    as_of: int
    draft: str | None
    summary: tuple[str, ...]
    sections: tuple[Section, ...]
    version: str
    schema: int = SCHEMA
    traced: bool = True


_ADAPTER: Final = TypeAdapter(Report)


def dumped(report: Report) -> bytes:
    """The report as JSON, UTF-8, with a line end; the same report gives the same bytes."""
    return _ADAPTER.dump_json(report, indent=1) + b"\n"


def loaded(data: bytes) -> Report:
    """The report that `dumped` wrote.

    Raises:
        pydantic.ValidationError: It is none of this schema.
    """
    return _ADAPTER.validate_json(data)
