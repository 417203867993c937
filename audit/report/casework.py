"""What people did about findings, in words."""

from __future__ import annotations

from typing import Final

from audit.cases import Action, Case, Code, Deadlines, Entry, Request, State
from audit.desk import Row
from audit.wording import Words

MOST_ENTRIES: Final = 12
# Longer than what somebody writes of a case in a sentence; the whole stands in `sekimori case show`.
LONGEST: Final = 300

PAIRS: Final[dict[str, tuple[str, str]]] = {
    f"state_{State.NEW}": ("未着手", "nobody has looked"),
    f"state_{State.CLAIMED}": ("確認中", "being looked into"),
    f"state_{State.WAITING}": ("説明待ち", "waits for an explanation"),
    f"state_{State.PROPOSED}": ("第二確認者の確認待ち", "waits for a second person"),
    f"state_{State.CLOSED}": ("判断済み", "decided"),
    f"code_{Code.MISUSE}": ("不正な利用", "misuse"),
    f"code_{Code.MISTAKE}": ("誤り", "mistake"),
    f"code_{Code.PROPER}": ("正当な利用", "proper use"),
    f"code_{Code.TEST}": ("試験・訓練", "test"),
    f"code_{Code.UNKNOWN}": ("判断できない", "cannot tell"),
    f"did_{Action.CLAIM}": ("担当となった", "took it on"),
    f"did_{Action.NOTE}": ("記録した", "noted"),
    f"did_{Action.ASK}": ("説明を求めた", "asked for an explanation"),
    f"did_{Action.ANSWER}": ("説明を受けた", "got an explanation"),
    f"did_{Action.CLOSE}": ("判断した", "decided"),
    f"did_{Action.CONFIRM}": ("第二確認者として確認した", "confirmed it as the second person"),
    f"did_{Action.REFUSE}": ("第二確認者として差し戻した", "refused it as the second person"),
    f"did_{Action.REOPEN}": ("再び開いた", "opened it again"),
    "late_look": ("最初の確認が遅れている", "nobody looked in time"),
    "late_decide": ("判断が遅れている", "not decided in time"),
    "late_answer": ("説明が期限までに届いていない", "no explanation came in time"),
    "told": ("{by}が{did}", "{by} {did}"),
    "told_of": ("{by}が{whom}に{did}", "{by} {did} of {whom}"),
    "with_text": ("{told}：{text}", "{told}: {text}"),
    "code_in": ("{told}（{code}）", "{told} ({code})"),
    "reference": ("（根拠 {reference}）", " (reference {reference})"),
    "until": ("（期限 {day}）", " (until {day})"),
    "state": ("状態", "State"),
    "owner": ("担当", "Owner"),
    "due": ("期限", "Due"),
    "due_look": ("{moment} までに最初の確認", "first look by {moment}"),
    "due_decide": ("{moment} までに判断", "decision by {moment}"),
    "due_answer": ("{moment} までに{whom}の説明", "explanation of {whom} by {moment}"),
    "late_since": ("{what}（{moment} から）", "{what} (since {moment})"),
    "more_entries": ("ほか {n} 件の記録", "{n} more entries"),
    "earlier": ("それ以前", "Earlier"),
}


def done(row: Row, limits: Deadlines, words: Words) -> tuple[tuple[str, str], ...]:
    """What was done about a finding, by whom and by when: label and value, in order.

    Args:
        row: The finding and its case.
        limits: How soon something has to be done.
        words: With `PAIRS`.
    """
    entries = row.case.entries[-MOST_ENTRIES:]
    left_out = len(row.case.entries) - len(entries)
    out = [(words["state"], state(row.case, words))]
    if row.case.owner is not None:
        out.append((words["owner"], row.case.owner))
    if left_out:
        out.append((words["earlier"], words.say("more_entries", n=left_out)))
    out += [(words.moment(entry.at), _told(entry, words)) for entry in entries]
    if row.case.is_open:
        out.append((words["due"], _due(row, limits, words)))
    return tuple(out)


def state(case: Case, words: Words) -> str:
    """How far a case has come, and if it was closed why."""
    name = words[f"state_{case.state}"]
    if case.closing is None or case.closing.code is None:
        return name
    return words.say("code_in", told=name, code=words[f"code_{case.closing.code}"])


def late(row: Row, words: Words) -> str | None:
    """What is late, and since when; None: nothing."""
    if row.late is None:
        return None
    what, since = row.late
    return words.say("late_since", what=words[f"late_{what}"], moment=words.moment(since))


def _told(entry: Entry, words: Words) -> str:
    key = "told_of" if entry.whom and entry.action in (Action.ASK, Action.ANSWER) else "told"
    told = words.say(key, by=entry.by, whom=entry.whom or "", did=words[f"did_{entry.action}"])
    if entry.code is not None:
        told = words.say("code_in", told=told, code=words[f"code_{entry.code}"])
    if entry.text:
        told = words.say("with_text", told=told, text=_cut(entry.text))
    if entry.reference:
        told += words.say("reference", reference=_cut(entry.reference))
    if entry.due is not None:
        told += words.say("until", day=words.moment(entry.due))
    return told


def _due(row: Row, limits: Deadlines, words: Words) -> str:
    """What is late, else what has to happen next."""
    told = late(row, words)
    if told is not None:
        return told
    waiting: tuple[Request, ...] = row.case.waiting
    if waiting:
        first = min(waiting, key=lambda one: (one.due, one.number))
        return words.say("due_answer", whom=first.whom, moment=words.moment(first.due))
    found, queue = row.found["time"], row.found["queue"]
    if row.case.seen is None and queue in limits.look_ms:
        return words.say("due_look", moment=words.moment(found + limits.look_ms[queue]))
    return words.say("due_decide", moment=words.moment(found + limits.decide_ms))


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"
