"""Why Kafka does not take our records, in one line for the operator.

kafka-python reports every failure to connect as "unable to bootstrap" and keeps the cause to its log. So its log is
listened to, and what it says is put into words that name the option to look at.
"""

from __future__ import annotations

import logging
import re
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from kafka import errors
from kafka.net.transport import KafkaSSLTransport, KafkaTCPTransport
from pydantic import ValidationError

from service.options import Ground
from service.settings import Kafka, told

if TYPE_CHECKING:
    from cryptography import x509

log = logging.getLogger(__name__)

# What kafka-python says → what it means. The first that fits wins, here and among several lines of one attempt: a broker
# that refuses a password often hangs up before its answer is read, so that "disconnected" stands beside the true cause.
_CAUSES: Final = tuple(
    (re.compile(pattern, re.IGNORECASE), text)
    for pattern, text in (
        (
            r"SaslAuthenticationFailed",
            "refuses to log in user {user!r}: check kafka.sasl_username and the password in {password_file}",
        ),
        (r"UnsupportedSaslMechanism", "does not offer {mechanism}: set kafka.sasl_mechanism to one that it offers"),
        (
            r"IllegalSaslState",
            "wants no log-in at this port: set kafka.security_protocol to SSL or PLAINTEXT, or give its SASL port",
        ),
        (
            r"certificate verify failed: certificate has expired",
            "shows a certificate that has expired: have it renewed, or set this machine's clock right",
        ),
        (
            r"certificate verify failed: certificate is not yet valid",
            "shows a certificate that is not valid yet: set this machine's clock right",
        ),
        (
            r"certificate verify failed: (Hostname|IP address) mismatch",
            "shows a certificate for another name: write a name that stands in it into kafka.bootstrap_servers",
        ),
        (
            r"CERTIFICATE_VERIFY_FAILED",
            "shows a certificate that {authorities} do not vouch for: set kafka.ssl_cafile to the authority's",
        ),
        (r"alert (unknown ca|certificate|bad certificate|unsupported certificate|handshake failure)", "{certificate}"),
        (r"Invalid frame length", "speaks TLS at this port: set kafka.security_protocol to SSL or SASL_SSL"),
        (
            r"UNEXPECTED_EOF_WHILE_READING|EOF occurred in violation|WRONG_VERSION_NUMBER|RECORD_LAYER_FAILURE",
            "speaks no TLS at this port: set kafka.security_protocol to PLAINTEXT, or give its TLS port",
        ),
        (r"IncompatibleBrokerVersion", "is no broker that we can talk to: give brokers, not controllers, of Kafka 2.5 or later"),
        (r"unknown topic or partition", "does not know the topic any more: create it, or correct its name"),
        (r"NotEnoughReplicas", "has too few replicas of the topic in sync: have its operators look at it"),
        (
            r"DNS lookup failed for (?P<name>\S+?),",
            "has a name that cannot be resolved, {name}: check kafka.bootstrap_servers, or what the brokers advertise",
        ),
        (r"ECONNREFUSED|Connection refused", "refuses connections: is it running, and is this its port?"),
        # A few milliseconds are what was left of our own time to connect, and say nothing of Kafka.
        (r"timed out(?! after \d{1,3} ms)|ETIMEDOUT|E(HOST|NET)UNREACH", "does not answer: is it well, and the network to it?"),
        (r"disconnected|ECONNRESET|Connection reset|BrokenPipe|Broken pipe", "{hangup}"),
    )
)  # fmt: skip
_VAGUE: Final = len(_CAUSES) - 1
_NOTHING: Final = len(_CAUSES)


def _last_words_first(transport: type[KafkaTCPTransport]) -> None:
    """Let a transport read what came before the connection ended, and notice the end with its next look.

    Kafka hangs up right behind a refusal. Where both have come by the time kafka-python looks, as on a loaded machine, it
    throws the refusal away (`_read_from_sock` of 3.0.12), and whoever is refused reads of a lost connection only.
    """
    both = transport._sock_recv

    def received(self: KafkaTCPTransport) -> tuple[bytes, Exception | None]:
        data, error = both(self)
        return data, None if data else error

    transport._sock_recv = received


for _transport in (KafkaTCPTransport, KafkaSSLTransport):
    _last_words_first(_transport)


class Listener(logging.Handler):
    """Hears what kafka-python says in the threads of one publisher, and keeps what tells most.

    kafka-python's lines go no further than here, other than as debug lines of this module: what it says at each attempt to
    reconnect would drown an agent's own log, and debug lines of its own hold whole records.
    """

    def __init__(self, settings: Kafka, threads: str) -> None:
        """Listen from now on.

        Args:
            settings: Whom we talk to.
            threads: What the names of the threads begin with.
        """
        super().__init__(logging.WARNING)
        self._settings = settings
        self._threads = threads
        self._guard = threading.Lock()
        self._earlier = self._rank = _NOTHING
        self._name: str | None = None  # that the likeliest cause speaks of
        source = logging.getLogger("kafka")
        source.propagate = False
        source.setLevel(logging.WARNING)
        source.addHandler(self)

    def close(self) -> None:
        """Listen no longer."""
        logging.getLogger("kafka").removeHandler(self)
        super().close()

    def emit(self, record: logging.LogRecord) -> None:
        """Take one line of kafka-python's."""
        if not (record.threadName or "").startswith(self._threads):
            return
        said = record.getMessage()
        log.debug("%s: %s", record.name, said)
        with self._guard:
            for rank, (pattern, _) in enumerate(_CAUSES[: self._rank]):
                if match := pattern.search(said):
                    self._rank = rank
                    self._name = match["name"] if "name" in pattern.groupindex else self._name
                    break

    def next_attempt(self) -> None:
        """What follows belongs to a new attempt; until it says something clear, the last clear cause stands."""
        with self._guard:
            self._earlier, self._rank = self._likeliest(), _NOTHING

    def forget(self) -> None:
        """All is well."""
        with self._guard:
            self._earlier = self._rank = _NOTHING

    def cause(self, *, at_once: bool) -> str | None:
        """The likeliest cause, if anything was said.

        Args:
            at_once: Also if it is vague and this is the first attempt; else something better is hoped for.
        """
        with self._guard:
            rank, name = self._likeliest(), self._name
            if rank == _VAGUE == self._rank and self._earlier == _NOTHING and not at_once:
                rank = _NOTHING
        return None if rank == _NOTHING else whose(self._settings, _filled(_CAUSES[rank][1], self._settings, name))

    def _likeliest(self) -> int:
        clear = self._rank < _VAGUE or self._earlier == _NOTHING
        return self._rank if clear else self._earlier


def whose(settings: Kafka, what: str) -> str:
    """A line about a cluster: who, and what is the matter with it."""
    return f"Kafka at {','.join(settings.bootstrap_servers)} {what}"


def user(settings: Kafka) -> str:
    """Whom Kafka takes us for, as far as we know."""
    if settings.sasl_username:
        return settings.sasl_username
    return "ANONYMOUS" if settings.ssl_certfile is None else _subject(settings) or "the certificate's user"


def check_files(settings: Kafka) -> str | None:
    """What is wrong by now with the files that the settings name, if anything; they were right when we started."""
    model = type(settings)  # a process's own, with its topics
    try:
        model.model_validate(settings.model_dump(), context=Ground(Path()))
    except ValidationError as error:
        return "; ".join(f"kafka.{line}" for line in told(error, model))
    return None


def refusal(settings: Kafka, topic: str, partition: int, size: int, error: BaseException) -> str:
    """What it means that Kafka refused a record for good.

    Args:
        settings: Whom we talk to.
        topic: Where the record was to go.
        partition: Number of the partition.
        size: Bytes of the record.
        error: kafka-python's.
    """
    where = f"topic {topic}"
    if isinstance(error, errors.MessageSizeTooLargeError | errors.RecordListTooLargeError):
        what = f"refuses a record of {size} bytes as too large: raise max.message.bytes of {where}"
    elif isinstance(error, errors.InvalidTimestampError) or "timestamp" in str(error).lower():
        what = f"refuses a record's time for {where}: set this machine's clock right"
    elif isinstance(error, errors.TopicAuthorizationFailedError):
        what = f"does not let {user(settings)!r} write to {where}: add an ACL that allows WRITE"
    elif "ClusterAuthorizationFailed" in f"{type(error).__name__} {error}":
        what = f"does not let {user(settings)!r} write at all: add an ACL that allows WRITE to {where}"
    elif isinstance(error, errors.UnknownTopicOrPartitionError | errors.KafkaTimeoutError):
        what = f"has no {where}: create it, or correct its name"
    elif isinstance(error, errors.InvalidTopicError):
        what = f"does not accept the name of {where}: correct it"
    else:
        what = f"refuses a record for {where}, partition {partition}: {str(error) or type(error).__name__}"
    return whose(settings, " ".join(what.split()))


def _filled(text: str, settings: Kafka, name: str | None) -> str:
    hangup = "hangs up: does it want TLS or a log-in at this port (kafka.security_protocol)?"
    if settings.sasl_username:
        hangup = "hangs up during log-in: mostly the user (kafka.sasl_username) or the password is wrong"
    return text.format(
        user=user(settings),
        password_file=settings.sasl_password_file,
        mechanism=settings.sasl_mechanism,
        authorities=settings.ssl_cafile or "the system's authorities",
        certificate=_certificate(settings),
        hangup=hangup,
        name=name,
    )


def _certificate(settings: Kafka) -> str:
    """Why our certificate was refused. Java says "unknown" of an expired and of a foreign one alike, so we look at it."""
    if settings.ssl_certfile is None:
        return "wants a certificate from us: set kafka.ssl_certfile and kafka.ssl_keyfile"
    shown = _own(settings)
    if shown is not None and shown.not_valid_after_utc < datetime.now(UTC):
        return f"refuses our certificate {settings.ssl_certfile}: it expired on {shown.not_valid_after_utc:%Y-%m-%d}: renew it"
    return f"refuses our certificate {settings.ssl_certfile}: have it issued by an authority that it trusts"


def _own(settings: Kafka) -> x509.Certificate | None:
    if settings.ssl_certfile is None:
        return None
    from cryptography import x509  # 7 MB, for agents that show a certificate only

    try:
        return x509.load_pem_x509_certificate(settings.ssl_certfile.read_bytes())
    except (OSError, ValueError):
        return None  # told by check_files


def _subject(settings: Kafka) -> str | None:
    shown = _own(settings)
    return None if shown is None else shown.subject.rfc4514_string()
