"""How many of the injected misuses were found, and what was raised without one."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Comparison:
    """Findings against the truth.

    An episode is found when an alert or review item that is not explained away holds an event of it and names its
    actor. A false alert touches no injected episode.

    Attributes:
        injected, found: Episodes.
        by_scenario: Scenario number → (found, injected), ascending.
        false_alerts: Alerts that touch no episode.
        missed: Ids of the episodes that were not found.
        disturbed: Look-alikes that were raised although they are legitimate.
        lookalikes: Look-alikes in all.
    """

    injected: int
    found: int
    by_scenario: Mapping[int, tuple[int, int]]
    false_alerts: int
    missed: tuple[str, ...]
    disturbed: int
    lookalikes: int


def read(path: Path) -> list[dict[str, Any]]:
    """Episodes of a file, one JSON object a line; an absent file has none."""
    if not path.exists():
        return []
    with path.open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines if line.strip()]


def is_raised(finding: Mapping[str, Any]) -> bool:
    """Whether somebody is paged or asked to review."""
    return finding["unmapped"]["queue"] in ("alert", "review") and finding["status_id"] != 3


def actors(finding: Mapping[str, Any]) -> set[str]:
    """Whom a finding names."""
    return {item["actor"]["user"]["uid"] for item in finding["evidences"] if "user" in item["actor"]}


def _touching(findings: Iterable[Mapping[str, Any]]) -> dict[str, list[Mapping[str, Any]]]:
    out: dict[str, list[Mapping[str, Any]]] = {}
    for finding in findings:
        for related in finding["finding_info"]["related_events"]:
            out.setdefault(related["uid"], []).append(finding)
    return out


def _hit(episode: Mapping[str, Any], touching: Mapping[str, Sequence[Mapping[str, Any]]]) -> bool:
    return any(
        episode["actor"] in actors(finding) for event in episode["event_ids"] for finding in touching.get(event, ())
    )


def compare(
    findings: Sequence[Mapping[str, Any]], truth: Sequence[Mapping[str, Any]], lookalikes: Sequence[Mapping[str, Any]]
) -> Comparison:
    """Compare findings with what was injected."""
    touching = _touching(finding for finding in findings if is_raised(finding))
    counts: dict[int, list[int]] = {}
    missed = []
    for episode in truth:
        tally = counts.setdefault(int(episode["scenario"]), [0, 0])
        tally[1] += 1
        if _hit(episode, touching):
            tally[0] += 1
        else:
            missed.append(str(episode["id"]))
    injected = {event for episode in truth for event in episode["event_ids"]}
    false = [
        finding
        for finding in findings
        if finding["is_alert"]
        and not any(related["uid"] in injected for related in finding["finding_info"]["related_events"])
    ]
    disturbed = sum(_hit(episode, touching) for episode in lookalikes)
    return Comparison(
        injected=len(truth),
        found=len(truth) - len(missed),
        by_scenario={number: (found, of) for number, (found, of) in sorted(counts.items())},
        false_alerts=len(false),
        missed=tuple(missed),
        disturbed=disturbed,
        lookalikes=len(lookalikes),
    )
