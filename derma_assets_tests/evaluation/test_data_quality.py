from functools import cache
from pathlib import Path

import dagster as dg
import numpy as np
import pandas as pd
import pytest
from PIL import Image, ImageDraw

from derma_assets.calibration.familiarity import FamiliarityModel, fit_familiarity
from derma_assets.calibration.input_guard import InputGuard, Measure, write_guard
from derma_assets.dataset.image_arrays import ImageArrays, build_image_arrays
from derma_assets.dataset.manifest import build_manifest
from derma_assets.dataset.picture_artefacts import artefacts_table
from derma_assets.dataset.synthetic_skin import draw_picture
from derma_assets.diagnoses import CODES, DISCLAIMER
from derma_assets.errors import InputError
from derma_assets.evaluation import quality_assets, quality_checks
from derma_assets.evaluation.contact_sheets import contact_sheet
from derma_assets.evaluation.data_quality import DataQuality, assess
from derma_assets.evaluation.duplicates import detail, duplicate_pairs
from derma_assets.evaluation.label_errors import PROBABILITY_COLUMNS
from derma_assets.storage.io_managers import io_managers
from derma_assets.storage.paths import building_folder
from derma_assets.training.predictions import LOGIT_COLUMNS
from derma_assets_tests.small_study import stand_ins

SIZE = 128
# In the order of the metadata: a copy in other colours under another identifier, the same file twice, hair, darkness.
RECOLOURED, TWIN, HAIRY, DARK, MISLABELLED = 3, 5, 7, 9, 11
COUNT = 28


@cache
def drawn() -> list[Image.Image]:
    pictures = [draw_picture(CODES[number % 7], number, 0) for number in range(COUNT)]
    warmer = np.asarray(pictures[RECOLOURED - 1]).astype(float) * [0.95, 0.9, 0.8] + 8
    pictures[RECOLOURED] = Image.fromarray(np.clip(warmer, 0, 255).astype(np.uint8))
    pictures[TWIN] = pictures[TWIN - 1]
    canvas = ImageDraw.Draw(pictures[HAIRY])
    for left in range(0, pictures[HAIRY].width, 40):
        canvas.line((left, 5, left + 30, pictures[HAIRY].height - 5), fill=(20, 15, 10), width=2)
    pictures[DARK] = pictures[DARK].point(lambda value: value // 6)
    return pictures


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("pictures")


@pytest.fixture(scope="module")
def metadata() -> pd.DataFrame:
    table = pd.DataFrame(
        {
            "image_id": [f"picture_{number:02d}" for number in range(COUNT)],
            "lesion_id": [f"lesion_{number:02d}" for number in range(COUNT)],
            "dx": [CODES[number % 7] for number in range(COUNT)],
            "dx_type": "follow_up",
        }
    )
    table.loc[TWIN, ["lesion_id", "dx"]] = table.loc[TWIN - 1, ["lesion_id", "dx"]]
    table.loc[MISLABELLED, "dx"] = CODES[(MISLABELLED + 1) % 7]
    return table


@pytest.fixture(scope="module")
def manifest(metadata: pd.DataFrame, folder: Path) -> pd.DataFrame:
    paths = {}
    for image_id, picture in zip(metadata["image_id"], drawn(), strict=True):
        paths[image_id] = folder / f"{image_id}.png"
        picture.save(paths[image_id])
    return build_manifest(metadata["image_id"].tolist(), paths, folder, None).table


@pytest.fixture(scope="module")
def arrays(manifest: pd.DataFrame, folder: Path) -> ImageArrays:
    build_image_arrays(manifest, SIZE, folder / "arrays")
    return ImageArrays.open(folder / "arrays")


@pytest.fixture(scope="module")
def guard() -> InputGuard:
    limits = {"brightness": (60.0, 250.0), "sharpness": (0.0, None), "lesion_contrast": (0.0, None)}
    measures = [Measure(name, low, high) for name, (low, high) in limits.items()]
    draw = np.random.default_rng(0)
    return InputGuard([*measures, Measure("unfamiliarity", None, 1.0)], fitted(draw))


def fitted(draw: np.random.Generator) -> FamiliarityModel:
    return fit_familiarity(draw.normal(size=(60, 40)), "a layer", components=4)


@pytest.fixture(scope="module")
def predictions(metadata: pd.DataFrame) -> pd.DataFrame:
    """Return logits that know the lesion drawn, of all pictures but the first four."""
    logits = np.random.default_rng(1).normal(size=(COUNT, 7)) + 6 * np.eye(7)[np.arange(COUNT) % 7]
    logits[TWIN] = logits[TWIN - 1]
    table = pd.concat([metadata, pd.DataFrame(logits, columns=LOGIT_COLUMNS)], axis=1)
    return table.iloc[4:].reset_index(drop=True)


@pytest.fixture(scope="module")
def quality(
    metadata: pd.DataFrame,
    manifest: pd.DataFrame,
    arrays: ImageArrays,
    guard: InputGuard,
    predictions: pd.DataFrame,
) -> DataQuality:
    probabilities = np.exp(predictions[LOGIT_COLUMNS].to_numpy())
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    table = pd.concat([predictions[["image_id"]], pd.DataFrame(probabilities, columns=PROBABILITY_COLUMNS)], axis=1)
    return assess(metadata, manifest, arrays, artefacts_table(manifest, None)[0], guard, table)


def name(number: int) -> str:
    return f"picture_{number:02d}"


def test_one_row_for_each_picture_ranked(quality: DataQuality, metadata: pd.DataFrame) -> None:
    table = quality.pictures
    assert sorted(table["image_id"]) == sorted(metadata["image_id"])
    assert table["rank"].tolist() == list(range(1, COUNT + 1))
    assert table["points"].is_monotonic_decreasing
    assert ((table["reason"] == "") == (table["points"] == 0)).all()
    assert quality.covered == pytest.approx((COUNT - 4) / COUNT)
    assert table.set_index("image_id").loc[[name(0), name(1)], "label_quality"].isna().all()


def test_a_recoloured_copy_under_another_identifier_comes_first(quality: DataQuality) -> None:
    assert set(quality.pictures["image_id"].head(2)) == {name(RECOLOURED - 1), name(RECOLOURED)}
    row = quality.pictures.set_index("image_id").loc[name(RECOLOURED)]
    assert row["duplicate"]
    assert row["contradicted"]
    expected = f"shows the same as {name(RECOLOURED - 1)} of lesion lesion_{RECOLOURED - 1:02d}"
    assert row["reason"].startswith(f"{expected}, where it is labelled {CODES[RECOLOURED - 1]}")


def test_each_finding_has_its_picture_and_its_words(quality: DataQuality) -> None:
    table = quality.pictures.set_index("image_id")
    for number, finding, words in (
        (TWIN, "same_file", f"the same file as {name(TWIN - 1)} of this lesion"),
        (HAIRY, "hair", "hair over"),
        (DARK, "unfit", "too dark"),
        (MISLABELLED, "label_error", f"labelled {CODES[(MISLABELLED + 1) % 7]} by follow-up"),
    ):
        assert table.at[name(number), finding]
        assert words in table.at[name(number), "reason"]
    assert quality.counts()["label_error"] == 1
    assert quality.counts()["unfit"] == 1
    assert quality.with_finding("same_file")["image_id"].tolist() == [name(TWIN - 1), name(TWIN)]


def test_stored_and_read_again(quality: DataQuality, tmp_path: Path) -> None:
    quality.write(tmp_path / "stored")
    again = DataQuality.read(tmp_path / "stored")
    pd.testing.assert_frame_equal(again.pictures, quality.pictures)
    pd.testing.assert_frame_equal(again.pairs, quality.pairs)
    assert again.covered == quality.covered


def test_tables_of_other_pictures_are_refused(
    metadata: pd.DataFrame, manifest: pd.DataFrame, arrays: ImageArrays, guard: InputGuard
) -> None:
    artefacts = artefacts_table(manifest, None)[0].iloc[1:]
    nothing = pd.DataFrame(columns=["image_id", *PROBABILITY_COLUMNS])
    with pytest.raises(InputError, match="materialize picture_artefacts again"):
        assess(metadata, manifest, arrays, artefacts, guard, nothing)


def test_unrelated_pictures_are_no_pair_even_with_equal_hashes(
    metadata: pd.DataFrame, manifest: pd.DataFrame, arrays: ImageArrays
) -> None:
    pictures = metadata.merge(manifest[["image_id", "sha256"]], on="image_id").assign(phash="0" * 16)
    pairs = duplicate_pairs(pictures, arrays)
    found = {frozenset(pair) for pair in pairs[["image_id_a", "image_id_b"]].itertuples(index=False)}
    assert found == {frozenset((name(TWIN - 1), name(TWIN))), frozenset((name(RECOLOURED - 1), name(RECOLOURED)))}
    assert pairs["same_file"].tolist() == [False, True], "across lesions first"


def test_no_candidates_no_pairs(metadata: pd.DataFrame, manifest: pd.DataFrame, arrays: ImageArrays) -> None:
    pictures = metadata.merge(manifest[["image_id", "sha256", "phash"]], on="image_id").iloc[[0, 6]]
    pairs = duplicate_pairs(pictures.assign(phash=["0" * 16, "f" * 16]), arrays)
    assert pairs.empty
    assert "detail" in pairs


def test_detail_is_normal_and_indifferent_to_light() -> None:
    picture = np.asarray(drawn()[0].resize((SIZE, SIZE)))
    brighter = np.clip(picture.astype(int) + 10, 0, 255).astype(np.uint8)
    assert np.linalg.norm(detail(picture)) == pytest.approx(1)
    assert float((detail(picture) * detail(brighter)).sum()) > 0.98
    assert not detail(np.full((SIZE, SIZE, 3), 128, np.uint8)).any(), "a blank picture has none"


def test_an_empty_contact_sheet_says_so(quality: DataQuality) -> None:
    (text,) = contact_sheet(quality.pictures.head(0), {}).texts
    assert text.get_text() == "none"


def test_the_asset_stores_a_page_and_the_check_warns(
    metadata: pd.DataFrame,
    manifest: pd.DataFrame,
    folder: Path,
    arrays: ImageArrays,
    guard: InputGuard,
    predictions: pd.DataFrame,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store = tmp_path / "store"
    monkeypatch.setattr(quality_assets, "building_folder", lambda _, asset: building_folder(store, asset))
    write_guard(tmp_path / "guard", guard)
    upstream = stand_ins(
        {
            "raw_metadata": ("table", metadata),
            "raw_images": ("table", manifest),
            "image_arrays": ("folder", folder / "arrays"),
            "picture_artefacts": ("table", artefacts_table(manifest, None)[0]),
            "input_guard": ("folder", tmp_path / "guard"),
            "predictions": ("table", predictions),
            "calibrated_temperature": ("document", {"temperature": 1.0}),
        }
    )
    result = dg.materialize(
        [*upstream, quality_assets.data_quality, quality_checks.labels_and_lesions_look_right],
        resources=io_managers(store),
    )
    page = (store / "data_quality" / "look_first.html").read_text()
    assert DISCLAIMER in page
    assert page.count("<figure>") == page.count("data:image/jpeg;base64,") >= 6
    assert 'src="http' not in page
    (materialized,) = result.asset_materializations_for_node("data_quality")
    shown = materialized.metadata
    assert shown["label_error"].value == 1
    assert "image/jpeg" in str(shown["look_first"].value)
    assert {
        f"first_{finding}" for finding, count in DataQuality.read(store / "data_quality").counts().items() if count
    } == {key for key in shown if key.startswith("first_")}
    (check,) = result.get_asset_check_evaluations()
    assert not check.passed
    assert check.severity is dg.AssetCheckSeverity.WARN
    assert "1 labels are probably wrong, of the 86 % of the pictures judged; 1 pairs" in str(check.description)
