"""Serving a bundle on this computer, and on request in its network: `python -m derma_assets.browser.serve`."""

import argparse
import socket
import ssl
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote

from derma_assets.browser.bundle import MANIFEST
from derma_assets.browser.lan import lan_addresses, qr_code
from derma_assets.browser.static_files import StaticFiles, accepts_gzip
from derma_assets.errors import StorageError, UserError, told_to_the_user
from derma_assets.promotion.following import following
from derma_assets.promotion.served import BUNDLE, Promoted, current
from derma_assets.promotion.shared import CURRENT, linked, pull
from derma_assets.release.layout import is_release
from derma_assets.release.unpacked import said_of, unpacked_bundle
from derma_assets.settings import DATASET_DEFAULTS, settings
from derma_assets.storage.paths import address_of_copy, promoted_path, unpacked_release_path
from derma_assets.storage.published import fetched_path

HOST = "127.0.0.1"
EVERYWHERE = "0.0.0.0"
PORT = 8080

OVER_HTTP = """\
Over plain http a phone can use the page, but can neither install it nor keep it for offline use: browsers want https
for that. To have both:
  - put the folder on any static host with https (GitHub Pages, for example), in whatever sub-folder; or
  - connect the phone by USB and run `adb reverse tcp:{port} tcp:{port}`, then open http://127.0.0.1:{port}/ on it; or
  - make app LAN=1 CERTIFICATE=cert.pem KEY=key.pem, with a certificate that the phone trusts."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 60
    # Without these two every small file costs a round of delayed acknowledgements.
    disable_nagle_algorithm = True
    wbufsize = -1
    server: "_Server"

    def do_GET(self) -> None:
        self._answer(with_content=True)

    def do_HEAD(self) -> None:
        self._answer(with_content=False)

    def _answer(self, with_content: bool) -> None:
        files = self.server.files
        path = files.path(self.path)
        if path is None:
            self.send_error(HTTPStatus.NOT_FOUND)
            return
        address, _, query = self.path.partition("?")
        if path.is_dir():
            if not address.endswith("/"):
                self._send(HTTPStatus.MOVED_PERMANENTLY, {"Location": f"{quote(path.name)}/{query and '?' + query}"})
                return
            path = path / "index.html"
        file = files.file(path)
        if file.etag in [one.strip() for one in self.headers.get("If-None-Match", "").split(",")]:
            self._send(HTTPStatus.NOT_MODIFIED, file.headers)
            return
        headers, content = file.headers, file.content
        if file.compressed is not None and accepts_gzip(self.headers.get("Accept-Encoding")):
            headers, content = {**headers, "Content-Encoding": "gzip"}, file.compressed
        self._send(HTTPStatus.OK, headers, content, with_content)

    def _send(
        self, status: HTTPStatus, headers: dict[str, str], content: bytes = b"", with_content: bool = True
    ) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if status != HTTPStatus.NOT_MODIFIED:
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if with_content:
            self.wfile.write(content)

    def log_message(self, format: str, *arguments: Any) -> None:
        """Say nothing: the page shows what is missing."""


class _Server(ThreadingHTTPServer):
    """A server whose connections end with it: browsers keep theirs open."""

    def __init__(self, folder: Path, host: str, port: int, tls: ssl.SSLContext | None = None) -> None:
        self.files = StaticFiles(folder)
        self._open: set[socket.socket] = set()
        super().__init__((host, port), _Handler)
        if tls is not None:
            # The handshake is left to the connection's own thread: a slow phone must not hold up the others.
            self.socket = tls.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)

    def process_request(self, request: Any, client_address: Any) -> None:
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._open.discard(request)
        super().shutdown_request(request)

    def server_close(self) -> None:
        super().server_close()
        for request in list(self._open):
            with suppress(OSError):
                request.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        # A phone that goes away, or that does not trust the certificate, is none.
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


@contextmanager
def serving(folder: Path, tls: ssl.SSLContext | None = None) -> Iterator[str]:
    """Serve `folder` on a free port of the loopback interface meanwhile, and yield its address."""
    server = _Server(folder, HOST, 0, tls)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield f"{'https' if tls else 'http'}://{HOST}:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@dataclass(frozen=True)
class Found:
    """A bundle to serve.

    Attributes:
        folder: Where it is.
        what: Which model it has, in words.
        promoted: The folder of the promoted bundles that it is one of, if it is: what is promoted later is served then.
    """

    folder: Path
    what: str
    promoted: Path | None = None


def newest_bundle() -> Found:
    """Return the bundle that is promoted now; else the one that a run made last; else that of the release.

    Of the runs' bundles only that of the chosen data set counts if one was chosen (`DERMA_DATASET`), otherwise any.
    With object storage only what was promoted is served, by whichever machine: what a run has made there may be what
    was refused.

    Raises:
        UserError: there is none, what is promoted is damaged, or so is the release.
    """
    chosen = settings()
    names = [chosen.dataset] if "dataset" in chosen.model_fields_set else list(DATASET_DEFAULTS)
    served = [promoted_path(chosen.root, name, chosen.storage) for name in names]
    promoted = [one for folder in served if (one := _brought(folder)) is not None]
    if promoted:
        return _promoted(max(promoted, key=lambda one: one.document["date"]))
    copied = [address for folder in served if (address := address_of_copy(folder)) is not None]
    if copied:
        raise UserError(f"nothing has been promoted yet in {' or '.join(copied)}: materialize released_bundle first.")
    stores = [chosen.model_copy(update={"dataset": name}).store for name in names]
    made = [fetched_path(store, "tfjs_bundle", "folder") for store in stores]
    found = [bundle for bundle in made if (bundle / MANIFEST).is_file()]
    if found:
        return made_by_a_run(max(found, key=_made_at))
    if is_release(chosen.release):
        what = f"{said_of(chosen.release)}\n`make demo` trains a model of the embedded sample instead."
        return Found(unpacked_bundle(chosen.release, unpacked_release_path(chosen.root)), what)
    raise UserError(
        f"there is no bundle below {chosen.root} and no release in {chosen.release}: run `make demo` first, or "
        "materialize tfjs_bundle."
    )


def _brought(folder: Path) -> Promoted | None:
    """Return what is promoted now, after a look at what other machines have promoted; None if nothing is.

    Raises:
        UserError: object storage cannot be asked and nothing was fetched before, or what is promoted is damaged.
    """
    try:
        pull(folder)
    except StorageError as error:
        if current(folder) is None:
            raise
        print(f"{error} Served is what was fetched before.", file=sys.stderr, flush=True)
    now = current(folder)
    if now is None and linked(folder) is not None:
        raise UserError(
            f"{folder / CURRENT}, what is served, has no document as it was written: go back to the bundle before with "
            "`make rollback`, or materialize released_bundle."
        )
    return now


def _promoted(one: Promoted) -> Found:
    link = one.folder.parent / CURRENT / BUNDLE
    what = f"{link}, promoted {one.document['date']}; what is promoted later is served from then on."
    if BUNDLE in one.damaged():
        what += "\nIts files are damaged, so the page will refuse them: materialize released_bundle to mend it."
    return Found(link, what, one.folder.parent)


def made_by_a_run(bundle: Path) -> Found:
    """Return the bundle in a folder, said to be from then.

    Raises:
        UserError: there is none.
    """
    if not (bundle / MANIFEST).is_file():
        raise UserError(f"there is no bundle at {bundle}: run `make demo` first, or materialize tfjs_bundle.")
    made = datetime.fromtimestamp(_made_at(bundle)).strftime("%Y-%m-%d %H:%M")
    return Found(bundle, f"{bundle}, made {made}.")


def serve(
    bundle: Found, port: int, lan: bool = False, certificate: Path | None = None, key: Path | None = None
) -> None:
    """Serve a bundle until interrupted, and say how to open it.

    Args:
        bundle: Which.
        port: To listen on; 0: any free one.
        lan: Whether other devices in the network may open it; otherwise only this computer.
        certificate: PEM file of a certificate for https.
        key: PEM file of its key, unless the certificate's file has it too.

    Raises:
        UserError: the certificate cannot be used, or the port is taken.
    """
    host = EVERYWHERE if lan else HOST
    tls = tls_context(certificate, key) if certificate else None
    try:
        server = _Server(bundle.folder, host, port, tls)
    except OSError as error:
        raise UserError(f"cannot listen on {host}:{port} ({error.strerror}): choose another with --port.") from error
    with server, ExitStack() as meanwhile:
        if bundle.promoted is not None:
            meanwhile.enter_context(
                following(bundle.promoted, say=lambda said: print(said, file=sys.stderr, flush=True))
            )
        print(f"Serving {bundle.what}", flush=True)
        print(instructions(server.server_port, lan, secure=tls is not None), flush=True)
        with suppress(KeyboardInterrupt):
            server.serve_forever()
        print()


def tls_context(certificate: Path, key: Path | None) -> ssl.SSLContext:
    """Return what serves https with a certificate.

    Raises:
        UserError: the files are not a certificate and its key.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(certificate, key)
    except OSError as error:
        raise UserError(f"{certificate} cannot be used as a certificate: {error}.") from error
    return context


def instructions(port: int, lan: bool, secure: bool) -> str:
    """Return what to do to open the page, on this computer and on a phone."""
    scheme = "https" if secure else "http"
    lines = [f"Open {scheme}://{HOST}:{port}/ in a browser. Ctrl+C stops."]
    if not lan:
        return "\n".join([*lines, "To open it on a phone in the same network: make app LAN=1"])
    addresses = [f"{scheme}://{address}:{port}/" for address in lan_addresses()]
    if addresses:
        lines += ["On a phone in the same network, open:", *(f"  {address}" for address in addresses)]
        lines += ["", qr_code(addresses[0])]
    else:
        lines.append("This computer is in no network that a phone could share.")
    if not secure:
        lines.append(OVER_HTTP.format(port=port))
    return "\n".join(lines)


@told_to_the_user
def main(arguments: list[str] | None = None) -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m derma_assets.browser.serve", description=__doc__)
    parser.add_argument("--port", type=int, default=PORT, help=f"port to listen on, default {PORT}; 0: any free one")
    parser.add_argument(
        "--bundle",
        type=Path,
        default=None,
        help="folder to serve, default: what is promoted, of the last run, or the release",
    )
    parser.add_argument("--lan", action="store_true", help="let other devices in this computer's network open it")
    parser.add_argument("--certificate", type=Path, default=None, help="PEM file of a certificate, to serve https")
    parser.add_argument("--key", type=Path, default=None, help="PEM file of its key, if it is in a file of its own")
    chosen = parser.parse_args(arguments)
    bundle = made_by_a_run(chosen.bundle) if chosen.bundle else newest_bundle()
    serve(bundle, chosen.port, chosen.lan, chosen.certificate, chosen.key)


def _made_at(bundle: Path) -> float:
    return (bundle / MANIFEST).stat().st_mtime


if __name__ == "__main__":
    sys.exit(main())
