"""What is switched on by the machine: the precision by what it multiplies, the strategy by its devices."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from derma_assets.tensorflow_runtime import import_tensorflow
from derma_assets.training.hardware import _cpu_flags, chosen_precision, gpu_precision, native_precision

TRAIN = """
import json, sys
from pathlib import Path
import numpy as np
from derma_assets.tensorflow_runtime import import_tensorflow
tf = import_tensorflow()
devices = int(sys.argv[1])
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * devices)
from derma_assets.training import fit as fit_module, hardware
from derma_assets.training.classifier import build_classifier
from derma_assets.training.recipe import SAMPLE
if devices > 1:
    # GPUs are not to be had everywhere: the processor, divided in two, stands for them.
    real = tf.config.list_logical_devices
    tf.config.list_logical_devices = lambda kind=None: real("CPU") if kind == "GPU" else real(kind)
assert hardware.training_strategy().num_replicas_in_sync == devices
labels = np.arange(56) % 7
colours = np.random.default_rng(5).integers(0, 256, (7, 3))
pixels = np.broadcast_to(colours[labels][:, None, None], (56, 32, 32, 3)).astype(np.uint8)
# The last batch of an epoch cannot be halved.
recipe = SAMPLE.model_copy(update={"epochs": 3, "batch_size": 14, "dropout": 0.25, "keep": "last"})
rows = np.arange(56)
layers = int(sys.argv[2])
model = build_classifier(32, alpha=0.25, weights="random", trainable_layers=layers, dropout=0.25, seed=3)
history = fit_module.fit(
    model, pixels, (rows[:41], labels[:41]), (rows[41:], labels[41:]), recipe, seed=1, state_path=Path(sys.argv[3])
)
print(json.dumps(history[["loss", "val_loss"]].to_numpy().tolist()))
"""


def _losses(devices: int, trainable_layers: int, folder: Path) -> np.ndarray:
    """Return (epochs, 2) training and validation losses. A process can spread over one set of devices only."""
    state = folder / f"{devices}-{trainable_layers}.npz"
    words = [sys.executable, "-c", TRAIN, str(devices), str(trainable_layers), str(state)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return np.array(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.slow
def test_two_devices_learn_what_one_learns(tmp_path: Path) -> None:
    one, two = _losses(1, 0, tmp_path), _losses(2, 0, tmp_path)
    assert one[-1, 0] < one[0, 0]
    np.testing.assert_allclose(one, two, rtol=1e-4)


@pytest.mark.slow
def test_batch_norms_learn_on_two_devices(tmp_path: Path) -> None:
    # With random weights in so many layers rounding alone makes other numbers than those of one device.
    losses = _losses(2, 30, tmp_path)
    assert np.isfinite(losses).all()
    assert losses[-1, 0] < losses[0, 0]


def test_processors_with_a_matrix_unit_multiply_in_bfloat16(tmp_path: Path) -> None:
    described = tmp_path / "cpuinfo"
    described.write_text("processor\t: 0\nflags\t\t: fpu avx512f amx_bf16 amx_tile\nbugs\t\t:\n")
    assert _cpu_flags(described) == {"fpu", "avx512f", "amx_bf16", "amx_tile"}
    assert _cpu_flags(tmp_path / "none") == frozenset()
    if not import_tensorflow().config.list_physical_devices("GPU"):
        assert native_precision(frozenset({"avx512f", "avx512_bf16"})) == "float32"
        assert native_precision(frozenset({"amx_bf16"})) == "bfloat16_products"
    assert chosen_precision("float32") == "float32"
    assert chosen_precision("auto") == native_precision()


@pytest.mark.parametrize(
    ("capability", "precision"),
    [((6, 1), "float32"), ((7, 0), "mixed_float16"), ((7, 5), "mixed_float16"), ((8, 0), "mixed_bfloat16")],
)
def test_gpus_multiply_in_what_their_tensor_cores_take(capability: tuple[int, int], precision: str) -> None:
    assert gpu_precision(capability) == precision
