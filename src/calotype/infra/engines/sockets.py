"""Where the Unix socket of an engine lies: in its own directory, or in a short private one."""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path

from calotype.std.errors import CalotypeError

SOCKET_PATH_LIMIT = 100
"""`sun_path` holds 108 bytes on Linux and 104 on macOS; the rest is the final NUL and room for doubt."""


class SocketDirectoryUnusable(CalotypeError):
    """Somebody else made the directory: who owns it could pass for the engine."""

    code = "socket_directory_unusable"


def socket_directory(root: Path, name: str) -> Path:
    """`root`, or one under the temporary directory if the path of the socket `name` in `root` would be too long."""
    if len(os.fsencode(root)) <= SOCKET_PATH_LIMIT - len(name) - 1:
        return root
    digest = hashlib.sha256(os.fsencode(root.resolve())).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"calotype-{os.geteuid()}-{digest}"


def make_private(directory: Path) -> None:
    """Make it, for its owner only. Raises `SocketDirectoryUnusable` if it is there and is not ours."""
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    owner = directory.stat().st_uid
    if owner != os.geteuid():
        raise SocketDirectoryUnusable(f"{directory} belongs to user {owner}, not to us ({os.geteuid()})")
