"""What `make app` does on a fresh clone."""

import shutil
from pathlib import Path

import pytest

from derma_assets.browser import serve
from derma_assets.browser.bundle import changed_files
from derma_assets.errors import UserError
from derma_assets.release.archive import pack, unpack
from derma_assets.release.layout import listed, read_release, write_document
from derma_assets.release.unpacked import said_of, unpacked_bundle
from derma_assets.storage.fingerprint import fingerprint_folder, sha256_of_files
from derma_assets_tests.release.made_up_store import DATE, settings_for


@pytest.fixture
def clone(release: Path, tmp_path: Path) -> Path:
    """A data folder with a release and nothing else."""
    shutil.copytree(release, tmp_path / "release")
    return tmp_path


def test_the_bundle_is_unpacked_as_it_was_packed(original: Path, tmp_path: Path) -> None:
    folder = unpacked_bundle(original / "release", tmp_path / "bundle")
    assert folder == tmp_path / "bundle"
    assert sha256_of_files(folder) == sha256_of_files(original / "store/ham10000/tfjs_bundle")
    assert changed_files(folder) == []


def test_what_is_unpacked_already_is_left_alone_unless_it_was_changed(release: Path, tmp_path: Path) -> None:
    page = unpacked_bundle(release, tmp_path / "bundle") / "index.html"
    before = page.stat()
    assert unpacked_bundle(release, tmp_path / "bundle") / "index.html" == page
    assert (page.stat().st_ino, page.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)

    page.write_text("changed")
    (tmp_path / "bundle/added.js").write_text("")
    unpacked_bundle(release, tmp_path / "bundle")
    assert fingerprint_folder(tmp_path / "bundle") == read_release(release)["bundle"]["fingerprint"]


def test_an_archive_that_is_not_the_released_one_is_refused(clone: Path) -> None:
    with (clone / "release/bundle.tar.xz").open("ab") as archive:
        archive.write(b"\0")
    with pytest.raises(UserError, match=r"bundle\.tar\.xz is missing or not what release\.json says"):
        unpacked_bundle(clone / "release", clone / "bundle")
    assert not (clone / "bundle").exists()


def test_an_archive_with_other_files_than_were_released_is_refused(clone: Path) -> None:
    """Even one whose own checksum is right."""
    unpack(clone / "release/bundle.tar.xz", clone / "other")
    (clone / "other/index.html").write_text("other")
    (clone / "release/bundle.tar.xz").unlink()
    pack(clone / "other", clone / "release/bundle.tar.xz")
    manifest = read_release(clone / "release")
    write_document({**manifest, "files": listed(clone / "release")}, clone / "release/release.json")
    with pytest.raises(UserError, match=r"the files in .*bundle\.tar\.xz are not what release\.json says"):
        unpacked_bundle(clone / "release", clone / "bundle")
    assert not (clone / "bundle").exists()


def test_where_no_run_has_made_a_bundle_the_release_is_served(clone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serve, "settings", lambda: settings_for(clone))
    found = serve.newest_bundle()
    assert found.folder == clone / "build/released_bundle"
    assert changed_files(found.folder) == []
    assert said_of(clone / "release") in found.what
    assert "make demo" in found.what


def test_it_says_which_model_that_is(release: Path) -> None:
    said, accuracy = said_of(release), read_release(release)["test"]["accuracy"]
    assert f"the release of {DATE}: HAM10000" in said
    assert f"accuracy {accuracy['value']:.3f} ({accuracy['low']:.3f} to {accuracy['high']:.3f})" in said
    assert "not a diagnosis" in said


def test_a_runs_own_bundle_of_the_chosen_data_set_comes_first(
    original: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(serve, "settings", lambda: settings_for(original))
    assert serve.newest_bundle().folder == original / "store/ham10000/tfjs_bundle"

    shutil.copytree(original, tmp_path / "data")
    monkeypatch.setattr(serve, "settings", lambda: settings_for(tmp_path / "data", dataset="sample"))
    assert serve.newest_bundle().folder == tmp_path / "data/build/released_bundle"


def test_a_release_of_another_version_is_said_to_be_one(clone: Path) -> None:
    write_document({**read_release(clone / "release"), "format": 0}, clone / "release/release.json")
    with pytest.raises(UserError, match="of another version"):
        unpacked_bundle(clone / "release", clone / "bundle")
