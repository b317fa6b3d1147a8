"""The stage as Dagster runs it: stored by the IO managers, checked in a real browser, or with a warning without one."""

from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import pandas as pd
import pytest

from derma_assets.browser import assets, checks
from derma_assets.browser.bundle import changed_files, read_manifest
from derma_assets.dataset.image_arrays import build_image_arrays
from derma_assets.dataset.synthetic_skin import draw_picture
from derma_assets.diagnoses import CODES
from derma_assets.settings import settings
from derma_assets.storage.fingerprint import fingerprint_json, sha256_of_file
from derma_assets.storage.io_managers import io_managers
from derma_assets.storage.paths import building_folder, stored_path
from derma_assets_tests.browser.conftest import SIZE, TEMPERATURE, THRESHOLDS

STAGE = [assets.tfjs_model, assets.web_app, assets.tfjs_bundle]


def _upstream(trained: Any, folder: Path) -> list[dg.AssetsDefinition]:
    """Return stand-ins of the assets that the stage reads."""
    rows = []
    for number, code in enumerate(CODES * 2):
        path = folder / f"{number}.png"
        draw_picture(code, number, 0).save(path)
        rows.append({"image_id": str(number), "dx": code, "path": str(path), "sha256": sha256_of_file(path)})
    manifest = pd.DataFrame(rows).assign(status="ok")
    build_image_arrays(manifest, SIZE, folder / "arrays", previous=None)
    splits = manifest[["image_id", "dx"]].assign(
        lesion_id=manifest["image_id"], split=np.where(manifest.index < 7, "test", "train"), fold=0
    )
    values: dict[str, tuple[str, Any]] = {
        "trained_model": ("keras_model", trained),
        "image_arrays": ("folder", folder / "arrays"),
        "grouped_splits": ("table", splits),
        "calibrated_temperature": ("document", {"temperature": TEMPERATURE}),
        "operating_points": ("document", {name: {"threshold": value} for name, value in THRESHOLDS.items()}),
        "overall_metrics": (
            "table",
            pd.DataFrame({"metric": ["accuracy"], "value": [1.0], "low": [0.9], "high": [1.0]}),
        ),
        "per_class_metrics": ("table", pd.DataFrame({"dx": list(CODES), "value": 1.0})),
    }

    def stand_in(name: str, io_manager_key: str, value: Any) -> dg.AssetsDefinition:
        @dg.asset(name=name, io_manager_key=io_manager_key)
        def compute() -> Any:
            return value

        return compute

    return [stand_in(name, key, value) for name, (key, value) in values.items()]


def test_the_stage_runs(
    trained: Any, page_folder: Path, browser_program: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checks, "find_browser", lambda preferred: browser_program)
    # The stored assets of whoever runs the tests are left alone.
    monkeypatch.setattr(assets, "building_folder", lambda store, asset: building_folder(tmp_path / "store", asset))
    graph = [*_upstream(trained, tmp_path), *STAGE, checks.browser_parity]
    resources = dict(io_managers(tmp_path / "store"))

    result = dg.materialize(graph, resources=resources)

    assert result.success
    (evaluation,) = result.get_asset_check_evaluations()
    assert evaluation.passed
    assert evaluation.metadata["test_pictures"].value == 7
    bundle = stored_path(tmp_path / "store", "tfjs_bundle", "folder")
    manifest = read_manifest(bundle)
    assert changed_files(bundle) == []
    assert manifest["model"]["variant"] == settings().bundle_variant
    assert manifest["preprocessing"]["size"] == SIZE
    assert manifest["versions"]["data"]["calibrated_temperature"] == fingerprint_json({"temperature": TEMPERATURE})
    metadata = result.asset_materializations_for_node("tfjs_model")[0].metadata
    sizes = [int(str(metadata[f"{variant}_bytes"].value)) for variant in ("uint8", "float16", "float32")]
    assert sizes == sorted(sizes)

    monkeypatch.setattr(checks, "find_browser", lambda preferred: None)
    again = dg.materialize(graph, resources=resources, selection=dg.AssetSelection.checks(checks.browser_parity))

    assert again.success
    (evaluation,) = again.get_asset_check_evaluations()
    assert not evaluation.passed
    assert evaluation.severity == dg.AssetCheckSeverity.WARN
    assert "playwright install" in str(evaluation.description)
    assert str(evaluation.metadata["parity"].value).startswith("not run")
