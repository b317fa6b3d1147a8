"""Serving a bundle on this computer: `python -m derma_assets.browser.serve`."""

import argparse
import functools
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from typing import Any

from derma_assets.browser.bundle import MANIFEST
from derma_assets.errors import UserError
from derma_assets.settings import settings
from derma_assets.storage.paths import stored_path

HOST = "127.0.0.1"
PORT = 8080


class _BundleHandler(SimpleHTTPRequestHandler):
    """Files of one folder, nothing else: no listings, nothing through a link that leads out."""

    # Spelled out, because Python otherwise asks the machine's own tables, and browsers insist on these two.
    extensions_map = {  # noqa: RUF012
        ".html": "text/html; charset=utf-8",
        ".js": "text/javascript; charset=utf-8",
        ".css": "text/css; charset=utf-8",
        ".json": "application/json",
        ".svg": "image/svg+xml",
        ".wasm": "application/wasm",
        "": "application/octet-stream",
    }

    def send_head(self) -> Any:
        inside = Path(self.translate_path(self.path)).resolve().is_relative_to(Path(self.directory).resolve())
        if not inside:
            self.send_error(HTTPStatus.NOT_FOUND)
            return None
        return super().send_head()

    def list_directory(self, path: Any) -> BytesIO | None:
        self.send_error(HTTPStatus.NOT_FOUND)
        return None

    def end_headers(self) -> None:
        self.send_header("Cache-Control", "no-cache")
        self.send_header("X-Content-Type-Options", "nosniff")
        super().end_headers()

    def log_message(self, format: str, *arguments: Any) -> None:
        """Say nothing: the page shows what is missing."""


def _server(bundle: Path, port: int) -> ThreadingHTTPServer:
    return ThreadingHTTPServer((HOST, port), functools.partial(_BundleHandler, directory=str(bundle)))


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """Serve `folder` on a free port of the loopback interface meanwhile, and yield its address."""
    server = _server(folder, 0)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://{HOST}:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def serve(bundle: Path, port: int) -> None:
    """Serve a bundle until interrupted.

    Raises:
        UserError: there is no bundle, or the port is taken.
    """
    if not (bundle / MANIFEST).is_file():
        raise UserError(f"there is no bundle at {bundle}: run `make demo` first, or materialize tfjs_bundle.")
    try:
        server = _server(bundle, port)
    except OSError as error:
        raise UserError(f"cannot listen on {HOST}:{port} ({error.strerror}): choose another with --port.") from error
    with server:
        print(f"Open http://{HOST}:{server.server_port}/ in a browser. Ctrl+C stops.", flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print()


def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit status."""
    parser = argparse.ArgumentParser(prog="python -m derma_assets.browser.serve", description=__doc__)
    parser.add_argument("--port", type=int, default=PORT, help=f"port to listen on, default {PORT}; 0: any free one")
    parser.add_argument("--bundle", type=Path, default=None, help="folder to serve, default: the stored bundle")
    chosen = parser.parse_args(arguments)
    try:
        serve(chosen.bundle or stored_path(settings().store, "tfjs_bundle", "folder"), chosen.port)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
