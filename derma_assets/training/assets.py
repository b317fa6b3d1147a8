"""Training: the classifier, how its training went, and what it says about validation and test pictures."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import dagster as dg
import pandas as pd
from pydantic import Field

from derma_assets.automation.conditions import on_new_content
from derma_assets.automation.run_tags import tagging
from derma_assets.dataset.image_arrays import ImageArrays
from derma_assets.dataset.preprocessing import PREPROCESSING_VERSION
from derma_assets.execution.needs import step_tags
from derma_assets.reuse import reusing
from derma_assets.settings import settings
from derma_assets.splits.grouped_splits import TEST, TRAIN, VALIDATION
from derma_assets.stage import OWNERS, as_step, settings_version, stage_asset
from derma_assets.storage.fingerprint import fingerprint_arrays, fingerprint_table
from derma_assets.storage.paths import scratch_path
from derma_assets.storage.stored_model import StoredModel
from derma_assets.training.cluster import cluster_of_chief
from derma_assets.training.curves import kept_epoch, training_curves
from derma_assets.training.group import take_part
from derma_assets.training.hardware import chosen_precision
from derma_assets.training.job import TrainingJob
from derma_assets.training.labelled_pictures import labelled_pictures
from derma_assets.training.origin import origin_of
from derma_assets.training.predictions import predictions_table
from derma_assets.training.predictor import Predictor
from derma_assets.training.recipe import RECIPES, named_recipe, recipe_version
from derma_assets.training.train import DECIDING_SETTINGS, TRAINING_VERSION, BackboneChoice, train_classifier
from derma_assets.training.views import changed_calls, view_predictions_table
from derma_assets.training.weights_file import initial_weights_files
from derma_assets.ui_metadata import figure, note, table_preview

_VERSION = settings_version(
    f"{TRAINING_VERSION}-{PREPROCESSING_VERSION}-{recipe_version(settings().recipe)}",
    [*DECIDING_SETTINGS, "image_size"],
)


def _recipe_of_the_run(context: dg.AssetExecutionContext) -> str | None:
    """Return what the recipe that the launchpad names stands for; None where it names none, as the settings then do."""
    name = (context.op_execution_context.op_config or {}).get("recipe")
    return recipe_version(name) if name in RECIPES else None


reusing_assets = partial(
    reusing,
    io_manager_keys={"trained_model": "keras_model", "training_history": "table"},
    unversioned=["image_arrays"],  # training_set names what is taken from it
    files=initial_weights_files,
    also=_recipe_of_the_run,
)


class TrainingConfig(dg.Config):
    """What can be changed for one run in the launchpad. Empty fields take the settings (`DERMA_...`)."""

    recipe: str | None = Field(None, description=f"Name of the recipe: {' or '.join(RECIPES)}.")
    epochs: int | None = Field(None, ge=1, description="Epochs at most.")
    trainable_layers: int | None = Field(None, ge=0, description="How many of the backbone's last layers are trained.")


@dg.multi_asset(
    group_name="training",
    outs={
        "trained_model": dg.AssetOut(
            is_required=False,
            io_manager_key="keras_model",
            automation_condition=on_new_content(),
            owners=OWNERS,
            kinds={"keras", "tensorflow"},
            code_version=_VERSION,
            description="The classifier: a network with a seven-way head, at the epoch that its recipe keeps.\n\n"
            "Read the curves for over-fitting (validation loss rising while training loss falls) and for an "
            "epoch limit set too low (still improving at the end). `resumed_after_epoch` above 0 means that an "
            "interrupted training was continued, or, when it is the last epoch, that nothing had to be trained again.",
        ),
        "training_history": dg.AssetOut(
            is_required=False,
            io_manager_key="table",
            automation_condition=on_new_content(),
            owners=OWNERS,
            kinds={"pandas"},
            code_version=_VERSION,
            description="One row per epoch: loss, accuracy, macro-F1 on train and validation, learning rate.\n\n"
            "Read it beside `trained_model`: the row marked `kept` is the epoch whose weights it has. "
            "The training figures are of augmented pictures with dropout on, so they may look worse than validation.",
        ),
    },
    # Either can be asked for alone; a training that is finished is read from its state, not repeated.
    can_subset=True,
    required_resource_keys={"reuse"},
    op_tags=step_tags("train"),
    pool="trained_model",
)
@as_step
@tagging
@reusing_assets
def trained_classifier(
    context: dg.AssetExecutionContext, config: TrainingConfig, image_arrays: Path, training_set: pd.DataFrame
) -> Iterator[dg.MaterializeResult[Any]]:
    """Train the classifier by the chosen recipe."""
    chosen = settings()
    cluster = cluster_of_chief()
    recipe = named_recipe(config.recipe or chosen.recipe, config.epochs or chosen.epochs)
    changes = {} if config.trainable_layers is None else {"trainable_layers": config.trainable_layers}
    backbone = BackboneChoice.of(chosen, **changes)
    precision = chosen_precision(chosen.precision)

    def together(state_path: Path) -> None:
        assert cluster is not None
        job = TrainingJob(image_arrays, training_set, recipe, backbone, chosen.seed, precision, state_path)
        take_part(cluster, job, chosen.cluster_wait_s)

    trained = train_classifier(
        ImageArrays.open(image_arrays),
        training_set,
        recipe=recipe,
        backbone=backbone,
        seed=chosen.seed,
        state_folder=scratch_path(chosen.store, "training"),
        precision=precision,
        together=together if cluster else None,
    )
    kept = kept_epoch(trained.history)
    curves = figure(training_curves(trained.history))
    model_result = dg.MaterializeResult(
        asset_key=dg.AssetKey("trained_model"),
        value=trained.model,
        data_version=dg.DataVersion(fingerprint_arrays(trained.model.get_weights())),
        metadata={
            "train_pictures": trained.train_pictures,
            "validation_pictures": trained.validation_pictures,
            "kept_epoch": int(kept["epoch"]),
            "validation_macro_f1": float(kept["val_macro_f1"]),
            "validation_accuracy": float(kept["val_accuracy"]),
            "parameters": int(trained.model.count_params()),
            "seconds": float(trained.history["seconds"].sum()),
            "resumed_after_epoch": trained.resumed_after_epoch,
            "precision": trained.precision,
            "processes": len(cluster.names) if cluster else 1,
            "curves": curves,
            "note": note(),
            "recipe": dg.MetadataValue.json(trained.recipe.model_dump()),
            "backbone": dg.MetadataValue.json(
                {**trained.backbone.model_dump(), "origin": origin_of(backbone.weights).model_dump(exclude_none=True)}
            ),
        },
    )
    history_result = dg.MaterializeResult(
        asset_key=dg.AssetKey("training_history"),
        value=trained.history,
        # How long an epoch took is no part of what it gave.
        data_version=dg.DataVersion(fingerprint_table(trained.history.drop(columns="seconds"))),
        metadata={
            "epochs": len(trained.history),
            "history": table_preview(trained.history, rows=len(trained.history), decimals=4),
            "curves": curves,
            "note": note(),
        },
    )
    for result in (model_result, history_result):
        if result.asset_key in context.selected_asset_keys:
            yield result


@stage_asset("training", kinds={"keras", "pandas"}, io_manager_key="table", code_version="1", of_training_set=True)
def predictions(trained_model: StoredModel, image_arrays: Path, training_set: pd.DataFrame) -> dg.MaterializeResult:
    """Logits of every validation and test picture: what calibration and every metric are computed from.

    Read `logit_<dx>` as unnormalised evidence: softmax of the seven, divided by the calibrated temperature,
    gives probabilities. Training pictures are left out on purpose.
    """
    arrays = ImageArrays.open(image_arrays)
    held_out = labelled_pictures(arrays, training_set[training_set["split"] != TRAIN])
    logits = Predictor(trained_model.load())(arrays.pixels, held_out.rows)
    table = predictions_table(held_out.pictures, logits)
    return dg.MaterializeResult(
        value=table,
        data_version=dg.DataVersion(fingerprint_table(table)),
        metadata={
            "validation_pictures": int((table["split"] == VALIDATION).sum()),
            "test_pictures": int((table["split"] == TEST).sum()),
            "preview": table_preview(table),
            "note": note(),
        },
    )


@stage_asset("training", kinds={"keras", "pandas"}, io_manager_key="table", code_version="1", of_training_set=True)
def view_predictions(trained_model: StoredModel, image_arrays: Path, predictions: pd.DataFrame) -> dg.MaterializeResult:
    """Logits of every validation and test picture, averaged over its first 1, 2, 4 and 8 flips and turns.

    A row for each picture and number of `views`; those of one view are `predictions`. How often the first diagnosis
    changes is what there is to gain or to lose; `view_metrics` says which.
    """
    arrays = ImageArrays.open(image_arrays)
    pictures = arrays.pixels.at(arrays.rows(predictions["image_id"].tolist()))
    table = view_predictions_table(trained_model.load(), pictures, predictions)
    return dg.MaterializeResult(
        value=table,
        data_version=dg.DataVersion(fingerprint_table(table)),
        metadata={
            "pictures": len(pictures),
            "views": int(table["views"].max()),
            **{f"changed_by_{count}_views": share for count, share in changed_calls(table).items()},
            "preview": table_preview(table),
            "note": note(),
        },
    )
