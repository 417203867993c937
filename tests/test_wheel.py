"""The wheel: all that the program reads is in it, and found where no checkout is near."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[1]
PACKAGES = (
    "audit",
    "collector",
    "commands",
    "contract",
    "dashboards",
    "detector",
    "registers",
    "rules",
    "service",
    "simulator",
)
MADE = shutil.ignore_patterns("__pycache__", "*.egg-info")
# What only somebody outside the checkout can tell: where the installed program looks for its data.
LOOK = """
import contract, rules, collector.sources, pathlib, sys
here = pathlib.Path(sys.prefix)
for module in (contract, rules, collector.sources):
    assert here in pathlib.Path(module.__file__).parents, module.__file__
print(len(list(pathlib.Path(rules.__file__).parent.glob("*/*/rule.yml"))))
print(len(list(pathlib.Path(rules.__file__).parent.glob("controls/*.yml"))))
print(len(list(collector.sources.SHIPPED.glob("*.toml"))))
print(len(list(pathlib.Path(contract.__file__).parent.glob("examples/*"))))
"""


def run(*command: str | Path, cwd: Path) -> str:
    """Output of a command, away from the checkout's modules."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what the wheel is made of, with the wheel in `dist/`; the checkout itself stays as it is."""
    copy = tmp_path_factory.mktemp("wheel") / "checkout"
    copy.mkdir()
    for name in ("pyproject.toml", "sekimori.py", "README.md", "LICENSE"):
        shutil.copy(TOP / name, copy)
    for name in PACKAGES:
        if (TOP / name).is_dir():
            shutil.copytree(TOP / name, copy / name, ignore=MADE)
    build = ("-m", "pip", "wheel", "--quiet", "--no-index", "--no-deps", "--no-build-isolation", "-w", "dist", ".")
    run(sys.executable, *build, cwd=copy)
    return copy


def built(checkout: Path) -> Path:
    """The wheel."""
    [wheel] = (checkout / "dist").glob("*.whl")
    return wheel


def test_every_file_of_the_packages_is_in_the_wheel(checkout: Path):
    packages = [name for name in PACKAGES if (checkout / name / "__init__.py").exists()]
    files = [path for name in packages for path in (checkout / name).rglob("*") if path.is_file()]
    wanted = {path.relative_to(checkout).as_posix() for path in files}
    held = set(zipfile.ZipFile(built(checkout)).namelist())
    assert sorted(wanted - held) == []
    assert {"contract/examples/finding.json", "rules/controls/sakai-48.yml", "sekimori.py"} <= held
    assert [name for name in held if name.startswith(("tests/", "benchmarks/")) or "__pycache__" in name] == []


@pytest.mark.slow
def test_the_installed_program_finds_its_data_outside_the_checkout(checkout: Path, tmp_path: Path):
    run(sys.executable, "-m", "venv", "--without-pip", "fresh", cwd=tmp_path)
    python = tmp_path / "fresh" / "bin" / "python"
    site = Path(run(python, "-c", "import site; print(site.getsitepackages()[0])", cwd=tmp_path).strip())
    # The pinned libraries of this environment, but not its editable install: a path file within a path is not read.
    (site / "libraries.pth").write_text("".join(f"{path}\n" for path in sys.path if path.endswith("site-packages")))
    into = ("-m", "pip", "--python", python, "install", "--quiet", "--no-index", "--no-deps", built(checkout))
    run(sys.executable, *into, cwd=tmp_path)
    sekimori = tmp_path / "fresh" / "bin" / "sekimori"

    counts = [int(line) for line in run(python, "-c", LOOK, cwd=tmp_path).split()]

    assert counts == [
        len(list(checkout.glob(pattern)))
        for pattern in ("rules/*/*/rule.yml", "rules/controls/*.yml", "collector/sources/*.toml", "contract/examples/*")
    ]
    assert run(sekimori, "--version", cwd=tmp_path).startswith("sekimori ")
    assert "after_last_day" in run(sekimori, "rules", "list", cwd=tmp_path)
