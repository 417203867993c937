"""The catalogue of controls: `rules/controls/<pia>.yml`, one file per impact assessment (docs/controls.md)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Final, Literal

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

import rules
from registers.config import explain
from registers.text import did_you_mean

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


# What people are counted, in bands: those whose data is kept, all who may handle it, those of them who are staff, or contractors'.
Counted = Literal["subjects on file", "handlers", "users", "contractor handlers"]

# In what practice may differ from what an assessment declares.
Difference = Literal[
    "systems",
    "departments",
    "imports",
    "channels",
    "contractors",
    "subcontractors",
    "provisions",
    "inquiries",
    "prohibited",
    "grounds",
    "auth",
    "media",
]


class Band(_Part):
    """Between which numbers the assessment says that something lies.

    Attributes:
        what: People who are counted.
        least: Smallest number that is declared.
        below: First number that no longer is; none: no upper end.
        control: The promise that says so.
    """

    what: Counted
    least: int = Field(default=0, ge=0, alias="from")
    below: int | None = Field(default=None, ge=1)
    control: str


class Judgement(_Part):
    """Where the threshold judgement (しきい値判断) changes its result.

    The numbers are those of the rules on assessments (特定個人情報保護評価に関する規則, 2014, articles 4 to 7) and of the
    guideline (特定個人情報保護評価指針, 第5の2).

    Attributes:
        subjects: People on file from which an assessment is needed at all, from which it may be a focused one, from which it
            is one, and from which it is a full one.
        handlers: People who handle the data from which it becomes the next kind.
        incident_days: How long a serious incident counts.
    """

    subjects: Annotated[list[int], Field(min_length=4, max_length=4)] = [1_000, 10_000, 100_000, 300_000]
    handlers: int = 500
    incident_days: int = 365


class Thresholds(_Part):
    """What an assessment says about how many people are concerned.

    Attributes:
        kind: Which statement it is: basic (基礎項目評価書), focused (重点項目評価書) or full (全項目評価書).
        bands: Declared numbers.
        judgement: Where the result of the threshold judgement changes.
    """

    kind: Literal["basic", "focused", "full"]
    bands: list[Band] = []
    judgement: Judgement = Judgement()


class _File(_Part):
    pia: str
    name: Words
    stands_in: Words
    paraphrase: bool = True
    thresholds: Thresholds | None = None
    drift: dict[Difference, str] = {}
    controls: list[Control]


@dataclass(frozen=True, slots=True)
class Assessment:
    """One impact assessment and its promises, in the order of its file.

    Attributes:
        pia: Its id.
        name: What it is called.
        controls: Its promises.
        thresholds: Declared numbers of people; None: the file has none.
        drift: Which promise speaks of what may differ, by kind of difference.
    """

    pia: str
    name: Words
    controls: tuple[Control, ...]
    thresholds: Thresholds | None = None
    drift: Mapping[Difference, str] = field(default_factory=dict)

    def control(self, name: str) -> Control:
        """The promise of an id, which must be one of its own."""
        return next(one for one in self.controls if one.id == name)


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
                filled = tuple(_filled(one, file) for one in file.controls)
                found[file.pia] = Assessment(file.pia, file.name, filled, file.thresholds, file.drift)
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
    bands = file.thresholds.bands if file.thresholds else []
    named = [(f"thresholds: {band.what}", band.control) for band in bands]
    named += [(f"drift: {what}", control) for what, control in file.drift.items()]
    out += [
        f"{path.name}: {where}: names {control}, which is no control of the file{did_you_mean(control, ids)}"
        for where, control in named
        if control not in ids
    ]
    out += [
        f"{path.name}: thresholds: {band.what}: below ({band.below}) must be more than from ({band.least})"
        for band in bands
        if band.below is not None and band.below <= band.least
    ]
    if file.thresholds and sorted(set(steps := file.thresholds.judgement.subjects)) != steps:
        out.append(f"{path.name}: thresholds.judgement.subjects: {steps} must rise from the first to the last")
    counted = [band.what for band in bands]
    out += [
        f"{path.name}: thresholds: {one}: is there twice"
        for one in sorted({one for one in counted if counted.count(one) > 1})
    ]
    return out
