"""Arguments of `collect`, `bundle`, `vault` and `keys`."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from commands.arguments import values


def collect(parser: argparse.ArgumentParser) -> None:
    """The agent."""
    parser.add_argument("-c", "--config", type=Path, required=True, metavar="FILE", help="the agent's collector.toml")
    parser.add_argument("--check", action="store_true", help="say all that is wrong with the configuration, and end")
    parser.add_argument("--once", action="store_true", help="end when all that is there has been read and has arrived")

    def run(options: argparse.Namespace) -> int:
        # The agent is a guest on the host: one thread, and memory given back two seconds after it was needed; given back at
        # once, every turn would have to ask for it again. All are read when Polars and NumPy load.
        os.environ.setdefault("POLARS_MAX_THREADS", "1")
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
        os.environ.setdefault("_RJEM_MALLOC_CONF", "dirty_decay_ms:2000,muzzy_decay_ms:0,narenas:1")
        from commands import collect

        return collect.run(options)

    parser.set_defaults(run=run)


def bundle(parser: argparse.ArgumentParser) -> None:
    """Logs of a closed network in a signed file."""
    kinds = parser.add_subparsers(required=True, metavar="WHAT")
    kind = kinds.add_parser("make", help="sign logs into one file")
    kind.add_argument("paths", nargs="+", type=Path, metavar="PATH", help="log files, plain or gzip, or folders")
    kind.add_argument("--key", type=Path, required=True, metavar="FILE", help="what `sekimori keys bundle` made")
    kind.add_argument("--out", type=Path, required=True, metavar="FILE", help="where to write the bundle")
    kind.add_argument("--source", metavar="ID", help="source of all of them; else the agent recognises each")
    kind.add_argument("--origin", default="", metavar="TEXT", help="where they come from, in free words")
    kind.add_argument("--finished", action="store_true", help="also take a last line without line end")

    def make(options: argparse.Namespace) -> int:
        from commands import bundle

        return bundle.make(options)

    kind.set_defaults(run=make)
    kind = kinds.add_parser("check", help="is it whole, who signed it, and what is in it?")
    kind.add_argument("file", type=Path, metavar="FILE", help="the bundle")
    kind.add_argument("--key", type=Path, required=True, metavar="FILE", help="public key of who should have signed it")

    def check(options: argparse.Namespace) -> int:
        from commands import bundle

        return bundle.check(options)

    kind.set_defaults(run=check)


def vault(parser: argparse.ArgumentParser) -> None:
    """Tokens back to ids."""
    kinds = parser.add_subparsers(required=True, metavar="WHAT")
    kind = kinds.add_parser("open", help="take off the layer that your key fits; what is left goes to the next holder")
    kind.add_argument("file", type=Path, metavar="FILE", help="the vault's file, or what another holder handed on")
    kind.add_argument(
        "--key", type=Path, action="append", required=True, metavar="FILE",
        help="a holder's key; may be repeated where several sit together",
    )  # fmt: skip
    kind.add_argument(
        "--token",
        action="append",
        default=[],
        metavar="TOKEN",
        help="open no more than this one needs; may be repeated",
    )
    kind.add_argument("--out", type=Path, metavar="FILE", help="where to write, instead of printing the ids")

    def run(options: argparse.Namespace) -> int:
        from commands import vault

        return vault.open_(options)

    kind.set_defaults(run=run)


def keys(parser: argparse.ArgumentParser) -> None:
    """The keys that agents, archives and holders need."""
    kinds = parser.add_subparsers(required=True, metavar="KIND")
    kind = kinds.add_parser("seal", help="enrol an agent: the key that its records are sealed with")
    kind.add_argument("--agent", required=True, type=values.name, metavar="ID", help="the agent's agent.id")
    kind.add_argument("--out", type=Path, metavar="FILE", help="where to write it (default ID.seal)")

    def seal(options: argparse.Namespace) -> int:
        from commands import keys

        return keys.seal(options)

    kind.set_defaults(run=seal)
    kind = kinds.add_parser("archive", help="the key that signs the archive's digests, and the public one")
    kind.add_argument(
        "--out", type=Path, required=True, metavar="FILE", help="where to write it; the other is FILE.pub"
    )

    def archive(options: argparse.Namespace) -> int:
        from commands import keys

        return keys.archive(options)

    kind.set_defaults(run=archive)
    kind = kinds.add_parser("bundle", help="the key that signs bundles, and the public one for agents")
    kind.add_argument(
        "--out", type=Path, required=True, metavar="FILE", help="where to write it; the other is FILE.pub"
    )

    def bundle(options: argparse.Namespace) -> int:
        from commands import bundle

        return bundle.key(options)

    kind.set_defaults(run=bundle)
    kind = kinds.add_parser("vault", help="the key of one of those who open the vault together")
    kind.add_argument("--out", type=Path, required=True, metavar="FILE", help="where to write it")

    def vault(options: argparse.Namespace) -> int:
        from commands import vault

        return vault.key(options)

    kind.set_defaults(run=vault)
