"""The whole graph on a few hundred real lesions: `make test-real DERMA_HAM10000_DIR=<folder>`.

Needs ImageNet weights: Keras downloads them, or DERMA_BACKBONE_WEIGHTS names a file.
"""

import json
import os
from pathlib import Path

import pandas as pd
import pytest

from derma_assets.dataset.ham10000 import find_ham10000
from derma_assets.dataset.metadata_schema import read_metadata
from derma_assets_tests.running import environment, materialize, said

LESIONS = 350


@pytest.fixture(scope="module")
def few_lesions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in Dataverse's layout with a stratified choice of lesions; the pictures are links to the real ones."""
    where = os.environ.get("DERMA_HAM10000_DIR")
    assert where, "say where HAM10000 is: make test-real DERMA_HAM10000_DIR=<folder>"
    real = find_ham10000(Path(where))
    metadata = read_metadata(real.metadata)
    lesions = metadata.drop_duplicates("lesion_id")
    share = LESIONS / len(lesions)
    chosen = pd.concat(
        group.sample(max(10, round(share * len(group))), random_state=42) for _, group in lesions.groupby("dx")
    )
    folder = tmp_path_factory.mktemp("few")
    few = metadata[metadata["lesion_id"].isin(chosen["lesion_id"])]
    few.to_csv(folder / "HAM10000_metadata.csv", index=False)
    (folder / "HAM10000_images_part_1").mkdir()
    for image_id in few["image_id"]:
        path = real.pictures[image_id]
        (folder / "HAM10000_images_part_1" / path.name).symlink_to(path.resolve())
    return folder


def test_the_graph_runs_on_real_lesions(few_lesions: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    data_dir = tmp_path_factory.mktemp("data")
    env = environment(
        data_dir,
        DERMA_DATASET="ham10000",
        DERMA_HAM10000_DIR=str(few_lesions),
        DERMA_BACKBONE_WEIGHTS=os.environ.get("DERMA_BACKBONE_WEIGHTS", "imagenet"),
        DERMA_EPOCHS="5",
        DERMA_VALIDATION_FRACTION="0.2",
        DERMA_TEST_FRACTION="0.2",
        # Slowed six times, each of them takes seconds.
        DERMA_LATENCY_RUNS="2",
    )
    run = materialize("*", env)
    assert run.returncode == 0, said(run)[-6000:]
    store = data_dir / "store" / "ham10000"
    overall = pd.read_parquet(store / "overall_metrics.parquet").set_index("metric")["value"]
    print(overall.to_string())
    # 0.5 without skill; balanced accuracy on so few lesions says more about chance than about the backbone.
    per_class = pd.read_parquet(store / "per_class_metrics.parquet")
    assert per_class.loc[per_class["metric"] == "roc_auc", "value"].mean() > 0.65
    manifest = json.loads((store / "tfjs_bundle" / "manifest.json").read_text())
    assert manifest["dataset"]["synthetic"] is False
