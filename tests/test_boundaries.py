"""Who may import whom (design §4). The commands compose the parts; no part knows another.

Imports are read from the source, so those inside functions and under TYPE_CHECKING count too.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[1]

LEAVES = {"contract", "registers"}
MAY_IMPORT: dict[str, set[str]] = {
    "contract": set(),
    "registers": {"contract"},
    "rules": set(),
    "service": LEAVES,
    "collector": LEAVES | {"service"},
    "detector": LEAVES | {"service"},
    "dashboards": LEAVES,
    "simulator": LEAVES,
    "audit": LEAVES | {"rules", "service"},  # the controls and titles of the rules are data
    "commands": LEAVES | {"service", "collector", "detector", "dashboards", "simulator", "audit", "rules"},
    "sekimori": {"commands"},
}


def imported(source: str, package: str) -> list[tuple[int, str]]:
    """Line and full name of everything that a module imports.

    Args:
        source: Text of the module.
        package: Dotted name of the package it stands in, for relative imports.
    """
    found = []
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import(names=names):
                found += [(node.lineno, alias.name) for alias in names]
            case ast.ImportFrom(module=module, names=names, level=0):
                found += [(node.lineno, f"{module}.{alias.name}") for alias in names]
            case ast.ImportFrom(module=module, names=names, level=level):
                base = package.split(".")[: len(package.split(".")) - level + 1]
                found += [
                    (node.lineno, ".".join([*base, *([module] if module else []), alias.name])) for alias in names
                ]
            case ast.Call(
                func=ast.Name(id="__import__") | ast.Name(id="import_module") | ast.Attribute(attr="import_module")
            ):
                name = node.args[0] if node.args else None
                # A computed name could be anything, so it counts as a breach.
                known = isinstance(name, ast.Constant) and isinstance(name.value, str)
                found.append((node.lineno, name.value if known else "?"))
    return found


def breaches(part: str, source: str, package: str) -> list[str]:
    """What a module of `part` imports and may not."""
    own = {part} | MAY_IMPORT[part]
    return [
        f"line {line}: {part} imports {name}"
        for line, name in imported(source, package)
        if (top := name.split(".")[0]) == "?"
        or (top in MAY_IMPORT and top not in own)
        or top in ("tests", "benchmarks")
    ]


def modules() -> list[Path]:
    """Every module of the program, relative to the top."""
    packages = [path for part in MAY_IMPORT for path in (TOP / part).rglob("*.py")]
    return sorted(path.relative_to(TOP) for path in [*packages, TOP / "sekimori.py"])


def test_every_package_has_a_place_in_the_order():
    packages = {path.parent.name for path in TOP.glob("*/__init__.py")} - {"tests", "benchmarks"}
    assert packages | {"sekimori"} <= set(MAY_IMPORT)
    assert {"contract", "collector", "detector"} <= {path.parts[0] for path in modules()}


@pytest.mark.parametrize("module", modules(), ids=str)
def test_imports_keep_to_their_direction(module: Path):
    part = module.parts[0].removesuffix(".py")
    package = ".".join(module.parent.parts)
    assert breaches(part, (TOP / module).read_text(encoding="utf-8"), package) == []


@pytest.mark.parametrize(
    ("part", "source"),
    [
        ("contract", "import registers.text"),
        ("contract", "from registers import text"),
        ("registers", "import json, collector"),
        ("service", "from collector.config import Config"),
        ("dashboards", "import service.health"),
        ("collector", "def late():\n    from detector import step"),
        ("detector", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import simulator"),
        ("detector", "from ..simulator import office"),
        ("simulator", "from rules import controls"),
        ("simulator", "import importlib\nimportlib.import_module('detector.model')"),
        ("audit", "name = 'detector'\n__import__(name)"),
        ("detector", "import commands.demo"),
        ("commands", "import sekimori"),
        ("audit", "from tests import conftest"),
    ],
)
def test_a_breach_is_seen(part: str, source: str):
    [breach] = breaches(part, source, f"{part}")
    assert "imports" in breach


@pytest.mark.parametrize(
    ("part", "source"),
    [
        ("contract", "from contract import event\nfrom . import wire\nimport polars"),
        ("detector", "from contract.event import FIELDS\nfrom registers import asof\nfrom detector import step"),
        ("audit", "import rules"),
        ("sekimori", "def run():\n    from commands.demo import run"),
    ],
)
def test_what_is_allowed_is_no_breach(part: str, source: str):
    assert breaches(part, source, part) == []


def test_the_agent_does_not_load_what_only_some_need():
    """It is a guest on the host: tables, certificates and event loops cost it 10 MB and more."""
    ask = "import sys, commands.collect; print(*sorted({'asyncio', 'cryptography', 'pyrage', 'rich'} & sys.modules.keys()))"
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", ask], cwd=TOP, capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == "\n"
