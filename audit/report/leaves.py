"""A report as the template of the PDF reads it: everything in words, columns with widths, what is too long in the appendix.

Only dicts, lists, texts and numbers: the template gets them as JSON, and no text ever becomes markup.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import asdict, replace
from html import escape, unescape
from typing import Any, Final

from pydantic import TypeAdapter

from audit.report.glyphs import Font, code, visible
from audit.report.grids import grid
from audit.report.leaf_words import PAIRS, SIGNS, TONES
from audit.report.model import (
    Block,
    Card,
    Cards,
    Chart,
    Figure,
    Figures,
    Items,
    Notice,
    Paragraph,
    Promise,
    Promises,
    Report,
    Signature,
    Signatures,
    Table,
)
from audit.report.widths import PAGE, pieces
from audit.report.writing import NOTHING, UNKNOWN, figure, shown
from audit.wording import Words

_MARK: Final = 64  # signs of the draft's reason on every page; the first page has all of them
_LONG: Final = 2_700  # bytes, of which a Latin letter has one and a Japanese one three, of what may break over pages
_LINE: Final = 120  # bytes that a line end counts
_PIXEL: Final = 0.75  # pt in a unit of a chart, so that its letters are as large as those of tables
_TALLEST: Final = 600.0  # pt of a chart
_NUMBERS: Final = 15  # rows of a chart's table that stand under it
_SHORT_FACT: Final = 24.0  # em of a fact that stands beside another
_LARGE: Final = 15.0  # pt of a number that stands out, if it fits in one line
_REFERENCE: Final = re.compile(r"&#(?:x[0-9a-fA-F]+|[0-9]+);")
_VIEW_BOX: Final = re.compile(r"""viewBox\s*=\s*["']\s*\S+?[\s,]+\S+?[\s,]+([0-9.]+)[\s,]+([0-9.]+)\s*["']""")

_REPORT: Final = TypeAdapter(Report)

Leaf = dict[str, Any]


def leaves(report: Report, font: Font, replaced: Counter[str]) -> Leaf:
    """All that the template prints.

    Args:
        report: Any.
        font: Measures texts, and knows which characters it has.
        replaced: Counts characters that are shown by their number.
    """
    # Before anything is measured, for a number is wider than what it stands for; and again for what faces add.
    shown_report = _REPORT.validate_python(_visible(_REPORT.dump_python(report), font, replaced))
    whole: Leaf = _visible(_Writer(shown_report, font).whole(), font, replaced)
    if replaced:
        listed = "、".join(f"{code(sign)} {n}" for sign, n in sorted(replaced.items()))
        whole["replaced"] = Words(report.language, report.time_zone).extended(PAIRS)["replaced"] + listed
    return whole


def _visible(value: Any, font: Font, replaced: Counter[str]) -> Any:
    """The same with every text, at whatever depth, as paper can show it."""
    if isinstance(value, str):
        return visible(value, font, replaced)
    if isinstance(value, list | tuple):
        return [_visible(part, font, replaced) for part in value]
    if isinstance(value, dict):
        return {
            name: _drawn(part, font, replaced) if name == "svg" else _visible(part, font, replaced)
            for name, part in value.items()
        }
    return value


def _drawn(svg: str, font: Font, replaced: Counter[str]) -> str:
    """A chart with its texts as paper can show them; in markup the number of a character needs its brackets escaped."""
    return visible(_REFERENCE.sub(_character, svg), font, replaced, lambda sign: escape(code(sign)))


class _Writer:
    """One report on its way to paper: what is too long for its section gathers in the appendix."""

    def __init__(self, report: Report, font: Font) -> None:
        self._report = report
        self._font = font
        self._words = Words(report.language, report.time_zone).extended(PAIRS)
        self._appendix: list[Leaf] = []
        self._section = (0, "")

    def whole(self) -> Leaf:
        """The report, without what `leaves` says of replaced characters."""
        report = self._report
        sections = []
        for number, section in enumerate(report.sections, start=1):
            self._section = number, section.title
            blocks = _together([self._block(block) for block in section.blocks])
            sections.append({"title": section.title, "anchor": f"s{number}", "blocks": blocks})
        return {
            "language": report.language,
            "title": report.title,
            "site": report.site,
            "period": report.period,
            "made": self._made(),
            "maker": f"Sekimori {report.version}",
            "draft": report.draft,
            "mark": _cut(report.draft) if report.draft else None,
            "summary": list(report.summary),
            "signatures": self._seals(),
            "sections": sections,
            "appendix": self._appendix,
            "replaced": None,
            "words": {name: self._words[name] for name in PAIRS},
        }

    def _made(self) -> str:
        at = self._words.local(self._report.as_of)
        day = f"{at.month}月{at.day}日" if self._report.language == "ja" else at.date().isoformat()
        era = self._words.era(at.date())
        return self._words["made_at"].format(western=at.year, day=day, era=era, time=f"{at:%H:%M}")

    def _seals(self) -> list[Leaf] | None:
        """The lines to sign on, for the first page."""
        blocks = (block for section in self._report.sections for block in section.blocks)
        found = next((block for block in blocks if isinstance(block, Signatures)), None)
        return [self._signature(line) for line in found.lines] if found and found.lines else None

    def _block(self, block: Block) -> Leaf:
        match block:
            case Paragraph():
                return {"block": "paragraph", "text": block.text}
            case Notice():
                return {
                    "block": "notice",
                    "texts": [block.text],
                    "tone": block.tone,
                    "word": self._tone(block),
                    "long": _long(block.text),
                }
            case Items():
                return asdict(block)
            case Figures():
                return self._figures(block)
            case Table():
                return self._table(block)
            case Chart():
                return self._chart(block)
            case Promises():
                return self._promises(block)
            case Cards():
                return self._cards(block)
            case Signatures():
                lines = [self._signature(line) for line in block.lines]
                return {"block": "signatures", "title": block.title, "note": block.note, "lines": lines}

    def _tone(self, notice: Notice) -> str:
        return TONES[notice.tone][0 if self._report.language == "ja" else 1]

    def _signature(self, line: Signature) -> Leaf:
        at = [] if line.at is None else pieces(shown(line.at, "moment", self._report), "moment")
        return {"role": line.role, "by": line.by, "at": at, "of": line.of}

    def _figures(self, block: Figures) -> Leaf:
        columns = {1: 2, 2: 2, 3: 3, 5: 3, 6: 3, 9: 3}.get(len(block.figures), 4)
        return {
            "block": "figures",
            "columns": columns,
            "figures": [self._figure(one, PAGE / columns - 24) for one in block.figures],
        }

    def _figure(self, one: Figure, room: float) -> Leaf:
        value = UNKNOWN[self._report.language] if one.value is None else shown(one.value, one.kind, self._report)
        unit = "" if one.value is None else one.unit
        cut = pieces(value, one.kind)
        wide = max(map(self._font.width, cut)) * 1.08 + self._font.width(unit) * 0.6
        size = max(9.0, min(_LARGE, room / wide if wide else _LARGE))
        return {
            "label": one.label,
            "value": cut if wide * size <= room + 1 else value,
            "unit": unit,
            "size": round(size, 1),
            "note": one.note,
            "tone": one.tone,
            "sign": SIGNS[one.tone],
            "long": _long(one.label, value, unit, one.note),
        }

    def _table(self, table: Table) -> Leaf:
        head = len(table.rows) if table.head_rows is None else table.head_rows
        shown_rows = table.rows[:head]
        return {
            "block": "table",
            "title": table.title,
            "note": table.note,
            "empty": table.empty if not table.rows else None,
            "grid": grid(table, shown_rows, self._report, self._font) if shown_rows else None,
            "more": self._more_rows(table, head) if len(table.rows) > head else None,
        }

    def _more_rows(self, table: Table, head: int) -> Leaf:
        rest, count = table.rows[head:], len(table.rows)
        rows = self._words.say("rows", first=head + 1, last=count, all=count)
        content = {"grid": grid(table, rest, self._report, self._font), "rows": rows}
        return self._more(table.title, content, head, count)

    def _more(self, title: str, content: Leaf, head: int, count: int) -> Leaf:
        """Put something into the appendix.

        Returns:
            What to say in the section, and the anchor to refer to.
        """
        number, (section, name) = len(self._appendix) + 1, self._section
        words, anchor = self._words, f"a{number}"
        self._appendix.append(
            {
                "anchor": anchor,
                "title": words.say("appendix_title", n=number, title=title),
                "from": words.say("from", n=section, title=name),
                "section": f"s{section}",
                **content,
            }
        )
        said = words.say("rest_rows" if head else "rest_all", all=count, head=head, rest=count - head)
        return {"anchor": anchor, "before": said, "name": words.say("appendix_name", n=number)}

    def _chart(self, chart: Chart) -> Leaf:
        box = _VIEW_BOX.search(chart.svg)
        width, height = (float(box[1]), float(box[2])) if box else (PAGE / _PIXEL, PAGE / _PIXEL)
        scale = min(_PIXEL, PAGE / max(width, 1.0), _TALLEST / max(height, 1.0))
        data = self._table(self._numbers(chart))
        return {
            "block": "chart",
            "title": chart.title,
            "alt": chart.alt.strip() or chart.title.strip() or NOTHING,  # none at all would be no tagged picture
            "svg": chart.svg,
            "width": round(width * scale, 2),
            "data": data if data["grid"] else None,
            "more": data["more"] if not data["grid"] else None,
        }

    def _numbers(self, chart: Chart) -> Table:
        """The table of a chart: under it if it is short, and without its title said twice; else in the appendix."""
        table, count = chart.data, len(chart.data.rows)
        head = count if table.head_rows is None else min(count, table.head_rows)
        if head > _NUMBERS:
            return replace(table, head_rows=0)
        return replace(table, title="") if head == count and table.title == chart.title else table

    def _promises(self, block: Promises) -> Leaf:
        return {
            "block": "promises",
            "title": block.title,
            "promises": [self._promise(one) for one in block.promises],
            "paraphrased": any(one.paraphrase for one in block.promises),
        }

    def _promise(self, one: Promise) -> Leaf:
        blank = " " if one.unit and self._report.language == "en" else ""
        number = figure(one.number, "integer", blank + one.unit, self._report)
        return {
            **asdict(one),
            "number": number,
            "sign": SIGNS[one.tone],
            "long": _long(
                *(part for part in asdict(one).values() if isinstance(part, str)), *one.evidence, *one.references
            ),
        }

    def _cards(self, block: Cards) -> Leaf:
        head = len(block.cards) if block.head_cards is None else block.head_cards
        count = len(block.cards)
        more = None
        if count > head:
            rows = self._words.say("rows", first=head + 1, last=count, all=count)
            more = self._more(
                block.title, {"cards": [self._card(c) for c in block.cards[head:]], "rows": rows}, head, count
            )
        return {
            "block": "cards",
            "title": block.title,
            "empty": block.empty if not block.cards else None,
            "cards": [self._card(card) for card in block.cards[:head]],
            "more": more,
        }

    def _card(self, card: Card) -> Leaf:
        texts = (part for pair in (*card.facts, *card.done) for part in pair)
        facts = {"facts": self._facts(card.facts), "done": self._facts(card.done)}
        return {**asdict(card), **facts, "sign": SIGNS[card.tone], "long": _long(card.title, card.text, *texts)}

    def _facts(self, pairs: tuple[tuple[str, str], ...]) -> list[Leaf]:
        return [
            {"name": name, "value": value, "wide": self._font.width(name + value) > _SHORT_FACT or "\n" in value}
            for name, value in pairs
        ]


def _together(blocks: list[Leaf]) -> list[Leaf]:
    """Notices of one tone that follow each other, as one."""
    out: list[Leaf] = []
    for block in blocks:
        last = out[-1] if out else block
        if out and block["block"] == last["block"] == "notice" and block["tone"] == last["tone"]:
            texts = [*last["texts"], *block["texts"]]
            out[-1] = {**last, "texts": texts, "long": _long(*texts)}
        else:
            out.append(block)
    return out


def _long(*texts: str) -> bool:
    return sum(len(text.encode()) + _LINE * text.count("\n") for text in texts) > _LONG


def _cut(text: str) -> str:
    return text if len(text) <= _MARK else text[: _MARK - 1] + "…"


def _character(reference: re.Match[str]) -> str:
    """A numbered character of an SVG as itself, so that it is looked at as all others are; marks of markup stay numbers."""
    sign = unescape(reference[0])
    return reference[0] if sign in "<>&\"'" else sign
