import numpy as np
import pandas as pd
import pytest

from derma_assets.calibration.labelled_logits import labelled_logits
from derma_assets.calibration.views import calibrate_views, views_document
from derma_assets.evaluation import tables
from derma_assets.evaluation.figures import view_figure
from derma_assets.evaluation.report import LABELS, views_markdown
from derma_assets.evaluation.views import GAINS, view_table
from derma_assets_tests.calibration.made_up import predictions, view_predictions


@pytest.fixture(scope="module")
def considered() -> list[dict[str, object]]:
    return views_document(calibrate_views(view_predictions(), 0.95, 0.95))["considered"]


@pytest.fixture(scope="module")
def table(considered: list[dict[str, object]]) -> pd.DataFrame:
    return view_table(view_predictions(), considered, "test", resamples=200, seed=1)


def test_one_view_has_the_overall_metrics(table: pd.DataFrame, considered: list[dict[str, object]]) -> None:
    first = considered[0]
    overall = tables.overall_table(
        labelled_logits(predictions(), "test"), first["temperature"], first["operating_points"], 200, 1
    ).set_index("metric")
    of_one = table[table["count"] == 1].set_index("metric")
    assert len(of_one) == 10
    columns = ["value", "low", "high"]
    pd.testing.assert_frame_equal(of_one[columns], overall.loc[of_one.index, columns])


def test_gains_are_differences_on_the_same_pictures(table: pd.DataFrame) -> None:
    values = table.set_index(["count", "metric"])["value"]
    for count in (2, 4, 8):
        for metric in GAINS:
            assert values[count, f"{metric}_gain"] == pytest.approx(values[count, metric] - values[1, metric])
    assert not table[(table["count"] == 1) & table["metric"].str.endswith("_gain")].size
    # Paired: the width of a gain's interval is less than that of two independent ones.
    widths = (table["high"] - table["low"]).set_axis(pd.MultiIndex.from_frame(table[["count", "metric"]]))
    assert widths[8, "accuracy_gain"] < np.hypot(widths[8, "accuracy"], widths[1, "accuracy"])


def test_every_metric_is_drawn_or_printed(table: pd.DataFrame) -> None:
    assert set(table["metric"]) <= set(LABELS)
    text = views_markdown(table)
    assert all(LABELS[metric] in text for metric in table["metric"])
    assert all(f"{count} view" in text for count in (1, 2, 4, 8))
    assert len(view_figure(table, GAINS).axes) == len(GAINS)
