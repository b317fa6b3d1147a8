"""Single timed runs in a browser: from a picture's file to the findings, in an open page and from opening one.

Both clocks are the page's own (`performance.now()`): what drives the browser from outside is not counted.
"""

import base64
import io
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from derma_assets.dataset.synthetic_skin import draw_picture
from derma_assets.diagnoses import MELANOMA

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

# As HAM10000's pictures are.
PICTURE_SIZE = (600, 450)
_JPEG_QUALITY = 98
# Grain of a sensor: without it a drawn picture would be a fraction of a photograph's bytes, and sooner decoded.
_GRAIN = 8.0

_KEEP_PICTURE = """([encoded, type]) => {
  const bytes = Uint8Array.from(atob(encoded), (character) => character.charCodeAt(0));
  window.timedPicture = new Blob([bytes], { type });
}"""
_WARM_RUN = """async ([options]) => {
  const started = performance.now();
  const { prediction } = await window.derma.analyse(window.timedPicture, options);
  return [performance.now() - started, Array.from(prediction.logits)];
}"""
# Takes the page's interface the moment the page sets it. Preparing the picture is not the page's work, so not counted.
_COLD_SCRIPT = """(() => {{
  const before = performance.now();
  const bytes = Uint8Array.from(atob("{encoded}"), (character) => character.charCodeAt(0));
  const picture = new Blob([bytes], {{ type: "image/jpeg" }});
  const preparing = performance.now() - before;
  window.firstFindings = new Promise((resolve, reject) => {{
    Object.defineProperty(window, "derma", {{
      configurable: true,
      set(derma) {{
        Object.defineProperty(window, "derma", {{ value: derma }});
        derma.analyse(picture, {options}).then(() => resolve(performance.now() - preparing), reject);
      }},
    }});
  }});
}})()"""
_COLD_RUN = "async () => await window.firstFindings"


def photograph(seed: int = 0) -> bytes:
    """Return the JPEG file of a drawn melanoma, `PICTURE_SIZE`, of a photograph's size in bytes."""
    drawn = draw_picture(MELANOMA, seed, 0).resize(PICTURE_SIZE, Image.Resampling.BICUBIC)
    grain = np.random.default_rng(seed).normal(0, _GRAIN, (*PICTURE_SIZE[::-1], 3))
    pixels = np.clip(np.asarray(drawn) + grain, 0, 255).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=_JPEG_QUALITY)
    return buffer.getvalue()


def browser_process(browser: "Browser") -> int:
    """Return the process of a running Chromium that all its others descend from."""
    session = browser.new_browser_cdp_session()
    try:
        processes = session.send("SystemInfo.getProcessInfo")["processInfo"]
    finally:
        session.detach()
    return next(int(process["id"]) for process in processes if process["type"] == "browser")


def keep_picture(page: "Page", content: bytes, mime_type: str = "image/jpeg") -> None:
    """Give an open page the picture file that `warm_run` analyses."""
    page.evaluate(_KEEP_PICTURE, [base64.b64encode(content).decode(), mime_type])


def warm_run(page: "Page", options: Mapping[str, Any]) -> tuple[float, np.ndarray]:
    """Return the milliseconds from the picture's file to the findings in an open page, and the logits.

    Args:
        page: Open, its model loaded, with a picture from `keep_picture`.
        options: Of the page's `analyse`: which back end, how many views.
    """
    milliseconds, logits = page.evaluate(_WARM_RUN, [dict(options)])
    return float(milliseconds), np.asarray(logits, np.float32)


def cold_run(browser: "Browser", address: str, jpeg: bytes, options: Mapping[str, Any]) -> float:
    """Return the milliseconds from opening a page that the browser has never seen to the findings on a picture.

    The page is given the picture as soon as its script runs, long before its model is loaded.
    """
    context = browser.new_context()
    try:
        encoded = base64.b64encode(jpeg).decode()
        context.add_init_script(_COLD_SCRIPT.format(encoded=encoded, options=json.dumps(options)))
        page = context.new_page()
        page.goto(address, wait_until="commit")
        return float(page.evaluate(_COLD_RUN))
    finally:
        context.close()
