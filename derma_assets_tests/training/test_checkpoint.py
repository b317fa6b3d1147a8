"""The state of an interrupted training is read back as it was, or not at all."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from derma_assets.training.checkpoint import TrainingState

STATE = TrainingState(
    history=[{"epoch": 1, "loss": 0.5}],
    weights=[np.arange(1000, dtype=np.float32)],
    hidden=[np.float32(3)],
    best=[np.ones((2, 3), np.float32)],
)


def test_it_comes_back(tmp_path: Path) -> None:
    STATE.save(tmp_path / "state.npz")
    again = TrainingState.load(tmp_path / "state.npz")
    assert (again.history, again.finished) == (STATE.history, False)
    np.testing.assert_array_equal(again.weights[0], STATE.weights[0])


@pytest.mark.parametrize("damage", ["flipped", "cut off", "empty", "something else"])
def test_a_damaged_one_begins_again_with_a_warning(
    damage: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "state.npz"
    STATE.save(path)
    whole = path.read_bytes()
    at = whole.index(np.arange(500, 502, dtype=np.float32).tobytes())
    spoilt = {
        "flipped": bytes([*whole[:at], whole[at] ^ 1, *whole[at + 1 :]]),
        "cut off": whole[:-100],
        "empty": b"",
        "something else": b"no archive",
    }
    path.write_bytes(spoilt[damage])
    assert TrainingState.load(path).history == []
    assert "is damaged" in caplog.text
    assert "training begins again" in caplog.text


SAVE = """
import sys
from pathlib import Path
import numpy as np
from derma_assets.errors import StorageError
from derma_assets.training.checkpoint import TrainingState
try:
    TrainingState(weights=[np.ones(10**6)]).save(Path(sys.argv[1]))
except StorageError as error:
    print(error)
"""


def test_a_disk_without_room_is_explained_once(tmp_path: Path) -> None:
    path = tmp_path / "state.npz"
    STATE.save(path)
    limited = ["sh", "-c", 'ulimit -f 2000 && exec "$0" "$@"', sys.executable, "-c", SAVE, str(path)]
    done = subprocess.run(limited, capture_output=True, text=True, check=True)
    assert "untouched" in done.stdout
    assert done.stderr == ""
    assert TrainingState.load(path).history == STATE.history
