"""Cross-validation: a model for each fold, its figures on the lesions it never saw, and their mean."""

from pathlib import Path

import dagster as dg
import pandas as pd

from derma_assets.dataset.image_arrays import ImageArrays
from derma_assets.evaluation.cross_validation import fold_table, summary_table
from derma_assets.evaluation.report import LABELS, overall_markdown
from derma_assets.settings import settings
from derma_assets.splits.folds import fold_splits
from derma_assets.splits.grouped_splits import TRAIN
from derma_assets.stage import stage_asset
from derma_assets.storage.fingerprint import fingerprint_arrays, fingerprint_table
from derma_assets.storage.paths import scratch_path
from derma_assets.storage.stored_model import StoredModel
from derma_assets.training.curves import kept_epoch, training_curves
from derma_assets.training.hardware import chosen_precision
from derma_assets.training.labelled_pictures import labelled_pictures
from derma_assets.training.predictions import predictions_table
from derma_assets.training.predictor import Predictor
from derma_assets.training.recipe import named_recipe, recipe_version
from derma_assets.training.train import DECIDING_SETTINGS, TRAINING_VERSION, BackboneChoice, train_classifier
from derma_assets.training.weights_file import initial_weights_files
from derma_assets.ui_metadata import figure, note, table_preview

FOLDS = dg.StaticPartitionsDefinition([str(fold) for fold in range(settings().folds)])


@stage_asset(
    "training",
    kinds={"keras", "tensorflow"},
    io_manager_key="keras_model",
    code_version=f"{TRAINING_VERSION}-{recipe_version(settings().recipe)}",
    needs="train",
    reads_files=initial_weights_files,
    reads_settings=[*DECIDING_SETTINGS, "validation_fraction"],
    automatic=False,
    partitions_def=FOLDS,
)
def fold_model(
    context: dg.AssetExecutionContext, image_arrays: Path, grouped_splits: pd.DataFrame
) -> dg.MaterializeResult:
    """The classifier again, trained without one fifth of the lesions, for each fifth.

    Same recipe as `trained_model`, whose split it does not use: what was test there is training here for most folds, so
    nothing may be chosen on these figures that `trained_model` is then reported with.
    """
    chosen = settings()
    fold = int(context.partition_key)
    trained = train_classifier(
        ImageArrays.open(image_arrays),
        fold_splits(grouped_splits, fold, chosen.validation_fraction, chosen.seed),
        recipe=named_recipe(chosen.recipe, chosen.epochs),
        backbone=BackboneChoice.of(chosen),
        seed=chosen.seed,
        state_folder=scratch_path(chosen.store, f"training-fold-{fold}"),
        precision=chosen_precision(chosen.precision),
    )
    kept = kept_epoch(trained.history)
    return dg.MaterializeResult(
        value=trained.model,
        data_version=dg.DataVersion(fingerprint_arrays(trained.model.get_weights())),
        metadata={
            "train_pictures": trained.train_pictures,
            "validation_pictures": trained.validation_pictures,
            "kept_epoch": int(kept["epoch"]),
            "validation_macro_f1": float(kept["val_macro_f1"]),
            "seconds": float(trained.history["seconds"].sum()),
            "resumed_after_epoch": trained.resumed_after_epoch,
            "precision": trained.precision,
            "curves": figure(training_curves(trained.history)),
            "note": note(),
        },
    )


@stage_asset(
    "training",
    kinds={"keras", "pandas"},
    io_manager_key="table",
    code_version="1",
    reads_settings=["validation_fraction", "seed"],
    automatic=False,
    partitions_def=FOLDS,
)
def fold_predictions(
    context: dg.AssetExecutionContext, fold_model: StoredModel, image_arrays: Path, grouped_splits: pd.DataFrame
) -> dg.MaterializeResult:
    """Logits of the pictures that the model of a fold has not learnt from: all folds together, of every picture."""
    chosen = settings()
    splits = fold_splits(grouped_splits, int(context.partition_key), chosen.validation_fraction, chosen.seed)
    arrays = ImageArrays.open(image_arrays)
    held_out = labelled_pictures(arrays, splits[splits["split"] != TRAIN])
    table = predictions_table(held_out.pictures, Predictor(fold_model.load())(arrays.pixels, held_out.rows))
    return dg.MaterializeResult(
        value=table,
        data_version=dg.DataVersion(fingerprint_table(table)),
        metadata={"pictures": len(table), "preview": table_preview(table), "note": note()},
    )


@stage_asset(
    "evaluation",
    kinds={"numpy"},
    io_manager_key="table",
    code_version="1",
    reads_settings=["bootstrap_resamples", "seed", "melanoma_specificity", "referral_sensitivity"],
    automatic=False,
    partitions_def=FOLDS,
)
def fold_metrics(fold_predictions: pd.DataFrame) -> dg.MaterializeResult:
    """Every figure of `overall_metrics`, and the recall of each diagnosis, on the lesions of one fold.

    Temperature and thresholds come from lesions outside the fold that the model was not trained on.
    """
    chosen = settings()
    table = fold_table(
        fold_predictions,
        chosen.melanoma_specificity,
        chosen.referral_sensitivity,
        chosen.bootstrap_resamples,
        chosen.seed,
    )
    return dg.MaterializeResult(
        value=table,
        data_version=dg.DataVersion(fingerprint_table(table)),
        metadata={
            **{metric: value for metric, value in zip(table["metric"], table["value"], strict=True) if value == value},
            "table": dg.MetadataValue.md(overall_markdown(table)),
            "note": note(),
        },
    )


@stage_asset("evaluation", kinds={"pandas"}, io_manager_key="table", code_version="1", automatic=False)
def cross_validation_summary(fold_metrics: dict[str, pd.DataFrame]) -> dg.MaterializeResult:
    """Mean and standard deviation over the folds of every figure: what to expect of a model trained like this.

    The standard deviation is between folds. It says how much one test set differs from another, not how well the mean
    is known: the folds' models share most of their pictures.
    """
    table = summary_table(fold_metrics)
    shown = table.assign(metric=[LABELS.get(metric, metric) for metric in table["metric"]])
    return dg.MaterializeResult(
        value=table,
        data_version=dg.DataVersion(fingerprint_table(table)),
        metadata={
            **{f"{metric}_mean": mean for metric, mean in zip(table["metric"], table["mean"], strict=True)},
            "folds": len(fold_metrics),
            "table": table_preview(shown, rows=len(shown)),
            "note": note(),
        },
    )
