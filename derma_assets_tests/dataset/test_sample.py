"""The sample has HAM10000's columns and defects, enough of each diagnosis, and the same bytes every time."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from derma_assets.dataset import sample
from derma_assets.dataset.ham10000 import find_ham10000
from derma_assets.dataset.metadata_schema import COLUMNS, read_metadata
from derma_assets.dataset.sample import ensure_sample, sample_metadata
from derma_assets.dataset.synthetic_skin import HEIGHT, WIDTH, draw_picture
from derma_assets.diagnoses import CODES
from derma_assets.storage.fingerprint import sha256_of_files


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three lesions only, so that drawing takes no time."""
    kinds = {code: replace(kind, lesions=1) for code, kind in list(sample.KINDS.items())[:3]}
    monkeypatch.setattr(sample, "KINDS", kinds)


def test_the_metadata_are_those_of_a_small_ham10000() -> None:
    table = sample_metadata(42)
    assert tuple(table.columns) == COLUMNS
    assert 300 <= len(table) <= 400
    lesions = table.drop_duplicates("lesion_id")["dx"].value_counts()
    assert set(lesions.index) == set(CODES)
    assert lesions.min() >= 10
    assert lesions.max() > 4 * lesions.min(), "imbalance"
    assert table["image_id"].is_unique
    assert (table.groupby("lesion_id")["dx"].nunique() == 1).all()
    assert table.groupby("lesion_id").size().max() > 2
    assert table["age"].isna().any()
    assert (table["sex"] == "unknown").any()
    assert (table["localization"] == "unknown").any()
    pd.testing.assert_frame_equal(table, sample_metadata(42))
    assert not table.equals(sample_metadata(43))


@pytest.mark.usefixtures("few")
def test_the_same_seed_gives_the_same_bytes_and_the_usual_layout(tmp_path: Path) -> None:
    first, second = ensure_sample(tmp_path / "a", 7), ensure_sample(tmp_path / "b", 7)
    assert sha256_of_files(first) == sha256_of_files(second)
    found = find_ham10000(first)
    table = read_metadata(found.metadata)
    assert set(found.pictures) == set(table["image_id"])
    assert {path.parent.name for path in found.pictures.values()} == set(sample.PARTS)
    digests = [digest for path, digest in sha256_of_files(first).items() if path.endswith(".jpg")]
    assert len(set(digests)) == len(table), "no two pictures are the same"


@pytest.mark.usefixtures("few")
def test_it_is_made_again_only_if_incomplete_or_of_another_seed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = ensure_sample(tmp_path / "sample", 7)
    before = sha256_of_files(folder)
    drawn = []
    monkeypatch.setattr(sample, "draw_picture", lambda *of: drawn.append(of) or draw_picture(*of))
    ensure_sample(folder, 7)
    assert not drawn
    next(folder.rglob("*.jpg")).unlink()
    ensure_sample(folder, 7)
    assert len(drawn) == len(list(folder.rglob("*.jpg")))
    assert sha256_of_files(folder) == before
    ensure_sample(folder, 8)
    assert sha256_of_files(folder) != before
    assert not list(tmp_path.glob(".*")), "nothing half-made is left"


def test_diagnoses_differ_and_pictures_of_a_lesion_are_alike() -> None:
    """Mean colours around the centre alone tell most kinds apart, so that a small network has something to learn."""

    def colour(code: str, lesion: int, view: int) -> np.ndarray:
        picture = np.asarray(draw_picture(code, lesion, view), dtype=float)
        assert picture.shape == (HEIGHT, WIDTH, 3)
        return picture[60:120, 80:160].mean(axis=(0, 1))

    centres = {code: np.mean([colour(code, lesion, lesion + 50) for lesion in range(4)], axis=0) for code in CODES}
    apart = [np.linalg.norm(centres[a] - centres[b]) for a in CODES for b in CODES if a < b]
    assert min(apart) > 8
    assert (np.asarray(draw_picture(CODES[0], 1, 2)) == np.asarray(draw_picture(CODES[0], 1, 2))).all()
