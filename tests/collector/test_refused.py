"""What is kept of lines that could not become an event."""

from __future__ import annotations

import polars as pl

from collector.refused import refuse
from registers.mask import MASK

NUMBER = "123456789018"


def _kept(declare, text: str, line: str, reason: str = "columns") -> str:
    rows = pl.DataFrame({"offset": [0], "reason": [reason], "detail": ["has 3 columns"], "line": [line]})
    return refuse(rows, declare(text), "x.csv").get_column("line").item()


DECLARED = 'id = "ops"\nformat = "delimited"\ntime = "t"\ntime_formats = ["%Y%m%d%H%M"]\n[constants]\n"event.class" = "access"\n'


def test_a_my_number_in_a_refused_line_is_masked_in_whatever_spelling(declare):
    line = f"202604010006,{NUMBER},%31%32%33456789018,１２３４ー５６７８ー９０１８"
    assert _kept(declare, DECLARED, line) == f"202604010006,{MASK},{MASK},{MASK}"


def test_a_stamp_stays_only_where_the_source_declares_its_format(declare):
    stamp = "202604010006"  # its last digit is a right check digit
    assert _kept(declare, DECLARED, f"{stamp},x") == f"{stamp},x"
    assert _kept(declare, DECLARED.replace('time_formats = ["%Y%m%d%H%M"]\n', ""), f"{stamp},x") == f"{MASK},x"


def test_ids_of_people_on_file_are_blotted_out_of_refused_lines(declare):
    text = f'{DECLARED}[columns]\n"subject.token" = "宛名番号"\n'
    assert _kept(declare, text, "1234,0012345,x") == "1234,#####,x"
    assert _kept(declare, text, "id=%30%30%31%32%33&n=%EF%BC%91234５") == "id=#####&n=#####"


def test_a_line_that_is_cut_ends_before_the_number_that_the_cut_goes_through(declare):
    assert _kept(declare, DECLARED, "x" * 495 + "%31%32%33456789018") == "x" * 495
