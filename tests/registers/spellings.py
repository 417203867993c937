"""My Numbers in all spellings that a log may hold: of single digits, in between, and of the whole."""

from __future__ import annotations

import html
import json
from urllib.parse import quote, quote_plus

from hypothesis import strategies as st

from registers.mask import is_my_number

_ODD = {"superscript": "⁰¹²³⁴⁵⁶⁷⁸⁹", "circled": "⓪①②③④⑤⑥⑦⑧⑨", "bold": "𝟎𝟏𝟐𝟑𝟒𝟓𝟔𝟕𝟖𝟗", "full": "０１２３４５６７８９"}
_SPELLINGS = {
    "plain": lambda digit: digit,
    **{name: dict(zip("0123456789", row, strict=True)).__getitem__ for name, row in _ODD.items()},
    "url": lambda digit: f"%{ord(digit):x}",
    "url, full": lambda digit: quote(_ODD["full"][int(digit)]),
    "url, bold": lambda digit: quote(_ODD["bold"][int(digit)]).lower(),
    "url, CP932": lambda digit: quote(_ODD["full"][int(digit)].encode("cp932")),
    "url, EUC": lambda digit: quote(_ODD["full"][int(digit)].encode("euc_jp")),
    "escape()": lambda digit: f"%uFF1{digit}",
    "json": lambda digit: f"\\u003{digit}",
    "json, full": lambda digit: f"\\uff1{digit}",
    "json, bold": lambda digit: json.dumps(_ODD["bold"][int(digit)])[1:-1],
    "braces": lambda digit: f"\\u{{1d7c{ord(digit) - 34:x}}}" if digit == "0" else f"\\u{{3{digit}}}",
    "nginx": lambda digit: f"\\xEF\\xBC\\x9{digit}",
    "html": lambda digit: f"&#{ord(digit)};",
    "html, hex": lambda digit: f"&#x{ord(digit):X};",
    "broken": lambda digit: f"\ufffd{chr(ord('O') + int(digit))}",
}
_LAYERS = {
    "none": lambda text: text,
    "url": quote,
    "form": lambda text: quote_plus(text, safe=""),
    "json": lambda text: json.dumps(text)[1:-1],
    "json, not ASCII": lambda text: json.dumps(text, ensure_ascii=False)[1:-1],
    "html": html.escape,
}
# Before a number: what ends in digits and is none of them.
CONTROLS = ["#011", "#012", "#015", "#000", "#177"]
_SEPARATORS = " -‐–—−ー－ｰ・･.．/／_+\u3000\u00a0"
_UNSEEN = "\u200b\u200c\u200d\u2060\ufeff\u00ad\u200e\ufe0f\u20e3\u0000"


def number_of(eleven: str) -> str:
    return eleven + next(digit for digit in "0123456789" if is_my_number(eleven + digit))


@st.composite
def spelt(draw):
    """A valid number, spelt somehow."""
    number = number_of(draw(st.text(alphabet="0123456789", min_size=11, max_size=11)))
    names = draw(st.lists(st.sampled_from(sorted(_SPELLINGS)), min_size=1, max_size=3))
    gaps = [draw(st.text(alphabet=_SEPARATORS, max_size=3)) if at in (4, 8) else "" for at in range(12)]
    unseen = [draw(st.text(alphabet=_UNSEEN, max_size=1)) if at and draw(st.booleans()) else "" for at in range(12)]
    parts = [unseen[at] + gaps[at] + _SPELLINGS[draw(st.sampled_from(names))](digit) for at, digit in enumerate(number)]
    text = "".join(parts)
    for name in draw(st.lists(st.sampled_from(sorted(_LAYERS)), max_size=3)):
        text = _LAYERS[name](text)
    return text
