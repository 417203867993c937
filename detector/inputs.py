"""What a detector reads, and the stage for each: this is where the parts are put together."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from detector import stage_one, stage_two
from detector.admission import Trust
from detector.archive.segments import Segments
from detector.archive.signing import Signer
from detector.archive.store import opened
from detector.cases import Cases
from detector.config import Config
from detector.partitions import LIVE, Counts, Input
from detector.pins import Deployment
from detector.place import Place
from detector.stage_decisions import Decisions
from detector.stage_notices import Notices
from detector.stage_one import One
from detector.stage_two import Two
from service.private import read_private


@dataclass(frozen=True, slots=True)
class Cores:
    """What decides.

    Attributes:
        one, two: Of the stages.
        code: Version of the product.
    """

    one: stage_one.Core[Any]
    two: stage_two.Core[Any]
    code: str


def inputs(config: Config, deployment: Deployment, run: str, cases: Cases, cores: Cores | None = None) -> list[Input]:
    """Kinds of workers of a detector.

    Args:
        config: What is configured.
        deployment: What is deployed.
        run: `live`, or the name of a re-run, which tells nobody.
        cases: Those that are closed.
        cores: What decides; without them events are left to others, and only findings are worked on.
    """
    topics = config.topics
    tables = archive(config) if run == LIVE else None

    def notices(place: Place, counts: Counts) -> Notices:
        return Notices(topics, deployment, counts.findings, run, cases)

    def decisions(place: Place, counts: Counts) -> Decisions:
        return Decisions(topics.dead_letters)

    read = [Input("notices", topics.findings, notices, tables, gathers=0.0)] if run == LIVE else []
    if tables is not None:
        read.append(Input("decisions", topics.decisions, decisions, tables, may_be_missing=True))
    return read if cores is None else [*_stages(config, deployment, run, cases, cores, tables), *read]


def _stages(
    config: Config,
    deployment: Deployment,
    run: str,
    cases: Cases,
    cores: Cores,
    tables: Callable[[Place, int, int], Segments] | None,
) -> list[Input]:
    topics, code = config.topics, cores.code
    trust = Trust(frozenset(config.detector.sealed_agents))

    def one(place: Place, counts: Counts) -> One[Any]:
        return One(cores.one, config, deployment, place, counts, run, code, trust, cases)

    def two(place: Place, counts: Counts) -> Two[Any]:
        return Two(cores.two, topics, deployment, place, counts, run, code, cases)

    return [Input("one", topics.events, one, tables), Input("two", topics.correlate, two, gathers=0.25)]


def archive(config: Config) -> Callable[[Place, int, int], Segments] | None:
    """Opens the archive of a partition, if there is to be one."""
    if config.archive is None:
        return None
    store, signer = opened(config.archive.folder), Signer(read_private(config.archive.key))
    segment_ms = config.archive.segment_s * 1000

    def segments(place: Place, partitions: int, start: int) -> Segments:
        now_ms = time.time_ns() // 1_000_000
        return Segments(
            store, place.topic, place.partition, signer, now_ms, partitions=partitions, start=start,
            writer=config.detector.id, segment_ms=segment_ms,
        )  # fmt: skip

    return segments
