"""Arguments of `report`."""

from __future__ import annotations

import argparse
from pathlib import Path

FACES = ("html", "pdf", "xlsx")


def report(parser: argparse.ArgumentParser) -> None:
    """The report of a month, and what is asked of it afterwards."""
    parser.add_argument(
        "-c", "--config", type=Path, default=Path("audit.toml"), metavar="FILE", help="default: audit.toml"
    )
    parser.add_argument("--month", metavar="YYYY-MM", help="the month that it is about")
    parser.add_argument("--period", nargs=2, metavar=("FROM", "TO"), help="instead of a month: first and last day")
    parser.add_argument(
        "--pia", action="append", default=[], metavar="NAME", help="this assessment only; may be repeated"
    )
    parser.add_argument("--lang", choices=["ja", "en"], default="ja", help="language (default ja)")
    parser.add_argument("--out", type=Path, metavar="DIR", help="where to (default: [report] folder)")
    parser.add_argument(
        "--format", nargs="+", choices=FACES, default=list(FACES), metavar="FACE",
        help="html, pdf, xlsx (default: all three); the numbers are always written as JSON too",
    )  # fmt: skip
    parser.add_argument(
        "--as-of", metavar="MOMENT", help="as it was then: what people did later does not count (default: now)"
    )
    parser.add_argument(
        "--again", action="store_true", help="make it anew although it was signed; it has to be signed again"
    )
    what = parser.add_mutually_exclusive_group()
    what.add_argument(
        "--explain", metavar="ID", help="print the events behind a figure, table, promise or finding, masked"
    )
    what.add_argument(
        "--sign", choices=["confirm", "approve"], help="sign the report that was made, as 確認者 or 承認者"
    )
    what.add_argument("--judge", metavar="EVENT", help="write down what somebody found in an access of the sample")
    what.add_argument(
        "--resident", metavar="TOKEN", help="who accessed one person's record, --from one day --to another"
    )
    what.add_argument("--incident", metavar="CASE", help="the notification of a leak, pre-filled from a case")
    parser.add_argument("--most", type=int, default=50, metavar="N", help="with --explain: so many events (default 50)")
    parser.add_argument("--json", action="store_true", help="with --explain: one JSON object a line")
    parser.add_argument("--verdict", choices=["proper", "improper", "unknown"], help="with --judge: what it was")
    parser.add_argument("--text", metavar="TEXT", help="with --judge: why, in a sentence")
    parser.add_argument("--from", dest="begin", metavar="DAY", help="with --resident: first day")
    parser.add_argument("--to", dest="end", metavar="DAY", help="with --resident: last day")
    parser.add_argument(
        "--audience", choices=["resident", "office"], default="resident",
        help="with --resident: for the person, others redacted (default), or for the office",
    )  # fmt: skip
    parser.add_argument("--known-at", metavar="MOMENT", help="with --incident: when the office came to know of it")
    parser.add_argument(
        "--final", action="store_true", help="with --incident: the full report (確報), not the first (速報)"
    )
    parser.add_argument(
        "--wrongful",
        choices=["yes", "no"],
        help="with --incident: whether wrongful intent may be behind it (default: as the case was closed)",
    )
    parser.add_argument(
        "--by", metavar="ID", help="who acts, as staff.csv names them (default: SEKIMORI_USER, else the log-in name)"
    )

    def run(options: argparse.Namespace) -> int:
        from commands import report

        return report.run(options)

    parser.set_defaults(run=run)


def token(parser: argparse.ArgumentParser) -> None:
    """The token of somebody's id."""
    parser.add_argument(
        "-c", "--config", type=Path, default=Path("audit.toml"), metavar="FILE", help="default: audit.toml"
    )
    parser.add_argument(
        "--reason", required=True, metavar="TEXT", help="why: a request's number; it is kept with your name"
    )
    parser.add_argument("--strip-zeros", action="store_true", help="leave leading zeros out, where the system does so")
    parser.add_argument(
        "--by", metavar="ID", help="who acts, as staff.csv names them (default: SEKIMORI_USER, else the log-in name)"
    )

    def run(options: argparse.Namespace) -> int:
        from commands import token

        return token.run(options)

    parser.set_defaults(run=run)
