"""Charts are read back as XML: what they say must be what was counted, and nothing in them may reach out of them."""

import re
import unicodedata
from collections.abc import Sequence
from datetime import date, timedelta
from xml.etree import ElementTree

import pytest
import typst

from audit.report import charts, glyphs
from audit.report.charts import Band, Cell, Row, Series, Share, Wait, drawing, periods
from tests.audit.report.sample import HOSTILE, LONG_OFFICE, RARE

OFFICE = ((510, 1035),) * 5 + (None, None)


def days(count: int, first: date = date(2026, 3, 1)) -> list[date]:
    return [first + timedelta(days=n) for n in range(count)]


def weekend(count: int) -> set[date]:
    return {day for day in days(count) if day.weekday() > 4}


def source(name: str, cells: Sequence[Cell]) -> Row:
    return Row(name, cells, f"{sum(cell.value for cell in cells):,}")


def matrix(**counts: int | None) -> list[list[int | None]]:
    """Nothing but the given hours, such as `d6h2=1`."""
    out: list[list[int | None]] = [[0] * 24 for _ in range(7)]
    for place, count in counts.items():
        day, hour = re.fullmatch(r"d(\d)h(\d+)", place).groups()
        out[int(day)][int(hour)] = count
    return out


LONG = f"{LONG_OFFICE}電算処理システム（{RARE}）アクセスログ"
EVERY = {
    "calendar": lambda: charts.calendar(
        [
            source(f"{LONG}{n}", [Cell(10 ** (m % 6), "gap" if m == n else "", "") for m in range(31)])
            for n in range(32)
        ],
        days(31),
        "ja",
        weekend(31),
    ),
    "calendar of nothing": lambda: charts.calendar([], [], "ja"),
    "calendar of one": lambda: charts.calendar([source("a", [Cell(1, "", "")])], days(1), "en"),
    "over time": lambda: charts.over_time(
        days(31), [Series(f"{LONG}{n}", [n * m if m != 4 else None for m in range(31)]) for n in range(6)], "ja"
    ),
    "over time, nothing": lambda: charts.over_time(days(31), [Series("a", [0] * 31)], "en"),
    "over time, no day": lambda: charts.over_time([], [], "ja"),
    "over time, one": lambda: charts.over_time(days(1), [Series("a", [1])], "ja"),
    "heat": lambda: charts.heat([[None if h == w else h * w * 997 for h in range(24)] for w in range(7)], OFFICE, "ja"),
    "heat of nothing": lambda: charts.heat(matrix(), OFFICE, "en"),
    "heat of one": lambda: charts.heat(matrix(d6h2=1), (None,) * 7, "ja"),
    "threshold": lambda: charts.against_threshold(
        [(day, 430 + n) for n, day in enumerate(days(60))],
        [Band(LONG, 0, 500, True), Band(LONG, 500, None)],
        "ja",
        [(days(60)[-1], 489), (date(2026, 9, 30), 620)],
        [(date(2026, 5, 15), 500)],
    ),
    "threshold of nothing": lambda: charts.against_threshold([], [], "en"),
    "threshold of one": lambda: charts.against_threshold([(date(2026, 3, 1), 0)], [], "ja"),
    "waiting": lambda: charts.waiting([Wait(LONG, 3, 1), Wait("x", 0, 2, True)], "ja"),
    "waiting, nothing": lambda: charts.waiting([], "en"),
    "waiting, one": lambda: charts.waiting([Wait("x", 1)], "en"),
    "shares": lambda: charts.shares([Share(f"{LONG}{n}", n * n, n, 1) for n in range(33)], "ja"),
    "shares of nothing": lambda: charts.shares([Share("a", 0, 0, 0)], "en"),
    "shares of one": lambda: charts.shares([Share("a", 0, 0, 1)], "en"),
    "hostile": lambda: charts.shares([Share(text, 1, 1, 1) for text in HOSTILE], "ja"),
}


def parsed(svg: str) -> ElementTree.Element:
    return ElementTree.fromstring(svg)


def texts(svg: str) -> list[str]:
    return [element.text or "" for element in parsed(svg).iter("{http://www.w3.org/2000/svg}text")]


def triangles(svg: str) -> int:
    return svg.count(f'z" fill="{drawing.ALARM}"')


@pytest.mark.parametrize("name", EVERY)
def test_a_chart_is_whole_and_reaches_nowhere(name):
    svg = EVERY[name]()

    root = parsed(svg)
    _, _, width, height = (float(side) for side in root.get("viewBox").split())
    assert width == drawing.WIDTH
    assert 0 < height < 1_050  # fits a page of A4
    tags = {element.tag.rpartition("}")[2] for element in root.iter()}
    assert tags <= {"svg", "g", "rect", "path", "circle", "text"}
    names = {name for element in root.iter() for name in element.attrib}
    assert not names & {"id", "class", "style", "href"}
    assert not any(name.startswith("on") for name in names)
    assert "url(" not in svg
    assert "var(" not in svg
    assert svg == EVERY[name]()


@pytest.mark.parametrize("name", EVERY)
def test_nothing_leaves_the_picture(name):
    root = parsed(EVERY[name]())
    height = float(root.get("height"))

    for element in root.iter("{http://www.w3.org/2000/svg}rect"):
        x, y, wide, tall = (float(element.get(side)) for side in ("x", "y", "width", "height"))
        assert x >= 0
        assert x + wide <= drawing.WIDTH + 0.5
        assert y >= -0.5
        assert y + tall <= height + 0.5
        assert wide > 0
        assert tall > 0


def test_typst_draws_each_of_them():
    drawings = {f"{place}.svg": EVERY[name]().encode() for place, name in enumerate(EVERY)}
    page = "\n".join(f'#image("{name}", width: 100%)' for name in drawings)

    pdf = typst.compile({"main.typ": page.encode(), **drawings})

    assert pdf.startswith(b"%PDF")


def test_a_gap_has_a_sign_and_a_day_off_has_none():
    def crosses(mark):
        svg = charts.calendar([source("a", [Cell(5, "", ""), Cell(0, mark, "")])], days(2), "ja")
        return svg.count(drawing.ALARM)

    # The legend explains both kinds of gap in any case.
    assert crosses("gap") == crosses("off") + 2
    assert crosses("absent") == crosses("off")


def test_a_gap_of_hours_differs_from_a_day_without_anything():
    def drawn(value):
        return charts.calendar([source("a", [Cell(value, "gap", "")])], days(1), "en")

    assert triangles(drawn(500)) == 2  # in the row, and in the legend
    assert triangles(drawn(0)) == 1


def test_a_row_of_another_length_is_refused():
    with pytest.raises(ValueError, match="1 cells for 2 days"):
        charts.calendar([source("a", [Cell(5, "", "")])], days(2), "ja")


def test_of_too_many_sources_those_with_gaps_stay():
    rows = [source(f"quiet-{n}", [Cell(1, "", "")]) for n in range(60)]
    rows += [source("with-gap", [Cell(0, "gap", "")])]

    said = texts(charts.calendar(rows, days(1), "en"))

    assert "with-gap" in said
    assert "quiet-43" in said
    assert "quiet-44" not in said
    assert "16 more rows stand in the table" in said


@pytest.mark.parametrize(
    ("count", "columns", "first"),
    [
        (31, 31, ("2026年3月", "1", "日")),
        (46, 46, ("2026年3月", "1", "日")),
        (47, 8, ("2026年2月", "23", "")),  # the week of 1 March began on Monday, 23 February
        (365, 53, ("2026年2月", "23", "")),
        (732, 25, ("2026年", "3", "")),
    ],
)
def test_many_days_become_weeks_and_months(count, columns, first):
    spans = periods.spans(days(count), "ja")

    assert len(spans) == columns
    assert (spans[0].over, spans[0].label, spans[0].under) == first
    assert [place for span in spans for place in range(span.begin, span.end)] == list(range(count))


def test_one_gap_marks_its_week():
    cells = [Cell(10, "gap" if n == 20 else "", "") for n in range(60)]

    svg = charts.calendar([source("a", cells)], days(60), "ja")

    assert triangles(svg) == 2
    assert "1日平均の行数 1–9" in texts(svg)


def test_heights_are_counts():
    svg = charts.over_time(days(2), [Series("a", [40, 100]), Series("b", [60, 0])], "en")

    heights = [
        float(element.get("height"))
        for element in parsed(svg)
        if element.get("fill") in {fill.ground for fill in drawing.FILLS[:2]}
    ]
    # Parts stand a little apart.
    first, second, alone = (height + 0.8 for height in heights)
    assert first == pytest.approx(alone * 0.4, abs=0.02)
    assert second == pytest.approx(alone * 0.6, abs=0.02)


def test_a_day_that_was_not_analysed_is_not_a_day_without_findings():
    unknown = charts.over_time(days(2), [Series("a", [3, None]), Series("b", [1, 1])], "en")
    none = charts.over_time(days(2), [Series("a", [3, 0]), Series("b", [1, 1])], "en")

    assert "not known (no analysis)" in texts(unknown)
    assert "not known (no analysis)" not in texts(none)


def test_series_that_cannot_be_told_apart_are_refused():
    with pytest.raises(ValueError, match="7 series"):
        charts.over_time(days(1), [Series("a", [1])] * 7, "ja")
    with pytest.raises(ValueError, match="2 counts for 1 days"):
        charts.over_time(days(1), [Series("a", [1, 2])], "ja")


def test_fills_differ_without_colour():
    def lightness(colour):
        red, green, blue = (int(colour[at : at + 2], 16) for at in (1, 3, 5))
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    for one, other in zip(drawing.FILLS, drawing.FILLS[1:], strict=False):
        assert one.hatch != other.hatch or abs(lightness(one.ground) - lightness(other.ground)) > 60


def test_an_hour_outside_the_declared_ones_has_a_sign():
    def signs(**counts):
        return triangles(charts.heat(matrix(**counts), OFFICE, "ja"))

    assert signs(d0h9=3) == 1  # the legend's
    assert signs(d0h8=3) == 1  # declared from 8:30
    assert signs(d0h7=3) == 2
    assert signs(d0h17=3) == 1  # until 17:15
    assert signs(d0h18=3) == 2
    assert signs(d6h9=3) == 2


def test_numbers_can_be_read_on_every_shade():
    def luminance(colour):
        parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    # WCAG 2.2, 1.4.3: each number in the ink and on the ground that it has in a drawing.
    svg = charts.heat(matrix(d0h9=1, d0h10=10, d0h11=25, d0h12=50, d0h13=100), OFFICE, "ja")
    numbers = [element for element in parsed(svg).iter() if element.get("paint-order")]
    assert len(numbers) == 5
    for element in numbers:
        ink, ground = luminance(element.get("fill", drawing.INK)), luminance(element.get("stroke"))
        assert (max(ink, ground) + 0.05) / (min(ink, ground) + 0.05) >= 4.5


def test_a_count_that_is_not_shown_is_not_zero():
    assert "–" in texts(charts.heat(matrix(d0h9=None), OFFICE, "ja"))
    assert "–" not in texts(charts.heat(matrix(d0h9=1), OFFICE, "ja"))


def test_a_heat_map_of_another_shape_is_refused():
    with pytest.raises(ValueError, match="7 weekdays of 24 hours"):
        charts.heat(matrix()[:6], OFFICE, "ja")


def test_bands_far_above_are_not_drawn():
    bands = [Band("small", 0, 1_000), Band("middle", 1_000, 10_000), Band("large", 10_000, None)]

    said = texts(charts.against_threshold([(date(2026, 4, 1), 40)], bands, "en"))

    assert "1,000" in said
    assert "10,000" not in said
    assert "40" in said


def test_a_crossing_says_its_day():
    said = texts(
        charts.against_threshold(
            [(date(2026, 4, 1), 480)], [Band("a", 0, 500)], "ja", [(date(2026, 9, 1), 520)], [(date(2026, 7, 2), 500)]
        )
    )

    assert "2026-07-02" in said
    assert "境界を越える日" in said


def test_what_is_late_has_a_sign():
    assert triangles(charts.waiting([Wait("a", 1, 0, True)], "en")) == 2
    assert triangles(charts.waiting([Wait("a", 1)], "en")) == 0


def test_shares_are_never_rounded_up_to_all():
    said = texts(charts.shares([Share("a", 99_999, 0, 1), Share("b", 5, 0, 0), Share("c", 0, 0, 0)], "en"))

    assert "99.9%" in said
    assert "100.0%" in said
    assert "–" in said


@pytest.mark.parametrize("text", [*HOSTILE, LONG, RARE * 3])
def test_labels_fit_and_keep_both_ends(text):
    label = drawing.cut(text, 120)

    assert drawing.wide(label) <= 121
    if label.count("…") > text.count("…"):
        head, _, tail = label.partition("…")
        assert drawing.visible(text).startswith(head)
        assert drawing.visible(text).endswith(tail)
    assert not re.match("[\U000e0100\u0301-\u0304]", label.rpartition("…")[2])


def test_no_text_is_wider_than_the_room_for_it():
    font = glyphs.found()

    for sign, width in font.widths.items():
        if drawing.visible(sign) == sign and not unicodedata.combining(sign) and width <= 1:
            assert drawing.wide(sign, 1) >= width or unicodedata.category(sign) in {"Mn", "Me", "Cf"}, sign


def test_axes_have_round_numbers():
    assert drawing.ticks(0) == [0, 1, 2, 3, 4]
    assert drawing.ticks(7) == [0, 2, 4, 6, 8]
    assert drawing.ticks(100) == [0, 50, 100]
    assert drawing.ticks(1_234) == [0, 500, 1_000, 1_500]
