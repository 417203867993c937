"""Which accesses to somebody's data have a recorded reason, and what a sample says of those that raised nothing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import polars as pl

from audit.report import charts, misses
from audit.report.draft import Draft
from audit.report.merging import Cell, merged, together
from audit.report.model import Block, Chart, Column, Figure, Figures, Notice, Paragraph, Section, Table, Tone
from audit.report.sampling import ACCESS
from audit.report.sources import Sources
from audit.wording import Words

KINDS: Final = ("explained", "to_check", "unexplained")
HEAD_ROWS: Final = 30
_MOST_NAMES: Final = 3
_AUTOMATIC: Final = "\0"  # no department is called so
_PROGRAMS: Final = ("service", "system")

_PAIRS: Final[dict[str, tuple[str, str]]] = {
    **misses.PAIRS,
    "title": ("説明できた操作、できなかった操作", "What was explained, and what was not"),
    "lead": (
        "本人情報への操作（検索・閲覧・更新・出力など）の一件ごとに、担当・申請・訪問などの業務上の理由が台帳に記録されているかを照合した結果です。"
        "理由の記録がないことは、不正があったことを意味しません。",
        "For each access to somebody's data (search, read, update, output and so on): whether a register holds a business reason, such as caseload, "
        "application or visit. Without a recorded reason does not mean without right.",
    ),
    "silent": (
        "対象期間の記録が1件もないため、操作に業務上の理由があったかどうかも、見逃しの有無も分かりません。",
        "The period holds not one record, so nothing is known of reasons, nor of what was missed.",
    ),
    "n_accesses": ("理由を照合した操作", "Accesses judged"),
    "n_share": ("理由が説明できた割合", "Explained share"),
    "n_to_check": ("理由の確認が必要な操作", "To be checked"),
    "n_unexplained": ("理由の記録がない操作", "Without a recorded reason"),
    "n_undecided": ("照合できなかった操作", "Not judged"),
    "n_undecided_note": ("本人が特定されているが、理由の有無を判定できなかったもの", "they name a person, but nothing could be said about reasons"),
    "shares": ("システムと部署ごとの説明できた割合", "Explained share by system and department"),
    "shares_table": ("システムと部署ごとの内訳", "By system and department, in numbers"),
    "shares_note": (
        "部署は操作の時点のもの。利用者が5人未満となる区分は、個人が推測されないよう、5人以上になるまで人数の少ない区分とまとめた。"
        "「自動処理」は人によらないIDの操作。",
        "Departments are those of the time. Cells with fewer than five people are merged with the next larger ones until they have five, so that "
        "nobody can be singled out. Automatic: ids that are nobody's.",
    ),
    "shares_alt": ("{n}区分。説明できた割合は全体で{share}。最も低いのは{name}の{low}。", "{n} rows; {share} in all. Lowest: {name}, {low}."),
    "shares_none": ("本人情報への操作は対象期間にありませんでした。", "The period holds no access to somebody's data."),
    "people_n": ("人数", "People"),
    "automatic": ("自動処理", "automatic"),
    "no_department": ("所属不明", "department not known"),
    "no_system": ("システム名なし", "no system named"),
    "together": ("{names}（合算）", "{names} (together)"),
    "in_system": ("{dept}（{system}）", "{dept} ({system})"),
    "and_more": ("ほか{n}部署", "{n} more"),
    "small_systems": ("利用者が5人未満のシステム（{n}）", "systems with fewer than five people ({n})"),
    "hidden": (
        "利用者が合わせて5人未満のシステム {n} 件は、個人が推測されるため示さず、合計にも含めていません。",
        "{n} systems with fewer than five people together are neither shown nor part of any sum, since somebody could be singled out.",
    ),
    "all_hidden": ("利用者が5人未満", "fewer than five people"),
    "need_reasons": (
        "{names} がないため、操作に業務上の理由があったかどうかは分かりません。",
        "Without {names} nothing can be said about reasons.",
    ),
    "need_column": (
        "分析結果に説明の列（events の explained）がないため、操作に業務上の理由があったかどうかは分かりません。sekimori analyze で分析すると得られます。",
        "The results have no column explained in events, so nothing can be said about reasons: sekimori analyze writes it.",
    ),
    "need_staff": (
        "職員の台帳（{name}）がないため、部署ごとの内訳は分かりません。",
        "Without {name} nothing is known of departments.",
    ),
    "not_known_note": ("照合に必要な台帳・記録がない", "what it needs is missing"),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Shown:
    """One line of the table.

    Attributes:
        systems: Ids of the systems in it.
        system, dept: As the table calls them.
        cell: People, and counts in the order of `KINDS`.
    """

    systems: tuple[str | None, ...]
    system: str
    dept: str
    cell: Cell


def section(sources: Sources, draft: Draft) -> Section:
    """Write the section."""
    words = sources.words.extended(_PAIRS)
    if sources.is_silent:
        return Section("explained", words["title"], (Notice(words["silent"], Tone.LACKING),))
    blocks: list[Block] = [
        Paragraph(words["lead"]),
        *_shares(sources, draft, words),
        *misses.blocks(sources, draft, words),
    ]
    return Section("explained", words["title"], tuple(blocks))


def _shares(sources: Sources, draft: Draft, words: Words) -> list[Block]:
    events = sources.month.frames["events"]
    undecided = events.filter(ACCESS & pl.col("explained").is_null())
    n = int(undecided.select(pl.len()).collect(engine="streaming").item())
    draft.events("explained.undecided", undecided)
    cells = counted(sources)
    lines, hidden = _lines(cells, sources, words)
    out: list[Block] = []
    if n and not cells:
        return [Notice(_why(sources, words), Tone.LACKING), Figures(tuple(_figures(None, n, words)))]
    shown = sorted({system for line in lines for system in line.systems}, key=lambda one: (one is None, one or ""))
    judged = events.filter(pl.col("explained").is_not_null() & pl.col("system.id").is_in(shown, nulls_equal=True))
    for name in ("accesses", "share", "shares", "chart"):
        draft.events(f"explained.{name}", judged)
    for name in KINDS[1:]:
        draft.events(f"explained.{name}", judged.filter(pl.col("explained") == name))
    total = together([line.cell for line in lines]) if lines else None
    counts = total.counts if total is not None else None if hidden else (0, 0, 0)
    out.append(Figures(tuple(_figures(counts, n, words, all_hidden=bool(hidden)))))
    if not sources.site.has("staff", "dept") and lines:
        name = "staff.csv" if not sources.site.has("staff") else "staff.csv: dept"
        out.append(Notice(words.say("need_staff", name=name), Tone.LACKING))
    if hidden:
        out.append(Notice(words.say("hidden", n=hidden), Tone.PLAIN))
    if lines:
        out.append(_chart(lines, words))
    out.append(_table(lines, words))
    return out


def _why(sources: Sources, words: Words) -> str:
    """What is missing where no access could be judged at all."""
    lacking = [f"{name}.csv" for name in ("assignments", "bases") if not sources.site.has(name)]
    if lacking:
        return words.say("need_reasons", names=words.join(lacking))
    return words["need_column"]


def _figures(
    counts: Sequence[int] | None, undecided: int, words: Words, *, all_hidden: bool = False
) -> Iterable[Figure]:
    """Counts in the order of `KINDS`; None: not known, or not to be shown."""
    lacking = words["all_hidden" if all_hidden else "not_known_note"] if counts is None else ""
    tone = Tone.PLAIN if counts is not None or all_hidden else Tone.LACKING
    total = None if counts is None else sum(counts)
    yes, check, no = (None, None, None) if counts is None else counts
    items = words["items"]
    yield Figure("explained.accesses", words["n_accesses"], total, unit=items, note=lacking, tone=tone)
    share = yes / total if yes is not None and total else None
    yield Figure("explained.share", words["n_share"], share, "share", note=lacking or ("" if total else words["shares_none"]), tone=tone)  # fmt: skip
    yield Figure("explained.to_check", words["n_to_check"], check, unit=items, note=lacking, tone=Tone.CHECK if check else tone)  # fmt: skip
    yield Figure("explained.unexplained", words["n_unexplained"], no, unit=items, note=lacking, tone=Tone.CHECK if no else tone)  # fmt: skip
    note, tone = (words["n_undecided_note"], Tone.LACKING) if undecided else ("", Tone.PLAIN)
    yield Figure("explained.undecided", words["n_undecided"], undecided, unit=items, note=note, tone=tone)


def counted(sources: Sources) -> dict[str | None, list[Cell]]:
    """Counts by system and department of the time, systems in order, departments by falling number of accesses."""
    who = ["actor.id", "system.id", "date"]
    frames = sources.month.frames
    sums = (
        frames["events"]
        .filter(pl.col("explained").is_not_null())
        .group_by(who)
        .agg((pl.col("explained") == name).sum().cast(pl.Int64).alias(name) for name in KINDS)
        .collect(engine="streaming")
    )
    persons = frames["usage"].select(*who, "person.id", "person.type", "person.dept").unique(who).collect()
    program = pl.col("person.type").is_in(_PROGRAMS).fill_null(False)
    summed = (
        sums.join(persons, on=who, how="left", nulls_equal=True)
        .with_columns(pl.when(program).then(pl.lit(_AUTOMATIC)).otherwise("person.dept").alias("dept"))
        .group_by("system.id", "dept")
        .agg(pl.col("person.id").filter(~program).drop_nulls().unique(), pl.col(KINDS).sum())
        .with_columns(pl.sum_horizontal(KINDS).alias("n"))
        .sort("system.id", "n", "dept", descending=[False, True, False], nulls_last=True)
    )
    out: dict[str | None, list[Cell]] = {}
    for system, dept, people, *counts, _ in summed.select("system.id", "dept", "person.id", *KINDS, "n").iter_rows():
        out.setdefault(system, []).append(Cell(dept, frozenset(people), tuple(counts)))
    return out


def _lines(cells: dict[str | None, list[Cell]], sources: Sources, words: Words) -> tuple[list[_Shown], int]:
    """Lines of the table, and how many systems stand in none because too few people use them."""
    whole = {system: together(parts) for system, parts in cells.items()}
    lines: list[_Shown] = []
    for system, parts in cells.items():
        if whole[system].is_small:
            continue
        name = sources.month.system_name(system) or words["no_system"]
        done = merged(parts)
        lines += [_Shown((system,), name, _dept(cell.name, sources, words), cell) for cell in done.cells]
        if done.others is not None:
            lines.append(_Shown((system,), name, _depts(done.names, sources, words), done.others))
    small = [system for system, cell in whole.items() if cell.is_small]
    if not small:
        return lines, 0
    others = together([whole[system] for system in small])
    if others.is_small:
        return lines, len(small)
    lines.append(_Shown(tuple(small), words.say("small_systems", n=len(small)), "", others))
    return lines, 0


def _dept(name: str | None, sources: Sources, words: Words) -> str:
    if name is None:
        return words["no_department"]
    return words["automatic"] if name == _AUTOMATIC else sources.site.config.departments.get(name, name)


def _depts(names: Sequence[str | None], sources: Sources, words: Words) -> str:
    """Departments that are counted together."""
    told = [_dept(name, sources, words) for name in names[:_MOST_NAMES]]
    if len(names) > _MOST_NAMES:
        told.append(words.say("and_more", n=len(names) - _MOST_NAMES))
    return words.say("together", names=words.join(told))


def _chart(lines: Sequence[_Shown], words: Words) -> Chart:
    rows = [charts.Share(_label(line, words), *line.cell.counts) for line in lines]
    total = together([line.cell for line in lines]).counts
    lowest = min(range(len(lines)), key=lambda place: (_share(lines[place].cell), place))
    line = lines[lowest]
    alt = words.say(
        "shares_alt", n=len(lines), share=_percent(total[0] / sum(total)), name=f"{line.system} {line.dept}".rstrip(), low=_percent(_share(line.cell))
    )  # fmt: skip
    columns = (Column(words["department"], weight=3), *(Column(words.reason(name), "integer") for name in KINDS))
    data = tuple((row.label, row.explained, row.to_check, row.unexplained) for row in rows)
    table = Table("explained.chart_data", words["shares"], columns, data, words["shares_none"], head_rows=0)
    return Chart("explained.chart", words["shares"], alt, charts.shares(rows, words.language), table)


def _label(line: _Shown, words: Words) -> str:
    return words.say("in_system", dept=line.dept, system=line.system) if line.dept else line.system


def _share(cell: Cell) -> float:
    return cell.counts[0] / sum(cell.counts)


def _percent(share: float) -> str:
    return f"{100 * share:.1f}%"


def _table(lines: Sequence[_Shown], words: Words) -> Table:
    rows = tuple(
        (line.system, line.dept or None, len(line.cell.people) or None, sum(line.cell.counts), *line.cell.counts, _share(line.cell))
        for line in lines
    )  # fmt: skip
    columns = (
        Column(words["system"], weight=3), Column(words["department"], weight=3), Column(words["people_n"], "integer"),
        Column(words["accesses"], "integer"), *(Column(words.reason(name), "integer") for name in KINDS),
        Column(words["explained_share"], "share"),
    )  # fmt: skip
    return Table("explained.shares", words["shares_table"], columns, rows, words["shares_none"], words["shares_note"], HEAD_ROWS)  # fmt: skip
