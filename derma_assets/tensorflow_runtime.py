"""Importing TensorFlow, Keras and the TF.js converter only when needed, and without their start-up noise.

TensorFlow takes seconds to import, so no module imports it at its top: `dagster` commands that only read
definitions stay fast. Its native libraries write dozens of lines straight to file descriptor 2 before logging is
set up; those known to mean nothing are dropped, and everything else is let through.

oneDNN's kernels are switched on: TensorFlow does so by itself only on processors with instructions made for neural
networks (AVX-512 VNNI and later), and without them the gradients of convolutions take twice to three times as long on
others. `TF_ENABLE_ONEDNN_OPTS=0` switches them off.
"""

import logging
import os
import re
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

_NOISE = re.compile(
    "|".join(
        (
            r"computation placer already registered",
            r"Unable to register cu\w+ factory",
            r"Could not find cuda drivers",
            r"cuda_dnn|cuda_blas|cuda_fft|cuda_executor|failed call to cuInit",
            r"All log messages before absl::InitializeLog",
            r"oneDNN custom operations are on",
            r"This TensorFlow binary is optimized",
            r"To enable the following instructions",
            r"MLIR V1 optimization pass|disabling MLIR crash reproducer",
            r"TF-TRT Warning",
            r"grpc_server_lib\.cc:\d+\] Started server|coordination_service\w*\.cc",
            r"devices\.cc:\d+\] Number of eligible GPUs|single_machine\.cc:\d+\] Starting new session",
            r"is deprecated\. Please use tf\.compat\.v1",
        )
    )
)


@contextmanager
def without_native_noise() -> Iterator[None]:
    """Hold back what is written to file descriptor 2 meanwhile, and let through all but known start-up noise."""
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(kept, 2)
            os.close(kept)
            held.seek(0)
            for line in held.read().decode(errors="replace").splitlines():
                if line.strip() and not _NOISE.search(line):
                    print(line, file=sys.stderr)


def import_tensorflow() -> Any:
    """Return the module `tensorflow`, imported quietly."""
    if "tensorflow" not in sys.modules:
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
        os.environ.setdefault("KERAS_BACKEND", "tensorflow")
        os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
        with without_native_noise(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import tensorflow as tf

            tf.config.list_physical_devices()  # Looks for a GPU now, while its complaints are held back.
        tf.get_logger().setLevel(logging.ERROR)
        logging.getLogger("absl").setLevel(logging.ERROR)
    return sys.modules["tensorflow"]


def import_keras() -> Any:
    """Return the module `keras` (Keras 3 on TensorFlow), imported quietly."""
    import_tensorflow()
    import keras

    return keras


def import_tensorflowjs() -> ModuleType:
    """Return the module `tensorflowjs`, imported quietly."""
    import_tensorflow()
    os.environ.setdefault("TFDF_DISABLE_WELCOME_MESSAGE", "1")
    with without_native_noise(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import tensorflowjs
    return tensorflowjs
