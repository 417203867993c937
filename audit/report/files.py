"""The report as files: all of them are there, or those of before."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from audit.report import glyphs, html, model, pdf, sheets
from audit.report.model import Report

MODEL: Final = "report.json"
FACES: Final[Mapping[str, Callable[[Report], bytes]]] = {"html": html.render, "pdf": pdf.render, "xlsx": sheets.render}


class NotThere(ValueError):
    """There is no report of that name, or nothing that can be read; the message says what to do."""


class FaceError(ValueError):
    """A face cannot be made; the message says why, and what to do.

    Attributes:
        face: Which.
    """

    def __init__(self, face: str, why: Exception) -> None:
        self.face = face
        super().__init__(f"report.{face}: {why}")


def write(
    report: Report, folder: Path, faces: Iterable[str] = FACES, tell: Callable[[str], None] = lambda face: None
) -> list[Path]:
    """Write the model and its faces into a folder, which is made.

    Nothing is replaced before everything is written: a report that is half written must not look like one.

    Args:
        report: The report.
        folder: Where to.
        faces: Of `FACES`; those that are not asked for and lie there from before are removed, for they say something else.
        tell: Called with each face before it is made.

    Returns:
        The files, the model first.

    Raises:
        OSError: They could not be written.
        FaceError: A face cannot be made, and why.
    """
    wanted = list(faces)
    parts: dict[Path, Path] = {}
    folder.mkdir(parents=True, exist_ok=True)
    try:
        for name, made in _made(report, wanted, tell):
            part = folder / f".{name}.part"
            parts[folder / name] = part
            part.write_bytes(made)
        for path, part in parts.items():
            os.replace(part, path)
    finally:
        for part in parts.values():
            part.unlink(missing_ok=True)
    for face in FACES:
        if face not in wanted:
            (folder / f"report.{face}").unlink(missing_ok=True)
    return list(parts)


def write_all(report: Report, folder: Path) -> list[str]:
    """As `write`, with as many faces as can be made; returns why others cannot, a line each."""
    problems: list[str] = []
    faces = list(FACES)
    while True:
        try:
            write(report, folder, faces)
        except FaceError as error:
            problems.append(str(error))
            faces.remove(error.face)
        else:
            return problems


def _made(report: Report, faces: Iterable[str], tell: Callable[[str], None]) -> Iterable[tuple[str, bytes]]:
    yield MODEL, model.dumped(report)
    for face in faces:
        tell(face)
        try:
            made = FACES[face](report)
        except (pdf.PdfError, glyphs.FontError, sheets.TooLargeError) as error:
            raise FaceError(face, error) from error
        yield f"report.{face}", made


def read(folder: Path) -> Report:
    """The report that lies in a folder.

    Raises:
        NotThere: None does.
    """
    path = folder / MODEL
    try:
        return model.loaded(path.read_bytes())
    except OSError as error:
        raise NotThere(f"{path}: cannot be read ({error.strerror}): make the report first") from None
    except ValidationError:
        raise NotThere(f"{path}: is no report of this version: make it again") from None


def faces_in(folder: Path) -> list[str]:
    """Which faces lie there."""
    return [face for face in FACES if (folder / f"report.{face}").exists()]
