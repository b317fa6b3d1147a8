"""The stage as Dagster runs it: stored by the IO managers, checked in a real browser, or with a warning without one."""

from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import pandas as pd
import pytest

from derma_assets.browser import assets, checks
from derma_assets.browser.bundle import changed_files, read_manifest
from derma_assets.browser.download_size import FirstVisit
from derma_assets.browser.parity_record import parity_of
from derma_assets.calibration.familiarity import fit_familiarity
from derma_assets.calibration.input_guard import InputGuard, Measure, write_guard
from derma_assets.dataset.image_arrays import build_image_arrays
from derma_assets.dataset.synthetic_skin import draw_picture
from derma_assets.diagnoses import CODES
from derma_assets.settings import settings
from derma_assets.storage.fingerprint import fingerprint_folder, fingerprint_json, sha256_of_file
from derma_assets.storage.io_managers import io_managers
from derma_assets.storage.paths import building_folder, stored_path
from derma_assets.training.predictor import feature_extractor
from derma_assets_tests.browser.conftest import MEASURES, SIZE, calibrated_views, made_up_findings
from derma_assets_tests.small_study import LAYER

STAGE = [assets.tfjs_model, assets.web_app, assets.tfjs_bundle]
CHECKS = [checks.browser_parity, checks.download_size]
VIEWS = {"views": [calibrated_views(1)]}


def _upstream(trained: Any, folder: Path) -> list[dg.AssetsDefinition]:
    """Return stand-ins of the assets that the stage reads."""
    rows = []
    pictures = [draw_picture(code, number, 0) for number, code in enumerate(CODES * 2)]
    for number, (code, picture) in enumerate(zip(CODES * 2, pictures, strict=True)):
        path = folder / f"{number}.png"
        picture.save(path)
        rows.append({"image_id": str(number), "dx": code, "path": str(path), "sha256": sha256_of_file(path)})
    manifest = pd.DataFrame(rows).assign(status="ok")
    build_image_arrays(manifest, SIZE, folder / "arrays")
    splits = manifest[["image_id", "dx"]].assign(
        lesion_id=manifest["image_id"], split=np.where(manifest.index < 7, "test", "train"), fold=0
    )
    pixels = np.stack([np.asarray(picture.resize((SIZE, SIZE))) for picture in pictures])
    familiarity = fit_familiarity(feature_extractor(trained, LAYER)(pixels), LAYER)
    write_guard(folder / "guard", InputGuard([Measure(name, None, None) for name in MEASURES], familiarity))
    findings = made_up_findings()
    values: dict[str, tuple[str, Any]] = {
        "trained_model": ("keras_model", trained),
        "image_arrays": ("folder", folder / "arrays"),
        "training_set": ("table", splits),
        "view_calibration": ("document", VIEWS),
        "input_guard": ("folder", folder / "guard"),
        "overall_metrics": ("table", findings.overall),
        "per_class_metrics": ("table", findings.per_class),
        "subgroup_metrics": ("table", findings.subgroups),
        "view_metrics": ("table", findings.views),
        "refusal_rates": ("table", findings.refusals),
    }

    def stand_in(name: str, io_manager_key: str, value: Any) -> dg.AssetsDefinition:
        @dg.asset(name=name, io_manager_key=io_manager_key)
        def compute() -> Any:
            return value

        return compute

    return [stand_in(name, key, value) for name, (key, value) in values.items()]


@pytest.mark.browser
def test_the_stage_runs(
    trained: Any, page_folder: Path, browser_program: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checks, "find_browser", lambda preferred: browser_program)
    # The stored assets of whoever runs the tests are left alone.
    monkeypatch.setattr(assets, "building_folder", lambda store, asset: building_folder(tmp_path / "store", asset))
    graph = [*_upstream(trained, tmp_path), *STAGE, *CHECKS]
    resources = dict(io_managers(tmp_path / "store"))

    result = dg.materialize(graph, resources=resources)

    assert result.success
    evaluations = {evaluation.check_name: evaluation for evaluation in result.get_asset_check_evaluations()}
    assert evaluations["browser_parity"].passed
    assert evaluations["browser_parity"].metadata["test_pictures"].value == 7
    assert evaluations["download_size"].passed
    bundle = stored_path(tmp_path / "store", "tfjs_bundle", "folder")
    assert parity_of(bundle) == ("passed", "agrees with Keras on 7 test pictures")
    manifest = read_manifest(bundle)
    assert changed_files(bundle) == []
    assert manifest["model"]["variant"] == settings().bundle_variant == "uint8"
    assert manifest["preprocessing"]["size"] == SIZE
    assert manifest["time_budget_ms"] == settings().time_budget_ms
    made_from = manifest["versions"]["data"]
    assert made_from["view_calibration"] == fingerprint_json(VIEWS)
    assert made_from["input_guard"] == fingerprint_folder(tmp_path / "guard")
    assert {key.to_user_string() for key in assets.tfjs_bundle.keys_by_input_name.values()} <= set(made_from)
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
    assert parity_of(bundle)[0] == "not run"


@pytest.mark.parametrize(
    ("variant", "bytes_of_model", "passed", "severity"),
    [
        ("uint8", 3_400_000, True, dg.AssetCheckSeverity.ERROR),
        ("uint8", 3_400_001, False, dg.AssetCheckSeverity.ERROR),
        ("float16", 6_000_000, False, dg.AssetCheckSeverity.WARN),
    ],
)
def test_a_first_visit_that_is_too_large_stops_only_the_small_variant(
    monkeypatch: pytest.MonkeyPatch, variant: str, bytes_of_model: int, passed: bool, severity: dg.AssetCheckSeverity
) -> None:
    monkeypatch.setattr(checks, "read_manifest", lambda bundle: {"model": {"variant": variant}})
    visit = FirstVisit(page=600_000, model=bytes_of_model, model_as_stored=7_000_000)
    monkeypatch.setattr(checks, "first_visit", lambda bundle, manifest: visit)

    found = checks.download_size(Path("bundle"))

    assert isinstance(found, dg.AssetCheckResult)
    assert found.passed is passed
    assert found.severity is severity
