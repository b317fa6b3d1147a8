"""Object storage, through fsspec: what an object's key is, how often a request is tried, and what went wrong in words.

Only whole objects are put, so none is ever seen half: S3 shows an object once all of it has arrived. Requests are
tried again by botocore (errors of the server, no connection, no answer in time) and by s3fs (a download that was cut
goes on where it was cut); here only a download that still is not what was asked for is begun anew.
"""

import errno
import json
import re
import shutil
import time
from collections.abc import Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from upath import UPath

from derma_assets.errors import DamagedError, StorageError, UserError
from derma_assets.settings import settings
from derma_assets.storage.atomic import link_or_copy
from derma_assets.storage.fingerprint import sha256_of_file
from derma_assets.storage.paths import address_of_copy

# Files that travel at the same time, and what is held of one in memory meanwhile.
_FILES, _PARTS, _PART_BYTES = 8, 4, 16 * 2**20
# How often s3fs tries what botocore has given up on without an answer, and goes on with a download that was cut.
_AGAIN = 3
# How often a download is begun in all that was cut for good or is not what was put.
_DOWNLOADS = 3

# What a server says of a conditional request: something else is there, or it knows no such requests.
_OVERTAKEN, _UNKNOWN = ("PreconditionFailed", "412", "ConditionalRequestConflict", "409"), ("NotImplemented", "501")

_OF_THE_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class RemoteStore:
    """The objects below one address. Keys are relative to it."""

    def __init__(self, address: str) -> None:
        """`address`: such as s3://bucket/prefix/sample. Nothing is asked of the server yet."""
        chosen = settings()
        self.address = address
        self._root = UPath(
            address,
            use_listings_cache=False,
            max_concurrency=_PARTS,
            config_kwargs={
                "retries": {"mode": "standard", "max_attempts": chosen.storage_attempts},
                "connect_timeout": chosen.storage_timeout_s,
                "read_timeout": chosen.storage_timeout_s,
            },
        )
        try:
            self._files: Any = self._root.fs
        except ImportError as error:
            raise UserError(
                f"DERMA_STORAGE={address} needs the package s3fs: pip install 'derma_assets[cluster]'"
            ) from error
        self._files.retries = _AGAIN

    def read_document(self, key: str) -> dict[str, Any] | None:
        """Return the JSON object at `key`, or None where there is none.

        Raises:
            StorageError: the server cannot be reached, refuses, or has no such bucket.
        """
        with self._explained(f"read {key}"):
            try:
                # One request; more than one at a time would ask for the size first.
                return json.loads(self._files.cat_file(self._path(key), max_concurrency=1))
            except FileNotFoundError as error:
                if _code(error) == "NoSuchBucket":
                    raise
                return None

    def write_document(self, key: str, document: Mapping[str, Any]) -> None:
        """Put a JSON object.

        Raises:
            StorageError: the server cannot be reached or refuses; what was there before still is.
        """
        with self._explained(f"write {key}"):
            self._files.pipe_file(self._path(key), _content(document))

    def version(self, key: str) -> str | None:
        """Return what tells the object at `key` from any other that is ever there, or None where there is none.

        Raises:
            StorageError: the server cannot be reached, refuses, or has no such bucket.
        """
        with self._explained(f"read {key}"):
            try:
                return str(self._files.info(self._path(key))["ETag"])
            except FileNotFoundError as error:
                if _code(error) == "NoSuchBucket":
                    raise
                return None

    def replace_document(self, key: str, document: Mapping[str, Any], version: str | None) -> bool:
        """Put a JSON object if what is at `key` still is of that `version`; return whether it was.

        A server that knows no conditional requests puts it in any case.

        Raises:
            StorageError: the server cannot be reached or refuses; what was there before still is.
        """
        condition = {"IfNoneMatch": "*"} if version is None else {"IfMatch": version}
        content = _content(document)
        with self._explained(f"write {key}"):
            try:
                self._files.pipe_file(self._path(key), content, **condition)
            except OSError as error:
                if _code(error) in _OVERTAKEN:
                    return False
                if _code(error) not in _UNKNOWN:
                    raise
                self._files.pipe_file(self._path(key), content)
        return True

    def objects(self, folder: str) -> dict[str, dict[str, Any]]:
        """Return what is below `folder`, by key: `size` in bytes and `LastModified`.

        Raises:
            StorageError: the server cannot be reached or refuses.
        """
        with self._explained(f"list {folder}"):
            found = self._files.find(self._path(folder), detail=True)
        start = len(self._path(""))
        return {path[start:]: about for path, about in found.items() if about["type"] == "file"}

    def about(self, keys: Collection[str]) -> dict[str, dict[str, Any]]:
        """Return what is at these keys, as `objects` does; those that nothing is at are left out.

        Raises:
            StorageError: the server cannot be reached or refuses.
        """

        def look(key: str) -> dict[str, Any]:
            try:
                return self._files.info(self._path(key))
            except FileNotFoundError:
                return {"type": "nothing"}

        with self._explained(f"look for {next(iter(keys), '')}"), ThreadPoolExecutor(_FILES) as looking:
            found = dict(zip(keys, looking.map(look, keys), strict=True))
        return {key: about for key, about in found.items() if about["type"] == "file"}

    def upload(self, files: Mapping[str, Path]) -> None:
        """Put local files, by key.

        Raises:
            StorageError: the server cannot be reached or refuses.
        """
        if not files:
            return
        with self._explained(f"write {next(iter(files))}"):
            self._files.put(
                [str(file) for file in files.values()],
                [self._path(key) for key in files],
                batch_size=_FILES,
                chunksize=_PART_BYTES,
            )

    def download(self, files: Mapping[str, tuple[Path, str | None]]) -> None:
        """Get objects into new local files.

        Args:
            files: Where to, and the SHA-256 that it has to have if that is known, by key.

        Raises:
            DamagedError: the server has no such object, or has another in its place.
            StorageError: the server cannot be reached or refuses.
        """
        from aiohttp import ClientError

        waiting = dict(files)
        for attempt in range(_DOWNLOADS):
            if not waiting:
                return
            try:
                with self._explained(f"read {next(iter(waiting))}", but=ClientError):
                    # One part at a time: s3fs goes on with such a download where it was cut.
                    paths = [str(file) for file, _ in waiting.values()]
                    self._files.get([*map(self._path, waiting)], paths, batch_size=_FILES, max_concurrency=1)
            except ClientError as error:
                if attempt == _DOWNLOADS - 1:
                    what = f"the download is cut again and again ({_said(error)}): check the network, then run again"
                    raise self._error(f"read {next(iter(waiting))}", what) from None
                time.sleep(2**attempt / 4)
            waiting = {
                key: (file, sha256)
                for key, (file, sha256) in waiting.items()
                if not file.exists() or sha256 not in (None, sha256_of_file(file))
            }
        if waiting:
            raise DamagedError(
                f"{self.address}/{next(iter(waiting))} is damaged: not the bytes that were written. Make the asset "
                "again with DERMA_FORCE=1."
            )

    def remove(self, keys: list[str]) -> None:
        """Remove objects; those that are not there are no error."""
        if keys:
            with self._explained(f"remove {keys[0]}"):
                self._files.rm([self._path(key) for key in keys])

    def _path(self, key: str) -> str:
        return f"{self._root.path.rstrip('/')}/{key}"

    @contextmanager
    def _explained(self, doing: str, but: type[Exception] | tuple[()] = ()) -> Iterator[None]:
        """Turn what the libraries raise into a `StorageError` that says what to do; `but`: passed on."""
        from aiohttp import ClientError as Cut
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            yield
        except but:
            raise
        except (OSError, BotoCoreError, ClientError, Cut, ValueError) as error:
            if isinstance(error, OSError) and (error.filename or error.errno in _OF_THE_DISK):
                raise  # of the working copy, which `replacing` explains
            # Alone: an endpoint's address in what the libraries say may hold a password.
            raise self._error(
                doing, _meaning(error), DamagedError if _is_of_an_object(error) else StorageError
            ) from None

    def _error(self, doing: str, what: str, kind: type[StorageError] = StorageError) -> StorageError:
        return kind(f"cannot {doing} in {self.address}: {what}. What was stored there before is untouched.")


@cache
def remote_of(store: Path) -> RemoteStore | None:
    """Return the object storage that the folder `store` is the working copy of, or None of a store that is local."""
    address = address_of_copy(store)
    return None if address is None else RemoteStore(address)


def fill(remote: RemoteStore, old: Path, new: Path, files: Mapping[str, tuple[str, str]]) -> None:
    """Write files to the new folder or file `new`: those that `old` has as linked files, the others from `remote`.

    Args:
        remote: Where they are.
        old: What `new` will take the place of; nothing needs to be there, or what is there may be damaged.
        new: Beside it.
        files: Key and SHA-256 of each, by its path below the folder; of a single file, under ".".

    Raises:
        StorageError: the server cannot be reached, has no such object, or has another in its place.
    """
    wanted: dict[str, tuple[Path, str | None]] = {}
    copies: list[tuple[Path, Path]] = []
    for file, (key, sha256) in files.items():
        target, before = (new, old) if file == "." else (new / file, old / file)
        target.parent.mkdir(parents=True, exist_ok=True)
        if before.is_file() and sha256_of_file(before) == sha256:
            link_or_copy(before, target)
        elif key in wanted:
            copies.append((wanted[key][0], target))
        else:
            wanted[key] = (target, sha256)
    remote.download(wanted)
    for source, copy in copies:
        shutil.copyfile(source, copy)


def _content(document: Mapping[str, Any]) -> bytes:
    return (json.dumps(document, indent=1) + "\n").encode()


def _meaning(error: Exception) -> str:
    """Return what an error means and what to do."""
    from botocore.exceptions import NoCredentialsError, PartialCredentialsError

    if isinstance(error, NoCredentialsError | PartialCredentialsError):
        return "there are no credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the environment"
    if isinstance(error, FileNotFoundError) and not _is_of_an_object(error):
        return "there is no such bucket: make it, or correct DERMA_STORAGE"
    if _is_of_an_object(error):
        return "there is no such object: it was removed by hand; make the asset again with DERMA_FORCE=1"
    if isinstance(error, PermissionError):
        return (
            f"the server refuses ({_said(error)}): check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN, "
            "and what they may do with this bucket"
        )
    return (
        f"the server does not answer as it should, after {settings().storage_attempts} attempts ({_said(error)}): "
        "check AWS_ENDPOINT_URL and the network, then run again"
    )


def _is_of_an_object(error: Exception) -> bool:
    """Return whether an error says that there is no such object, in a bucket that is there."""
    return isinstance(error, FileNotFoundError) and _code(error) != "NoSuchBucket"


def _said(error: Exception) -> str:
    """Return an error in one line, without a user and password that an endpoint's address may have."""
    return re.sub(r"//[^/@\s]*@", "//", f"{type(error).__name__}: {error}".splitlines()[0])


def _code(error: Exception) -> str:
    response = getattr(error.__cause__, "response", None) or {}
    return str(response.get("Error", {}).get("Code", ""))
