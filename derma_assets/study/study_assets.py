"""The study: what each trial gave on validation, and all of them in one table."""

from datetime import UTC, datetime

import dagster as dg
import pandas as pd

from derma_assets.dataset.here import on_this_host
from derma_assets.errors import InputError
from derma_assets.release.layout import WEIGHTS
from derma_assets.settings import Settings, settings
from derma_assets.splits.grouped_splits import VALIDATION
from derma_assets.stage import stage_asset
from derma_assets.storage.fingerprint import fingerprint_table, sha256_of_file
from derma_assets.storage.paths import scratch_path
from derma_assets.study.pictures import trial_pictures
from derma_assets.study.report import study_markdown
from derma_assets.study.rows import study_rows
from derma_assets.study.trials import TRIALS, Trial
from derma_assets.study.validation_figures import VIEWS, validation_table
from derma_assets.training.curves import training_curves
from derma_assets.training.hardware import chosen_precision
from derma_assets.training.labelled_pictures import labelled_pictures
from derma_assets.training.origin import origin_of
from derma_assets.training.predictions import predictions_table
from derma_assets.training.predictor import Predictor
from derma_assets.training.train import TRAINING_VERSION, BackboneChoice, train_classifier
from derma_assets.training.views import view_predictions_table
from derma_assets.training.weights_file import initial_weights_files
from derma_assets.ui_metadata import figure, note, table_preview

OF_TRIALS = dg.StaticPartitionsDefinition(list(TRIALS))


def initial_weights(trial: Trial, chosen: Settings) -> str:
    """Return what a trial begins with: what the settings name, or the release that it goes on from.

    A file that the settings name is of the network that they name: a trial of another begins with `imagenet`.

    Raises:
        InputError: it goes on from another release than the one that is there.
    """
    if trial.from_release is None:
        of_another = trial.backbone != chosen.backbone and chosen.initial_weights != "random"
        return "imagenet" if of_another else chosen.initial_weights
    path = chosen.release / WEIGHTS
    if not path.is_file() or sha256_of_file(path) != trial.from_release:
        raise InputError(
            f"the trial {trial.name} goes on from the release whose {WEIGHTS} has the SHA-256 "
            f"{trial.from_release}, and {chosen.release} is not that one. Take it from the project's history (`git log "
            "-- data/release`) into a folder, and set DERMA_RELEASE_DIR to that."
        )
    return str(path)


@stage_asset(
    "study",
    kinds={"keras", "tensorflow"},
    io_manager_key="table",
    code_version=TRAINING_VERSION,
    needs="train",
    reads_files=initial_weights_files,
    reads_settings=["epochs", "backbone", "backbone_weights", "alpha", "seed", "precision", "bootstrap_resamples"],
    automatic=False,
    also=lambda context: TRIALS[context.partition_key].definition,
    partitions_def=OF_TRIALS,
)
def trial_figures(
    context: dg.AssetExecutionContext, raw_images: pd.DataFrame, grouped_splits: pd.DataFrame
) -> dg.MaterializeResult:
    """What one way to train gave on validation pictures, for one view and the mean of four.

    Trained on the same pictures as `trained_model`, judged on the same validation pictures. Test pictures are not
    looked at, so any number of trials may be compared.
    """
    chosen, trial = settings(), TRIALS[context.partition_key]
    made = scratch_path(chosen.store, "trial-pictures")
    arrays = trial_pictures(on_this_host(raw_images, chosen), trial.image_size, trial.framing, made)
    recipe = trial.recipe if chosen.epochs is None else trial.recipe.model_copy(update={"epochs": chosen.epochs})
    backbone = BackboneChoice.of(
        chosen,
        architecture=trial.backbone,
        weights=initial_weights(trial, chosen),
        trainable_layers=trial.trainable_layers,
    )
    trained = train_classifier(
        arrays,
        grouped_splits,
        recipe=recipe,
        backbone=backbone,
        seed=chosen.seed,
        state_folder=scratch_path(chosen.store, f"training-trial-{trial.name}"),
        precision=chosen_precision(chosen.precision),
    )
    validation = labelled_pictures(arrays, grouped_splits[grouped_splits["split"] == VALIDATION])
    pictures = arrays.pixels.at(validation.rows)
    predictions = predictions_table(validation.pictures, Predictor(trained.model)(pictures))
    table = validation_table(
        view_predictions_table(trained.model, pictures, predictions, counts=VIEWS),
        chosen.bootstrap_resamples,
        chosen.seed,
    ).assign(
        epochs=len(trained.history),
        seconds=float(trained.history["seconds"].sum()),
        precision=trained.precision,
        date=datetime.now(UTC).date().isoformat(),
        definition=trial.definition,
    )
    figures = table[["views", "metric", "value", "low", "high"]]
    return dg.MaterializeResult(
        value=table,
        data_version=dg.DataVersion(fingerprint_table(figures)),
        metadata={
            **{
                f"{metric}_{views}_views": value
                for views, metric, value in figures[["views", "metric", "value"]].itertuples(index=False)
            },
            "trial": dg.MetadataValue.json(trial.model_dump()),
            "weights": origin_of(backbone.weights).said,
            "figures": table_preview(figures, rows=len(figures)),
            "curves": figure(training_curves(trained.history)),
            "note": note(),
        },
    )


@stage_asset(
    "study",
    kinds={"pandas"},
    io_manager_key="table",
    code_version="1",
    automatic=False,
    ins={"trial_figures": dg.AssetIn(metadata={"allow_missing_partitions": True})},
)
def study_table(trial_figures: dict[str, pd.DataFrame]) -> dg.MaterializeResult:
    """One row for each trial that was run: what it tried and what it gave on validation.

    Two trials saw the same pictures, so they differ by less than their intervals suggest; one training with another
    seed differs by about 0.01 in accuracy, and so much is chance.
    """
    rows = study_rows(trial_figures)
    return dg.MaterializeResult(
        value=rows,
        data_version=dg.DataVersion(fingerprint_table(rows)),
        metadata={"trials": len(rows), "table": dg.MetadataValue.md(study_markdown(rows)), "note": note()},
    )
