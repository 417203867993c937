"""The words of a finding that a notice takes over, cut to what a notice may hold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from contract import notice
from contract.finding import Kind

_CHECK_CHARS: Final = 1000
_TITLE_CHARS: Final = 200
_CONTROLS: Final = 20


def excerpt(finding: Mapping[str, Any]) -> dict[str, Any]:
    """Kind, analytic, title, text, controls and, where there is one, check_first."""
    unmapped, info = finding["unmapped"], finding["finding_info"]
    title = {"ja": info["title"], "en": info["analytic"]["name"]} | unmapped.get("title", {})
    out = {
        "kind": str(unmapped.get("kind", Kind.SESSION)),
        "analytic": info["analytic"]["uid"],
        "title": _cut(title, _TITLE_CHARS),
        "text": _cut(unmapped["text"], notice.TEXT_CHARS),
        "controls": list(unmapped["controls"][:_CONTROLS]),
    }
    if "check_first" in unmapped:
        out["check_first"] = _cut(unmapped["check_first"], _CHECK_CHARS)
    return out


def _cut(texts: Mapping[str, str], chars: int) -> dict[str, str]:
    return {
        language: text if len(text) <= chars else text[: chars - 1] + "…"
        for language, text in texts.items()
        if language in ("ja", "en")
    }
