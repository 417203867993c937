"""Java programs for tests: their jars are fetched by Maven once, then kept in a folder for all test runs on this machine."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import tempfile
from pathlib import Path


class MavenError(Exception):
    """A Java program could not be made ready; one line says why."""


def program(name: str, why: str) -> str:
    """Path of a program.

    Raises:
        MavenError: It is not installed.
    """
    path = shutil.which(name)
    if path is None:
        raise MavenError(f"{name} is not installed: {why} needs Java 17 or later and Maven (make system)")
    return path


def jars(pom: Path, name: str, why: str, chosen: str | None = None) -> Path:
    """The folder with all jars, filled if `pom` is another than the one it was filled by.

    Args:
        pom: What is needed, with its version.
        name: Of the folder in the user's cache.
        why: For whom, in a message.
        chosen: Folder to take instead.

    Raises:
        MavenError: Maven could not fetch them.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = Path(chosen) if chosen else cache / "sekimori" / name
    folder.parent.mkdir(parents=True, exist_ok=True)
    # Parallel test runs wait for the one that fetches.
    with folder.with_name(f"{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        copy_of_pom = folder / "pom.xml"
        if not copy_of_pom.exists() or copy_of_pom.read_bytes() != pom.read_bytes():
            _fill(folder, pom, why)
    return folder


def _fill(folder: Path, pom: Path, why: str) -> None:
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        complete = Path(scratch, "jars")
        quiet = ("--batch-mode", "--quiet", "-Dstyle.color=never", "--strict-checksums")
        goal = ("dependency:copy-dependencies", f"-DoutputDirectory={complete}")
        done = subprocess.run(
            [program("mvn", why), *quiet, "--file", str(pom), *goal], capture_output=True, text=True, check=False
        )
        if done.returncode:
            first = next(iter((done.stdout + done.stderr).strip().splitlines()), "it printed nothing")
            raise MavenError(f"Maven could not fetch {why}: {first}")
        shutil.copy(pom, complete)
        shutil.rmtree(folder, ignore_errors=True)
        complete.rename(folder)
