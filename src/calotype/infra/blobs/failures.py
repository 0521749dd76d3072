"""What an engine and the system raise, as the errors of the interface; every engine uses it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from obstore.exceptions import BaseError

from calotype.infra.blobs.types import BlobsUnavailable


@contextlib.contextmanager
def failures_named(action: str, subject: str, *, size_bytes: int | None = None) -> Iterator[None]:
    """Whatever goes wrong inside is a `BlobsUnavailable` that says what was tried, of what size, and why it failed."""
    size = "" if size_bytes is None else f" ({size_bytes} bytes)"
    try:
        yield
    except TimeoutError as cause:
        raise BlobsUnavailable(
            f"blobs: {action} {subject}{size} did not finish within the deadline"
        ) from cause
    except OSError as cause:
        raise BlobsUnavailable(
            f"blobs: cannot {action} {subject}{size}: {cause.strerror or _first_line(cause)}"
        ) from cause
    except BaseError as cause:
        raise BlobsUnavailable(f"blobs: cannot {action} {subject}{size}: {_first_line(cause)}") from cause


def _first_line(cause: Exception) -> str:
    return str(cause).partition("\n")[0]
