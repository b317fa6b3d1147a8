"""The released model on pictures of others, in a clone where nothing was trained."""

import shutil
from pathlib import Path

import imagehash
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from derma_assets.browser.bundle import MODEL
from derma_assets.browser.graph_model import deployed_model
from derma_assets.browser.quantisation import outputs_of, read_layers, with_layers
from derma_assets.dataset.preprocessing import model_input
from derma_assets.dataset.synthetic_skin import draw_picture
from derma_assets.diagnoses import CODES
from derma_assets.errors import UserError
from derma_assets.evaluation.external_report import counted, external_markdown
from derma_assets.evaluation.external_run import Judged, validate
from derma_assets.release.external import RELEASE, STORED, judged_asset, said_before
from derma_assets.release.layout import SPLITS, WEIGHTS, listed, read_release, write_document
from derma_assets.release.model import released_model
from derma_assets.release.unpacked import unpacked_bundle
from derma_assets.training.predictor import Predictor, feature_extractor
from derma_assets_tests.release.made_up_store import settings_for
from derma_assets_tests.running import ROOT, command, environment, said
from derma_assets_tests.small_study import LAYER

COMMITTED = ROOT / "data" / "release"


@pytest.fixture(scope="module")
def released() -> Judged:
    return released_model(COMMITTED)


@pytest.fixture(scope="module")
def pictures() -> dict[str, Image.Image]:
    return {f"{code}_{number}": draw_picture(code, number, number) for code in CODES for number in range(2)}


def test_it_is_the_model_that_the_page_runs(released: Judged, pictures: dict[str, Image.Image], tmp_path: Path) -> None:
    """Weights in half precision here, in 8 bits there; what measures unfamiliarity is read from the page's model."""
    bundle = unpacked_bundle(COMMITTED, tmp_path / "bundle")
    shipped = with_layers(deployed_model(released.model, released.guard.familiarity), read_layers(bundle / MODEL))
    pixels = np.stack([model_input(picture, released.model.input_shape[1]) for picture in pictures.values()])
    outputs = outputs_of(shipped, pixels)
    np.testing.assert_allclose(Predictor(released.model)(pixels), outputs["logits"], atol=0.3)
    assert released.guard.familiarity.layer == LAYER
    unfamiliarity = released.guard.familiarity.unfamiliarity(feature_extractor(released.model, LAYER)(pixels))
    np.testing.assert_allclose(unfamiliarity, outputs["unfamiliarity"], rtol=0.05)


def test_it_is_judged_on_a_folder_of_pictures(
    released: Judged, pictures: dict[str, Image.Image], tmp_path: Path
) -> None:
    folder = tmp_path / "theirs"
    for name, picture in pictures.items():
        (folder / name.split("_")[0]).mkdir(parents=True, exist_ok=True)
        picture.save(folder / name.split("_")[0] / f"{name}.png")
    Image.new("RGB", (200, 150), (9, 9, 9)).save(folder / "nv" / "taken_in_the_dark.png")
    shutil.copy(folder / "nv" / "nv_0.png", folder / "nv" / "nv_0 (copy).png")
    # One of them was learnt from: it looks like this, whatever it is called.
    looks = released.hashes.copy()
    row = released.splits.index[released.splits["split"] == "train"][0]
    looks.loc[looks["image_id"] == released.splits.loc[row, "image_id"], "phash"] = str(
        imagehash.phash(pictures["mel_1"])
    )
    chosen = settings_for(tmp_path / "data")
    found = validate(folder, Judged(**{**vars(released), "hashes": looks}), chosen)

    assert found.seen == 1
    assert "mel/mel_1.png" not in set(found.truth["image_id"])
    assert counted(found.table) == (
        "Judged: 14 pictures of 14 lesions. Left out: 1 is the same file as another; counted once; "
        "1 was used in training, or looks like one that was."
    )
    assert all(code in external_markdown(found.table) for code in CODES)
    assert found.refused > 0


def test_a_run_of_ones_own_comes_first_and_the_report_says_what_was_judged(original: Path, tmp_path: Path) -> None:
    chosen = settings_for(original)
    assert judged_asset(chosen) == STORED
    assert judged_asset(chosen, "release") == RELEASE
    assert "stored one of ham10000" in said_before(chosen, STORED)[0]
    assert "not a diagnosis" in said_before(chosen, RELEASE)[0]

    shutil.copytree(original / "release", tmp_path / "release")
    clone = settings_for(tmp_path, dataset="sample")
    assert judged_asset(clone) == RELEASE
    assert "generated pictures only; MODEL=release" in said_before(clone, STORED)[0]
    with pytest.raises(UserError, match="no model of sample is stored: train one"):
        judged_asset(clone, "stored")
    with pytest.raises(UserError, match="neither of stored and release"):
        judged_asset(clone, "newest")
    shutil.rmtree(tmp_path / "release")
    with pytest.raises(UserError, match="there is no model to judge"):
        judged_asset(clone)


def test_a_release_that_does_not_say_what_it_learnt_from_is_refused(release: Path, tmp_path: Path) -> None:
    shutil.copytree(release, tmp_path / "release")
    splits = tmp_path / "release" / SPLITS
    pd.read_parquet(splits).drop(columns="phash").to_parquet(splits)
    write_document({**read_release(release), "files": listed(tmp_path / "release")}, tmp_path / "release/release.json")
    with pytest.raises(UserError, match="make the release again"):
        released_model(tmp_path / "release")


def test_a_release_with_a_changed_file_is_refused(release: Path, tmp_path: Path) -> None:
    shutil.copytree(release, tmp_path / "release")
    with (tmp_path / "release" / WEIGHTS).open("ab") as weights:
        weights.write(b"\0")
    with pytest.raises(UserError, match=r"weights\.npz in .* is not what release\.json says"):
        released_model(tmp_path / "release")


def test_without_a_release_the_asset_says_so(tmp_path: Path) -> None:
    env = environment(tmp_path, DERMA_RELEASE_DIR=str(tmp_path / "none"), DERMA_EXTERNAL_DATASETS=f"theirs={tmp_path}")
    words = ("dagster", "asset", "materialize", "-m", "derma_assets.studies", "--select", RELEASE)
    run = command(*words, "--partition", "theirs", env=env)
    assert run.returncode != 0
    assert "there is no release in" in said(run)
