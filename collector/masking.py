"""My Numbers in lines as they were received, masked before anybody knows what the lines say. Pure.

Only the bytes of a number are replaced, whatever the encoding and however broken the line; all others stay as they are. What
reads as a moment (`202604010830`) stays, too, because it is masked where the line is parsed, unless the source declares the
format: docs/decisions/spool.md says what that gives up.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from typing import Final

import polars as pl

from registers import text
from registers.mask import MASK, Span, spans, suspects
from registers.spelling import BROKEN

# So few lines are each read exactly: asking Polars first costs more, about 0.1 ms however few they are.
_FEW: Final = 4
_ALL: Final = ("utf-8", "cp932", "euc_jp")
_DIGITS: Final = 12
_NO_SIGN: Final = "\v"  # in place of bytes of no character; no spelling of a number holds one
_HALVES: Final = re.compile("[\udc80-\udcff]")
_MOMENT: Final = re.compile(r"((?:19|20)[0-9]{2})(0[1-9]|1[0-2])(0[1-9]|[12][0-9]|3[01])(?:[01][0-9]|2[0-3])[0-5][0-9]")
# A value of JSON without quotes: a mask needs some there, or the whole line would be no JSON any more.
_JSON_BEFORE: Final = re.compile(rb'[^\\]"\s*:\s*\Z')
_JSON_AFTER: Final = re.compile(rb"\s*[,}\]]")


def mask_lines(lines: Sequence[bytes], encoding: str = "auto", stamps: Sequence[str] = ()) -> list[bytes]:
    """Lines with `[個人番号]` in place of each My Number, in whatever spelling `registers.mask` knows.

    Args:
        lines: Without line ends; none holds a newline.
        encoding: `auto` or what the source declares. A line that is not of it is read in all encodings that there are.
        stamps: strptime formats that the source declares; what they read stays.

    Returns:
        As many, in the same order; those without a My Number are the same objects.
    """
    formats = tuple(form for form in stamps if "%" in form)
    masked = list(lines)
    for row in _suspects(lines, encoding):
        masked[row] = _mask_one(lines[row], encoding, formats)
    return masked


def is_moment(digits: str) -> bool:
    """Whether twelve ASCII digits read as YYYYMMDDhhmm: a minute of a day that there is, of the years 1900 to 2099."""
    found = _MOMENT.fullmatch(digits)
    if found is None:
        return False
    try:
        date(int(found[1]), int(found[2]), int(found[3]))
    except ValueError:  # 31 June
        return False
    return True


def _suspects(lines: Sequence[bytes], encoding: str) -> Iterable[int]:
    """The lines that may hold a My Number."""
    if len(lines) <= _FEW:
        return range(len(lines))
    plain: Sequence[int] = range(len(lines))
    found: set[int] = set()
    if not b"\n".join(lines).isascii():
        is_plain = [_is_utf8(line, encoding) for line in lines]
        odd = [row for row in plain if not is_plain[row]]
        found.update(odd[at] for at in _odd_suspects([lines[row] for row in odd]))
        plain = [row for row in plain if is_plain[row]] if odd else plain
    some = pl.Series([lines[row] for row in plain], dtype=pl.Binary).cast(pl.String)
    return found.union(plain[at] for at in suspects(some))


def _odd_suspects(lines: Sequence[bytes]) -> pl.Series:
    """Those of some lines that are not, or not surely, UTF-8; those that are of no encoding too."""
    if not lines:
        return pl.Series(dtype=pl.UInt32)
    read = pl.DataFrame({code: _all_read(lines, code) for code in _ALL})
    of_none = read.select(pl.all_horizontal(pl.col("cp932", "euc_jp").str.contains(_NO_SIGN, literal=True)))
    return pl.concat([of_none.to_series().arg_true(), *(suspects(column) for column in read)])


def _all_read(lines: Sequence[bytes], code: str) -> list[str]:
    """The lines in an encoding that they may not be of."""
    read = b"\n".join(lines).decode(code, "replace").replace(BROKEN, _NO_SIGN).split("\n")
    if len(read) != len(lines):
        read = [line.decode(code, "replace").replace(BROKEN, _NO_SIGN) for line in lines]
    return read


def _is_utf8(line: bytes, encoding: str) -> bool:
    """Whether nothing but UTF-8 is likely."""
    if encoding not in ("auto", "utf-8"):
        return line.isascii()
    return _is(line, "utf-8")


def _is(line: bytes, code: str) -> bool:
    try:
        line.decode(code)
    except UnicodeDecodeError:
        return False
    return True


def _mask_one(line: bytes, encoding: str, stamps: tuple[str, ...]) -> bytes:
    found = sorted(_found(line, encoding, stamps))
    if not found:
        return line
    mask = MASK.encode(_own(line) if encoding == "auto" else encoding)
    parts = []
    done = 0
    for start, end in found:
        if start >= done:
            parts += [line[done:start], _quoted(mask, line, start, end)]
        done = max(done, end)
    return b"".join((*parts, line[done:]))


def _found(line: bytes, encoding: str, stamps: tuple[str, ...]) -> Iterator[Span]:
    """First byte of each My Number, and the byte after it, in whatever encoding it is one."""
    if _is_utf8(line, encoding):
        yield from _found_in(line, "utf-8", stamps, BROKEN)
        return
    # Half of a full-width digit means something only where nobody knows where characters begin.
    sign = _NO_SIGN if any(_is(line, code) for code in _ALL) else BROKEN
    for code in _ALL:
        yield from _found_in(line, code, stamps, sign)


def _found_in(line: bytes, code: str, stamps: tuple[str, ...], sign: str) -> Iterator[Span]:
    read = line.decode(code, "surrogateescape")  # a byte of no character is half of a surrogate pair
    place = done = 0  # the same place in bytes and in characters
    for start, end in spans(_HALVES.sub(sign, read), stamps):
        bare = end - start == _DIGITS and not (start and read[start - 1].isdigit())
        if bare and is_moment(read[start:end]):
            continue
        place, done = place + _size(read[done:start], code), start
        yield place, place + _size(read[start:end], code)


def _size(read: str, code: str) -> int:
    """Of how many bytes some characters were read."""
    return len(read) if read.isascii() else len(read.encode(code, "surrogateescape"))


def _own(line: bytes) -> str:
    """The encoding that the line will be read in; UTF-8 if it is of none."""
    try:
        return text.decode(line)[1].removesuffix("-sig")
    except UnicodeDecodeError:
        return "utf-8"


def _quoted(mask: bytes, line: bytes, start: int, end: int) -> bytes:
    """The mask in quotes where the number is a bare value of JSON."""
    if _JSON_BEFORE.search(line, max(0, start - 20), start) and _JSON_AFTER.match(line, end):
        return b'"' + mask + b'"'
    return mask
