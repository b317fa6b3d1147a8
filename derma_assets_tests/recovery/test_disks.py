"""A disk that is full, one that can only be read, and bytes that have changed on it: a clear message, nothing lost."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from derma_assets_tests.recovery.conftest import Undisturbed
from derma_assets_tests.recovery.disks import read_only, small_disk
from derma_assets_tests.recovery.runs import SMALL, begin
from derma_assets_tests.recovery.wholeness import assert_same, assert_whole, left_behind, records
from derma_assets_tests.running import command, environment, said

pytestmark = pytest.mark.recovery

# What is asked for, and the kilobytes that are free for it: each needs more for its last file.
FULL_AT = {"*raw_metadata": 1000, "*image_arrays": 4200, "*trained_model": 3000}

# Where nobody may mount, a limit of file sizes stops Dagster's own files too: they are larger than a shard is, and
# smaller than all pictures in one.
LARGEST = {"*image_arrays": 3500}
ONE_SHARD = {"DERMA_SHARDS": "1"}


def test_a_full_disk_stops_each_stage_clearly_and_the_next_run_goes_on(
    undisturbed: Undisturbed, tmp_path: Path, figures: Callable[[str], None]
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    with small_disk(tmp_path / "disk") as disk:
        data_dir = disk.folder / "data"
        full_at, settings = (FULL_AT, SMALL) if disk.mounted else (LARGEST, SMALL | ONE_SHARD)
        for selection, kilobytes in full_at.items():
            with begin(data_dir, selection, settings, home=home, within=disk.leave(kilobytes)) as run:
                text = run.fails()
            assert "the disk is full" in text or "the file is too large" in text, text[-3000:]
            assert "untouched" in text
            assert "Traceback" not in text
            assert_whole(data_dir)
            assert left_behind(data_dir) == []
            disk.enlarge()
            with begin(data_dir, selection, settings, home=home) as run:
                run.wait()
        assert_same(undisturbed.data_dir, data_dir, but=() if disk.mounted else ("image_shard_00",))
        figures(f"disk full at {', '.join(full_at)} ({'a disk' if disk.mounted else 'a limit of file sizes'})")


def test_a_store_that_can_only_be_read_is_read_and_not_written(undisturbed: Undisturbed, tmp_path: Path) -> None:
    data_dir, home = tmp_path / "data", tmp_path / "home"
    home.mkdir()
    shutil.copytree(undisturbed.data_dir / "store", data_dir / "store", symlinks=True)
    shutil.copytree(undisturbed.data_dir / "sample", data_dir / "sample")
    before = records(data_dir / "store" / "sample")
    with read_only(data_dir):
        report = command(
            "python",
            "-m",
            "derma_assets.evaluation.report",
            env=environment(home, **SMALL) | {"DERMA_DATA_DIR": str(data_dir)},
        )
        with begin(data_dir, "grouped_splits", home=home) as run:
            text = run.fails()
    assert report.returncode == 0, said(report)
    assert "Melanoma sensitivity" in report.stdout
    assert "read-only: set DERMA_DATA_DIR" in text or "make the folder writable" in text, text[-3000:]
    assert "Traceback" not in text
    assert_whole(data_dir)
    assert records(data_dir / "store" / "sample") == before
    with begin(data_dir, "grouped_splits", home=home) as run:
        run.wait()
    assert records(data_dir / "store" / "sample") == before


# The pictures of shard 01 are one file on the disk under two names: both are damaged at once.
DAMAGED = (
    "grouped_splits.parquet",
    "training_set.parquet",
    "image_shard_01/pixels.npy",
    "image_arrays/shard-01/pixels.npy",
    "trained_model.keras",
    "predictions.parquet",
)


def test_a_flipped_byte_in_each_kind_of_file_is_made_right(
    undisturbed: Undisturbed, tmp_path: Path, figures: Callable[[str], None]
) -> None:
    for part in ("store", "sample"):
        shutil.copytree(undisturbed.data_dir / part, tmp_path / part, symlinks=True, copy_function=shutil.copy2)
    store = tmp_path / "store" / "sample"
    before = records(store)
    for name in DAMAGED:
        content = bytearray((store / name).read_bytes())
        content[len(content) // 2] ^= 1
        (store / name).write_bytes(content)
    with begin(tmp_path, "*predictions") as run:
        text = run.wait()
    for name in DAMAGED:
        assert f"{store / name.partition('/')[0]} is damaged" in text, name
    assert_whole(tmp_path)
    assert_same(undisturbed.data_dir, tmp_path)
    after = records(store)
    assert {name for name in before if after[name].data_version != before[name].data_version} == set()
    figures(f"flipped bytes in {', '.join(DAMAGED)}: noticed and made again")
