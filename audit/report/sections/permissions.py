"""Section 6: rights that nobody uses and use without right, leavers and movers, lent cards, shared ids, and contractors' work."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import polars as pl

from audit.report import leaving, lending, rights
from audit.report.draft import Draft
from audit.report.model import Block, Cell, Column, Figure, Figures, Notice, Paragraph, Section, Table, Tone
from audit.report.sources import Sources
from audit.usage import DAY_MS
from audit.wording import Words

ID: Final = "permissions"

HEAD_ROWS: Final = 20

_PAIRS: Final[dict[str, tuple[str, str]]] = {
    "title": ("権限と利用者", "Permissions and who uses them"),
    "lead": (
        "期間末に有効な権限と実際の利用、退職・異動後の権限の停止、臨時カード、共用のID、委託先の作業を、台帳とログから突き合わせます。"
        "ここに挙がることは、ただちに不正を意味しません。",
        "Rights at the period's end against use, the end of rights of those who left or moved, temporary cards, shared ids and the work of contractors, "
        "registers against the log. What is listed here is not misuse by itself.",
    ),
    "no_register": ("{name} がないため、{what}は分かりません。", "Without {name} nothing can be said of {what}."),
    "no_column": ("{name} がないため、{what}の一部は分かりません。", "Without {name} part of this is not known: {what}."),
    "what_rights": ("権限の利用状況", "the use of rights"),
    "what_leavers": ("退職・異動後の権限", "rights of leavers and movers"),
    "what_cards": ("臨時カード", "temporary cards"),
    "what_ids": ("IDの持ち主", "whose ids are"),
    "what_orders": ("作業指示との突合", "work orders"),
    "what_vendors": ("委託先の要員", "contractors' people"),
    "items": ("件", ""),
    "people": ("人", ""),
    # unused
    "unused_head": ("権限を持つ者の利用状況（期間末現在）", "Rights at the period's end and their use"),
    "granted": ("有効な権限", "Rights"),
    "unused": ("期間中に利用なし", "Not used in the period"),
    "unused_90": ("90日間利用なし", "Not used for 90 days"),
    "unused_180": ("180日間利用なし", "Not used for 180 days"),
    "since": (
        "ログが {day} からしかないため、この日数の利用の有無は分からない",
        "the log begins on {day}: not known",
    ),
    "partly": ("ログが足りるシステムだけの数", "only systems whose log reaches back so far"),
    "short": ("ログは {day} から", "log from {day}"),
    "no_log": ("対象のシステムのログがない", "no log of these systems"),
    "unused_note": (
        "権限1行を1件と数え、期間（90日・180日）の初めより前に付与されたものだけを数える。機能名を記録しないシステム、及び「*」（すべての機能）の権限は、"
        "システムの利用があれば利用ありとする。空欄は、ログが足りず分からないことを示す。",
        "Each row of the register counts once, if it was granted before the period (the 90, the 180 days) began. In systems that name no functions, and for the right to all of them (*), "
        "any use counts. Blank: the log does not reach back far enough.",
    ),
    "unused_none": ("使われていない権限は見つかりませんでした。", "No unused right was found."),
    "person": ("利用者", "Person"),
    "dept": ("所属", "Department"),
    "system": ("システム", "System"),
    "last_use": ("最後の利用", "Last use"),
    # beyond
    "beyond_head": ("付与されていない権限の利用", "Use without a right"),
    "beyond_n": ("付与のない利用", "Uses without a right"),
    "function": ("機能", "Function"),
    "n": ("件数", "Events"),
    "first": ("最初", "First"),
    "last": ("最後", "Last"),
    "why": ("権限の状態", "Right"),
    "why_none": ("このシステムの権限がない", "none in this system"),
    "why_other": ("別の機能の権限だけがある", "for other functions only"),
    "why_ended": ("権限が終わっていた", "ended"),
    "why_early": ("権限がまだ始まっていない", "not begun"),
    "silent": ("対象期間のログがない", "the period holds no log"),
    "no_cards": ("ログにカードの番号が記録されていない", "the log names no cards"),
    "no_rights": ("permissions.csv がない", "there is no permissions.csv"),
    "no_orders": ("work_orders.csv がない", "there is no work_orders.csv"),
    "no_sessions": ("対象期間のセッションの記録がない", "the period holds no sessions"),
    "beyond_none": ("付与のない権限の利用はありませんでした。", "There was none."),
    # leavers
    "gone_head": ("退職・異動した者の権限", "Leavers and movers"),
    "gone_open": ("停止されていない者", "Rights still open"),
    "gone_after": ("退職・異動後の利用", "Uses after leaving or moving"),
    "kind": ("区分", "Kind"),
    "left": ("退職", "left"),
    "moved": ("異動", "moved"),
    "hr": ("人事上の日", "Left or moved on"),
    "from_to": ("所属の変化", "Departments"),
    "disabled": ("停止した日時", "Disabled at"),
    "lag": ("停止までの遅れ", "Lag"),
    "open": ("有効なままの権限", "Rights open"),
    "after": ("その後の利用", "Uses after"),
    "refused": ("その後の拒否・失敗", "Refused after"),
    "gone_note": (
        "停止は、権限の台帳の終了日、アカウントの終了日、ログに残る停止の操作のうち最も早いもの。まだ停止されていない者の遅れは期間末までの日数。空欄は、台帳にもログにも記録がないことを示す。異動は、新しい所属が使わない"
        "システムの権限だけを見る。期間前31日以内に去った者と、権限が残る者又は利用のあった者を挙げる。",
        "Disabled: the earliest of the end of rights, of accounts, and of what the log shows. Where rights are open the lag runs to the period's end; blank: neither register nor log says. Of movers only rights in "
        "systems count that the new department does not use. Listed are those who went in the period or up to 31 days before, or whose rights are open or were used.",
    ),
    "handover": ("異動後 {n} 日の引継ぎは認められている（limits.handover_days）。", "After a move {n} days of handover are allowed (limits.handover_days)."),
    "gone_none": ("該当する退職・異動はありませんでした。", "Nobody left or moved."),
    # cards
    "loans_head": ("臨時カードの貸出し", "Temporary cards lent"),
    "out": ("返却されていないカード", "Cards not returned"),
    "card": ("カード", "Card"),
    "lent": ("貸出日", "Lent on"),
    "returned": ("返却日", "Returned on"),
    "state": ("状態", "State"),
    "state_out": ("期間末に未返却", "out at the end"),
    "state_back": ("返却済み", "returned"),
    "uses": ("利用", "Uses"),
    "loans_none": ("期間中の貸出しの記録はありません。", "No loan is on record."),
    "strays_head": ("貸出記録と合わない臨時カードの利用", "Uses of temporary cards that no loan explains"),
    "strays_n": ("貸出記録と合わない利用", "Uses without a loan"),
    "at": ("日時", "Time"),
    "account": ("ID", "Account"),
    "holder": ("貸出先", "Lent to"),
    "nobody": ("（貸出しなし）", "(nobody)"),
    "strays_none": ("貸出記録と合わない利用はありませんでした。", "There was none."),
    # shared
    "shared_head": ("共用が疑われるID", "Ids that may be shared"),
    "shared_n": ("共用が疑われるID", "Ids that may be shared"),
    "registered": ("台帳上の持ち主", "Registered for"),
    "overlaps": ("別の端末での同時利用", "Open on two devices"),
    "findings": ("関係する検知", "Findings"),
    "shared_note": (
        "台帳で同じIDに複数の者が登録されているもの、同じIDのセッションが別の端末で重なったもの、他人の利用を疑わせる検知があるもの。",
        "The register names several people for one id, sessions of it overlapped on different devices, or a finding says that somebody else may have used it.",
    ),
    "shared_none": ("共用が疑われるIDはありませんでした。", "There was none."),
    # orders
    "orders_head": ("作業指示ごとの委託先の作業", "Contractors' sessions per work order"),
    "no_order_n": ("作業指示のない委託先のセッション", "Contractors' sessions without an order"),
    "order": ("作業指示", "Order"),
    "company": ("会社", "Company"),
    "begin": ("開始", "From"),
    "until": ("終了", "To"),
    "approved_by": ("承認者", "Approved by"),
    "sessions": ("セッション", "Sessions"),
    "all": ("（すべて）", "(all)"),
    "orders_none": ("期間にかかる作業指示はありません。", "No order touches the period."),
    "order_strays_head": ("作業指示のない委託先の作業", "Contractors' sessions that no order covers"),
    "session": ("セッション", "Session"),
    "reason": ("理由", "Why"),
    "r_none": ("対応する作業指示がない", "there is no order for it"),
    "r_outside": ("作業指示の時間を外れる", "outside the order's window"),
    "order_strays_none": ("作業指示のない委託先のセッションはありませんでした。", "There was none."),
    "vendor_none": ("委託先の要員のセッションは対象期間にありません。", "Contractors had no session in the period."),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Part:
    """What every part of the section needs."""

    sources: Sources
    words: Words
    draft: Draft

    def id(self, name: str) -> str:
        return f"{ID}.{name}"

    def column(self, word: str, kind: str = "text", weight: int = 1) -> Column:
        return Column(self.words[word], kind, weight)  # type: ignore[arg-type]  # the words above are the only callers

    def system(self, name: str | None) -> str | None:
        return self.sources.month.system_name(name)

    def dept(self, name: str | None) -> str | None:
        return None if name is None else self.sources.site.config.departments.get(name, name)

    @property
    def is_silent(self) -> bool:
        """Whether the period holds no log at all, so that nothing that is not in it is known not to have happened."""
        return bool(self.sources.month.frames["usage"].select(pl.len()).collect().item() == 0)

    def remember(self, events: pl.LazyFrame, *names: str) -> None:
        """The events behind a figure and the table of the same."""
        for name in names:
            self.draft.events(self.id(name), events.select("event.id"))

    def figure(self, name: str, label: str, n: int | None, unknown: str = "", unit: str = "items") -> Figure:
        """A count of what is to be looked at; `unknown` says why it is not known."""
        value = None if unknown else n
        note = self.words[unknown] if unknown else ""
        return Figure(self.id(name), self.words[label], value, unit=self.words[unit], note=note, tone=_tone(value))

    def lacking(self, what: str, *needs: str) -> list[Block]:
        """A notice for each register, or column of one, that is not there."""
        site = self.sources.site
        out: list[Block] = []
        for need in needs:
            first, _, column = need.partition(".")
            if not site.has(first) or (column and not site.has(first, column)):
                key = "no_column" if column and site.has(first) else "no_register"
                name = f"{first}.csv" + (f" ({column})" if key == "no_column" else "")
                out.append(Notice(self.words.say(key, name=name, what=self.words[what]), Tone.LACKING))
        return list(dict.fromkeys(out))


def section(sources: Sources, draft: Draft) -> Section:
    """Permissions against use.

    Figures: `permissions.granted`, `.unused`, `.unused_90`, `.unused_180`, `.beyond`, `.open`, `.after`, `.out`, `.strays`, `.shared`, `.no_order`; a
    table of what is behind each.
    """
    part = _Part(sources, sources.words.extended(_PAIRS), draft)
    blocks: list[Block] = [Paragraph(part.words["lead"])]
    for write in (_unused, _beyond, _gone, _cards, _shared, _orders):
        blocks += write(part)
    return Section(ID, part.words["title"], tuple(blocks))


def _tone(n: int | None) -> Tone:
    return Tone.CHECK if n else Tone.PLAIN


def _unused(part: _Part) -> list[Block]:
    """Rights that hold at the end and were not used."""
    words, period, site = part.words, part.sources.period, part.sources.site
    out = part.lacking("what_rights", "permissions")
    if out:
        return out
    found = rights.held(part.sources.history, site, period.begin, period.end)
    table = found.table
    figures = [Figure(part.id("granted"), words["granted"], table.height, unit=words["items"])]
    for name in ("unused", "unused_90", "unused_180"):
        known = table[name].drop_nulls()
        n = None if known.is_empty() and table.height else int(known.sum())
        note = _why_not(part, name, table, found.begins)
        figures.append(Figure(part.id(name), words[name], n, unit=words["items"], note=note, tone=_tone(n)))
    by = ["person", "dept", "system"]
    counted = table.group_by(by).agg(
        pl.len().alias("granted"),
        *(pl.when(pl.col(name).is_not_null().any()).then(pl.col(name).sum()).cast(pl.Int64).alias(name) for name in ("unused", "unused_90", "unused_180")),
        pl.col("last").max(),
    ).filter((pl.col("unused") > 0) | (pl.col("unused_90") > 0) | (pl.col("unused_180") > 0))  # fmt: skip
    counted = counted.sort(pl.col("last").is_not_null(), -pl.col("unused").fill_null(0), "person", "system")
    rows: list[tuple[Cell, ...]] = [
        (person, part.dept(dept), part.system(system), granted, unused, ninety, long, last)
        for person, dept, system, granted, unused, ninety, long, last in counted.iter_rows()
    ]
    columns = (
        part.column("person", "id", 2), part.column("dept", weight=2), part.column("system", weight=2), part.column("granted", "integer"),
        part.column("unused", "integer"), part.column("unused_90", "integer"), part.column("unused_180", "integer"), part.column("last_use", "moment", 2),
    )  # fmt: skip
    listed = Table(
        part.id("rights"),
        words["unused_head"],
        columns,
        tuple(rows),
        words["no_log" if table.height and not found.begins else "unused_none"],
        words["unused_note"],
        HEAD_ROWS,
    )
    return [*part.lacking("what_ids", "accounts"), Figures(tuple(figures)), listed]


def _why_not(part: _Part, name: str, table: pl.DataFrame, begins: dict[str, int]) -> str:
    """What to know about a count of unused rights: that the log does not reach back, for all systems or for some."""
    words = part.words
    firsts = [begins[system] for system in table["system"].unique().sort() if system in begins]
    if not firsts:
        return words["no_log"] if table.height else ""
    day = words.day(words.local(min(firsts)).date())
    if table[name].is_null().all():
        return words.say("since", day=day)
    if table[name].is_null().any():
        return words["partly"]
    late = name == "unused" and max(firsts) > part.sources.period.begin + DAY_MS
    return words.say("short", day=words.day(words.local(max(firsts)).date())) if late else ""


def _beyond(part: _Part) -> list[Block]:
    """What was used without a right."""
    words, site = part.words, part.sources.site
    if not site.has("permissions"):
        return []
    systems = sorted(site.tables["permissions"]["system"].drop_nulls().unique().to_list())
    rows = rights.beyond(part.sources.month.frames["usage"], site, systems)
    part.remember(rights.events_of(rows, part.sources.month.frames["events"]), "beyond", "beyond_rights")
    n = int(rows["n"].sum() or 0)
    by = ["person.id", "person.dept", "system.id", "op.code", "why"]
    counted = rows.group_by(by).agg(pl.col("n").sum(), pl.col("first").min(), pl.col("last").max())
    counted = counted.sort(-pl.col("n"), *by, nulls_last=True)
    cells = tuple(
        (person, part.dept(dept), part.system(system), code, words[f"why_{why}"], count, first, last)
        for person, dept, system, code, why, count, first, last in counted.iter_rows()
    )
    columns = (
        part.column("person", "id", 2), part.column("dept", weight=2), part.column("system", weight=2), part.column("function", "id"), part.column("why", weight=2),
        part.column("n", "integer"), part.column("first", "moment", 2), part.column("last", "moment", 2),
    )  # fmt: skip
    table = Table(
        part.id("beyond_rights"),
        words["beyond_head"],
        columns,
        cells,
        words["silent" if part.is_silent else "beyond_none"],
        head_rows=HEAD_ROWS,
    )
    return [Figures((part.figure("beyond", "beyond_n", n, "silent" if part.is_silent else ""),)), table]


def _gone(part: _Part) -> list[Block]:
    """Who left or moved."""
    words, period, site, month = part.words, part.sources.period, part.sources.site, part.sources.month
    out = part.lacking("what_leavers", "staff", "staff.end", "staff.dept", "permissions", "accounts")
    if not site.has("staff"):
        return out
    found = leaving.gone(
        month.frames["events"], month.frames["usage"], part.sources.history, site, period.begin, period.end
    )
    part.remember(found.events, "after", "leavers")
    table = found.table
    undone = table.filter((pl.col("open") > 0) & pl.col("disabled").is_null()).height
    after = int(table["events"].sum() or 0)
    figures = Figures((
        part.figure("open", "gone_open", undone, "" if site.has("permissions") else "no_rights", "people"),
        part.figure("after", "gone_after", after, "silent" if part.is_silent else ""),
    ))  # fmt: skip
    known, silent = site.has("permissions"), part.is_silent
    rows = tuple(
        (row["person"], words[row["kind"]], words.local(row["at"]).date().isoformat(), _way(row, part), row["disabled"], row["lag"],
         row["open"] if known else None, None if silent else row["events"], None if silent else row["refused"])
        for row in table.iter_rows(named=True)
    )  # fmt: skip
    columns = (
        part.column("person", "id", 3), part.column("kind", weight=2), part.column("hr", "day", 4), part.column("from_to", weight=4),
        part.column("disabled", "moment", 4), part.column("lag", "duration", 2), part.column("open", "integer", 2), part.column("after", "integer", 2),
        part.column("refused", "integer", 2),
    )  # fmt: skip
    days = site.config.limits.handover_days
    handover = "" if days is None else words.say("handover", n=days)
    note = words["gone_note"] + ("" if words.language == "ja" else " ") + handover
    listed = Table(part.id("leavers"), words["gone_head"], columns, rows, words["gone_none"], note.strip(), HEAD_ROWS)
    return [*out, figures, listed]


def _way(row: dict[str, str | None], part: _Part) -> str | None:
    before, after = part.dept(row["from"]), part.dept(row["to"])
    return before if after is None else f"{before or ''} → {after}"


def _cards(part: _Part) -> list[Block]:
    """Temporary cards."""
    period, site = part.sources.period, part.sources.site
    out = part.lacking("what_cards", "devices", "devices.kind", "devices.actor_id")
    if out:
        return out
    found = lending.cards(part.sources.month.frames["events"], site, period.begin, period.end)
    part.draft.events(part.id("loans"), found.events)
    part.remember(found.strays.lazy(), "strays", "stray_cards")
    not_back = int(found.loans["out"].sum() or 0)
    named = part.sources.month.frames["events"].select(pl.col("auth.card").count()).collect(engine="streaming").item()
    unseen = "" if named else "silent" if part.is_silent else "no_cards"
    figures = Figures((
        part.figure("out", "out", not_back),
        part.figure("strays", "strays_n", found.strays.height, unseen),
    ))  # fmt: skip
    return [figures, _loans(part, found, unseen), _strays(part, found, unseen)]


def _loans(part: _Part, found: lending.Cards, unseen: str) -> Table:
    words = part.words
    rows = tuple(
        (card, person, _day(begin, words), None if is_out else _day(end, words), words["state_out" if is_out else "state_back"], None if unseen else uses)
        for card, person, begin, end, is_out, uses in found.loans.iter_rows()
    )  # fmt: skip
    columns = (
        part.column("card", "id", 2), part.column("holder", "id", 2), part.column("lent", "day", 2), part.column("returned", "day", 2),
        part.column("state", weight=2), part.column("uses", "integer"),
    )  # fmt: skip
    return Table(part.id("loans"), words["loans_head"], columns, rows, words["loans_none"], head_rows=HEAD_ROWS)


def _strays(part: _Part, found: lending.Cards, unseen: str) -> Table:
    words = part.words
    told = found.strays.select("time.occurred", "card", "actor.id", "person.id", "holder")
    rows = tuple(
        (at, card, account, person, holder or words["nobody"]) for at, card, account, person, holder in told.iter_rows()
    )
    columns = (
        part.column("at", "moment", 2), part.column("card", "id", 2), part.column("account", "id", 2), part.column("person", "id", 2),
        part.column("holder", weight=2),
    )  # fmt: skip
    empty = words[unseen or "strays_none"]
    return Table(part.id("stray_cards"), words["strays_head"], columns, rows, empty, head_rows=HEAD_ROWS)


def _day(ms: int | None, words: Words) -> str | None:
    return None if ms is None else words.local(ms).date().isoformat()


def _shared(part: _Part) -> list[Block]:
    """Ids of several people."""
    words, period, month = part.words, part.sources.period, part.sources.month
    found = lending.shared(month, period.begin, period.end)
    accounts = found["account"].implode()
    part.remember(month.frames["events"].filter(pl.col("actor.id").is_in(accounts)), "shared", "ids")
    rows = tuple(
        (account, words.join(people), overlaps, len(uids), words.join(uids[:3]))
        for account, people, overlaps, uids in found.select("account", "people", "overlaps", "findings").iter_rows()
    )
    columns = (
        part.column("account", "id", 2), part.column("registered", weight=3), part.column("overlaps", "integer"), part.column("findings", "integer"),
        Column(words["finding_id"], "text", 3),
    )  # fmt: skip
    has_sessions = month.frames["sessions"].select(pl.len()).collect().item() > 0
    figure = part.figure("shared", "shared_n", found.height, "" if has_sessions else "no_sessions")
    listed = Table(
        part.id("ids"),
        words["shared_head"],
        columns,
        rows,
        words["shared_none" if has_sessions else "no_sessions"],
        words["shared_note"],
        HEAD_ROWS,
    )
    return [Figures((figure,)), listed]


def _orders(part: _Part) -> list[Block]:
    """Work of contractors against work orders."""
    period, month = part.sources.period, part.sources.month
    out = part.lacking("what_vendors", "staff", "staff.type") + part.lacking("what_orders", "work_orders")
    if not part.sources.site.has("staff", "type"):
        return out
    found = lending.orders(month, period.begin, period.end)
    known = part.sources.site.has("work_orders")
    part.remember(_within(found.strays, part), "no_order", *(["unordered"] if known else []))
    if known:
        part.remember(_within(found.covered, part), "orders")
    has_sessions = month.frames["sessions"].select(pl.len()).collect().item() > 0
    unknown = "no_orders" if not known else "" if has_sessions else "no_sessions"
    figure = part.figure("no_order", "no_order_n", found.strays.height, unknown)
    blocks: list[Block] = [*out, Figures((figure,))]
    if known:
        blocks += [_order_table(part, found, unknown), _stray_table(part, found, unknown)]
    return blocks


def _within(sessions: pl.DataFrame, part: _Part) -> pl.LazyFrame:
    """Events of sessions: an event names no session of ours, so those of the same account and system, in its time."""
    keys = sessions.select("actor.id", "system.id", "first", "last").lazy()
    joined = part.sources.month.frames["events"].join(keys, on=["actor.id", "system.id"], how="inner", nulls_equal=True)
    return (
        joined.filter(pl.col("time.occurred").is_between(pl.col("first"), pl.col("last"))).select("event.id").unique()
    )


def _order_table(part: _Part, found: lending.Orders, unknown: str) -> Table:
    words = part.words
    rows = tuple(
        (order, company, person, part.system(system) or words["all"], begin, until, by, None if unknown else n)
        for order, company, person, system, begin, until, by, n in found.orders.iter_rows()
    )
    columns = (
        part.column("order", "id", 2), part.column("company", weight=3), part.column("person", "id"), part.column("system", weight=2), part.column("begin", "moment", 2),
        part.column("until", "moment", 2), part.column("approved_by", "id"), part.column("sessions", "integer"),
    )  # fmt: skip
    return Table(part.id("orders"), words["orders_head"], columns, rows, words["orders_none"], head_rows=HEAD_ROWS)


def _stray_table(part: _Part, found: lending.Orders, unknown: str) -> Table:
    words = part.words
    rows = tuple(
        (account, person, company, part.system(system), first, last, events, words[f"r_{why}"])
        for _, account, person, company, system, first, last, events, why in found.strays.iter_rows()
    )
    columns = (
        part.column("account", "id"), part.column("person", "id"), part.column("company", weight=3), part.column("system", weight=2), part.column("begin", "moment", 2),
        part.column("until", "moment", 2), part.column("n", "integer"), part.column("reason", weight=2),
    )  # fmt: skip
    empty = words[unknown or ("order_strays_none" if found.sessions else "vendor_none")]
    return Table(part.id("unordered"), words["order_strays_head"], columns, rows, empty, head_rows=HEAD_ROWS)
