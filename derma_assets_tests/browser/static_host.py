"""A static host as a clinic may have one, and what is done with a page on it."""

import io
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from derma_assets.dataset.synthetic_skin import draw_picture
from derma_assets.diagnoses import MELANOMA

READY = "async () => { await window.derma.ready; }"


@dataclass
class StaticHost:
    """A host that sends files and nothing else: no policy, no isolation, no word on caching.

    Attributes:
        folder: What it serves; another folder is another version.
        headers: Sent with every answer.
        address: Where.
        asked: Path of every request that was answered with a file.
    """

    folder: Path
    headers: dict[str, str] = field(default_factory=dict)
    address: str = ""
    asked: list[str] = field(default_factory=list)


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: a browser that is closed breaks connections off."""


@contextmanager
def static_host(folder: Path, **headers: str) -> Iterator[StaticHost]:
    """Serve `folder` meanwhile."""
    host = StaticHost(folder, {name.replace("_", "-"): value for name, value in headers.items()})

    class Handler(SimpleHTTPRequestHandler):
        extensions_map = {  # noqa: RUF012
            "": "application/octet-stream",
            ".html": "text/html",
            ".js": "text/javascript",
            ".css": "text/css",
            ".svg": "image/svg+xml",
            ".wasm": "application/wasm",
        }

        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments, directory=str(host.folder))

        def send_head(self) -> Any:
            # Versions are made within one second here, which is as finely as this header tells them apart.
            del self.headers["If-Modified-Since"]
            return super().send_head()

        def end_headers(self) -> None:
            for name, value in host.headers.items():
                self.send_header(name, value)
            super().end_headers()

        def log_request(self, code: Any = "-", size: Any = "-") -> None:
            if int(code) == 200:
                host.asked.append(self.path.partition("?")[0])

        def log_message(self, *_: Any) -> None:
            pass

    server = _Server(("127.0.0.1", 0), Handler)
    host.address = f"http://127.0.0.1:{server.server_port}/"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield host
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def picture(code: str = MELANOMA, file_format: str = "PNG") -> bytes:
    """Return a picture file of a generated lesion."""
    buffer = io.BytesIO()
    draw_picture(code, 3, 0).save(buffer, file_format)
    return buffer.getvalue()


def opened(context: Any, address: str) -> Any:
    """Open the page in a new tab and wait for its model."""
    page = context.new_page()
    page.goto(address)
    page.evaluate(READY)
    return page


def visit(context: Any, address: str) -> Any:
    """Open the page in a new tab and wait until it is on the device."""
    page = opened(context, address)
    wait_for_offline(page, "ready")
    return page


def wait_for_offline(page: Any, state: str) -> None:
    """Wait until the page says so of itself."""
    page.wait_for_selector(f'#status[data-offline="{state}"]')


def classify(page: Any, content: bytes, name: str = "lesion.png", mime_type: str = "image/png") -> str:
    """Choose a picture, let it be judged as it is framed, and return the verdict."""
    page.set_input_files("#file", {"name": name, "mimeType": mime_type, "buffer": content})
    page.click("#analyse")
    page.wait_for_selector("#verdict:visible")
    return page.inner_text("#verdict")


def probabilities(page: Any, content: bytes, mime_type: str = "image/png") -> list[float]:
    """Return the calibrated probabilities that the page finds."""
    return page.evaluate(
        """async ([bytes, type]) => {
          const found = await window.derma.analyse(new Blob([new Uint8Array(bytes)], { type }));
          return Array.from(found.findings.probabilities);
        }""",
        [list(content), mime_type],
    )
