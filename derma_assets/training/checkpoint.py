"""State of an interrupted training, kept so that it goes on from its last whole epoch with the same numbers."""

import io
import json
import logging
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import numpy as np

from derma_assets.storage.atomic import replacing
from derma_assets.storage.published import find_unfinished, share_unfinished

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
        """Write the state to one file, atomically; with object storage, for other machines too."""
        # Not straight to the file: on a full disk the archive would complain once more when it is thrown away.
        content = self.to_bytes()
        with replacing(path) as beside:
            beside.write_bytes(content)
        share_unfinished(path)

    @classmethod
    def load(cls, path: Path) -> "TrainingState":
        """Read the state, or return an empty one when nothing is kept at `path`; with a warning when it is damaged."""
        find_unfinished(path)
        if not path.is_file():
            return cls()
        try:
            with path.open("rb") as handle:
                return cls._read(handle)
        except (ValueError, KeyError, EOFError, zlib.error, zipfile.BadZipFile) as error:  # every entry has a checksum
            _log.warning("%s is damaged (%s): training begins again", path, error)
            return cls()

    def to_bytes(self) -> bytes:
        """Return what `save` writes."""
        arrays = {
            f"{group}_{index:04d}": array
            for group in ("weights", "hidden", "best")
            for index, array in enumerate(getattr(self, group))
        }
        document = json.dumps({"history": self.history, "finished": self.finished})
        handle = io.BytesIO()
        np.savez(handle, document=np.array(document), **arrays)
        return handle.getvalue()

    @classmethod
    def from_bytes(cls, content: bytes) -> "TrainingState":
        """Return the state that `to_bytes` gave."""
        return cls._read(io.BytesIO(content))

    @classmethod
    def _read(cls, handle: IO[bytes]) -> "TrainingState":
        with np.load(handle) as stored:
            document = json.loads(str(stored["document"]))
            groups = {
                group: [stored[name] for name in sorted(stored.files) if name.startswith(f"{group}_")]
                for group in ("weights", "hidden", "best")
            }
        return cls(history=document["history"], finished=document["finished"], **groups)
