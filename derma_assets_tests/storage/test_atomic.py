"""A reader sees the old version or the new one; a failure leaves the old one and nothing else."""

import threading
from pathlib import Path

import pytest

from derma_assets.errors import StorageError
from derma_assets.storage import atomic
from derma_assets.storage.atomic import replacing, restore_interrupted_swap


def write(path: Path, kind: str, content: str) -> None:
    if kind == "folder":
        path.mkdir()
        (path / "inner").mkdir()
        path = path / "inner" / "file"
    path.write_text(content)


def read(path: Path, kind: str) -> str:
    return (path / "inner" / "file" if kind == "folder" else path).read_text()


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_new_then_replaced(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "deep" / "output.x"
    for content in ("old", "new"):
        with replacing(path) as beside:
            write(beside, kind, content)
            assert beside.suffix == ".x", "writers go by the ending"
            assert not path.exists() or read(path, kind) == "old"
        assert read(path, kind) == content
    assert [left.name for left in path.parent.iterdir()] == ["output.x"]


@pytest.mark.parametrize("kind", ["file", "folder"])
@pytest.mark.parametrize("error", [ValueError("a fault"), KeyboardInterrupt()])
def test_a_failure_leaves_the_old_version(kind: str, error: BaseException, tmp_path: Path) -> None:
    path = tmp_path / "output"
    with replacing(path) as beside:
        write(beside, kind, "old")

    def fail() -> None:
        with replacing(path) as beside:
            write(beside, kind, "half of the n")
            raise error

    with pytest.raises(type(error)):
        fail()
    assert read(path, kind) == "old"
    assert [left.name for left in tmp_path.iterdir()] == ["output"]


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_a_failed_rename_leaves_the_old_version(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "output"
    with replacing(path) as beside:
        write(beside, kind, "old")
    with pytest.raises(FileNotFoundError), replacing(path):
        pass  # nothing was written, so there is nothing to rename
    assert read(path, kind) == "old"
    assert [left.name for left in tmp_path.iterdir()] == ["output"]


def test_a_folder_takes_the_place_of_a_file_and_the_other_way_round(tmp_path: Path) -> None:
    path = tmp_path / "output"
    for kind in ("file", "folder", "file"):
        with replacing(path) as beside:
            write(beside, kind, kind)
        assert read(path, kind) == kind


def test_a_full_disk_is_explained_and_the_old_version_kept(tmp_path: Path) -> None:
    """The kernel's own error: every write to /dev/full fails as on a full disk."""
    path = tmp_path / "output"
    path.write_text("old")

    def fail() -> None:
        with replacing(path) as beside:
            beside.symlink_to("/dev/full")
            beside.write_text("new")

    with pytest.raises(StorageError, match=r"the disk is full: free some space.*untouched"):
        fail()
    assert path.read_text() == "old"
    assert [left.name for left in tmp_path.iterdir()] == ["output"]


def test_a_file_in_the_way_is_explained(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    for path in (tmp_path / "file" / "output", tmp_path / "file" / "deeper" / "output"):
        with pytest.raises(StorageError, match="is a file, not a folder"), replacing(path):
            raise AssertionError("not reached")


def test_a_folder_set_aside_by_a_killed_process_is_put_back(tmp_path: Path) -> None:
    aside = tmp_path / ".output.0123abcd.old"
    aside.mkdir()
    (aside / "file").write_text("old")
    restore_interrupted_swap(tmp_path / "output")
    assert (tmp_path / "output" / "file").read_text() == "old"
    restore_interrupted_swap(tmp_path / "never_stored")
    assert [left.name for left in tmp_path.iterdir()] == ["output"]


def test_a_folder_of_another_name_is_not_put_back(tmp_path: Path) -> None:
    for other in (".output.v2.0123abcd.old", ".output.mine.old", ".other.0123abcd.old"):
        (tmp_path / other).mkdir()
    restore_interrupted_swap(tmp_path / "output")
    assert not (tmp_path / "output").exists()


def test_a_folder_set_aside_survives_a_next_attempt_that_fails(tmp_path: Path) -> None:
    aside = tmp_path / ".output.0123abcd.old"
    write(aside, "folder", "old")

    def fail() -> None:
        with replacing(tmp_path / "output") as beside:
            write(beside, "folder", "half of the n")
            raise ValueError("a fault")

    with pytest.raises(ValueError, match="a fault"):
        fail()
    assert read(tmp_path / "output", "folder") == "old"
    assert [left.name for left in tmp_path.iterdir()] == ["output"]


def test_what_killed_writers_have_left_is_removed(tmp_path: Path) -> None:
    for path, kind in ((tmp_path / "table.x", "file"), (tmp_path / "folder", "folder")):
        write(path, kind, "old")
        write(tmp_path / f".{path.name}.0123abcd.tmp{path.suffix}", kind, "half")
        write(tmp_path / f".{path.name}.89abcdef.old", kind, "older")
        (tmp_path / f".{path.name}.fedcba98.tmp{path.suffix}.claim").touch()
        with replacing(path) as beside:
            write(beside, kind, "new")
    assert sorted(left.name for left in tmp_path.iterdir()) == ["folder", "table.x"]


def test_a_folder_is_there_at_every_moment_of_its_replacement(tmp_path: Path) -> None:
    path, stop, absent = tmp_path / "output", threading.Event(), []

    def look() -> None:
        while not stop.is_set():
            if not path.exists():
                absent.append(path)

    for content in ("old", "new"):
        with replacing(path) as beside:
            write(beside, "folder", content)
    reader = threading.Thread(target=look)
    reader.start()
    for number in range(100):
        with replacing(path) as beside:
            write(beside, "folder", str(number))
    stop.set()
    reader.join()
    assert absent == []


def test_where_folders_cannot_be_exchanged_they_are_renamed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(atomic, "exchanged", lambda *_: False)
    path = tmp_path / "output"
    for content in ("old", "new"):
        with replacing(path) as beside:
            write(beside, "folder", content)
    assert read(path, "folder") == "new"
    assert [left.name for left in tmp_path.iterdir()] == ["output"]
