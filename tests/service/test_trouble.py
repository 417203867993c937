"""What the operator reads when Kafka does not let us in: one clear line each, from a real Kafka with TLS, log-in and ACLs."""

from __future__ import annotations

import gc
import logging
import os
import shutil
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from kafka.net.transport import KafkaTCPTransport

from service import producer
from service.settings import Kafka
from service.trouble import Listener, check_files
from tests.kafka.broker import PASSWORDS, Broker, Door
from tests.kafka.certificates import Authority
from tests.service.publishing import (
    all_of,
    assert_nothing_lost,
    at_door,
    logged_in,
    publisher,
    record,
    shown,
    trouble_of,
    until,
)

Make = Callable[[Broker, Path], Kafka]


def password_file(folder: Path, password: str) -> Path:
    path = folder / "password"
    path.touch(mode=0o600)
    path.write_text(password + "\n", encoding="utf-8")
    return path


def alice(broker: Broker, folder: Path) -> Kafka:
    return logged_in(broker, "alice", password_file(folder, PASSWORDS["alice"]))


def carol(broker: Broker, folder: Path) -> Kafka:
    return shown(broker, broker.authority.issue("carol"))


def secure(broker: Broker, folder: Path) -> Kafka:
    return at_door(broker, Door.TLS)


@pytest.mark.parametrize(("enter", "user"), [(alice, "alice"), (carol, "carol"), (secure, None)])
def test_with_the_right_credentials_and_acl_records_arrive(
    broker: Broker, tmp_path: Path, enter: Make, user: str | None
):
    topic = broker.topic()
    if user:
        broker.allow(user, topic, "WRITE")
    sent = [record(topic, number) for number in range(12)]
    with publisher(enter(broker, tmp_path), topic) as one:
        for each in sent:
            one.send(each)
        all_of(one, sent)
        assert one.trouble is None
    assert_nothing_lost(broker.stored(topic), sent)


def wrong_mechanism(broker: Broker, folder: Path) -> Kafka:
    return alice(broker, folder).model_copy(update={"sasl_mechanism": "SCRAM-SHA-512"})


def expired_of_ours(broker: Broker, folder: Path) -> Kafka:
    return shown(broker, broker.authority.issue("carol", expired=True))


def foreign_of_ours(broker: Broker, folder: Path) -> Kafka:
    return shown(broker, Authority(folder / "foreign").issue("carol"))


def none_of_ours(broker: Broker, folder: Path) -> Kafka:
    return at_door(broker, Door.MTLS)


def expired_of_theirs(broker: Broker, folder: Path) -> Kafka:
    return at_door(broker, Door.EXPIRED)


def foreign_of_theirs(broker: Broker, folder: Path) -> Kafka:
    return at_door(broker, Door.TLS, ssl_cafile=Authority(folder / "foreign").cafile)


def no_tls_where_it_is_wanted(broker: Broker, folder: Path) -> Kafka:
    return at_door(broker, Door.PLAIN, bootstrap_servers=[broker.at(Door.TLS)])


def tls_where_it_is_not_wanted(broker: Broker, folder: Path) -> Kafka:
    return at_door(broker, Door.TLS, bootstrap_servers=[broker.at(Door.PLAIN)])


def log_in_where_it_is_not_wanted(broker: Broker, folder: Path) -> Kafka:
    return alice(broker, folder).model_copy(update={"bootstrap_servers": [broker.at(Door.TLS)]})


def controller(broker: Broker, folder: Path) -> Kafka:
    return at_door(broker, Door.PLAIN, bootstrap_servers=[broker.controller])


def nobody(broker: Broker, folder: Path) -> Kafka:
    return at_door(broker, Door.PLAIN, bootstrap_servers=["127.0.0.1:9"])


def no_such_name(broker: Broker, folder: Path) -> Kafka:
    return at_door(broker, Door.PLAIN, bootstrap_servers=["kafka.invalid:9092"])


@pytest.mark.parametrize(
    ("enter", "says", "advises"),
    [
        (wrong_mechanism, "does not offer SCRAM-SHA-512", "kafka.sasl_mechanism"),
        (expired_of_ours, "carol-expired.cert.pem: it expired on 20", "renew it"),
        (foreign_of_ours, "refuses our certificate", "issued by an authority that it trusts"),
        (none_of_ours, "wants a certificate from us", "kafka.ssl_certfile"),
        (expired_of_theirs, "certificate that has expired", "renewed"),
        (foreign_of_theirs, "do not vouch for", "kafka.ssl_cafile"),
        (no_tls_where_it_is_wanted, "speaks TLS at this port", "kafka.security_protocol"),
        (tls_where_it_is_not_wanted, "speaks no TLS at this port", "kafka.security_protocol"),
        (log_in_where_it_is_not_wanted, "wants no log-in at this port", "kafka.security_protocol"),
        (controller, "no broker", "controllers"),
        (nobody, "refuses connections", "is it running"),
        (no_such_name, "cannot be resolved, kafka.invalid:9092", "kafka.bootstrap_servers"),
    ],
)
def test_who_is_not_let_in_reads_why(broker: Broker, tmp_path: Path, enter: Make, says: str, advises: str):
    settings = enter(broker, tmp_path)
    with publisher(settings, "access-events") as one:
        line = trouble_of(one)
        assert says in line
        assert advises in line
        assert line.startswith(f"Kafka at {','.join(settings.bootstrap_servers)} ")
        assert "\n" not in line


def test_what_was_said_before_the_connection_ended_is_read_before_its_end():
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    theirs.sendall(b"refused")
    theirs.close()
    transport = KafkaTCPTransport(None, ours)
    assert transport._sock_recv() == (b"refused", None)
    data, error = transport._sock_recv()
    assert data == b""
    assert error is not None
    ours.close()


def test_a_wrong_password_is_told_and_the_right_one_is_taken_from_the_file_without_a_restart(
    broker: Broker, tmp_path: Path
):
    topic = broker.topic()
    broker.allow("alice", topic, "WRITE")
    path = password_file(tmp_path, "wrong")
    sent = [record(topic, number) for number in range(8)]
    with publisher(logged_in(broker, "alice", path), topic) as one:
        for each in sent:
            one.send(each)
        line = trouble_of(one)
        assert "password" in line
        assert "kafka.sasl_username" in line
        assert "wrong\n" not in line
        password_file(tmp_path, PASSWORDS["alice"])
        all_of(one, sent)
        assert one.trouble is None
    assert_nothing_lost(broker.stored(topic), sent)


def test_a_password_that_changes_while_connected_is_taken_from_the_file_at_the_next_restart_of_kafka(
    broker: Broker, tmp_path: Path
):
    topic = broker.topic()
    broker.allow("erin", topic, "WRITE")
    broker.set_password("erin", "first")
    path = password_file(tmp_path, "first")
    with publisher(logged_in(broker, "erin", path), topic, stuck_after_s=8.0) as one:
        first = [record(topic, 0)]
        one.send(first[0])
        all_of(one, first)
        broker.set_password("erin", "second")
        broker.stop()
        broker.start()
        sent = [record(topic, number) for number in range(1, 9)]
        for each in sent:
            one.send(each)
        # kafka-python never tries a broker again that refused it once. Before, it may hear that nobody listens yet.
        until(one, lambda _: "password" in (one.trouble or ""))
        password_file(tmp_path, "second")
        all_of(one, sent)
        assert one.trouble is None
    assert_nothing_lost(broker.stored(topic), first + sent)


@pytest.mark.parametrize("rights", [(), ("DESCRIBE",)])
def test_a_missing_acl_is_told_and_waited_for(broker: Broker, tmp_path: Path, rights: tuple[str, ...]):
    topic = broker.topic()
    if rights:
        broker.allow("bob", topic, *rights)
    sent = [record(topic, number) for number in range(8)]
    with publisher(logged_in(broker, "bob", password_file(tmp_path, PASSWORDS["bob"])), topic) as one:
        for each in sent:
            one.send(each)
        line = trouble_of(one)
        assert "does not let 'bob' write" in line
        assert "ACL" in line
        assert topic in line
        broker.allow("bob", topic, "WRITE")
        all_of(one, sent)
        assert one.trouble is None
    assert_nothing_lost(broker.stored(topic), sent)


def test_an_acl_that_is_taken_away_and_given_back_loses_nothing(broker: Broker):
    topic = broker.topic()
    broker.allow("dave", topic, "WRITE")
    with publisher(shown(broker, broker.authority.issue("dave")), topic) as one:
        first = [record(topic, 0)]
        one.send(first[0])
        all_of(one, first)
        broker.forbid("dave", topic)
        sent = [record(topic, number) for number in range(1, 20)]
        for each in sent:
            one.send(each)
        assert "ACL" in trouble_of(one)
        broker.allow("dave", topic, "WRITE")
        all_of(one, sent)
        assert one.trouble is None
    assert_nothing_lost(broker.stored(topic), first + sent)


def opened() -> tuple[int, int]:
    return len(os.listdir("/proc/self/fd")), threading.active_count()


def test_being_refused_again_and_again_leaves_nothing_open(broker: Broker):
    gc.collect()
    before = opened()
    with publisher(at_door(broker, Door.PLAIN), "no-such-topic") as one:
        end = time.monotonic() + 3
        until(one, lambda _: time.monotonic() > end)
        assert "has no topic no-such-topic" in trouble_of(one)
    deadline = time.monotonic() + 30
    while (gc.collect(), opened())[1] > before:
        assert time.monotonic() < deadline, (before, opened(), threading.enumerate())
        time.sleep(0.1)


def test_an_attempt_to_reach_nobody_closes_its_sockets_at_once(broker: Broker, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(producer, "_BOOTSTRAP_MS", 300)
    gc.collect()
    before = opened()
    gc.disable()  # it would do so some day anyway; an agent's outage can take days, and many attempts
    logging.disable()  # pytest keeps log records, and they keep what they are about
    try:
        attempt = producer.Attempt(producer.Client(nobody(broker, Path()), "me", "me"), ["t"], lambda: None)
        attempt.thread.join(60)
        assert (attempt.done, attempt.producer) == (True, None)
        assert opened() == before
    finally:
        gc.enable()
        logging.disable(logging.NOTSET)


def test_a_file_that_vanishes_after_the_start_is_told(broker: Broker, tmp_path: Path):
    settings = carol(broker, tmp_path)
    assert check_files(settings) is None
    copy = tmp_path / "copy.pem"
    shutil.copy(broker.authority.cafile, copy)
    settings = settings.model_copy(update={"ssl_cafile": copy})
    assert check_files(settings) is None
    copy.unlink()
    with publisher(settings, "access-events") as one:
        assert trouble_of(one).startswith(f"kafka.ssl_cafile: {copy}: cannot be read")
        shutil.copy(broker.authority.cafile, copy)
        until(one, lambda _: one.trouble is not None and "ACL" in one.trouble)


def hear(listener: Listener, said: str, thread: str = "me-connect") -> None:
    record = logging.LogRecord("kafka.net", logging.WARNING, "", 0, said, (), None)
    record.threadName = thread
    listener.handle(record)


@pytest.fixture
def listener():
    one = Listener(Kafka.model_validate({"bootstrap_servers": ["k:9092"]}), "me")
    yield one
    one.close()


def test_the_clear_cause_wins_over_the_vague_one_beside_it(listener: Listener):
    hear(listener, "Connection lost: socket disconnected")
    assert listener.cause(at_once=False) is None
    assert "hangs up" in str(listener.cause(at_once=True))
    hear(listener, "[Error 34] IllegalSaslStateError")
    hear(listener, "Connection lost: socket disconnected")
    assert "no log-in" in str(listener.cause(at_once=False))


def test_a_vague_cause_is_told_when_an_attempt_ends_with_no_other(listener: Listener):
    hear(listener, "Connection lost: socket disconnected")
    listener.next_attempt()
    assert "hangs up" in str(listener.cause(at_once=False))


def test_a_new_clear_cause_takes_the_place_of_the_old_one(listener: Listener):
    hear(listener, "[Error 34] IllegalSaslStateError")
    listener.next_attempt()
    assert "no log-in" in str(listener.cause(at_once=False))
    hear(listener, "socket disconnected")
    assert "no log-in" in str(listener.cause(at_once=False))
    hear(listener, "111 ECONNREFUSED")
    assert "refuses connections" in str(listener.cause(at_once=False))
    listener.forget()
    assert listener.cause(at_once=True) is None


def test_the_last_clear_cause_keeps_the_name_it_speaks_of(listener: Listener):
    hear(listener, "DNS lookup failed for k1:9092, gaierror(-2, 'Name or service not known')")
    listener.next_attempt()
    hear(listener, "Connection lost: socket disconnected")
    assert "cannot be resolved, k1:9092:" in str(listener.cause(at_once=True))


def test_what_other_threads_say_is_not_ours(listener: Listener):
    hear(listener, "111 ECONNREFUSED", thread="somebody else")
    assert listener.cause(at_once=True) is None


def test_what_is_not_understood_is_no_cause(listener: Listener):
    hear(listener, "the moon is full")
    assert listener.cause(at_once=True) is None
