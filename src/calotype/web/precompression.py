"""Static files compressed ahead, as small as they get, beside themselves: `look.<hash>.css.br` and `.gz`.

Brotli for browsers (all have it, and at its best it is smaller than zstd's best), gzip for everything else. Only names with a
hash are worth it: their content never changes, so what is there is right.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

TEXTS = frozenset({".css", ".js", ".json", ".map", ".svg", ".txt", ".webmanifest", ".xml", ".html"})

MIN_BYTES = 256
"""Less fits into one packet with its headers, compressed or not."""

WORTH_IT = 0.95
"""A sibling that is not smaller by 5% is not kept."""

SUFFIXES = {"br": ".br", "gzip": ".gz"}
"""Content coding -> how the name of the sibling ends. The smallest first."""


def with_brotli(content: bytes) -> bytes:
    import brotli

    made: bytes = brotli.compress(content, mode=brotli.MODE_TEXT, quality=11)
    return made


def with_gzip(content: bytes) -> bytes:
    compressor = zlib.compressobj(9, wbits=zlib.MAX_WBITS | 16)
    return compressor.compress(content) + compressor.flush()


CODINGS: dict[str, Callable[[bytes], bytes]] = {"br": with_brotli, "gzip": with_gzip}


def compress(files: Iterable[Path], progress: Callable[[int, int], None], shelf: Path | None = None) -> None:
    """Make the siblings that are missing, each of them whole or not at all. On all cores.

    `shelf`: a directory of those that were made before, whatever site they were made for. It is added to where it can be.
    """
    if shelf is not None:
        with suppress(OSError):
            shelf.mkdir(parents=True, exist_ok=True)
    wanted = [path for path in files if path.suffix in TEXTS and _missing(path)]
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        for done, _ in enumerate(threads.map(lambda path: _compress(path, shelf), wanted), 1):
            progress(done, len(wanted))


def sibling(path: Path, coding: str) -> Path:
    return path.with_name(path.name + SUFFIXES[coding])


def _missing(path: Path) -> bool:
    return not all(sibling(path, coding).exists() for coding in CODINGS)


def _compress(path: Path, shelf: Path | None) -> None:
    content = path.read_bytes()
    if len(content) < MIN_BYTES:
        return
    for coding, how in CODINGS.items():
        target = sibling(path, coding)
        made = None if shelf is None else shelf / target.name
        if made is not None and made.exists():
            _write(target, made.read_bytes())
            continue
        encoded = how(content)
        if len(encoded) <= WORTH_IT * len(content):
            _write(target, encoded)
            if made is not None:
                with suppress(OSError):
                    _write(made, encoded)


def _write(target: Path, content: bytes) -> None:
    half_written = target.with_name(f".{target.name}.{os.getpid()}")  # others may write the same one
    half_written.write_bytes(content)
    half_written.replace(target)
