"""veraPDF, which checks whether a PDF keeps what PDF/A-2a and PDF/UA-1 ask."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Final

from tests import maven

POM: Final = Path(__file__).with_name("pom.xml")
VERSION: Final = re.findall(r"<verapdf\.version>(.+)</verapdf\.version>", POM.read_text(encoding="utf-8"))[0]
PROFILES: Final = {"PDF/A-2a": "2a", "PDF/UA-1": "ua1"}


def broken(path: Path, standard: str) -> list[str]:
    """What a PDF does not keep of a standard, by clause; nothing if it conforms.

    Args:
        path: The file.
        standard: One of `PROFILES`.

    Raises:
        MavenError: veraPDF could not be made ready.
    """
    why = f"veraPDF {VERSION}"
    jar = maven.jars(POM, f"verapdf-{VERSION}", why) / f"greenfield-apps-{VERSION}.jar"
    done = subprocess.run(
        [
            *(maven.program("java", why), "-XX:+UseSerialGC", "-cp", str(jar), "org.verapdf.apps.GreenfieldCliWrapper"),
            *("--flavour", PROFILES[standard], "--format", "json", str(path)),
        ],
        capture_output=True,
        check=False,
    )
    [job] = json.loads(done.stdout)["report"]["jobs"]
    assert "validationResult" in job, f"veraPDF could not read {path.name}: {job}"
    [result] = job["validationResult"]
    said = [
        f"{rule['clause']}: {rule['description']} ({rule['failedChecks']} times)"
        for rule in result["details"]["ruleSummaries"]
    ]
    assert bool(said) != result["compliant"], "veraPDF contradicts itself"
    return said
