"""The report as an Excel workbook, for the auditors' own sums: a cover, and one sheet per section with real tables.

Everything is written as what it is: numbers as numbers, days and moments as Excel's own, and every text as text, never as a formula, a
number or a link (`cells`). Pictures are left out; the numbers that they are drawn from stand here as tables.
"""

from audit.report.sheets.layout import TooLargeError
from audit.report.sheets.writer import render

__all__ = ["TooLargeError", "render"]
