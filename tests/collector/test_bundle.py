from __future__ import annotations

import gzip
import io
import os
import random
import subprocess
import tarfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from collector import bundle
from collector.bundle import BLOCK_BYTES, Bundle, BundleError, Incomplete, Manifest

MADE = datetime(2026, 4, 1, 12, 30, tzinfo=UTC)
PRIVATE, PUBLIC = bundle.new_key()
KEYS = {"office.pub": bundle.public_key(PUBLIC)}


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., Path]:
    """A bundle of some contents by name."""

    def run(contents: dict[str, bytes], private: bytes = PRIVATE, sign: str = "1" * 32) -> Path:
        handles, logs = [], []
        for place, (name, data) in enumerate(contents.items()):
            source = tmp_path / f"log{place}"
            source.write_bytes(data)
            handles.append(os.open(source, os.O_RDONLY))
            logs.append(bundle.describe(name, None, handles[-1], len(data)))
        path = tmp_path / "carried.bundle"
        manifest = Manifest(format=1, id=sign, created=MADE, origin="町役場", logs=tuple(logs))
        with path.open("wb") as out:
            bundle.write(out, manifest, handles, bundle.signing_key(private))
        for handle in handles:
            os.close(handle)
        return path

    return run


def opened(path: Path, keys=KEYS) -> Bundle:
    return Bundle(os.open(path, os.O_RDONLY), keys)


def look_through(path: Path) -> list[bytes]:
    found = opened(path)
    for _ in found.check():
        pass
    return [found.open(place).read() for place in range(len(found.manifest.logs))]


def test_what_goes_in_comes_out_and_gzip_unpacked(make):
    big = random.Random(1).randbytes(2 * BLOCK_BYTES + 77)
    path = make({"a.log": b"one\ntwo\n", "sub/b.bin": big, "c.log.gz": gzip.compress(b"three\n") * 2, "empty": b""})

    assert look_through(path) == [b"one\ntwo\n", big, b"three\nthree\n", b""]
    assert opened(path).signer == "office.pub"
    assert opened(path).manifest.origin == "町役場"


def test_any_tar_lists_it_and_openssl_checks_its_signature(make, tmp_path: Path):
    long = "フォルダ/" * 20 + "操作ログ.csv"
    path = make({long: b"x" * 600, "b.log": b"y"})

    with tarfile.open(path) as archive:
        assert archive.getnames() == ["manifest.json", "manifest.sig", long, "b.log"]
        assert archive.extractfile(long).read() == b"x" * 600
        for name in ("manifest.json", "manifest.sig"):
            (tmp_path / name).write_bytes(archive.extractfile(name).read())
    (tmp_path / "key.pub").write_bytes(PUBLIC)
    line = "openssl pkeyutl -verify -pubin -inkey key.pub -rawin -in manifest.json -sigfile manifest.sig"
    assert (
        "Verified Successfully"
        in subprocess.run(line.split(), cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    )


def test_the_same_logs_make_the_same_bytes(make):
    first = make({"a.log": b"one\n"}).read_bytes()

    assert make({"a.log": b"one\n"}).read_bytes() == first


def test_any_changed_byte_is_refused(make):
    path = make({"a.log": b"one\ntwo\n"})
    good = path.read_bytes()
    for place in range(0, len(good), 7):
        path.write_bytes(good[:place] + bytes([good[place] ^ 0x10]) + good[place + 1 :])
        with pytest.raises(BundleError):
            look_through(path)


@pytest.mark.parametrize("more", [b"\0" * 512, b"x"])
def test_bytes_behind_its_end_are_refused(make, more: bytes):
    path = make({"a.log": b"one\n"})
    path.write_bytes(path.read_bytes() + more)

    with pytest.raises(BundleError, match=f"{len(more)} bytes follow its end"):
        opened(path)


def test_every_cut_is_incomplete_and_not_altered(make):
    path = make({"a.log": b"one\n"})
    good = path.read_bytes()
    for size in range(0, len(good), 13):
        path.write_bytes(good[:size])
        with pytest.raises(Incomplete):
            opened(path)


def test_another_signer_is_refused(make):
    path = make({"a.log": b"one\n"}, private=bundle.new_key()[0])

    with pytest.raises(BundleError, match="signed by nobody who may"):
        opened(path)


def test_what_changes_after_it_was_opened_is_noticed_when_it_is_read(make):
    path = make({"a.log": b"a" * BLOCK_BYTES + b"b" * 10})
    found = opened(path)
    for _ in found.check():
        pass
    data = bytearray(path.read_bytes())
    data[-1024 - 512] = ord("X")
    path.write_bytes(data)
    stream = found.open(0)

    assert stream.read(BLOCK_BYTES) == b"a" * BLOCK_BYTES
    with pytest.raises(BundleError, match=f"bytes {BLOCK_BYTES} to {BLOCK_BYTES + 9} of a.log"):
        stream.read()


def test_a_file_that_is_no_bundle_is_told_as_such(tmp_path: Path):
    for data in (b"2026-04-01 a log\n" * 100, gzip.compress(b"x"), b"PK\x03\x04"):
        (tmp_path / "x").write_bytes(data)
        with pytest.raises(BundleError, match="is no bundle"):
            opened(tmp_path / "x")


def test_a_manifest_that_is_signed_and_wrong_is_refused(tmp_path: Path):
    for text, message in (
        (b"{}\n", "another version"),
        (b'{"format":2}\n', "another version"),
        (b"not JSON", "another version"),
        (
            b'{"format":1,"id":"%b","created":"2026-04-01T00:00:00Z","logs":[{"name":"a","size":5,"blocks":[]}]}'
            % (b"1" * 32),
            "contradicts itself",
        ),
    ):
        signature = bundle.signing_key(PRIVATE).sign(text)
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as archive:
            for name, data in (("manifest.json", text), ("manifest.sig", signature)):
                entry = tarfile.TarInfo(name)
                entry.size = len(data)
                archive.addfile(entry, io.BytesIO(data))
        (tmp_path / "x").write_bytes(out.getvalue())
        with pytest.raises(BundleError, match=message):
            opened(tmp_path / "x")


def test_a_log_that_changes_while_it_is_bundled_is_told(tmp_path: Path):
    (tmp_path / "a").write_bytes(b"one\n")
    handle = os.open(tmp_path / "a", os.O_RDONLY)
    log = bundle.describe("a", None, handle, 4)
    (tmp_path / "a").write_bytes(b"two\n")

    with pytest.raises(BundleError, match="a changed while it was read"):
        bundle.write(
            io.BytesIO(),
            Manifest(format=1, id="1" * 32, created=MADE, logs=(log,)),
            [handle],
            bundle.signing_key(PRIVATE),
        )


@pytest.mark.parametrize(
    ("read", "pem", "message"),
    [
        (bundle.public_key, PRIVATE, "stays with who signs"),
        (bundle.public_key, b"ssh-ed25519 AAAA", "no public key"),
        (bundle.signing_key, PUBLIC, "no signing key"),
        (bundle.signing_key, b"", "no signing key"),
    ],
)
def test_keys_that_are_mixed_up_are_told(read, pem: bytes, message: str):
    with pytest.raises(BundleError, match=message):
        read(pem)
