import io
import os
import tarfile
from pathlib import Path

import pytest

from derma_assets.errors import InputError
from derma_assets.release.archive import pack, read_packed, unpack
from derma_assets.storage.fingerprint import sha256_of_files


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for path, content in (("b.txt", "b" * 5000), ("a/c.txt", "c"), ("a/ä.bin", "\0")):
        (tmp_path / "folder" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "folder" / path).write_text(content)
    return tmp_path / "folder"


def test_what_is_packed_is_unpacked(folder: Path, tmp_path: Path) -> None:
    pack(folder, tmp_path / "packed.tar.xz")
    unpack(tmp_path / "packed.tar.xz", tmp_path / "unpacked")
    assert sha256_of_files(tmp_path / "unpacked") == sha256_of_files(folder)
    assert (tmp_path / "packed.tar.xz").stat().st_size < 1000


def test_one_file_is_read_without_unpacking(folder: Path, tmp_path: Path) -> None:
    pack(folder, tmp_path / "packed.tar.xz")
    assert read_packed(tmp_path / "packed.tar.xz", "a/c.txt") == b"c"
    with pytest.raises(InputError, match=r"has no file a/d\.txt"):
        read_packed(tmp_path / "packed.tar.xz", "a/d.txt")
    with pytest.raises(InputError, match="cannot be read"):
        read_packed(tmp_path / "missing.tar.xz", "a/c.txt")


def test_times_and_rights_do_not_matter(folder: Path, tmp_path: Path) -> None:
    pack(folder, tmp_path / "first.tar.xz")
    os.utime(folder / "b.txt", (0, 0))
    (folder / "b.txt").chmod(0o600)
    pack(folder, tmp_path / "second.tar.xz")
    assert (tmp_path / "first.tar.xz").read_bytes() == (tmp_path / "second.tar.xz").read_bytes()
    with tarfile.open(tmp_path / "first.tar.xz") as packed:
        assert packed.getnames() == ["a/c.txt", "a/ä.bin", "b.txt"]


@pytest.mark.parametrize("name", ["../out.txt", "a/../../out.txt", "/out.txt", "a\\..\\out.txt", "c:out.txt"])
def test_nothing_is_written_outside(tmp_path: Path, name: str) -> None:
    with tarfile.open(tmp_path / "bad.tar.xz", "w:xz") as packed:
        for path in ("good.txt", name):
            entry = tarfile.TarInfo(path)
            entry.size = 4
            packed.addfile(entry, io.BytesIO(b"file"))
    with pytest.raises(InputError, match="outside its folder"):
        unpack(tmp_path / "bad.tar.xz", tmp_path / "unpacked")
    assert [path.name for path in tmp_path.iterdir()] == ["bad.tar.xz"]


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE])
def test_nothing_but_files_is_unpacked(tmp_path: Path, kind: bytes) -> None:
    with tarfile.open(tmp_path / "bad.tar.xz", "w:xz") as packed:
        entry = tarfile.TarInfo("other")
        entry.type, entry.linkname = kind, "/etc/hostname"
        packed.addfile(entry)
    with pytest.raises(InputError, match="is no file"):
        unpack(tmp_path / "bad.tar.xz", tmp_path / "unpacked")
    assert [path.name for path in tmp_path.iterdir()] == ["bad.tar.xz"]


def test_a_damaged_archive_is_named(folder: Path, tmp_path: Path) -> None:
    pack(folder, tmp_path / "packed.tar.xz")
    content = bytearray((tmp_path / "packed.tar.xz").read_bytes())
    content[45:50] = b"XXXXX"
    for damaged in (bytes(content), b"no archive at all"):
        (tmp_path / "packed.tar.xz").write_bytes(damaged)
        with pytest.raises(InputError, match=r"packed\.tar.xz is damaged"):
            unpack(tmp_path / "packed.tar.xz", tmp_path / "unpacked")
