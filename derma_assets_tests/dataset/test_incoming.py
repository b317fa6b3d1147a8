"""Batches of new pictures: taken in whole, or not yet."""

import shutil
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from derma_assets.dataset import incoming as module
from derma_assets.dataset.incoming import (
    METADATA,
    dropped_pictures,
    read_batches,
    signature,
    stop_if_damaged,
    with_batches,
)
from derma_assets.dataset.manifest import build_manifest, known_files
from derma_assets.dataset.sample import sample_metadata
from derma_assets.dataset.visible_files import visible_files
from derma_assets.errors import InputError

ALL = sample_metadata(seed=1)
BASE, NEW = ALL.iloc[:40], ALL.iloc[40:50].reset_index(drop=True)


@pytest.fixture
def incoming(tmp_path: Path) -> Path:
    return tmp_path / "incoming"


def drop(incoming: Path, name: str = "clinic-1", rows: pd.DataFrame = NEW) -> Path:
    folder = incoming / name
    (folder / "pictures").mkdir(parents=True)
    rows.to_csv(folder / METADATA, index=False)
    for number, image_id in enumerate(rows["image_id"]):
        Image.effect_noise((40, 30), 50 + number).convert("RGB").save(folder / "pictures" / f"{image_id}.jpg")
    return folder


def test_a_whole_batch_is_taken_in_behind_what_is_there(incoming: Path) -> None:
    assert read_batches(incoming) == []
    drop(incoming)
    (batch,) = read_batches(incoming)
    assert batch.is_whole
    table = with_batches(BASE, [batch])
    assert table["image_id"].tolist() == [*BASE["image_id"], *NEW["image_id"]]
    assert set(batch.pictures) == set(NEW["image_id"])


@pytest.mark.parametrize(
    "what", ["no table", "half a table", "a picture missing", "a picture half there", "empty", "some rows"]
)
def test_what_is_still_being_copied_waits(incoming: Path, what: str) -> None:
    folder = drop(incoming)
    picture = folder / "pictures" / f"{NEW['image_id'].iloc[3]}.jpg"
    whole = {path: path.read_bytes() for path in (folder / METADATA, picture)}
    match what:
        case "no table":
            (folder / METADATA).unlink()
        case "half a table":
            (folder / METADATA).write_bytes(whole[folder / METADATA][: len(whole[folder / METADATA]) // 2 + 3])
        case "a picture missing":
            picture.unlink()
        case "a picture half there":
            picture.write_bytes(whole[picture][: len(whole[picture]) // 2])
        case "some rows":
            NEW.iloc[:4].to_csv(folder / METADATA, index=False)
        case "empty":
            picture.write_bytes(b"")
    (batch,) = read_batches(incoming)
    assert not batch.is_whole
    assert batch.waiting_for[0]
    pd.testing.assert_frame_equal(with_batches(BASE, [batch]), BASE)
    for path, content in whole.items():
        path.write_bytes(content)
    assert read_batches(incoming)[0].is_whole


def test_a_batch_that_was_dropped_twice_is_said(incoming: Path) -> None:
    shutil.copytree(drop(incoming), incoming / "clinic-2")
    with pytest.raises(InputError, match="dropped twice"):
        with_batches(BASE, read_batches(incoming))


def test_a_lesion_has_one_diagnosis_across_batches(incoming: Path) -> None:
    contradiction = NEW.iloc[:1].assign(lesion_id=BASE["lesion_id"].iloc[0])
    contradiction["dx"] = "nv" if BASE["dx"].iloc[0] != "nv" else "mel"
    drop(incoming, rows=contradiction)
    with pytest.raises(InputError, match="a lesion has one diagnosis"):
        with_batches(BASE, read_batches(incoming))


def test_files_beside_the_batches_are_nobodys(incoming: Path) -> None:
    drop(incoming)
    (incoming / "notes.txt").write_text("")
    drop(incoming, ".copying")
    assert [batch.folder.name for batch in read_batches(incoming)] == ["clinic-1"]


def test_what_a_mac_adds_is_not_part_of_a_batch(incoming: Path) -> None:
    folder = drop(incoming)
    before = signature(folder)
    (folder / "pictures" / f"._{NEW['image_id'].iloc[0]}.jpg").write_bytes(b"no picture")
    (folder / f"._{METADATA}").write_bytes(b"no table")
    (folder / ".DS_Store").write_bytes(b"")
    trash = folder / "__MACOSX" / "pictures" / "ISIC_1.jpg"
    trash.parent.mkdir(parents=True)
    trash.write_bytes(b"no picture")
    (batch,) = read_batches(incoming)
    assert batch.is_whole
    assert signature(folder) == before
    assert set(dropped_pictures(incoming)) == set(NEW["image_id"])


def test_what_is_known_is_not_read_again(incoming: Path) -> None:
    folder, known = drop(incoming), {}
    (first,) = read_batches(incoming, known)
    assert (first.examined, len(known)) == (10, 10)
    manifest = build_manifest(list(first.pictures), first.pictures, incoming, None).table
    for remembered in (known, known_files(manifest)):
        (again,) = read_batches(incoming, remembered)
        assert again.is_whole
        assert again.examined == 0
    changed = folder / "pictures" / f"{NEW['image_id'].iloc[4]}.jpg"
    changed.write_bytes(changed.read_bytes()[:200])
    for _ in range(2):  # what is not whole is read each time
        (torn,) = read_batches(incoming, known)
        assert torn.examined == 1
        assert changed.name in torn.waiting_for[0]


def test_files_are_listed_without_reading_them_and_those_of_the_batch_that_was_taken_in_are_meant(
    incoming: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = drop(incoming, "a")
    again = incoming / "b" / f"{NEW['image_id'].iloc[0]}.jpg"
    again.parent.mkdir()
    again.write_bytes(b"half of")
    monkeypatch.setattr(module, "examine", None)
    monkeypatch.setattr(Path, "read_bytes", None)
    assert dropped_pictures(incoming, ["b"])[again.stem] == again
    assert dropped_pictures(incoming, ["a"]) == {path.stem: path for path in first.rglob("*.jpg")}
    assert dropped_pictures(incoming / "nothing") == {}


@pytest.mark.parametrize("taken_in", [["clinic-1"], []])
@pytest.mark.parametrize("what", ["a picture gone", "a picture torn", "a picture more", "half a table", "no table"])
def test_a_batch_that_was_taken_in_and_is_no_longer_whole_stops_the_run(
    what: str, taken_in: list[str], incoming: Path
) -> None:
    folder = drop(incoming)
    drop(incoming, "clinic-2", ALL.iloc[50:55])
    earlier = with_batches(BASE, read_batches(incoming))
    picture = folder / "pictures" / f"{NEW['image_id'].iloc[3]}.jpg"
    match what:
        case "a picture gone":
            picture.unlink()
        case "a picture torn":
            picture.write_bytes(picture.read_bytes()[:100])
        case "a picture more":
            (folder / "stray.jpg").write_bytes(picture.read_bytes())
        case "half a table":
            (folder / METADATA).write_bytes((folder / METADATA).read_bytes()[:150])
        case "no table":
            (folder / METADATA).unlink()
    batches = read_batches(incoming)
    with pytest.raises(InputError, match="clinic-1 was taken in earlier and is no longer whole: ") as stopped:
        stop_if_damaged(batches, with_batches(BASE, batches), earlier["image_id"], taken_in)
    assert batches[0].waiting_for[0] in str(stopped.value)


def test_a_batch_that_was_taken_away_or_is_not_taken_in_yet_stops_nothing(incoming: Path) -> None:
    folder = drop(incoming)
    drop(incoming, "clinic-2", ALL.iloc[50:55])
    earlier = with_batches(BASE, read_batches(incoming))
    shutil.rmtree(folder)
    (drop(incoming, "clinic-3", ALL.iloc[60:65]) / METADATA).unlink()
    shutil.copytree(incoming / "clinic-2", incoming / "clinic-4")
    (incoming / "clinic-4" / METADATA).unlink()
    batches = read_batches(incoming)
    assert [batch.is_whole for batch in batches] == [True, False, False]
    stop_if_damaged(batches, with_batches(BASE, batches), earlier["image_id"], ["clinic-1", "clinic-2"])


def test_a_folder_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    refused: list[OSError] = []
    (tmp_path / "file").write_text("")
    assert visible_files(tmp_path / "file", refused.append) == []
    assert refused[0].filename == str(tmp_path / "file")


def test_a_signature_changes_with_what_is_written(incoming: Path) -> None:
    folder = drop(incoming)
    before = signature(folder)
    assert len(before) == len(NEW) + 1
    assert signature(folder) == before
    (folder / METADATA).write_text("more")
    assert signature(folder) != before
