"""Output that cannot be written, or that nobody reads any more, at the level of the command."""

from __future__ import annotations

import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests import command, disk
from tests.command import HEADER, Run


def _refuses_out(run: Run, logs: Path, out: Path, says: str) -> None:
    ran = run(logs, out=out)
    assert ran.status == 2
    ran.says(f"--out {out}: ", says, "choose another --out")


def test_an_output_folder_that_cannot_be_one_is_refused(run: Run, logs: Path, tmp_path: Path):
    (tmp_path / "file").write_text("", encoding="utf-8")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")

    _refuses_out(run, logs, tmp_path / "file" / "below", "is there and is no folder")
    _refuses_out(run, logs, tmp_path / "link", "is there and is no folder")


def test_nothing_is_removed_that_no_run_wrote(run: Run, logs: Path, tmp_path: Path):
    precious = tmp_path / "out" / "events" / "party.csv"
    precious.parent.mkdir(parents=True)
    precious.write_text("mine", encoding="utf-8")
    town = tmp_path / "town" / "logs"
    town.mkdir(parents=True)

    ran = run(logs)
    simulated = command.sekimori(tmp_path, "simulate", out=town.parent)

    assert (ran.status, simulated.status) == (2, 2)
    ran.says("holds party.csv, which no analysis wrote; choose another --out")
    simulated.says(f"{town}: is there and no simulation wrote it; choose another --out")
    assert precious.exists()


@pytest.mark.parametrize("size", ["8k", "28k", "60k"])
def test_a_full_disk_is_told(run: Run, logs: Path, tmp_path: Path, size: str):
    with disk.small(tmp_path / "disk", size) as place:
        out = place / "out"

        ran = run(logs, out=out)

        assert ran.status == 2
        assert ran.out == ""
        ran.says(
            f"{out}", "No space left on device: free space there, or choose another --out; what was written so far is"
        )
        assert not list(out.glob(".spool-*"))


def test_a_limit_on_the_size_of_files_is_told(run: Run, logs: Path):
    ran = run(logs, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096)))

    assert ran.status == 2
    ran.says("File too large: raise the limit on the size of files (ulimit -f)")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs the device /dev/full")
def test_a_full_standard_output_is_told(logs: Path, tmp_path: Path):
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "sekimori", "analyze", logs, "--out", tmp_path / "out"],
            stdout=full, stderr=subprocess.PIPE, env=command.environment(tmp_path), cwd=tmp_path, check=False, text=True,
        )  # fmt: skip

    assert done.returncode == 2
    assert done.stderr == "standard output: No space left on device: send it elsewhere\n"


@pytest.mark.parametrize("arguments", [["analyze", "LOGS"], ["analyze", "LOGS", "--json"], ["rules", "list"]])
def test_a_reader_that_leaves_early_hears_no_complaint(logs: Path, tmp_path: Path, arguments: list[str]):
    line = [sys.executable, "-m", "sekimori", *(str(logs) if word == "LOGS" else word for word in arguments)]
    process = subprocess.Popen(
        line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=tmp_path, env=command.environment(tmp_path)
    )
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    err = process.stderr.read().decode()
    process.stderr.close()

    assert process.wait(60) == 0
    assert [line for line in err.splitlines() if not line.startswith("note: ")] == []


def test_ctrl_c_stops_with_a_line_and_leaves_no_pieces_behind(logs: Path, tmp_path: Path):
    lines = "".join(
        f"2026-04-{n % 28 + 1:02d} 10:{n // 28 % 60:02d}:{n % 60:02d},access,read,{n % 97},welfare,{n},WE110\n"
        for n in range(60_000)
    )
    (logs / "good.csv").write_text(f"{HEADER}\n{lines}", encoding="utf-8")
    out = tmp_path / "out"
    process = subprocess.Popen(
        [sys.executable, "-m", "sekimori", "analyze", logs, "--out", out],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=tmp_path, env=command.environment(tmp_path), text=True,
    )  # fmt: skip
    deadline = time.monotonic() + 60
    while not list(out.glob(".spool-*")) and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    text, err = process.communicate(timeout=60)

    assert process.returncode == 2
    assert (text, err) == ("", "sekimori: stopped by the keyboard; what was written so far is incomplete\n")
    assert not list(out.glob(".spool-*"))
    assert not (out / "runs.ndjson").exists()
