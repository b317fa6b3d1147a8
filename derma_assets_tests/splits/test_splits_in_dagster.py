from pathlib import Path

import dagster as dg
import pandas as pd
import pytest
from PIL import Image

from derma_assets.settings import Settings
from derma_assets.splits import assets, checks
from derma_assets.splits.grouped_splits import split_by_lesion
from derma_assets.storage.io_managers import io_managers
from derma_assets_tests.splits.generated import manifest, metadata


def good() -> pd.DataFrame:
    return split_by_lesion(metadata(), 0.1, 0.1, folds=5, seed=42)


def upstream(name: str, value: pd.DataFrame) -> dg.AssetsDefinition:
    @dg.asset(name=name, io_manager_key="table")
    def made_up() -> pd.DataFrame:
        return value

    return made_up


def outcome(check: dg.AssetChecksDefinition, asset: str, value: pd.DataFrame, store: Path) -> dg.AssetCheckEvaluation:
    result = dg.materialize([upstream(asset, value), check], resources=io_managers(store), raise_on_error=False)
    (evaluation,) = result.get_asset_check_evaluations()
    return evaluation


@pytest.mark.parametrize(
    "check", [checks.no_lesion_on_two_sides, checks.class_shares_within_tolerance, checks.every_class_on_every_side]
)
def test_a_good_split_passes_and_the_check_blocks(check: dg.AssetChecksDefinition, tmp_path: Path) -> None:
    assert outcome(check, "grouped_splits", good(), tmp_path).passed
    (spec,) = check.check_specs
    assert spec.blocking


def test_a_lesion_on_two_sides_fails(tmp_path: Path) -> None:
    splits = good()
    row = splits.index[splits["lesion_id"].duplicated()][0]
    splits.loc[row, "split"] = "test" if splits.loc[row, "split"] == "train" else "train"
    evaluation = outcome(checks.no_lesion_on_two_sides, "grouped_splits", splits, tmp_path)
    assert not evaluation.passed
    assert evaluation.severity == dg.AssetCheckSeverity.ERROR
    assert splits.loc[row, "lesion_id"] in (evaluation.description or "")


def test_a_missing_class_fails(tmp_path: Path) -> None:
    splits = good()
    code = splits["dx"].iloc[0]
    splits.loc[(splits["dx"] == code) & (splits["split"] == "test"), "split"] = "train"
    evaluation = outcome(checks.every_class_on_every_side, "grouped_splits", splits, tmp_path)
    assert not evaluation.passed
    assert f"{code} on test" in (evaluation.description or "")


def test_a_skewed_side_fails(tmp_path: Path) -> None:
    splits = good()
    common = splits["dx"].value_counts().index[0]
    splits.loc[(splits["dx"] == common) & (splits["split"] == "validation"), "split"] = "train"
    assert not outcome(checks.class_shares_within_tolerance, "grouped_splits", splits, tmp_path).passed


def with_look_alikes(splits: pd.DataFrame, sides: tuple[str, str], folder: Path) -> pd.DataFrame:
    """Return a manifest with the same picture on both sides, or twice on the one; no other pictures are alike."""
    pictures = manifest(splits["image_id"].tolist())
    on_side = [splits.index[splits["split"] == side] for side in sides]
    for row in (on_side[0][0], on_side[1][-1]):
        path = folder / f"{row}.png"
        Image.new("RGB", (40, 30), (200, 150, 120)).save(path)
        pictures.loc[row, ["path", "phash", "sha256"]] = [str(path), "0123456789abcdef", "a" * 64]
    return pictures


def audited(splits: pd.DataFrame, pictures: pd.DataFrame, store: Path) -> dg.ExecuteInProcessResult:
    return dg.materialize(
        [
            upstream("grouped_splits", splits),
            upstream("raw_images", pictures),
            assets.leakage_audit,
            checks.near_duplicates_across_sides,
        ],
        resources=io_managers(store),
    )


def test_both_assets_from_metadata_and_pictures(tmp_path: Path) -> None:
    table = metadata()
    result = dg.materialize(
        [
            upstream("raw_metadata", table),
            upstream("raw_images", manifest(table["image_id"].tolist())),
            assets.grouped_splits,
            assets.leakage_audit,
            checks.no_lesion_on_two_sides,
        ],
        resources=io_managers(tmp_path / "store"),
    )
    assert set(result.output_for_node("grouped_splits")["split"]) == {"train", "validation", "test"}
    (materialized,) = result.asset_materializations_for_node("grouped_splits")
    assert materialized.metadata["train_lesions"].value > materialized.metadata["test_lesions"].value > 0
    assert "image/png" in str(materialized.metadata["class_shares"].value)
    (audit,) = result.asset_materializations_for_node("leakage_audit")
    assert audit.metadata["pictures_compared"].value == len(table)
    (evaluation,) = result.get_asset_check_evaluations()
    assert evaluation.passed


def test_look_alikes_across_sides_warn_and_are_shown(tmp_path: Path) -> None:
    splits = good()
    result = audited(splits, with_look_alikes(splits, ("train", "test"), tmp_path), tmp_path / "store")
    (audit,) = result.asset_materializations_for_node("leakage_audit")
    assert (audit.metadata["pairs"].value, audit.metadata["same_file_pairs"].value) == (1, 1)
    assert "image/png" in str(audit.metadata["closest"].value)
    (evaluation,) = result.get_asset_check_evaluations()
    assert (evaluation.passed, evaluation.severity) == (False, dg.AssetCheckSeverity.WARN)


def test_look_alikes_on_one_side_are_no_leak(tmp_path: Path) -> None:
    splits = good()
    result = audited(splits, with_look_alikes(splits, ("train", "train"), tmp_path), tmp_path / "store")
    (audit,) = result.asset_materializations_for_node("leakage_audit")
    assert (audit.metadata["pairs"].value, audit.metadata["same_file_pairs"].value) == (0, 0)
    (evaluation,) = result.get_asset_check_evaluations()
    assert (evaluation.passed, evaluation.severity) == (True, dg.AssetCheckSeverity.WARN)


def test_too_few_lesions_fail_with_a_message_and_no_traceback(tmp_path: Path) -> None:
    result = dg.materialize(
        [upstream("raw_metadata", metadata([10, 10, 10, 2, 10, 10, 10])), assets.grouped_splits],
        resources=io_managers(tmp_path),
        raise_on_error=False,
    )
    assert not result.success
    assert "every diagnosis needs at least 3 lesions" in str(result.failure_data_for_node("grouped_splits").error)


def test_the_stored_split_is_continued_unless_it_was_dealt_in_another_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def sides(lesions: list[int], seed: int) -> pd.Series:
        chosen = Settings(dataset="sample", data_dir=tmp_path, seed=seed)
        monkeypatch.setattr(assets, "settings", lambda: chosen)
        stores = io_managers(chosen.store)
        run = dg.materialize([upstream("raw_metadata", metadata(lesions)), assets.grouped_splits], resources=stores)
        return run.output_for_node("grouped_splits").drop_duplicates("lesion_id").set_index("lesion_id")["split"]

    small, grown = [40, 60, 100, 12, 90, 500, 20], [44, 66, 180, 13, 99, 550, 22]
    first = sides(small, seed=42)
    continued = sides(grown, seed=42)
    assert (continued[first.index] == first).all()
    assert len(continued) > len(first)
    assert (sides(small, seed=7)[first.index] != first).any()


def test_the_daemon_waits_for_enough_new_lesions_and_a_person_or_the_schedule_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = Settings(dataset="sample", data_dir=tmp_path, retrain_lesions=8)
    monkeypatch.setattr(assets, "settings", lambda: chosen)

    def lesions_after(counts: list[int], tags: dict[str, str]) -> int:
        lesions = metadata(counts).drop_duplicates("lesion_id")
        # One picture each, of the same name however much the data grow.
        table = lesions.assign(image_id=lesions["lesion_id"])
        splits = split_by_lesion(table, 0.2, 0.2, folds=5, seed=42, earlier=grown.get("splits"))
        grown["splits"] = splits
        pictures = manifest(splits["image_id"].tolist())
        run = dg.materialize(
            [
                upstream("grouped_splits", splits),
                upstream("raw_images", pictures.assign(sha256=pictures["image_id"])),
                upstream("data_drift", pd.DataFrame()),
                assets.training_set,
            ],
            resources=io_managers(chosen.store),
            tags=tags,
        )
        return int(run.output_for_node("training_set")["lesion_id"].nunique())

    grown: dict[str, pd.DataFrame] = {}
    by_itself = {assets.AUTOMATIC: "true"}
    assert lesions_after([10] * 7, {}) == 70
    assert lesions_after([11] * 7, by_itself) == 70  # 7 are new
    assert lesions_after([12] * 7, by_itself) == 84  # 14 are
    assert lesions_after([13] * 7, by_itself) == 84
    assert lesions_after([13] * 7, {"dagster/schedule_name": "retraining_schedule"}) == 91
