"""The local server gives the bundle's files, with the headers that make a page quick and isolated, and nothing else."""

import gzip
import http.client
import os
import re
import socket
import ssl
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import trustme

from derma_assets.browser import lan
from derma_assets.browser import serve as serving_module
from derma_assets.browser.serve import instructions, made_by_a_run, main, newest_bundle, serve, serving
from derma_assets.browser.static_files import accepts_gzip, stated_policy
from derma_assets.errors import UserError
from derma_assets.promotion.gate import Judged
from derma_assets.promotion.served import promote
from derma_assets.settings import Settings
from derma_assets.storage.paths import promoted_path
from derma_assets_tests.calibration.made_up import predictions

POLICY = "default-src 'none'; script-src 'self'"
SCRIPT = b"export const answer = 42;\n" * 100


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    bundle = tmp_path / "bundle"
    (bundle / "assets").mkdir(parents=True)
    (bundle / "index.html").write_text(f'<!doctype html><meta http-equiv="Content-Security-Policy" content="{POLICY}">')
    for name in (
        "back.wasm",
        "page.js",
        "page.css",
        "manifest.json",
        "app.webmanifest",
        "group1-shard1of1.bin",
        "icon.png",
    ):
        (bundle / "assets" / name).write_bytes(b"{}")
    (bundle / "assets" / "index-BoKljqGn.js").write_bytes(SCRIPT)
    (tmp_path / "secret.txt").write_text("secret")
    (bundle / "link.txt").symlink_to(tmp_path / "secret.txt")
    return bundle


def ask(address: str, path: str, method: str = "GET", **headers: str) -> tuple[http.client.HTTPResponse, bytes]:
    connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=10)
    connection.request(method, path, headers={name.replace("_", "-"): value for name, value in headers.items()})
    response = connection.getresponse()
    body = response.read()
    connection.close()
    return response, body


@pytest.mark.parametrize(
    ("path", "mime_type"),
    [
        ("", "text/html; charset=utf-8"),
        ("assets/back.wasm", "application/wasm"),
        ("assets/page.js", "text/javascript; charset=utf-8"),
        ("assets/page.css", "text/css; charset=utf-8"),
        ("assets/manifest.json", "application/json"),
        ("assets/app.webmanifest", "application/manifest+json"),
        ("assets/group1-shard1of1.bin", "application/octet-stream"),
    ],
)
def test_types(folder: Path, path: str, mime_type: str) -> None:
    with serving(folder) as address, urllib.request.urlopen(address + path) as response:
        assert response.headers["Content-Type"] == mime_type


@pytest.mark.parametrize(
    "path",
    [
        "/../secret.txt",
        "/%2e%2e/secret.txt",
        "/assets/",
        "/assets",
        "/link.txt",
        "/absent",
        "/absent/",
        "//secret.txt",
        "/index.html/",
        "/index.html%00",
    ],
)
def test_nothing_outside_and_no_listing(folder: Path, path: str) -> None:
    with serving(folder) as address:
        response, body = ask(address, path)

    assert response.status == 404
    assert b"secret.txt" not in body or b"404" in body
    assert body != b"secret"


def test_a_folder_is_opened_at_its_page(folder: Path) -> None:
    """Relative addresses in the page need the slash."""
    with serving(folder.parent) as address:
        response, _ = ask(address, "/bundle?lang=kk")
        assert (response.status, response.getheader("Location")) == (301, "bundle/?lang=kk")
        with urllib.request.urlopen(f"{address}bundle") as opened:
            assert opened.url == f"{address}bundle/"


@pytest.mark.parametrize("path", ["/", "/assets/page.js", "/assets/back.wasm"])
def test_every_answer_isolates_and_carries_the_pages_own_policy(folder: Path, path: str) -> None:
    with serving(folder) as address:
        response, _ = ask(address, path)

    assert response.getheader("Cross-Origin-Opener-Policy") == "same-origin"
    assert response.getheader("Cross-Origin-Embedder-Policy") == "require-corp"
    assert response.getheader("Cross-Origin-Resource-Policy") == "same-origin"
    assert response.getheader("Content-Security-Policy") == f"{POLICY}; frame-ancestors 'none'"
    assert response.getheader("X-Content-Type-Options") == "nosniff"


def test_only_names_with_a_hash_are_kept_for_ever(folder: Path) -> None:
    with serving(folder) as address:
        hashed, _ = ask(address, "/assets/index-BoKljqGn.js")
        plain, _ = ask(address, "/assets/page.js")

    assert hashed.getheader("Cache-Control") == "public, max-age=31536000, immutable"
    assert plain.getheader("Cache-Control") == "no-cache"


def test_text_and_weights_are_compressed_for_those_who_ask(folder: Path) -> None:
    with serving(folder) as address:
        packed, body = ask(address, "/assets/index-BoKljqGn.js", Accept_Encoding="br, gzip;q=0.8")
        plain, plain_body = ask(address, "/assets/index-BoKljqGn.js")
        weights, _ = ask(address, "/assets/group1-shard1of1.bin", Accept_Encoding="gzip")
        picture, _ = ask(address, "/assets/icon.png", Accept_Encoding="gzip")

    assert packed.getheader("Content-Encoding") == "gzip"
    assert packed.getheader("Vary") == "Accept-Encoding"
    assert gzip.decompress(body) == SCRIPT
    assert len(body) < len(SCRIPT) / 10
    assert plain.getheader("Content-Encoding") is None
    assert plain_body == SCRIPT
    assert weights.getheader("Content-Encoding") == "gzip"
    assert picture.getheader("Content-Encoding") is None


@pytest.mark.parametrize(
    ("accepted", "expected"),
    [(None, False), ("", False), ("gzip", True), ("br;q=1, GZIP ;q=0.5", True), ("gzip;q=0", False), ("br", False)],
)
def test_who_takes_gzip(accepted: str | None, expected: bool) -> None:
    assert accepts_gzip(accepted) is expected


def test_what_has_not_changed_is_not_sent_again(folder: Path) -> None:
    with serving(folder) as address:
        first, _ = ask(address, "/", Accept_Encoding="gzip")
        etag = first.getheader("ETag") or ""
        same, nothing = ask(address, "/", If_None_Match=f'"other", {etag}')
        (folder / "index.html").write_text("<!doctype html><title>changed</title>")
        changed, body = ask(address, "/", If_None_Match=etag)

    assert (same.status, nothing) == (304, b"")
    assert same.getheader("ETag") == etag
    assert changed.status == 200
    assert b"changed" in body
    assert changed.getheader("Content-Security-Policy") is None


def test_a_file_that_changes_in_place_is_read_again(folder: Path) -> None:
    page = folder / "assets" / "page.js"
    with serving(folder) as address:
        ask(address, "/assets/page.js")
        page.write_bytes(b"[]")
        os.utime(page, (0, 0))

        assert ask(address, "/assets/page.js")[1] == b"[]"


def test_head_gives_the_headers_alone(folder: Path) -> None:
    with serving(folder) as address:
        response, body = ask(address, "/assets/index-BoKljqGn.js", method="HEAD")

    assert response.getheader("Content-Length") == str(len(SCRIPT))
    assert body == b""


def test_nothing_can_be_sent_to_it(folder: Path) -> None:
    with serving(folder) as address:
        assert ask(address, "/", method="POST")[0].status == 501


def test_a_connection_is_used_for_more_than_one_file(folder: Path) -> None:
    with serving(folder) as address:
        connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=10)
        used = set()
        for path in ("/", "/assets/page.js", "/"):
            connection.request("GET", path)
            connection.getresponse().read()
            used.add(connection.sock)
        connection.close()

    assert len(used) == 1
    assert None not in used


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
            serve(made_by_a_run(folder), port)


def test_the_address_stops_answering_afterwards(folder: Path) -> None:
    with serving(folder) as address:
        connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=2)
        connection.request("GET", "/")
        connection.getresponse().read()
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(address, timeout=2)
    with pytest.raises((http.client.HTTPException, OSError)):
        connection.auto_open = 0
        connection.request("GET", "/")
        connection.getresponse()


@pytest.fixture
def stores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = tmp_path / "data"
    choose(monkeypatch, data_dir=root)
    return root


def choose(monkeypatch: pytest.MonkeyPatch, **chosen: Any) -> None:
    """Have no settings but these; the release is in the data folder."""
    for name in [name for name in os.environ if name.startswith("DERMA_")]:
        monkeypatch.delenv(name)
    monkeypatch.setattr(serving_module, "settings", lambda: Settings(**chosen))


def made(bundle: Path, at: int) -> Path:
    bundle.mkdir(parents=True)
    (bundle / "manifest.json").write_text("{}")
    os.utime(bundle / "manifest.json", (at, at))
    return bundle


def test_the_bundle_made_last_is_served_whatever_its_data_set(stores: Path) -> None:
    made(stores / "store/sample/tfjs_bundle", at=1000)
    newest = made(stores / "store/ham10000/tfjs_bundle", at=2000)

    assert newest_bundle().folder == newest
    assert str(newest) in newest_bundle().what


def test_of_a_chosen_data_set_only_its_own_bundle_is_served(stores: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    of_sample = made(stores / "store/sample/tfjs_bundle", at=1000)
    made(stores / "store/ham10000/tfjs_bundle", at=2000)
    choose(monkeypatch, data_dir=stores, dataset="sample")

    assert newest_bundle().folder == of_sample


def test_what_is_promoted_while_it_serves_is_served(stores: Path, folder: Path) -> None:
    served = promoted_path(stores, "sample")
    judged = Judged(predictions(lesions_per_class=3), 1.5, {})
    promote(served, folder, judged, {"date": "2026-01-31"})
    with serving(newest_bundle().folder) as address:
        assert ask(address, "/assets/index-BoKljqGn.js")[1] == SCRIPT
        (folder / "assets" / "index-BoKljqGn.js").unlink()
        (folder / "index.html").write_text("another")
        promote(served, folder, judged, {"date": "2026-02-01"})

        assert ask(address, "/")[1] == b"another"
        assert ask(address, "/assets/index-BoKljqGn.js")[0].status == 404


def test_a_newer_bundle_does_not_take_the_place_of_a_promoted_one_that_is_damaged(stores: Path, folder: Path) -> None:
    """It may be what was refused."""
    made(stores / "store/sample/tfjs_bundle", at=2000)
    served = promoted_path(stores, "sample")
    promote(served, folder, Judged(predictions(lesions_per_class=3), 1.5, {}), {"date": "2026-01-31"})
    (served / "0001" / "bundle" / "index.html").write_text("changed")
    found = newest_bundle()
    assert found.folder == served / "current" / "bundle"
    assert "damaged" in found.what
    for content in ("{", None):
        document = served / "0001" / "promotion.json"
        document.unlink() if content is None else document.write_text(content)
        with pytest.raises(UserError, match=r"no document as it was written: .*make rollback"):
            newest_bundle()


def test_without_any_bundle_it_says_where_it_looked(stores: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 1
    said = capsys.readouterr().err
    assert str(stores) in said
    assert "make demo" in said


def test_a_phone_is_told_the_address_and_the_limits_of_http(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving_module, "lan_addresses", lambda: ["192.168.1.7", "10.0.0.7"])
    said = instructions(8080, lan=True, secure=False)

    assert "http://192.168.1.7:8080/" in said
    assert "http://10.0.0.7:8080/" in said
    assert lan.qr_code("http://192.168.1.7:8080/") in said
    assert "neither install it nor keep it" in said
    assert "adb reverse tcp:8080 tcp:8080" in said


def test_over_https_there_are_no_limits_to_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving_module, "lan_addresses", lambda: ["192.168.1.7"])
    said = instructions(8443, lan=True, secure=True)

    assert "https://192.168.1.7:8443/" in said
    assert "http:" not in said


def test_on_this_computer_alone_it_says_how_to_open_it_on_a_phone() -> None:
    assert "make app LAN=1" in instructions(8080, lan=False, secure=False)


def test_a_computer_without_a_network_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving_module, "lan_addresses", lambda: [])

    assert "in no network" in instructions(8080, lan=True, secure=False)


def test_addresses_are_those_of_other_devices() -> None:
    for address in lan.lan_addresses():
        assert re.fullmatch(r"\d+\.\d+\.\d+\.\d+", address)
        assert not address.startswith(("127.", "169.254."))


def test_https_with_a_certificate(folder: Path, tmp_path: Path) -> None:
    authority = trustme.CA()
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    issued = authority.issue_cert("127.0.0.1")
    issued.cert_chain_pems[0].write_to_path(certificate)
    issued.private_key_pem.write_to_path(key)
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)

    with (
        serving(folder, serving_module.tls_context(certificate, key)) as address,
        # A visitor that never shakes hands must not hold up the others.
        socket.create_connection(("127.0.0.1", urlsplit(address).port)),
    ):
        with urllib.request.urlopen(address, context=trusting, timeout=10) as response:
            assert response.headers["Content-Security-Policy"].startswith(POLICY)
        with pytest.raises((ConnectionError, urllib.error.URLError)):
            urllib.request.urlopen(address.replace("https", "http"), timeout=10)


def test_a_certificate_that_is_none_is_named(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "manifest.json").write_text("{}")
    page = folder / "index.html"

    assert main(["--bundle", str(folder), "--port", "0", "--certificate", str(page)]) == 1
    assert str(page) in capsys.readouterr().err


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        ('<meta http-equiv="Content-Security-Policy" content="img-src &#39;self&#39;">', "img-src 'self'"),
        ('<META HTTP-EQUIV="content-security-policy" CONTENT="x" />', "x"),
        ("<title>none</title>", None),
    ],
)
def test_the_policy_is_read_from_the_page(html: str, expected: str | None) -> None:
    assert stated_policy(html) == expected
