"""Kafka's jars: fetched by Maven once, then kept in a folder for all test runs on this machine."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Final

from tests import maven
from tests.maven import MavenError

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
    try:
        return maven.program(name, "a real Kafka")
    except MavenError as error:
        raise BrokerError(str(error)) from None


def jars() -> Path:
    """The folder with all jars, `$SEKIMORI_KAFKA_JARS` or one in the user's cache; filled if `pom.xml` is another.

    Raises:
        BrokerError: Maven could not fetch them.
    """
    try:
        return maven.jars(POM, f"kafka-{VERSION}", f"Kafka {VERSION}", os.environ.get(FOLDER_VARIABLE))
    except MavenError as error:
        raise BrokerError(str(error)) from None
