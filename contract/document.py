"""`docs/event.md` and `contract/examples/`, made from the tables of the contract: `python -m contract.document`."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

import polars as pl

from contract import decision, event, finding, notice, plain, rejected, sealed, shape, wire
from contract.topics import TOPICS

HEARTBEAT = {
    "event.id": "e07d1f9a0c3b5582",
    "event.schema": event.SCHEMA_VERSION,
    "event.class": "heartbeat",
    "time.occurred": 1775091000000,
    "time.received": 1775091000400,
    "agent.id": "ag-welfare",
    "agent.boot": "77ab0c12",
    "agent.seq": 50260,
    "resource.count": 49,
}


def files() -> dict[str, str]:
    """Every generated file: path from the top of the project, and its text."""
    return {
        "docs/event.md": page(),
        "contract/examples/events.ndjson": events(),
        "contract/examples/finding.json": json.dumps(finding.example(), ensure_ascii=False, indent=2) + "\n",
        "contract/examples/decision.json": json.dumps(decision.example(), ensure_ascii=False, indent=2) + "\n",
        "contract/examples/exception.json": json.dumps(
            decision.example(decision.DecisionKind.EXCEPTION), ensure_ascii=False, indent=2
        )
        + "\n",
        "contract/examples/notice.json": json.dumps(notice.example(), ensure_ascii=False, indent=2) + "\n",
    }


def events() -> str:
    """Three events as they travel: one with every key, one with only the required ones, and a heartbeat."""
    every = {field.key: field.example for field in event.FIELDS}
    least = {key: every[key] for key in event.REQUIRED} | {"event.id": "c11be04a77d90213"}
    return wire.encode(pl.DataFrame([every, least, HEARTBEAT], schema=event.schema())).decode()


def page() -> str:
    """`docs/event.md`."""
    return "\n\n".join(
        [
            "<!-- Made by `python -m contract.document` from contract/; do not edit. -->",
            "# What the parts agree on",
            "The event, how it travels, what is refused, the topics, the finding, the notice and the decision. "
            "The code is `contract/`; examples stand in `contract/examples/`.",
            *_event(),
            *_wire(),
            *_rejected(),
            *_topics(),
            *_finding(),
            *_notice(),
            *_decision(),
        ]
    ) + "\n"  # fmt: skip


def _event() -> Iterable[str]:
    yield "## The event"
    yield (
        f"One line of an access log as a flat JSON object with dotted keys, version {event.SCHEMA_VERSION}. Absent means "
        "unknown: null and the empty string are read as absent and never written. Times are UTC milliseconds. "
        f"Required are {_list(f'`{key}`' for key in event.REQUIRED)}. Integers are 64 bit. OCSF is the Open Cybersecurity "
        "Schema Framework (https://schema.ocsf.io), FHIR its AuditEvent (https://hl7.org/fhir/auditevent.html)."
    )
    rows = [
        (f"`{field.key}`", field.kind, _meaning(field), f"`{json.dumps(field.example, ensure_ascii=False)}`",
         field.ocsf, field.fhir)
        for field in event.FIELDS
    ]  # fmt: skip
    yield _table(("key", "type", "meaning", "example", "OCSF", "FHIR"), rows)


def _meaning(field: event.Field) -> str:
    words = f": {_list((f'`{word}`' for word in field.values), 'or')}" if field.values else ""
    bounds = {
        (True, True): f" ({field.minimum} … {field.maximum})",
        (True, False): f" (at least {field.minimum})",
        (False, True): f" (at most {field.maximum})",
    }
    return field.meaning + words + bounds.get((field.minimum is not None, field.maximum is not None), "")


def _wire() -> Iterable[str]:
    yield "## How events travel"
    yield (
        "As NDJSON in UTF-8: one object a line, every line ended by a newline, keys in the order of the table, absent ones "
        "left out. Readers also take any order of keys, blank lines, CRLF, a byte order mark and a missing last newline; "
        "unknown keys are ignored and counted, so that an older reader takes newer events. A line may have up to "
        f"{plain.MAX_LINE_BYTES:,} bytes."
    )
    yield (
        f"An agent packs up to {sealed.MAX_EVENTS:,} events, at most {sealed.MAX_BYTES:,} bytes, into a record and seals it with "
        "these headers, in this order. What is hashed and how keys follow one another stands in `contract/sealed.py`. "
        "Third parties may send records of one event without them; these prove nothing."
    )
    yield _table(("header", "meaning"), [(f"`{name}`", meaning) for name, meaning in sealed.HEADERS.items()])


def _rejected() -> Iterable[str]:
    yield "## What is refused"
    yield (
        "A line that is no event is refused alone and kept: its source and position, a reason, what is wrong in words "
        f"(all problems at once), and its first {rejected.KEPT_CHARS} characters, masked. The reason is that of the "
        "first problem."
    )
    yield _table(("reason", "meaning"), [(f"`{reason}`", meaning) for reason, meaning in rejected.MEANING.items()])


def _topics() -> Iterable[str]:
    yield "## Topics"
    yield _table(
        ("topic", "key", "value", "written by", "read by", "meaning"),
        [
            (f"`{topic.name}`", topic.key, topic.value, ", ".join(topic.producers), ", ".join(topic.consumers), topic.meaning)
            for topic in TOPICS
        ],
    )  # fmt: skip


def _finding() -> Iterable[str]:
    yield "## The finding"
    yield (
        f"An OCSF {finding.OCSF_VERSION} Detection Finding (https://schema.ocsf.io/1.8.0/classes/detection_finding), one "
        "JSON object a line. `[]` stands for each item of a list. Keys without a mark are there wherever the object around "
        "them is; *opt.* may be absent, *null* may be null."
    )
    yield _fields(finding.FIELDS)


def _notice() -> Iterable[str]:
    yield "## The notice"
    yield (
        "What becomes of an alert, one JSON object a record. An alert is what pages somebody: one or more findings that say the "
        "same of the same person or group within 24 hours. Every notice says all there is to say of its alert, so the one with "
        "the greatest `revision` takes the place of those before; a notice that comes twice has equal bytes. Texts may "
        "hold what a log held: whoever shows them makes them inert first."
    )
    yield _fields(notice.FIELDS)


def _decision() -> Iterable[str]:
    yield "## The decision"
    yield (
        "What people decided about a finding, one JSON object a record, at most "
        f"{decision.MOST_BYTES:,} bytes. A closed case resolves the alert that the finding is in. An exception says what pages "
        f"nobody from `time` to `until`: it needs `by`, `until` and at least one of {_list(f'`{key}`' for key in decision.SCOPE)}, "
        "and all of these that it names have to fit. A later one of the same three takes its place; one whose `until` lies before its "
        "`time` withdraws it."
    )
    yield _fields(decision.FIELDS)


def _fields(fields: Iterable[shape.Field]) -> str:
    rows = [
        (f"`{field.path}`", field.type, " ".join(["opt."] * (not field.required) + ["null"] * field.nullable),
         field.meaning + _values(field), f"`{json.dumps(field.example, ensure_ascii=False)}`")
        for field in fields
    ]  # fmt: skip
    return _table(("key", "type", "", "meaning", "example"), rows)


def _values(field: shape.Field) -> str:
    words = [f"`{word}`" for word in field.values if isinstance(word, str)]
    return f": {_list(words, 'or')}" if len(words) > 1 else ""


def _list(items: Iterable[str], last: str = "and") -> str:
    *most, end = items
    return f"{', '.join(most)} {last} {end}" if most else end


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    cells = [head, ["---"] * len(head), *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    return "\n".join("| " + " | ".join(row) + " |" for row in cells)


def main() -> int:
    """Write the generated files into the checkout that this module stands in."""
    top = Path(__file__).resolve().parents[1]
    for name, text in files().items():
        path = top / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        print(f"wrote {name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
