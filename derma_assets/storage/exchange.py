"""Two paths exchanged in one step of the kernel, which Python has no function for."""

import ctypes
import errno
import os
from pathlib import Path

# From linux/fs.h and fcntl.h.
_RENAME_EXCHANGE, _AT_FDCWD = 2, -100

_UNSUPPORTED = (errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP, errno.EXDEV)


def exchanged(one: Path, other: Path) -> bool:
    """Exchange what is at two paths of one file system: every reader finds something at both, at any time.

    Returns:
        False, with nothing done, where the kernel or the file system cannot (not Linux, some network file systems).

    Raises:
        OSError: it can, but not these two.
    """
    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if rename is None:
        return False
    if rename(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE) == 0:
        return True
    code = ctypes.get_errno()
    if code in _UNSUPPORTED:
        return False
    raise OSError(code, os.strerror(code), str(one), None, str(other))
