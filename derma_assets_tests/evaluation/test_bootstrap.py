import numpy as np
import pytest

from derma_assets.evaluation import bootstrap
from derma_assets.evaluation.bootstrap import lesion_weights, with_intervals


def mean_of(values: np.ndarray) -> bootstrap.Statistics:
    return lambda weights: {"mean": (weights @ values) / weights.sum(axis=1)}


def clustered(lesions: int, per_lesion: int, draw: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return right or wrong for pictures of easy and hard lesions, and their lesions; the expected mean is 0.7."""
    easy = draw.random(lesions) < 0.75
    of = np.repeat(np.arange(lesions), per_lesion)
    return (draw.random(len(of)) < np.where(easy, 0.9, 0.1)[of]).astype(float), of


def test_weights_count_whole_lesions() -> None:
    lesions = np.array([0, 0, 1, 2, 2, 2])
    weights = np.concatenate(list(lesion_weights(lesions, 50, seed=1)))
    assert weights.shape == (50, 6)
    assert (weights[:, 0] == weights[:, 1]).all()
    assert (weights[:, 3] == weights[:, 5]).all()
    assert (weights[:, [0, 2, 3]].sum(axis=1) == 3).all(), "as many lesions are drawn as there are"
    np.testing.assert_array_equal(weights, np.concatenate(list(lesion_weights(lesions, 50, seed=1))))


def test_few_at_a_time_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    lesions = np.arange(30) // 2
    at_once = np.concatenate(list(lesion_weights(lesions, 40, seed=2)))
    monkeypatch.setattr(bootstrap, "WEIGHTS_AT_A_TIME", 30 * 7)
    parts = list(lesion_weights(lesions, 40, seed=2))
    assert [len(part) for part in parts] == [7] * 5 + [5]
    np.testing.assert_array_equal(np.concatenate(parts), at_once)


def test_doubling_the_pictures_of_every_lesion_changes_no_interval() -> None:
    right, lesions = clustered(80, 2, np.random.default_rng(0))
    once = with_intervals(mean_of(right), lesions, 500, seed=3)
    twice = with_intervals(mean_of(np.repeat(right, 2)), np.repeat(lesions, 2), 500, seed=3)
    np.testing.assert_allclose(once[["value", "low", "high"]], twice[["value", "low", "high"]])


def test_lesions_give_a_wider_interval_than_pictures_would() -> None:
    right, lesions = clustered(80, 5, np.random.default_rng(0))
    of_lesions = with_intervals(mean_of(right), lesions, 500, seed=3).iloc[0]
    of_pictures = with_intervals(mean_of(right), np.arange(len(right)), 500, seed=3).iloc[0]
    assert of_lesions["high"] - of_lesions["low"] > 1.4 * (of_pictures["high"] - of_pictures["low"])


def test_the_interval_covers_the_truth_nineteen_times_in_twenty() -> None:
    draw = np.random.default_rng(11)
    covered = covered_by_pictures = 0
    runs = 200
    for run in range(runs):
        right, lesions = clustered(60, 4, draw)
        of_lesions = with_intervals(mean_of(right), lesions, 300, seed=run).iloc[0]
        of_pictures = with_intervals(mean_of(right), np.arange(len(right)), 300, seed=run).iloc[0]
        covered += of_lesions["low"] <= 0.7 <= of_lesions["high"]
        covered_by_pictures += of_pictures["low"] <= 0.7 <= of_pictures["high"]
    assert 0.90 <= covered / runs <= 0.99
    assert covered_by_pictures / runs < 0.85, "resampling pictures would promise too much"


def test_resamples_without_a_value_are_left_out() -> None:
    def statistics(weights: np.ndarray) -> dict[str, np.ndarray]:
        rare = np.where(weights[:, 0] > 0, weights[:, 0], np.nan)
        return {"rare": rare, "never": np.full(len(weights), np.nan)}

    table = with_intervals(statistics, np.arange(3), 200, seed=0).set_index("metric")
    assert 1 <= table.loc["rare", "low"] <= table.loc["rare", "high"] <= 3
    assert np.isnan(table.loc["never", ["low", "high"]].astype(float)).all()
