"""What a first visit costs is counted as it goes over the line."""

import gzip
import random
from pathlib import Path

from derma_assets.browser.bundle import read_manifest
from derma_assets.browser.download_size import LIMIT_BYTES, first_visit


def test_every_file_counts_once_and_compressed_if_that_is_less(tmp_path: Path) -> None:
    text, noise = b"text " * 1000, random.Random(0).randbytes(5000)
    contents = {
        "manifest.json": text,
        "sw.js": text,
        "index.html": text,
        "assets/lazy-tiff.js": noise,
        "model/model.json": text,
        "model/group1-shard1of2.bin": text,
        "model/group1-shard2of2.bin": noise,
    }
    for path, content in contents.items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_bytes(content)
    listed = {path: content for path, content in contents.items() if path not in ("manifest.json", "sw.js")}
    manifest = {
        "files": {path: {"sha256": path, "bytes": len(content)} for path, content in listed.items()},
        "model": {"files": [path for path in listed if path.startswith("model/")]},
    }
    compressed = len(gzip.compress(text, 6))

    visit = first_visit(tmp_path, manifest)

    assert visit.page == 3 * compressed
    assert visit.model == 2 * compressed + len(noise)
    assert visit.model_as_stored == compressed + len(text) + len(noise)
    assert visit.compressed == visit.page + visit.model
    assert visit.weights_as_stored == visit.page + visit.model_as_stored


def test_the_page_leaves_room_for_a_model_of_the_papers_kind(bundle_folder: Path) -> None:
    """Its 3.2 million weights are as many bytes, and compress by a tenth."""
    page = first_visit(bundle_folder, read_manifest(bundle_folder)).page

    assert page < LIMIT_BYTES - 3_200_000
