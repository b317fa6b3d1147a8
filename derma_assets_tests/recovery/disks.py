"""A small disk, and one that can only be read: the kernel's own where the machine lets us mount, else limits like them.

Whoever may not mount anything gets a limit of file sizes in place of a full disk, and folders without the permission to
write in place of a read-only disk: nothing is skipped.
"""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def _run(*words: object) -> bool:
    return subprocess.run([str(word) for word in words], capture_output=True, check=False).returncode == 0


class SmallDisk:
    """A disk that can be filled up and made larger.

    Attributes:
        folder: Where it is.
        within: Words in front of a command that is to find it full, if it is a limit of file sizes.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.within = folder, ()
        folder.mkdir()
        self.mounted = _run("mount", "-t", "tmpfs", "-o", "size=500m", "tmpfs", folder)

    def leave(self, kilobytes: int) -> tuple[str, ...]:
        """Let no more than this be free, and return the words in front of a command that is to find it so."""
        if not self.mounted:
            return ("sh", "-c", f'ulimit -f {2 * kilobytes} && exec "$0" "$@"')  # blocks of 512 bytes
        state = os.statvfs(self.folder)
        used = (state.f_blocks - state.f_bfree) * state.f_frsize
        assert _run("mount", "-o", f"remount,size={used + 1024 * kilobytes}", self.folder)
        return ()

    def enlarge(self) -> None:
        """Let there be room again."""
        if self.mounted:
            assert _run("mount", "-o", "remount,size=500m", self.folder)

    def unmount(self) -> None:
        """Take it away."""
        if self.mounted:
            assert _run("umount", self.folder)


@contextmanager
def small_disk(folder: Path) -> Iterator[SmallDisk]:
    """Make a disk at the new folder `folder` meanwhile."""
    disk = SmallDisk(folder)
    try:
        yield disk
    finally:
        disk.unmount()


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """Let nobody write below `folder` meanwhile."""
    bound = _run("mount", "--bind", folder, folder) and _run("mount", "-o", "remount,bind,ro", folder)
    folders = [path for path in (folder, *folder.rglob("*")) if path.is_dir() and not path.is_symlink()]
    if not bound:
        for path in folders:
            path.chmod(0o555)
    try:
        yield
    finally:
        if bound:
            assert _run("umount", folder)
        else:
            for path in folders:
                path.chmod(0o755)
