"""What the converter writes is the deployed model, small, and readable by any TF.js."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from derma_assets.browser.conversion import QUANTISED, SCALE, SHARD_BYTES, VARIANTS, export_variants
from derma_assets.browser.graph_model import deployed_model
from derma_assets.browser.quantisation import outputs_of, read_layers, with_layers
from derma_assets.browser.web_build import run_node
from derma_assets.calibration.familiarity import fit_familiarity
from derma_assets.storage.fingerprint import sha256_of_files
from derma_assets.tensorflow_runtime import import_keras
from derma_assets_tests.browser.conftest import SIZE, Deployed

# The plainest way to run a graph model: TF.js's own reader and its JavaScript back end, nothing of the page.
_RUN = """
import { readFileSync } from "node:fs";
import { tensor, setBackend } from "@tensorflow/tfjs-core";
import "@tensorflow/tfjs-backend-cpu";
import { loadGraphModel } from "@tensorflow/tfjs-converter";

const [folder, input, ...shape] = process.argv.slice(1);
await setBackend("cpu");
const { weightsManifest, ...described } = JSON.parse(readFileSync(`${folder}/model.json`));
const shards = weightsManifest[0].paths.map((path) => readFileSync(`${folder}/${path}`));
const weightData = new Uint8Array(Buffer.concat(shards)).buffer;
const artifacts = { ...described, weightSpecs: weightsManifest[0].weights, weightData };
const graph = await loadGraphModel({ load: async () => artifacts });
const pixels = Float32Array.from(readFileSync(input));
const result = graph.predict(tensor(pixels, shape.map(Number)));
const outputs = Object.entries(result).map(([name, value]) => [name, value.arraySync()]);
console.log(JSON.stringify(Object.fromEntries(outputs)));
"""


def _document(variant: Path) -> Any:
    return json.loads((variant / "model.json").read_text())


def _stored(variant: Path) -> dict[str, str]:
    """Return how each constant is stored, by name."""
    (group,) = _document(variant)["weightsManifest"]
    return {weight["name"]: weight.get("quantization", weight)["dtype"] for weight in group["weights"]}


@pytest.mark.parametrize("variant", VARIANTS)
def test_any_tfjs_runs_it(
    deployed: Deployed, pixels: np.ndarray, page_folder: Path, tmp_path: Path, variant: str
) -> None:
    pictures, folder = np.ascontiguousarray(pixels[[0, 30]]), deployed.variants / variant
    (tmp_path / "pictures").write_bytes(pictures.tobytes())
    expected = outputs_of(with_layers(deployed.folded, read_layers(folder)), pictures)

    arguments = [str(folder), str(tmp_path / "pictures"), *map(str, pictures.shape)]
    printed = run_node(page_folder.parent, "--input-type=module", "--eval", _RUN, *arguments)
    found = json.loads(printed.strip().splitlines()[-1])

    np.testing.assert_allclose(found["logits"], expected["logits"], rtol=0, atol=1e-4)
    np.testing.assert_allclose(found["cams"], expected["cams"], rtol=0, atol=1e-4)
    np.testing.assert_allclose(found["unfamiliarity"], expected["unfamiliarity"], rtol=1e-3)


def test_large_kernels_are_uint8_with_a_scale_per_channel_and_small_ones_exact(deployed: Deployed) -> None:
    stored = _stored(deployed.variants / "uint8")
    quantised = [name.removesuffix(QUANTISED) for name, dtype in stored.items() if dtype == "uint8"]
    nodes = {node["name"]: node for node in _document(deployed.variants / "uint8")["modelTopology"]["node"]}

    assert [name.split("/")[-3] for name in quantised] == ["conv_pw_12_1", "conv_pw_13_1"]
    for name in quantised:
        assert nodes[name]["op"] == "Mul"
        assert nodes[name]["input"] == [name + QUANTISED, name + SCALE]
        assert stored[name + SCALE] == "float32"
    halved = [name for name, dtype in stored.items() if dtype == "float16"]
    assert all(name.endswith("/convolution/ReadVariableOp") for name in halved)
    assert len(halved) == 7
    assert not any("conv1_1" in name or "depthwise" in name for name in [*quantised, *halved])


def test_a_download_that_breaks_loses_little(deployed: Deployed) -> None:
    for variant in VARIANTS:
        sizes = [shard.stat().st_size for shard in (deployed.variants / variant).glob("*.bin")]
        assert max(sizes) <= SHARD_BYTES == 256 * 1024


@pytest.mark.parametrize("variant", VARIANTS)
def test_inputs_and_outputs_are_named(deployed: Deployed, variant: str) -> None:
    signature = _document(deployed.variants / variant)["signature"]

    assert list(signature["inputs"]) == ["picture"]
    assert set(signature["outputs"]) == {"logits", "cams", "unfamiliarity"}
    assert [int(side["size"]) for side in signature["inputs"]["picture"]["tensorShape"]["dim"]] == [-1, SIZE, SIZE, 3]


def test_equal_models_give_equal_files(deployed: Deployed, pixels: np.ndarray, tmp_path: Path) -> None:
    again = deployed_model(deployed.trained, deployed.familiarity)
    export_variants(again, tmp_path / "again", pixels)

    assert sha256_of_files(tmp_path / "again") == sha256_of_files(deployed.variants)


def test_conversion_is_quiet(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    layers = import_keras().layers
    small = import_keras().Sequential(
        [
            import_keras().Input((8, 8, 3)),
            layers.Conv2D(4, 3, name="last"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(7),
        ]
    )
    familiarity = fit_familiarity(np.random.default_rng(0).normal(size=(40, 4)), "last")
    capfd.readouterr()

    export_variants(deployed_model(small, familiarity), tmp_path, np.zeros((2, 8, 8, 3), np.uint8))

    assert capfd.readouterr() == ("", "")
