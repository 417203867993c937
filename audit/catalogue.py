"""The catalogue of controls: `rules/controls/<pia>.yml`, one file per impact assessment (docs/controls.md)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

import rules
from registers.config import explain

CONTROLS: Final = Path(rules.__file__).parent / "controls"

_PLACEHOLDER: Final = re.compile(r"\{([^{}]*)\}")


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Words(_Part):
    """A text in both languages."""

    ja: str
    en: str

    def __getitem__(self, language: str) -> str:
        return self.ja if language == "ja" else self.en


def _template(words: Words) -> Words:
    for text in (words.ja, words.en):
        for name in _PLACEHOLDER.findall(text):
            if not name.isidentifier():
                raise ValueError(f"{{{name}}} is no column: write {{number}} or another column of the query")
    return words


Template = Annotated[Words, AfterValidator(_template)]


class Evidence(_Part):
    """What has to be there before a promise can be called kept.

    Attributes:
        query: SQL whose first column of its one row must be above 0.
        lacking: What to say if it is not.
    """

    query: str
    lacking: Words


class Control(_Part):
    """One promise; every key is explained in docs/controls.md."""

    id: str = Field(pattern=r"^[A-Za-z0-9_-]+$")
    title: Words
    quote: Words
    paraphrase: bool | None = None
    stands_in: Words | None = None
    unit: Words
    counts: Words
    expect: Words
    needs: list[str] = []
    evidence: list[Evidence] = []
    query: str
    check: str
    lacking: str | None = None
    met: Template
    to_check: Template
    short: Template | None = None
    examples: str | None = None
    where: list[str]


class _File(_Part):
    pia: str
    name: Words
    stands_in: Words
    paraphrase: bool = True
    controls: list[Control]


@dataclass(frozen=True, slots=True)
class Assessment:
    """One impact assessment and its promises, in the order of its file."""

    pia: str
    name: Words
    controls: tuple[Control, ...]


@dataclass(frozen=True, slots=True)
class Catalogue:
    """All assessments that ship or were given.

    Attributes:
        assessments: By id of the assessment, sorted.
        problems: Files that were refused and why, one line each; the others are there.
    """

    assessments: Mapping[str, Assessment]
    problems: tuple[str, ...]


def load(folder: Path = CONTROLS) -> Catalogue:
    """Load every `*.yml` of a folder; a file that is wrong is refused alone, with all its problems."""
    found: dict[str, Assessment] = {}
    problems: list[str] = []
    for path in sorted(folder.glob("*.yml")):
        try:
            file = _File.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            problems.append(f"{path.name}: is no valid YAML: {' '.join(str(error).split())}")
        except ValidationError as error:
            problems += [f"{path.name}: {line}" for line in explain(error, _File)]
        else:
            told = [
                *_wrong(file, path),
                *([f"{path.name}: pia: {file.pia} is there twice"] if file.pia in found else []),
            ]
            problems += told
            if not told:
                found[file.pia] = Assessment(file.pia, file.name, tuple(_filled(one, file) for one in file.controls))
    return Catalogue(dict(sorted(found.items())), tuple(problems))


def _filled(control: Control, file: _File) -> Control:
    """A control with what the file says for all of them."""
    paraphrase = file.paraphrase if control.paraphrase is None else control.paraphrase
    return control.model_copy(update={"stands_in": control.stands_in or file.stands_in, "paraphrase": paraphrase})


def _wrong(file: _File, path: Path) -> list[str]:
    ids = [control.id for control in file.controls]
    out = [f"{path.name}: {one}: the id is there twice" for one in sorted({one for one in ids if ids.count(one) > 1})]
    if file.pia != path.stem:
        out.append(f"{path.name}: pia: is {file.pia}, should be the name of the file, {path.stem}")
    out += [
        f"{path.name}: {control.id}: lacking and short go together: write both or none"
        for control in file.controls
        if (control.lacking is None) != (control.short is None)
    ]
    return out
