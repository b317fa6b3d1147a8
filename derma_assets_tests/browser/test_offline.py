"""Visited once, the page works without a network; it changes as a whole, only when asked, never to a damaged one."""

import json
import re
import shutil
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from derma_assets.browser.bundle import MANIFEST, read_manifest, write_bundle
from derma_assets.browser.serve import serving
from derma_assets.browser.static_files import StaticFiles, stated_policy
from derma_assets_tests.browser.conftest import Deployed
from derma_assets_tests.browser.static_host import (
    READY,
    classify,
    opened,
    picture,
    probabilities,
    static_host,
    visit,
    wait_for_offline,
)

SERVICE_WORKER = "sw.js"
ADDED_FILE = "assets/added-0aZ_9-bC.js"
PAGE_BUDGET_BYTES = 800_000
"""What the first visit may weigh without the model: 4.0 MB in all, of which a model of the paper's kind takes 3.2."""

HASH_OF_MANIFEST = """async () => {
  const bytes = await (await fetch("./manifest.json")).arrayBuffer();
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return Array.from(hash, (byte) => byte.toString(16).padStart(2, "0")).join("");
}"""
MODEL_IN_USE = "async () => (await window.derma.manifest()).model.variant"
CACHED = """async () => {
  const found = {};
  for (const name of await caches.keys()) {
    found[name] = (await (await caches.open(name)).keys()).map(({ url }) => url);
  }
  return found;
}"""
LOOK_FOR_UPDATE = """async () => {
  await (await navigator.serviceWorker.getRegistration()).update().catch(() => undefined);
}"""
INSTALL_FAILED = """async () => {
  const registration = await navigator.serviceWorker.getRegistration();
  await registration.update();
  const worker = registration.installing;
  return new Promise((resolve) => {
    worker.addEventListener("statechange", () => resolve(worker.state));
  });
}"""


@pytest.fixture
def context(browser: Any) -> Iterator[Any]:
    own = browser.new_context()
    yield own
    own.close()


@pytest.fixture(scope="module")
def next_bundle(
    page_folder: Path, deployed: Deployed, description: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """Another model, a page that was changed, and a file that was not there before."""
    folder = tmp_path_factory.mktemp("next")
    page = folder / "page"
    shutil.copytree(page_folder, page)
    (page / "index.html").write_text(f"{(page / 'index.html').read_text()}<!-- Changed. -->")
    (page / ADDED_FILE).write_text("export const added = true;")
    write_bundle(folder / "bundle", page, deployed.variants / "uint8", "uint8", description)
    return folder / "bundle"


def persistent(browser: Any, program: Path, folder: Path) -> Any:
    """Return a browser that remembers what it kept when it was run in `folder` before."""
    return browser.browser_type.launch_persistent_context(
        folder / "profile", executable_path=program, args=["--disable-gpu", "--disable-dev-shm-usage"]
    )


def offline_state(page: Any) -> str:
    """Return what the page says of itself."""
    return page.get_attribute("#status", "data-offline")


def manifest_hash(bundle: Path) -> str:
    return sha256((bundle / MANIFEST).read_bytes()).hexdigest()


def damaged(bundle: Path, pattern: str, folder: Path) -> Path:
    """Return a copy of a bundle with one bit of one file flipped."""
    copy = folder / "damaged"
    shutil.copytree(bundle, copy)
    file = sorted(copy.glob(pattern))[0]
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    return copy


def precached(bundle: Path) -> dict[str, str]:
    """Return the revision of each file that the service worker of a bundle keeps, by its path."""
    (listed,) = re.findall(r'\[\s*\{\s*"url".*?\]', (bundle / SERVICE_WORKER).read_text(), re.DOTALL)
    return {entry["url"]: entry["revision"] for entry in json.loads(listed)}


def test_the_whole_page_is_kept_and_nothing_else(bundle_folder: Path) -> None:
    files = read_manifest(bundle_folder)["files"]
    page = {path: entry["sha256"] for path, entry in files.items() if not path.startswith(("model/", "assets/lazy-"))}

    assert precached(bundle_folder) == {**page, MANIFEST: manifest_hash(bundle_folder)}
    assert "index.html" in page
    assert len([path for path in page if path.endswith(".wasm")]) == 3
    assert SERVICE_WORKER not in files


def test_the_service_worker_is_one_script(page_folder: Path) -> None:
    script = (page_folder / SERVICE_WORKER).read_text()

    assert script.count("self.__PRECACHE__") == 1
    assert not re.search(r"\bimport\b|importScripts", script)


@pytest.mark.browser
def test_after_one_visit_it_works_without_host_and_network(
    browser: Any, browser_program: Path, bundle_folder: Path, tmp_path: Path
) -> None:
    """Also after the browser was closed, and with the same numbers."""
    with static_host(bundle_folder) as host:
        first = persistent(browser, browser_program, tmp_path)
        page = visit(first, host.address)
        expected = probabilities(page, picture())
        first.close()

    second = persistent(browser, browser_program, tmp_path)
    second.set_offline(True)
    page = second.new_page()
    for address in (host.address, f"{host.address}index.html", f"{host.address}?utm_source=poster#top"):
        page.goto(address)
        page.evaluate(READY)
        assert offline_state(page) == "ready"
        assert classify(page, picture())
        assert probabilities(page, picture()) == pytest.approx(expected, abs=1e-5)
    second.close()


@pytest.mark.browser
def test_the_first_visit_fetches_nothing_twice(context: Any, bundle_folder: Path) -> None:
    """On a host that says nothing on caching."""
    with static_host(bundle_folder) as host:
        visit(context, host.address)

    large = [path for path in host.asked if path.startswith(("/assets/", "/model/"))]
    kept = {f"/{path}" for path in read_manifest(bundle_folder)["files"]}
    assert sorted(large) == sorted(set(large))
    assert {path for path in kept if path.startswith(("/assets/", "/model/")) and "/lazy-" not in path} <= set(large)


@contextmanager
def counted(address: str) -> Iterator[tuple[str, list[int]]]:
    """Stand between a browser and a host; yield the address, and the number of bytes that each answer had."""
    target = urlsplit(address)
    received: list[int] = []
    listening = socket.create_server(("127.0.0.1", 0))

    def pump(source: socket.socket, sink: socket.socket, count: list[int]) -> None:
        with suppress(OSError):
            while part := source.recv(65536):
                count.append(len(part))
                sink.sendall(part)
        for end in (source, sink):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def accept() -> None:
        with suppress(OSError):
            while True:
                visitor, _ = listening.accept()
                host = socket.create_connection((str(target.hostname), target.port or 80))
                threading.Thread(target=pump, args=(visitor, host, []), daemon=True).start()
                threading.Thread(target=pump, args=(host, visitor, received), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    with listening:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/", received
        listening.shutdown(socket.SHUT_RDWR)


@pytest.mark.browser
def test_the_first_visit_is_small(context: Any, bundle_folder: Path) -> None:
    files = read_manifest(bundle_folder)["files"]
    model = sum(entry["bytes"] for path, entry in files.items() if path.startswith("model/"))
    with serving(bundle_folder) as own, counted(own) as (address, received):
        visit(context, address)
        # Faster back ends are looked for once the page is at rest, which fetches them.
        context.pages[0].wait_for_timeout(8000)

    print(f"first visit: {sum(received)} bytes, of which model {model}")
    assert sum(received) - model < PAGE_BUDGET_BYTES


@pytest.mark.browser
def test_from_the_second_visit_on_it_is_isolated_on_any_host(context: Any, bundle_folder: Path) -> None:
    with static_host(bundle_folder) as host:
        first = visit(context, host.address)
        assert first.evaluate("crossOriginIsolated") is False
        assert "wasm-threads" not in first.evaluate("() => window.derma.backends()")
        second = context.new_page()
        answer = second.goto(host.address)
        second.evaluate(READY)

        assert second.evaluate("crossOriginIsolated") is True
        assert "wasm-threads" in second.evaluate("() => window.derma.backends()")
        # The service worker answers as the local server does.
        served = StaticFiles(bundle_folder).file(bundle_folder / "index.html").headers
        for name in ("Content-Security-Policy", *(name for name in served if name.startswith("Cross-Origin-"))):
            assert answer.headers[name.lower()] == served[name]
        policy = stated_policy((bundle_folder / "index.html").read_text())
        assert served["Content-Security-Policy"] == f"{policy}; frame-ancestors 'none'"


@pytest.mark.browser
def test_bundles_in_folders_of_one_host_do_not_disturb_each_other(
    context: Any, bundle_folder: Path, next_bundle: Path, tmp_path: Path
) -> None:
    """Nor does one inside another's folder."""
    root = tmp_path / "root"
    shutil.copytree(bundle_folder, root / "clinic" / "one")
    shutil.copytree(next_bundle, root / "clinic" / "two")
    shutil.copytree(next_bundle, root / "clinic" / "one" / "inner")
    with static_host(root) as host:
        addresses = [f"{host.address}clinic/{name}/" for name in ("one", "two", "one/inner")]
        for address in addresses:
            visit(context, address).close()
    context.set_offline(True)
    variants = []
    for address in addresses:
        page = opened(context, address)
        variants.append(page.evaluate(MODEL_IN_USE))
        assert classify(page, picture())

    assert variants == [
        read_manifest(folder)["model"]["variant"] for folder in (bundle_folder, next_bundle, next_bundle)
    ]


@pytest.mark.browser
def test_a_new_version_waits_until_asked_and_then_everything_is_new(
    context: Any, bundle_folder: Path, next_bundle: Path
) -> None:
    old, new = manifest_hash(bundle_folder), manifest_hash(next_bundle)
    with static_host(bundle_folder) as host:
        first, second = visit(context, host.address), opened(context, host.address)
        host.folder = next_bundle
        first.evaluate(LOOK_FOR_UPDATE)
        for page in (first, second):
            wait_for_offline(page, "update-waiting")

        # Whoever opens the page now gets the old version, too, whole.
        third = opened(context, host.address)
        for page in (first, second, third):
            assert page.evaluate(HASH_OF_MANIFEST) == old
            assert page.evaluate(MODEL_IN_USE) == "float32"
        before = third.evaluate(CACHED)
        assert sum(len(urls) for name, urls in before.items() if name == "derma-model") == len(
            {*model_keys(bundle_folder, host.address), *model_keys(next_bundle, host.address)}
        )

        with second.expect_navigation(), third.expect_navigation(), first.expect_navigation():
            second.click("#update")
        host.folder = Path("/absent")
        for page in (first, second, third):
            page.evaluate(READY)
            assert page.evaluate(HASH_OF_MANIFEST) == new
            assert page.evaluate(MODEL_IN_USE) == "uint8"
            assert offline_state(page) == "ready"
        assert set(first.evaluate(CACHED)["derma-model"]) == model_keys(next_bundle, host.address)


def model_keys(bundle: Path, address: str) -> set[str]:
    manifest = read_manifest(bundle)
    return {f"{address}{path}?sha256={manifest['files'][path]['sha256']}" for path in manifest["model"]["files"]}


@pytest.mark.browser
@pytest.mark.parametrize("pattern", ["model/*.bin", "model/model.json", ADDED_FILE, "index.html", "manifest.json"])
def test_a_damaged_new_version_is_not_taken_and_the_old_one_goes_on(
    context: Any, bundle_folder: Path, next_bundle: Path, tmp_path: Path, pattern: str
) -> None:
    with static_host(bundle_folder) as host:
        page = visit(context, host.address)
        host.folder = damaged(next_bundle, pattern, tmp_path)
        assert page.evaluate(INSTALL_FAILED) == "redundant"
        assert offline_state(page) == "ready"
    context.set_offline(True)
    page.reload()
    page.evaluate(READY)

    assert page.evaluate(HASH_OF_MANIFEST) == manifest_hash(bundle_folder)
    assert classify(page, picture())


@pytest.mark.browser
@pytest.mark.parametrize("asked_for", ["manifest.json", "model/model.json", "model/group1-shard2"])
def test_a_phone_that_downloads_while_the_served_bundle_changes_gets_all_of_the_new_one(
    context: Any, bundle_folder: Path, next_bundle: Path, tmp_path: Path, asked_for: str
) -> None:
    served = tmp_path / "current"
    served.symlink_to(bundle_folder)

    def exchange_first(route: Any) -> None:
        if served.readlink() == bundle_folder:
            (tmp_path / "next").symlink_to(next_bundle)
            (tmp_path / "next").replace(served)
        route.continue_()

    with serving(served) as address:
        page = context.new_page()
        page.route(f"**/{asked_for}*", exchange_first)
        page.goto(address)
        wait_for_offline(page, "ready")
        assert served.readlink() == next_bundle
        assert page.evaluate(HASH_OF_MANIFEST) == manifest_hash(next_bundle)
        assert page.evaluate(MODEL_IN_USE) == "uint8"
        assert set(page.evaluate(CACHED)["derma-model"]) == model_keys(next_bundle, address)
    context.set_offline(True)
    page.reload()
    page.evaluate(READY)

    assert classify(page, picture())


@pytest.mark.browser
def test_a_damaged_first_version_is_not_kept(context: Any, bundle_folder: Path, tmp_path: Path) -> None:
    with static_host(damaged(bundle_folder, "model/*.bin", tmp_path)) as host:
        page = context.new_page()
        page.goto(host.address)
        assert page.evaluate("() => window.derma.ready.then(() => '', (error) => error.problem.code)") == "file_damaged"
        page.wait_for_timeout(500)

        assert page.evaluate("async () => (await navigator.serviceWorker.getRegistrations()).length") == 0


@pytest.mark.browser
def test_a_lazily_loaded_decoder_is_kept_from_its_first_use_on(context: Any, bundle_folder: Path) -> None:
    tiff = picture(file_format="TIFF")
    with static_host(bundle_folder) as host:
        visit(context, host.address)
        page = opened(context, host.address)
        assert not [url for urls in page.evaluate(CACHED).values() for url in urls if "lazy-tiff" in url]
        expected = probabilities(page, tiff, "image/tiff")
    context.set_offline(True)
    page.reload()
    page.evaluate(READY)

    assert probabilities(page, tiff, "image/tiff") == pytest.approx(expected, abs=1e-5)


@pytest.mark.browser
def test_a_login_page_in_place_of_a_lazily_loaded_decoder_is_not_kept(
    context: Any, bundle_folder: Path, tmp_path: Path
) -> None:
    captive = tmp_path / "captive"
    shutil.copytree(bundle_folder, captive)
    for decoder in captive.glob("assets/lazy-*"):
        decoder.write_text("<!doctype html><title>Log in</title>")
    tiff = picture(file_format="TIFF")
    with static_host(bundle_folder) as host:
        visit(context, host.address)
        host.folder = captive
        page = opened(context, host.address)
        assert page.evaluate(
            "async (bytes) => window.derma.analyse(new Blob([new Uint8Array(bytes)])).then(() => '', String)",
            list(tiff),
        )
        host.folder = bundle_folder
        page.reload()
        page.evaluate(READY)

        assert probabilities(page, tiff, "image/tiff")


@pytest.mark.browser
def test_over_plain_http_it_works_but_says_that_nothing_is_kept(
    browser: Any, browser_program: Path, bundle_folder: Path
) -> None:
    """As on a phone that opens it from a computer in the same network."""
    insecure = browser.browser_type.launch(
        executable_path=browser_program, args=["--disable-gpu", "--host-resolver-rules=MAP ward.test 127.0.0.1"]
    )
    with static_host(bundle_folder) as host:
        page = opened(insecure, host.address.replace("127.0.0.1", "ward.test"))

        assert page.evaluate("() => isSecureContext") is False
        assert offline_state(page) == "unsupported"
        assert classify(page, picture())
    insecure.close()


@pytest.mark.browser
def test_it_can_be_installed(browser: Any, browser_program: Path, bundle_folder: Path, tmp_path: Path) -> None:
    with static_host(bundle_folder) as host:
        context = persistent(browser, browser_program, tmp_path)
        page = visit(context, host.address)
        page.wait_for_selector("#install")
        session = context.new_cdp_session(page)

        assert session.send("Page.getInstallabilityErrors")["installabilityErrors"] == []
        manifest = session.send("Page.getAppManifest")
        assert manifest["errors"] == []
        assert manifest["url"] == f"{host.address}app.webmanifest"
        context.close()
