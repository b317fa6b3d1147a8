"""A training that is cut off after an epoch, as a power failure cuts it off."""

from pathlib import Path
from typing import Any

import pytest

from derma_assets.training import fit


def lose_power_after(epochs: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the next training end with `KeyboardInterrupt` once the state of so many epochs is kept."""
    save = fit.TrainingState.save

    def save_then_lose_power(state: Any, path: Path) -> None:
        save(state, path)
        if len(state.history) == epochs:
            raise KeyboardInterrupt

    monkeypatch.setattr(fit.TrainingState, "save", save_then_lose_power)
