"""The report as PDF: A4, tagged (PDF/UA-1) and made to be filed (PDF/A-2a), with the dates of the report and not of the clock."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import typst

from audit.report import glyphs
from audit.report.glyphs import Font
from audit.report.leaves import leaves
from audit.report.model import Report

_TEMPLATE: Final = Path(__file__).resolve().parents[1] / "templates" / "report.typ"


class PdfError(Exception):
    """The report cannot be set in type; the message says why."""


@dataclass(frozen=True, slots=True)
class Printed:
    """A PDF, and what it could not show as it is.

    Attributes:
        data: The file.
        replaced: Characters that are shown by their number (the PDF's last page tells them as well), and how often.
    """

    data: bytes
    replaced: Mapping[str, int]


def render(report: Report) -> bytes:
    """The report as a PDF; the same report and font give the same bytes.

    Raises:
        glyphs.FontError: The font is not on this machine.
        PdfError: A chart is no SVG, or the like.
    """
    return printed(report, glyphs.found()).data


def printed(report: Report, font: Font) -> Printed:
    """The same with a font that was found, and what it has no glyphs for.

    Raises:
        PdfError: As `render`.
    """
    replaced: Counter[str] = Counter()
    data = json.dumps(leaves(report, font, replaced), ensure_ascii=False)
    try:
        out = typst.compile(
            _TEMPLATE,
            sys_inputs={"report": data},
            font_paths=list(font.folders),
            ignore_system_fonts=True,
            pdf_standards=["a-2a", "ua-1"],
            timestamp=datetime.fromtimestamp(report.as_of // 1000, UTC),
        )
    except typst.TypstError as error:
        raise PdfError(f"the PDF cannot be made: {error}") from error
    return Printed(out, dict(replaced))
