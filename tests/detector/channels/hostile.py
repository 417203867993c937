"""Texts that somebody could write into a log to have them act where a notice is shown."""

from __future__ import annotations

from typing import Any

from contract import notice

HOSTILE = {
    "html": "<script>alert(1)</script><img src=x onerror=alert(1)>",
    "entity": "&lt;b&gt; &#x3c;i&#x3e;",
    "slack-mention": "<!here> <!channel> <@U012AB3CD> <#C012AB3CD>",
    "mentions": "@channel @everyone @here @all @room @user:server.example",
    "links": "http://evil.example/x https://evil.example:8443 www.evil.example evil.example mailto:a@evil.example tel:110",
    "markdown": "[click](http://evil.example) ![x](//evil.example/p.png) **b** `c` ~~d~~ | t | _i_ # h",
    "wiki": "{{template}} {code} \\x ^1^ $x$",
    "list": "- item",
    "header": "title\r\nBcc: victim@evil.example\r\n\r\nbody",
    "lines": "one\u2028two\u2029three\x85four\x0bfive",
    "control": "\x1b[31mred\x1b[0m\x00\x07\x08\x9b31m",
    "bidi": "exe.\u202etxt.fdp \u2066a\u2069 \u200fb \u061cc",
    "unseen": "e\u200bv\u200ci\u2060l.e\u00adx\ufeffample \U000e0041\U000e007f",
    "surrogate": "a\ud800b",
}  # fmt: skip


def with_text(text: str, **more: Any) -> dict[str, Any]:
    """A notice all of whose free texts are this one."""
    texts = {"ja": text, "en": text}
    return notice.example() | {"title": texts, "text": texts, "check_first": texts, "controls": [text]} | more
