"""A report that holds everything the model can say, for tests of its faces: each block, each kind of cell, and texts that bite."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Final, Literal

from audit.report.model import (
    Block,
    Card,
    Cards,
    Cell,
    Chart,
    Column,
    Figure,
    Figures,
    Items,
    Kind,
    Notice,
    Paragraph,
    Promise,
    Promises,
    Report,
    Section,
    Signature,
    Signatures,
    Table,
    Tone,
)

ZONE: Final = "Asia/Tokyo"
LONG_NAME: Final = "勅使河原五十嵐左衛門尉髙信成"  # 14 kanji, as the family register allows
LONG_OFFICE: Final = "架空県後期高齢者医療広域連合"
# Two ideographs that look alike and differ, one outside the basic plane, one with a variation selector (U+E0100).
RARE: Final = "髙橋と高橋、𠮷田と吉田、葛\U000e0100城と葛城"
# Of JIS X 0213: outside the basic plane, composed of two code points, and forms that JIS X 0208 unified.
JIS_X_0213: Final = "𠀋𡈽𪚲か゚セ゚ㇷ゚噓俱剝頰鷗"

HOSTILE: Final = (
    "<script>alert('関')</script>&\"x",
    "</title></style><img src=x onerror=alert(1)>",
    "<!-- ]]> --> {{ 7 * 7 }} {% raw %}",
    '=HYPERLINK("http://192.0.2.1/","x")',
    "＝１＋１",
    " +1+1",
    "\n-2+3",
    "\t@SUM(1,1)",
    "　＠SUM(1,1)",
    "#let x = 1; $a$ @b *c* _d_ [e] \\f // g `h` ~ <i>",
    '#read("/etc/passwd") #import "x.typ"',
    "abc\u202edef\u202c \u2066ghi\u2069 \u200fj",
    "a\x00b\x07c\x1b[31md\x7fe\x85f",
    "a\ufeffb\ufffec\u200bd\u00ade",
    "javascript:alert(1)",
    "0123456789" * 12,
    "関" * 90,
    "https://192.0.2.1/a?b=c&d=e",
    "e\u0301\u0302\u0303\u0304" * 6,
    "👩‍💻🇯🇵",
    "",
    "   ",
)
# Every kind with values that are easy to show wrongly; None is in each.
CELLS: Final[tuple[tuple[Kind, tuple[Cell, ...]], ...]] = (
    ("text", (LONG_NAME, RARE, JIS_X_0213, "", None)),
    ("id", ("f-0000000000000001", "s_6wq2m4k7aaaaaaaaaaaaaaaaaa", "0012345", "1e5", None)),
    ("integer", (0, 1, 10_000_000, -3, None)),
    ("decimal", (0.0, 1.25, 12_345.678, -0.04, None)),
    ("share", (0.0, 0.0004, 0.943, 0.9996, 1.0, None)),
    ("moment", (1_772_290_800_000, 1_773_155_999_999, None)),
    ("day", ("2026-03-01", "2019-04-30", "2019-05-01", "1989-01-07", None)),
    ("duration", (0, 900, 59_999, 5_400_000, 864_000_000, None)),
)

_Language = Literal["ja", "en"]


def sample(language: _Language = "ja", *, draft: bool = True, rows: int = 400, cards: int = 60) -> Report:
    """A report of March 2026.

    Args:
        language: Of its texts.
        draft: Whether it is one.
        rows: Of its longest table.
        cards: Serious findings in it.
    """
    ja = language == "ja"
    draft_text = ("速報：対象期間が終わっていない", "Draft: the period is not over")[not ja]
    return Report(
        title=("アクセスログ分析報告書", "Access log analysis report")[not ja],
        language=language,
        site="架空市",
        time_zone=ZONE,
        begin=_ms(date(2026, 3, 1)),
        end=_ms(date(2026, 4, 1)),
        period=("令和8年（2026年）3月1日（日）〜3月31日（火）", "2026-03-01 (Sun) – 2026-03-31 (Tue)")[not ja],
        as_of=_ms(date(2026, 4, 2)) + 9 * 3_600_000 + 125_000,
        draft=draft_text if draft else None,
        summary=_SUMMARY[language],
        sections=(
            _promises(ja),
            _certificate(ja),
            _findings(ja, rows, cards),
            _kinds(ja),
            _hostile(ja),
            _empty(ja),
            _signatures(ja),
        ),
        version="0.1.0",
    )


_SUMMARY: Final[dict[str, tuple[str, ...]]] = {
    "ja": (
        "評価書の約束3件のうち、適合1件、要確認1件、証跡不足1件です。",
        "158,113件の記録から、警報91件、要確認90件を検知しました。",
        "ログの途切れは延べ2日です。原因は確認中です。",
    ),
    "en": (
        "Of 3 promises, 1 is met, 1 is to be checked and 1 lacks evidence.",
        "158,113 events gave 91 alerts and 90 review items.",
        "Logs were silent on 2 source days; the cause is being looked into.",
    ),
}


def _ms(day: date) -> int:
    """Midnight of a day in Japan, UTC milliseconds."""
    return int((datetime(day.year, day.month, day.day, tzinfo=UTC) - timedelta(hours=9)).timestamp()) * 1000


def _promises(ja: bool) -> Section:
    def promise(number: int, verdict: str, tone: Tone, value: int | None) -> Promise:
        return Promise(
            id=f"kanagawa-9/P{number}",
            title=("退職者の利用がない", "No use by former staff")[not ja],
            quote="アクセスログを記録し、定期的に分析することで不正なアクセスがないことを確認している。",
            stands_in="特定個人情報保護評価書（全項目評価書）Ⅲ 3. リスク2",
            paraphrase=number == 3,
            verdict=verdict,
            tone=tone,
            number=value,
            unit=("件", "events")[not ja],
            counts=("退職日の翌日以降の利用", "uses after the last day of employment")[not ja],
            expected=("0件", "0")[not ja],
            reason=("台帳と記録がそろっている。" * number, "Registers and records are there. " * number)[not ja],
            evidence=("staff.csv", "events/2026-03-*.parquet") if number < 3 else (),
            references=tuple(f"f-{n:016x}" for n in range(number)),
        )

    return Section(
        "promises",
        ("約束と判定", "Promises and verdicts")[not ja],
        (
            Paragraph(("評価書の約束のうち、ログで証明できるものです。", "What a log can prove.")[not ja]),
            Figures(
                (
                    Figure("promises.met", "適合", 1, unit=("件", "")[not ja], tone=Tone.GOOD),
                    Figure("promises.check", "要確認", 1, unit=("件", "")[not ja], tone=Tone.CHECK),
                    Figure("promises.lacking", "証跡不足", 1, unit=("件", "")[not ja], tone=Tone.LACKING),
                )
            ),
            Promises(
                "promises.kanagawa_9",
                ("神奈川県 第9号 生活保護", "Kanagawa Prefecture, no. 9, public assistance")[not ja],
                (
                    promise(1, "適合", Tone.GOOD, 0),
                    promise(2, "要確認", Tone.CHECK, 12_345),
                    promise(3, "証跡不足", Tone.LACKING, None),
                ),
            ),
            Promises("promises.sakai_48", ("堺市 第48号 被災者台帳", "Sakai City, no. 48")[not ja], ()),
        ),
    )


def _certificate(ja: bool) -> Section:
    days = tuple((date(2026, 3, 1) + timedelta(days=n)).isoformat() for n in range(31))
    counts = tuple((n * 7919) % 997 for n in range(31))
    name = ("日別の記録", "Events by day")[not ja]
    return Section(
        "certificate",
        ("分析の証明", "Certificate of analysis")[not ja],
        (
            Figures(
                (
                    Figure("certificate.events", ("記録", "Events")[not ja], 158_113, unit=("件", "")[not ja]),
                    Figure("certificate.share", ("説明できた割合", "Explained share")[not ja], 0.943, "share"),
                    Figure("certificate.first", ("最初の記録", "First event")[not ja], 1_772_290_800_000, "moment"),
                    Figure("certificate.day", ("最も多い日", "Busiest day")[not ja], "2026-03-21", "day"),
                    Figure("certificate.lag", ("最長の途切れ", "Longest gap")[not ja], 5_400_000, "duration"),
                    Figure("certificate.mean", ("一人一日当たり", "Per person and day")[not ja], 12.5, "decimal"),
                    Figure("certificate.digest", "SHA-256", "9f86d081884c7d65", "id"),
                    Figure(
                        "certificate.missed",
                        ("行われなかった分析", "Runs missed")[not ja],
                        None,
                        note=("実行の記録（runs.ndjson）がない", "runs.ndjson is not there")[not ja],
                        tone=Tone.LACKING,
                    ),
                )
            ),
            Notice(("ログの途切れの原因を確認中です。", "The cause of the gap is not known.")[not ja], Tone.CHECK),
            Notice(("勤怠の台帳がありません。", "There is no register of presence.")[not ja], Tone.LACKING),
            Notice(("改ざんの疑いがあります。", "Evidence may have been tampered with.")[not ja], Tone.URGENT),
            Notice(("署名は正しいことを確認しました。", "Signatures were checked.")[not ja], Tone.GOOD),
            Notice(("前月の報告書は差し替えられました。", "Last month's report was replaced.")[not ja], Tone.PLAIN),
            Chart(
                "certificate.by_day",
                name,
                (f"31日間の記録。最も多い日は{max(counts)}件。", f"31 days; the most is {max(counts)}.")[not ja],
                _bars(counts, name),
                Table(
                    "certificate.by_day_data",
                    name,
                    (Column(("日", "Day")[not ja], "day"), Column(("件数", "Events")[not ja], "integer")),
                    tuple(zip(days, counts, strict=True)),
                    "-",
                    head_rows=0,
                ),
            ),
            Items(
                (
                    ("規則 120件（版 1f2e3d4c）", "120 rules (version 1f2e3d4c)")[not ja],
                    ("モデル iforest-2026-02", "Model iforest-2026-02")[not ja],
                ),
                ("分析に使った版", "Versions used")[not ja],
            ),
            Items(
                ("sekimori verify --key archive.pub archive", "sha256sum -c"),
                ("確かめ方", "How to verify")[not ja],
                True,
            ),
            Items((("題のない箇条書き。", "A list without a title.")[not ja],)),
        ),
    )


def _findings(ja: bool, rows: int, cards: int) -> Section:
    tones = (Tone.URGENT, Tone.CHECK, Tone.PLAIN)
    words = (("緊急", "critical"), ("高", "high"), ("中", "medium"))

    def card(n: int) -> Card:
        done = ((("確認", "checked")[not ja], LONG_NAME), (("期限", "due")[not ja], "2026-04-10")) if n % 3 else ()
        return Card(
            id=f"f-{n:016x}",
            title=("退職後の利用", "Use after leaving")[not ja],
            text=(
                f"退職した職員のIDで、3月{n % 31 + 1}日 22:07 に本人情報{n + 1}件が照会されました。",
                f"The id of somebody who had left inquired {n + 1} records on 2026-03-{n % 31 + 1:02} at 22:07.",
            )[not ja],
            tone=tones[n % 3],
            badges=(words[n % 3][not ja], ("警報", "alert")[not ja]),
            facts=(
                (("利用者", "Who")[not ja], LONG_NAME if n % 2 else "u100575"),
                (("日時", "When")[not ja], "2026-03-19 23:12"),
                (("システム", "System")[not ja], "被災者台帳システム"),
                (("端末", "Terminal")[not ja], f"PC-{n:05}"),
            ),
            done=done,
        )

    columns = (
        Column(("検知番号", "Finding")[not ja], "id", 3),
        Column(("日時", "When")[not ja], "moment", 2),
        Column(("利用者", "Who")[not ja], "text", 3),
        Column(("内容", "What")[not ja], "text", 6),
        Column(("件数", "Events")[not ja], "integer"),
        Column(("割合", "Share")[not ja], "share"),
        Column(("判断まで", "To decision")[not ja], "duration"),
    )

    def row(n: int) -> tuple[Cell, ...]:
        return (
            f"f-{n:016x}",
            _ms(date(2026, 3, 1)) + n * 6_000_017,
            None if n % 11 == 5 else (LONG_NAME, "200101", "𠮷田 葛\U000e0100子")[n % 3],
            ("夜間に担当外の本人情報を照会した。" * (1 + n % 4), "looked at data outside the caseload. " * (1 + n % 4))[
                not ja
            ],
            n * n,
            None if n % 7 == 0 else (n % 101) / 100,
            None if n % 5 == 0 else n * 1_234_567,
        )

    blocks: list[Block] = [
        Cards(
            "findings.cards",
            ("重大な検知", "Serious findings")[not ja],
            tuple(card(n) for n in range(cards)),
            ("ありません。", "None.")[not ja],
            head_cards=10,
        ),
        Table(
            "findings.all",
            ("すべての検知", "All findings")[not ja],
            columns,
            tuple(row(n) for n in range(rows)),
            ("検知はありませんでした。", "There was no finding.")[not ja],
            note=("件数は検知の数で、人数ではありません。", "Findings are counted, not people.")[not ja],
            head_rows=20,
        ),
        Table(
            "findings.open",
            ("期限を過ぎたもの", "Overdue")[not ja],
            columns[:4],
            tuple(row(n)[:4] for n in range(3)),
            "-",
            head_rows=20,
        ),
    ]
    return Section("findings", ("検知事項", "Findings")[not ja], tuple(blocks))


def _kinds(ja: bool) -> Section:
    """A table per kind, and one with many columns."""
    tables = tuple(
        Table(
            f"kinds.{kind}",
            f"{kind} {LONG_OFFICE}",
            (Column(("番号", "No.")[not ja], "integer"), Column(kind, kind, 4)),
            tuple((n, value) for n, value in enumerate(values)),
            "-",
        )
        for kind, values in CELLS
    )
    wide = Table(
        "kinds.wide",
        ("列の多い表", "Many columns")[not ja],
        tuple(Column(f"{LONG_OFFICE[:6]} {n}", "text" if n % 2 else "integer", 1 + n % 3) for n in range(12)),
        tuple(
            tuple(None if (n + m) % 5 == 0 else (LONG_NAME if n % 2 else n * m) for n in range(12)) for m in range(4)
        ),
        "-",
    )
    return Section("kinds", ("値の種類", "Kinds of values")[not ja], (*tables, wide))


def _hostile(ja: bool) -> Section:
    """Hostile texts wherever the model takes a text from elsewhere."""
    first = HOSTILE[0]
    table = Table(
        "hostile.texts",
        first,
        (Column(first, "text", 4), Column(HOSTILE[3], "id", 4)),
        tuple((text, text) for text in HOSTILE),
        first,
        note=first,
    )
    card = Card("f-00000000000000ff", first, HOSTILE[9], Tone.URGENT, (first,), ((first, first),), ((first, first),))
    promise = Promise(
        "<b>/P&1", first, first, first, True, first, Tone.CHECK, 1, first, first, first, first, (first,), (first,)
    )
    return Section(
        "hostile",
        ("悪意のある文字列", "Hostile texts ")[not ja] + first,
        (
            Paragraph(first),
            Notice(HOSTILE[9], Tone.CHECK),
            Items(HOSTILE[:12], first),
            Figures(
                (
                    Figure("hostile.first", first, HOSTILE[3], "text", HOSTILE[1], first),
                    Figure("hostile.second", HOSTILE[9], HOSTILE[12], "id"),
                )
            ),
            table,
            Promises("hostile.promises", first, (promise,)),
            Cards("hostile.cards", first, (card,), first),
            Chart("hostile.chart", first, first, _bars((1, 2), "<&>"), _single(first)),
        ),
    )


def _single(text: str) -> Table:
    """A table of one cell."""
    return Table("hostile.chart_data", text, (Column(text),), ((text,),), text)


def _empty(ja: bool) -> Section:
    none = ("ありません。", "None.")[not ja]
    return Section(
        "empty",
        ("何もない章", "Nothing at all")[not ja],
        (
            Table("empty.table", ("空の表", "Empty table")[not ja], (Column("-"),), (), none, note=none, head_rows=20),
            Cards("empty.cards", ("空の検知", "No findings")[not ja], (), none, head_cards=10),
            Items((), ("空の箇条書き", "Empty list")[not ja]),
        ),
    )


def _signatures(ja: bool) -> Section:
    return Section(
        "signatures",
        ("確認と承認", "Signatures")[not ja],
        (
            Signatures(
                ("決裁", "Sign-off")[not ja],
                (
                    Signature(
                        ("確認者", "Checked by")[not ja], f"総務課 {LONG_NAME}", 1_775_100_000_000, "9f86d081884c"
                    ),
                    Signature(("承認者", "Approved by")[not ja]),
                ),
                ("署名は sekimori report --sign で行います。", "Sign with sekimori report --sign.")[not ja],
            ),
        ),
    )


def _bars(values: tuple[int, ...], title: str) -> str:
    """An SVG with a bar per value."""
    escaped = title.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    most = max(values)
    bars = "".join(
        f'<rect x="{10 + 20 * n}" y="{110 - 90 * value / most:.2f}" width="14" height="{90 * value / most:.2f}" fill="#2f6788"/>'
        for n, value in enumerate(values)
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {20 + 20 * len(values)} 120">{bars}'
        f'<text x="10" y="14" font-family="Noto Sans CJK JP, sans-serif" font-size="11" fill="#1d2730">{escaped}</text></svg>'
    )
