"""Downloading HAM10000 from Harvard Dataverse: checksums verified, progress shown, continued where it broke off.

A file that is there and has the right checksum is not fetched again; of one that broke off, the part that arrived is
kept as `<name>.part` and continued by an HTTP range request.

Tabular files are special: Dataverse turns an uploaded CSV into `.tab`, but the checksum it gives out stays that of
the uploaded file (in a few old data sets, by mistake, another one). So the original is fetched, and where its
checksum differs it is accepted only if it reads as the table that it should be.
Source: Dataverse guides, Native API and Data Access API; IQSS/dataverse issues 7275 and 9501.
"""

import hashlib
import shutil
import time
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pooch
import requests
from tqdm import tqdm

from derma_assets.dataset.ham10000 import METADATA_STEM
from derma_assets.dataset.metadata_schema import read_metadata
from derma_assets.errors import InputError
from derma_assets.progress import bar, progress
from derma_assets.storage.atomic import explained, replacing

DOI = "doi:10.7910/DVN/DBW86T"
ARCHIVES = ("HAM10000_images_part_1", "HAM10000_images_part_2")
MASKS = "HAM10000_segmentations_lesion_tschandl"
ATTEMPTS = 4
_TIMEOUT_S = 60.0
_CHUNK = 1 << 16
_MIB = 1 << 20
_BY_HAND = (
    "Run again to continue where it stopped, or download HAM10000_images_part_1.zip, HAM10000_images_part_2.zip and "
    f"HAM10000_metadata by hand from https://doi.org/{DOI.removeprefix('doi:')}, unpack them into one folder, and set "
    "DERMA_HAM10000_DIR to it."
)


@dataclass(frozen=True)
class RemoteFile:
    """One file of the data set, as Dataverse lists it.

    Attributes:
        name: Its name, for people.
        url: Where its bytes are.
        checksum: `<algorithm>:<hex digits>` as pooch takes it.
        size: In bytes; of a tabular file, that of the original.
        tabular: Whether Dataverse has turned it into a `.tab`.
    """

    name: str
    url: str
    checksum: str
    size: int
    tabular: bool


def download_ham10000(dataverse_url: str, folder: Path, wait_s: float = 2.0) -> Path:
    """Fetch what is missing of HAM10000 into `folder` and return `folder`, ready for `find_ham10000`.

    Args:
        dataverse_url: The Dataverse installation, such as https://dataverse.harvard.edu.
        folder: Where to; archives are kept below it in `download`.
        wait_s: Seconds to wait before the second attempt; doubled for each one after that.

    Raises:
        InputError: Dataverse cannot be reached, answers otherwise than expected, or sends bytes of a wrong checksum.
        StorageError: the disk is full or `folder` cannot be written.
    """
    finished = [folder / f"{METADATA_STEM}.csv", *(folder / archive for archive in ARCHIVES)]
    if all(path.exists() for path in finished):
        return folder
    downloads = folder / "download"
    with explained(folder):
        downloads.mkdir(parents=True, exist_ok=True)
    remote = list_files(dataverse_url, wait_s)
    table = _pick(remote, METADATA_STEM)
    fetched = _fetch(table, downloads, wait_s)
    archives: tuple[str, ...] = ARCHIVES
    if any(Path(file.name).stem == MASKS for file in remote):
        archives = (*ARCHIVES, MASKS)
    else:
        tqdm.write(f"{DOI} holds no {MASKS}: the lesion masks will be estimated")
    for archive in archives:
        if not (folder / archive).exists():
            _unpack(_fetch(_pick(remote, archive), downloads, wait_s), folder / archive)
    with replacing(folder / f"{METADATA_STEM}.csv") as beside:
        shutil.copyfile(fetched, beside)
    shutil.rmtree(downloads, ignore_errors=True)  # The archives take as much disk as their pictures.
    return folder


def list_files(dataverse_url: str, wait_s: float = 2.0) -> list[RemoteFile]:
    """Return the files of HAM10000's latest version on Dataverse.

    Raises:
        InputError: Dataverse cannot be reached or its answer is not understood.
    """
    base = dataverse_url.rstrip("/")
    url = f"{base}/api/datasets/:persistentId/"

    def ask() -> Any:
        response = requests.get(url, params={"persistentId": DOI}, timeout=_TIMEOUT_S)
        response.raise_for_status()
        return response.json()

    answer = _persistently(ask, f"the list of files of {DOI} at {base}", wait_s)
    try:
        return [_remote_file(base, entry) for entry in answer["data"]["latestVersion"]["files"]]
    except (KeyError, TypeError, IndexError) as error:
        raise InputError(f"{url} does not answer as Dataverse does (no {error}). {_BY_HAND}") from error


def _remote_file(base: str, entry: dict[str, Any]) -> RemoteFile:
    file = entry["dataFile"]
    tabular = bool(file.get("originalFileFormat") or file.get("tabularData"))
    # Newer installations give `checksum`, older ones only `md5`.
    checksum = file.get("checksum") or {"type": "MD5", "value": file["md5"]}
    algorithm = checksum["type"].lower().replace("-", "")
    return RemoteFile(
        name=entry.get("label") or file["filename"],
        url=f"{base}/api/access/datafile/{int(file['id'])}" + ("?format=original" if tabular else ""),
        checksum=f"{algorithm}:{checksum['value'].lower()}",
        size=int(file.get("originalFileSize" if tabular else "filesize") or 0),
        tabular=tabular,
    )


def _pick(files: list[RemoteFile], stem: str) -> RemoteFile:
    for file in files:
        if Path(file.name).stem == stem and Path(file.name).name == file.name:
            return file
    listed = ", ".join(file.name for file in files) or "nothing"
    raise InputError(f"{DOI} holds no file {stem} any more, but: {listed}. {_BY_HAND}")


def _fetch(file: RemoteFile, folder: Path, wait_s: float) -> Path:
    """Fetch one file into `folder` unless it is there, and return its path, checksum verified."""
    path = folder / file.name
    part = path.with_name(f"{file.name}.part")
    with explained(path):
        if file.tabular and path.exists() and not _matches(path, file.checksum):
            _accept_table(path, file)
            return path

        def retrieve() -> str:
            return pooch.retrieve(
                file.url, known_hash=file.checksum, fname=file.name, path=folder, downloader=_Continued(file, part)
            )

        _quieten_pooch()
        try:
            _persistently(retrieve, f"{file.name} from {file.url}", wait_s)
        except _WrongChecksum as error:
            if not file.tabular:
                part.unlink(missing_ok=True)
                raise InputError(
                    f"{file.name} arrived complete but with a wrong checksum ({error}); it was deleted. {_BY_HAND}"
                ) from None
            _accept_table(part, file)
            part.replace(path)
        part.unlink(missing_ok=True)
    return path


class _WrongChecksum(Exception):
    """All bytes have arrived, but they are not those that Dataverse announces."""


class _BrokenTransfer(Exception):
    """The connection ended before all bytes had arrived."""


class _Continued:
    """A downloader for pooch that keeps what has arrived and asks the server for the rest only."""

    def __init__(self, file: RemoteFile, part: Path) -> None:
        self.file, self.part = file, part

    def __call__(self, url: str, output_file: str, pooch: object) -> None:
        """Complete `part` and rename it to `output_file`, which pooch verifies again and puts in its place."""
        checksum = self.file.checksum
        have = self.part.stat().st_size if self.part.exists() else 0
        if not _matches(self.part, checksum):
            self._receive(url, have)
        if have and not _matches(self.part, checksum):
            self._receive(url, 0)  # What was here may have been the beginning of another version.
        if not _matches(self.part, checksum):
            raise _WrongChecksum(f"expected {checksum}, got {_digest(self.part, checksum)}")
        self.part.replace(output_file)

    def _receive(self, url: str, have: int) -> None:
        headers = {"Range": f"bytes={have}-"} if have else {}
        # Identity: a compressed transfer could not be continued, and its length would not be the file's.
        headers["Accept-Encoding"] = "identity"
        with requests.get(url, headers=headers, stream=True, timeout=_TIMEOUT_S) as response:
            if response.status_code == requests.codes.requested_range_not_satisfiable:
                self.part.unlink()  # The file has become shorter than what is here: begin anew.
                raise _BrokenTransfer("the server has another file than the one begun")
            response.raise_for_status()
            if response.status_code != requests.codes.partial_content:
                have = 0  # The server sends the whole file whatever was asked.
            length = response.headers.get("Content-Length")
            total = have + int(length) if length else self.file.size or None
            in_mib = None if total is None else total // _MIB
            with (
                self.part.open("ab" if have else "wb") as out,
                bar(in_mib, self.file.name, unit="MiB", done=have // _MIB) as shown,
            ):
                for chunk in response.iter_content(_CHUNK):
                    out.write(chunk)
                    shown.update(out.tell() // _MIB - shown.n)
        arrived = self.part.stat().st_size
        if total is not None and arrived < total:
            raise _BrokenTransfer(f"the connection ended after {arrived} of {total} bytes")


def _persistently(attempt: Callable[[], Any], what: str, wait_s: float) -> Any:
    """Return what `attempt` returns, trying again after failures that may pass.

    Raises:
        InputError: it failed for good, or `ATTEMPTS` times.
    """
    for number in range(1, ATTEMPTS + 1):
        try:
            return attempt()
        except requests.HTTPError as error:
            status = error.response.status_code if error.response is not None else 0
            problem = str(error)
            if status < 500 and status != requests.codes.too_many_requests:
                break
        except (requests.RequestException, _BrokenTransfer) as error:
            problem = str(error)
        if number < ATTEMPTS:
            tqdm.write(f"{what}: {problem}; trying again")
            time.sleep(wait_s * 2 ** (number - 1))
    raise InputError(f"cannot download {what}: {problem}. {_BY_HAND}")


def _accept_table(path: Path, file: RemoteFile) -> None:
    """Accept a tabular file whose checksum is not the announced one if it is what it should be, and say so."""
    try:
        read_metadata(path)
    except InputError as error:
        path.unlink(missing_ok=True)
        raise InputError(
            f"{file.name} has neither the announced checksum nor the expected content; it was deleted: {error}\n"
            f"{_BY_HAND}"
        ) from error
    tqdm.write(f"{file.name}: checksum differs from {file.checksum}, as Dataverse's of tables may; content is valid")


def _unpack(archive: Path, folder: Path) -> None:
    """Unpack the pictures of `archive` into the new folder `folder`, all or nothing, whatever folders it holds."""
    with replacing(folder) as beside:
        beside.mkdir(parents=True)
        try:
            with zipfile.ZipFile(archive) as zipped:
                members = [member for member in zipped.infolist() if _is_picture(member)]
                for member in progress(members, f"unpacking {archive.name}"):
                    # By name alone: no path in an archive can lead out of the folder.
                    with zipped.open(member) as source, (beside / Path(member.filename).name).open("wb") as out:
                        shutil.copyfileobj(source, out)
        except (zipfile.BadZipFile, EOFError) as error:
            raise InputError(f"{archive} is not a usable archive ({error}): delete it. {_BY_HAND}") from error


def _is_picture(member: zipfile.ZipInfo) -> bool:
    path = Path(member.filename)
    hidden = "__MACOSX" in path.parts or path.name.startswith(".")
    return not member.is_dir() and not hidden and path.suffix.lower() in (".jpg", ".jpeg", ".png")


def _digest(path: Path, checksum: str) -> str:
    algorithm = checksum.partition(":")[0]
    with path.open("rb") as handle:
        return f"{algorithm}:{hashlib.file_digest(handle, algorithm).hexdigest()}"


def _matches(path: Path, checksum: str) -> bool:
    return path.exists() and _digest(path, checksum) == checksum


def _quieten_pooch() -> None:
    """Keep pooch from announcing what the progress bar shows."""
    pooch.get_logger().setLevel("WARNING")
