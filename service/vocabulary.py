"""A process's metrics and what the documentation says of them: one declaration gives both.

Labels are small closed sets, never a person, a path or an address. Counters begin at 0 with each start of the process.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, disable_created_metrics


@dataclass(frozen=True, slots=True)
class Declared:
    """A metric as it stands in the documentation.

    Attributes:
        name: With its suffix.
        kind: counter, gauge, histogram or info.
        text: What it says.
        labels: Label = its values; none: what the operator declared (ids of sources, names of rules).
    """

    name: str
    kind: str
    text: str
    labels: dict[str, tuple[str, ...]]


class Vocabulary:
    """Metrics in a registry of their own. The main loop counts, once per batch; anybody may read.

    Args:
        registry: Where they are registered; one `Vocabulary` per registry.
        prefix: Of every name.
        sets: Name of a closed set = its words; a label names the set it takes its values from.
    """

    def __init__(self, registry: CollectorRegistry, prefix: str, sets: Mapping[str, tuple[str, ...]]) -> None:
        # `_created` would double the number of series, and nothing asks for it.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = registry
        self.declared: list[Declared] = []
        self._prefix = prefix
        self._sets = sets
        self._made: list[tuple[Declared, Counter | Gauge]] = []
        ProcessCollector(registry=registry)

    def _declare(self, kind: str, name: str, text: str, **sets: str) -> Declared:
        labels = {label: self._sets.get(of, ()) for label, of in sets.items()}
        self.declared.append(Declared(f"{self._prefix}{name}", kind, text, labels))
        return self.declared[-1]

    def _counter(self, name: str, text: str, **sets: str) -> Counter:
        declared = self._declare("counter", f"_{name}", text, **sets)
        made = Counter(declared.name, text, tuple(declared.labels), registry=self.registry)
        self._made.append((declared, made))
        return made

    def _gauge(self, name: str, text: str, **sets: str) -> Gauge:
        declared = self._declare("gauge", f"_{name}", text, **sets)
        made = Gauge(declared.name, text, tuple(declared.labels), registry=self.registry)
        self._made.append((declared, made))
        return made

    def _histogram(self, name: str, text: str, buckets: Sequence[float], **sets: str) -> Histogram:
        declared = self._declare("histogram", f"_{name}", text, **sets)
        return Histogram(declared.name, text, tuple(declared.labels), buckets=buckets, registry=self.registry)
