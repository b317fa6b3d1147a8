"""What is stored comes back; a full disk, a missing asset and an aborted build are told and lose nothing."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import dagster as dg
import pandas as pd
import pytest
from upath import UPath

from derma_assets.errors import StorageError
from derma_assets.storage.io_managers import (
    DocumentIOManager,
    FolderIOManager,
    KerasModelIOManager,
    TableIOManager,
    io_managers,
)
from derma_assets.storage.paths import EXTENSIONS, building_folder, stored_path


def store(manager: dg.UPathIOManager, value: object, path: Path) -> None:
    manager.dump_to_path(dg.build_output_context(asset_key=dg.AssetKey(path.stem)), value, UPath(path))


def load(manager: dg.UPathIOManager, path: Path) -> object:
    return manager.load_from_path(dg.build_input_context(asset_key=dg.AssetKey("some_asset")), UPath(path))


def test_tables_and_documents_come_back(tmp_path: Path) -> None:
    table = pd.DataFrame({"image_id": ["a", "b"], "age": [1.5, None]}, index=[3, 4])
    managers = io_managers(tmp_path)
    store(managers["table"], table, tmp_path / "t.parquet")
    pd.testing.assert_frame_equal(load(managers["table"], tmp_path / "t.parquet"), table)
    document = {"temperature": 1.25, "bins": [1, 2]}
    store(managers["document"], document, tmp_path / "d.json")
    assert load(managers["document"], tmp_path / "d.json") == document


def test_a_folder_is_copied_and_replaced_whole(tmp_path: Path) -> None:
    built, path = tmp_path / "built", tmp_path / "store" / "asset"
    for version in ("first", "second"):
        (built / "inner").mkdir(parents=True, exist_ok=True)
        (built / "inner" / version).write_text(version)
        store(FolderIOManager(UPath(tmp_path)), built, path)
        (built / "inner" / version).unlink()
        assert [file.name for file in (path / "inner").iterdir()] == [version]
    assert built.exists()


def test_a_folder_built_in_the_stores_own_place_is_moved(tmp_path: Path) -> None:
    with building_folder(tmp_path, "asset") as folder:
        folder.mkdir()
        (folder / "file").write_text("content")
    inode = (folder / "file").stat().st_ino
    path = stored_path(tmp_path, "asset", "folder")
    store(FolderIOManager(UPath(tmp_path)), folder, path)
    assert (path / "file").stat().st_ino == inode
    assert not folder.exists()


def test_an_aborted_build_leaves_nothing(tmp_path: Path) -> None:
    killed = tmp_path / ".building" / "asset.killed"
    killed.mkdir(parents=True)
    two_days_ago = time.time() - 2 * 24 * 3600
    os.utime(killed, (two_days_ago, two_days_ago))

    def fail() -> None:
        with building_folder(tmp_path, "asset") as folder:
            folder.mkdir()
            raise RuntimeError("a fault")

    with pytest.raises(RuntimeError):
        fail()
    assert not list((tmp_path / ".building").iterdir())


def test_a_building_folder_that_cannot_be_made_is_explained(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StorageError, match="is a file, not a folder"), building_folder(tmp_path / "file", "asset"):
        raise AssertionError("not reached")


@pytest.mark.parametrize("manager", [TableIOManager, DocumentIOManager, KerasModelIOManager, FolderIOManager])
def test_what_was_never_stored_is_named_with_the_command(manager: type[dg.UPathIOManager], tmp_path: Path) -> None:
    with pytest.raises(dg.Failure, match=r"some_asset has not been stored yet.*--select '\*some_asset'"):
        load(manager(UPath(tmp_path)), tmp_path / "nothing")


def test_paths_and_managers_agree_on_every_kind(tmp_path: Path) -> None:
    managers = {key: value for key, value in io_managers(tmp_path).items() if isinstance(value, dg.UPathIOManager)}
    assert managers.keys() == EXTENSIONS.keys()
    for key, manager in managers.items():
        stored = dg.build_output_context(asset_key=dg.AssetKey("asset"))
        assert Path(manager._get_path(stored).path) == stored_path(tmp_path, "asset", key)


@pytest.mark.parametrize("module", ["storage.paths", "browser.serve", "evaluation.report"])
def test_what_needs_paths_only_does_without_dagster(module: str) -> None:
    code = f"import sys, derma_assets.{module}; print('dagster' in sys.modules)"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "False"


@pytest.mark.parametrize("key", ["folder", "keras_model"])
def test_what_a_killed_swap_set_aside_is_read(key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = stored_path(tmp_path, "asset", key)
    (path.with_name(f".{path.name}.0123abcd.old")).mkdir()
    manager = io_managers(tmp_path)[key]
    monkeypatch.setattr(manager, "read", lambda local: local)
    assert load(manager, path) == path
    assert path.is_dir()


WITHOUT_ROOM = '''
import sys
from pathlib import Path
import dagster as dg, numpy as np, pandas as pd
from upath import UPath
from derma_assets.storage.io_managers import io_managers

disk, managers = Path(sys.argv[1]), io_managers(Path(sys.argv[1]))
def dump(key, value, name):
    context = dg.build_output_context(asset_key=dg.AssetKey(name.partition(".")[0]))
    managers[key].dump_to_path(context, value, UPath(disk / name))

class Model:
    """Saves as a Keras model does, without the time that importing TensorFlow takes."""

    def __init__(self, content):
        self.content = content

    def save(self, path):
        Path(path).write_bytes(self.content)

values = {
    "table": (pd.DataFrame({"a": [1]}), pd.DataFrame({"a": np.random.default_rng(0).integers(0, 2**60, 400_000)})),
    "document": ({"a": 1}, {"a": "x" * 3_000_000}),
    "keras_model": (Model(b"old"), Model(bytes(3_000_000))),
    "folder": (disk.parent / "small", disk.parent / "large"),
}
for key, (small, large) in values.items():
    dump(key, small, key)
    before = sorted(disk.rglob("*"))
    try:
        dump(key, large, key)
    except dg.Failure as failure:
        assert "the disk is full" in failure.description or "too large" in failure.description, failure.description
    else:
        raise AssertionError(f"{key}: no failure")
    assert sorted(disk.rglob("*")) == before, (key, sorted(disk.rglob("*")))
assert pd.read_parquet(disk / "table")["a"].tolist() == [1]
assert (disk / "document").read_text() == '{\\n  "a": 1\\n}\\n'
assert (disk / "keras_model").read_bytes() == b"old"
assert (disk / "folder" / "file").read_text() == "old"
print("all kept")
'''


@pytest.mark.parametrize("limit", ["small disk", "file size"])
def test_a_failed_write_keeps_every_kind_of_asset(limit: str, tmp_path: Path) -> None:
    """On a real disk of one megabyte, in a mount namespace of its own, and under a real limit of file sizes.

    A machine that lets nobody mount a disk runs the second twice.
    """
    disk = tmp_path / "disk"
    disk.mkdir()
    for name, content in (("small", b"old"), ("large", bytes(3_000_000))):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_bytes(content)
    alone = ["unshare", "--map-root-user", "--mount", "sh", "-c"]
    mount = f"mount -t tmpfs -o size=1m tmpfs '{disk}'"
    limited = ["sh", "-c", 'ulimit -f 2000 && exec "$0" "$@"']  # blocks of 512 bytes
    if limit == "small disk" and shutil.which("unshare"):
        allowed = subprocess.run([*alone, mount], capture_output=True, check=False).returncode == 0
        limited = [*alone, f'{mount} && exec "$0" "$@"'] if allowed else limited
    run = [*limited, sys.executable, "-c", WITHOUT_ROOM, str(disk)]
    done = subprocess.run(run, capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "all kept", done.stderr
