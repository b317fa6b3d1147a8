import numpy as np
import pandas as pd
import pytest

from derma_assets.diagnoses import CODES
from derma_assets.errors import InputError
from derma_assets.evaluation.label_errors import PROBABILITY_COLUMNS, label_errors, out_of_sample_probabilities
from derma_assets_tests.calibration.made_up import predictions


@pytest.fixture
def probabilities() -> pd.DataFrame:
    return out_of_sample_probabilities(predictions(), 3.0)


def test_probabilities_are_the_softmax_at_the_temperature(probabilities: pd.DataFrame) -> None:
    assert probabilities["image_id"].tolist() == predictions()["image_id"].tolist()
    assert probabilities[PROBABILITY_COLUMNS].sum(axis=1).to_numpy() == pytest.approx(1)
    logits = predictions().iloc[0][[f"logit_{code}" for code in CODES]].to_numpy(float)
    expected = np.exp(logits / 3) / np.exp(logits / 3).sum()
    assert probabilities.iloc[0][PROBABILITY_COLUMNS].to_numpy(float) == pytest.approx(expected)


def test_planted_label_errors_come_first(probabilities: pd.DataFrame) -> None:
    pictures = predictions()[["image_id", "dx"]]
    sure = probabilities[PROBABILITY_COLUMNS].to_numpy().max(axis=1) > 0.9
    right = np.array(CODES)[probabilities[PROBABILITY_COLUMNS].to_numpy().argmax(axis=1)] == pictures["dx"]
    planted = pictures.index[sure & right & (pictures["dx"] == "nv")][:5]
    pictures.loc[planted, "dx"] = "mel"
    found = label_errors(pictures, probabilities)
    assert found.loc[planted, "label_error"].all()
    assert (found.loc[planted, "predicted"] == "nv").all()
    assert (found.loc[planted, "label_quality"] < 0.1).all()
    assert found["label_error"].sum() < 5 + 0.2 * len(found)


def test_quality_is_the_probability_of_the_label(probabilities: pd.DataFrame) -> None:
    found = label_errors(predictions()[["image_id", "dx"]], probabilities)
    columns = [f"probability_{dx}" for dx in predictions()["dx"]]
    expected = [probabilities.at[row, column] for row, column in enumerate(columns)]
    assert found["label_quality"].to_numpy() == pytest.approx(expected)
    agree = found["predicted"] == predictions()["dx"]
    assert not found.loc[agree, "label_error"].any()


def test_only_pictures_with_probabilities_are_judged(probabilities: pd.DataFrame) -> None:
    pictures = predictions()[["image_id", "dx"]]
    assert len(label_errors(pictures, probabilities.iloc[:50])) == 50
    assert label_errors(pictures.iloc[:20], probabilities)["image_id"].tolist() == pictures["image_id"][:20].tolist()


def test_a_diagnosis_may_be_absent(probabilities: pd.DataFrame) -> None:
    pictures = predictions()[["image_id", "dx"]]
    found = label_errors(pictures[~pictures["dx"].isin(["akiec", "df"])], probabilities)
    assert len(found) == pictures["dx"].isin(["bcc", "bkl", "mel", "nv", "vasc"]).sum()
    assert found["label_quality"].between(0, 1).all()
    alone = label_errors(pictures[pictures["dx"] == "nv"], probabilities)
    assert not alone["label_error"].any(), "with one diagnosis there is nothing to compare"


def test_a_picture_is_out_of_sample_once(probabilities: pd.DataFrame) -> None:
    twice = pd.concat([probabilities, probabilities.iloc[:2]])
    with pytest.raises(InputError, match="2 pictures have two rows"):
        label_errors(predictions()[["image_id", "dx"]], twice)
