"""What a detector reads, and the stage for each: this is where the parts are put together."""

from __future__ import annotations

import time
from collections.abc import Callable

from detector.archive.segments import Segments
from detector.archive.signing import Signer
from detector.archive.store import opened
from detector.cases import Cases
from detector.config import Config
from detector.partitions import LIVE, Counts, Input
from detector.pins import Deployment
from detector.place import Place
from detector.stage_notices import Notices
from service.private import read_private


def inputs(config: Config, deployment: Deployment, run: str, cases: Cases) -> list[Input]:
    """Kinds of workers of a detector.

    Args:
        config: What is configured.
        deployment: What is deployed.
        run: `live`, or the name of a re-run, which tells nobody.
        cases: Those that are closed.
    """
    topics = config.topics
    tables = archive(config) if run == LIVE else None

    def notices(place: Place, counts: Counts) -> Notices:
        return Notices(topics, deployment, counts.findings, run, cases)

    return [Input("notices", topics.findings, notices, tables)] if run == LIVE else []


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
