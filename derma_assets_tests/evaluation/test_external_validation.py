from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from derma_assets.calibration.labelled_logits import LabelledLogits, labelled_logits
from derma_assets.calibration.temperature import softmax
from derma_assets.diagnoses import CODES, MALIGNANT
from derma_assets.evaluation import metrics, tables
from derma_assets.evaluation.external_dataset import ExternalDataset
from derma_assets.evaluation.external_report import confusion_figure, counted, external_markdown
from derma_assets.evaluation.external_validation import (
    external_table,
    left_out_rows,
    refused_row,
    same_files,
    seen_in_training,
)
from derma_assets.settings import Settings
from derma_assets.training.predictions import LOGIT_COLUMNS
from derma_assets_tests.calibration.made_up import predictions

POINTS = {"melanoma": {"threshold": 0.3}, "referral": {"threshold": 0.2}}
TEMPERATURE = 5.0
BENIGN = tuple(code for code in CODES if code not in MALIGNANT)


def _dataset(classes: dict[str, tuple[str, ...]]) -> ExternalDataset:
    return ExternalDataset("made up", pd.DataFrame(), {}, classes, pd.DataFrame())


def _table(pictures: pd.DataFrame, labels: list[str], classes: dict[str, tuple[str, ...]]) -> pd.DataFrame:
    truth = pd.DataFrame({"lesion_id": pictures["lesion_id"].to_numpy(), "label": labels})
    logits = pictures[LOGIT_COLUMNS].to_numpy(dtype=np.float64)
    return external_table(logits, truth, _dataset(classes), TEMPERATURE, POINTS, 200, 1)


@pytest.fixture(scope="module")
def pictures() -> pd.DataFrame:
    return predictions(skill=1.5).query("split == 'test'")


@pytest.fixture(scope="module")
def side(pictures: pd.DataFrame) -> LabelledLogits:
    return labelled_logits(predictions(skill=1.5), "test")


def test_on_all_seven_the_figures_are_those_of_our_own_tables(pictures: pd.DataFrame, side: LabelledLogits) -> None:
    table = _table(pictures, pictures["dx"].tolist(), {code: (code,) for code in CODES})
    overall = table[table["section"] == "overall"].set_index("metric")[["value", "low", "high"]]
    expected = tables.overall_table(side, TEMPERATURE, POINTS, 200, 1).set_index("metric")
    pd.testing.assert_frame_equal(overall, expected[["value", "low", "high"]])
    per_class = table[table["section"] == "per_class"]
    ours = tables.per_class_table(side, TEMPERATURE, 200, 1)
    np.testing.assert_array_equal(per_class["value"], ours["value"])
    assert table.loc[table["section"] == "confusion", "value"].sum() == len(pictures)
    assert len(confusion_figure(table).axes) == 1
    assert all(code in external_markdown(table) for code in CODES)


def test_what_cannot_be_said_of_fewer_classes_is_not_there(pictures: pd.DataFrame) -> None:
    two = pictures[pictures["dx"].isin(["nv", "bcc"])]
    table = _table(two, two["dx"].tolist(), {"nv": ("nv",), "bcc": ("bcc",)})
    assert "melanoma_roc_auc" not in set(table["metric"])
    assert {"accuracy", "referral_sensitivity"} <= set(table["metric"])
    assert set(table.loc[table["section"] == "per_class", "class"]) == {"nv", "bcc"}
    assert not table.loc[table["section"] != "confusion", "value"].isna().any()


def test_joined_classes_add_up_their_probabilities(pictures: pd.DataFrame, side: LabelledLogits) -> None:
    labels = ["bad" if dx in MALIGNANT else "good" for dx in pictures["dx"]]
    table = _table(pictures, labels, {"bad": MALIGNANT, "good": BENIGN})
    probability = softmax(side.logits, TEMPERATURE)[:, [CODES.index(code) for code in MALIGNANT]].sum(axis=1)
    bad = np.array(labels) == "bad"
    value = table[table["section"] == "overall"].set_index("metric")["value"]
    assert value["accuracy"] == pytest.approx(((probability > 0.5) == bad).mean())
    assert value["referral_roc_auc"] == pytest.approx(float(metrics.roc_auc(probability, bad)))
    assert value["referral_sensitivity"] == pytest.approx((probability[bad] >= 0.2).mean())
    # Melanomas are among the malignant, so nothing can be said of them alone.
    assert not any(metric.startswith("melanoma") for metric in value.index)
    recall = table[(table["metric"] == "recall") & (table["class"] == "malignant")].iloc[0]
    assert recall["value"] == pytest.approx((probability[bad] > 0.5).mean())
    assert recall["images"] == bad.sum()
    assert "Referral ROC-AUC" in external_markdown(table)


def test_a_diagnosis_of_no_class_is_wrong(pictures: pd.DataFrame, side: LabelledLogits) -> None:
    chosen = (pictures["dx"].isin(["mel", "nv", "bkl"])).to_numpy()
    some = pictures[chosen]
    labels = ["melanoma" if dx == "mel" else "harmless" for dx in some["dx"]]
    table = _table(some, labels, {"melanoma": ("mel",), "harmless": ("bkl", "nv")})
    probabilities = softmax(side.logits, TEMPERATURE)[chosen]
    of = np.stack(
        [
            probabilities[:, [CODES.index("bkl"), CODES.index("nv")]].sum(axis=1),
            probabilities[:, CODES.index("mel")],
        ],
        axis=1,
    )
    predicted = np.where(1 - of.sum(axis=1) > of.max(axis=1), 2, of.argmax(axis=1))
    truth = np.array([1 if label == "melanoma" else 0 for label in labels])
    value = table[table["section"] == "overall"].set_index("metric")["value"]
    assert value["accuracy"] == pytest.approx((predicted == truth).mean())
    cells = table[table["section"] == "confusion"].set_index(["class", "metric"])["value"]
    assert cells["mel", "none_of_these"] == ((predicted == 2) & (truth == 1)).sum()
    assert {"melanoma_roc_auc", "melanoma_sensitivity"} <= set(value.index)


def test_pictures_that_were_learnt_from_are_found() -> None:
    def manifest(names: list[str], hashes: list[str], files: list[str]) -> pd.DataFrame:
        return pd.DataFrame({"image_id": names, "status": "ok", "sha256": files, "phash": hashes})

    ours = manifest(["a", "b", "c"], ["0" * 16, "f" * 16, "00ff" * 4], ["1", "2", "3"])
    splits = pd.DataFrame(
        {
            "image_id": ["a", "b", "c"],
            "lesion_id": ["a", "b", "c"],
            "dx": "nv",
            "split": ["train", "validation", "test"],
        }
    )
    theirs = manifest(
        ["a", "near", "far", "of_test", "odd"],
        ["0123456789abcdef", "000000000000000f", "fffffffffff00000", "00ff" * 4, "f" * 15 + "e"],
        ["9", "8", "7", "3", "6"],
    )
    # Another picture of the same name is no copy, and what looks like our test pictures was not learnt from.
    assert seen_in_training(theirs, ours, splits) == ["near", "odd"]


def test_a_file_that_is_there_twice_is_one_picture() -> None:
    manifest = pd.DataFrame(
        {"image_id": list("abcdefg"), "status": ["ok"] * 5 + ["empty"] * 2, "sha256": ["1", "1", "2", "3", "3", "", ""]}
    )
    codes = {"a": ("nv",), "b": ("nv",), "c": ("mel",), "d": ("mel",), "e": ("nv",), "f": ("nv",), "g": ("nv",)}
    found = same_files(manifest, codes)
    assert dict(found.to_numpy().tolist()) == {
        "b": "is the same file as another; counted once",
        "d": "is the same file as one of another class",
        "e": "is the same file as one of another class",
    }


def test_refused_pictures_are_a_row() -> None:
    row = refused_row(np.array(["", "blurred", "", ""]), lesions=4).iloc[0]
    assert (row["section"], row["value"], row["images"]) == ("refused", 0.25, 4)
    assert 0 < row["low"] < 0.25 < row["high"] < 1


def test_the_setting_names_folders(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DERMA_EXTERNAL_DATASETS", "ph2 = /data/PH2, isic-2018=rel/ative ,")
    assert Settings().external_datasets == {"ph2": Path("/data/PH2"), "isic-2018": Path("rel/ative")}
    monkeypatch.setenv("DERMA_EXTERNAL_DATASETS", "")
    assert Settings().external_datasets == {}


@pytest.mark.parametrize("value", ["/data/PH2", "a/b=x", "a=", "=x", "a=x,a=y"])
def test_a_setting_that_cannot_be_understood(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DERMA_EXTERNAL_DATASETS", value)
    with pytest.raises(ValueError, match=r"name=folder|twice"):
        Settings()


def test_the_report_says_what_was_left_out() -> None:
    judged = refused_row(np.array(["", "blurred"]), lesions=2)
    assert counted(judged) == "Judged: 2 pictures of 2 lesions."

    reasons = ["no class is given"] * 3 + [f"unreadable {number}" for number in range(10)]
    table = pd.concat([judged, left_out_rows(pd.DataFrame({"reason": reasons}))], ignore_index=True)
    assert counted(table).startswith("Judged: 2 pictures of 2 lesions. Left out: 3 no class is given; 1 unreadable 0;")
    assert counted(table).endswith("; 3 other reasons.")
