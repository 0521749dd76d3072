"""Profiles in a directory, for as many processes as like.

Each process writes files of its own, one for an endpoint, release, clock and unit, whole and by renaming; whoever reads adds
them up. So nobody waits for anybody, and a process that dies leaves what it wrote last. Not synced: a profile is no record.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import os
import secrets
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import msgspec

from calotype.efficiency.profiler.clocks import ClockName, Unit
from calotype.efficiency.profiler.profile import Profile, merged
from calotype.std.errors import CalotypeError

if sys.version_info >= (3, 14):
    from compression import zstd

FILES = 1_000
BYTES = 256 << 20
"""Of a directory. The oldest files go first."""

NAME = 200
"""Characters of an endpoint's or a release's name."""

SUFFIX, UNFINISHED = ".profile", ".unfinished"
_ZSTD = b"\x28\xb5\x2f\xfd"


class Stored(msgspec.Struct, frozen=True, kw_only=True):
    """What there is of one endpoint, release and clock."""

    endpoint: str
    release: str
    clock: ClockName
    unit: Unit
    requests: int
    written_s: float
    """When a request was added last."""


class ProfileUnreadable(CalotypeError):
    """A file that is none of ours, damaged, or of a later version."""

    code = "profile_unreadable"
    status = 500


class Writer:
    """The files of one process; a child of `fork` has others. For one thread at a time."""

    def __init__(self, directory: Path, files: int = FILES, size_bytes: int = BYTES) -> None:
        self._directory, self._files, self._bytes = directory, files, size_bytes
        self._token = secrets.token_hex(4)

    def add(self, profile: Profile) -> None:
        """To what this process has stored of its kind. Raises `OSError`."""
        self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = self._directory / f"{_key(profile)}-{os.getpid()}-{self._token}{SUFFIX}"
        with contextlib.suppress(FileNotFoundError, ProfileUnreadable):  # a damaged one is replaced
            profile = merged([_read(path), profile])
        unfinished = path.with_suffix(UNFINISHED)
        unfinished.write_bytes(_encode(profile))
        unfinished.replace(path)
        self._make_room(path)

    def _make_room(self, but: Path) -> None:
        """Others do the same at the same time: a file may be gone."""
        files = sorted(_ages(self._directory))
        count, size = len(files), sum(size for _, size, _ in files)
        for _, file_size, path in files:
            if count <= self._files and size <= self._bytes:
                return
            if path != but:
                path.unlink(missing_ok=True)
                count, size = count - 1, size - file_size


def stored(directory: Path) -> list[Stored]:
    """By endpoint; of one, the release that was profiled last first. Unreadable files are left out."""
    together = defaultdict[tuple[str, str, ClockName, Unit], list[Stored]](list)
    for written_s, _, path in _ages(directory):
        with contextlib.suppress(FileNotFoundError, ProfileUnreadable):
            head = _decode(path, _Head)
            one = Stored(**msgspec.structs.asdict(head), written_s=written_s)
            together[one.endpoint, one.release, one.clock, one.unit].append(one)
    made = [
        msgspec.structs.replace(
            each[0],
            requests=sum(one.requests for one in each),
            written_s=max(one.written_s for one in each),
        )
        for each in together.values()
    ]
    return sorted(made, key=lambda one: (one.endpoint, one.clock, -one.written_s))


def read(directory: Path, of: Stored) -> Profile | None:
    """What all processes have of it. None: it is gone since."""
    found: list[Profile] = []
    for path in directory.glob(f"{_key(of)}-*{SUFFIX}"):
        with contextlib.suppress(FileNotFoundError, ProfileUnreadable):
            found.append(_read(path))
    return merged(found) if found else None


class _Head(msgspec.Struct, frozen=True):
    """As much of a `Profile` as a list shows."""

    endpoint: str
    release: str
    clock: ClockName
    unit: Unit
    requests: int


def _key(of: Profile | Stored) -> str:
    names = "\0".join((of.endpoint, of.release, of.clock, of.unit))
    return hashlib.sha256(names.encode()).hexdigest()[:20]


def _encode(profile: Profile) -> bytes:
    data = msgspec.msgpack.encode(profile)
    if sys.version_info >= (3, 14):
        return zstd.compress(data)
    return data


def _read(path: Path) -> Profile:
    """Raises `ProfileUnreadable`, `FileNotFoundError`."""
    profile = _decode(path, Profile)
    functions = range(len(profile.functions))
    whole = profile.paths and profile.paths[0].caller == -1
    ordered = all(0 <= each.caller < number for number, each in enumerate(profile.paths[1:], 1))
    if not whole or not ordered or any(each.function not in functions for each in profile.paths):
        raise ProfileUnreadable(f"{path}: its paths do not fit together")
    return profile


def _decode[T](path: Path, kind: type[T]) -> T:
    """Raises `ProfileUnreadable`, `FileNotFoundError`."""
    data = path.read_bytes()
    if data.startswith(_ZSTD):
        data = _decompressed(path, data)
    try:
        return msgspec.msgpack.decode(data, type=kind)
    except msgspec.MsgspecError as error:
        raise ProfileUnreadable(f"{path}: {error}") from error


def _decompressed(path: Path, data: bytes) -> bytes:
    if sys.version_info >= (3, 14):
        try:
            return zstd.decompress(data)
        except zstd.ZstdError as error:
            raise ProfileUnreadable(f"{path}: {error}") from error
    raise ProfileUnreadable(f"{path} is compressed with zstd, as Python 3.14 writes it: read it with that")


def _ages(directory: Path) -> Iterator[tuple[float, int, Path]]:
    """When each file was written, its size."""
    for path in itertools.chain(directory.glob(f"*{SUFFIX}"), directory.glob(f"*{UNFINISHED}")):
        with contextlib.suppress(FileNotFoundError):
            found = path.stat()
            yield found.st_mtime, found.st_size, path
