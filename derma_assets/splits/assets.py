"""Assets of the stage `splits`."""

from pathlib import Path

import dagster as dg
import pandas as pd

from derma_assets.dataset.here import on_this_host
from derma_assets.settings import settings
from derma_assets.splits.dealt_lesions import keep_dealt, lesions_dealt
from derma_assets.splits.figures import class_shares_figure, look_alikes_figure
from derma_assets.splits.grouped_splits import SIDES, count_by_side, split_by_lesion
from derma_assets.splits.leakage import near_duplicates_across_sides
from derma_assets.splits.split_quality import class_shares
from derma_assets.splits.training_set import ACCEPTED, new_lesions
from derma_assets.splits.training_set import training_set as deal_training_set
from derma_assets.stage import stage_asset
from derma_assets.storage.earlier_table import earlier_table
from derma_assets.storage.fingerprint import fingerprint_table
from derma_assets.ui_metadata import figure, note, table_preview

# The tag of runs that the daemon launches for an asset's automation condition.
AUTOMATIC = "dagster/from_automation_condition"

# The settings that decide the split: with others it is dealt anew.
DEALT_BY = ["validation_fraction", "test_fraction", "folds", "seed"]


@stage_asset(
    "splits",
    kinds={"pandas"},
    io_manager_key="table",
    code_version="1",
    reads_settings=DEALT_BY,
)
def grouped_splits(context: dg.AssetExecutionContext, raw_metadata: pd.DataFrame) -> dg.MaterializeResult:
    """Which pictures are for training, validation and test; all pictures of a lesion are on one side.

    Stratified by diagnosis over lesions. Validation is for early stopping, temperature and thresholds; test is only
    ever reported on. `fold` deals all lesions into folds for cross-validation, independently of `split`. When the data
    grow, lesions stay where they were and only new ones are dealt, also those that were away meanwhile: `away_lesions`
    counts the ones that were dealt earlier and have no picture now. Read the counts first: the rarest diagnosis on test
    decides how wide its intervals will be.
    """
    chosen, store = settings(), Path(context.resources.reuse.store)
    how = {name: getattr(chosen, name) for name in DEALT_BY}
    known = lesions_dealt(store, how)
    splits = split_by_lesion(raw_metadata, **how, earlier=known)
    splits.attrs.update(how)
    keep_dealt(store, splits, known, how)
    counts = count_by_side(splits)
    return dg.MaterializeResult(
        value=splits,
        metadata={
            **{f"{side}_images": int(counts[f"{side} images"].sum()) for side in SIDES},
            **{f"{side}_lesions": int(counts[f"{side} lesions"].sum()) for side in SIDES},
            "new_lesions": new_lesions(splits, known),
            "away_lesions": new_lesions(known, splits),
            "counts": table_preview(counts),
            "class_shares": figure(class_shares_figure(class_shares(splits))),
            "preview": table_preview(splits),
            "note": note(),
        },
        data_version=dg.DataVersion(fingerprint_table(splits)),
    )


@stage_asset(
    "splits",
    kinds={"pandas"},
    io_manager_key="table",
    code_version="1",
    reuse=False,
    deps=["data_drift"],  # which compares with what is stored of this one, so it comes before
)
def training_set(
    context: dg.AssetExecutionContext, grouped_splits: pd.DataFrame, raw_images: pd.DataFrame
) -> dg.MaterializeResult:
    """Which pictures the model and all its figures are made of: the split, held back while too little is new.

    A run that the daemon launched takes new pictures in once they are of `DERMA_RETRAIN_LESIONS` new lesions; one that
    a person or the weekly schedule launched takes in what there is. Corrections and replaced pictures are always taken
    in. `waiting_lesions` counts those that are held back.
    """
    chosen = settings()
    earlier = earlier_table(chosen.store, "training_set")
    readable = raw_images[raw_images["status"] == "ok"].set_index("image_id")["sha256"]
    by_itself = AUTOMATIC in context.run.tags
    table = deal_training_set(grouped_splits, readable, earlier, chosen.retrain_lesions if by_itself else 0)
    return dg.MaterializeResult(
        value=table,
        data_version=dg.DataVersion(fingerprint_table(table)),
        metadata={
            "pictures": len(table),
            "lesions": int(table["lesion_id"].nunique()),
            "new_lesions": new_lesions(table, earlier) if earlier is not None else int(table["lesion_id"].nunique()),
            "waiting_lesions": new_lesions(grouped_splits, table),
            "accepted": table.attrs[ACCEPTED],
            "preview": table_preview(table),
            "note": note(),
        },
    )


@stage_asset("splits", kinds={"pandas"}, io_manager_key="table", code_version="1")
def leakage_audit(grouped_splits: pd.DataFrame, raw_images: pd.DataFrame) -> dg.MaterializeResult:
    """Pictures that look alike, belong to different lesions by their identifiers, and sit on different sides.

    Found by perceptual hash: at most 4 of 64 bits differ. No row is best. Look at the pairs: the same lesion under two
    identifiers makes the test easier than the clinic; two lesions that merely look alike do no harm.
    """
    pairs = near_duplicates_across_sides(grouped_splits, raw_images)
    shown = raw_images["image_id"].isin([*pairs["image_id_a"], *pairs["image_id_b"]])
    here = on_this_host(raw_images[shown], settings())
    path_of = dict(zip(here["image_id"], here["path"], strict=True))
    return dg.MaterializeResult(
        value=pairs,
        metadata={
            "pairs": len(pairs),
            "same_file_pairs": int(pairs["exact"].sum()),
            "pairs_into_test": int((pairs["split_b"] == SIDES[-1]).sum()),
            "pictures_compared": int((raw_images["status"] == "ok").sum()),
            "closest": figure(look_alikes_figure(pairs, path_of)),
            "preview": table_preview(pairs),
            "note": note(),
        },
        data_version=dg.DataVersion(fingerprint_table(pairs)),
    )
