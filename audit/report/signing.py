"""What a signature is put under: the report without its signatures, so that whoever signs second signs the same."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, Final

from audit.report.model import Block, Report, Section, Signature, Signatures, dumped

CONFIRM: Final = "confirm"
APPROVE: Final = "approve"
ROLES: Final = (CONFIRM, APPROVE)
SHOWN: Final = 12  # digits of a fingerprint


def fingerprint(report: Report) -> str:
    """SHA-256 of the report with empty lines to sign on, 64 hexadecimal digits."""
    return hashlib.sha256(dumped(_with(report, {}))).hexdigest()


def signed(report: Report, sign_offs: Iterable[Mapping[str, Any]]) -> Report:
    """The report with the names of who signed exactly this; what was signed before it changed does not count.

    Args:
        report: Its lines are in the order of `ROLES`.
        sign_offs: Rows of the database, in order: `sha256`, `role`, `by`, `at`. Of several in one role the last counts.
    """
    whole = fingerprint(report)
    return _with(report, {one["role"]: one for one in sign_offs if one["sha256"] == whole})


def problems(report: Report, role: str, by: str, sign_offs: Iterable[Mapping[str, Any]]) -> list[str]:
    """Why somebody cannot sign, a line each that begins with the option; empty: they can."""
    out = []
    if report.draft is not None:
        out.append("--sign: the report is preliminary: make it again once its period is over, and sign that")
    by_role = {one["role"]: one["by"] for one in sign_offs if one["sha256"] == fingerprint(report)}
    if role == APPROVE and CONFIRM not in by_role:
        out.append("--sign approve: nobody has confirmed this report yet: first --sign confirm, by another person")
    other = by_role.get(APPROVE if role == CONFIRM else CONFIRM)
    if other == by:
        out.append(f"--by: {by} signed in the other role: who approves has to be somebody else")
    if by_role.get(role) == by:
        out.append(f"--by: {by} has signed this already")
    return out


def _with(report: Report, by_role: Mapping[str, Mapping[str, Any]]) -> Report:
    return replace(report, sections=tuple(_section(one, by_role) for one in report.sections))


def _section(section: Section, by_role: Mapping[str, Mapping[str, Any]]) -> Section:
    return replace(section, blocks=tuple(_block(one, by_role) for one in section.blocks))


def _block(block: Block, by_role: Mapping[str, Mapping[str, Any]]) -> Block:
    if not isinstance(block, Signatures):
        return block
    lines = [_line(line, by_role.get(role)) for line, role in zip(block.lines, ROLES, strict=False)]
    return replace(block, lines=tuple(lines))


def _line(line: Signature, row: Mapping[str, Any] | None) -> Signature:
    if row is None:
        return Signature(line.role)
    return Signature(line.role, row["by"], row["at"], row["sha256"][:SHOWN])
