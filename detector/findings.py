"""Put decided units into words: OCSF Detection Findings (design §5), one JSON object each."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Literal
from zoneinfo import ZoneInfo

import polars as pl

from contract import finding
from detector import judge, wording, words
from detector.correlate import SEPARATOR
from detector.rulebook import Rule, RuleBook

Row = Mapping[str, Any]
Language = Literal["ja", "en"]

LANGUAGES: Final[tuple[Language, Language]] = ("ja", "en")
OCSF_VERSION: Final = "1.8.0"
ANALYTIC_RULE: Final = 1
ANALYTIC_BEHAVIOUR: Final = 2
ANALYTIC_LEARNING: Final = 4
MOST_SENTENCES: Final = 3


@dataclass(frozen=True, slots=True)
class Maker:
    """What all findings of a run share.

    Attributes:
        rules: The rule book.
        versions: `unmapped.versions`.
        zone: The site's time zone.
        names: Labels of systems and departments, for sentences.
        run: `live`, or the name of a re-run.
        code: Version of the product.
    """

    rules: RuleBook
    versions: Mapping[str, str]
    zone: str
    names: Mapping[str, Mapping[str, str]]
    run: str
    code: str


def publish(judged: judge.Judged, incidents: pl.DataFrame, maker: Maker) -> list[dict[str, Any]]:
    """Make the findings of a period.

    Args:
        judged: What was decided.
        incidents: Rows of `witness.FINDINGS`.
        maker: What all findings share.

    Returns:
        One object per unit, sorted by (time, uid).
    """
    by_rule = {rule.name: rule for rule in maker.rules.rules}
    families = _by_unit(judged.families)
    found = _by_unit(judged.hits)
    # Of the sessions that are published only: there may be a hundred times as many.
    scores = judged.scores.filter(pl.col("session").is_in(judged.units["unit"].implode()))
    scored = {row["session"]: row for row in scores.iter_rows(named=True)} if scores.width > 2 else {}
    by_incident = (
        {row["unit"]: row for row in incidents.with_columns(judge.incident_unit().alias("unit")).iter_rows(named=True)}
        if incidents.width
        else {}
    )
    events = dict(judge.concerned(judged).group_by("unit").agg(pl.col("event.id").sort()).iter_rows())
    tokens = dict(judge.about(judged).iter_rows())
    out = []
    for unit in judged.units.iter_rows(named=True):
        name = unit["unit"]
        parts = _Parts(
            unit, families.get(name, []), found.get(name, []), scored.get(name), by_incident.get(name),
            events.get(name, []),
        )  # fmt: skip
        out.append(_one(parts, tokens.get(name) or [], by_rule, maker))
    return sorted(out, key=lambda item: (item["time"], item["finding_info"]["uid"]))


def _by_unit(frame: pl.DataFrame) -> dict[str, list[dict[str, Any]]]:
    out: dict[str, list[dict[str, Any]]] = {}
    for row in frame.iter_rows(named=True):
        out.setdefault(row["unit"], []).append(row)
    return out


@dataclass(frozen=True, slots=True)
class _Parts:
    """One unit with everything that belongs to it."""

    unit: Row
    families: list[dict[str, Any]]
    hits: list[dict[str, Any]]
    score: Row | None
    incident: Row | None
    events: list[str]


def _one(parts: _Parts, subjects: list[str], rules: Mapping[str, Rule], maker: Maker) -> dict[str, Any]:
    unit = parts.unit
    used = _ranked(parts, rules)
    analytics = _analytics(parts, used)
    texts = {language: _text(parts, used, language, maker) for language in LANGUAGES}
    titles = {language: _title(parts, used, language) for language in LANGUAGES}
    # What is told at the first event that came is named by no event: an older one may come later.
    first = "" if unit["kind"] == "event" else unit["event.id"] or ""
    uid = finding.finding_uid(unit["kind"], _naming(parts), unit["group"] or "", first)
    return {
        "class_uid": 2004,
        "category_uid": 2,
        "type_uid": 200401,
        "activity_id": 1,
        "metadata": {"version": OCSF_VERSION, "product": {"name": "Sekimori", "version": maker.code}},
        "time": unit["last"],
        "severity_id": unit["severity_id"],
        "risk_score": round(100 * unit["risk"], 1),
        "risk_level_id": max(0, unit["severity_id"] - 1),
        "confidence_score": round(100 * max([rule.block.precision for rule, _ in used], default=0.5)),
        "is_alert": unit["queue"] == "alert",
        "status_id": 3 if unit["suppressed"] else 1,
        "finding_info": {
            "uid": uid,
            "title": titles["ja"],
            "desc": texts["en"],
            "created_time": unit["first"] if unit["kind"] == "event" else unit["last"],
            "first_seen_time": unit["first"] if unit["first"] is not None else unit["last"],
            "last_seen_time": unit["last"],
            "analytic": analytics[0],
            "related_analytics": analytics[1:],
            "related_events": [{"uid": item} for item in parts.events],
        },
        "evidences": _evidences(unit),
        "resources": [{"uid": token, "type": "subject"} for token in subjects],
        "unmapped": {
            "text": texts,
            "title": titles,
            "check_first": _check_first(parts, used, maker),
            "shares": _shares(parts, rules),
            "context": _context(unit),
            "explained": _explained(unit),
            "controls": sorted({control for rule, _ in used for control in rule.controls}),
            "scenarios": sorted({number for rule, _ in used for number in rule.scenarios}),
            "kind": unit["kind"],
            "unit": unit["unit"],
            "queue": unit["queue"],
            "over_budget": unit["over"],
            "learning": unit["learning"],
            "repeated": unit["repeated"],
            "run": maker.run,
            "versions": dict(maker.versions),
        },
    }


def _ranked(parts: _Parts, rules: Mapping[str, Rule]) -> list[tuple[Rule, dict[str, Any]]]:
    """Rules of the unit with their hits: what contributes first, by weight; excused ones only where nothing else is."""
    counted = [hit for hit in parts.hits if not hit["excused"]] or parts.hits
    pairs = [(rules[hit["rule"]], hit) for hit in counted if hit["rule"] in rules]
    return sorted(pairs, key=lambda pair: (-pair[0].p, pair[0].name))


def _naming(parts: _Parts) -> str:
    """The analytic in the finding's uid: fixed for units that may gather further hits."""
    if parts.incident is not None:
        return str(parts.incident["check"])
    if parts.unit["kind"] in ("group", "event") and parts.hits:
        return str(parts.hits[0]["rule"])
    return "risk"


def _analytics(parts: _Parts, used: list[tuple[Rule, dict[str, Any]]]) -> list[dict[str, Any]]:
    if parts.incident is not None:
        check = str(parts.incident["check"])
        return [{"type_id": ANALYTIC_BEHAVIOUR, "uid": check, "name": words.EVIDENCE[check]["title"]["en"]}]
    out = [{"type_id": ANALYTIC_RULE, "uid": rule.name, "name": rule.title.en} for rule, _ in used]
    if parts.score is not None and any(row["family"] == judge.MODEL for row in parts.families):
        model = {
            "type_id": ANALYTIC_LEARNING,
            "uid": judge.MODEL,
            "name": words.FAMILIES[judge.MODEL]["en"],
            "member": parts.score["member"],
        }
        e = {row["family"]: row["e"] for row in parts.families}
        place = 0 if e[judge.MODEL] >= max(e.values()) else len(out)
        out.insert(place, model)
    return out


def _evidences(unit: Row) -> list[dict[str, Any]]:
    out = []
    for actor in unit["actors"] or [None]:
        who: dict[str, Any] = {}
        if actor is not None:
            who["user"] = {"uid": actor}
        if unit["session.id"]:
            who["session"] = {"uid": unit["session.id"]}
        item: dict[str, Any] = {"actor": who}
        endpoint = {"uid": unit["src.device"], "ip": unit["src.ip"]}
        if any(endpoint.values()):
            item["src_endpoint"] = {key: value for key, value in endpoint.items() if value}
        out.append(item)
    return out


def _values(unit: Row, hit: Row) -> dict[str, Any]:
    values = {
        "count": hit["n"],
        "actor.id": (unit["actors"] or [None])[0],
        "first": unit["first"],
        "last": unit["last"],
    }
    values |= {name: value for name, value in json.loads(hit["values"] or "{}").items() if value is not None}
    if unit["kind"] == "group":
        values["actor.id"] = unit["actors"]
        values["group"] = str(values.get("group", "")).split(SEPARATOR)
    return values


def _text(parts: _Parts, used: list[tuple[Rule, dict[str, Any]]], language: Language, maker: Maker) -> str:
    sentences = []
    if parts.incident is not None:
        sentences.append(_incident(parts.incident, language, maker.zone))
    for rule, hit in used[:MOST_SENTENCES]:
        template = rule.block.text.ja if language == "ja" else rule.block.text.en
        sentences.append(
            wording.fill(template, _group_values(rule, _values(parts.unit, hit)), language, maker.zone, maker.names)
        )
    if len(used) > MOST_SENTENCES:
        more = len(used) - MOST_SENTENCES
        sentences.append(
            f"ほか{more}件の規則にも該当します。" if language == "ja" else f"{more} further rules matched."
        )
    if any(row["family"] == judge.MODEL for row in parts.families) and parts.score is not None:
        sentences.append(_surprise(parts, language))
    return ("" if language == "ja" else " ").join(sentences)


def _group_values(rule: Rule, values: dict[str, Any]) -> dict[str, Any]:
    """Name the parts of a group's key as the rule names them."""
    if rule.correlation is not None and isinstance(values.get("group"), list):
        values |= dict(zip(rule.correlation.group_by, values["group"], strict=False))
    return values


def _incident(incident: Row, language: Language, zone: str) -> str:
    values = dict(incident)
    for key in ("from", "to"):
        at = incident[key]
        if at is not None:
            moment = datetime.fromtimestamp(at / 1000, UTC).astimezone(ZoneInfo(zone))
            values[key] = f"{moment:%Y-%m-%d %H:%M}"
    return wording.fill(words.EVIDENCE[incident["check"]][incident["form"]][language], values, language, zone)


def _surprise(parts: _Parts, language: Language) -> str:
    score = parts.score or {}
    feature = score.get("feature")
    if not feature:
        return (
            "操作の組み合わせが、同じ部署の通常の利用と比べて珍しいものでした。"
            if language == "ja"
            else "The combination of actions is rare among peers."
        )
    label = words.FEATURES.get(feature, {"ja": feature, "en": feature})[language]
    values = {"label": label, "observed": score["observed"], "peers": score["peers"], "n": score["peers_n"]}
    template = (
        "{label}が{observed}で、比べた{n}件の利用では通常{peers}です。"
        if language == "ja"
        else "{label}: {observed}, where {peers} is usual among {n} sessions of peers."
    )
    return wording.fill(template, values, language)


def _title(parts: _Parts, used: list[tuple[Rule, dict[str, Any]]], language: Language) -> str:
    if parts.incident is not None:
        return words.EVIDENCE[parts.incident["check"]]["title"][language]
    strongest = parts.families[0]["family"] if parts.families else ""
    if used and strongest != judge.MODEL:
        top = next((rule for rule, _ in used if rule.family == strongest), used[0][0])
        return top.title.ja if language == "ja" else top.title.en
    return words.FAMILIES[judge.MODEL][language]


def _check_first(parts: _Parts, used: Iterable[tuple[Rule, dict[str, Any]]], maker: Maker) -> dict[str, str]:
    for rule, hit in used:
        values = _group_values(rule, _values(parts.unit, hit))
        block = rule.block.check_first
        return {
            "ja": wording.fill(block.ja, values, "ja", maker.zone, maker.names),
            "en": wording.fill(block.en, values, "en", maker.zone, maker.names),
        }
    if parts.incident is not None:
        return dict(words.EVIDENCE_FIRST)
    return {
        "ja": "該当する時間の業務を本人と所属長に確認してください。",
        "en": "Ask the person and the head of section what the work of that time was.",
    }


def _shares(parts: _Parts, rules: Mapping[str, Rule]) -> list[dict[str, Any]]:
    by_rule = {hit["rule"]: hit for hit in parts.hits}
    out = []
    rounded = _rounded(row["share"] for row in parts.families)
    for row, part in zip(parts.families, rounded, strict=True):
        share: dict[str, Any] = {"family": row["family"], "share": part}
        if row["family"] == judge.MODEL and parts.score is not None:
            score = parts.score
            unit = words.FEATURES.get(score["feature"] or "", words.COMBINATION)
            share |= {"observed": score["observed"], "usual": score["usual"], "peers": score["peers"]}
            share |= {"unit": unit["en"], "unit_ja": unit["ja"]}
        else:
            name = row["analytics"][0]
            observed = rules[name].block.observed if name in rules else None
            share |= {
                "observed": by_rule[name]["observed"]
                if name in by_rule and observed
                else by_rule.get(name, {}).get("n"),
                "usual": observed.usual if observed else 0,
                "peers": None,
                "unit": observed.unit.en if observed else words.HITS["en"],
                "unit_ja": observed.unit.ja if observed else words.HITS["ja"],
            }
        out.append(share)
    if parts.incident is not None:
        incident = parts.incident
        unit = words.EVIDENCE[incident["check"]]["unit"]
        out.append({"family": "evidence", "share": 1.0, "observed": incident["observed"], "usual": incident["usual"],
                    "peers": None, "unit": unit["en"], "unit_ja": unit["ja"]})  # fmt: skip
    return out


def _rounded(shares: Iterable[float]) -> list[float]:
    """Shares to four places that still add up to 1: what rounding leaves goes to the largest, which comes first."""
    out = [round(share, 4) for share in shares]
    return [round(1 - sum(out[1:]), 4), *out[1:]] if out else []


def _context(unit: Row) -> dict[str, Any]:
    reasons = unit["reasons"] or []
    return {
        "odds": unit["odds"],
        "risk_without": round(100 * unit["plain"], 1),
        "ja": [words.CONTEXT[reason]["ja"] for reason in reasons],
        "en": [words.CONTEXT[reason]["en"] for reason in reasons],
    }


def _explained(unit: Row) -> str:
    """Whether what raised the finding has a recorded reason: `explained` only where every hit was excused."""
    if unit["suppressed"]:
        return "explained"
    if not unit["n.unexplained"] and unit["n.to_check"]:
        return "to_check"
    return "unexplained"
