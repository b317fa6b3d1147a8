"""The page that the other runtimes are timed in: the app's own decoding, with another runtime behind it."""

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from derma_assets.browser import web_build
from derma_assets.browser.peers_models import write_onnx, write_tflite
from derma_assets.storage.atomic import copy_folder, explained

if TYPE_CHECKING:
    import keras

_SOURCES = web_build.SOURCES / "bench"


def build_peers_page(folder: Path, model: "keras.Model") -> Path:
    """Build the page beside the app's in `folder`, with a model in the runtimes' formats, and return what to serve.

    Args:
        folder: Where `web_build.build_page` builds; the app's packages are used, those of the peers are added below it.
        model: From `peers_models.logits_model`.

    Raises:
        StorageError: the disk is full or `folder` cannot be written.
        UserError: the packages cannot be installed (no network, for example), or the sources do not build.
    """
    web_build.build_page(folder)
    below = folder / "bench"
    with explained(below):
        shutil.rmtree(below / "src", ignore_errors=True)  # A source that was removed must not stay.
        copy_folder(_SOURCES / "src", below / "src")
        for source in _SOURCES.iterdir():
            if source.is_file():
                shutil.copyfile(source, below / source.name)
        web_build.install_packages(below)
        web_build.run_node(below, "../node_modules/vite/bin/vite.js", "build", "--logLevel", "warn")
        write_tflite(model, below / "dist" / "model.tflite")
        write_onnx(model, below / "dist" / "model.onnx")
    return below / "dist"
