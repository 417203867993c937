"""What the detector costs per event, from Kafka to committed findings, beside its limit and beside the usual way of writing one.

    python benchmarks/detector.py [--quick] [--json] [--rules COUNT] [--days DAYS]

A month of the fictional office (seed 1, four times the usual work; `--quick` ten days) is simulated, parsed and sealed into records
of 1,000 events, as an agent sends them. A model is fitted on the first third, the rest is a backlog in two partitions of a real
Kafka (started here, or KAFKA_BOOTSTRAP_SERVERS). One and then two `sekimori detect` with the options that ship, the model and 50 rules
of all kinds work it off, each an own process. They are started on a topic with a heartbeat per partition, so that what it costs to
start and to make ready what decides is told apart (`start`), and sleep (SIGSTOP) while the backlog is written. CPU seconds are
those of the whole process, all threads, from waking up until all is acknowledged; wall time is that of a machine that Kafka
shares: for two detectors both ratios are told, of wall time and of CPU. What the metrics of the product say about its steps is wall time too.

The limit is `bare`: kafka-python's poll and the product's decode, and nothing else. The usual way gets one enriched event per record, for
nothing: `json.loads`, each of the rules on single events as a Python predicate, and a call of scikit-learn's `score_samples` per session
with eight counts. Both must find the same hits. `in process` are the stages without Kafka, in turns of as many records as the
process had; `--turn` gives another number.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

# As the detector does; it is read when Polars loads.
os.environ.setdefault("POLARS_MAX_THREADS", "1")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # runs from a checkout, installed or not

import backlog
import processes
import stages
import usual
from backlog import Office
from processes import PARTITIONS, Measured

from detector import config
from detector.step import Context
from tests.kafka.cluster import Cluster


def in_process(folder: Path, office: Office, path: Path, most: int) -> dict[str, float]:
    """CPU seconds per million events of the stages without Kafka, in turns of so many records a partition."""
    folder.mkdir()
    options = config.load(path)
    agent = backlog.Agent(folder / "agent", office, PARTITIONS, options.topics.events)
    detector = stages.Detector(office, options, PARTITIONS, folder / "versions")
    first = agent.beat(int(office.events["time.occurred"][0]))
    detector.turn([[each for each in first if each.partition == number] for number in range(PARTITIONS)])
    detector.clock.spent.clear()
    records = agent.backlog(office.events)
    agent.close()
    spent = stages.work_off(detector, records, most)
    return {name: value / backlog.lines(records) * 1e6 for name, value in spent.items()}


def told(one: Measured) -> dict[str, Any]:
    """What one run says."""
    million = one.events / 1e6
    return {
        "cpu_s_per_million": sum(one.cpu_s) / million,
        "events_per_s_per_core": round(one.events / sum(one.cpu_s)),
        "events_per_s_by_the_clock": round(one.events / one.wall_s),
        "start_cpu_s": max(one.start_cpu_s),
        "peak_rss_mb": max(one.rss_mb),
        "turns": one.turns,
        "wall_s_per_million_by_step": {name: value / million for name, value in sorted(one.busy_s.items())},
    }


def measure(kafka: Cluster, folder: Path, office: Office, turn: int | None, usual_events: int) -> dict[str, Any]:
    """Everything, once."""
    runs = {}
    polled = decoded = 0.0
    for count in (1, 2):
        runs[count], desk = processes.backlog(kafka, folder / f"desk-{count}", office, count)
        if count == 1:
            polled, decoded = processes.bare(desk)
    one, two = runs[1], runs[2]
    if one.findings != two.findings:
        raise SystemExit(f"one detector found {one.findings}, two {two.findings}; do not use these figures")
    most = turn or max(1, round(one.events / backlog.RECORD_EVENTS / one.turns["one"]))
    cores = in_process(folder / "stages", office, folder / "desk-1/det0.toml", most)
    plain = usual.measure_usual(office.events[:usual_events], Context(office.site, office.book), office.book)
    million = one.events / 1e6
    return {
        "benchmark": "detector",
        "events": one.events,
        "rules": len(office.book.rules),
        "findings": one.findings,
        "events_per_s_per_core": told(one)["events_per_s_per_core"],
        "one": told(one),
        "two": told(two),
        "two_to_one_by_the_clock": one.wall_s / two.wall_s,
        "two_to_one_by_cpu": 2 * sum(one.cpu_s) / sum(two.cpu_s),
        "bare_poll_cpu_s_per_million": polled / million,
        "bare_decode_cpu_s_per_million": decoded / million,
        "bare_events_per_s_per_core": round(one.events / (polled + decoded)),
        "in_process_turn_records": most,
        "in_process_cpu_s_per_million": cores,
        "usual_cpu_s_per_million": plain,
        "usual_events_per_s_per_core": round(1e6 / plain),
    }


def show(result: dict[str, Any]) -> None:
    """Print the tables."""
    print(f"{result['events']:,} events, {result['rules']} rules and a model, {result['findings']} findings\n")
    print(
        "                      CPU s per million   events/s per core   events/s by the clock   start, CPU s   peak MB"
    )
    for name in ("one", "two"):
        run = result[name]
        print(
            f"  {name + (' detector' if name == 'one' else ' detectors'):<20} {run['cpu_s_per_million']:>16.1f} "
            f"{run['events_per_s_per_core']:>19,} {run['events_per_s_by_the_clock']:>23,} {run['start_cpu_s']:>14.1f} {run['peak_rss_mb']:>9}"
        )
    limit = result["bare_poll_cpu_s_per_million"] + result["bare_decode_cpu_s_per_million"]
    print(f"  {'bare loop':<20} {limit:>16.1f} {result['bare_events_per_s_per_core']:>19,}")
    print(
        f"  {'the usual way':<20} {result['usual_cpu_s_per_million']:>16.1f} {result['usual_events_per_s_per_core']:>19,}"
    )
    clock, cpu = result["two_to_one_by_the_clock"], result["two_to_one_by_cpu"]
    print(
        f"\ntwo detectors to one: {clock:.2f} times by the clock, {cpu:.2f} times as much per CPU second of each core"
    )
    print("\nby step, wall s per million (one detector, its own metrics)")
    for name, value in result["one"]["wall_s_per_million_by_step"].items():
        print(f"  {name:<20} {value:>8.2f}")
    print(f"turns: {', '.join(f'{name} {count:.0f}' for name, count in result['one']['turns'].items())}")
    print(f"\nin process, {result['in_process_turn_records']} records a turn, CPU s per million")
    for name, value in result["in_process_cpu_s_per_million"].items():
        print(f"  {name:<20} {value:>8.2f}")
    print(f"  {'all':<20} {sum(result['in_process_cpu_s_per_million'].values()):>8.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="ten days instead of a month: a minute on a free machine")
    parser.add_argument("--json", action="store_true", help="last line is one JSON object")
    parser.add_argument("--days", type=int, help="how long the office works; default: 30, 10 with --quick")
    parser.add_argument("--turn", type=int, help="records in a turn of the stages in process")
    parser.add_argument("--rules", type=int, default=50, help="how many rules; 0: all that ship")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="sekimori-bench-") as name:
        office = backlog.made(Path(name) / "office", args.days or (10 if args.quick else 30), args.rules)
        with processes.cluster(Path(name)) as kafka:
            result = measure(kafka, Path(name), office, args.turn, 5_000 if args.quick else 20_000)
    show(result)
    if args.json:
        print(json.dumps(result, ensure_ascii=False))


if __name__ == "__main__":
    main()
