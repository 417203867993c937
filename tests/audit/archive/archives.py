"""What tests of archives share: one that a writer made of what agents sealed, and the verdict on it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from audit.archive.digest import Keys
from audit.archive.place import Folder as Place
from audit.archive.verify import Terms, verify
from audit.chains.capture import Taken
from audit.chains.verdict import Verdict
from contract.sealkey import SealKey
from detector.archive.segments import Segments
from detector.archive.signing import Signer, new_pair
from detector.archive.store import Folder
from tests.audit.judging import KEY
from tests.collector.sealing import NOON, PARTITIONS

TOPIC = "access-events"
PRIVATE, PUBLIC = new_pair()
KEYS = Keys({"archive.pub": PUBLIC})
SECOND = 1000


def writer(folder: Path, partition: int = 0, now_ms: int = NOON, private: bytes = PRIVATE, **more: int) -> Segments:
    """A writer whose segments last 6 s and whose digests come every 10 s."""
    paces = {"segment_ms": 6 * SECOND, "digest_ms": 10 * SECOND, "partitions": PARTITIONS}
    return Segments(Folder(folder), TOPIC, partition, Signer(private), now_ms, **(paces | more))


def write(folder: Path, lying: Iterable[Taken], private: bytes = PRIVATE, seconds: int = 50) -> None:
    """An archive of what lies in a topic: a record every other second, and then nothing until so many have gone."""
    by_partition: dict[int, list[Taken]] = {number: [] for number in range(PARTITIONS)}
    for one in lying:
        by_partition[one.partition].append(one)
    for partition, records in by_partition.items():
        into = writer(folder, partition, private=private, start=records[0].offset if records else 0)
        for second in range(seconds):
            now_ms = NOON + second * SECOND
            into.append(records[second // 2 : second // 2 + 1] if second % 2 == 0 else (), now_ms)
            into.tick(now_ms)
        into.close(NOON + seconds * SECOND)


def judged(folder: Path, seal_keys: Sequence[SealKey] = (KEY,), keys: Keys = KEYS, **more: object) -> Verdict:
    """The verdict on an archive that must reach to where `write` ends."""
    terms = {"topic": TOPIC, "until_ms": NOON + 50 * SECOND}
    return verify(Place(folder), keys, seal_keys, Terms(**(terms | more)))  # type: ignore[arg-type]


def files(folder: Path, kind: str = "*") -> list[Path]:
    """The files of an archive, or those of one kind (`segments`, `digests`), in the order of their names."""
    return sorted(path for path in folder.glob(f"records/*/*/{kind}/*") if path.is_file())
