"""A file in any state has its row; an unchanged one is not read again; content alone makes the data version."""

import hashlib
import os
import shutil
from pathlib import Path

import imagehash
import pandas as pd
import pytest

from derma_assets.dataset import manifest as module
from derma_assets.dataset.ham10000 import find_ham10000
from derma_assets.dataset.manifest import (
    Manifest,
    build_manifest,
    explain_problems,
    manifest_fingerprint,
)
from derma_assets_tests.dataset.conftest import metadata_of, noise

PART = "HAM10000_images_part_1"


def manifest_of(folder: Path, previous: pd.DataFrame | None = None) -> Manifest:
    return build_manifest(metadata_of()["image_id"].tolist(), find_ham10000(folder).pictures, folder, previous)


def spoil(folder: Path) -> None:
    """Spoil four pictures, each in its own way."""
    part = folder / PART
    (part / "ISIC_0000000.jpg").unlink()
    (part / "ISIC_0000002.jpg").write_bytes(b"")
    whole = (part / "ISIC_0000004.jpg").read_bytes()
    (part / "ISIC_0000004.jpg").write_bytes(whole[: len(whole) // 2])
    (part / "ISIC_0000006.jpg").write_text("a text file")


def test_every_readable_picture_is_described(ham_folder: Path) -> None:
    table = manifest_of(ham_folder).table
    assert table["image_id"].tolist() == metadata_of()["image_id"].tolist()
    assert set(table["status"]) == {"ok"}
    first = table.iloc[0]
    assert (first["width"], first["height"], first["mode"], first["problem"]) == (60, 45, "RGB", "")
    assert first["bytes"] == Path(first["path"]).stat().st_size
    assert table["phash"].str.fullmatch("[0-9a-f]{16}").all()
    assert table["sha256"].nunique() == len(table)
    assert Path(first["path"]).is_absolute()


def test_every_fault_has_a_row_and_words(ham_folder: Path) -> None:
    spoil(ham_folder)
    table = manifest_of(ham_folder).table.set_index("image_id")
    assert len(table) == 28
    expected = {0: "missing", 2: "empty", 4: "truncated", 6: "not_a_picture"}
    for number, status in expected.items():
        assert table.loc[f"ISIC_{number:07d}", "status"] == status
    assert (table["status"] == "ok").sum() == 24
    report = explain_problems(table.reset_index(), 3)
    for number in expected:
        assert f"ISIC_{number:07d}" in report
    assert "DERMA_ALLOWED_UNREADABLE=4" in report
    assert "DERMA_ALLOWED_UNREADABLE" not in explain_problems(table.reset_index(), 4)


def test_unchanged_files_are_not_read_again(ham_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = manifest_of(ham_folder)
    assert (first.read, first.unchanged) == (28, 0)
    noise(999).save(ham_folder / PART / "ISIC_0000002.jpg")
    read = []
    examine = module.examine
    monkeypatch.setattr(module, "examine", lambda image_id, path: read.append(image_id) or examine(image_id, path))
    second = manifest_of(ham_folder, first.table)
    assert read == ["ISIC_0000002"]
    assert (second.read, second.unchanged) == (1, 27)
    monkeypatch.undo()
    pd.testing.assert_frame_equal(second.table, manifest_of(ham_folder).table)


def test_a_repaired_file_is_noticed(ham_folder: Path) -> None:
    spoil(ham_folder)
    spoilt = manifest_of(ham_folder).table
    for number in (0, 2, 4, 6):
        noise(number).save(ham_folder / PART / f"ISIC_{number:07d}.jpg")
    assert set(manifest_of(ham_folder, spoilt).table["status"]) == {"ok"}


def test_the_fingerprint_is_of_content_only(ham_folder: Path, tmp_path: Path) -> None:
    before = manifest_fingerprint(manifest_of(ham_folder).table)
    elsewhere = tmp_path / "elsewhere" / "deeper"
    shutil.copytree(ham_folder, elsewhere)
    os.utime(elsewhere / PART / "ISIC_0000000.jpg", (1, 1))
    assert manifest_fingerprint(manifest_of(elsewhere).table) == before
    noise(999).save(elsewhere / PART / "ISIC_0000000.jpg")
    assert manifest_fingerprint(manifest_of(elsewhere).table) != before


def test_the_perceptual_hash_is_of_the_upright_picture(tmp_path: Path) -> None:
    picture, turned = tmp_path / "a.png", tmp_path / "b.png"
    noise(1, 160, 120).save(picture)
    exif = noise(1).getexif()
    exif[0x0112] = 6
    noise(1, 160, 120).rotate(90, expand=True).save(turned, exif=exif)
    hashes = [imagehash.hex_to_hash(module.examine("x", path).phash) for path in (picture, turned)]
    assert hashes[0] == hashes[1]


def test_a_file_that_is_put_back_as_it_was_is_noticed(ham_folder: Path) -> None:
    path = ham_folder / PART / "ISIC_0000002.jpg"
    content, state = path.read_bytes(), path.stat()
    path.write_bytes(content[:500] + bytes(len(content) - 500))
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
    spoilt = manifest_of(ham_folder).table
    assert (spoilt["status"] != "ok").sum() == 1
    path.write_bytes(content)
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
    again = manifest_of(ham_folder, spoilt)
    assert (again.read, set(again.table["status"])) == (1, {"ok"})


def test_a_manifest_of_another_version_is_ignored(ham_folder: Path) -> None:
    older = manifest_of(ham_folder).table.drop(columns="phash")
    assert manifest_of(ham_folder, older).read == 28


def test_a_manifest_made_by_other_decoding_rules_is_made_anew(ham_folder: Path) -> None:
    first = manifest_of(ham_folder)
    older = first.table.assign(decoding=first.table["decoding"] - 1)
    assert manifest_of(ham_folder, first.table).read == 0
    assert manifest_of(ham_folder, older).read == first.read


@pytest.mark.parametrize("how", ["renamed over", "written into"])
def test_a_picture_replaced_while_it_is_read_is_read_again(
    how: str, ham_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, other = ham_folder / PART / "ISIC_0000002.jpg", tmp_path / "other.jpg"
    noise(999).save(other, quality=92)
    content, real = other.read_bytes(), Path.read_bytes
    reads = []

    def read_bytes(file: Path) -> bytes:
        if file != path:
            return real(file)
        reads.append(file)
        if len(reads) > 1:
            return real(file)
        # Between the first half and the second: what is read is of two pictures.
        first = real(file)[:500]
        if how == "renamed over":
            os.replace(other, path)
        else:
            path.write_bytes(content)
        return first + real(file)[500:]

    monkeypatch.setattr(Path, "read_bytes", read_bytes)
    row = module.examine("ISIC_0000002", path)
    assert len(reads) == 2
    assert (row.status, row.sha256) == ("ok", hashlib.sha256(content).hexdigest())
    assert row.mtime_ns == path.stat().st_mtime_ns


def test_a_picture_that_never_stands_still_is_read_again_by_the_next_run(
    ham_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, real, number = ham_folder / PART / "ISIC_0000002.jpg", Path.read_bytes, iter(range(1, 100))

    def read_bytes(file: Path) -> bytes:
        content = real(file)
        if file == path:
            noise(1000 + next(number)).save(path, quality=92)
        return content

    with monkeypatch.context() as patched:
        patched.setattr(Path, "read_bytes", read_bytes)
        first = manifest_of(ham_folder)
    second = manifest_of(ham_folder, first.table)
    assert (second.read, second.unchanged) == (1, 27)
    row = second.table.set_index("image_id").loc["ISIC_0000002"]
    assert row["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()


def test_times_of_the_future_are_no_reason_to_read_again(ham_folder: Path) -> None:
    for path in ham_folder.rglob("*.jpg"):
        os.utime(path, (4e9, 4e9))
    first = manifest_of(ham_folder)
    assert manifest_of(ham_folder, first.table).read == 0
    os.utime(ham_folder / PART / "ISIC_0000002.jpg", (1, 1))  # older than what was read: changed all the same
    assert manifest_of(ham_folder, first.table).read == 1
