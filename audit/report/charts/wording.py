"""The words that a chart itself needs; all others are the caller's."""

from __future__ import annotations

from typing import Final, Literal

Language = Literal["ja", "en"]

_WORDS: Final = {
    "nothing": ("対象期間に該当する記録がありません", "nothing of the kind in this period"),
    "sum": ("計", "Total"),
    "gap": ("途切れ（記録なし）", "gap (no record)"),
    "part": ("一部の時間が途切れ", "gap in part of it"),
    "off": ("記録なし（途切れではない）", "no record, and no gap"),
    "absent": ("対象外の日", "not yet or no more there"),
    "day_off": ("休日", "day off"),
    "lines": ("行数 ", "lines "),
    "lines_a_day": ("1日平均の行数 ", "lines a day "),
    "more": ("ほか {n} 行は表にあります", "{n} more rows stand in the table"),
    "unknown": ("不明（分析なし）", "not known (no analysis)"),
    "declared": ("申告された時間帯", "declared hours"),
    "outside": ("申告された時間帯の外での利用", "use outside declared hours"),
    "hidden": ("不明", "not known"),
    "decided": ("判断済み", "decided"),
    "open": ("未判断（経過時間）", "still open (waiting so far)"),
    "late": ("期限超過", "overdue"),
    "explained": ("説明できる", "explained"),
    "to_check": ("要確認", "to check"),
    "unexplained": ("説明できない", "unexplained"),
    "share_explained": ("説明できる割合／件数", "explained / accesses"),
    "actual": ("実績", "counted"),
    "projected": ("現在の傾向での見込み", "at the present trend"),
    "declared_band": ("申告された区分", "declared band"),
    "crossing": ("境界を越える日", "day on which the limit is crossed"),
    "column_week": ("1列は1週（月曜から）", "one column a week, from Monday"),
    "column_month": ("1列は1か月", "one column a month"),
}


def say(key: str, language: Language) -> str:
    """A word by its key."""
    return _WORDS[key][language == "en"]
