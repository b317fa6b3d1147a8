import numpy as np
import pandas as pd
import pytest

from derma_assets.calibration.labelled_logits import labelled_logits
from derma_assets.calibration.reliability import expected_calibration_error
from derma_assets.calibration.summary import scored
from derma_assets.calibration.temperature import softmax
from derma_assets.dataset.metadata_schema import COLUMNS, SCHEMA
from derma_assets.evaluation.figures import subgroup_figure
from derma_assets.evaluation.report import subgroups_markdown
from derma_assets.evaluation.subgroups import ATTRIBUTES, SUBGROUP_METRICS, joined_tones, subgroup_table, subgroups_of
from derma_assets_tests.calibration.made_up import metadata, predictions, skin_tones

POINTS = {"melanoma": {"threshold": 0.3}, "referral": {"threshold": 0.1}}


@pytest.fixture(scope="module")
def on_test() -> pd.DataFrame:
    table = predictions()
    return table[table["split"] == "test"]


@pytest.fixture(scope="module")
def groups(on_test: pd.DataFrame) -> pd.DataFrame:
    return subgroups_of(on_test, metadata().sample(frac=1, random_state=0), skin_tones().sample(frac=1, random_state=0))


@pytest.fixture(scope="module")
def table(on_test: pd.DataFrame, groups: pd.DataFrame) -> pd.DataFrame:
    return subgroup_table(labelled_logits(predictions(), "test"), groups, 1.5, POINTS, resamples=100, seed=1)


def test_the_made_up_metadata_are_metadata() -> None:
    SCHEMA.validate(metadata()[list(COLUMNS)])


def test_every_picture_is_in_one_group_of_each_attribute(on_test: pd.DataFrame, groups: pd.DataFrame) -> None:
    assert len(groups) == len(on_test)
    for attribute, expected in ATTRIBUTES.items():
        assert set(groups[attribute]) <= set(expected)
    of_picture = metadata().set_index("image_id").loc[on_test["image_id"]]
    age = of_picture["age"].to_numpy()
    np.testing.assert_array_equal(groups["age"] == "0-39", age < 40)
    np.testing.assert_array_equal(groups["age"] == "60+", age >= 60)
    np.testing.assert_array_equal(groups["age"] == "unknown", np.isnan(age))
    np.testing.assert_array_equal(groups["confirmation"], of_picture["dx_type"])


def test_places_with_few_lesions_are_joined(on_test: pd.DataFrame, groups: pd.DataFrame) -> None:
    places = metadata().set_index("image_id").loc[on_test["image_id"], "localization"].to_numpy()
    lesions = on_test.groupby(places)["lesion_id"].nunique()
    few = lesions.index[lesions < 10]
    assert len(few), "the made-up metadata have such places"
    np.testing.assert_array_equal(groups["localization"] == "other", np.isin(places, few))


def tones_of(**lesions: int) -> tuple[pd.Series, pd.Series]:
    """Return so many pictures of each tone, each of a lesion of its own."""
    tones = pd.Series([tone for tone, count in lesions.items() for _ in range(count)])
    return tones, pd.Series(range(len(tones)))


@pytest.mark.parametrize(
    ("lesions", "expected"),
    [
        ({"very_light": 10, "light": 10, "dark": 10}, {"very_light": 10, "light": 10, "dark": 10}),
        ({"very_light": 20, "tan": 8, "brown": 1, "dark": 1}, {"very_light": 20, "tan_or_darker": 10}),
        ({"very_light": 3, "light": 12, "tan": 10}, {"light_or_lighter": 15, "tan": 10}),
        # Joined until there are enough, and no further.
        (
            {"very_light": 9, "light": 11, "intermediate": 4, "tan": 6, "dark": 3},
            {"light_or_lighter": 20, "intermediate_or_darker": 13},
        ),
        # A few in the middle stay what they are.
        ({"very_light": 20, "intermediate": 2, "brown": 20}, {"very_light": 20, "intermediate": 2, "brown": 20}),
        ({"very_light": 4, "dark": 3}, {"other": 7}),
        ({"very_light": 8, "dark": 3}, {"other": 11}),
        ({"light": 8, "dark": 3}, {"light_or_darker": 11}),
        ({"very_light": 12, "unknown": 2, "off_scale": 3}, {"very_light": 12, "unknown": 2, "off_scale": 3}),
    ],
)
def test_tones_with_few_lesions_are_joined_at_the_ends(
    lesions: dict[str, int], expected: dict[str, int] | None
) -> None:
    joined = joined_tones(*tones_of(**lesions)).value_counts().to_dict()
    assert joined == expected
    assert set(joined) <= set(ATTRIBUTES["skin_tone"])


def test_tones_are_joined_by_lesions_not_pictures() -> None:
    tones = pd.Series(["very_light"] * 12 + ["dark"] * 12)
    lesions = pd.Series([*range(12), *([20] * 12)])
    assert set(joined_tones(tones, lesions)) == {"other"}


def test_the_difference_to_all_pictures_is_taken_in_each_resample(table: pd.DataFrame) -> None:
    side = labelled_logits(predictions(), "test")
    correct = (side.logits.argmax(axis=1) == side.labels).mean()
    accuracy = table[table["metric"] == "accuracy"]
    np.testing.assert_allclose(accuracy["to_overall"], accuracy["value"] - correct)
    assert (accuracy["to_overall_low"] <= accuracy["to_overall_high"]).all()
    women = accuracy[accuracy["group"] == "female"].iloc[0]
    paired, apart = women["to_overall_high"] - women["to_overall_low"], women["high"] - women["low"]
    assert paired < apart, "women are a part of all pictures"


def test_metrics_are_those_of_the_groups_own_pictures(table: pd.DataFrame, groups: pd.DataFrame) -> None:
    side = labelled_logits(predictions(), "test")
    score, malignant = scored(side, 1.5, "referral")
    women = (groups["sex"] == "female").to_numpy()
    values = table[(table["attribute"] == "sex") & (table["group"] == "female")].set_index("metric")
    assert values.index.tolist() == list(SUBGROUP_METRICS)
    correct = side.logits.argmax(axis=1) == side.labels
    assert values.at["accuracy", "value"] == pytest.approx(correct[women].mean())
    assert values.at["referral_sensitivity", "value"] == pytest.approx((score >= 0.1)[women & malignant].mean())
    assert values.at["referral_specificity", "value"] == pytest.approx((score < 0.1)[women & ~malignant].mean())
    score, melanoma = scored(side, 1.5, "melanoma")
    assert values.at["melanoma_sensitivity", "value"] == pytest.approx((score >= 0.3)[women & melanoma].mean())
    assert values.at["melanoma_specificity", "value"] == pytest.approx((score < 0.3)[women & ~melanoma].mean())
    expected = expected_calibration_error(softmax(side.logits, 1.5)[women], side.labels[women])
    assert values.at["ece_after", "value"] == pytest.approx(expected)
    assert (values["malignant"] == len(np.unique(side.lesions[women & malignant]))).all()
    assert (values["melanomas"] == len(np.unique(side.lesions[women & melanoma]))).all()
    assert (values["images"] == women.sum()).all()
    assert (values["lesions"] == len(np.unique(side.lesions[women]))).all()
    # The calibration error of resamples lies above that of the pictures, so its interval need not hold the value.
    shares = values.drop(index="ece_after")
    assert (shares["low"] <= shares["value"]).all()
    assert (shares["value"] <= shares["high"]).all()


def test_where_there_is_nothing_to_measure_there_is_no_number(table: pd.DataFrame) -> None:
    followed_up = table[table["group"] == "follow_up"].set_index("metric")
    assert followed_up.loc["melanoma_sensitivity", ["value", "low", "high"]].isna().all()
    assert followed_up.loc["accuracy", ["value", "low", "high"]].notna().all()


def test_every_group_is_drawn_and_printed(table: pd.DataFrame) -> None:
    groups = table.drop_duplicates(["attribute", "group"])
    assert len(groups) == len(table) / len(SUBGROUP_METRICS)
    text = subgroups_markdown(table)
    assert all(f"{row['attribute']}: {row['group']}".replace("_", " ") in text for _, row in groups.iterrows())
    drawing = subgroup_figure(table)
    assert len(drawing.axes[0].get_yticklabels()) == len(groups)
