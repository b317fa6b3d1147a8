"""The page's Content-Security-Policy is the smallest it works with, holds in its workers, and keeps all else out."""

import json
import re
import shutil
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Error

from derma_assets.browser.static_files import StaticFiles, stated_policy
from derma_assets.browser.web_build import SOURCES
from derma_assets_tests.browser.static_host import READY, StaticHost, classify, opened, picture, static_host, visit

ISOLATION = {
    "Cross_Origin_Opener_Policy": "same-origin",
    "Cross_Origin_Embedder_Policy": "require-corp",
}
# What works needs a few seconds; what is forbidden is often waited for without end.
PATIENCE_MS = 60_000
IMPATIENCE_MS = 15_000
ELSEWHERE = "http://127.0.0.1:9/"

# Whatever is refused says so to the document, also from before the page's own script.
WATCH = """() => {
  window.refused = [];
  document.addEventListener("securitypolicyviolation", ({ effectiveDirective, blockedURI }) => {
    window.refused.push(`${effectiveDirective} ${blockedURI}`);
  });
}"""
RUN_WITH_THREADS = """async (patience) => {
  const late = new Promise((_, reject) => setTimeout(() => reject(new Error("late")), patience));
  const soon = (promise) => Promise.race([promise, late]);
  await soon(window.derma.ready);
  const { preprocessing } = await window.derma.manifest();
  const pixels = new Float32Array(preprocessing.size ** 2 * 3).fill(128);
  const one = await soon(window.derma.predictTensor(pixels, { backend: "wasm" }));
  const two = await soon(window.derma.predictTensor(pixels, { backend: "wasm-threads" }));
  return Math.max(...one.logits.map((logit, index) => Math.abs(logit - two.logits[index])));
}"""


def allowances() -> list[tuple[str, str]]:
    """Return each source that the policy allows, with its directive."""
    source = (SOURCES / "src" / "policy.ts").read_text()
    directives = re.findall(r'^  "([a-z-]+-src) (.*)",$', source, re.MULTILINE)
    return [(name, one) for name, listed in directives for one in listed.split() if one != "'none'"]


def with_policy(bundle: Path, folder: Path, policy: str) -> Path:
    """Return a copy of a bundle whose page states another policy."""
    shutil.copytree(bundle, folder)
    page = folder / "index.html"
    html = page.read_text()
    changed = re.sub(r'(http-equiv="Content-Security-Policy" content=")[^"]*', rf"\g<1>{escape(policy)}", html)
    assert changed != html or policy == stated_policy(html)
    page.write_text(changed)
    return folder


def complaints(context: Any, host: StaticHost, patience_ms: int) -> list[str]:
    """Use all that the page has, and return what did not work, or was refused."""
    context.add_init_script(f"({WATCH})()")
    page = context.new_page()
    page.set_default_timeout(patience_ms)
    page.goto(host.address)
    found = []
    try:
        found.append(threads_compute(page, patience_ms))
        found.append(picture_is_judged(page))
        found.append(every_screen_opens(page))
        found.append(page_is_styled(page))
        found.append(app_is_described(page))
    except Error as error:
        found.append(error.message)
    return [*filter(None, found), *page.evaluate("() => window.refused")]


def threads_compute(page: Any, patience_ms: int = PATIENCE_MS) -> str:
    difference = page.evaluate(RUN_WITH_THREADS, patience_ms)
    return "" if difference < 1e-4 else f"differs by {difference}"


def picture_is_judged(page: Any) -> str:
    return "" if classify(page, picture()) else "no verdict"


def every_screen_opens(page: Any) -> str:
    for link in page.locator("nav a").all():
        link.click()
        page.wait_for_selector("#content h1")
    return ""


def page_is_styled(page: Any) -> str:
    rules = page.evaluate("() => Array.from(document.styleSheets, (sheet) => sheet.cssRules.length)")
    return "" if sum(rules) > 10 else "no style"


def app_is_described(page: Any) -> str:
    session = page.context.new_cdp_session(page)
    if not session.send("Page.getAppManifest").get("data"):
        return "no web app manifest"
    errors = {error["errorId"] for error in session.send("Page.getInstallabilityErrors")["installabilityErrors"]}
    return str(errors - {"in-incognito"} or "")


@pytest.fixture
def context(browser: Any) -> Iterator[Any]:
    own = browser.new_context()
    yield own
    own.close()


@pytest.mark.browser
def test_everything_works_under_the_policy(context: Any, bundle_folder: Path) -> None:
    with static_host(bundle_folder, **ISOLATION) as host:
        assert complaints(context, host, PATIENCE_MS) == []


@pytest.mark.browser
@pytest.mark.parametrize(("directive", "source"), allowances())
def test_nothing_in_the_policy_can_be_left_out(
    context: Any, bundle_folder: Path, tmp_path: Path, directive: str, source: str
) -> None:
    policy = stated_policy((bundle_folder / "index.html").read_text())
    assert policy
    directives = {name: values for name, *values in (one.split() for one in policy.split("; "))}
    directives[directive] = [one for one in directives[directive] if one != source] or ["'none'"]
    smaller = "; ".join(" ".join([name, *values]) for name, values in directives.items())
    with static_host(with_policy(bundle_folder, tmp_path / "smaller", smaller), **ISOLATION) as host:
        assert complaints(context, host, IMPATIENCE_MS)


@pytest.mark.browser
def test_what_the_service_worker_answers_is_under_the_same_policy(context: Any, bundle_folder: Path) -> None:
    """Every file, and threads on a host that sends no headers."""
    with static_host(bundle_folder) as host:
        visit(context, host.address).close()
        page = context.new_page()
        answers = []
        page.on("response", lambda response: answers.append(response))
        page.goto(host.address)
        page.evaluate(READY)
        assert threads_compute(page) == ""

    expected = StaticFiles(bundle_folder).file(bundle_folder / "index.html").headers["Content-Security-Policy"]
    kept = [answer for answer in answers if answer.from_service_worker]
    assert len(kept) > 3
    assert {answer.headers["content-security-policy"] for answer in kept} == {expected}


@pytest.fixture(scope="module")
def page(browser: Any, bundle_folder: Path) -> Iterator[Any]:
    own = browser.new_context()
    own.add_init_script(f"({WATCH})()")
    with static_host(bundle_folder, **ISOLATION) as host:
        yield opened(own, host.address)
    own.close()


def adding(tag: str, **properties: str) -> str:
    """Return a statement that puts an element into the page."""
    return f"document.body.append(Object.assign(document.createElement('{tag}'), {json.dumps(properties)}))"


@pytest.mark.browser
@pytest.mark.parametrize(
    ("directive", "attempt"),
    [
        ("connect-src", f"await fetch('{ELSEWHERE}', {{ mode: 'no-cors' }})"),
        ("connect-src", "await fetch('data:text/plain,x')"),
        ("connect-src", f"navigator.sendBeacon('{ELSEWHERE}', 'x')"),
        ("connect-src", "new WebSocket('ws://127.0.0.1:9/')"),
        ("img-src", adding("img", src=f"{ELSEWHERE}x.png")),
        ("script-src-elem", adding("script", text="1")),
        ("script-src-elem", adding("script", src=f"{ELSEWHERE}x.js")),
        ("script-src-elem", f"await import('{ELSEWHERE}x.js')"),
        ("script-src", "setTimeout('1')"),
        ("script-src-attr", "document.body.setAttribute('onclick', '1')"),
        ("worker-src", "new Worker('data:text/javascript,1')"),
        ("style-src-elem", adding("style", textContent="p {}")),
        ("style-src-elem", adding("link", rel="stylesheet", href=f"{ELSEWHERE}x.css")),
        ("font-src", f"await new FontFace('x', 'url({ELSEWHERE}x.woff)').load()"),
        ("media-src", adding("audio", src=f"{ELSEWHERE}x.mp3")),
        ("frame-src", adding("iframe", src=ELSEWHERE)),
        ("object-src", adding("object", data=ELSEWHERE)),
        ("base-uri", adding("base", href=ELSEWHERE)),
        ("form-action", f"{adding('form', id='sent', action=ELSEWHERE)}; document.getElementById('sent').submit()"),
    ],
)
def test_the_page_can_do_nothing_else(page: Any, directive: str, attempt: str) -> None:
    page.evaluate("() => { window.refused.length = 0; }")
    page.evaluate(f"async () => {{ try {{ {attempt}; }} catch {{}} }}")
    page.wait_for_function("() => window.refused.length > 0")

    assert {refused.split()[0] for refused in page.evaluate("() => window.refused")} == {directive}


@pytest.mark.browser
@pytest.mark.parametrize("isolated", [True, False])
def test_its_workers_can_reach_no_other_host(context: Any, bundle_folder: Path, isolated: bool) -> None:
    """A worker takes the policy of the page that starts it, on a host that sends none."""
    with (
        static_host(bundle_folder, **(ISOLATION if isolated else {})) as host,
        static_host(
            bundle_folder, Access_Control_Allow_Origin="*", Cross_Origin_Resource_Policy="cross-origin"
        ) as other,
    ):
        page = opened(context, host.address)
        workers = [worker for worker in page.workers if worker.evaluate("() => typeof importScripts") == "function"]
        assert len(workers) >= 2
        for worker in workers:
            assert (
                worker.evaluate(
                    "(url) => fetch(url).then(() => 'reached', () => 'refused')", f"{other.address}manifest.json"
                )
                == "refused"
            )
            assert (
                worker.evaluate("(url) => fetch(url).then(() => 'reached')", f"{host.address}manifest.json")
                == "reached"
            )
        assert other.asked == []


@pytest.mark.browser
def test_every_request_from_opening_to_verdict_is_to_its_own_host(context: Any, bundle_folder: Path) -> None:
    """Those of workers and of the service worker too; and none carries anything."""
    asked: list[tuple[str, str, bytes | None]] = []
    context.on("request", lambda request: asked.append((request.method, request.url, request.post_data_buffer)))
    with static_host(bundle_folder) as host:
        page = visit(context, host.address)
        loaded = len(host.asked)
        assert classify(page, picture())

        # Back ends that are tried once the page is at rest are code, and never asked for with anything in the address.
        later = host.asked[loaded:]
    assert [path for path in later if not path.startswith("/assets/lazy-")] == []
    assert any(url.endswith("sw.js") for _, url, _ in asked)
    for method, url, sent in asked:
        assert url.startswith((host.address, f"blob:{host.address}"))
        assert (method, sent) == ("GET", None)
