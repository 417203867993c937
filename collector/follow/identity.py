"""Is this file that generation? Decided by bytes alone."""

from __future__ import annotations

from collector.follow.content import Look
from collector.follow.events import Gap
from collector.follow.position import TAIL_HASHED, tail_hash
from collector.follow.stream import Stream


def holds(found: Look, stream: Stream) -> bool:
    """Whether a file of the stream's generation holds what was read of the stream, so that reading can go on in it.

    Where only one line was read there is little to go by: every file of a format with a header begins like that. To take
    another file for the one that is lost would hide the loss, so then the answer is no, unless nothing can be lost.
    """
    position = stream.position
    if not position.offset:
        begins = found.windows.get(len(stream.beginning), b"") == stream.beginning
        return begins and bool(position.generation) and found.size >= position.seen_bytes
    window = found.windows.get(position.offset)
    if window is None or tail_hash(window) != position.tail:
        return False
    return position.finished or window.count(b"\n") > 1 or len(window) == TAIL_HASHED


def nothing_new(found: Look, stream: Stream) -> bool:
    """Whether a file of the stream's generation holds nothing that the stream's own file does not hold as well.

    Then it is being copied or zipped from it, or has only the header yet; its lines would have the same event ids.
    """
    if stream.lost_since is not None:
        return ended_before(found, stream)
    window = stream.window(found.size)
    if window is not None:
        return window == found.end
    position = stream.position
    same = tail_hash(found.windows.get(position.offset, b"?")) == position.tail
    return same and found.size <= position.seen_bytes


def ended_before(found: Look, stream: Stream) -> bool:
    """Whether a file is the beginning of a lost stream of which more was read than the file holds."""
    memory, end = stream.memory
    start = end - len(memory)
    first = found.size - len(found.end)
    return start <= first and found.size <= end and memory[first - start : found.size - start] == found.end


def loss(stream: Stream) -> Gap:
    """What is missing of a stream whose bytes were not found again.

    Also where it was quiet and read to its end: who wants to hide something writes and empties the log in one breath.
    """
    position = stream.position
    known = position.seen_bytes - position.offset
    what = "emptied or overwritten" if stream.emptied else "deleted or moved away"
    missing = f"at least {known} bytes" if known else "whatever was written"
    return Gap(
        position.source,
        position.name,
        position.generation,
        position.offset,
        position.seen_bytes - 1 if known else None,
        "truncated" if stream.emptied else "deleted",
        f"{stream.label()}: {what} before it was read to its end and no copy was found: {missing} from byte "
        f"{position.offset} on is lost: keep rotated logs in the folder for longer than the agent may be down",
    )


def between(stream: Stream, first_byte: int) -> Gap:
    """What may be missing of a stream whose file was copied and emptied while it was not quiet.

    Args:
        stream: The stream; all of the copy was read.
        first_byte: The first byte that was not read.
    """
    position = stream.position
    return Gap(
        position.source,
        position.name,
        position.generation,
        first_byte,
        None,
        "copytruncate",
        f"{stream.label()}: was copied and emptied while in use: what was written in between, from byte {first_byte} "
        "on, is in neither: rotate by renaming (logrotate: create, not copytruncate)",
    )
