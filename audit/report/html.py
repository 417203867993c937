"""The report for the screen: one HTML page that needs nothing else, is read by screen readers, and prints on A4.

There is no script in it and nothing is fetched; a policy in its head forbids both. Charts are pictures of their own, so that
nothing in them can reach the page.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Sequence
from typing import Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from audit.report.model import Card, Cards, Cell, Chart, Column, Kind, Promise, Promises, Report, Section, Table, Tone
from audit.report.writing import UNKNOWN, shown, visible

_WORDS: Final[dict[str, tuple[str, str]]] = {
    "contents": ("目次", "Contents"),
    "skip": ("本文へ移る", "Skip to the report"),
    "summary": ("概要", "Summary"),
    "appendix": ("付録", "Appendix"),
    "site": ("団体", "Organisation"),
    "period": ("対象期間", "Period"),
    "made": ("作成", "Made"),
    "version": ("版", "Version"),
    "status": ("区分", "Status"),
    "final": ("確定", "Final"),
    "explain": (
        "灰色の小さな記号（{id} など）は、数値や表の番号です。sekimori report --explain に渡すと、根拠となった記録を一覧できます。",
        "The small grey codes, such as {id}, are ids of figures and tables: sekimori report --explain lists the events behind them.",
    ),
    "rest_rows": ("全{n}行のうち最初の{head}行です。続きは{link}にあります。", "The first {head} of {n} rows; the rest is in {link}."),
    "all_rows": ("全{n}行は{link}にあります。", "All {n} rows are in {link}."),
    "rest_cards": ("全{n}件のうち最初の{head}件です。続きは{link}にあります。", "The first {head} of {n}; the rest is in {link}."),
    "all_cards": ("全{n}件は{link}にあります。", "All {n} are in {link}."),
    "rows": ("全{n}行のうち{first}〜{last}行目", "Rows {first} to {last} of {n}"),
    "cards": ("全{n}件のうち{first}〜{last}件目", "Items {first} to {last} of {n}"),
    "data": ("数値", "Numbers"),
    "back": ("本文の該当箇所へ戻る", "Back to where it belongs"),
    "id": ("番号", "No."),
    "verdict": ("判定", "Verdict"),
    "promise": ("約束", "Promise"),
    "number": ("数値と基準", "Number and standard"),
    "grounds": ("理由と証跡", "Reason and evidence"),
    "expected": ("基準", "Standard"),
    "evidence": ("証跡", "Evidence"),
    "references": ("確認するもの", "To be checked"),
    "paraphrase": ("＊ 原文の引用ではなく、趣旨を要約したもの。", "* Our own wording of what the assessment says."),
    "no_promises": ("判定した約束はありません。", "No promise was judged."),
    "no_items": ("ありません。", "None."),
    "done": ("対応", "What was done"),
    "nothing_done": ("対応の記録はありません。", "Nothing is on record."),
    "signed": ("署名", "Signed"),
    "digest": ("署名した内容", "Of"),
    "unsigned": ("未署名", "Not signed"),
    "blank": ("（空白）", "(blank)"),
    "colon": ("：", ": "),
    "comma": ("、", ", "),
    "open": ("「", "“"),
    "close": ("」", "”"),
}  # fmt: skip
# A sign for the eye, words for everybody.
_TONES: Final[dict[Tone, tuple[str, tuple[str, str]]]] = {
    Tone.GOOD: ("○", ("良好", "in order")),
    Tone.PLAIN: ("", ("参考", "for information")),
    Tone.CHECK: ("△", ("要確認", "to be checked")),
    Tone.LACKING: ("－", ("不足・不明", "lacking or not known")),
    Tone.URGENT: ("！", ("至急", "urgent")),
}
_NUMBERS: Final = frozenset[Kind]({"integer", "decimal", "share", "duration"})
# How wide a column has to be at least, and how wide the narrowest screen is that WCAG asks for, in widths of a sign.
_LEAST: Final[dict[str, float]] = {"id": 17, "moment": 11.5, "day": 11.5, "text": 5.6}
_LEAST_NUMBER: Final = 4.4
_NARROW_SCREEN: Final = 22
_LONG_ID: Final = 26
_LARGER: Final = 1.35
_SAFE_ANCHOR: Final = re.compile(r"[A-Za-z][A-Za-z0-9._-]*")
_VIEW_BOX: Final = re.compile(r'viewBox="[\d.\s,-]*?([\d.]+)[\s,]+([\d.]+)\s*"')


def render(report: Report) -> bytes:
    """The page in UTF-8; the same report gives the same bytes. Texts that are not the report's own are escaped."""
    page = _Page(report)
    environment = Environment(
        loader=PackageLoader("audit"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_finalize,
    )
    template = environment.get_template("monthly.html.j2")
    return template.render(page=page, report=report, t=page.words).encode()


def _finalize(value: object) -> object:
    """Every text on its way into the page: nothing in it may hide."""
    return visible(value) if type(value) is str else value


class _Page:
    """What the template asks: places to link to, and which part of a table or of findings stands where.

    Attributes:
        words: The page's own, in the report's language.
        appendix: What does not stand in its section: tables and findings, in order.
    """

    def __init__(self, report: Report) -> None:
        self._report = report
        self._place = 0 if report.language == "ja" else 1
        self.words = {name: pair[self._place] for name, pair in _WORDS.items()}
        self._taken: set[str] = {"summary", "contents", "main", "appendix"}
        self._anchors: dict[str, str] = {}
        self._linked: set[str] = set()
        self.appendix: list[Table | Cards] = []
        for section in report.sections:
            self._walk(section)

    def _walk(self, section: Section) -> None:
        self._name(section.id)
        for block in section.blocks:
            match block:
                case Table():
                    self._tabulate(block)
                case Chart():
                    self._name(block.id)
                    self._tabulate(block.data)
                case Promises():
                    self._name(block.id)
                    self._refer(promise.id for promise in block.promises)
                case Cards():
                    self._name(block.id)
                    self._refer(card.id for card in block.cards)
                    self._append(block, len(block.cards), block.head_cards)

    def _refer(self, ids: Iterable[str]) -> None:
        """Promises and findings: what other places name by their ids leads to them."""
        for one in ids:
            self._name(one)
            self._linked.add(one)

    def _tabulate(self, table: Table) -> None:
        self._name(table.id)
        self._append(table, len(table.rows), table.head_rows)

    def _append(self, block: Table | Cards, there: int, head: int | None) -> None:
        if head is not None and there > head:
            self.appendix.append(block)
            self._name(f"appendix.{block.id}")

    def _name(self, of: str) -> None:
        """Give what has this id a place to link to: its id where that can be one; the first of several has it."""
        if of in self._anchors:
            return
        wanted = of if _SAFE_ANCHOR.fullmatch(of) else f"p{len(self._taken)}"
        while wanted in self._taken:
            wanted += "-"
        self._taken.add(wanted)
        self._anchors[of] = wanted

    def anchor(self, of: str) -> str:
        """The fragment of a section, a block, a promise or a finding."""
        return self._anchors[of]

    def link(self, of: Cell) -> str | None:
        """The fragment of a finding or promise that stands in the page; None: it does not."""
        return self._anchors[of] if isinstance(of, str) and of in self._linked else None

    def say(self, key: str, **values: object) -> Markup:
        """A sentence of the page's own with values; texts in it are escaped."""
        grouped = {name: f"{value:,}" if isinstance(value, int) else value for name, value in values.items()}
        return Markup(self.words[key]).format(**grouped)

    def to_appendix(self, block: Table | Cards) -> Markup | None:
        """Where the rest of a block stands, in a sentence; None: all of it is in its section."""
        if block not in self.appendix:
            return None
        there, head, what = _parts(block)
        link = Markup('<a href="#{}">{}</a>').format(self.anchor(f"appendix.{block.id}"), self.appendix_name(block))
        return self.say(f"{'rest' if head else 'all'}_{what}", n=there, head=head, link=link)

    def appendix_name(self, block: Table | Cards) -> str:
        """付録1."""
        number = self.appendix.index(block) + 1
        return f"{self.words['appendix']}{'' if self._place == 0 else ' '}{number}"

    def range(self, block: Table | Cards) -> Markup:
        """Which part of a block its appendix holds."""
        there, head, what = _parts(block)
        return self.say(what, n=there, first=head + 1, last=there)

    def head(self, block: Table | Cards) -> Sequence[tuple[Cell, ...]] | Sequence[Card]:
        """What stands in the section."""
        return block.rows[: block.head_rows] if isinstance(block, Table) else block.cards[: block.head_cards]

    def rest(self, block: Table | Cards) -> Sequence[tuple[Cell, ...]] | Sequence[Card]:
        """What stands in the appendix."""
        return block.rows[block.head_rows :] if isinstance(block, Table) else block.cards[block.head_cards :]

    def cell(self, value: Cell, kind: Kind) -> str:
        """A cell in words; a text without a sign that shows says that it is blank, which is not the same as none."""
        text = shown(value, kind, self._report)
        return text if text.strip() else self.words["blank"]

    def figure(self, value: Cell, kind: Kind) -> str:
        """A number that stands out, without its unit."""
        return UNKNOWN[self._report.language] if value is None else shown(value, kind, self._report)

    def sign(self, tone: Tone) -> str:
        """A sign for a tone."""
        return _TONES[tone][0]

    def tone(self, tone: Tone) -> str:
        """A tone in words."""
        return _TONES[tone][1][self._place]

    def tally(self, promises: Iterable[Promise]) -> list[tuple[str, Tone, int]]:
        """How many promises have which verdict, in the order of their first."""
        verdicts = [(promise.verdict, promise.tone) for promise in promises]
        return [(*verdict, verdicts.count(verdict)) for verdict in dict.fromkeys(verdicts)]

    def is_wide(self, columns: Sequence[Column]) -> bool:
        """Whether a table does not fit a narrow screen, so that it scrolls in a frame of its own."""
        return sum(_LEAST.get(column.kind, _LEAST_NUMBER) for column in columns) > _NARROW_SCREEN

    def css(self, value: Cell, column: Column) -> str:
        """The class of a cell."""
        if column.kind in _NUMBERS:
            return "n"
        if column.kind == "id":
            return "id long" if isinstance(value, str) and len(value) > _LONG_ID else "id"
        if column.kind in ("moment", "day"):
            return "when"
        return "text broad" if column.weight > 1 else "text"

    def widths(self, columns: Sequence[Column]) -> list[str]:
        """How wide columns are, in percent."""
        total = sum(column.weight for column in columns)
        return [f"{100 * column.weight / total:.1f}" for column in columns]

    def picture(self, chart: Chart) -> Markup:
        """A chart as a picture that can load and run nothing."""
        data = base64.b64encode(visible(chart.svg).encode()).decode()
        size = _VIEW_BOX.search(chart.svg)
        # Charts are drawn small enough for paper: a screen may show them larger.
        widest = Markup(' style="max-width: min(100%, {:.0f}px)"').format(_LARGER * float(size[1])) if size else ""
        measured = Markup(' width="{}" height="{}"').format(*size.groups()) if size else ""
        return Markup('<img src="data:image/svg+xml;base64,{}" alt="{}"{}{}>').format(
            data, visible(chart.alt), measured, widest
        )

    @property
    def in_css(self) -> dict[str, Markup]:
        """Texts of the margins of printed pages, as CSS strings."""
        report = self._report
        return {
            "title": _css_string(f"{report.site}　{report.title}　{report.period}"),
            "draft": _css_string(report.draft or ""),
        }

    @property
    def example(self) -> str:
        """The id of the first figure or table, to show what an id is; empty where there is nothing to show."""
        if not self._report.traced:
            return ""
        for section in self._report.sections:
            for block in section.blocks:
                if block.block == "figures":
                    return block.figures[0].id
                if block.block == "table":
                    return block.id
        return ""


def _parts(block: Table | Cards) -> tuple[int, int, str]:
    """How many rows or cards there are, how many stand in the section, and what they are."""
    if isinstance(block, Table):
        return len(block.rows), block.head_rows or 0, "rows"
    return len(block.cards), block.head_cards or 0, "cards"


def _css_string(text: str) -> Markup:
    """A text as a CSS string in which every sign that could end it, or the style sheet, is a number."""
    return Markup('"{}"').format(Markup("".join(c if c.isalnum() else f"\\{ord(c):06x}" for c in visible(text))))
