"""What the tests of the detector share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:  # at run time only by tests with Kafka: it takes half a second
    from detector.statelog import StateLog
    from tests.kafka.cluster import Cluster


@pytest.fixture
def opened(kafka: Cluster) -> Iterator[Callable[..., StateLog]]:
    """Makes state logs that end with the test."""
    from tests.detector.statelogs import opening

    with opening(kafka) as make:
        yield make
