"""What a detector reads, and the stage for each: this is where the parts are put together."""

from __future__ import annotations

from detector.config import Config
from detector.partitions import LIVE, Counts, Input
from detector.pins import Deployment
from detector.place import Place
from detector.stage_notices import Notices


def inputs(config: Config, deployment: Deployment, run: str) -> list[Input]:
    """Kinds of workers of a detector.

    Args:
        config: What is configured.
        deployment: What is deployed.
        run: `live`, or the name of a re-run, which tells nobody.
    """
    topics = config.topics

    def notices(place: Place, counts: Counts) -> Notices:
        return Notices(topics, deployment, counts.findings, run)

    return [Input("notices", topics.findings, notices)] if run == LIVE else []
