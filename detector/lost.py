"""The finding about records that Kafka deleted before anybody had read them: nobody knows what was in them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from contract import finding
from contract.finding import Activity, AnalyticType, Explained, Kind, Queue, Severity, Status
from detector.findings import OCSF_VERSION
from detector.place import Place

ANALYTIC: Final = "kafka_deleted_unread"
_TITLE: Final = {"ja": "読まれる前に消えたログ", "en": "Logs deleted before they were read"}
_CHECK: Final = {
    "ja": "検知器が止まっていた理由と、Kafkaの保存期間(retention.ms)を確認し、この期間をアーカイブまたは元のログから分析し直してください。",
    "en": "See why the detector stood still and how long Kafka keeps (retention.ms); analyse the time again from the archive or "
    "the original logs.",
}  # fmt: skip


def lost(
    place: Place, first: int, behind: int, at: int, run: str, code: str, versions: Mapping[str, str]
) -> dict[str, Any]:
    """Say that records are gone.

    Args:
        place: Of which partition.
        first, behind: Offsets [first, behind).
        at: Event time that was reached before, UTC ms; 0 if none was.
        run: `live`, or the name of a re-run.
        code: Version of the product.
        versions: For `unmapped.versions`.
    """
    count = behind - first
    text = {
        "ja": f"{place.topic}のパーティション{place.partition}で、{count:,}件のレコード(オフセット{first}～{behind - 1})が分析される前にKafkaから削除されました。",
        "en": f"In partition {place.partition} of {place.topic} Kafka deleted {count:,} records (offsets {first} to "
        f"{behind - 1}) before they were analysed.",
    }  # fmt: skip
    unit = f"{place}:{first}-{behind}"
    return {
        "class_uid": finding.CLASS_UID, "category_uid": finding.CATEGORY_UID,
        "type_uid": 100 * finding.CLASS_UID + Activity.CREATE, "activity_id": int(Activity.CREATE),
        "metadata": {"version": OCSF_VERSION, "product": {"name": "Sekimori", "version": code}},
        "time": at, "severity_id": int(Severity.CRITICAL), "risk_score": 99.0, "risk_level_id": 4, "confidence_score": 100,
        "is_alert": True, "status_id": int(Status.NEW),
        "finding_info": {
            "uid": finding.finding_uid(Kind.EVIDENCE, ANALYTIC, unit, ""), "title": _TITLE["ja"], "desc": text["en"],
            "created_time": at, "first_seen_time": at, "last_seen_time": at,
            "analytic": {"type_id": int(AnalyticType.RULE), "uid": ANALYTIC, "name": _TITLE["en"], "member": None},
            "related_analytics": [], "related_events": [],
        },
        "evidences": [], "resources": [],
        "unmapped": {
            "text": text, "title": _TITLE, "check_first": _CHECK,
            "shares": [{
                "family": "evidence", "share": 1.0, "observed": count, "usual": 0, "peers": None, "unit": "records",
                "unit_ja": "レコード数",
            }],
            "explained": str(Explained.UNEXPLAINED), "controls": [], "kind": str(Kind.EVIDENCE), "unit": unit,
            "queue": str(Queue.ALERT), "over_budget": False, "learning": False, "repeated": False, "run": run,
            "versions": dict(versions),
        },
    }  # fmt: skip
