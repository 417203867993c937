"""A webhook: each notice a signed POST, in the manner of the Standard Webhooks specification (standardwebhooks.com).

`webhook-id` is the same whenever a notice is sent again, so a receiver can drop what it has; `webhook-signature` is
`v1,` and the base64 of HMAC-SHA256 over `id.timestamp.body` under the shared secret.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

from contract.notice import KEYS, identity
from detector.channels import http
from detector.channels.channel import Notice
from detector.channels.inert import inert

_WORDS_CHARS: Final = 200


class Webhook:
    """See `Channel`.

    Args:
        name: Of the configuration.
        where: Where to.
        secret: Shared with the receiver.
        now_s: Unix time in seconds.
    """

    remembers: Final = False

    def __init__(self, name: str, where: http.Target, secret: bytes, now_s: Callable[[], float] = time.time) -> None:
        self.name = name
        self.trouble = ""
        self._where = where
        self._secret = secret
        self._now_s = now_s

    def deliver(self, waiting: Sequence[Notice]) -> int:
        """Post the first."""
        body = json.dumps(shown(waiting[0]), ensure_ascii=False, separators=(",", ":")).encode()
        http.post(self._where, body, signed(identity(waiting[0]), int(self._now_s()), body, self._secret))
        return 1

    def recall(self, notice: Notice) -> None:
        """Nothing is remembered."""

    def forget(self) -> None:
        """Nothing is remembered."""

    def turn(self) -> None:
        """Nothing is ever due."""


def signed(name: str, now_s: int, body: bytes, secret: bytes) -> dict[str, str]:
    """Headers that prove where a body comes from, when it was sent, and which one it is."""
    mac = hmac.new(secret, f"{name}.{now_s}.".encode() + body, hashlib.sha256).digest()
    return {
        "webhook-id": name,
        "webhook-timestamp": str(now_s),
        "webhook-signature": "v1," + base64.b64encode(mac).decode(),
        "Idempotency-Key": name,
    }


def shown(notice: Notice) -> dict[str, Any]:
    """The keys we know, texts made inert; ids and numbers as they are, where they have the form of such."""
    made = {key: notice[key] for key in KEYS if key in notice}
    made |= {key: inert(notice[key], _WORDS_CHARS) for key in ("analytic", "finding", "run")}
    made |= {key: [inert(one, _WORDS_CHARS) for one in notice[key]] for key in ("findings", "controls")}
    for key in ("title", "text", "check_first"):
        if key in made:
            made[key] = {language: inert(made[key][language]) for language in ("ja", "en") if language in made[key]}
    return made
