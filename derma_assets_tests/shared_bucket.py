"""A bucket on a real server, and machines that share it."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from s3fs import S3FileSystem

from derma_assets.settings import settings
from derma_assets.storage.paths import store_path
from derma_assets_tests.s3_server import Proxy, S3Server, proxy_before, s3_server


@pytest.fixture(scope="session")
def server() -> Iterator[S3Server]:
    with s3_server() as running:
        yield running


@pytest.fixture(scope="session")
def proxy(server: S3Server) -> Iterator[Proxy]:
    with proxy_before(server) as running:
        yield running


@dataclass(frozen=True)
class Shared:
    """An empty bucket behind a proxy, and data folders of machines that share it."""

    server: S3Server
    proxy: Proxy
    bucket: str
    folder: Path

    def address(self, prefix: str = "derma") -> str:
        return f"s3://{self.bucket}/{prefix}"

    def machine(self, name: str, prefix: str = "derma", dataset: str = "sample") -> Path:
        """Return the working copy of a machine; a name that was not there before has an empty one."""
        return store_path(self.folder / name, self.address(prefix), dataset)

    def objects(self) -> dict[str, bytes]:
        return self.server.objects(self.bucket)


@pytest.fixture
def shared(server: S3Server, proxy: Proxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shared]:
    """The environment of this process is that of a machine that reaches the bucket through the proxy."""
    for name, value in server.environment(proxy.address).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("DERMA_STORAGE_ATTEMPTS", "3")
    monkeypatch.setenv("DERMA_STORAGE_TIMEOUT_S", "20")
    proxy.faults = []
    settings.cache_clear()
    yield Shared(server, proxy, server.new_bucket(), tmp_path)
    settings.cache_clear()


@pytest.fixture
def new_client() -> Iterator[None]:
    """The environment is read anew: a client takes long to make, so the tests share one."""
    S3FileSystem.clear_instance_cache()
    yield
    S3FileSystem.clear_instance_cache()
