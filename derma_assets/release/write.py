"""Writing a release from the stored assets: `python -m derma_assets.release.write`, or `make release`."""

import argparse
import shutil
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from derma_assets.errors import UserError, told_to_the_user
from derma_assets.release.archive import pack
from derma_assets.release.contents import Contents, problems, read_contents
from derma_assets.release.layout import (
    BUNDLE,
    FORMAT,
    LICENCE,
    PREDICTIONS,
    RELEASE,
    SPLITS,
    WEIGHTS,
    calibration_path,
    listed,
    metrics_path,
    write_document,
    write_table,
)
from derma_assets.release.licence import HAM10000_LICENCE
from derma_assets.settings import Settings, settings
from derma_assets.storage.atomic import replacing
from derma_assets.storage.fingerprint import fingerprint_folder
from derma_assets.training.origin import origin_of
from derma_assets.training.recipe import RECIPES
from derma_assets.training.weights_file import write_weights

# It is kept in the project's repository, for ever and for everyone who clones it.
LIMIT_BYTES = 12_000_000


def write_release(chosen: Settings, folder: Path, date: str) -> dict[str, Any]:
    """Write a release of the data set's stored assets to `folder`, whole or not at all, and return its manifest.

    Args:
        chosen: Data set, store, and what the stored assets were made with.
        folder: What is there is replaced.
        date: Of the release, as `2026-01-31`.

    Raises:
        UserError: it is the embedded sample, an asset is missing, the assets do not belong together, the check
            `browser_parity` has not passed, or the release would be too large.
    """
    if chosen.is_synthetic:
        raise UserError(
            "the model of the embedded sample is not released: it was trained on generated pictures. "
            "Say which data set: make release DERMA_DATASET=ham10000"
        )
    contents = read_contents(chosen.store)
    against = problems(contents, chosen.bootstrap_resamples, chosen.seed, chosen.clinic_prevalence)
    against += _other_recipe(chosen, contents) + _begun_with_itself(chosen, contents)
    if against:
        raise UserError("\n  - ".join([f"what is stored in {chosen.store} cannot be released:", *against]))
    with replacing(folder) as beside:
        _write_files(contents, beside)
        manifest = {**_described(chosen, contents, date), "files": listed(beside)}
        write_document(manifest, beside / RELEASE)
        total = sum(path.stat().st_size for path in beside.rglob("*") if path.is_file())
        if total > LIMIT_BYTES:
            largest = sorted(manifest["files"].items(), key=lambda item: -item[1]["bytes"])[:4]
            named = ", ".join(f"{path} {entry['bytes'] / 1e6:.2f} MB" for path, entry in largest)
            raise UserError(
                f"the release would have {total / 1e6:.2f} MB, of {LIMIT_BYTES / 1e6:g} MB at most; largest: {named}."
            )
    return manifest


def _write_files(contents: Contents, folder: Path) -> None:
    folder.mkdir()
    pack(contents.bundle, folder / BUNDLE)
    write_weights(contents.model, folder / WEIGHTS)
    # All digits: rounded logits would save a tenth of a megabyte, and some figure would end on another digit.
    contents.predictions.to_parquet(folder / PREDICTIONS, compression="zstd", index=False)
    splits = contents.splits[["image_id", "lesion_id", "dx", "split"]].merge(contents.looks, on="image_id", how="left")
    splits.to_parquet(folder / SPLITS, compression="zstd", index=False)
    for name, table in contents.tables.items():
        write_table(table, metrics_path(folder, name))
    for name, document in contents.calibration.documents().items():
        write_document(document, calibration_path(folder, name))
    for file in contents.model_card():
        shutil.copyfile(file, folder / file.name)
    (folder / LICENCE).write_text(HAM10000_LICENCE)


def _described(chosen: Settings, contents: Contents, date: str) -> dict[str, Any]:
    bundled, history = contents.manifest, contents.tables["training_history"]
    test = contents.single[contents.single["split"] == "test"]
    overall = contents.tables["overall_metrics"].set_index("metric")
    return {
        "format": FORMAT,
        "date": date,
        "command": f"make release DERMA_DATASET={chosen.dataset}",
        "disclaimer": bundled["disclaimer"],
        "dataset": {"key": chosen.dataset, **bundled["dataset"]},
        "model": {
            **contents.backbone(),
            "fingerprint": contents.weights_fingerprint,
            "weights": "large kernels in half precision; the predictions are of the full one",
        },
        "training": {
            "recipe": chosen.recipe,
            **RECIPES[chosen.recipe].model_dump(exclude={"name"}),
            "epochs": chosen.epochs or RECIPES[chosen.recipe].epochs,
            "epochs_trained": len(history),
            "epoch_kept": int(history.loc[history["kept"], "epoch"].iloc[0]),
            "seed": chosen.seed,
            "initial_weights": origin_of(chosen.initial_weights).model_dump(exclude_none=True),
        },
        "bundle": {
            "fingerprint": fingerprint_folder(contents.bundle),
            "variant": bundled["model"]["variant"],
            "browser_parity": "passed",
        },
        "test": {
            "pictures": len(test),
            "lesions": int(test["lesion_id"].nunique()),
            "bootstrap_resamples": chosen.bootstrap_resamples,
            "bootstrap_seed": chosen.seed,
            "clinic_prevalence": chosen.clinic_prevalence,
            "accuracy": {end: float(overall[end]["accuracy"]) for end in ("value", "low", "high")},
        },
        "versions": bundled["versions"],
    }


def _other_recipe(chosen: Settings, contents: Contents) -> list[str]:
    """Return a line if the stored training cannot have followed the recipe that the release would name."""
    epochs, recipe = len(contents.tables["training_history"]), RECIPES[chosen.recipe]
    planned = chosen.epochs or recipe.epochs
    if epochs > planned or (recipe.early_stopping is None and epochs < planned):
        return [
            f"the stored model was trained for {epochs} epochs, the recipe {chosen.recipe!r} for {planned}: set "
            "DERMA_RECIPE and DERMA_EPOCHS to what it was trained with"
        ]
    return []


def _begun_with_itself(chosen: Settings, contents: Contents) -> list[str]:
    """Return a line if the release would say that its model started from its own weights."""
    if origin_of(chosen.initial_weights).model != contents.weights_fingerprint:
        return []
    return [
        "the stored model is the released one, from which DERMA_BACKBONE_WEIGHTS says that it started: set that to the "
        "weights.npz of the release before (`git log -- data/release`)"
    ]


@told_to_the_user
def main(arguments: list[str] | None = None) -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m derma_assets.release.write", description=__doc__)
    parser.parse_args(arguments)
    chosen = settings()
    manifest = write_release(chosen, chosen.release, datetime.now(UTC).date().isoformat())
    total = sum(entry["bytes"] for entry in manifest["files"].values())
    print(f"Released to {chosen.release}: {len(manifest['files'])} files, {total / 1e6:.2f} MB.")


if __name__ == "__main__":
    sys.exit(main())
