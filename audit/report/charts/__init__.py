"""Charts of the report as SVG texts: pure functions of plain numbers, the same in HTML and in a PDF.

No colour carries a meaning alone: each area also differs by hatch, size, sign or number. What is not known (None) is never drawn as 0.
A chart of nothing says so. Long labels lose their middle; they stand in full in the table of the same numbers (`model.Chart.data`).
"""

from audit.charts import Cell, Row
from audit.report.charts.bars import Share, Wait, shares, waiting
from audit.report.charts.days import Series, calendar, over_time
from audit.report.charts.hours import Hours, heat
from audit.report.charts.threshold import Band, against_threshold

__all__ = [
    "Band",
    "Cell",
    "Hours",
    "Row",
    "Series",
    "Share",
    "Wait",
    "against_threshold",
    "calendar",
    "heat",
    "over_time",
    "shares",
    "waiting",
]
