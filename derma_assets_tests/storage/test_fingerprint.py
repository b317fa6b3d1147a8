"""A file's hash is that of its bytes, also where it is remembered."""

import hashlib
import os
from pathlib import Path

import pytest

from derma_assets.storage import fingerprint
from derma_assets.storage.fingerprint import sha256_of_file


def of_bytes(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def linked(tmp_path: Path) -> tuple[Path, Path]:
    """One file under two names, which was written long ago as far as the process can tell."""
    one, other = tmp_path / "shard", tmp_path / "whole"
    one.write_bytes(b"pixels" * 1000)
    os.link(one, other)
    return one, other


def test_a_file_with_two_names_is_read_once(linked: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fingerprint, "_TICK_S", 0.0)
    first = sha256_of_file(linked[0])
    monkeypatch.setattr(hashlib, "file_digest", lambda *_: pytest.fail("read again"))
    assert sha256_of_file(linked[1]) == first == of_bytes(linked[0])


def test_a_byte_that_is_flipped_is_seen_under_both_names(linked: tuple[Path, Path]) -> None:
    before = [sha256_of_file(path) for path in linked]
    times = linked[0].stat()
    content = bytearray(linked[0].read_bytes())
    content[7] ^= 1
    with linked[0].open("r+b") as file:  # in place: the other name sees it too
        file.write(content)
    os.utime(linked[0], ns=(times.st_atime_ns, times.st_mtime_ns))
    after = [sha256_of_file(path) for path in linked]
    assert before == [before[0]] * 2
    assert after == [of_bytes(linked[0])] * 2
    assert after[0] != before[0]


def test_what_was_touched_a_moment_ago_is_not_remembered(linked: tuple[Path, Path]) -> None:
    known = dict(fingerprint._hashed)
    sha256_of_file(linked[0])
    assert fingerprint._hashed == known
