"""What people read of notices in a mail or a chat: plain lines, every text from a log inert."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final, Literal
from urllib.parse import quote

from contract.finding import Severity
from contract.notice import Change, Ending
from detector.channels.channel import Notice
from detector.channels.inert import inert

Language = Literal["ja", "en"]

_MOST_LISTED: Final = 20
_SEVERITY: Final[dict[Language, dict[int, str]]] = {
    "ja": {1: "情報", 2: "低", 3: "中", 4: "高", 5: "重大"},
    "en": {level.value: level.name.lower() for level in Severity},
}
_CHANGE: Final[dict[Language, dict[str, str]]] = {
    "ja": {Change.OPENED: "新規", Change.RAISED: "重大度上昇", Change.UPDATED: "更新", Change.RESOLVED: "解消"},
    "en": {change: change.value for change in Change},
}
_ENDING: Final[dict[Language, dict[str, str]]] = {
    "ja": {
        Ending.CLOSED: "案件が閉じられました。",
        Ending.WITHDRAWN: "通知の対象ではなくなりました。",
        Ending.EXPIRED: "期限までに案件が閉じられませんでした。",
    },
    "en": {
        Ending.CLOSED: "Its cases were closed.",
        Ending.WITHDRAWN: "Its findings do not page any more.",
        Ending.EXPIRED: "Nobody closed it in time.",
    },
}
_LABELS: Final[dict[Language, dict[str, str]]] = {
    "ja": {"first": "最初に確認すること", "count": "件数", "risk": "リスク", "alert": "通知番号", "finding": "検知番号", "controls": "評価書の約束"},
    "en": {"first": "Check first", "count": "Count", "risk": "Risk", "alert": "Alert", "finding": "Finding", "controls": "Promises of the assessment"},
}  # fmt: skip


def title(notice: Notice, language: Language) -> str:
    """One line: what became of which alert, and how severe it is."""
    severity, change = _SEVERITY[language][notice["severity_id"]], _CHANGE[language][notice["change"]]
    return f"Sekimori {severity} {change} {inert(notice['title'][language], 120)}"


def body(notice: Notice, language: Language, link: str = "") -> str:
    """A few lines on one alert.

    Args:
        notice: How it stands.
        language: Of the lines.
        link: Where a finding can be looked at, with `{finding}` for its uid; empty: nowhere.
    """
    labels = _LABELS[language]
    lines = [inert(notice["text"][language])]
    if notice["ending"] is not None:
        lines.insert(0, _ENDING[language][notice["ending"]])
    if first := notice.get("check_first", {}).get(language):
        lines.append(f"{labels['first']}: {inert(first, 1000)}")
    lines.append(f"{labels['count']}: {notice['count']}  {labels['risk']}: {notice['risk_score']:g} %")
    if notice["controls"]:
        lines.append(f"{labels['controls']}: {', '.join(inert(one, 100) for one in notice['controls'])}")
    lines.append(f"{labels['alert']}: {notice['fingerprint']}  {labels['finding']}: {inert(notice['finding'], 100)}")
    if link:
        lines.append(link.replace("{finding}", quote(notice["finding"], safe="")))
    return "\n".join(lines)


def summary(notices: Sequence[Notice], language: Language) -> tuple[str, str]:
    """Title and lines on many alerts at once: how many of what, and the worst of them by number."""
    kinds = Counter((-one["severity_id"], one["change"], inert(one["title"][language], 120)) for one in notices)
    if language == "ja":
        head, rest = f"Sekimori 通知{len(notices)}件のまとめ", "ほか{}種類"
    else:
        head, rest = f"Sekimori summary of {len(notices)} notices", "{} further kinds"
    lines = [
        f"{count} × {_SEVERITY[language][-severity]} {_CHANGE[language][change]} {text}"
        for (severity, change, text), count in sorted(kinds.items())[:_MOST_LISTED]
    ]
    if len(kinds) > _MOST_LISTED:
        lines.append(rest.format(len(kinds) - _MOST_LISTED))
    worst = sorted(notices, key=lambda one: -one["severity_id"])[:_MOST_LISTED]
    names = " ".join(dict.fromkeys(one["fingerprint"] for one in worst))
    lines.append(f"{_LABELS[language]['alert']}: {names}{' …' if len(notices) > _MOST_LISTED else ''}")
    return head, "\n".join(lines)
