"""Findings as records of their topic."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from contract import finding
from contract.finding import Severity
from contract.partition import partition_of
from contract.sealed import Record


def records(findings: Iterable[Mapping[str, Any]], topic: str, partitions: int) -> list[Record]:
    """One record per finding, keyed by its uid.

    Args:
        findings: OCSF objects, in the order in which they are to arrive.
        topic: Where they go.
        partitions: How many it has.
    """
    made = []
    for one in findings:
        key = str(one["finding_info"]["uid"])
        value = finding.to_json(one).encode()
        made.append(Record(topic, partition_of(key, partitions), value, [], 0, key.encode()))
    return made


def counts(findings: Iterable[Mapping[str, Any]]) -> dict[str, float]:
    """How many by severity and queue, as a stage counts."""
    found = Counter((Severity(one["severity_id"]).name.lower(), str(one["unmapped"]["queue"])) for one in findings)
    return {f"findings:{severity},{queue}": float(count) for (severity, queue), count in sorted(found.items())}
