"""What the agent says: one masked line per message."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest

from service.logs import set_up
from service.settings import Log

MY_NUMBER = "123456789018"


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    root, kafka = logging.getLogger(), logging.getLogger("kafka")
    before = root.handlers[:], root.level, kafka.level, logging.raiseExceptions
    yield io.StringIO()
    root.handlers[:], level, kafka_level, logging.raiseExceptions = before
    root.setLevel(level)
    kafka.setLevel(kafka_level)


def test_a_message_is_one_line_with_time_level_and_place(stream: io.StringIO) -> None:
    set_up(Log(), stream, {})
    logging.getLogger("collector.follow").warning("log/%s was truncated", "ops.csv")

    time, level, where, *words = stream.getvalue().split(" ")
    assert time.endswith("Z")
    assert (level, where) == ("warning", "collector.follow:")
    assert words == ["log/ops.csv", "was", "truncated\n"]


def test_json_has_the_same_in_one_object_a_line(stream: io.StringIO) -> None:
    set_up(Log(format="json"), stream, {"JOURNAL_STREAM": "8:1"})
    logging.getLogger("collector").error("住民\n二行目")

    [line] = stream.getvalue().splitlines()
    said = json.loads(line)
    assert said.keys() == {"time", "level", "logger", "message"}
    assert (said["level"], said["message"]) == ("error", "住民\\n二行目")


def test_journald_gets_priorities_instead_of_times(stream: io.StringIO) -> None:
    set_up(Log(level="debug"), stream, {"JOURNAL_STREAM": "8:1"})
    for level in (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR):
        logging.getLogger("collector").log(level, "x")

    assert stream.getvalue() == "<7>collector: x\n<6>collector: x\n<4>collector: x\n<3>collector: x\n"


@pytest.mark.parametrize("form", ["text", "json"])
def test_my_numbers_are_masked_in_messages_and_tracebacks(stream: io.StringIO, form: str) -> None:
    set_up(Log.model_validate({"format": form}), stream, {})
    logging.getLogger("collector").info("line %s is torn", MY_NUMBER)
    try:
        int(f"{MY_NUMBER}x")
    except ValueError:
        logging.getLogger("collector").exception("a bug")

    said = stream.getvalue()
    assert MY_NUMBER not in said
    assert said.count("[個人番号]") == 2
    assert len(said.splitlines()) == 2
    assert "ValueError" in said


def test_what_a_log_or_a_file_name_holds_cannot_forge_lines_or_paint_the_terminal(stream: io.StringIO) -> None:
    set_up(Log(), stream, {})
    logging.getLogger("collector").info("a\nb\r\x1b[31mred\u2028c\u202ed\x00\x85 \udcff 日本語")

    said = stream.getvalue()
    assert said.endswith("a\\nb\\r\\x1b[31mred\\u2028c\\u202ed\\x00\\x85 \\udcff 日本語\n")
    assert len(said.splitlines()) == 1


def test_messages_below_the_level_and_chatter_of_the_kafka_client_are_left_out(stream: io.StringIO) -> None:
    set_up(Log(level="warning"), stream, {})
    logging.getLogger("collector").info("x")
    set_up(Log(), stream, {})
    logging.getLogger("kafka.conn").info("connected")
    logging.getLogger("collector").info("y")

    assert stream.getvalue().endswith(" info collector: y\n")
    assert stream.getvalue().count("\n") == 1


def test_a_closed_stream_does_not_stop_the_agent(stream: io.StringIO, capfd: pytest.CaptureFixture[str]) -> None:
    set_up(Log(), stream, {})
    stream.close()

    logging.getLogger("collector").error("nobody hears this")

    assert capfd.readouterr().err == ""
