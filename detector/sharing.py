"""How the partitions are shared out among the detectors of a group: those of each topic evenly, and as few as possible moved."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any, NamedTuple

with warnings.catch_warnings():
    # It reads its message schemas in a way that Python 3.11 calls deprecated.
    warnings.simplefilter("ignore", DeprecationWarning)
    from kafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor
    from kafka.protocol.consumer.metadata import ConsumerProtocolAssignment


class _Asking(NamedTuple):
    member_id: str
    metadata: Any


class ByTopic(StickyPartitionAssignor):  # type: ignore[misc]
    """kafka-python's sticky assignor, asked for one topic after the other.

    It looks at how many partitions each member has, of whatever topic. Nearly all work is in the partitions of the events,
    and it would leave two of them with the detector that was there first, and give the other one those of the other topics.
    """

    def assign(self, cluster: Any, members: Sequence[Any]) -> dict[str, Any]:
        """Share out; as the sticky assignor's."""
        known = {member.member_id: self.parse_member_metadata(member.metadata) for member in members}
        topics = sorted({topic for one in known.values() for topic in one.subscription})
        shares: dict[str, list[tuple[str, list[int]]]] = {name: [] for name in known}
        for topic in topics:
            asking = []
            for name, one in known.items():
                if topic in one.subscription:
                    held = [place for place in one.partitions if place.topic == topic]
                    asking.append(_Asking(name, self._metadata([topic], held, one.generation)))
            for name, share in super().assign(cluster, asking).items():
                shares[name] += share.assigned_partitions
        return {name: ConsumerProtocolAssignment(self.version, share, b"") for name, share in shares.items()}
