"""The local server gives the bundle's files, with the types browsers insist on, and nothing else."""

import http.client
import socket
import urllib.error
import urllib.request
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from derma_assets.browser.serve import main, serve, serving
from derma_assets.errors import UserError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    bundle = tmp_path / "bundle"
    (bundle / "assets").mkdir(parents=True)
    (bundle / "index.html").write_text("<!doctype html>")
    for name in ("back.wasm", "page.js", "page.css", "manifest.json", "group1-shard1of1.bin"):
        (bundle / "assets" / name).write_bytes(b"{}")
    (tmp_path / "secret.txt").write_text("secret")
    (bundle / "link.txt").symlink_to(tmp_path / "secret.txt")
    return bundle


@pytest.mark.parametrize(
    ("path", "mime_type"),
    [
        ("", "text/html; charset=utf-8"),
        ("assets/back.wasm", "application/wasm"),
        ("assets/page.js", "text/javascript; charset=utf-8"),
        ("assets/page.css", "text/css; charset=utf-8"),
        ("assets/manifest.json", "application/json"),
        ("assets/group1-shard1of1.bin", "application/octet-stream"),
    ],
)
def test_types(folder: Path, path: str, mime_type: str) -> None:
    with serving(folder) as address, urllib.request.urlopen(address + path) as response:
        assert response.headers["Content-Type"] == mime_type


@pytest.mark.parametrize(
    "path", ["/../secret.txt", "/%2e%2e/secret.txt", "/assets/", "/link.txt", "/absent", "//secret.txt"]
)
def test_nothing_outside_and_no_listing(folder: Path, path: str) -> None:
    with serving(folder) as address:
        connection = http.client.HTTPConnection(urlsplit(address).netloc)
        connection.request("GET", path)
        response = connection.getresponse()
        body = response.read()
        connection.close()

    assert response.status == 404
    assert b"secret.txt" not in body or b"404" in body
    assert body != b"secret"


def test_only_this_computer_is_served(folder: Path) -> None:
    with serving(folder) as address:
        assert address.startswith("http://127.0.0.1:")


def test_without_a_bundle_it_says_what_to_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--bundle", str(tmp_path / "absent")]) == 1
    assert "make demo" in capsys.readouterr().err


def test_a_taken_port_is_named(folder: Path) -> None:
    (folder / "manifest.json").write_text("{}")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(UserError, match=str(port)):
            serve(folder, port)


def test_the_address_stops_answering_afterwards(folder: Path) -> None:
    with serving(folder) as address:
        pass
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(address, timeout=2)
