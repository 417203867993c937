"""Kafka's jars: fetched by Maven once, then kept in a folder for all test runs on this machine."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Final

POM: Final = Path(__file__).with_name("pom.xml")
VERSION: Final = re.findall(r"<kafka\.version>(.+)</kafka\.version>", POM.read_text(encoding="utf-8"))[0]
FOLDER_VARIABLE: Final = "SEKIMORI_KAFKA_JARS"


class BrokerError(Exception):
    """No broker could be made ready; one line says why."""


def program(name: str) -> str:
    """Path of a program.

    Raises:
        BrokerError: It is not installed.
    """
    path = shutil.which(name)
    if path is None:
        raise BrokerError(f"{name} is not installed: a real Kafka needs Java 17 or later and Maven (make system)")
    return path


def jars() -> Path:
    """The folder with all jars, `$SEKIMORI_KAFKA_JARS` or one in the user's cache; filled if `pom.xml` is another.

    Raises:
        BrokerError: Maven could not fetch them.
    """
    chosen = os.environ.get(FOLDER_VARIABLE)
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = Path(chosen) if chosen else cache / "sekimori" / f"kafka-{VERSION}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    # Parallel test runs wait for the one that fetches.
    with folder.with_name(f"{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        copy_of_pom = folder / "pom.xml"
        if not copy_of_pom.exists() or copy_of_pom.read_bytes() != POM.read_bytes():
            _fill(folder)
    return folder


def _fill(folder: Path) -> None:
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        complete = Path(scratch, "jars")
        quiet = ("--batch-mode", "--quiet", "-Dstyle.color=never", "--strict-checksums")
        goal = ("dependency:copy-dependencies", f"-DoutputDirectory={complete}")
        done = subprocess.run(
            [program("mvn"), *quiet, "--file", str(POM), *goal], capture_output=True, text=True, check=False
        )
        if done.returncode:
            first = next(iter((done.stdout + done.stderr).strip().splitlines()), "it printed nothing")
            raise BrokerError(f"Maven could not fetch Kafka {VERSION}: {first}")
        shutil.copy(POM, complete)
        shutil.rmtree(folder, ignore_errors=True)
        complete.rename(folder)
