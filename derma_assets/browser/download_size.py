"""What a first visit downloads, until everything is on the device."""

import gzip
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from derma_assets.browser.bundle import MANIFEST, MODEL
from derma_assets.browser.precache import SERVICE_WORKER, precached

# On a rural line of 1 Mbit/s half a minute.
LIMIT_BYTES = 4_000_000
# What most hosts compress with.
_LEVEL = 6


@dataclass(frozen=True)
class FirstVisit:
    """Bytes over the line, without the headers of HTTP.

    Attributes:
        page: HTML, scripts, styles, WebAssembly, icons, manifest; compressed.
        model: The model's files; compressed.
        model_as_stored: The model's files, with the weights as they are.
    """

    page: int
    model: int
    model_as_stored: int

    @property
    def compressed(self) -> int:
        """Bytes from a host that compresses everything."""
        return self.page + self.model

    @property
    def weights_as_stored(self) -> int:
        """Bytes from a host that compresses text and WebAssembly only."""
        return self.page + self.model_as_stored


def first_visit(bundle: Path, manifest: Mapping[str, Any]) -> FirstVisit:
    """Return what the first visit of a bundle downloads.

    What a browser fetches at once and what its service worker keeps are the same files, each fetched once: the page
    without its rarely needed parts, and the model. A file counts with what gzip makes of it, if that is less.

    Args:
        bundle: Its folder.
        manifest: Its manifest.
    """
    of_model = set(manifest["model"]["files"])
    paths = {*precached({path: entry["sha256"] for path, entry in manifest["files"].items()}), MANIFEST, SERVICE_WORKER}
    shards = {path for path in of_model if path.startswith(f"{MODEL}/") and path.endswith(".bin")}
    compressed = {path: _compressed_bytes(bundle / path) for path in paths | of_model}
    return FirstVisit(
        page=sum(compressed[path] for path in paths - of_model),
        model=sum(compressed[path] for path in of_model),
        model_as_stored=sum(
            manifest["files"][path]["bytes"] if path in shards else compressed[path] for path in of_model
        ),
    )


def _compressed_bytes(path: Path) -> int:
    content = path.read_bytes()
    return min(len(content), len(gzip.compress(content, _LEVEL)))
