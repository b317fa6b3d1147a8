"""What a training started from is said by content, and a release with all that it started from itself."""

import json
from pathlib import Path

import pytest

from derma_assets.storage.fingerprint import sha256_of_file
from derma_assets.training.origin import Origin, origin_of


@pytest.fixture
def release(tmp_path: Path) -> Path:
    """Return a release as far as a training that starts from it is concerned."""
    (tmp_path / "weights.npz").write_bytes(b"weights")
    training = {"recipe": "default", "epochs_trained": 24, "initial_weights": {"name": "imagenet"}}
    manifest = {"date": "2026-01-31", "model": {"fingerprint": "28502c5f157fb641"}, "training": training}
    (tmp_path / "release.json").write_text(json.dumps(manifest))
    return tmp_path


def test_names_are_themselves_and_files_their_content(tmp_path: Path) -> None:
    assert origin_of("imagenet").said == "imagenet"
    file = tmp_path / "mobilenet.weights.h5"
    file.write_bytes(b"weights")
    assert origin_of(str(file)) == Origin(name=file.name, sha256=sha256_of_file(file))
    assert origin_of(str(file)).said == f"the file {file.name} (SHA-256 {sha256_of_file(file)[:16]})"


def test_a_release_is_said_with_how_it_was_made(release: Path) -> None:
    origin = origin_of(str(release / "weights.npz"))
    assert origin.sha256 == sha256_of_file(release / "weights.npz")
    assert origin.said == (
        "the release of 2026-01-31 (weights 28502c5f157fb641: recipe default, 24 epochs, from imagenet)"
    )


def test_a_chain_of_releases_is_said_to_its_beginning(release: Path) -> None:
    before = origin_of(str(release / "weights.npz"))
    manifest = json.loads((release / "release.json").read_text())
    initial = before.model_dump(exclude_none=True)
    manifest["date"], manifest["model"] = "2026-02-28", {"fingerprint": "1234567890abcdef"}
    manifest["training"] = {"recipe": "continued", "epochs_trained": 8, "initial_weights": initial}
    (release / "release.json").write_text(json.dumps(manifest))
    assert origin_of(str(release / "weights.npz")).said == (
        f"the release of 2026-02-28 (weights 1234567890abcdef: recipe continued, 8 epochs, from {before.said})"
    )


def test_a_releases_other_files_are_files(release: Path) -> None:
    (release / "mobilenet.weights.h5").write_bytes(b"weights")
    assert origin_of(str(release / "mobilenet.weights.h5")).released is None
