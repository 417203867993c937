from pathlib import Path

import pytest

from audit.tables import Tables, read
from tests.audit.office import Office


@pytest.fixture
def written(tmp_path: Path):
    """Write an office and read its output folder back."""

    def write(office: Office) -> Tables:
        out, site = office.write(tmp_path)
        return read(out, site)

    return write
