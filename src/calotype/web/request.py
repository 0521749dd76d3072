"""The request as Calotype's views see it."""

from __future__ import annotations

import io
from typing import Any, BinaryIO

from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIRequest

from calotype.std.errors import CalotypeError
from calotype.web.site import Site

PARSE_IN_THREAD_BYTES = 256 * 1024
"""A form body up to this size is parsed on the loop (under a millisecond); a larger one in a thread."""


class SiteRequest(ASGIRequest):
    """An ASGI request that knows its site, its session's account, and its own id."""

    site: Site  # type: ignore[assignment]  # its stubs think of contrib.sites, which is not installed
    request_id: str = ""
    refusal: CalotypeError | None = None
    """Why the body was not read to its end."""
    account_id: int | None = None
    """Who is signed in, by the session; None for nobody."""
    viewer_node: Any = None
    """Filled by `product.accounts.viewer`: the person behind `account_id`, read once a request."""

    def __init__(self, scope: dict[str, Any], body_file: BinaryIO | None) -> None:
        super().__init__(scope, body_file or io.BytesIO())

    def take_body(self, body: BinaryIO) -> None:
        """The body, once it has been read."""
        self._stream = body

    def close(self) -> None:
        """It has been answered. What it has that knows it in turn is let go of, so that it goes at once, and need not be
        collected: notes, and what takes uploads."""
        super().close()
        for name in ("_messages", "_upload_handlers"):
            self.__dict__.pop(name, None)

    async def parse_form(self) -> None:
        """Parse the body into `POST` and `FILES` without holding up the loop; `web.native.Csrf` does it for every POST."""
        if hasattr(self, "_post"):
            return
        length = self.META.get("CONTENT_LENGTH", "")
        if not length.isdigit() or int(length) > PARSE_IN_THREAD_BYTES:
            await sync_to_async(self._load_post_and_files, thread_sensitive=False)()
