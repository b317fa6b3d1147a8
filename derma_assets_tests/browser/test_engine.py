"""The engine in a real browser: downloads that break, files that are changed, back ends, views, and memory."""

import base64
import io
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from derma_assets.browser.chromium import open_bundle
from derma_assets.browser.parity import predict_in_page
from derma_assets.browser.quantisation import logits_of
from derma_assets.browser.serve import serving
from derma_assets.dataset.synthetic_skin import draw_picture
from derma_assets.diagnoses import MELANOMA
from derma_assets_tests.browser.conftest import SIZE, Deployed

pytestmark = pytest.mark.browser

READY = "() => window.derma.ready"


@contextmanager
def faulty(folder: Path, breaks: Callable[[str, int], bool]) -> Iterator[tuple[str, dict[str, int]]]:
    """Serve `folder`, breaking the connection in the middle of the answers that `breaks(path, times asked)` names.

    Yields the address, and how often each path was asked for.
    """
    asked: dict[str, int] = {}
    lock = threading.Lock()

    class Handler(SimpleHTTPRequestHandler):
        extensions_map = {".js": "text/javascript", ".wasm": "application/wasm", ".html": "text/html"}  # noqa: RUF012

        def do_GET(self) -> None:
            path = self.path.split("?")[0]
            with lock:
                asked[path] = asked.get(path, 0) + 1
            if not breaks(path, asked[path]):
                super().do_GET()
                return
            content = Path(self.translate_path(path)).read_bytes()
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content[: len(content) // 2])
            self.wfile.flush()
            self.connection.close()

        def log_message(self, *_: Any) -> None:
            pass

    def handler(*arguments: Any) -> Handler:
        return Handler(*arguments, directory=str(folder))

    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/", asked
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_a_broken_download_goes_on_and_fetches_no_complete_file_again(browser: Any, bundle_folder: Path) -> None:
    def breaks(path: str, times: int) -> bool:
        return path.startswith("/model/") and times == 1 and "1of" not in path

    with faulty(bundle_folder, breaks) as (address, asked):
        page = browser.new_page()
        page.goto(address)
        page.evaluate(READY)
        page.close()

    shards = {path: times for path, times in asked.items() if path.startswith("/model/")}
    assert max(shards.values()) == 2
    assert all(times == (2 if "1of" not in path else 1) for path, times in shards.items())


def test_a_download_broken_off_by_closing_the_page_goes_on_where_it_stopped(browser: Any, bundle_folder: Path) -> None:
    files = sorted(path.name for path in (bundle_folder / "model").iterdir())
    last = f"/model/{files[-1]}"
    open_gate = threading.Event()

    def breaks(path: str, times: int) -> bool:
        return path == last and not open_gate.is_set()

    with faulty(bundle_folder, breaks) as (address, asked):
        context = browser.new_context()
        page = context.new_page()
        page.goto(address)
        # Until everything but the file that keeps breaking is on the device.
        kept = """async () => (await (await caches.open("derma-model")).keys()).length"""
        while page.evaluate(kept) < len(files) - 1:
            page.wait_for_timeout(50)
        page.close()
        before = dict(asked)
        open_gate.set()
        page = context.new_page()
        page.goto(address)
        page.evaluate(READY)
        context.close()

    again = [path for path in asked if path.startswith("/model/") and asked[path] > before.get(path, 0)]
    assert again == [last]


def test_the_page_says_that_it_waits_for_the_connection(browser: Any, bundle_folder: Path) -> None:
    with faulty(bundle_folder, lambda path, _: path.startswith("/model/")) as (address, _):
        page = browser.new_page()
        page.goto(address)
        page.wait_for_function("() => window.derma.engine.state.waiting === true")
        page.close()


@pytest.mark.parametrize("which", ["model.json", "*.bin"])
def test_a_flipped_byte_in_the_model_is_refused(browser: Any, bundle_folder: Path, tmp_path: Path, which: str) -> None:
    changed = tmp_path / "changed"
    shutil.copytree(bundle_folder, changed)
    file = sorted((changed / "model").glob(which))[0]
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)

    with serving(changed) as address:
        page = browser.new_page()
        page.goto(address)
        problem = page.evaluate("() => window.derma.ready.catch((error) => error.problem)")
        page.close()

    assert problem == {"code": "file_damaged", "detail": f"model/{file.name}"}


def test_a_missing_model_file_is_refused(browser: Any, bundle_folder: Path, tmp_path: Path) -> None:
    changed = tmp_path / "changed"
    shutil.copytree(bundle_folder, changed)
    (changed / "model" / "model.json").unlink()

    with serving(changed) as address:
        page = browser.new_page()
        page.goto(address)
        problem = page.evaluate("() => window.derma.ready.catch((error) => error.problem)")
        page.close()

    assert problem["code"] == "file_missing"


def test_a_page_does_not_run_the_model_of_another_bundle(browser: Any, bundle_folder: Path, tmp_path: Path) -> None:
    """The host got a new bundle after the page's script was fetched."""
    changed = tmp_path / "changed"
    shutil.copytree(bundle_folder, changed)
    manifest = changed / "manifest.json"
    (script,) = (changed / "assets").glob("index-*.js")
    manifest.write_text(manifest.read_text().replace(script.name, "index-of-tomorrow.js"))

    with serving(changed) as address:
        page = browser.new_page()
        page.goto(address)
        # It begins again by itself, once.
        page.wait_for_function("() => performance.getEntriesByType('navigation')[0].type === 'reload'")
        problem = page.evaluate("() => window.derma.ready.catch((error) => error.problem)")
        page.close()

    assert problem["code"] == "changed_meanwhile"


@pytest.fixture(scope="module")
def page(browser: Any, bundle_folder: Path) -> Iterator[Any]:
    with serving(bundle_folder) as address:
        opened = open_bundle(browser, address)
        yield opened
        opened.close()


@pytest.mark.parametrize("backend", ["wasm", "wasm-threads"])
def test_every_number_of_threads_computes_what_python_computes(
    page: Any, deployed: Deployed, pixels: np.ndarray, backend: str
) -> None:
    found = predict_in_page(page, pixels[:8], backend)

    np.testing.assert_allclose(found.logits, logits_of(deployed.trained, pixels[:8]), rtol=0, atol=1e-4)


_ANALYSE = """async ([encoded, options]) => {
  const bytes = Uint8Array.from(atob(encoded), (character) => character.charCodeAt(0));
  const analysis = await window.derma.analyse(new Blob([bytes], { type: "image/png" }), options);
  return {
    logits: Array.from(analysis.prediction.logits),
    cams: Array.from(analysis.prediction.cams),
    views: analysis.prediction.views,
    refusals: analysis.refusals,
  };
}"""


def lesion() -> np.ndarray:
    return np.asarray(draw_picture(MELANOMA, 3, 0).resize((SIZE, SIZE)))


def png(pixels: np.ndarray) -> str:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()


def test_views_are_averaged_in_pythons_order(page: Any, deployed: Deployed) -> None:
    picture = lesion()
    views = [np.rot90(side, turns) for side in (picture, picture[:, ::-1]) for turns in range(4)]
    for count in page.evaluate("async () => (await window.derma.manifest()).views.map((one) => one.count)"):
        expected = logits_of(deployed.trained, np.stack(views[:count])).mean(axis=0)
        found = page.evaluate(_ANALYSE, [png(picture), {"views": count}])

        assert found["views"] == count
        np.testing.assert_allclose(found["logits"], expected, rtol=0, atol=1e-4)


def test_fifty_pictures_leave_no_tensor_behind(page: Any) -> None:
    encoded = png(lesion())
    page.evaluate(_ANALYSE, [encoded, {}])
    before = page.evaluate("() => window.derma.tensors()")
    for _ in range(50):
        page.evaluate(_ANALYSE, [encoded, {}])

    assert page.evaluate("() => window.derma.tensors()") == before


def test_the_device_is_measured_on_ten_warm_runs(page: Any) -> None:
    found = page.evaluate(
        """async () => {
          const told = [];
          const measured = await window.derma.engine.measureDevice(10, (done) => told.push(done));
          return { measured, last: told.at(-1) };
        }"""
    )

    assert len(found["measured"]["milliseconds"]) == 10
    assert all(value > 0 for value in found["measured"]["milliseconds"])
    assert found["last"] == 10
