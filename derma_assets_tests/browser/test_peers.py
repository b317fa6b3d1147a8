"""The benchmark beside other runtimes: the same model for all, and a report that says what was measured."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from derma_assets.browser.latency import COLD, MEASURED, WARM, Latency, empty_table, statistics
from derma_assets.browser.peers import OURS, contenders
from derma_assets.browser.peers_models import logits_model, write_tflite
from derma_assets.browser.peers_report import Circumstances, latency_csv, latency_markdown, main
from derma_assets.settings import Settings
from derma_assets.tensorflow_runtime import import_tensorflow
from derma_assets_tests.browser.conftest import SIZE, Deployed

CIRCUMSTANCES = Circumstances("make bench-browser", "2026-01-31", "2 x Some Processor", "MobileNet, 96 px")


def _latency() -> Latency:
    row = {
        "measure": WARM,
        "backend": "wasm",
        "threads": 1,
        "slowdown": 1.0,
        "achieved_slowdown": 1.02,
        "slowed_by": "not slowed",
        "state": MEASURED,
        **statistics([20.0, 30.0]),
    }
    refused = {
        **row,
        "slowdown": 4.0,
        "achieved_slowdown": 2.5,
        "state": "refused: slowed 2.5 times instead",
        "n": 0,
        **dict.fromkeys(("mean_ms", "median_ms", "p95_ms", "min_ms", "max_ms", "sd_ms"), np.nan),
    }
    return Latency("Chromium 1", 192_000, pd.DataFrame([row, refused]), 1.0)


def _peers() -> pd.DataFrame:
    shared = {"threads": 1, "measure": COLD, "max_logit_difference": 2e-5}
    times = {"state": MEASURED, "round_medians_ms": "1050.0, 1051.0, 1052.0", **statistics([1050.0, 1052.0])}
    no_peer = {"state": "no peer: its logits differ from Keras's by 0.4", "round_medians_ms": "", "n": 0}
    return pd.DataFrame(
        [{"runtime": OURS, **shared, **times}, {"runtime": "Other 1", **shared, "max_logit_difference": 0.4, **no_peer}]
    )


def test_the_other_runtimes_are_given_the_same_model(deployed: Deployed, pixels: np.ndarray, tmp_path: Path) -> None:
    write_tflite(logits_model(deployed.folded), tmp_path / "model.tflite")
    interpreter = import_tensorflow().lite.Interpreter(str(tmp_path / "model.tflite"))
    (taken,), (given,) = interpreter.get_input_details(), interpreter.get_output_details()
    assert tuple(taken["shape"]) == (1, SIZE, SIZE, 3)
    interpreter.allocate_tensors()
    found = []
    for picture in pixels[:4].astype(np.float32):
        interpreter.set_tensor(taken["index"], picture[np.newaxis])
        interpreter.invoke()
        found.append(interpreter.get_tensor(given["index"])[0])
    expected = deployed.trained.predict(pixels[:4].astype(np.float32), verbose=0)
    np.testing.assert_allclose(np.stack(found), expected, atol=1e-4)


def test_every_runtime_is_timed_on_every_number_of_threads() -> None:
    entered = contenders("http://ours/", "http://theirs/", 128, [1, 4])
    assert [(one.runtime.partition(" ")[0], one.threads) for one in entered] == [
        (name, threads) for threads in (1, 4) for name in ("TF.js,", "onnxruntime-web", "LiteRT.js")
    ]
    assert [one.is_ours for one in entered] == [True, False, False] * 2
    first, one_thread, _, threaded, several, _ = entered
    assert (first.warm_options["backend"], threaded.warm_options["backend"]) == ("wasm", "wasm-threads")
    # A page that opens starts on one thread unasked.
    assert first.cold_options == {"views": 1}
    assert one_thread.address == "http://theirs/?runtime=onnx&threads=1&size=128"
    assert several.address == "http://theirs/?runtime=onnx&threads=4&size=128"


def test_the_report_shows_what_was_measured_and_what_was_not() -> None:
    report = latency_markdown(_latency(), _peers(), CIRCUMSTANCES)
    assert "A slowed desktop, not a phone" in report
    for fact in ("make bench-browser", "2026-01-31", "2 x Some Processor", "Chromium 1", "MobileNet, 96 px", "192 kB"):
        assert fact in report
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in report.splitlines() if line.startswith("|")]
    assert ["warm", "1", "full", "1.02", "not slowed", "2", "25.0", "25.0", "29.5", "20.0", "30.0", "7.1"] in cells
    assert ["warm", "1", "1/4", "2.50", "refused: slowed 2.5 times instead", "0", *[""] * 6] in cells
    row = ["1", "cold", "2e-05", "1050.0, 1051.0, 1052.0", "2", "1,051.0", "1,051.0"]
    assert [OURS, *row, "1,051.9", "1,050.0", "1,052.0", "1.4"] in cells
    assert ["Other 1", "1", "cold", "0.4", "no peer: its logits differ from Keras's by 0.4", "0", *[""] * 6] in cells


def test_the_csv_has_both_tables() -> None:
    table = latency_csv(_latency(), _peers())
    assert list(table["part"]) == ["page"] * 2 + ["beside peers"] * 2
    assert list(table["runtime"]) == [OURS, OURS, OURS, "Other 1"]
    assert table["median_ms"].tolist()[::2] == [25.0, 1051.0]
    assert set(empty_table().columns) <= set(table.columns)


def test_without_a_bundle_it_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    chosen = Settings(dataset="sample", data_dir=tmp_path)
    monkeypatch.setattr("derma_assets.browser.peers_report.settings", lambda: chosen)
    monkeypatch.setattr("derma_assets.browser.peers_report.find_browser", lambda preferred: Path("chromium"))
    assert main(["--output", str(tmp_path / "docs")]) == 1
    assert "tfjs_bundle has not been stored yet" in capsys.readouterr().err
    assert not (tmp_path / "docs").exists()
