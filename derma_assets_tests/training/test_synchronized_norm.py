"""Batch normalization over two devices is that of one, forwards and backwards, however the batch is divided."""

import json
import subprocess
import sys

import pytest

COMPARE = """
import json
import numpy as np
from derma_assets.tensorflow_runtime import import_tensorflow
tf = import_tensorflow()
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
from derma_assets.training.synchronized_norm import synchronized_batch_norm
draw = np.random.default_rng(0)
inputs, upstream, scale, offset = (
    draw.normal(mean, deviation, shape).astype(np.float32)
    for mean, deviation, shape in ((30, 2, (7, 5, 5, 6)), (0, 1, (7, 5, 5, 6)), (1, 0.3, 6), (0, 1, 6))
)

def outcome(inputs, upstream, normalize):
    scales, offsets = tf.constant(scale), tf.constant(offset)
    with tf.GradientTape() as tape:
        tape.watch([inputs, scales, offsets])
        outputs, mean, variance = normalize(inputs, scales, offsets)
        total = tf.reduce_sum(outputs * upstream)
    return (outputs, mean, variance, *tape.gradient(total, [inputs, scales, offsets]))

fused = lambda *values: tf.compat.v1.nn.fused_batch_norm(*values, epsilon=1e-3, is_training=True)
near = tf.fill([6], 29.0)
alone = [np.asarray(one) for one in outcome(tf.constant(inputs), tf.constant(upstream), fused)]
strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
said = {}
for cut in (3, 0):
    def here(values):
        parts = values[:cut], values[cut:]
        return strategy.experimental_distribute_values_from_function(
            lambda context: tf.constant(parts[context.replica_id_in_sync_group])
        )
    both = tf.function(lambda *values: strategy.run(
        lambda *of_replica: outcome(*of_replica, lambda *v: synchronized_batch_norm(*v, near, 1e-3)), values
    ))(here(inputs), here(upstream))
    pairs = [[np.asarray(one) for one in strategy.experimental_local_results(values)] for values in both]
    joined = np.concatenate(pairs[0]), pairs[1][0], pairs[2][1], np.concatenate(pairs[3]), sum(pairs[4]), sum(pairs[5])
    names = "outputs", "mean", "variance", "of_inputs", "of_scale", "of_offset"
    said[cut] = {n: float(np.abs(a - b).max() / np.abs(a).max()) for n, a, b in zip(names, alone, joined)}
print(json.dumps(said))
"""


@pytest.fixture(scope="module")
def differences() -> dict[str, dict[str, float]]:
    """Largest difference of each result as a share of the largest value, by where the batch is cut."""
    done = subprocess.run([sys.executable, "-c", COMPARE], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("cut", ["3", "0"])
def test_two_devices_normalize_as_one(differences: dict[str, dict[str, float]], cut: str) -> None:
    found = differences[cut]
    assert found.keys() == {"outputs", "mean", "variance", "of_inputs", "of_scale", "of_offset"}
    assert max(found.values()) < 1e-4, found
