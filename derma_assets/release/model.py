"""The model of a release as Python runs it, with its temperature, thresholds and input guard."""

import tempfile
from pathlib import Path

import pandas as pd

from derma_assets.browser.bundle import MODEL, read_manifest
from derma_assets.browser.shipped_familiarity import read_familiarity
from derma_assets.calibration.input_guard import InputGuard, Measure
from derma_assets.errors import InputError
from derma_assets.evaluation.external_run import Judged
from derma_assets.release.layout import SPLITS, WEIGHTS, changed_files, read_document, read_release
from derma_assets.release.unpacked import unpacked_bundle
from derma_assets.training.backbones import key_of
from derma_assets.training.classifier import build_classifier
from derma_assets.training.weights_file import load_weights

PHASH = "phash"


def released_model(folder: Path) -> Judged:
    """Return the model of the release in `folder`.

    Its large kernels are in half precision; what the guard measures with is the page's.

    Raises:
        UserError: there is no release, a file of it is not what its manifest says, or it is of another version.
    """
    said = read_release(folder)
    changed = changed_files(folder)
    if changed:
        raise InputError(f"{', '.join(changed)} in {folder} is not what release.json says: restore the folder.")
    own = pd.read_parquet(folder / SPLITS)
    if PHASH not in own:
        raise InputError(
            f"{folder / SPLITS} does not say what the pictures look like that the model has learnt from, so they could "
            "not be left out: make the release again with this version of the project."
        )
    shape = said["model"]
    model = build_classifier(
        shape["image_size"],
        architecture=key_of(shape["architecture"]),
        alpha=shape["alpha"],
        weights="random",
        trainable_layers=0,
        dropout=0.0,
        seed=0,
    )
    load_weights(model, folder / WEIGHTS)
    with tempfile.TemporaryDirectory() as scratch:
        bundle = unpacked_bundle(folder, Path(scratch) / "bundle")
        measures = [Measure(**one) for one in read_manifest(bundle)["guard"]["measures"]]
        guard = InputGuard(measures, read_familiarity(bundle / MODEL))
    return Judged(
        model=model,
        temperature=read_document(folder, "calibrated_temperature")["temperature"],
        points=read_document(folder, "operating_points"),
        guard=guard,
        splits=own.drop(columns=PHASH),
        # A picture that others have is rarely the same file; that it is the same picture its look tells.
        hashes=own[["image_id", PHASH]].assign(status="ok", sha256=""),
    )
