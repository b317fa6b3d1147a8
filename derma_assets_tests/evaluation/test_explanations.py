"""Figures of the maps by hand, baselines that can be computed by hand, and a gallery chosen by rule."""

import numpy as np
import pandas as pd
import pytest

from derma_assets.dataset.lesion_figures import outlined
from derma_assets.diagnoses import CODES
from derma_assets.evaluation.activation_maps import GRAD_CAM, MAPS
from derma_assets.evaluation.explanation_figures import explanation_figure, gallery_figure, under_heat
from derma_assets.evaluation.explanations import (
    BASELINE,
    Explained,
    centre_prior,
    explanation_table,
    gallery_rows,
    heat_inside,
    picture_figures,
)
from derma_assets.evaluation.report import explanations_markdown

SIZE, CELLS = 64, 4


def square(top: int, left: int, side: int) -> np.ndarray:
    mask = np.zeros((SIZE, SIZE), dtype=bool)
    mask[top : top + side, left : left + side] = True
    return mask


def explained(masks: list[np.ndarray], maps: list[np.ndarray], labels: list[int], predicted: list[int]) -> Explained:
    """Return pictures of a lesion each whose every class has the same map."""
    of_classes = np.repeat(np.stack(maps)[..., np.newaxis], len(CODES), axis=-1).astype(np.float32)
    return Explained(
        np.array(labels), np.array(predicted), np.arange(len(masks)), np.stack(masks), dict.fromkeys(MAPS, of_classes)
    )


def one_hot(row: int, column: int) -> np.ndarray:
    cells = np.zeros((CELLS, CELLS))
    cells[row, column] = 1
    return cells


@pytest.fixture(scope="module")
def four() -> Explained:
    """A quarter of the picture each: the map right on it, elsewhere, even everywhere, and nowhere."""
    upper_left, middle = square(0, 0, 32), square(16, 16, 32)
    maps = [one_hot(0, 0), one_hot(3, 3), np.ones((CELLS, CELLS)), np.zeros((CELLS, CELLS))]
    return explained([upper_left, upper_left, middle, middle], maps, labels=[0, 0, 4, 4], predicted=[0, 4, 4, 5])


def test_figures_of_single_pictures_by_hand(four: Explained) -> None:
    figures = picture_figures(four)
    assert figures["mask_share"].tolist() == [0.25] * 4
    heat = figures[f"{GRAD_CAM}/predicted/heat_inside"]
    # One cell's heat reaches to the middles of its neighbours, at 24 px: all inside 32.
    assert heat[0] == pytest.approx(1)
    assert heat[1] == 0
    assert heat[2] == pytest.approx(0.25)
    assert np.isnan(heat[3])
    hit = figures[f"{GRAD_CAM}/true/hit"]
    assert hit[:2].tolist() == [1, 0]
    assert np.isnan(hit[3])
    assert figures["centre_hit"].tolist() == [1, 1, 1, 1], (
        "the centre is one pixel off the corner: within the tolerance"
    )


def test_a_peak_hits_up_to_three_percent_of_the_side_outside() -> None:
    # The peak of cell (1, 1) is at 24, 24; the tolerance of 64 px is 1.92 px.
    masks = [square(24, 26, 20), square(24, 25, 20), square(24, 24, 20)]
    figures = picture_figures(explained(masks, [one_hot(1, 1)] * 3, [0] * 3, [0] * 3))
    assert figures[f"{GRAD_CAM}/predicted/hit"].tolist() == [0, 1, 1]


def test_baselines_by_hand() -> None:
    middle = square(16, 16, 32)
    figures = picture_figures(explained([middle], [one_hot(0, 0)], [0], [0])).iloc[0]
    # Of a Gaussian with a deviation of a quarter of the side, cut off at two deviations: (68.27 / 95.45 %) squared.
    assert figures["centre_heat_inside"] == pytest.approx((0.68269 / 0.95450) ** 2, abs=2e-3)
    assert figures["centre_hit"] == 1
    assert figures["coarse_centre_hit"] == 1, "all four cells around the centre have their middle inside"
    # Within 1.92 px: a band of one pixel along each side, and the four pixels diagonal to the corners (1.41).
    assert figures["uniform_hit"] == pytest.approx((34 * 34) / 64**2)
    # The mask is four cells of 4 x 4; enlarged, each side has 0, 0.5..., so that 3/4 of it stay inside each way.
    ramp = np.interp(np.arange(64) + 0.5, [8, 24, 40, 56], [0, 1, 1, 0])
    assert figures["coarse_mask_heat_inside"] == pytest.approx((ramp[16:48].sum() / ramp.sum()) ** 2, abs=1e-5)
    corner = picture_figures(explained([square(0, 0, 32)], [one_hot(0, 0)], [0], [0])).iloc[0]
    assert corner["coarse_centre_hit"] == 0.25
    assert corner["coarse_centre_heat_inside"] == pytest.approx(0.25, abs=1e-6)


def test_the_centre_prior_is_even_and_largest_in_the_middle() -> None:
    prior = centre_prior(SIZE)
    np.testing.assert_allclose(prior, prior[::-1, ::-1], rtol=1e-6)
    assert prior.max() == prior[SIZE // 2, SIZE // 2]
    # One deviation away along an axis.
    assert prior[SIZE // 2, SIZE // 2 + 16] / prior.max() == pytest.approx(np.exp(-0.5), abs=0.02)
    assert np.isnan(heat_inside(np.zeros((1, 2, 2)), np.ones((1, 2, 2), dtype=bool))[0])


def test_a_picture_without_a_lesion_in_its_mask_counts_nowhere(four: Explained) -> None:
    empty = Explained(four.labels, four.predicted, four.lesions, four.masks & False, four.maps)
    assert picture_figures(empty).isna().all(axis=None)
    table = explanation_table(empty, picture_figures(empty), resamples=20, seed=0)
    assert table["value"].isna().all()


def test_the_table_averages_each_group_and_pairs_its_differences(four: Explained) -> None:
    figures = picture_figures(four)
    table = explanation_table(four, figures, resamples=200, seed=0)
    values = table.set_index(["map", "of", "group", "metric"])
    everything = (GRAD_CAM, "predicted", "all")
    assert values.at[(*everything, "heat_inside"), "value"] == pytest.approx((1 + 0 + 0.25) / 3, abs=1e-6)
    over = values.loc[(*everything, "heat_over_centre")]
    difference = (figures[f"{GRAD_CAM}/predicted/heat_inside"] - figures["centre_heat_inside"]).dropna()
    assert over["value"] == pytest.approx(difference.mean())
    assert over["low"] < over["value"] < over["high"]
    assert values.at[(GRAD_CAM, "predicted", "right", "heat_inside"), "value"] == pytest.approx(
        (1 + 0.25) / 2, abs=1e-6
    )
    assert values.at[(GRAD_CAM, "predicted", "wrong", "heat_inside"), "value"] == 0
    assert values.at[(GRAD_CAM, "predicted", CODES[4], "heat_inside"), "value"] == pytest.approx(0.25)
    assert values.at[(BASELINE, "", "all", "mask_share"), "value"] == 0.25
    assert set(table["group"]) == {"all", "right", "wrong", CODES[0], CODES[4]}
    assert (table.loc[table["group"] == "all", ["images", "lesions"]] == 4).all(axis=None)


def test_pictures_of_one_lesion_are_resampled_together(four: Explained) -> None:
    figures = picture_figures(four)
    together = Explained(four.labels, four.predicted, np.zeros(4, dtype=np.int64), four.masks, four.maps)
    table = explanation_table(together, figures, resamples=50, seed=0)
    known = table.dropna()
    np.testing.assert_allclose(known["low"], known["high"])


def test_the_gallery_takes_the_most_confident_of_each_lesion() -> None:
    labels = np.array([0, 0, 0, 0, 0, 1])
    lesions = np.array([0, 0, 1, 2, 3, 4])
    confidence = [0.9, 0.95, 0.7, 0.99, 0.8, 0.6]
    predicted = [0, 0, 0, 1, 0, 1]
    probabilities = np.zeros((6, len(CODES)))
    probabilities[np.arange(6), predicted] = confidence
    right = gallery_rows(labels, probabilities, lesions, right=True, each=2)
    assert right[CODES[0]].tolist() == [1, 4], "0 shows the lesion of 1, and 2 is less confident"
    assert right[CODES[1]].tolist() == [5]
    wrong = gallery_rows(labels, probabilities, lesions, right=False, each=2)
    assert wrong[CODES[0]].tolist() == [3]
    assert not len(wrong[CODES[1]])


def test_heat_covers_where_it_is_and_leaves_the_rest() -> None:
    picture = np.full((SIZE, SIZE, 3), 100, np.uint8)
    heat = np.zeros((SIZE, SIZE))
    np.testing.assert_array_equal(under_heat(picture, heat), picture)
    heat[:32] = 3
    covered = under_heat(picture, heat)
    np.testing.assert_array_equal(covered[32:], picture[32:])
    assert covered[0, 0, 0] > covered[0, 0, 2], "yellow"
    drawn = outlined(picture, square(8, 8, 16), (1, 2, 3))
    assert (drawn == (1, 2, 3)).all(axis=-1).sum() == 4 * 15
    assert (picture == 100).all()


def test_figures_and_the_report_show_every_group(four: Explained) -> None:
    table = explanation_table(four, picture_figures(four), resamples=20, seed=0)
    drawing = explanation_figure(table)
    assert [label.get_text() for label in drawing.axes[0].get_xticklabels()][:3] == ["all\n4", "right\n2", "wrong\n2"]
    probabilities = np.eye(len(CODES))[four.predicted]
    chosen = gallery_rows(four.labels, probabilities, four.lesions, right=True, each=3)
    pixels = np.zeros((4, SIZE, SIZE, 3), np.uint8)
    gallery = gallery_figure(four, pixels, probabilities, chosen, each=3)
    assert [text.get_text() for text in gallery.axes[0].texts] == [f"{CODES[0]} 1.00", f"{CODES[4]} 1.00"]
    text = explanations_markdown(table)
    assert "grad cam, predicted" in text
    assert "shown in app, true" in text
    rows = pd.DataFrame([line.split("|") for line in text.splitlines()[2:]])
    assert len(rows) == 5 + 3, "each group once for the main map, then the other maps"
