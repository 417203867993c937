"""Horizontal bars: time to decision, and shares of what was explained."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from audit.report.charts import drawing
from audit.report.charts.drawing import ALARM, SOFT, WIDTH, Fill
from audit.report.charts.wording import Language, say

# More would not fit a page of A4.
MOST_ROWS: Final = 45

_DECIDED: Final = Fill("#5388a6")
_OPEN: Final = Fill("#fbeccf", "/", "#b3690a")
_EXPLAINED: Final = Fill("#5388a6")
_TO_CHECK: Final = Fill("#e4eef3", "/", "#2f6788")
_UNEXPLAINED: Final = Fill(ALARM)

_LABEL: Final = 150
_NAME: Final = 190


@dataclass(frozen=True, slots=True)
class Wait:
    """How long it took: a length of time in words, the cases decided within it, those still open that have waited so long, and
    whether that is later than it should be."""

    label: str
    decided: int
    open: int = 0
    late: bool = False


def waiting(buckets: Sequence[Wait], language: Language) -> str:
    """Time to decision: one bar per length of time.

    Args:
        buckets: From short to long; counts of cases.
        language: Of the legend.
    """
    most = max((bucket.decided + bucket.open for bucket in buckets), default=0)
    if not most:
        return drawing.nothing(say("nothing", language))
    tall = 24
    out = [_wait(bucket, line * tall, (WIDTH - _LABEL - 110) / most) for line, bucket in enumerate(buckets)]
    out.append(drawing.line(f"M{_LABEL} 0V{len(buckets) * tall}", SOFT))
    samples = [(drawing.rect(0, 1, 14, 12, _DECIDED, SOFT), say("decided", language))]
    if any(bucket.open for bucket in buckets):
        samples.append((drawing.rect(0, 1, 14, 12, _OPEN, SOFT), say("open", language)))
    if any(bucket.late for bucket in buckets):
        samples.append((drawing.triangle(3, 12, 9), say("late", language)))
    legend, deep = drawing.key(len(buckets) * tall + 8, samples)
    return drawing.svg(len(buckets) * tall + 8 + deep, [*out, legend])


def _wait(bucket: Wait, y: float, scale: float) -> str:
    out, x = [drawing.text(_LABEL - 8, y + 16, drawing.cut(bucket.label, _LABEL - 26), anchor="end")], float(_LABEL)
    if bucket.late:
        out.append(drawing.triangle(_LABEL - 20 - drawing.wide(drawing.cut(bucket.label, _LABEL - 26)), y + 16, 9))
    for count, fill in ((bucket.decided, _DECIDED), (bucket.open, _OPEN)):
        if count:
            out.append(drawing.rect(x, y + 4, count * scale, 16, fill, SOFT))
            x += count * scale
    words = f"{bucket.decided:,}" + (f" + {bucket.open:,}" if bucket.open else "")
    return "".join([*out, drawing.text(x + 7, y + 16, words)])


@dataclass(frozen=True, slots=True)
class Share:
    """Accesses of a system or department: explained, to check, unexplained."""

    label: str
    explained: int
    to_check: int
    unexplained: int

    @property
    def counts(self) -> tuple[int, int, int]:
        """In the order of the bar."""
        return self.explained, self.to_check, self.unexplained

    @property
    def total(self) -> int:
        """All of them."""
        return sum(self.counts)


def shares(rows: Sequence[Share], language: Language) -> str:
    """What was explained and what was not: one bar of 100 % per row, its share and count at the end.

    Args:
        rows: In the order to show; beyond `MOST_ROWS` the smallest are left out, and the chart says so. A row without accesses has
            no bar.
        language: Of the legend.
    """
    if not any(row.total for row in rows):
        return drawing.nothing(say("nothing", language))
    largest = sorted(range(len(rows)), key=lambda place: (-rows[place].total, place))[:MOST_ROWS]
    kept = [rows[place] for place in sorted(largest)]
    full, tall, top = WIDTH - _NAME - 126, 20, 18
    out = [drawing.text(WIDTH, 11, say("share_explained", language), anchor="end", size=9.5, fill=SOFT)]
    for at in (0, 50, 100):
        out.append(drawing.text(_NAME + full * at / 100, 11, f"{at}%", anchor="middle", size=9.5, fill=SOFT))
    out += [_share(row, top + line * tall, full) for line, row in enumerate(kept)]
    more, below = drawing.more(top + len(kept) * tall + 8, len(rows) - len(kept), language)
    fills = (("explained", _EXPLAINED), ("to_check", _TO_CHECK), ("unexplained", _UNEXPLAINED))
    samples = [(drawing.rect(0, 1, 14, 12, fill, SOFT), say(name, language)) for name, fill in fills]
    legend, deep = drawing.key(below, samples)
    return drawing.svg(below + deep, [*out, more, legend])


def _share(row: Share, y: float, full: float) -> str:
    out = [drawing.text(_NAME - 8, y + 14, drawing.cut(row.label, _NAME - 8), anchor="end")]
    x, fills = float(_NAME), (_EXPLAINED, _TO_CHECK, _UNEXPLAINED)
    parts = [(count, fill) for count, fill in zip(row.counts, fills, strict=True) if count]
    # One access that nothing explains beside a million must be seen.
    widths = [max(2.0, full * count / row.total) for count, _ in parts]
    for width, (_, fill) in zip(widths, parts, strict=True):
        width *= full / sum(widths)
        out.append(drawing.rect(x, y + 3, width - (0.8 if width > 4 else 0), 14, fill))
        x += width
    # Rounded down: 99.96 % is not all of them.
    words = f"{row.explained * 1000 // row.total / 10:.1f}%" if row.total else "–"
    out.append(drawing.text(_NAME + full + 52, y + 14, words, anchor="end"))
    out.append(drawing.text(WIDTH, y + 14, f"{row.total:,}", anchor="end", size=10, fill=SOFT))
    return "".join(out)
