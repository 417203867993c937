"""Text as Japanese systems write it: character codes, width of characters, ids with padding."""

from __future__ import annotations

import codecs
import difflib
import re
from collections.abc import Iterable
from typing import Final

import polars as pl

# What people and tools call the four codes we read. CP932 stands for every Shift JIS: it is the superset with the
# vendor characters ㈱ ① 髙 that real files contain (https://www.iana.org/assignments/charset-reg/windows-31J).
_NAMES: Final = {
    "utf8": "utf-8", "utf8sig": "utf-8-sig", "utf8bom": "utf-8-sig", "ascii": "utf-8", "usascii": "utf-8",
    "cp932": "cp932", "ms932": "cp932", "windows31j": "cp932", "shiftjis": "cp932", "sjis": "cp932",
    "eucjp": "euc_jp", "eucjpms": "euc_jp", "ujis": "euc_jp", "cp51932": "euc_jp",
}  # fmt: skip

# White space of Unicode plus the marks that survive copying from Excel and the web: NUL padding, zero-width, BOM.
_EDGE: Final = " \t\r\n\v\f\x00\u00a0\u3000\u200b\u200e\u200f\ufeff"

# Python's codec lets the five bytes pass that Windows leaves undefined, and with them most binary files.
_NOT_CP932: Final = "\x80\xa0\uf8f0\uf8f1\uf8f2\uf8f3"
_HALF_WIDTH: Final = re.compile("[\uff61-\uff9f]")
# Voiced marks without a kana to voice, and punctuation that half-width kana fields do not have: EUC-JP read as CP932.
_HALF_WIDTH_NONSENSE: Final = re.compile("(?<![ｳｶ-ﾄﾊ-ﾎ])[ﾞﾟ]|[｡｢｣､･](?=[\uff61-\uff9f])")
_FULL_WIDTH_KANA: Final = re.compile("[ぁ-んァ-ヶ]")


def normalise(expr: pl.Expr) -> pl.Expr:
    """Bring text into one form: NFKC (full-width digits and letters become ASCII), no white space at the ends.

    Args:
        expr: String expression.

    Returns:
        String expression; what is empty afterwards is null, because empty means unknown everywhere.
    """
    # Each step takes the one before once: outside of lazy frames Polars works out again what stands there twice.
    return expr.str.normalize("NFKC").str.strip_chars(_EDGE).replace("", None)


def normalise_id(expr: pl.Expr, strip_zeros: bool = False) -> pl.Expr:
    """Bring an id into the form in which it is compared and tokenised.

    Args:
        expr: String expression.
        strip_zeros: Drop leading zeros of ids that are digits only, where the source pads and the registers do not.
            The id `0` (or `000`) stays `0`.

    Returns:
        String expression, null where nothing is left.
    """
    text = normalise(expr)
    return text.str.replace("^0+([0-9]+)$", "${1}") if strip_zeros else text


def encoding_name(name: str) -> str:
    """Python's name of the code: `auto`, `utf-8`, `utf-8-sig`, `cp932` or `euc_jp`.

    Raises:
        LookupError: It is none that we read.
    """
    key = re.sub(r"[-_. ]", "", name).casefold()
    if key == "auto":
        return "auto"
    if key not in _NAMES:
        raise LookupError(f"unknown encoding {name!r}: use auto, utf-8, utf-8-sig, cp932 or euc_jp")
    return _NAMES[key]


def decode(data: bytes, encoding: str = "auto") -> tuple[str, str]:
    """Decode a text file.

    Args:
        data: The bytes of the file, or of its head cut at a line end.
        encoding: `auto` or a name of UTF-8, CP932 (Shift JIS) or EUC-JP.

    Returns:
        The text without byte order mark, and the code used: `utf-8`, `utf-8-sig` (UTF-8 with byte order mark), `cp932` or `euc_jp`.

    Raises:
        UnicodeDecodeError: A byte is not of that code (`auto`: of none of them, position of the first that is not UTF-8);
            `start` is its position.
        LookupError: An encoding that we do not read.
    """
    name = encoding_name(encoding)
    if name in ("utf-8", "utf-8-sig"):
        return _utf8(data)
    if name != "auto":
        return _strict(data, name), name
    try:
        return _utf8(data)
    except UnicodeDecodeError as not_utf8:
        readings = {code: text for code in ("cp932", "euc_jp") if (text := _or_none(data, code)) is not None}
        if not readings:
            raise UnicodeDecodeError(
                "utf-8", data, not_utf8.start, not_utf8.end, "neither UTF-8 nor CP932 nor EUC-JP"
            ) from None
    if len(readings) == 2:
        code = "euc_jp" if _is_rather_euc(readings["cp932"], readings["euc_jp"]) else "cp932"
        return readings[code], code
    [(code, text)] = readings.items()
    return text, code


def _utf8(data: bytes) -> tuple[str, str]:
    if data.startswith(codecs.BOM_UTF8):
        return data.decode("utf-8-sig"), "utf-8-sig"
    return data.decode("utf-8"), "utf-8"


def _strict(data: bytes, code: str) -> str:
    if code == "euc_jp":
        return data.decode(code, errors="sekimori.vendor")
    text = data.decode(code)
    found = [
        at for sign in _NOT_CP932 if (at := text.find(sign)) >= 0
    ]  # six scans take a twentieth of a pattern's time
    if found:
        start = len(text[: min(found)].encode(code))
        raise UnicodeDecodeError(code, data, start, start + 1, "no character has this byte")
    return text


def _or_none(data: bytes, code: str) -> str | None:
    try:
        return _strict(data, code)
    except UnicodeDecodeError:
        return None


def _vendor_characters(error: UnicodeError) -> tuple[str, int]:
    """Read the vendor rows (13, 89–92) that Windows writes in EUC-JP and Python's codec refuses, by way of CP932."""
    if not isinstance(error, UnicodeDecodeError):
        raise error
    pair = error.object[error.start : error.start + 2]
    if len(pair) < 2 or not (0xA1 <= pair[0] <= 0xFE and 0xA1 <= pair[1] <= 0xFE):
        raise error
    row, cell = pair[0] - 0xA0, pair[1] - 0xA0
    lead = (row - 1) // 2 + (0x81 if row <= 62 else 0xC1)
    trail = cell + 0x9E if row % 2 == 0 else cell + 0x3F + (cell >= 64)
    try:
        return bytes((lead, trail)).decode("cp932"), error.start + 2
    except UnicodeDecodeError:
        raise error from None


codecs.register_error("sekimori.vendor", _vendor_characters)


def _is_rather_euc(cp932: str, euc: str) -> bool:
    """Choose between two readings that both succeed, by what does not occur in Japanese text.

    EUC-JP read as CP932 gives half-width kana in impossible order between rare kanji; half-width kana of CP932 (names in
    municipal systems) read as EUC-JP gives rare kanji and no kana.
    """
    sample = 100_000  # characters: enough to decide, and no second pass over a large file
    cp932, euc = cp932[:sample], euc[:sample]
    odd_cp932 = _rare_kanji(cp932) + len(_HALF_WIDTH_NONSENSE.findall(cp932))
    odd_euc = _rare_kanji(euc)
    if odd_cp932 != odd_euc:
        return odd_euc < odd_cp932
    return bool(_HALF_WIDTH.search(cp932)) and bool(_FULL_WIDTH_KANA.search(euc))


def _rare_kanji(text: str) -> int:
    """Number of characters beyond JIS level 1."""
    beyond_ascii = "".join(char for char in text if char > "\x7f" and not "\uff61" <= char <= "\uff9f")
    data = beyond_ascii.encode("euc_jp", errors="replace")
    return sum(lead >= 0xD0 or lead in (0x3F, 0x8F) for lead in data[::2])


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`, did you mean "…"?` where a known word is close to a mistyped one, else nothing."""
    close = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f', did you mean "{close[0]}"?' if close else ""
