from pathlib import Path

import dagster as dg
import numpy as np
import pandas as pd
import pytest

from derma_assets.calibration.labelled_logits import labelled_logits
from derma_assets.calibration.summary import temperature_document
from derma_assets.diagnoses import CODES, DISCLAIMER
from derma_assets.errors import InputError
from derma_assets.evaluation import fold_assets, fold_report, tables
from derma_assets.evaluation.cross_validation import fold_table, summary_table
from derma_assets.settings import Settings
from derma_assets.storage.io_managers import io_managers
from derma_assets.training.hardware import chosen_precision
from derma_assets_tests import small_study
from derma_assets_tests.calibration.made_up import predictions

FOLDS = ("0", "1")


def test_a_fold_has_the_overall_metrics_and_every_recall() -> None:
    table = fold_table(predictions(), 0.95, 0.95, resamples=100, seed=1)
    values = table.set_index("metric")["value"]
    test = labelled_logits(predictions(), "test")
    temperature = temperature_document(labelled_logits(predictions(), "validation"))["temperature"]
    per_class = tables.per_class_table(test, temperature, 100, 1)
    for code in CODES:
        expected = per_class[(per_class["dx"] == code) & (per_class["metric"] == "recall")]["value"].item()
        assert values[f"recall_{code}"] == expected
    assert values["accuracy"] == (test.logits.argmax(axis=1) == test.labels).mean()
    assert values["melanoma_specificity"] > 0.8


def test_mean_and_deviation_by_hand() -> None:
    folds = {
        str(fold): pd.DataFrame({"metric": ["accuracy", "rare"], "value": values})
        for fold, values in enumerate(([0.7, np.nan], [0.8, 0.5], [0.9, 0.7]))
    }
    summary = summary_table(folds).set_index("metric")
    assert summary.loc["accuracy"].tolist() == pytest.approx([0.8, 0.1, 0.7, 0.9, 3])
    assert summary.loc["rare"].tolist() == pytest.approx([0.6, np.std([0.5, 0.7], ddof=1), 0.5, 0.7, 2])


def test_one_fold_is_no_summary() -> None:
    with pytest.raises(InputError, match="at least two folds"):
        summary_table({"0": pd.DataFrame({"metric": ["accuracy"], "value": [0.5]})})


@pytest.mark.slow
def test_folds_are_trained_tested_and_averaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = Settings(dataset="sample", data_dir=tmp_path, epochs=1, bootstrap_resamples=100)
    monkeypatch.setattr(fold_assets, "settings", lambda: chosen)
    splits = small_study.splits()
    splits = splits.assign(fold=splits.groupby("dx").cumcount() % 5)
    upstream = small_study.stand_ins(
        {
            "image_arrays": ("folder", small_study.write_arrays(tmp_path / "arrays")),
            "grouped_splits": ("table", splits),
        }
    )
    resources = io_managers(chosen.store)
    instance = dg.DagsterInstance.ephemeral()
    dg.materialize(upstream, resources=resources, instance=instance)
    of_folds = [fold_assets.fold_model, fold_assets.fold_predictions, fold_assets.fold_metrics]
    for fold in FOLDS:
        run = dg.materialize(
            [*upstream, *of_folds], partition_key=fold, selection=of_folds, resources=resources, instance=instance
        )
        assert run.success
        (made,) = run.asset_materializations_for_node("fold_model")
        # The setting may leave it to the host, and folds of several hosts are averaged.
        assert made.metadata["precision"].value == chosen_precision(chosen.precision)
        stored = pd.read_parquet(chosen.store / "fold_predictions" / f"{fold}.parquet")
        assert set(stored.loc[stored["split"] == "test", "lesion_id"]) == set(
            splits.loc[splits["fold"] == int(fold), "lesion_id"]
        )
        assert (chosen.store / "fold_model" / f"{fold}.keras").exists()
    # Each fold's training has a state of its own, or the second would remove the first's.
    assert len(list((chosen.store / ".unfinished").glob("training-fold-*/*.npz"))) == len(FOLDS)
    tables_of_folds = {fold: pd.read_parquet(chosen.store / "fold_metrics" / f"{fold}.parquet") for fold in FOLDS}
    summary = summary_table(tables_of_folds).set_index("metric")
    values = [table.set_index("metric").at["accuracy", "value"] for table in tables_of_folds.values()]
    assert summary.at["accuracy", "mean"] == pytest.approx(np.mean(values))


def test_the_summary_reads_all_folds(tmp_path: Path) -> None:
    resources = io_managers(tmp_path)
    for fold in fold_assets.FOLDS.get_partition_keys():
        resources["table"].write(
            pd.DataFrame({"metric": ["accuracy"], "value": [0.5 + int(fold) / 10]}), _made(tmp_path, fold)
        )
    run = dg.materialize(
        [
            dg.AssetSpec("fold_metrics", partitions_def=fold_assets.FOLDS).with_io_manager_key("table"),
            fold_assets.cross_validation_summary,
        ],
        resources=resources,
    )
    (row,) = run.output_for_node("cross_validation_summary").to_dict("records")
    assert row["folds"] == 5
    assert row["mean"] == pytest.approx(0.7)


def test_readers_see_mean_deviation_and_every_fold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    changed = {"image_size": 96, "epochs": 8, "data_dir": tmp_path}
    chosen = Settings(dataset="ham10000", **changed)
    monkeypatch.setattr(fold_report, "settings", lambda: chosen)
    for name in ("PAGE", "TABLE"):
        monkeypatch.setattr(fold_report, name, tmp_path / name)
    assert fold_report.main() == 1
    assert "cross_validation_summary has not been stored yet" in capsys.readouterr().err
    folds = {str(fold): fold_table(predictions(), 0.95, 0.95, resamples=100, seed=fold) for fold in range(2)}
    for fold, table in folds.items():
        table["value"] += int(fold) / 100
        table.to_parquet(_made(chosen.store, fold))
    summary_table(folds).to_parquet(chosen.store / "cross_validation_summary.parquet")
    assert fold_report.main() == 0
    accuracy = folds["0"].set_index("metric").at["accuracy", "value"]
    row = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("| Accuracy"))
    expected = [f"{accuracy + 0.005:.3f}", "0.007", f"{accuracy:.3f}", f"{accuracy + 0.01:.3f}", "2"]
    assert [cell.strip() for cell in row.split("|")[2:-1]] == expected
    page = (tmp_path / "PAGE").read_text()
    assert "`DERMA_EPOCHS=8 DERMA_IMAGE_SIZE=96 make folds DERMA_DATASET=ham10000`" in page
    assert DISCLAIMER in page
    assert "Recall of akiec" in page
    table = pd.read_csv(tmp_path / "TABLE")
    assert table.groupby("fold").size().tolist() == [len(folds["0"])] * 2


def _made(store: Path, fold: str) -> Path:
    path = store / "fold_metrics" / f"{fold}.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    return path
