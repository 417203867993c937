"""When what is deployed was deployed, remembered over restarts: starting again with the same files deploys nothing."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from service.durable import sync_folder, write_new


@dataclass(frozen=True, slots=True)
class Deployed:
    """What a detector deployed last.

    Attributes:
        path: Where that is kept.
    """

    path: Path

    def since(self, hashes: Mapping[str, str], now_ms: int) -> int:
        """When versions were deployed here, which are what lies in place at a start.

        Returns:
            UTC ms; 0 where nothing was ever deployed: who is new to a group does not know what is newer than what the others have.
        """
        try:
            known = json.loads(self.path.read_bytes())
            before, at_ms = dict(known["hashes"]), int(known["at_ms"])
        except (OSError, ValueError, KeyError, TypeError):
            return 0
        return at_ms if before == dict(hashes) else max(now_ms, at_ms + 1)

    def keep(self, hashes: Mapping[str, str], at_ms: int) -> None:
        """Remember what is deployed.

        Raises:
            OSError: It could not be written.
        """
        unfinished = self.path.with_name(f".{self.path.name}")
        write_new(unfinished, json.dumps({"hashes": dict(hashes), "at_ms": at_ms}, sort_keys=True).encode())
        os.replace(unfinished, self.path)
        sync_folder(self.path.parent)
