"""The stage run by Dagster: what is stored, what is not done again, and what a person is told of bad input."""

import shutil
from collections.abc import Callable
from pathlib import Path

import dagster as dg
import pandas as pd
import pytest

from derma_assets.dataset import assets, checks
from derma_assets.dataset.image_arrays import ImageArrays
from derma_assets.dataset.incoming import METADATA
from derma_assets.dataset.shards import shard_names, shard_of
from derma_assets.settings import settings
from derma_assets.storage.io_managers import io_managers
from derma_assets_tests.dataset.conftest import noise
from derma_assets_tests.dataset.test_incoming import ALL, drop

SHARDS = shard_names(len(assets.image_shards))


@pytest.fixture
def data_dir(ham_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Settings that read `ham_folder` and write below a fresh folder, which is returned."""
    folder = tmp_path / "data"
    for name, value in {
        "DATASET": "ham10000",
        "HAM10000_DIR": str(ham_folder),
        "DATA_DIR": str(folder),
        "IMAGE_SIZE": "32",
    }.items():
        monkeypatch.setenv(f"DERMA_{name}", value)
    monkeypatch.delenv("DERMA_ALLOWED_UNREADABLE", raising=False)
    settings.cache_clear()
    return folder


@pytest.fixture(autouse=True)
def _settings_anew() -> object:
    yield
    settings.cache_clear()


def run(selection: str | None = None) -> dg.ExecuteInProcessResult:
    return dg.materialize(
        [*dg.load_assets_from_modules([assets]), *dg.load_asset_checks_from_modules([checks])],
        selection=selection,
        resources=io_managers(settings().store),
        raise_on_error=False,
    )


def metadata_of(result: dg.ExecuteInProcessResult, asset: str) -> dict[str, object]:
    (event,) = (e for e in result.get_asset_materialization_events() if e.asset_key == dg.AssetKey(asset))
    return {name: value.value for name, value in event.materialization.metadata.items()}


def of_shards(result: dg.ExecuteInProcessResult, name: str) -> list[object]:
    """Return what each shard says under a name of its metadata."""
    return [metadata_of(result, shard)[name] for shard in SHARDS]


def version_of(result: dg.ExecuteInProcessResult, asset: str) -> str:
    (event,) = (e for e in result.get_asset_materialization_events() if e.asset_key == dg.AssetKey(asset))
    return (event.materialization.tags or {})["dagster/data_version"]


def failure_of(result: dg.ExecuteInProcessResult) -> str:
    assert not result.success
    (event,) = result.get_step_failure_events()
    return event.step_failure_data.user_failure_data.description or ""  # type: ignore[union-attr]


def test_the_stage_runs_and_a_second_run_reads_nothing(data_dir: Path) -> None:
    first = run()
    assert first.success
    store = data_dir / "store" / "ham10000"
    assert len(pd.read_parquet(store / "raw_metadata.parquet")) == 28
    assert ImageArrays.open(store / "image_arrays").pixels.shape == (28, 32, 32, 3)
    assert not list((store / ".building").iterdir())
    assert metadata_of(first, "raw_images")["files_read"] == 28
    assert sum(of_shards(first, "decoded")) == 28  # type: ignore[arg-type]
    second = run()
    assert metadata_of(second, "raw_images")["files_read"] == 0
    assert metadata_of(second, "image_arrays")["reused"] is True
    assert of_shards(second, "reused") == [True] * len(SHARDS)
    for asset in ("raw_metadata", "raw_images", "image_arrays"):
        assert version_of(first, asset) == version_of(second, asset)


def test_a_changed_picture_changes_the_versions_below_it(data_dir: Path, ham_folder: Path) -> None:
    first = run()
    noise(999).save(ham_folder / "HAM10000_images_part_1" / "ISIC_0000002.jpg")
    second = run()
    touched = shard_of("ISIC_0000002", len(SHARDS))
    assert of_shards(second, "reused") == [shard != touched for shard in range(len(SHARDS))]
    assert metadata_of(second, SHARDS[touched])["decoded"] == 1
    assert 0 < metadata_of(second, SHARDS[touched])["copied"] < 27
    for shard, name in enumerate(SHARDS):
        assert (version_of(first, name) == version_of(second, name)) == (shard != touched)
    assert version_of(first, "raw_metadata") == version_of(second, "raw_metadata")
    for asset in ("raw_images", "image_arrays"):
        assert version_of(first, asset) != version_of(second, asset)


def test_unreadable_pictures_stop_the_run_unless_allowed(
    data_dir: Path, ham_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (ham_folder / "HAM10000_images_part_1" / "ISIC_0000002.jpg").write_bytes(b"")
    (ham_folder / "HAM10000_images_part_2" / "ISIC_0000003.jpg").unlink()
    result = run()
    assert not result.success
    (check,) = result.get_asset_check_evaluations()
    assert not check.passed
    assert check.blocking
    for words in ("ISIC_0000002", "no bytes", "ISIC_0000003.jpg", "DERMA_ALLOWED_UNREADABLE=2"):
        assert words in (check.description or "")
    assert not (data_dir / "store" / "ham10000" / "image_arrays").exists()
    monkeypatch.setenv("DERMA_ALLOWED_UNREADABLE", "2")
    settings.cache_clear()
    result = run()
    assert result.success
    assert metadata_of(result, "image_arrays")["pictures"] == 26


def test_a_damaged_shard_is_made_of_the_files_again_not_of_itself(data_dir: Path) -> None:
    run()
    store = data_dir / "store" / "ham10000"
    pixels = store / SHARDS[0] / "pixels.npy"
    whole = pixels.read_bytes()
    pixels.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    again = run()
    assert metadata_of(again, SHARDS[0])["copied"] == 0
    assert metadata_of(again, SHARDS[1])["reused"] is True
    assert metadata_of(again, "image_arrays")["reused"] is False
    assert pixels.read_bytes() == (store / "image_arrays" / "shard-00" / "pixels.npy").read_bytes() == whole


def test_a_file_that_only_moved_decodes_nothing(data_dir: Path, ham_folder: Path) -> None:
    run()
    part = ham_folder / "HAM10000_images_part_1"
    (part / "ISIC_0000002.jpg").rename(ham_folder / "HAM10000_images_part_2" / "ISIC_0000002.jpg")
    again = run()
    assert metadata_of(again, "raw_images")["files_read"] == 1
    assert of_shards(again, "reused") == [True] * len(SHARDS)


def test_pictures_that_were_dropped_in_are_read_once(data_dir: Path) -> None:
    drop(settings().incoming)
    first = run()
    assert (metadata_of(first, "raw_metadata")["files_read"], metadata_of(first, "raw_images")["pictures"]) == (10, 38)
    again = run()
    assert metadata_of(again, "raw_metadata")["files_read"] == metadata_of(again, "raw_images")["files_read"] == 0
    drop(settings().incoming, "clinic-2", ALL.iloc[50:53])
    more = run()
    assert metadata_of(more, "raw_metadata")["files_read"] == metadata_of(more, "raw_images")["files_read"] == 3
    assert data_dir in settings().incoming.parents


@pytest.mark.usefixtures("data_dir")
def test_a_batch_that_is_no_longer_whole_stops_the_run_and_one_that_was_taken_away_does_not() -> None:
    folder = drop(settings().incoming)
    first = run()
    stored = settings().store / "raw_metadata.parquet"
    before = stored.read_bytes()
    (folder / "stray.jpg").write_bytes(b"")
    assert "clinic-1 was taken in earlier and is no longer whole" in failure_of(run())
    assert stored.read_bytes() == before
    (folder / "stray.jpg").unlink()
    assert version_of(run(), "raw_metadata") == version_of(first, "raw_metadata")
    shutil.rmtree(folder)
    assert metadata_of(run(), "raw_metadata")["images"] == 28


@pytest.mark.usefixtures("data_dir")
def test_a_batch_that_is_dropped_for_a_second_time_is_not_read_instead_of_the_first() -> None:
    folder = drop(settings().incoming)
    first = run()
    copy = settings().incoming / "clinic-2"
    shutil.copytree(folder, copy)
    (copy / METADATA).unlink()
    for picture in copy.rglob("*.jpg"):
        picture.write_bytes(picture.read_bytes()[:50])
    again = run()
    assert again.success
    assert version_of(again, "raw_images") == version_of(first, "raw_images")


def edited(old: str, new: str) -> Callable[[str], str]:
    return lambda text: text.replace(old, new, 1)


@pytest.mark.parametrize(
    ("edit", "told"),
    [
        (edited("dx_type", "how"), "no column dx_type"),
        (edited(",akiec,", ",melanom,"), "line 2, dx 'melanom'"),
        (edited("ISIC_0000001,akiec", "ISIC_0000001,nv"), "line 3, dx 'nv': lesion HAM_0000000 is akiec on line 2"),
        (edited("ISIC_0000001", "ISIC_0000000"), "image_id 'ISIC_0000000'"),
    ],
)
def test_bad_metadata_fail_with_words_and_leave_what_was_stored(
    edit: Callable[[str], str], told: str, data_dir: Path, ham_folder: Path
) -> None:
    stored = data_dir / "store" / "ham10000" / "raw_metadata.parquet"
    assert run("raw_metadata").success
    before = stored.read_bytes()
    path = ham_folder / "HAM10000_metadata.csv"
    path.write_text(edit(path.read_text()))
    assert told in failure_of(run("raw_metadata"))
    assert stored.read_bytes() == before


@pytest.mark.usefixtures("data_dir")
def test_a_missing_folder_fails_with_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DERMA_HAM10000_DIR", str(tmp_path / "gone"))
    settings.cache_clear()
    assert f"there is no folder {tmp_path / 'gone'}" in failure_of(run())


def test_an_output_folder_that_cannot_be_written_fails_with_words(data_dir: Path) -> None:
    data_dir.write_text("a file in the way")
    assert "is a file, not a folder: set DERMA_DATA_DIR" in failure_of(run())


def test_odd_but_good_pictures_are_taken(data_dir: Path, ham_folder: Path) -> None:
    part = ham_folder / "HAM10000_images_part_1"
    noise(0).convert("CMYK").save(part / "ISIC_0000000.jpg")
    for number, mode in ((2, "P"), (4, "I;16"), (6, "RGBA")):
        (part / f"ISIC_{number:07d}.jpg").unlink()
        grey = noise(number).convert("I").point(lambda value: value * 257)
        picture = grey.convert("I;16") if mode == "I;16" else noise(number).convert(mode)
        picture.save(part / f"ISIC_{number:07d}.png")
    exif = noise(8).getexif()
    exif[0x0112] = 6
    noise(8).save(part / "ISIC_0000008.jpg", exif=exif)
    assert run().success
    manifest = pd.read_parquet(data_dir / "store" / "ham10000" / "raw_images.parquet").set_index("image_id")
    assert manifest.loc[[f"ISIC_{n:07d}" for n in (0, 2, 4, 6)], "mode"].tolist() == ["CMYK", "P", "I;16", "RGBA"]


def test_force_reads_every_picture(data_dir: Path) -> None:
    assert run().success
    forced = dg.materialize(dg.load_assets_from_modules([assets]), resources=io_managers(settings().store, force=True))
    assert metadata_of(forced, "raw_images")["files_read"] == 28


def test_a_picture_replaced_between_two_steps_stops_the_run_and_the_next_one_goes_on(
    data_dir: Path, ham_folder: Path
) -> None:
    assert run().success
    noise(999).save(next(ham_folder.rglob("ISIC_0000003.jpg")))
    shard = SHARDS[shard_of("ISIC_0000003", len(SHARDS))]
    for folder in (shard, "image_arrays"):  # whichever is whole would be copied from
        (data_dir / "store" / "ham10000" / folder / "format.json").unlink()
    assert "ISIC_0000003.jpg has changed since raw_images was made" in failure_of(run(shard))
    again = run()
    assert again.success
    assert metadata_of(again, "raw_images")["files_read"] == 1
