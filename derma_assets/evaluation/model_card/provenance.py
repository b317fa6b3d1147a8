"""With which code and packages a card was made."""

import importlib.metadata
import subprocess
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from derma_assets.evaluation.model_card.evidence import Made
from derma_assets.storage.paths import stored_anywhere

PACKAGES = ("derma_assets", "tensorflow", "keras", "tensorflowjs", "numpy", "scikit-learn", "pandas", "dagster")
_ROOT = Path(__file__).parents[3]


def package_versions() -> dict[str, str]:
    """Return the version of each of `PACKAGES`, or that it is not installed as one."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found


def git_commit(root: Path = _ROOT) -> str:
    """Return the commit of the project's own checkout, and whether tracked files differ from it.

    Args:
        root: Folder of the project. One that merely lies in somebody's repository is no checkout.
    """
    if not (root / ".git").exists():
        return "not known: not run from a git checkout"
    try:
        commit, changes = (
            subprocess.run(["git", "-C", str(root), *words], capture_output=True, text=True, check=True, timeout=30)
            for words in (("rev-parse", "HEAD"), ("status", "--porcelain", "--untracked-files=no"))
        )
    except (OSError, subprocess.SubprocessError):
        return "not known: git did not answer"
    return f"`{commit.stdout.strip()}`" + (", with uncommitted changes" if changes.stdout.strip() else "")


def file_times(store: Path, assets: Iterable[str]) -> dict[str, Made]:
    """Return when each asset was stored by the time of its file, for those that are there."""
    paths = {asset: stored_anywhere(store, asset) for asset in assets}
    return {
        asset: Made(datetime.fromtimestamp(path.stat().st_mtime, UTC))
        for asset, path in paths.items()
        if path is not None
    }
