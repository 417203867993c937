"""What a Sigma rule means, atom by atom; with the public rules and logs beside the project as a further check."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from sigma.rule import SigmaRule

from detector import rulebook, sigma


def tree(detection: str, condition: str = "s") -> sigma.Tree:
    lines = "\n".join(f"  {line}" for line in detection.splitlines())
    text = f"title: t\nlogsource: {{product: x}}\ndetection:\n{lines}\n  condition: {condition}\n"
    return sigma.tree(SigmaRule.from_yaml(text))


def matches(item: str, **columns: list[Any]) -> list[bool]:
    """Rows that one detection item matches; with and without knowledge of the schema it must be the same."""
    frame = pl.DataFrame(columns)
    parsed = tree("s:\n" + "\n".join(f"  {line}" for line in item.splitlines()))
    bound = frame.with_columns(hit=sigma.expression(parsed, frame.schema))["hit"]
    unbound = frame.with_columns(hit=sigma.expression(parsed))["hit"]
    assert bound.null_count() == 0
    assert bound.to_list() == unbound.to_list()
    return bound.to_list()


@pytest.mark.parametrize(
    ("item", "values", "expected"),
    [
        ("f: abc", ["ABC", "abcd", "", None], [True, False, False, False]),
        ("f: [a, b]", ["A", "b", "c", None], [True, True, False, False]),
        ("f: ''", ["", "a", None], [True, False, False]),
        ("f: null", ["", "a", None], [False, False, True]),
        ("f: [null, a]", ["", "A", None], [False, True, True]),
        ("f: 'a*'", ["ab", "a", "ba", None], [True, True, False, False]),
        ("f: '*a'", ["ba", "ab", None], [True, False, False]),
        ("f: '*a*'", ["bab", "b", None], [True, False, False]),
        ("f: '*'", ["", "x", None], [True, True, False]),
        ("f: 'a?c'", ["abc", "a漢c", "ac", "a\nc"], [True, True, False, True]),
        ("f: 'a*b?c'", ["axxbyc", "A\nBzC", "abc"], [True, True, False]),
        ("f: 'a\\*b'", ["a*b", "axb"], [True, False]),
        ("f: 'C:\\\\Temp\\\\*.log'", ["c:\\temp\\x.LOG", "c:/temp/x.log"], [True, False]),
        ("f|contains: b.c", ["ab.cd", "abxcd", None], [True, False, False]),
        ("f|contains: [b, c]", ["xB", "xc", "x", None], [True, True, False, False]),
        ("f|contains|all: [b, c]", ["bxc", "b", None], [True, False, False]),
        ("f|startswith: ab", ["ABc", "cab", None], [True, False, False]),
        ("f|endswith: ab", ["cAB", "abc", None], [True, False, False]),
        ("f|cased: Ab", ["Ab", "ab", None], [True, False, False]),
        ("f|contains|cased: Ab", ["xAbx", "xabx", None], [True, False, False]),
        ("f|cased: 'A*b?c'", ["AxbYc", "axbyc"], [True, False]),
        ("f: 個人番号", ["個人番号", "個人", None], [True, False, False]),
        ("f|contains: ＡＢ", ["xａｂx", "ab"], [True, False]),
    ],
)
def test_text(item: str, values: list[str | None], expected: list[bool]):
    assert matches(item, f=values) == expected


@pytest.mark.parametrize(
    ("item", "values", "expected"),
    [
        ("f|re: '^a.c$'", ["abc", "ABC", "xabc", None], [True, False, False, False]),
        ("f|re|i: 'a.c'", ["xABCx", "abd"], [True, False]),
        ("f|re|s: 'a.c'", ["a\nc"], [True]),
        ("f|re: 'a.c'", ["a\nc"], [False]),
        ("f|re|m: '^b$'", ["a\nb"], [True]),
        ("f|re: '^b$'", ["a\nb", "b\n"], [False, False]),
        # RE2: Perl classes are ASCII.
        ("f|re: '\\d'", ["1", "１"], [True, False]),
        ("f|re: '^\\w+$'", ["a_1", "é", "漢"], [True, False, False]),
        ("f|re: '^[\\w.]+$'", ["a.b", "é.b"], [True, False]),
        ("f|re: '^[^\\d]$'", ["a", "1", "１"], [True, False, True]),
        ("f|re: '\\s'", [" ", "\u3000"], [True, False]),
        ("f|re: '\\bx\\b'", ["éx", "ax", "x"], [True, False, True]),
        # What stands for itself in RE2 and means something in Rust.
        ("f|re: '[a&&b]'", ["&", "a", "c"], [True, True, False]),
        ("f|re: '[[a]'", ["[", "a", "b"], [True, True, False]),
        ("f|re: '[]a]'", ["]", "a", "b"], [True, True, False]),
        ("f|re: '[[:alpha:]_]'", ["a", "_", "1"], [True, True, False]),
        ("f|re: 'a{b'", ["a{b", "ab"], [True, False]),
        ("f|re: '^a{2}$'", ["aa", "a"], [True, False]),
        ("f|re: '\\<x\\>'", ["<x>", "x"], [True, False]),
        ("f|re: '\\Qa.b\\E+'", ["a.bb", "axb"], [True, False]),
    ],
)
def test_regular_expressions_mean_what_re2_says(item: str, values: list[str | None], expected: list[bool]):
    assert matches(item, f=values) == expected


@pytest.mark.parametrize("pattern", ["(?=a)b", "(a)\\\\1", "a**", "(", "\\\\C"])
def test_a_regular_expression_outside_re2_is_refused(pattern: str):
    text = f'title: t\nlogsource: {{product: x}}\ndetection:\n  s:\n    f|re: "{pattern}"\n  condition: s\n'

    assert isinstance(rulebook.parse(text.encode(), "x.yml"), rulebook.Refused)


@pytest.mark.parametrize(
    ("item", "values", "expected"),
    [
        ("f: 4624", [4624, 1, None], [True, False, False]),
        ("f: 4624", [4624.0, 1.5, None], [True, False, False]),
        ("f: 4624", ["4624", "04624", None], [True, False, False]),
        ("f: '4624'", [4624, 1, None], [True, False, False]),
        ("f|lt: 3", [2, 3, None], [True, False, False]),
        ("f|lte: 3", [3, 4, None], [True, False, False]),
        ("f|gt: 3", [4, 3, None], [True, False, False]),
        ("f|gte: 3", [3, 2, None], [True, False, False]),
        ("f|gte: 2.5", [2.5, 2.4, None], [True, False, False]),
        ("f|gte: 2.5", [3, 2, None], [True, False, False]),
        ("f|gt: 3", [4.0, float("nan"), None], [True, False, False]),
        ("f|gt: 3", ["4", "NaN", "x", None], [True, False, False, False]),
        ("f: true", [True, False, None], [True, False, False]),
        ("f: false", [True, False, None], [False, True, False]),
        ("f: true", ["True", "no", None], [True, False, False]),
        ("f|exists: true", [0, None], [True, False]),
        ("f|exists: false", [0, None], [False, True]),
        ("f|neq: 5", [5, 6, None], [False, True, True]),
    ],
)
def test_numbers_and_flags(item: str, values: list[Any], expected: list[bool]):
    frame = pl.DataFrame({"f": values})
    bound = sigma.expression(tree(f"s:\n  {item}"), frame.schema)

    assert frame.with_columns(hit=bound)["hit"].to_list() == expected


@pytest.mark.parametrize(
    ("network", "values", "expected"),
    [
        ("192.0.2.0/25", ["192.0.2.127", "192.0.2.128", "x", None, "::1"], [True, False, False, False, False]),
        ("2001:db8::/32", ["2001:DB8:0:1::5", "2001:db9::", "192.0.2.1"], [True, False, False]),
        ("192.0.2.7/32", ["192.0.2.7", " 192.0.2.7 ", "192.0.2.70"], [True, True, False]),
    ],
)
def test_cidr(network: str, values: list[str | None], expected: list[bool]):
    assert matches(f"f|cidr: '{network}'", f=values) == expected


def test_fieldref_compares_two_columns():
    assert matches("f|fieldref: g", f=["a", "b", None, "c"], g=["A", "c", None, None]) == [True, False, False, False]
    assert matches("f|fieldref: g", f=[1, 2, None], g=[1, 3, None]) == [True, False, False]
    assert matches("f|fieldref|startswith: g", f=["abc", "bc"], g=["AB", "AB"]) == [True, False]
    assert matches("f|fieldref|endswith: g", f=["abc", "ab"], g=["BC", "BC"]) == [True, False]
    assert matches("f|fieldref|contains: g", f=["abc", "ab"], g=["B", "c"]) == [True, False]


def test_encodings_expand_to_alternatives():
    assert matches("f|windash|contains: ' -x'", f=["a /x", "a -x", "ax"]) == [True, True, False]
    assert matches("f|base64offset|contains: secret", f=["eHhzZWNyZXQ=", "plain secret"]) == [True, False]


def test_not_is_true_where_the_field_is_absent():
    frame = pl.DataFrame({"f": ["a", "b", None]})
    parsed = tree("s:\n  f: a", "not s")

    assert frame.with_columns(hit=sigma.expression(parsed, frame.schema))["hit"].to_list() == [False, True, True]


def test_columns_that_a_frame_lacks_count_as_absent():
    frame = pl.DataFrame({"f": ["a", "b"]})
    cases = {
        "s:\n  g: a": [False, False],
        "s:\n  g: null": [True, True],
        "s:\n  g|exists: false": [True, True],
        "s:\n  f: a\n  g|gt: 1": [False, False],
        "s:\n  f|fieldref: g": [False, False],
        "s:\n  - g: [a, b]\n  - f: a": [True, False],
    }
    for detection, expected in cases.items():
        parsed = tree(detection)
        assert frame.with_columns(hit=sigma.expression(parsed, frame.schema))["hit"].to_list() == expected, detection


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("a and b", [True, False, False, False]),
        ("a or b", [True, True, True, False]),
        ("a and not b", [False, True, False, False]),
        ("not (a or b)", [False, False, False, True]),
        ("not not a", [True, True, False, False]),
        ("1 of them", [True, True, True, False]),
        ("all of them", [True, False, False, False]),
        ("any of a*", [True, True, False, False]),
        ("b or a and not b", [True, True, True, False]),
    ],
)
def test_conditions(condition: str, expected: list[bool]):
    frame = pl.DataFrame({"f": [1, 1, 0, 0], "g": [1, 0, 1, None]})
    parsed = tree("a:\n  f: 1\nb:\n  g: 1", condition)

    assert frame.with_columns(hit=sigma.expression(parsed, frame.schema))["hit"].to_list() == expected


def test_lists_of_maps_are_alternatives():
    frame = pl.DataFrame({"f": ["a", "b", "c"], "g": [1, 2, 3]})
    parsed = tree("s:\n  - f: a\n    g: 1\n  - f: b\n    g: 9\n  - g: 3")

    assert frame.with_columns(hit=sigma.expression(parsed, frame.schema))["hit"].to_list() == [True, False, True]


@pytest.mark.parametrize(
    ("detection", "condition", "says"),
    [
        ("s: [needle]", "s", "keywords"),
        ("s:\n  '|contains': needle", "s", "keywords"),
        ("s:\n  f|expand: '%users%'", "s", "placeholders"),
        ("s:\n  f|hour: 3", "s", "time.hour"),
        ("s:\n  f: a", "s and t", "t"),
        ("s:\n  f: a", "s | count() > 5", "pipe"),
        ("s:\n  f: a", "1 of x*", "x*"),
        ("s:\n  f: a", "s and (", "Expected"),
        ("s:\n  f: a", "not " * 5000 + "s", "nested"),
        ("s:\n  f|nonsense: a", "s", "nonsense"),
        ("s:\n  f|cidr: 192.0.2.300/24", "s", "CIDR"),
        ("s:\n  f|gt: many", "s", "incompatible"),
    ],
)
def test_what_has_no_meaning_here_is_refused_with_a_reason(detection: str, condition: str, says: str):
    lines = "\n".join(f"  {line}" for line in detection.splitlines())
    text = f"title: t\nlogsource: {{product: x}}\ndetection:\n{lines}\n  condition: '{condition}'\n"

    refused = rulebook.parse(text.encode(), "x.yml")

    assert isinstance(refused, rulebook.Refused)
    assert refused.line == 3
    assert says in refused.reason


def test_equal_conditions_make_equal_trees():
    assert tree("s:\n  f|contains: [a, b]") == tree("s:\n  f|contains: [a, b]")
    assert len({tree("s:\n  f: a"), tree("s:\n  f: a"), tree("s:\n  f: b")}) == 2
    assert sigma.fields(tree("s:\n  b: 1\n  a|fieldref: c")) == ("a", "b", "c")


def test_an_empty_frame_gives_an_empty_answer():
    frame = pl.DataFrame(schema={"f": pl.String})

    assert frame.filter(sigma.expression(tree("s:\n  f|cidr: 192.0.2.0/24"), frame.schema)).is_empty()


# --- public rules and logs --------------------------------------------------------------------------------------------


def documents(text: str) -> Iterator[dict[str, Any]]:
    decoder, at = json.JSONDecoder(), 0
    while at < len(text):
        value, at = decoder.raw_decode(text, at)
        yield from value if isinstance(value, list) else [value]
        while at < len(text) and text[at].isspace():
            at += 1


def flat(value: dict[str, Any]) -> dict[str, str]:
    out: dict[str, str] = {}
    for key, item in value.items():
        if isinstance(item, dict):
            out |= flat(item)
        elif item is not None:
            out[key.replace(" ", "")] = item if isinstance(item, str) else json.dumps(item)
    return out


@pytest.mark.shared
def test_public_rules_load_or_are_refused_with_a_reason(shared: Path):
    book = rulebook.load(shared / "data" / "rules_sample", "**/*.yml")

    assert len(book.rules) + len(book.refused) == 400
    assert len(book.rules) >= 360
    assert all("keywords" in refused.reason for refused in book.refused)


@pytest.mark.shared
def test_public_rules_match_the_logs_that_they_must_match(shared: Path):
    folder = shared / "data" / "sigmahq_regression"
    by_id = {rule.id: rule for rule in rulebook.load(folder, "rules*/**/*.yml").rules}
    missed = []
    for case in json.loads((folder / "index.json").read_text())["cases"]:
        for log in case["logs"]:
            frame = pl.DataFrame([flat(row) for row in documents((folder / log["path"]).read_text())])
            missed += [rule["path"] for rule in case["rules"] if rulebook.match(frame, [by_id[rule["id"]]]).is_empty()]

    assert not missed
