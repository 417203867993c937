"""Mail and chat, through the apprise library: one address of a service for each channel.

What pages and what is resolved is told one by one; when more waits than people would read, in one summary, and never more
often than the pace allows: a flood becomes a summary every few seconds, and each notice stays in its topic.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from contract.notice import Change, pages
from detector.channels import wording
from detector.channels.channel import LaterError, Notice

# These send whatever is given them to whatever host: what webhooks are for, with their checks.
_BYPASSES: Final = frozenset({"json", "jsons", "xml", "xmls", "form", "forms", "apprise", "apprises"})
# These act on this machine, not on somebody else's.
_LOCAL: Final = frozenset({"dbus", "qt", "kde", "glib", "gnome", "macosx", "windows", "blink1", "syslog", "rsyslog"})
_TIMEOUT_S: Final = 30.0


@dataclass(frozen=True, slots=True)
class Pace:
    """How many messages at most.

    Attributes:
        one_by_one: If more wait than this, they become one summary.
        burst: So many messages may follow one another at once.
        every_s: Beyond these, one in so many seconds.
    """

    one_by_one: int = 5
    burst: int = 10
    every_s: float = 10.0


class Message:
    """See `Channel`.

    Args:
        name: Of the configuration.
        url: An address of apprise: `mailtos://…`, `slack://…`; a secret.
        language: Of the messages.
        link: See `wording.body`.
        resolved: Whether it is told too that an alert was resolved.
        pace: How many at most.
        clock: Seconds, never back.

    Raises:
        ValueError: apprise does not know such an address, or it is one that must not be used; the message does not repeat it.
    """

    remembers: Final = False

    def __init__(
        self,
        name: str,
        url: str,
        language: wording.Language = "ja",
        link: str = "",
        resolved: bool = True,
        pace: Pace | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = name
        self.trouble = ""
        self._service = _service(url)
        self._language = language
        self._link = link
        self._resolved = resolved
        self._pace = pace or Pace()
        self._clock = clock
        self._tokens = float(self._pace.burst)
        self._at_s = clock()

    def deliver(self, waiting: Sequence[Notice]) -> int:
        """Send one message about the first notices, or none if nobody is to be told of them."""
        telling = [place for place, notice in enumerate(waiting) if self._tells(notice)]
        if not telling:
            return len(waiting)
        if not self._may_send():
            return telling[0]
        if len(telling) > self._pace.one_by_one:
            head, text = wording.summary([waiting[place] for place in telling], self._language)
            self._send(head, text)
            return len(waiting)
        notice = waiting[telling[0]]
        self._send(wording.title(notice, self._language), wording.body(notice, self._language, self._link))
        return telling[0] + 1

    def recall(self, notice: Notice) -> None:
        """Nothing is remembered."""

    def forget(self) -> None:
        """Nothing is remembered."""

    def turn(self) -> None:
        """Nothing is ever due."""

    def _tells(self, notice: Notice) -> bool:
        return pages(notice) or (self._resolved and notice["change"] == Change.RESOLVED)

    def _may_send(self) -> bool:
        now_s = self._clock()
        self._tokens = min(self._tokens + (now_s - self._at_s) / self._pace.every_s, float(self._pace.burst))
        self._at_s = now_s
        return self._tokens >= 1

    def _send(self, head: str, text: str) -> None:
        self._tokens -= 1
        # Why it failed the library says with addresses and tokens in it: nobody gets to hear that.
        if not self._service.notify(text, title=head, body_format="text", timeout=_TIMEOUT_S):
            raise LaterError(
                f"{self.name}: the service took no message: check that it can be reached and the address in url_file"
            )


def _service(url: str) -> Any:
    """The one service that an address names, set up to follow no redirect, keep nothing and say nothing."""
    from apprise import Apprise, AppriseAsset, NotifyFormat  # takes time and memory that only those give who use it

    _silence()
    scheme = url.partition(":")[0].strip().lower()
    if scheme in _BYPASSES:
        raise ValueError(f"{scheme}:// sends to any host: use [[webhooks]], which checks whom it talks to")
    if scheme in _LOCAL:
        raise ValueError(f"{scheme}:// is for one desktop or machine: use one of a mail or chat service")
    asset = AppriseAsset(
        app_id="Sekimori", app_desc="Sekimori", app_url="", image_url_mask="", image_url_logo="", http_redirects=False,
        async_mode=False, storage_mode="memory", allow_templates=False, service_timeout=_TIMEOUT_S,
        interpret_emojis=False, pgp_autogen=False, pem_autogen=False, body_format=NotifyFormat.TEXT,
    )  # fmt: skip
    made = Apprise(asset=asset)
    if not made.add(url) or len(made) != 1:
        raise ValueError("is no address that apprise knows: see its documentation of the service")
    for service in made:
        service.request_rate_per_sec = 0  # it would sleep 5 s between two messages; the pace is ours to keep
    return made


def _silence() -> None:
    """Keep what the library and what it builds on say out of every log: addresses with secrets in them."""
    for source in ("apprise", "urllib3", "requests_oauthlib", "oauthlib"):
        logger = logging.getLogger(source)
        logger.propagate = False
        logger.setLevel(logging.CRITICAL + 1)
        logger.addHandler(logging.NullHandler())
