"""Text from logs made harmless for whatever shows it: a mail, a chat, a pager, a page.

Who writes a log line can put markup, a mention, a link or an unseen character into it. What shows a notice is not ours and
not known, so nothing of that kind is left: signs that mean something to some markup become their full-width likenesses,
which people read as they are and programs do not act on.
"""

from __future__ import annotations

import re
from typing import Final

# What tears a line apart or moves a cursor; halves of surrogate pairs, which no UTF-8 can say.
_BREAKS: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufff9-\ufffb]")
# What is not seen: soft hyphens, marks of width zero and of direction, fillers, tags; all of Unicode's category Cf.
_UNSEEN: Final = re.compile(
    "[\u00ad\u034f\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f"
    "\u202a-\u202e\u2060-\u206f\u3164\ufeff\uffa0\U000110bd\U000110cd\U00013430-\U0001345f\U0001bca0-\U0001bca3"
    "\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
# Of HTML, Slack, Markdown in its kinds and wikis; `@` and `#` also call people and rooms.
_SIGNS: Final = "<>&@#*`~|[]{}\\^$"
_FULL_WIDTH: Final = {ord(sign): ord(sign) + 0xFEE0 for sign in _SIGNS}
_BULLETS: Final = {ord(sign): ord(sign) + 0xFEE0 for sign in "-+="}
# An underscore within a word is one of our ids; any other could set words in italics.
_UNDERSCORE: Final = re.compile(r"(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])")
# `example.jp` and `report.zip` are made links of their own accord, `https:` and `mailto:` too. 192.0.2.1 and 10:30 stay.
_DOT: Final = re.compile(r"(?<=[^\W\d_])\.(?=\w)|(?<=\w)\.(?=[^\W\d_])")
_COLON: Final = re.compile(r"(?<=[A-Za-z+.\-·]):(?=\S)|(?<=\d):(?=[^\s\d])")
# A line that begins so is a list, a quotation or a heading.
_START: Final = re.compile(r"^[-+=]+")


def inert(text: str, chars: int = 2000) -> str:
    """The text on one line, with nothing in it that acts.

    Args:
        text: Anything.
        chars: Most that is kept; what is longer ends in `…`.

    Returns:
        Text that reads the same and is left alone by a second call.
    """
    line = _BREAKS.sub(" ", _UNSEEN.sub("", text[: 2 * chars]))
    line = _UNDERSCORE.sub("\uff3f", line).translate(_FULL_WIDTH)
    line = _COLON.sub("：", _DOT.sub("·", line)).strip()
    line = _START.sub(lambda found: found[0].translate(_BULLETS), line)
    return line if len(line) <= chars else line[: chars - 1] + "…"
