"""One real Apache Kafka node on this machine: broker and controller (KRaft) in one Java process, no container.

    with Broker(folder) as broker:
        topic = broker.topic()
        producer = KafkaProducer(bootstrap_servers=broker.address)

It listens at several ports of 127.0.0.1 at once, one for each way to log in (`Door`). The first is plain and may do
everything; at the doors SASL and MTLS a user may do what `allow` gave.
"""

from __future__ import annotations

import base64
import contextlib
import enum
import random
import shutil
import signal
import socket
import subprocess
import time
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Self

from tests.kafka.certificates import Authority
from tests.kafka.cluster import Cluster
from tests.kafka.jars import BrokerError, jars, program

PASSWORDS: Final = {"alice": "correct horse", "bob": "battery staple"}  # who may log in at Door.SASL
_STARTED: Final = b"Kafka Server started"
_HEAP_MIB: Final = 512
_LOG4J: Final = """\
appenders = out
appender.out.type = Console
appender.out.name = out
appender.out.layout.type = PatternLayout
appender.out.layout.pattern = %d %-5p %c{1}: %m%n
rootLogger = WARN, out
logger.start.name = kafka.server.KafkaRaftServer
logger.start.level = INFO
"""


class Door(enum.Enum):
    """A listener: its name in Kafka's settings."""

    PLAIN = "PLAIN"
    TLS = "TLS"
    MTLS = "MTLS"  # shows itself by certificate: user is the common name
    EXPIRED = "EXPIRED"  # the certificate the broker shows has expired
    SASL = "SASL"  # SCRAM-SHA-256 over TLS

    @property
    def protocol(self) -> str:
        """What clients call `security_protocol`."""
        return {"PLAIN": "PLAINTEXT", "SASL": "SASL_SSL"}.get(self.value, "SSL")


class Broker(Cluster):
    """One node with its data in a folder; a context manager that starts it, and kills it at the end.

    Attributes:
        address: `host:port` of the plain door.
        authority: Issued all certificates and is trusted at every door.
        log: What Java prints.
    """

    def __init__(self, folder: Path, *, port: int | None = None, settings: Mapping[str, str] | None = None) -> None:
        """Prepare the node; `start` runs it.

        Args:
            folder: For data, certificates and log; must be the node's own.
            port: Of the plain door; by default a free one, as for all others.
            settings: More of `server.properties`, which win.

        Raises:
            BrokerError: Somebody listens at the port already.
        """
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        names = [door.name for door in Door] + ["CONTROLLER"]
        self._ports = dict(zip(names, _free_ports(len(names)), strict=True))
        if port is not None:
            if not _is_free(port):
                raise BrokerError(f"port {port} of 127.0.0.1 is taken: end what listens there, or give another")
            self._ports[Door.PLAIN.name] = port
        super().__init__(self.at(Door.PLAIN))
        self.log = folder / "kafka.log"
        self.authority = Authority(folder / "certificates")
        self._properties = folder / "server.properties"
        chosen = {**self._node(), **self._doors(), **_SMALL, **(settings or {})}
        self._properties.write_text("".join(f"{key}={value}\n" for key, value in chosen.items()))
        (folder / "log4j2.properties").write_text(_LOG4J)

    def at(self, door: Door) -> str:
        """`host:port` of a door."""
        return f"127.0.0.1:{self._ports[door.name]}"

    @property
    def controller(self) -> str:
        """`host:port` where controllers talk among themselves, no place for clients."""
        return f"127.0.0.1:{self._ports['CONTROLLER']}"

    def start(self) -> None:
        """Run the node on the data there is; returns when it serves.

        Raises:
            BrokerError: It does not start.
        """
        if not (self._folder / "data" / "meta.properties").exists():
            self._format()
        with self.log.open("ab") as log:
            already = log.tell()
            # The kernel kills Java when the thread that started it ends: a killed test run leaves nothing behind.
            guard = [program("setpriv"), "--pdeathsig", "KILL"] if shutil.which("setpriv") else []
            command = [*guard, *self._java(), "kafka.Kafka", str(self._properties)]
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self._await_start(already)

    def stop(self) -> None:
        """End it in good order (SIGTERM); its data stays."""
        self.resume()
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it without warning (SIGKILL); its data stays."""
        self._end(signal.SIGKILL)

    def pause(self) -> None:
        """Freeze it (SIGSTOP): connections stay open, and nothing answers."""
        self._signal(signal.SIGSTOP)
        assert self._process is not None
        # Its threads stop one after the other, and until then one may still answer.
        while not all(_is_stopped(thread) for thread in Path(f"/proc/{self._process.pid}/task").iterdir()):
            time.sleep(0.005)

    def resume(self) -> None:
        """Let a frozen one go on."""
        self._signal(signal.SIGCONT)

    def recover(self) -> None:
        """Whatever a test did to it: let it serve again."""
        self.resume()
        if self._process is None or self._process.poll() is not None:
            self.start()

    def wait(self) -> None:
        """Return when it has ended by itself."""
        if self._process:
            self._process.wait()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def _signal(self, number: signal.Signals) -> None:
        if self._process:
            self._process.send_signal(number)

    def _end(self, number: signal.Signals) -> None:
        self._signal(number)
        if self._process:
            self._process.wait(60)
        self._process = None

    def _await_start(self, already: int) -> None:
        assert self._process is not None
        deadline = time.monotonic() + 120
        while _STARTED not in (printed := self.log.read_bytes()[already:]):
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                raise BrokerError(f"Kafka did not start: {_reason(printed)} (all of it: {self.log})")
            time.sleep(0.05)

    def _java(self) -> list[str]:
        # With the quick compiler alone a start costs 3 s of CPU instead of 5.
        cheap = ["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xms64m", f"-Xmx{_HEAP_MIB}m"]
        logging = f"-Dlog4j2.configurationFile={self._folder / 'log4j2.properties'}"
        return [program("java"), *cheap, logging, "-cp", f"{jars()}/*"]

    def _format(self) -> None:
        # A cluster's id is a UUID in URL-safe base 64; one that begins with "-" would be taken for an option.
        cluster_id = "s" + base64.urlsafe_b64encode(uuid.uuid4().bytes).decode()[1:22]
        command = [*self._java(), "kafka.tools.StorageTool", "format", "-c", str(self._properties), "-t", cluster_id]
        for user, password in PASSWORDS.items():
            command += ["--add-scram", f'SCRAM-SHA-256=[name="{user}",password="{password}"]']
        done = subprocess.run(command, capture_output=True, check=False)
        if done.returncode:
            raise BrokerError(f"Kafka could not format its folder: {_reason(done.stdout + done.stderr)}")

    def _node(self) -> dict[str, str]:
        doors = [f"{door.name}://{self.at(door)}" for door in Door]
        protocols = [f"{door.name}:{door.protocol}" for door in Door]
        return {
            "node.id": "1",
            "process.roles": "broker,controller",
            "controller.quorum.voters": f"1@{self.controller}",
            "controller.listener.names": "CONTROLLER",
            "inter.broker.listener.name": Door.PLAIN.name,
            "listeners": ",".join([*doors, f"CONTROLLER://{self.controller}"]),
            "advertised.listeners": ",".join(doors),
            "listener.security.protocol.map": ",".join([*protocols, "CONTROLLER:PLAINTEXT"]),
            "log.dirs": str(self._folder / "data"),
        }

    def _doors(self) -> dict[str, str]:
        good, expired = self.authority.issue("broker"), self.authority.issue("broker", expired=True)
        lines = {
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "super.users": "User:ANONYMOUS",  # whoever comes through a door that asks for no name
            "sasl.enabled.mechanisms": "SCRAM-SHA-256",
        }
        for door in (Door.TLS, Door.MTLS, Door.EXPIRED, Door.SASL):
            at = f"listener.name.{door.name.lower()}"
            lines |= {
                f"{at}.ssl.keystore.type": "PEM",
                f"{at}.ssl.keystore.location": str((expired if door is Door.EXPIRED else good).store),
                f"{at}.ssl.truststore.type": "PEM",
                f"{at}.ssl.truststore.location": str(self.authority.cafile),
            }
        scram = "org.apache.kafka.common.security.scram.ScramLoginModule required;"
        return lines | {
            "listener.name.mtls.ssl.client.auth": "required",
            "listener.name.mtls.ssl.principal.mapping.rules": r"RULE:^CN=([^,]+).*$/$1/",
            "listener.name.sasl.scram-sha-256.sasl.jaas.config": scram,
        }


# One node cannot hold copies, and tests should not wait for defaults that suit a data centre.
_SMALL: Final = {
    "auto.create.topics.enable": "true",  # so that a client which makes topics by mistake is found out
    "num.partitions": "4",
    "offsets.topic.replication.factor": "1",
    "offsets.topic.num.partitions": "1",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "transaction.state.log.num.partitions": "1",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    "group.initial.rebalance.delay.ms": "0",
    # Detectors that are killed in tests give their partitions back soon.
    "group.min.session.timeout.ms": "1000",
    "log.cleaner.dedupe.buffer.size": "4194304",
    # A killed node may come back only when its session has run out: 9 s by default.
    "broker.session.timeout.ms": "2000",
    "broker.heartbeat.interval.ms": "400",
}


def _free_ports(count: int) -> list[int]:
    """Ports that nobody uses, from below the range out of which the system serves outgoing connections.

    From that range, somebody's outgoing connection could be given the port of a broker that is down at the moment.
    """
    found: list[int] = []
    with contextlib.ExitStack() as taken:
        while len(found) < count:
            candidate = random.randrange(12_000, 32_000)
            one = taken.enter_context(socket.socket())
            with contextlib.suppress(OSError):
                one.bind(("127.0.0.1", candidate))
                found.append(candidate)
    return found


def _is_free(port: int) -> bool:
    with socket.socket() as one:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as Kafka does: former connections do not matter
        try:
            one.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _reason(printed: bytes) -> str:
    lines = printed.decode(errors="replace").splitlines()
    telling = [line for line in lines if "Exception" in line or "ERROR" in line or "FATAL" in line]
    return (telling or lines[-1:] or ["it printed nothing"])[0]


def _is_stopped(thread: Path) -> bool:
    try:
        return (thread / "stat").read_text().rpartition(")")[2].split()[0] in "TtZX"
    except FileNotFoundError:  # it has ended
        return True
