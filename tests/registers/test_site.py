"""The site folder."""

import re
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from registers.register import REGISTERS, read
from registers.site import Site, SiteError, load
from registers.tokens import SiteKey, household_tokens, subject_tokens

KEY = SiteKey(b"a key for tests only")

STAFF = """actor_id,type,dept,start,end,subject_id,household_id,area,valid_from,valid_to
100231,staff,shimin,R5.4.1,R8.3.31,0001,H1,A03,R5.4.1,R7.3.31
100231,staff,zeimu,R5.4.1,R8.3.31,0001,H1,A03,R7.4.1,
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "site.toml").write_text('[keys]\nsite = "site.key"', encoding="utf-8")
    (tmp_path / "site.key").write_bytes(KEY.secret)
    return tmp_path


def _write(folder: Path, name: str, text: str, code: str = "utf-8") -> Site:
    (folder / f"{name}.csv").write_bytes(text.encode(code))
    return load(folder)


def test_every_register_is_there_typed_and_empty_where_missing(folder):
    site = load(folder)
    assert list(site.tables) == list(REGISTERS)
    assert len(site.tables) == 13
    assert all(table.is_empty() for table in site.tables.values())
    assert site.missing == frozenset(REGISTERS)
    assert site.tables["bases"].schema == {
        "basis_ref": pl.String, "kind": pl.String, "subject.token": pl.String, "opened": pl.Int64, "closed": pl.Int64,
        "dept": pl.String, "valid_from": pl.Int64, "valid_to": pl.Int64,
    }  # fmt: skip
    assert site.problems == ()
    assert site.notes == ()


def test_a_row_is_valid_from_the_first_to_the_last_moment_of_its_dates(folder):
    site = _write(folder, "staff", STAFF)
    first, second = site.tables["staff"].to_dicts()
    assert second["valid_from"] - first["valid_to"] == 1
    assert second["valid_to"] is None
    assert first["end"] == site.config.moment("2026-03-31", end_of_day=True)
    assert first["start"] == site.config.moment("2023-04-01")
    assert site.problems == ()


def test_an_end_that_is_a_moment_reaches_up_to_it(folder):
    site = _write(
        folder,
        "presence",
        "actor_id,kind,from,to\na,leave,2026-04-01 12:00,2026-04-01 17:15\na,overtime,R8.4.1 24:00,R8.4.1 29:00\n",
    )
    leave, overtime = site.tables["presence"].to_dicts()
    assert leave["to"] == site.config.moment("2026-04-01 17:15")
    assert overtime["from"] == site.config.moment("2026-04-02")
    assert overtime["to"] == site.config.moment("2026-04-02 05:00")


def test_people_on_file_are_tokens_from_the_moment_of_loading(folder):
    [row, _] = _write(folder, "staff", STAFF).tables["staff"].to_dicts()
    assert row["subject.token"] == subject_tokens(pl.Series(["0001"]), KEY).item()
    assert row["household.token"] == household_tokens(pl.Series(["H1"]), KEY).item()
    assert "subject_id" not in row


def test_tokens_are_taken_as_they_are_where_the_site_says_so(folder):
    (folder / "site.toml").write_text("subjects_are_tokens = true")
    site = _write(folder, "subjects", "subject_id,protected,vip,expiry\ns_91d2c0aa3be47710,1,,R8.4.30\nperson-7,0,1,\n")
    assert site.tables["subjects"].select("subject.token", "protected", "vip").rows() == [
        ("s_91d2c0aa3be47710", True, False),
        ("person-7", False, True),
    ]
    assert site.key is None
    assert site.problems == ()


def test_a_site_that_says_the_wrong_thing_about_tokens_is_told(folder):
    site = _write(folder, "subjects", "subject_id\ns_91d2c0aa3be47710\n")
    assert site.problems == (
        "subjects.csv: subject_id: values look like tokens already: if so, set subjects_are_tokens = true in site.toml",
    )
    (folder / "site.toml").write_text("subjects_are_tokens = true")
    site = _write(folder, "subjects", "subject_id\n0001\n")
    assert "values look like raw ids" in site.problems[0]


def test_a_missing_key_file_is_a_problem_and_the_other_key_is_used(folder):
    (folder / "site.key").unlink()
    (folder / "staff.csv").write_text(STAFF)
    fallback = SiteKey(b"another key of the agent")
    site = load(folder, fallback)
    assert site.problems == (
        "site.toml: keys.site: site.key: key file cannot be read (No such file or directory): put the site's key there; "
        "the key given otherwise is used",
    )
    assert site.key == fallback
    assert site.tables["staff"]["subject.token"][0] == subject_tokens(pl.Series(["0001"]), fallback).item()


def test_a_short_key_is_used_and_told(folder):
    (folder / "site.key").write_text("demo")
    site = load(folder)
    assert site.key == SiteKey(b"demo")
    assert site.problems == ()
    assert site.notes == ("site.key: key is short enough to be guessed, used: plan a change to 32 bytes",)


def test_without_any_key_raw_ids_are_dropped_and_what_needs_them_is_missing(folder):
    (folder / "site.toml").write_text("")
    (folder / "subjects.csv").write_text("subject_id,area\n0001,A03\n")
    site = _write(folder, "staff", STAFF)
    assert site.tables["staff"]["subject.token"].to_list() == [None, None]
    assert site.tables["staff"]["dept"].to_list() == ["shimin", "zeimu"]
    assert not site.has("staff", "subject_id")
    assert site.has("staff", "dept")
    assert not site.has("subjects")
    assert site.problems == (
        "site.toml: keys.site: without a key ids of people on file cannot be tokenised: they are left out of staff.csv, subjects.csv",
    )


@pytest.mark.parametrize("code", ["utf-8", "utf-8-sig", "cp932"])
def test_a_register_may_come_in_each_code_file_by_file(folder, code):
    site = _write(folder, "staff", "actor_id,company,dept\r\n１００２３１,㈱架空①,髙齢福祉\r\n", code)
    [row] = site.tables["staff"].to_dicts()
    assert (row["actor_id"], row["company"], row["dept"]) == ("100231", "(株)架空1", "髙齢福祉")
    assert site.problems == ()


def test_columns_left_out_are_missing_and_columns_too_many_are_noted_once(folder):
    site = _write(folder, "staff", "actor_id,departmnt,phone,phones\n1,x,2,3\n2,y,2,3\n")
    assert site.has("staff", "actor_id")
    assert not site.has("staff", "area")
    assert "staff.area" in site.missing
    assert "staff" not in site.missing
    assert site.notes == (
        "staff.csv: column 'departmnt' is not used, did you mean \"dept\"?",
        "staff.csv: column 'phone' is not used",
        "staff.csv: column 'phones' is not used",
    )
    assert site.tables["staff"].height == 2


def test_unknown_kinds_are_kept_and_noted_once(folder):
    site = _write(folder, "presence", "actor_id,kind\na,on-site\nb,sabbatical\nc,sabbatical\nd,onsite\n")
    assert site.tables["presence"]["kind"].to_list() == ["on-site", "sabbatical", "sabbatical", "onsite"]
    assert site.notes == (
        "presence.csv: kind 'onsite' is none of the contract's, kept (1 row), did you mean \"on-site\"?",
        "presence.csv: kind 'sabbatical' is none of the contract's, kept (2 rows)",
    )


def test_a_register_without_its_key_column_counts_as_missing(folder):
    site = _write(folder, "staff", "id,dept\n1,x\n")
    assert not site.has("staff")
    assert site.problems == ("staff.csv: column actor_id missing: the register is not used; add it to the header line",)


def test_either_of_two_keys_is_enough(folder):
    site = _write(folder, "devices", "serial,kind\nUSB-1,media\n,card\n")
    assert site.tables["devices"]["serial"].to_list() == ["USB-1"]
    assert site.problems == ("devices.csv: line 3: device_id and serial: empty: row not used",)


def test_bad_rows_are_refused_by_line_and_the_rest_is_used(folder):
    rows = [
        "actor_id,kind,from,to,note",
        'a,leave,2026-04-01,2026-04-02,"two',
        'lines"',
        "b,leave,R8.13.1,,",
        "",
        "c,leave,2026-04-03,2026-04-01,",
        "d,leave",
        ",leave,,,",
        ",,,,",
        "e,leave,,,,,",
        "f,leave,,,,x",
    ]
    site = _write(folder, "presence", "\n".join(rows))
    assert site.tables["presence"]["actor_id"].to_list() == ["a", "e"]
    assert site.problems == (
        "presence.csv: line 4: from: 'R8.13.1' is no date: row not used",
        "presence.csv: line 6: to: '2026-04-01' lies before from '2026-04-03': row not used",
        "presence.csv: line 7: 2 values under 5 columns, check commas and quotes: row not used",
        "presence.csv: line 8: actor_id: empty: row not used",
        "presence.csv: line 11: 6 values under 5 columns, check commas and quotes: row not used",
    )


def test_marks_and_numbers(folder):
    site = _write(
        folder,
        "counts",
        'system,what,value,as_of\nwelfare,subjects on file,"9,999",R8.4.1\nwelfare,permitted handlers,many,\n',
    )
    assert site.tables["counts"]["value"].to_list() == [9999]
    assert site.problems == ("counts.csv: line 3: value: 'many' is no whole number: row not used",)
    site = _write(folder, "incidents", "date,serious\nR8.4.1,○\nR8.4.2,maybe\nR8.4.3,\n")
    assert site.tables["incidents"]["serious"].to_list() == [True, False]
    assert site.problems[-1] == "incidents.csv: line 3: serious: 'maybe' is neither 1 nor 0: row not used"


def test_many_bad_rows_are_counted(folder):
    site = _write(folder, "incidents", "date\n" + "R8.13.1\n" * 100)
    assert len(site.problems) == 21
    assert site.problems[-1] == "incidents.csv: 80 more rows not used for such reasons, the last at line 101"


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "staff.csv: is empty, not even a header line: the register counts as missing"),
        (b"\n\n", "staff.csv: is empty, not even a header line: the register counts as missing"),
        (b"PK\x03\x04\0\0", "staff.csv: is no text in UTF-8 or CP932: save it as CSV UTF-8; the register is not used"),
        (b"actor_id\n1\n\xff\xff\n", "staff.csv: line 3: byte 11 is neither UTF-8 nor CP932: save the file as CSV UTF-8; the register is not used"),
        (b"actor_id,actor_id\n1,2\n", "staff.csv: line 1: column 'actor_id' stands there twice: the register is not used"),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_read_counts_as_missing(folder, data, problem):
    (folder / "staff.csv").write_bytes(data)
    (folder / "labels.csv").write_text("code,ja\nWE110,照会\n", encoding="utf-8")
    site = load(folder)
    assert site.problems == (problem,)
    assert "staff" in site.missing
    assert site.tables["labels"].height == 1


def test_an_open_quote_is_named_and_what_stands_before_it_is_used(folder):
    site = _write(folder, "staff", 'actor_id,dept\n1,x\n2,"y\n3,z\n')
    assert site.tables["staff"]["actor_id"].to_list() == ["1"]
    assert site.problems == (
        "staff.csv: line 3: unexpected end of data: nothing from here on is used; look for a quote that is not closed",
    )


def test_a_register_with_a_header_only_is_there_and_says_that_there_are_none(folder):
    site = _write(folder, "incidents", "date,system,serious,summary,known_at,valid_from,valid_to\n")
    assert site.has("incidents", "known_at", "valid_to")
    assert site.tables["incidents"].is_empty()


def test_the_ledger_shows_people_on_file_as_tokens_and_masks_my_numbers(folder):
    (folder / "subjects.csv").write_text("subject_id\n0001\n")
    site = _write(folder, "ledger", "kind,target,content\nuse,0001,x\nuse,USB-1,個人番号123456789018\n")
    token = subject_tokens(pl.Series(["0001"]), KEY).item()
    assert site.tables["ledger"].select("target", "target.token", "content").rows() == [
        (token, token, "x"),
        ("USB-1", None, "個人番号[個人番号]"),
    ]


def test_a_wrong_site_toml_is_refused_with_the_problems_of_the_registers(folder):
    (folder / "site.toml").write_text("[limits]\nidle_mins = 3\n")
    (folder / "incidents.csv").write_text("date\nR8.13.1\n")
    with pytest.raises(SiteError) as refused:
        load(folder, KEY)
    assert refused.value.problems == [
        'site.toml: limits.idle_mins: unknown key, did you mean "idle_min"?',
        "incidents.csv: line 2: date: 'R8.13.1' is no date: row not used",
    ]


def test_a_folder_that_is_not_there_is_said_so(tmp_path):
    with pytest.raises(SiteError, match=r"cannot be read \(No such file or directory\): give the folder"):
        load(tmp_path / "nowhere")


def test_a_folder_without_site_toml_is_used_and_told(tmp_path):
    site = _write(tmp_path, "labels", "code\nWE110\n")
    assert site.problems == ()
    assert site.notes == ("site.toml: not there: nothing but the registers is known of this organisation",)
    assert "site.toml" in site.missing
    assert site.has("labels")


def test_words_of_site_toml_that_match_nothing_are_noted(folder):
    (folder / "site.toml").write_text(
        '[systems.w]\nauth = "passwort"\nprohibited = ["send"]\ndepartments = ["a", "b"]\n[departments]\na = "x"\n'
        '[[emergencies]]\nfrom = 2026-04-01\nsystems = ["v"]\n'
    )
    (folder / "stafff.csv").write_text("x")
    assert load(folder).notes == (
        'stafff.csv: is not used, no register has that name, did you mean "staff.csv"?',
        "site.toml: systems.w.auth: 'passwort' is known nowhere else, kept, did you mean \"password\"?",
        "site.toml: systems.w.departments: 'b' is known nowhere else, kept",
        "site.toml: emergencies.systems: 'v' is known nowhere else, kept",
    )


def test_the_version_changes_with_the_content_and_the_key_and_with_nothing_else(folder):
    first = _write(folder, "staff", STAFF)
    assert load(folder).version == first.version
    assert _write(folder, "staff", STAFF + "2,,,,,,,,,\n").version != first.version
    _write(folder, "staff", STAFF)
    (folder / "site.key").write_bytes(KEY.secret + b"x")
    assert load(folder).version not in (first.version, Site.none().version)


def test_no_site_at_all_is_everything_missing():
    site = Site.none()
    assert site.missing == {*REGISTERS, "site.toml"}
    assert site.tables.keys() == REGISTERS.keys()
    assert site.tables["ledger"].schema["target.token"] == pl.String
    assert not site.has("staff")


@given(
    st.sampled_from(list(REGISTERS)),
    st.binary(max_size=60)
    | st.lists(
        st.lists(st.text(max_size=8) | st.sampled_from(['"', "R8.13.1", "R8.4.1", ""]), max_size=6), max_size=4
    ).map(lambda rows: "\n".join(",".join(row) for row in rows).encode("utf-8", "replace")),
)
def test_no_bytes_break_a_register(name, data):
    register = REGISTERS[name]
    header = ",".join(register.columns).encode()
    for content in (data, header + b"\n" + data):
        loaded = read(content, register, "Asia/Tokyo", KEY, False)
        assert loaded.table.schema == register.schema()
        assert loaded.usable or loaded.problems
        assert all("\n" not in line for line in (*loaded.problems, *loaded.notes))


@pytest.mark.shared
def test_files_and_columns_are_those_of_the_contract(shared):
    contract = (shared / "site.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\w+)\.csv \| (.*) \|$", contract, re.MULTILINE)
    assert {name for name, _ in rows} == set(REGISTERS)
    for name, text in rows:
        outside_brackets = re.sub(r"\([^()]*\)", "", text)
        named = set(re.findall(r"`([a-z_]+)`", outside_brackets))
        assert named == set(REGISTERS[name].columns) - {"valid_from", "valid_to"}, name
