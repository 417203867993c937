"""Health and metrics over real HTTP."""

from __future__ import annotations

import http.client
import socket
from collections.abc import Iterator
from dataclasses import replace

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from collector.health import Health, Limits, Pulse, problems
from collector.metrics import Metrics
from service.health import HUNG_AFTER_S, News, Server

LIMITS = Limits(silent_after_s={"files.1": 600}, away_after_s=120)
WELL = Pulse(at_s=1000, read_at_s={"files.1": 990, "files.2": 0}, unacknowledged_since_s=999)


class Clock:
    """A clock that stands still until it is set."""

    now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def health(clock: Clock) -> Health:
    return Health(LIMITS, clock)


@pytest.fixture
def server(health: Health) -> Iterator[Server]:
    metrics = Metrics(CollectorRegistry(), ["welfare"])
    metrics.lines.labels("welfare").inc(7)
    served = Server("127.0.0.1", 0, metrics.registry, health)
    yield served
    served.close()


def ask(server: Server, path: str, method: str = "GET") -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    try:
        connection.request(method, path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def test_before_the_first_turn_the_agent_is_not_well_yet_but_alive(server: Server) -> None:
    assert ask(server, "/health") == (503, "starting: nothing was read yet\n")
    assert ask(server, "/live") == (200, "ok\n")


def test_an_agent_that_reads_and_sends_is_well(server: Server, health: Health) -> None:
    health.pulse = WELL

    assert ask(server, "/health") == (200, "ok\n")


def test_a_source_silent_longer_than_declared_turns_health_red_and_speech_turns_it_green(
    server: Server, health: Health, clock: Clock
) -> None:
    health.pulse = WELL
    clock.now_s = 990 + 600
    health.pulse = replace(WELL, at_s=clock.now_s, unacknowledged_since_s=None)
    assert ask(server, "/health")[0] == 200

    clock.now_s += 1
    assert ask(server, "/health") == (
        503,
        "files.1: silent for 601 s (silent_after_s 600): see whether the system logs\n",
    )
    assert ask(server, "/live")[0] == 200

    health.pulse = Pulse(at_s=clock.now_s, read_at_s={"files.1": clock.now_s})
    assert ask(server, "/health")[0] == 200


def test_a_source_without_a_limit_may_be_silent_for_ever() -> None:
    assert problems(replace(WELL, at_s=1e9, read_at_s={"files.2": 0}, unacknowledged_since_s=None), LIMITS, 1e9) == ()


def test_kafka_away_for_too_long_is_said_with_its_age() -> None:
    assert problems(replace(WELL, unacknowledged_since_s=880), LIMITS, 1000) == ()
    assert problems(replace(WELL, unacknowledged_since_s=879), LIMITS, 1000) == (
        "kafka: no acknowledgement for 121 s (away_after_s 120)",
    )


def test_every_trouble_is_one_line_even_if_it_was_told_in_several() -> None:
    pulse = replace(WELL, troubles=("checkpoint: disk full", "kafka: first\nsecond"))

    assert problems(pulse, LIMITS, 1000) == ("checkpoint: disk full", "kafka: first second")


def test_a_number_in_the_name_of_a_file_is_not_shown_to_whoever_asks(server: Server, health: Health) -> None:
    health.pulse = replace(WELL, troubles=("drop/123456789018\x1b[2J.tar: was altered",))

    assert ask(server, "/health") == (503, "drop/[個人番号]\\x1b[2J.tar: was altered\n")


def test_all_problems_are_told_at_once(server: Server, health: Health, clock: Clock) -> None:
    health.pulse = replace(WELL, troubles=("kafka: wrong password",), stopping=True)
    clock.now_s = 3000

    status, body = ask(server, "/health")

    assert status == 503
    assert [line.split(":")[0] for line in body.splitlines()] == ["main loop", "stopping", "kafka", "kafka", "files.1"]


def test_the_log_tells_a_problem_when_it_comes_rarely_while_it_stays_and_when_it_goes(
    health: Health, caplog: pytest.LogCaptureFixture
) -> None:
    for second in range(1000, 1000 + 3000):
        silent = replace(WELL, at_s=second, read_at_s={"files.1": second}, unacknowledged_since_s=None)
        health.pulse = replace(silent, troubles=("Kafka at k:9 refuses connections",)) if second < 3900 else silent

    told = [(record.levelname, record.getMessage()) for record in caplog.records]
    assert told == [
        ("WARNING", "Kafka at k:9 refuses connections"),
        ("ERROR", "Kafka at k:9 refuses connections"),  # after a minute, then 5 and 15
        ("ERROR", "Kafka at k:9 refuses connections"),
        ("ERROR", "Kafka at k:9 refuses connections"),
        ("WARNING", "well again: Kafka at k:9 refuses connections"),
    ]


def test_a_silence_that_grows_is_one_problem_and_another_source_a_second() -> None:
    news = News()

    first = news.of(["files.1: silent for 601 s (silent_after_s 600): see"], 0)
    assert [line for _, line in first] == ["files.1: silent for 601 s (silent_after_s 600): see"]
    assert news.of(["files.1: silent for 602 s (silent_after_s 600): see"], 1) == []
    assert len(news.of([f"files.{n}: silent for 603 s (silent_after_s 600): see" for n in (1, 2)], 2)) == 1
    assert [line for _, line in news.of([], 3)] == [
        f"well again: files.{n}: silent for 603 s (silent_after_s 600): see" for n in (1, 2)
    ]


def test_stopping_is_no_news(health: Health, caplog: pytest.LogCaptureFixture) -> None:
    health.pulse = replace(WELL, stopping=True)

    assert caplog.records == []


def test_a_main_loop_that_hangs_is_not_alive(server: Server, health: Health, clock: Clock) -> None:
    health.pulse = WELL
    clock.now_s = WELL.at_s + HUNG_AFTER_S
    assert ask(server, "/live") == (200, "ok\n")

    clock.now_s += 0.5
    assert ask(server, "/live") == (503, "hung\n")


def test_prometheus_reads_what_was_counted(server: Server) -> None:
    status, body = ask(server, "/metrics")

    found = {
        (sample.name, sample.labels.get("source")): sample.value
        for family in text_string_to_metric_families(body)
        for sample in family.samples
    }
    assert status == 200
    assert found["sekimori_collector_lines_total", "welfare"] == 7
    assert found["sekimori_collector_gap_bytes_total", "welfare"] == 0


@pytest.mark.parametrize(
    ("path", "method", "status"),
    [("/", "GET", 404), ("/health/", "GET", 404), ("/health", "POST", 405), ("/metrics", "POST", 405)],
)
def test_anything_else_is_refused(server: Server, path: str, method: str, status: int) -> None:
    assert ask(server, path, method)[0] == status


def test_a_head_request_gets_the_status_without_a_body(server: Server) -> None:
    assert ask(server, "/health", "HEAD") == (503, "")


def test_clients_that_send_nothing_rubbish_or_leave_do_not_stop_the_others(
    server: Server, health: Health, capfd: pytest.CaptureFixture[str]
) -> None:
    health.pulse = WELL
    silent = socket.create_connection(("127.0.0.1", server.port))
    for rubbish in (
        b"\x16\x03\x01\x00",
        b"GET /health HTTP/1.1\r\nX: " + b"a" * 100_000 + b"\r\n\r\n",
        b"GET / \xff\r\n\r\n",
    ):
        with socket.create_connection(("127.0.0.1", server.port)) as client:
            client.sendall(rubbish)

    assert ask(server, "/health") == (200, "ok\n")
    silent.close()
    assert capfd.readouterr() == ("", "")


def test_more_clients_than_threads_are_turned_away_and_later_ones_served(server: Server, health: Health) -> None:
    health.pulse = WELL
    held = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(40)]
    for client in held:
        client.close()

    for _ in range(50):
        try:
            assert ask(server, "/health") == (200, "ok\n")
            break
        except (http.client.HTTPException, OSError):  # the threads notice one after the other that nobody is there
            continue
    else:
        pytest.fail("nobody was served after the crowd had left")


def test_a_port_that_is_taken_is_named(server: Server, health: Health) -> None:
    with pytest.raises(OSError, match=rf"metrics: 127\.0\.0\.1 port {server.port} cannot be listened at: .*in use"):
        Server("127.0.0.1", server.port, CollectorRegistry(), health)


def test_a_closed_server_frees_its_port(health: Health) -> None:
    first = Server("127.0.0.1", 0, CollectorRegistry(), health)
    first.close()

    second = Server("127.0.0.1", first.port, CollectorRegistry(), health)
    assert ask(second, "/live") == (200, "ok\n")
    second.close()
