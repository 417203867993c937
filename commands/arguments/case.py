"""Arguments of `case` and `database`."""

from __future__ import annotations

import argparse
from pathlib import Path

_DOES = {
    "claim": "take a case: who has it looks into it",
    "note": "write something down",
    "ask": "ask somebody for an explanation",
    "answer": "write down what they explained",
    "close": "decide: why, and in a sentence",
    "confirm": "as the second person, agree with a closing",
    "refuse": "as the second person, disagree with a closing",
    "reopen": "look into a closed case again",
}
_CODES = ("misuse", "mistake", "proper", "test", "unknown")


def case(parser: argparse.ArgumentParser) -> None:
    """What people do about findings."""
    words = parser.add_subparsers(required=True, metavar="WHAT")
    _list(words.add_parser("list", help="cases that are open, the worst first"))
    _show(words.add_parser("show", help="what was found, and all that was done about it"))
    for action, what in _DOES.items():
        _act(words.add_parser(action, help=what), action)
    _allow(words.add_parser("allow", help="let something page nobody until a day"))
    exceptions = words.add_parser("exceptions", help="what is allowed now, and who stands for it")
    _common(exceptions)

    def listed(options: argparse.Namespace) -> int:
        from commands import case

        return case.exceptions(options)

    exceptions.set_defaults(run=listed)
    send = words.add_parser("send", help="tell the detectors what they could not be told before")
    _common(send)

    def sent(options: argparse.Namespace) -> int:
        from commands import case

        return case.send(options)

    send.set_defaults(run=sent)


def database(parser: argparse.ArgumentParser) -> None:
    """Where cases are kept."""
    words = parser.add_subparsers(required=True, metavar="WHAT")
    upgrade = words.add_parser("upgrade", help="make its tables, or bring them to this version")
    _common(upgrade)

    def run(options: argparse.Namespace) -> int:
        from commands import database

        return database.upgrade(options)

    upgrade.set_defaults(run=run)


def _common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-c", "--config", type=Path, default=Path("audit.toml"), metavar="FILE", help="default: audit.toml"
    )


def _one(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("case", metavar="CASE", help="a finding's uid, or its beginning")
    _common(parser)


def _said(parser: argparse.ArgumentParser, needed: bool) -> None:
    parser.add_argument(
        "--by", metavar="ID", help="who acts, as staff.csv names them (default: SEKIMORI_USER, else the log-in name)"
    )
    parser.add_argument("--text", required=needed, metavar="TEXT", help="in a sentence")


def _list(parser: argparse.ArgumentParser) -> None:
    _common(parser)
    parser.add_argument("--all", action="store_true", help="closed ones too")
    parser.add_argument("--late", action="store_true", help="only where something should have happened by now")
    parser.add_argument("--owner", metavar="ID", help="only what somebody claimed")
    parser.add_argument("--lang", choices=["ja", "en"], default="ja", help="language of titles (default ja)")
    parser.add_argument("--json", action="store_true", help="print one JSON list and nothing else")

    def run(options: argparse.Namespace) -> int:
        from commands import case

        return case.list_(options)

    parser.set_defaults(run=run)


def _show(parser: argparse.ArgumentParser) -> None:
    _one(parser)
    parser.add_argument("--lang", choices=["ja", "en"], default="ja", help="language of sentences (default ja)")
    parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else")

    def run(options: argparse.Namespace) -> int:
        from commands import case

        return case.show(options)

    parser.set_defaults(run=run)


def _act(parser: argparse.ArgumentParser, action: str) -> None:
    _one(parser)
    _said(parser, needed=action not in ("claim", "confirm"))
    if action == "ask":
        parser.add_argument("--of", metavar="ID", help="who is asked (default: who acted)")
        parser.add_argument("--due", metavar="DATE", help="until when (default: [deadlines] explanation_days)")
    if action == "answer":
        parser.add_argument("--of", metavar="ID", help="whose explanation it is (default: who was asked first)")
    if action == "close":
        parser.add_argument(
            "--code", required=True, choices=_CODES,
            help="misuse; mistake; proper (with --reference); test; unknown: it cannot be told",
        )  # fmt: skip
        parser.add_argument("--reference", metavar="NO", help="what shows that it was proper: case, reception, ticket")

    def run(options: argparse.Namespace) -> int:
        from commands import case

        return case.act(options)

    parser.set_defaults(run=run, action=action)


def _allow(parser: argparse.ArgumentParser) -> None:
    _one(parser)
    _said(parser, needed=True)
    parser.add_argument("--until", required=True, metavar="DATE", help="up to when; at most 366 days")
    parser.add_argument(
        "--rule",
        dest="analytic",
        nargs="?",
        const=True,
        metavar="RULE",
        help="what this rule finds (default: the case's)",
    )
    parser.add_argument("--who", dest="actor", nargs="?", const=True, metavar="ID", help="who (default: the case's)")
    parser.add_argument("--about", dest="subject", metavar="TOKEN", help="the person concerned, by token")
    parser.add_argument("--approver", metavar="ID", help="who approved it; not who stands for it")

    def run(options: argparse.Namespace) -> int:
        from commands import case

        return case.allow(options)

    parser.set_defaults(run=run)
