"""Files that are whole and durable, or not there: the blocking half of the local engine.

`obstore`'s local store creates atomically (it links a finished temporary file) but never calls fsync: after a loss of
power an acknowledged blob could be gone, or be there with no bytes in it. Calling fsync after it would not do: the blob is
visible before it is durable, and a second writer that meets it would take it for stored. So writing is done here: the
bytes reach the disk under a temporary name first, and only then does the name appear.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import secrets
import time
from pathlib import Path

_FULL_FSYNC: int | None = getattr(fcntl, "F_FULLFSYNC", None)
"""On macOS fsync leaves the bytes in the drive's cache; this makes it write them."""

LINK_ATTEMPTS = 100
"""A concurrent removal of the same directory, once it is empty, makes a link fail; it has to win this often to matter."""


def create(path: Path, data: bytes, *, root: Path, staging: Path) -> None:
    """Make `path`, somewhere below `root`, hold `data`; durable when it returns. Raises `FileExistsError`, `OSError`.

    `staging` must be on the same file system as `root`, which must have hard links.
    """
    temporary = staging / f"{os.getpid()}-{secrets.token_hex(8)}"
    try:
        _write(temporary, data)
        _link(temporary, path)
    except FileExistsError:
        # Whoever made it has written its bytes, but perhaps not yet its name: "exists" must mean durable as well.
        _sync_directories(path.parent, root)
        raise
    finally:
        with contextlib.suppress(FileNotFoundError):
            temporary.unlink()
    _sync_directories(path.parent, root)


def remove(path: Path, *, root: Path) -> bool:
    """Remove one file, and the directories it leaves empty; False when there was none."""
    try:
        path.unlink()
    except FileNotFoundError:
        return False
    _sync_nearest(_remove_empty(path.parent, root))
    return True


def remove_tree(top: Path, *, root: Path) -> int:
    """Remove all files below `top`, and the directories left empty; returns how many files."""
    removed = 0
    for directory, _, names in top.walk(top_down=False):
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                (directory / name).unlink()
                removed += 1
        _sync_nearest(_remove_empty(directory, directory.parent))
    _sync_nearest(_remove_empty(top.parent, root))
    return removed


def sweep(staging: Path, older_than_s: float) -> int:
    """Remove what killed writers have left behind; returns how many files."""
    swept = 0
    for entry in staging.iterdir():
        with contextlib.suppress(FileNotFoundError):
            if time.time() - entry.stat().st_mtime > older_than_s:
                entry.unlink()
                swept += 1
    return swept


def _write(path: Path, data: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(descriptor, view) :]
        _sync(descriptor)
    finally:
        os.close(descriptor)


def _link(temporary: Path, path: Path) -> None:
    """Give the file its name, making directories as needed. Raises `FileExistsError` only when the name is taken."""
    # A hard link, not a rename: a rename would replace what is there, a link is refused.
    for _ in range(LINK_ATTEMPTS):
        with contextlib.suppress(FileNotFoundError):
            _make_directories(path.parent)
            return os.link(temporary, path)
    raise NotADirectoryError(errno.ENOTDIR, "its directory cannot be made, or is removed again and again")


def _make_directories(directory: Path) -> None:
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    except FileExistsError:
        # mkdir says this also when the directory existed and was removed before it looked; try again either way.
        raise FileNotFoundError(directory) from None


def _sync_directories(directory: Path, root: Path) -> None:
    # The whole chain every time. To remember which directories are durable would save about 30 us each, and be wrong
    # when another process removes one as empty and makes it again.
    while True:
        with contextlib.suppress(
            FileNotFoundError
        ):  # the blob was removed meanwhile, and its directory with it
            _sync_directory(directory)
        if directory == root:
            return
        directory = directory.parent


def _remove_empty(directory: Path, stop: Path) -> Path:
    """Remove `directory` and those above it while they are empty; the nearest one that remains."""
    while directory != stop:
        try:
            directory.rmdir()
        except OSError:  # not empty, or already gone
            return directory
        directory = directory.parent
    return directory


def _sync_nearest(directory: Path) -> None:
    while True:
        try:
            return _sync_directory(directory)
        except FileNotFoundError:  # a concurrent removal took it; then its parent is what changed
            directory = directory.parent


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        _sync(descriptor)
    finally:
        os.close(descriptor)


def _sync(descriptor: int) -> None:
    if _FULL_FSYNC is None:
        os.fsync(descriptor)
    else:
        fcntl.fcntl(descriptor, _FULL_FSYNC)
