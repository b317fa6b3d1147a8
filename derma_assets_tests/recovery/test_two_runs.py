"""Two runs at once on one store: the second waits and reuses, and the numbers are those of one run."""

from collections.abc import Callable
from pathlib import Path

import pytest

from derma_assets_tests.recovery.conftest import Undisturbed
from derma_assets_tests.recovery.runs import SMALL, begin
from derma_assets_tests.recovery.wholeness import assert_same, assert_whole, left_behind

pytestmark = pytest.mark.recovery


def test_two_runs_at_once_train_one_model(
    undisturbed: Undisturbed, tmp_path: Path, figures: Callable[[str], None]
) -> None:
    # Dagster's own files apart: two processes must not make its database at the same time.
    homes = [tmp_path / name for name in ("one", "other")]
    with (
        begin(tmp_path, "*predictions", home=homes[0]) as one,
        begin(tmp_path, "*predictions", home=homes[1]) as other,
    ):
        said = [one.wait(), other.wait()]
    assert_whole(tmp_path)
    assert_same(undisturbed.data_dir, tmp_path)
    assert left_behind(tmp_path) == []
    assert sorted("training, epoch" in text for text in said) == [False, True]
    assert sorted("embedded sample:" in text for text in said) == [False, True]
    waits = [line for text in said for line in text.splitlines() if "waiting for" in line]
    assert any("waiting for trained_model" in line and "in use by process" in line for line in waits)
    figures(f"two runs at once: {len(waits)} waits, one training; such as: {waits[-1]}")


def test_steps_in_processes_of_their_own_do_not_get_in_each_others_way(
    undisturbed: Undisturbed, tmp_path: Path
) -> None:
    settings = {**SMALL, "DERMA_EXECUTOR": "multiprocess"}
    selection = "raw_metadata,grouped_splits"
    homes = [tmp_path / name for name in ("one", "other")]
    with (
        begin(tmp_path, selection, settings, home=homes[0]) as one,
        begin(tmp_path, selection, settings, home=homes[1]) as other,
    ):
        one.wait()
        other.wait()
    assert_whole(tmp_path)
    assert_same(undisturbed.data_dir, tmp_path)
    assert left_behind(tmp_path) == []
