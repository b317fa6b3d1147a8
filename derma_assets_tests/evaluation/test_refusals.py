import numpy as np
import pandas as pd
import pytest
import scipy.stats

from derma_assets.calibration.familiarity import fit_familiarity
from derma_assets.calibration.input_guard import REASONS, InputGuard, Measure
from derma_assets.calibration.picture_quality import brightness, lesion_contrast, sharpness
from derma_assets.dataset.preprocessing import model_input
from derma_assets.dataset.synthetic_skin import draw_picture
from derma_assets.diagnoses import CODES
from derma_assets.evaluation.figures import refusals_figure
from derma_assets.evaluation.refusals import Judged, judge_kinds, refusal_table, wilson_interval
from derma_assets.evaluation.report import KIND_LABELS, refusals_markdown
from derma_assets.evaluation.unsuitable_pictures import KINDS, OF_LESIONS, unsuitable_pictures

SIZE = 64


@pytest.fixture(scope="module")
def good() -> np.ndarray:
    return np.stack([model_input(draw_picture(code, seed, 0), SIZE) for seed in range(2) for code in CODES])


@pytest.mark.parametrize("kind", KINDS)
def test_bad_pictures_are_as_many_as_good_ones_and_always_the_same(kind: str, good: np.ndarray) -> None:
    made = unsuitable_pictures(kind, good, seed=3)
    assert (made.shape, made.dtype) == (good.shape, np.uint8)
    np.testing.assert_array_equal(made, unsuitable_pictures(kind, good, seed=3))
    assert len({picture.tobytes() for picture in made}) > len(made) / 2
    if kind != "blurred":
        assert (made != unsuitable_pictures(kind, good, seed=4)).any()


def test_good_pictures_are_spoilt_as_described(good: np.ndarray) -> None:
    made = {kind: unsuitable_pictures(kind, good, seed=0) for kind in KINDS}
    for number, picture in enumerate(good):
        assert sharpness(made["blurred"][number]) < 0.1 * sharpness(picture)
        assert brightness(made["dark"][number]) < 0.2 * brightness(picture)
        assert brightness(made["bright"][number]) > 1.3 * brightness(picture)
    contrasts = {kind: np.median([lesion_contrast(picture) for picture in made[kind]]) for kind in ("bare_skin",)}
    assert contrasts["bare_skin"] < 0.3 * np.median([lesion_contrast(picture) for picture in good])
    assert np.median([sharpness(picture) for picture in made["bare_skin"]]) > 5, "not to be refused for blur alone"


def test_wilson_interval_is_the_one_of_the_literature() -> None:
    for refused, count in ((0, 50), (3, 50), (50, 50), (1, 2)):
        expected = scipy.stats.binomtest(refused, count).proportion_ci(method="wilson")
        assert wilson_interval(refused / count, count) == pytest.approx((expected.low, expected.high), abs=1e-6)


def reasons(*of_each: str) -> np.ndarray:
    return np.array(of_each, dtype=object)


def test_the_table_counts_by_kind_and_reason(good: np.ndarray) -> None:
    judged = [
        Judged("good", reasons("", "", "", "blurred"), good[:4]),
        Judged("dark", reasons("too_dark", "too_dark", "blurred", ""), good[:4]),
        Judged("cat", reasons("unfamiliar", "no_lesion", "unfamiliar", "unfamiliar"), good[:4]),
    ]
    table = refusal_table(judged, lesions=2).set_index("kind")
    assert table["bad"].tolist() == [False, True, True]
    assert table["pictures"].tolist() == [4, 4, 4]
    assert table["refused"].tolist() == [1, 3, 4]
    assert table["share"].tolist() == [0.25, 0.75, 1.0]
    assert table.loc["dark", list(REASONS)].to_dict() == {
        "too_dark": 2,
        "too_bright": 0,
        "blurred": 1,
        "no_lesion": 0,
        "unfamiliar": 0,
    }
    for kind, independent in (("good", 2), ("dark", 2), ("cat", 4)):
        low, high = wilson_interval(float(table.at[kind, "share"]), independent)
        assert (table.at[kind, "low"], table.at[kind, "high"]) == (low, high)
    text = refusals_markdown(table.reset_index())
    assert "unfamiliar 3, no lesion 1" in text
    assert "75.0 %" in text
    assert "too bright" not in text


def test_every_kind_is_judged_by_all_four_measures(good: np.ndarray) -> None:
    def features_of(pictures: np.ndarray, what: str = "") -> np.ndarray:
        return pictures.reshape(len(pictures), -1)[:, :48].astype(np.float64)

    guard = InputGuard(
        [
            Measure("brightness", 50.0, 240.0),
            Measure("sharpness", 8.0, None),
            Measure("lesion_contrast", 5.0, None),
            Measure("unfamiliarity", None, 1e6),
        ],
        fit_familiarity(features_of(good), "layer"),
    )
    judged = list(judge_kinds(guard, features_of, good, seed=0))
    assert [one.kind for one in judged] == ["good", *KINDS]
    table = refusal_table(judged, lesions=14).set_index("kind")
    assert table.at["dark", "too_dark"] == table.at["dark", "pictures"] == len(good)
    assert table.at["blurred", "blurred"] == len(good)
    assert table.at["bright", "too_bright"] > len(good) / 2
    drawing = refusals_figure(judged)
    (axes,) = drawing.axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["good", *KINDS]


def test_every_kind_has_a_label() -> None:
    assert set(KIND_LABELS) == {"good", *KINDS}
    assert set(OF_LESIONS) < set(KINDS)
    assert isinstance(refusal_table([Judged("good", reasons(""), np.zeros((1, 8, 8, 3)))], 1), pd.DataFrame)
