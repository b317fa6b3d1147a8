"""One made-up store, copied for each test that changes it, and the release of it."""

from pathlib import Path

import pytest

from derma_assets.release.write import write_release
from derma_assets_tests.release.made_up_store import DATASET, DATE, copied, make_store, settings_for


@pytest.fixture(scope="session")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store that can be released, and its release in `release`: not to be changed."""
    data_dir = tmp_path_factory.mktemp("original")
    make_store(data_dir / "store" / DATASET)
    write_release(settings_for(data_dir), data_dir / "release", DATE)
    return data_dir


@pytest.fixture
def data_dir(original: Path, tmp_path: Path) -> Path:
    """A copy of the store, to be changed; without a release."""
    copied(original / "store" / DATASET, tmp_path)
    return tmp_path


@pytest.fixture(scope="session")
def release(original: Path) -> Path:
    return original / "release"
