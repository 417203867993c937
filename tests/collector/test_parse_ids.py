"""What `parse` tells the vault."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from collector.cut import Cutter
from collector.parse import Parsed, parse
from collector.sources import Source
from registers.tokens import SiteKey

TOML = """
id = "welfare"
format = "delimited"
time = ["t"]
[columns]
"actor.id" = "who"
"subject.token" = "subject"
"household.token" = "house"
"payee.token" = "payee"
"resource.type" = "kind"
"resource.id" = "what"
[constants]
"event.class" = "access"
"event.action" = "read"
"""
TEXT = """t,who,subject,house,payee,kind,what
2026-04-01 10:00:00,1001,００12,H-1,,record,R1
2026-04-01 10:00:01,1001,0012,,P9,file,Ｌｉｓｔ.csv
2026-04-01 10:00:02,1001,s_0123456789abcdef,,,record,R1
2026-04-01 10:00:03,1001,,,,,
"""


@pytest.fixture
def read(declare: Callable[[str], Source], key: SiteKey) -> Callable[..., Parsed]:
    def run(more: str = "", text: str = TEXT, **options: bool) -> Parsed:
        source = declare(TOML + more)
        cutter = Cutter("a.csv", source)
        [piece] = [*cutter.feed(text.encode()), *cutter.finish()]
        return parse(piece, source, key, "Asia/Tokyo", **options)

    return run


def test_every_token_comes_once_with_the_id_it_stands_for(read):
    parsed = read('[ids]\ntokens = ["subject.token"]\n', keep_ids=True)
    events = parsed.events

    assert dict(parsed.ids.rows()) == {
        events.get_column("subject.token")[0]: "0012",
        events.get_column("household.token")[0]: "H-1",
        events.get_column("payee.token")[1]: "P9",
        events.get_column("resource.id")[0]: "R1",
    }
    assert parsed.ids.columns == ["token", "id"]


def test_nothing_raw_leaves_unless_it_is_asked_for(read):
    assert read().ids is None
    assert "0012" not in repr(read(keep_ids=True))


def test_asking_changes_no_event(read):
    assert read(keep_ids=True).events.equals(read().events)


def test_an_id_that_was_masked_before_is_nobodys(read):
    """One token for all of them would be a person whom everybody looks at."""
    masked = TEXT.replace("0012,,P9", "[個人番号],[個人番号],[個人番号]").replace("record,R1", "record,[個人番号]")

    parsed = read(text=masked, keep_ids=True)

    rows = parsed.events.select("subject.token", "household.token", "payee.token", "resource.id").rows()
    assert rows[1] == (None, None, None, "List.csv")
    assert [row[3] for row in rows] == [None, "List.csv", None, None]
    assert parsed.rejected.is_empty()
    assert "[個人番号]" not in parsed.ids["id"].to_list()
