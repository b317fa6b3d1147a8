from pathlib import Path

import pytest

from derma_assets.dataset.source import locate_dataset
from derma_assets.errors import InputError
from derma_assets.settings import Settings


def test_a_folder_that_would_be_ignored_is_refused(tmp_path: Path) -> None:
    chosen = Settings(dataset="sample", ham10000_dir=tmp_path, data_dir=tmp_path / "data")
    with pytest.raises(InputError, match="set DERMA_DATASET=ham10000"):
        locate_dataset(chosen)
