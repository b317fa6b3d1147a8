"""State of an interrupted training, kept so that it goes on from its last whole epoch with the same numbers."""

import io
import json
import logging
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from derma_assets.storage.atomic import replacing

_log = logging.getLogger(__name__)


@dataclass
class TrainingState:
    """What a training knows after an epoch.

    Attributes:
        history: One dict of figures per finished epoch.
        weights: The model's weights after the last epoch.
        hidden: The optimizer's variables (rate and step count included) and the random state after the last epoch.
        best: The weights of the best epoch so far.
        finished: Whether nothing is left to train.
    """

    history: list[dict[str, float]] = field(default_factory=list)
    weights: Sequence[np.ndarray] = ()
    hidden: Sequence[np.ndarray] = ()
    best: Sequence[np.ndarray] = ()
    finished: bool = False

    def save(self, path: Path) -> None:
        """Write the state to one file, atomically."""
        arrays = {
            f"{group}_{index:04d}": array
            for group in ("weights", "hidden", "best")
            for index, array in enumerate(getattr(self, group))
        }
        document = json.dumps({"history": self.history, "finished": self.finished})
        # Not straight to the file: on a full disk the archive would complain once more when it is thrown away.
        content = io.BytesIO()
        np.savez(content, document=np.array(document), **arrays)
        with replacing(path) as beside:
            beside.write_bytes(content.getbuffer())

    @classmethod
    def load(cls, path: Path) -> "TrainingState":
        """Read the state, or return an empty one when nothing is kept at `path`; with a warning when it is damaged."""
        if not path.is_file():
            return cls()
        try:
            with np.load(path) as stored:
                document = json.loads(str(stored["document"]))
                groups = {
                    group: [stored[name] for name in sorted(stored.files) if name.startswith(f"{group}_")]
                    for group in ("weights", "hidden", "best")
                }
        except (ValueError, KeyError, EOFError, zlib.error, zipfile.BadZipFile) as error:  # every entry has a checksum
            _log.warning("%s is damaged (%s): training begins again", path, error)
            return cls()
        return cls(history=document["history"], finished=document["finished"], **groups)
