import os
import zipfile
from pathlib import Path

import pytest

from derma_assets.errors import InputError
from derma_assets.release.archive import pack, unpack
from derma_assets.storage.fingerprint import sha256_of_files


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for path, content in (("b.txt", "b" * 5000), ("a/c.txt", "c"), ("a/ä.bin", "\0")):
        (tmp_path / "folder" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "folder" / path).write_text(content)
    return tmp_path / "folder"


def test_what_is_packed_is_unpacked(folder: Path, tmp_path: Path) -> None:
    pack(folder, tmp_path / "packed.zip")
    unpack(tmp_path / "packed.zip", tmp_path / "unpacked")
    assert sha256_of_files(tmp_path / "unpacked") == sha256_of_files(folder)
    assert (tmp_path / "packed.zip").stat().st_size < 1000


def test_times_and_rights_do_not_matter(folder: Path, tmp_path: Path) -> None:
    pack(folder, tmp_path / "first.zip")
    os.utime(folder / "b.txt", (0, 0))
    (folder / "b.txt").chmod(0o600)
    pack(folder, tmp_path / "second.zip")
    assert (tmp_path / "first.zip").read_bytes() == (tmp_path / "second.zip").read_bytes()
    with zipfile.ZipFile(tmp_path / "first.zip") as packed:
        assert packed.namelist() == ["a/c.txt", "a/ä.bin", "b.txt"]


@pytest.mark.parametrize("name", ["../out.txt", "a/../../out.txt", "/out.txt", "a\\..\\out.txt", "c:out.txt"])
def test_nothing_is_written_outside(tmp_path: Path, name: str) -> None:
    with zipfile.ZipFile(tmp_path / "bad.zip", "w") as packed:
        packed.writestr("good.txt", "good")
        packed.writestr(name, "bad")
    with pytest.raises(InputError, match="outside its folder"):
        unpack(tmp_path / "bad.zip", tmp_path / "unpacked")
    assert [path.name for path in tmp_path.iterdir()] == ["bad.zip"]


def test_a_damaged_archive_is_named(folder: Path, tmp_path: Path) -> None:
    pack(folder, tmp_path / "packed.zip")
    content = bytearray((tmp_path / "packed.zip").read_bytes())
    content[35:40] = b"XXXXX"
    for damaged in (bytes(content), b"no zip at all"):
        (tmp_path / "packed.zip").write_bytes(damaged)
        with pytest.raises(InputError, match=r"packed\.zip is damaged"):
            unpack(tmp_path / "packed.zip", tmp_path / "unpacked")
