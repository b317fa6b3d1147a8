"""What the machine has that training can use: several GPUs, and number formats it multiplies natively."""

from pathlib import Path
from typing import Any, Literal

from derma_assets.tensorflow_runtime import import_tensorflow

Precision = Literal["float32", "bfloat16_products", "mixed_bfloat16", "mixed_float16"]

# Compute capabilities from which a GPU multiplies a format in its tensor cores (NVIDIA's CUDA programming guide).
_BFLOAT16_FROM, _FLOAT16_FROM = (8, 0), (7, 0)


def native_precision(cpu_flags: frozenset[str] | None = None) -> Precision:
    """Return the fastest precision that this machine computes natively without losing what training needs.

    Args:
        cpu_flags: What the processor can do, as Linux lists it; read from the machine if left out.
    """
    tf = import_tensorflow()
    gpus = tf.config.list_physical_devices("GPU")
    if gpus:
        weakest = min(
            tuple(tf.config.experimental.get_device_details(gpu).get("compute_capability", (0, 0))) for gpu in gpus
        )
        return gpu_precision(weakest)
    flags = _cpu_flags() if cpu_flags is None else cpu_flags
    # avx512_bf16 alone gains less than the conversions cost; the matrix unit (AMX) is four times as fast.
    return "bfloat16_products" if "amx_bf16" in flags else "float32"


def chosen_precision(setting: Literal["auto", "float32"]) -> Precision:
    """Return what the setting `precision` means on this machine."""
    return "float32" if setting == "float32" else native_precision()


def gpu_precision(compute_capability: tuple[int, ...]) -> Precision:
    """Return the precision for GPUs of which the weakest has this compute capability."""
    if compute_capability >= _BFLOAT16_FROM:
        return "mixed_bfloat16"
    return "mixed_float16" if compute_capability >= _FLOAT16_FROM else "float32"


def _cpu_flags(description: Path = Path("/proc/cpuinfo")) -> frozenset[str]:
    """Return the processor's flags; none where the operating system does not list them."""
    if not description.is_file():
        return frozenset()
    for line in description.read_text().splitlines():
        if line.startswith("flags"):
            return frozenset(line.split(":", 1)[1].split())
    return frozenset()


def training_strategy() -> Any:
    """Return how training is spread over devices: over all GPUs if there are several, else no spreading.

    Each batch is then divided among the GPUs; the recipe's batch size stays the whole one.
    """
    tf = import_tensorflow()
    gpus = tf.config.list_logical_devices("GPU")
    return tf.distribute.MirroredStrategy([gpu.name for gpu in gpus]) if len(gpus) > 1 else tf.distribute.get_strategy()
