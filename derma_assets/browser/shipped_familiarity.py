"""The familiarity model of a bundle, read back from the TF.js model that measures with it."""

import json
import re
from pathlib import Path

import numpy as np

from derma_assets.browser.conversion import TOPOLOGY, layer_of_scope
from derma_assets.browser.unfamiliarity import KERNEL_SCOPE
from derma_assets.calibration.familiarity import FamiliarityModel
from derma_assets.errors import InputError
from derma_assets.tensorflow_runtime import import_tensorflowjs

_OWN = re.compile(r"/unfamiliarity(_\d+)?/")


def read_familiarity(folder: Path) -> FamiliarityModel:
    """Return what `unfamiliarity.unfamiliarity_layer` was made of.

    Args:
        folder: Holds `model.json` and its weights, of any variant. What a variant has rounded stays rounded.

    Raises:
        InputError: the model measures no unfamiliarity.
    """
    topology = json.loads((folder / TOPOLOGY).read_text())
    nodes = {node["name"]: node for node in topology["modelTopology"]["node"] if "input" in node}
    entries = import_tensorflowjs().read_weights.read_weights(topology["weightsManifest"], str(folder), flatten=True)
    own = {one["name"]: np.asarray(one["data"], np.float64) for one in entries if _OWN.search(one["name"])}
    kernel = next((value for name, value in own.items() if f"/{KERNEL_SCOPE}/" in name), None)
    mean = next((value for value in own.values() if value.ndim == 1 and value.size > 1), None)
    scale = next((value for name, value in own.items() if name.endswith("/mul/y")), None)
    centred = next((node for name, node in nodes.items() if _OWN.search(name) and node["op"] == "Sub"), None)
    if kernel is None or mean is None or scale is None or centred is None:
        raise InputError(f"the model in {folder} measures no unfamiliarity: it is of another version of the project.")
    pooled = nodes[centred["input"][0]]
    noise_variance = 0.5 / float(scale)
    shrinkage = np.linalg.norm(kernel, axis=0)
    return FamiliarityModel(
        layer=layer_of_scope(pooled["input"][0].split("/")[-2]),
        mean=mean,
        components=(kernel / shrinkage).T,
        explained_variance=noise_variance / (1 - shrinkage**2) ** 2,
        noise_variance=noise_variance,
    )
