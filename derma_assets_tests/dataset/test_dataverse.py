"""Downloading against a real local server that answers as Dataverse's API does, faults included."""

import hashlib
import io
import json
import shutil
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from derma_assets.dataset import dataverse
from derma_assets.dataset.dataverse import DOI, download_ham10000
from derma_assets.dataset.ham10000 import find_ham10000
from derma_assets.dataset.metadata_schema import read_metadata
from derma_assets.errors import InputError, StorageError

TABLE, PART_1, PART_2 = 101, 102, 103


@dataclass
class Dataverse:
    """What the server holds, how it misbehaves, and what it was asked."""

    contents: dict[int, bytes]
    listing: dict[str, object]
    url: str = ""
    ranges: bool = True
    break_after: dict[int, list[int]] = field(default_factory=dict)  # bytes to send before hanging up, each once
    statuses: dict[str, list[int]] = field(default_factory=dict)  # statuses to answer with, each once
    asked: list[tuple[str, str]] = field(default_factory=list)  # path with query, Range

    def files_asked(self) -> list[str]:
        return [path for path, _ in self.asked if "/access/" in path]


class Handler(BaseHTTPRequestHandler):
    """Answers as Dataverse does."""

    dataverse: Dataverse

    def log_message(self, *_: object) -> None:
        """Stay silent."""

    def do_GET(self) -> None:
        held, address = self.dataverse, urlsplit(self.path)
        held.asked.append((self.path, self.headers.get("Range", "")))
        if held.statuses.get(address.path):
            self.send_error(held.statuses[address.path].pop(0))
        elif address.path == "/api/datasets/:persistentId/":
            assert parse_qs(address.query) == {"persistentId": [DOI]}
            self._send(200, json.dumps(held.listing).encode(), {})
        elif address.path.startswith("/api/access/datafile/"):
            self._send_file(int(address.path.rsplit("/", 1)[1]), address.query)
        else:
            self.send_error(404)

    def _send_file(self, number: int, query: str) -> None:
        content = self.dataverse.contents[number]
        if number == TABLE and query != "format=original":
            content = content.replace(b",", b"\t")
        wanted = self.headers.get("Range")
        breaks = self.dataverse.break_after.get(number)
        limit = breaks.pop(0) if breaks else None
        if wanted and self.dataverse.ranges:
            start = int(wanted.removeprefix("bytes=").removesuffix("-"))
            if start >= len(content):
                self.send_error(416)
                return
            told = {"Content-Range": f"bytes {start}-{len(content) - 1}/{len(content)}"}
            self._send(206, content[start:], told, limit)
        else:
            self._send(200, content, {}, limit)

    def _send(self, status: int, content: bytes, headers: dict[str, str], limit: int | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(content)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content[:limit])
        self.close_connection = True


def zipped(files: list[Path], prefix: str = "") -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for file in files:
            archive.write(file, prefix + file.name)
        archive.writestr("__MACOSX/._x.jpg", b"trash")
    return buffer.getvalue()


def entry(number: int, label: str, content: bytes, **more: object) -> dict[str, object]:
    return {
        "label": label,
        "dataFile": {
            "id": number,
            "filename": label,
            "filesize": len(content),
            "md5": hashlib.md5(content).hexdigest(),
            "checksum": {"type": "MD5", "value": hashlib.md5(content).hexdigest()},
            **more,
        },
    }


@pytest.fixture
def server(ham_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Dataverse]:
    """A Dataverse that holds the small data set as the real one holds HAM10000."""
    monkeypatch.setattr(dataverse, "_CHUNK", 1024)
    table = (ham_folder / "HAM10000_metadata.csv").read_bytes()
    parts = [zipped(sorted((ham_folder / archive).iterdir())) for archive in dataverse.ARCHIVES]
    # As on Dataverse, the checksum of the table is that of the CSV that was uploaded, its size that of the .tab.
    tabular = {"originalFileFormat": "text/csv", "originalFileSize": len(table), "tabularData": True, "filesize": 9}
    files = [
        entry(TABLE, "HAM10000_metadata.tab", table, **tabular),
        entry(PART_1, "HAM10000_images_part_1.zip", parts[0]),
        entry(PART_2, "HAM10000_images_part_2.zip", parts[1]),
        entry(104, "ISIC2018_Task3_Test_Images.zip", b"not wanted"),
    ]
    listing = {"status": "OK", "data": {"latestVersion": {"files": files}}}
    held = Dataverse({TABLE: table, PART_1: parts[0], PART_2: parts[1]}, listing)
    handler = type("BoundHandler", (Handler,), {"dataverse": held})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        held.url = f"http://127.0.0.1:{running.server_address[1]}"
        yield held
        running.shutdown()
        thread.join()


def download(server: Dataverse, folder: Path) -> Path:
    return download_ham10000(server.url, folder, wait_s=0.01)


def assert_complete(folder: Path, ham_folder: Path) -> None:
    found, original = find_ham10000(folder), find_ham10000(ham_folder)
    assert read_metadata(found.metadata).equals(read_metadata(original.metadata))
    assert found.pictures.keys() == original.pictures.keys()
    for image_id, path in found.pictures.items():
        assert path.read_bytes() == original.pictures[image_id].read_bytes()
    assert not [path for path in folder.rglob("*") if path.suffix in (".part", ".zip") or path.name.startswith(".")]


def test_everything_is_fetched_once(server: Dataverse, ham_folder: Path, tmp_path: Path) -> None:
    folder = download(server, tmp_path / "got")
    assert_complete(folder, ham_folder)
    assert server.files_asked() == [
        f"/api/access/datafile/{TABLE}?format=original",
        f"/api/access/datafile/{PART_1}",
        f"/api/access/datafile/{PART_2}",
    ]
    server.asked.clear()
    download(server, folder)
    assert not server.asked, "nothing is asked when everything is there"


def test_lesion_masks_are_fetched_where_they_are_offered(
    server: Dataverse, ham_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    download(server, tmp_path / "without")
    assert "the lesion masks will be estimated" in capsys.readouterr().out
    mask = tmp_path / "ISIC_0000001_segmentation.png"
    mask.write_bytes(b"mask")
    content = zipped([mask], f"{dataverse.MASKS}/")
    server.contents[105] = content
    listed = server.listing["data"]["latestVersion"]["files"]  # type: ignore[index]
    listed.append(entry(105, f"{dataverse.MASKS}.zip", content))
    folder = download(server, tmp_path / "with")
    assert find_ham10000(folder).masks["ISIC_0000001"].read_bytes() == b"mask"
    assert_complete(folder, ham_folder)


def test_only_what_is_missing_is_fetched(server: Dataverse, ham_folder: Path, tmp_path: Path) -> None:
    folder = download(server, tmp_path / "got")
    table, part = folder / "HAM10000_metadata.csv", folder / "HAM10000_images_part_2"
    server.asked.clear()
    table.unlink()
    assert_complete(download(server, folder), ham_folder)
    assert server.files_asked() == [f"/api/access/datafile/{TABLE}?format=original"]
    server.asked.clear()
    shutil.rmtree(part)
    assert_complete(download(server, folder), ham_folder)
    assert f"/api/access/datafile/{PART_2}" in server.files_asked()
    assert f"/api/access/datafile/{PART_1}" not in server.files_asked()


def test_a_broken_transfer_is_continued(server: Dataverse, ham_folder: Path, tmp_path: Path) -> None:
    server.break_after = {PART_1: [12_000, 5_000]}
    assert_complete(download(server, tmp_path / "got"), ham_folder)
    asked = [(path, wanted) for path, wanted in server.asked if path.endswith(str(PART_1))]
    starts = [int(wanted[6:-1]) if wanted else 0 for _, wanted in asked]
    assert len(starts) == 3
    assert starts == sorted(starts)
    assert starts[1] > 8_000
    assert starts[2] > starts[1]


def test_a_run_that_gave_up_is_continued_by_the_next(server: Dataverse, ham_folder: Path, tmp_path: Path) -> None:
    server.break_after = {PART_2: [9_000, 0, 0, 0]}
    with pytest.raises(InputError, match=r"part_2\.zip.*Run again to continue.*DERMA_HAM10000_DIR"):
        download(server, tmp_path / "got")
    server.asked.clear()
    assert_complete(download(server, tmp_path / "got"), ham_folder)
    assert server.files_asked() == [f"/api/access/datafile/{PART_2}"], "the others were there and verified"
    assert server.asked[-1][1].startswith("bytes=")


def test_a_server_without_ranges_sends_everything_again(server: Dataverse, ham_folder: Path, tmp_path: Path) -> None:
    server.ranges, server.break_after = False, {PART_1: [20_000]}
    assert_complete(download(server, tmp_path / "got"), ham_folder)


def test_a_part_of_another_file_is_thrown_away(server: Dataverse, ham_folder: Path, tmp_path: Path) -> None:
    downloads = tmp_path / "got" / "download"
    downloads.mkdir(parents=True)
    (downloads / "HAM10000_images_part_1.zip.part").write_bytes(b"something else" * 100)
    (downloads / "HAM10000_images_part_2.zip.part").write_bytes(bytes(len(server.contents[PART_2]) + 7))
    assert_complete(download(server, tmp_path / "got"), ham_folder)


def test_a_wrong_checksum_is_refused_and_what_came_deleted(server: Dataverse, tmp_path: Path) -> None:
    good = server.contents[PART_1]
    server.contents[PART_1] = good[:-500] + bytes(500)
    with pytest.raises(InputError, match=r"part_1\.zip arrived complete but with a wrong checksum.*expected md5:"):
        download(server, tmp_path / "got")
    assert not list((tmp_path / "got").rglob("*part_1*"))
    server.contents[PART_1] = good
    download(server, tmp_path / "got")


def test_a_table_whose_checksum_is_of_another_form_is_checked_by_its_content(
    server: Dataverse, ham_folder: Path, tmp_path: Path
) -> None:
    files = server.listing["data"]["latestVersion"]["files"]  # type: ignore[index]
    files[0]["dataFile"]["checksum"]["value"] = hashlib.md5(b"the .tab without its header").hexdigest()
    assert_complete(download(server, tmp_path / "got"), ham_folder)
    server.contents[TABLE] = b"<html>maintenance</html>"
    with pytest.raises(InputError, match=r"neither the announced checksum nor the expected content"):
        download(server, tmp_path / "again")
    assert not list((tmp_path / "again").rglob("*metadata*"))


def test_an_older_installation_gives_md5_only_and_no_tabular_form(
    server: Dataverse, ham_folder: Path, tmp_path: Path
) -> None:
    for file in server.listing["data"]["latestVersion"]["files"]:  # type: ignore[index]
        del file["dataFile"]["checksum"]
    table = server.contents.pop(TABLE)
    files = server.listing["data"]["latestVersion"]["files"]  # type: ignore[index]
    files[0] = entry(105, "HAM10000_metadata", table)
    server.contents[105] = table
    assert_complete(download(server, tmp_path / "got"), ham_folder)


def test_a_busy_server_is_asked_again(server: Dataverse, ham_folder: Path, tmp_path: Path) -> None:
    server.statuses = {"/api/datasets/:persistentId/": [503, 500], f"/api/access/datafile/{PART_1}": [503, 429]}
    assert_complete(download(server, tmp_path / "got"), ham_folder)


def test_a_server_that_stays_busy_is_given_up(server: Dataverse, tmp_path: Path) -> None:
    server.statuses = {f"/api/access/datafile/{PART_1}": [503] * 10}
    with pytest.raises(InputError, match=r"part_1\.zip from http.*503.*Run again"):
        download(server, tmp_path / "got")
    assert len([path for path in server.files_asked() if path.endswith(str(PART_1))]) == dataverse.ATTEMPTS


def test_not_found_is_told_at_once(server: Dataverse, tmp_path: Path) -> None:
    server.statuses = {"/api/datasets/:persistentId/": [404] * 10}
    with pytest.raises(InputError, match=r"list of files.*404.*DERMA_HAM10000_DIR"):
        download(server, tmp_path / "got")
    assert len(server.asked) == 1


def test_no_server_and_a_server_that_is_no_dataverse(server: Dataverse, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot download the list of files"):
        download_ham10000("http://127.0.0.1:9", tmp_path / "got", wait_s=0.01)
    server.listing = {"status": "OK"}
    with pytest.raises(InputError, match="does not answer as Dataverse does"):
        download(server, tmp_path / "got")
    server.listing = {"data": {"latestVersion": {"files": []}}}
    with pytest.raises(InputError, match="holds no file HAM10000_metadata any more, but: nothing"):
        download(server, tmp_path / "got")


def test_a_damaged_archive_leaves_no_half_folder(server: Dataverse, tmp_path: Path) -> None:
    damaged = server.contents[PART_1][:3000]
    server.contents[PART_1] = damaged
    files = server.listing["data"]["latestVersion"]["files"]  # type: ignore[index]
    files[1] = entry(PART_1, "HAM10000_images_part_1.zip", damaged)
    with pytest.raises(InputError, match="not a usable archive"):
        download(server, tmp_path / "got")
    assert not (tmp_path / "got" / "HAM10000_images_part_1").exists()


def test_a_folder_that_cannot_be_made_is_explained(server: Dataverse, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StorageError, match="is a file, not a folder"):
        download(server, tmp_path / "file" / "got")
