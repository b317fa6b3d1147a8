"""Batches of new pictures: taken in whole, or not yet."""

import shutil
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from derma_assets.dataset.incoming import METADATA, read_batches, signature, with_batches
from derma_assets.dataset.sample import sample_metadata
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


def test_a_signature_changes_with_what_is_written(incoming: Path) -> None:
    folder = drop(incoming)
    before = signature(folder)
    assert len(before) == len(NEW) + 1
    assert signature(folder) == before
    (folder / METADATA).write_text("more")
    assert signature(folder) != before
