"""When something was deployed is known after a restart."""

from __future__ import annotations

from pathlib import Path

import pytest

from detector.deployed import Deployed

ONE, TWO = {"rules": "1" * 64}, {"rules": "2" * 64}


def test_starting_again_with_the_same_files_deploys_nothing_and_with_others_it_does(tmp_path: Path):
    known = Deployed(tmp_path / "deployed.json")
    assert known.since(ONE, 100) == 0
    known.keep(ONE, 50)

    again = Deployed(tmp_path / "deployed.json")

    assert (again.since(ONE, 100), again.since(TWO, 100), again.since(TWO, 20)) == (50, 100, 51)


@pytest.mark.parametrize("said", ["", "[]", "{}", '{"hashes": 1, "at_ms": 2}', '{"hashes": {}, "at_ms": "x"}', "\xff"])
def test_what_cannot_be_read_is_as_if_nothing_was_ever_deployed(tmp_path: Path, said: str):
    (tmp_path / "deployed.json").write_text(said, encoding="latin-1")
    assert Deployed(tmp_path / "deployed.json").since(ONE, 100) == 0
