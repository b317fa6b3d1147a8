"""The bundle of a release, unpacked once to be served, and what to say of it."""

from pathlib import Path

from derma_assets.browser.bundle import changed_files
from derma_assets.errors import InputError
from derma_assets.release.archive import unpack
from derma_assets.release.layout import BUNDLE, read_release
from derma_assets.storage.atomic import replacing
from derma_assets.storage.fingerprint import fingerprint_folder, sha256_of_file


def unpacked_bundle(folder: Path, target: Path) -> Path:
    """Unpack the bundle of the release in `folder` to `target`, unless it is there already, and return `target`.

    Every checksum is verified: the archive's, the unpacked folder's, and those in the bundle's own manifest.

    Raises:
        UserError: there is no release, or its bundle is not what its manifest says.
        StorageError: `target` cannot be written.
    """
    said = read_release(folder)
    archive = folder / BUNDLE
    if not archive.is_file() or sha256_of_file(archive) != said["files"][BUNDLE]["sha256"]:
        raise InputError(f"{archive} is missing or not what release.json says: restore the folder {folder}.")
    wanted = said["bundle"]["fingerprint"]
    if not target.is_dir() or fingerprint_folder(target) != wanted:
        with replacing(target) as beside:
            unpack(archive, beside)
            if fingerprint_folder(beside) != wanted or changed_files(beside):
                raise InputError(f"the files in {archive} are not what release.json says: restore the folder {folder}.")
    return target


def said_of(folder: Path) -> str:
    """Return one line that says which model the release in `folder` is."""
    release = read_release(folder)
    test = release["test"]
    accuracy = test["accuracy"]
    return (
        f"the release of {release['date']}: {release['dataset']['name']}, accuracy {accuracy['value']:.3f} "
        f"({accuracy['low']:.3f} to {accuracy['high']:.3f}) on {test['pictures']} test pictures. "
        f"{release['disclaimer']}"
    )
