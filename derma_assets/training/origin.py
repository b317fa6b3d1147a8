"""What a training started from, kept with what it made: a file by its content, a release with how that was made."""

import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from derma_assets.storage.fingerprint import sha256_of_file
from derma_assets.training.weights_file import ENDING

# The manifest beside a release's weights, see release/layout.py.
_MANIFEST = "release.json"


class Origin(BaseModel):
    """What a backbone started from, without the folders of somebody's machine."""

    model_config = ConfigDict(frozen=True)

    name: str = Field(description="`imagenet`, `random`, or a file's name.")
    sha256: str | None = Field(None, description="Of the file's content.")
    released: str | None = Field(None, description="Date of the release that the file is of.")
    model: str | None = Field(None, description="Fingerprint of the released model's weights.")
    training: dict[str, Any] | None = Field(
        None, description="How the released model was trained, with its own `initial_weights`."
    )

    @property
    def said(self) -> str:
        """For a reader: `the release of 2026-01-31 (weights ...: recipe default, 24 epochs, from imagenet)`."""
        if self.released is None:
            return self.name if self.sha256 is None else f"the file {self.name} (SHA-256 {self.sha256[:16]})"
        training = self.training or {}
        before = training.get("initial_weights")
        begun = f", from {Origin.model_validate(before).said}" if before else ""
        return (
            f"the release of {self.released} (weights {self.model}: recipe {training.get('recipe')}, "
            f"{training.get('epochs_trained')} epochs{begun})"
        )


def origin_of(weights: str) -> Origin:
    """Return what a training starts from.

    Args:
        weights: As `classifier.build_classifier` takes them.
    """
    path = Path(weights).expanduser()
    if not path.is_file():
        return Origin(name=path.name)
    manifest = path.with_name(_MANIFEST)
    if path.suffix != ENDING or not manifest.is_file():
        return Origin(name=path.name, sha256=sha256_of_file(path))
    release = json.loads(manifest.read_text())
    return Origin(
        name=path.name,
        sha256=sha256_of_file(path),
        released=release["date"],
        model=release["model"]["fingerprint"],
        training=release["training"],
    )
