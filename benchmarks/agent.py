"""What the agent costs from log file to acknowledged record, beside rsyslog and tailers written by hand.

    python benchmarks/agent.py [--quick] [--json] [--lines N] [--runs N]

Every program is a process of its own that reads one file from its beginning and sends it to a real Kafka (started here,
or KAFKA_BOOTSTRAP_SERVERS) with acks=all, idempotent, zstd; all lines are counted in the topic afterwards. CPU seconds of
the whole process and its threads, user and system, per million lines; what the same program takes for one line (its start) is
told apart and taken off. The best of `--runs` runs, for other work on the machine only adds.

Agent: CSV (the fictional office's welfare log: CP932, wareki, 26 columns) and JSON lines (its disaster ledger), both
with ids of people that become tokens, and web servers' combined lines; parsed, masked, tokenised, sealed. A file repeats the
office's five days until it is long enough. Alternatives, on the combined lines, neither mask nor seal: rsyslog imfile → omkafka raw and
with mmnormalize to JSON, and `tailers.py`. Those that are not installed are left out and named.

Stages are measured in this process, one after the other; `send` is what the agent took beyond their sum.
Idle: 50 files that nobody writes to, CPU in percent of one core.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from pathlib import Path

# As the agent does; it is read when Polars loads.
os.environ.setdefault("POLARS_MAX_THREADS", "1")
os.environ.setdefault("_RJEM_MALLOC_CONF", "dirty_decay_ms:2000,muzzy_decay_ms:0,narenas:1")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # runs from a checkout, installed or not

import polars as pl
from kafka import KafkaConsumer, TopicPartition
from usage import cpu_s, memory_mb

from collector import memory, sources
from collector.parse import parse
from collector.portion import Portion
from collector.read import Cutter
from collector.seal import Sealer
from contract.partition import partitions_of
from contract.sealkey import SealKey
from registers.tokens import SiteKey
from service.settings import Kafka
from simulator import office
from tests.host import Host
from tests.kafka.broker import Broker
from tests.kafka.cluster import Cluster

FORMATS = {"csv": "welfare-ops", "json": "disaster-ops", "combined": "web-access"}
PARTITIONS = 4
RSYSLOG = """\
global(workDirectory="{folder}" maxMessageSize="64k")
module(load="imfile")
module(load="omkafka")
{parse_module}
template(name="raw" type="string" string="%msg%")
template(name="json" type="list") {{ property(name="$!all-json") }}
input(type="imfile" file="{file}" tag="access")
{parse}
action(type="omkafka" broker=["{address}"] topic="{topic}" template="{template}" partitions.auto="on"
  confParam=["compression.codec=zstd", "acks=all", "enable.idempotence=true", "queue.buffering.max.ms=50"])
"""
RULES = (
    "version=2\n"
    'rule=:%host:word% %ident:word% %user:word% [%time:char-to:]%] "%request:char-to:"%" %status:number% %bytes:word%'
    ' "%referer:char-to:"%" "%agent:char-to:"%"\n'
)


# --- logs -----------------------------------------------------------------------------------------------------------


def logs(folder: Path, lines: int) -> dict[str, Path]:
    """One file per format, of so many lines."""
    office.simulate(folder / "office", seed=3, days=5, volume=8.0)
    made = {name: folder / f"{name}.log" for name in FORMATS}
    _repeat(sorted((folder / "office/logs/welfare").iterdir()), made["csv"], lines, header=True)
    _repeat(sorted((folder / "office/logs/disaster").iterdir()), made["json"], lines, header=False)
    with made["combined"].open("w") as file:
        file.writelines(combined(lines))
    return made


def _repeat(files: list[Path], out: Path, lines: int, header: bool) -> None:
    days = [file.read_bytes().splitlines(keepends=True) for file in files]
    body = [line for day in days for line in day[header:]]
    with out.open("wb") as file:
        file.writelines(days[0][:header])
        for first in range(0, lines, len(body)):
            file.writelines(body[: lines - first])


def combined(lines: int) -> Iterator[str]:
    """Lines of a web server in the combined format, the same every time."""
    choose = random.Random(7)
    at = datetime(2026, 3, 9, tzinfo=UTC)
    paths = (
        "/welfare/case/{}",
        "/portal/notice/{}",
        "/api/v1/person?id={}",
        "/static/app.{}.js",
        "/login",
        "/img/logo.png",
    )
    browser = (
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{}.0.0.0 Safari/537.36"
    )
    for _ in range(lines):
        at += timedelta(seconds=choose.random() * 0.4)
        user = f"100{choose.randrange(600):03}" if choose.random() < 0.7 else "-"
        yield (
            f"10.11.{choose.randrange(1, 9)}.{choose.randrange(1, 250)} - {user} [{at:%d/%b/%Y:%H:%M:%S} +0900] "
            f'"{choose.choice(("GET", "GET", "GET", "POST"))} {choose.choice(paths).format(choose.randrange(50_000))} HTTP/1.1" '
            f"{choose.choice((200, 200, 200, 304, 403, 404))} {choose.randrange(200, 90_000)} "
            f'"http://portal.town.example/" "{browser.format(choose.randrange(118, 126))}"\n'
        )


# --- processes ------------------------------------------------------------------------------------------------------


def cpu_of_child(process: subprocess.Popen[bytes]) -> float:
    """Wait for a process that ends by itself; its CPU seconds."""
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{process.args} ended with status {process.returncode}; do not use these figures")
    return usage.ru_utime + usage.ru_stime


@contextmanager
def consumer(kafka: Cluster, topic: str) -> Iterator[tuple[KafkaConsumer, list[TopicPartition]]]:
    reader = KafkaConsumer(bootstrap_servers=kafka.address.split(","), auto_offset_reset="earliest")
    places = [TopicPartition(topic, number) for number in range(PARTITIONS)]
    reader.assign(places)
    try:
        yield reader, places
    finally:
        reader.close()


def arrived(kafka: Cluster, topic: str, count: Callable[[bytes], int]) -> int:
    """Sum of `count` over the records of a topic."""
    total = 0
    with consumer(kafka, topic) as (reader, places):
        ends = reader.end_offsets(places)
        while any(reader.position(place) < ends[place] for place in places):
            for records in reader.poll(timeout_ms=500).values():
                total += sum(count(record.value) for record in records)
    return total


def checked(found: int, expected: int, what: str) -> None:
    if found != expected:
        raise SystemExit(f"{what}: {found} of {expected} lines arrived; do not use these figures")


# --- the programs ---------------------------------------------------------------------------------------------------


def agent(kafka: Cluster, folder: Path, source: str, log: Path, lines: int) -> float:
    """CPU seconds of the agent for a file."""
    with host(kafka, folder, source) as one:
        os.link(log, one.folder / "logs/a.log")
        one.start("--once")
        assert one.process is not None
        cpu = cpu_of_child(one.process)
        beats = b'"event.class":"heartbeat"'
        checked(
            arrived(kafka, one.topic, lambda value: value.count(b"\n") - value.count(beats)), lines, f"agent, {source}"
        )
    return cpu


@contextmanager
def host(kafka: Cluster, folder: Path, source: str) -> Iterator[Host]:
    place = Path(tempfile.mkdtemp(dir=folder)) / "host"
    one = Host(place, kafka, kafka.topic(PARTITIONS), kafka.topic(1), files=[(source, "logs/*.log")])
    try:
        yield one
    finally:
        one.close()
        kafka.delete(one.topic)
        shutil.rmtree(place.parent)


def rsyslog(kafka: Cluster, folder: Path, log: Path, lines: int, parse: bool) -> float:
    """CPU seconds of rsyslog for a file."""
    place = Path(tempfile.mkdtemp(dir=folder))
    topic = kafka.topic(PARTITIONS)
    (place / "rules.rb").write_text(RULES)
    action = f'action(type="mmnormalize" rulebase="{place}/rules.rb")' if parse else ""
    (place / "rsyslog.conf").write_text(
        RSYSLOG.format(
            folder=place, file=log, address=kafka.address, topic=topic, template="json" if parse else "raw",
            parse=action, parse_module='module(load="mmnormalize")' if parse else "",
        )
    )  # fmt: skip
    command = ["rsyslogd", "-n", "-i", "NONE", "-f", str(place / "rsyslog.conf")]
    with (place / "log").open("wb") as said, consumer(kafka, topic) as (reader, places):
        process = subprocess.Popen(command, stdout=said, stderr=said)
        try:
            deadline = time.monotonic() + 300
            while sum(reader.end_offsets(places).values()) < lines:
                if process.poll() is not None or time.monotonic() > deadline:
                    raise SystemExit(f"rsyslog sent too little: {(place / 'log').read_text()[-500:]}")
                time.sleep(0.2)
            cpu = cpu_s(process.pid)
        finally:
            process.kill()
            process.wait()
    key = b'"status":' if parse else b" HTTP/1.1"
    checked(arrived(kafka, topic, lambda value: value.count(key)), lines, "rsyslog")
    kafka.delete(topic)
    shutil.rmtree(place)
    return cpu


def tailer(kafka: Cluster, kind: str, log: Path, lines: int) -> float:
    """CPU seconds of one of `tailers.py` for a file."""
    topic = kafka.topic(PARTITIONS)
    script = Path(__file__).with_name("tailers.py")
    cpu = cpu_of_child(subprocess.Popen([sys.executable, str(script), kind, str(log), kafka.address, topic]))
    checked(arrived(kafka, topic, lambda value: value.count(b" HTTP/1.1")), lines, f"tailer, {kind}")
    kafka.delete(topic)
    return cpu


# --- figures --------------------------------------------------------------------------------------------------------


def per_million(run: Callable[[Path, int], float], log: Path, lines: int, runs: int) -> tuple[float, float]:
    """CPU seconds per million lines without the start, and those of the start; the best of some runs each."""
    one = log.with_suffix(".one")
    with log.open("rb") as file:
        head = file.readline()
        one.write_bytes(head + (file.readline() if log.stem == "csv" else b""))
    start = min(run(one, 1) for _ in range(runs))
    whole = min(run(log, lines) for _ in range(runs))
    return (whole - start) / lines * 1e6, start


def stages(folder: Path, log: Path, source: sources.Source) -> dict[str, float]:
    """CPU seconds per million lines of what happens in the agent before sending, stage by stage."""
    key, secret = SiteKey(b"s" * 32), folder / f"{source.id}.seal"
    secret.touch(0o600)
    secret.write_text(SealKey.enrol("ag", b"s" * 32).text())
    sealer = Sealer(folder / f"state-{source.id}", "ag", secret)
    portion, in_flight_bytes = Portion([source.id]), Kafka.model_fields["in_flight_mib"].default << 20
    spent = dict.fromkeys(("cut", "parse", "seal"), 0.0)
    clock, lines, state = time.process_time, 0, None
    cutter = Cutter(log.name, source)
    with log.open("rb") as file:
        while data := file.read(portion.most_bytes(in_flight_bytes)):
            begin = clock()
            (piece,) = (*cutter.feed(data), *cutter.flush())
            spent["cut"] += clock() - begin
            begin = clock()
            parsed = parse(piece, source, key, "Asia/Tokyo", state)
            state = parsed.state
            spent["parse"] += clock() - begin
            if not lines:  # a start begins with a heartbeat
                beat = parsed.events[:1].with_columns(pl.lit("heartbeat").alias("event.class"))
                sealer.seal(beat, pl.Series([0]), 1_773_000_000_000)
            lines += parsed.events.height
            begin = clock()
            places = partitions_of(parsed.events["actor.id"], "ag", PARTITIONS)
            records = sealer.seal(parsed.events, places, 1_773_000_000_000)
            spent["seal"] += clock() - begin
            portion.read(source.id, len(data), parsed.events.height)
            portion.sealed(sum(len(record.value) for record in records))
    return {name: value / lines * 1e6 for name, value in spent.items()}


def idle(kafka: Cluster, folder: Path, seconds: float) -> dict[str, float | int]:
    """What the agent costs while nothing is written to 50 files."""
    with host(kafka, folder, "web-access") as one:
        for number in range(50):
            one.write(f"{number}.log", number * 20, 20)
        one.start()
        assert one.process is not None
        one.until(lambda: "metrics at port" in one.said)
        one.until(lambda: one.metric("sekimori_collector_acknowledged_events_total") >= 1000)
        time.sleep(5)
        before, begin = cpu_s(one.process.pid), time.monotonic()
        time.sleep(seconds)
        used = (cpu_s(one.process.pid) - before) / (time.monotonic() - begin)
        return {"idle_percent_of_core": used * 100, "idle_rss_mb": memory_mb(one.process.pid, "VmRSS")}


def measure(kafka: Cluster, folder: Path, lines: int, runs: int, idle_s: float) -> dict[str, object]:
    """Everything, once."""
    made = logs(folder, lines)
    known = {source.id: source for source in sources.shipped()}
    formats, parts, starts = {}, {}, []
    for name, source in FORMATS.items():

        def ours(log: Path, count: int, source: str = source) -> float:
            return agent(kafka, folder, source, log, count)

        formats[name], start = per_million(ours, made[name], lines, runs)
        starts.append(start)
        parts[name] = stages(folder, made[name], known[source])
        parts[name]["send"] = formats[name] - sum(parts[name].values())
    others, missing = alternatives(kafka, folder, made["combined"], lines, runs)
    return {
        "benchmark": "agent",
        "lines": lines,
        "cpu_s_per_million": max(formats.values()),
        "by_format": formats,
        "by_stage": parts,
        "start_cpu_s": max(starts),
        "alternatives": others,
        "not_installed": missing,
        "ratios": {name: formats["combined"] / value for name, value in others.items()},
        **idle(kafka, folder, idle_s),
    }


def alternatives(
    kafka: Cluster, folder: Path, log: Path, lines: int, runs: int
) -> tuple[dict[str, float], dict[str, str]]:
    """CPU seconds per million combined lines of the others, and what to install for those that are not there."""
    programs: dict[str, Callable[[Path, int], float]] = {}
    missing = {}
    if shutil.which("rsyslogd"):
        programs["rsyslog raw"] = lambda log, count: rsyslog(kafka, folder, log, count, parse=False)
        programs["rsyslog mmnormalize"] = lambda log, count: rsyslog(kafka, folder, log, count, parse=True)
    else:
        missing["rsyslog"] = "apt-get install rsyslog rsyslog-kafka"
    if find_spec("confluent_kafka") and find_spec("orjson"):
        programs["tailer, parsed"] = lambda log, count: tailer(kafka, "parsed", log, count)
        programs["tailer, packed"] = lambda log, count: tailer(kafka, "packed", log, count)
    else:
        missing["tailers"] = "pip install --require-hashes -r requirements/benchmarks.txt"
    return {name: per_million(run, log, lines, runs)[0] for name, run in programs.items()}, missing


def show(result: dict[str, object]) -> None:
    """Print the tables."""
    print(f"{result['lines']:,} lines a file\n\nagent                CPU s per million lines")
    for name, value in result["by_format"].items():
        stages = "  ".join(f"{stage} {spent:.2f}" for stage, spent in result["by_stage"][name].items())
        print(f"  {name:<18} {value:>6.2f}   {stages}")
    print(
        f"  its start          {result['start_cpu_s']:>6.2f}   CPU s, once\n\ncombined lines, others      agent costs"
    )
    for name, value in result["alternatives"].items():
        print(f"  {name:<18} {value:>6.2f}   {result['ratios'][name]:.2f} times as much")
    for name, advice in result["not_installed"].items():
        print(f"  {name}: not installed ({advice})")
    print(f"\nidle, 50 files: {result['idle_percent_of_core']:.2f} % of a core, {result['idle_rss_mb']} MB")


@contextmanager
def cluster(folder: Path) -> Iterator[Cluster]:
    """KAFKA_BOOTSTRAP_SERVERS, or a broker of our own."""
    address = os.environ.get("KAFKA_BOOTSTRAP_SERVERS")
    if address:
        yield Cluster(address)
    else:
        with Broker(folder / "kafka") as broker:
            yield broker


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer lines, one run: under a minute on a free machine")
    parser.add_argument("--json", action="store_true", help="last line is one JSON object")
    parser.add_argument("--lines", type=int, help="lines a file; default: a million, 200,000 with --quick")
    parser.add_argument("--runs", type=int, help="runs of each program; default: 3, 1 with --quick")
    args = parser.parse_args()
    lines = args.lines or (200_000 if args.quick else 1_000_000)
    runs = args.runs or (1 if args.quick else 3)
    memory.keep()
    with tempfile.TemporaryDirectory(prefix="sekimori-bench-") as name, cluster(Path(name)) as kafka:
        result = measure(kafka, Path(name), lines, runs, 10 if args.quick else 60)
    show(result)
    if args.json:
        print(json.dumps(result, ensure_ascii=False))


if __name__ == "__main__":
    main()
