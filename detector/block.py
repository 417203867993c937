"""The block `sekimori:` of a rule: how it weighs and how it reads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from registers.text import did_you_mean

FAMILIES: Final = (
    "leaver", "permission", "relation", "volume", "export", "time", "auth", "session", "evidence", "money", "admin",
    "vendor", "device", "law", "sigma",
)  # fmt: skip

Family = Literal[
    "leaver", "permission", "relation", "volume", "export", "time", "auth", "session", "evidence", "money", "admin",
    "vendor", "device", "law", "sigma",
]  # fmt: skip
Excuse = Literal["explained", "emergency", "overtime"]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Words(_Strict):
    """The same in both languages; may hold placeholders (detector.wording)."""

    ja: str = Field(min_length=1)
    en: str = Field(min_length=1)


class Observed(_Strict):
    """The number that a hit is about, beside what is usual."""

    field: str
    unit: Words
    usual: float | None = None


class Block(_Strict):
    """`sekimori:` in a rule."""

    family: Family
    precision: float = Field(gt=0, lt=1)
    excused_by: tuple[Excuse, ...] = ()
    title: str = Field(min_length=1)  # Japanese; the English one is Sigma's own
    text: Words
    check_first: Words
    observed: Observed | None = None


def problems(error: ValidationError) -> list[tuple[tuple[str, ...], str]]:
    """Place and what is wrong there, for each problem of a block."""
    return [(tuple(str(part) for part in item["loc"]), _problem(dict(item))) for item in error.errors()]


def _problem(item: Mapping[str, Any]) -> str:
    if item["type"] != "extra_forbidden":
        return str(item["msg"])
    known: dict[str, type[_Strict]] = {"observed": Observed, "text": Words, "check_first": Words, "unit": Words}
    inside = [known[part] for part in item["loc"][:-1] if part in known]
    return f"unknown key{did_you_mean(str(item['loc'][-1]), (inside[-1] if inside else Block).model_fields)}"


def foreign(title: str) -> Block:
    """The block of a Sigma rule that has none: it weighs by its level."""
    return Block(
        family="sigma",
        precision=0.5,
        title=title,
        text=Words(
            ja=f"Sigmaルール「{_plain_text(title)}」に一致しました。",
            en=f"Matched the Sigma rule “{_plain_text(title)}”.",
        ),
        check_first=Words(
            ja="ルールの説明と該当行を確認してください。", en="Read the rule's description and the lines it matched."
        ),
    )


def _plain_text(text: str) -> str:
    return text.replace("{", "(").replace("}", ")")
