"""A batch of the sample's kind: whole, new each time, the same for the same number; and one with wrong diagnoses."""

from pathlib import Path

import pandas as pd
import pytest

from derma_assets.dataset import sample_batch
from derma_assets.dataset.incoming import read_batches, with_batches
from derma_assets.dataset.sample import sample_metadata
from derma_assets.dataset.sample_batch import batch_metadata, mislabelled, write_batch
from derma_assets.diagnoses import CODES
from derma_assets.errors import InputError
from derma_assets.settings import Settings

SEED = 42


def test_batches_are_whole_and_shared_by_none(tmp_path: Path) -> None:
    folders = [write_batch(tmp_path, SEED, lesions=6) for _ in range(2)]
    assert [folder.name for folder in folders] == ["batch-0001", "batch-0002"]
    batches = read_batches(tmp_path)
    assert all(batch.is_whole for batch in batches)
    everything = with_batches(sample_metadata(SEED), batches)
    assert everything["image_id"].is_unique
    assert everything["lesion_id"].nunique() == sample_metadata(SEED)["lesion_id"].nunique() + 12


def test_a_number_gives_its_lesions_again() -> None:
    pd.testing.assert_frame_equal(batch_metadata(SEED, 3, 9), batch_metadata(SEED, 3, 9))
    few, many = batch_metadata(SEED, 3, 9), batch_metadata(SEED, 3, 20)
    pd.testing.assert_frame_equal(few, many.head(len(few)))


def test_every_mislabelled_diagnosis_is_wrong_and_nothing_else_is() -> None:
    true = batch_metadata(SEED, 1, 30)
    wrong = mislabelled(true)
    assert (wrong["dx"] != true["dx"]).all()
    assert set(wrong["dx"]) <= set(CODES)
    assert wrong.groupby("lesion_id")["dx"].nunique().max() == 1
    pd.testing.assert_frame_equal(wrong.drop(columns="dx"), true.drop(columns="dx"))


@pytest.mark.parametrize("lesions", [0, 1000])
def test_a_batch_has_an_end(lesions: int) -> None:
    with pytest.raises(InputError, match="1 to 204 lesions"):
        batch_metadata(SEED, 1, lesions)


def test_the_command_writes_into_the_watched_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    chosen = Settings(dataset="sample", data_dir=tmp_path)
    monkeypatch.setattr(sample_batch, "settings", lambda: chosen)
    assert sample_batch.main(["--lesions", "3", "--mislabelled"]) == 0
    said = capsys.readouterr().out
    assert str(chosen.incoming / "batch-0001") in said
    assert "3 new lesions, each diagnosis off by one" in said
    monkeypatch.setattr(sample_batch, "settings", lambda: Settings(dataset="ham10000", data_dir=tmp_path))
    assert sample_batch.main([]) == 1
    assert "DERMA_DATASET=sample" in capsys.readouterr().err
