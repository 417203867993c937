"""How many partitions, detectors, cores, and how much memory, disk and network so many events a second take, on paper.

    python benchmarks/sizing.py

Prints the table of `docs/operations/sizing.md`. `MEASURED` says what one event, one turn or one second costs and by what that was
measured; change it, or `CHOSEN`, to what holds in your house.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

RATES = (50, 500, 5_000, 50_000, 500_000)
DAY_S = 86_400


@dataclass(frozen=True, slots=True)
class Measured:
    """What things cost.

    Attributes:
        event_us: CPU µs of an event, all stages; `turn_ms`: of a turn of one partition, whatever is in it, both stages. Both fitted by
            eye to 5 and 20 thousand events a second of one partition.
        wire_bytes, relay_bytes: Of an event, compressed, in the events' topic and in that for stage two (`benchmarks/detector.py`'s topics).
        waiting_bytes: Of an event in memory until the watermark passes it; `waiting_saved_bytes`: of the same in a snapshot.
        open_bytes: Of an event in memory until its session is closed; `open_saved_bytes`: of the same in a snapshot.
        day_bytes: Of an event from then on until its local day is over, in memory and in a snapshot (`detector.stowed`). All five:
            100,000 events of the fictional office (`benchmarks/whole_day.py` has less, since it happens many times over).
        prepared, prepared_bytes: So many of those that wait weigh so much instead; `fresh`, `fresh_bytes`: of those open.
        end_mb: What the end of a day takes besides for a moment; `end_us`: CPU µs then of each event of the day
            (`benchmarks/whole_day.py`).
        kept_mb: Of sessions that closed lately, for what comes late: 200,000 events of a partition at most.
        program_mb: Of a detector without events, with the registers of a town of 160 staff.
    """

    event_us: float = 16.0
    turn_ms: float = 190.0
    wire_bytes: float = 91.0
    relay_bytes: float = 23.0
    waiting_bytes: float = 232.0
    waiting_saved_bytes: float = 70.0
    open_bytes: float = 103.0
    open_saved_bytes: float = 41.0
    day_bytes: float = 37.0
    prepared: int = 100_000
    prepared_bytes: float = 2_000.0
    fresh: int = 50_000
    fresh_bytes: float = 1_000.0
    end_mb: float = 300.0
    end_us: float = 1.9
    kept_mb: float = 160.0
    program_mb: float = 350.0


@dataclass(frozen=True, slots=True)
class Chosen:
    """What the house decides.

    Attributes:
        partition_events: Most events a second that a partition is to take.
        turn_s, lateness_s, snapshot_s: As in `detector.toml`.
        open_s: How long it takes from an event until its session is closed.
        day_s: For how long of a day there are so many events a second.
        kept_days, copies: Of records in Kafka.
        busy: Share of a core that a detector may use; what is left is for catching up.
    """

    partition_events: int = 10_000
    turn_s: float = 1.0
    lateness_s: int = 300
    snapshot_s: int = 300
    open_s: float = 3_600.0
    day_s: float = 36_000.0
    kept_days: int = 7
    copies: int = 3
    busy: float = 0.6


MEASURED, CHOSEN = Measured(), Chosen()


def sized(rate: int, measured: Measured = MEASURED, chosen: Chosen = CHOSEN) -> dict[str, str]:
    """One column of the table, for so many events a second."""
    partitions = max(2, ceil(rate / chosen.partition_events))
    share = rate / partitions
    core = measured.turn_ms / 1000 / chosen.turn_s + share * measured.event_us / 1e6
    at_once = max(1, int(chosen.busy / core))
    detectors = max(2, ceil(partitions / at_once))
    each = ceil(partitions / detectors)
    waiting, opened, today = share * chosen.lateness_s, share * chosen.open_s, share * chosen.day_s
    packed_mb = today * measured.day_bytes / 1e6
    wide_mb = _wide_mb(measured, waiting, opened)
    events_mb = (waiting * measured.waiting_bytes + opened * measured.open_bytes) / 1e6 + packed_mb + wide_mb
    memory = measured.program_mb + measured.end_mb + each * (measured.kept_mb + events_mb)
    wire, relay = rate * measured.wire_bytes, rate * measured.relay_bytes
    saved_mb = (waiting * measured.waiting_saved_bytes + opened * measured.open_saved_bytes) / 1e6 + packed_mb
    kept = (wire + relay) * chosen.kept_days * DAY_S * chosen.copies
    return {
        "partitions of `access-events` and `sekimori-correlate`": f"{partitions}",
        "detectors, of one core each": f"{detectors}",
        "cores in use, all detectors": f"{core * partitions:.1f}",
        "a detector's memory at the end of the day, GB": f"{memory / 1000:,.1f}",
        "from agents to Kafka, MB/s": f"{wire / 1e6:.1f}",
        f"between brokers, MB/s ({chosen.copies} copies)": f"{(wire + relay) * (chosen.copies - 1) / 1e6:.1f}",
        "from Kafka to detectors and from them, MB/s": f"{(wire + 2 * relay) / 1e6:.1f}",
        f"Kafka's disk, GB ({chosen.kept_days} days, {chosen.copies} copies)": f"{kept / 1e9:,.0f}",
        "a snapshot of a partition at the end of the day, GB": f"{saved_mb / 1000:,.1f}",
        "the end of a day keeps a partition waiting, s": f"{today * measured.end_us / 1e6:,.0f}",
        "to catch up an hour, minutes": f"{60 * rate / (_at_most(measured) * detectors - rate):,.0f}",
    }


def _wide_mb(measured: Measured, waiting: float, opened: float) -> float:
    """What the newest events weigh more than the others."""
    prepared = min(waiting, measured.prepared) * (measured.prepared_bytes - measured.waiting_bytes)
    return (prepared + min(opened, measured.fresh) * (measured.fresh_bytes - measured.open_bytes)) / 1e6


def _at_most(measured: Measured) -> float:
    """Events a second that a core works off in a backlog, in turns of 16 MiB."""
    per_turn = (16 << 20) / 717  # bytes of an event, uncompressed
    return 1e6 / (measured.event_us + measured.turn_ms * 1000 / per_turn)


def table() -> str:
    """In Markdown."""
    columns = [sized(rate) for rate in RATES]
    head = "| events a second | " + " | ".join(f"{rate:,}" for rate in RATES) + " |\n|---|" + "---|" * len(RATES) + "\n"
    return head + "".join(f"| {name} | " + " | ".join(one[name] for one in columns) + " |\n" for name in columns[0])


if __name__ == "__main__":
    print(table(), end="")
