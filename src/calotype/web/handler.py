"""Django's ASGI handler without its thread hops.

The stock handler starts threads for every request: to send signals, to run each middleware, to close the response.
Measured on a 4 KB JSON page: 1,434 us of CPU stock, 182-214 us like this (docs/web.md). What the stock handler promises
is kept: request signals, body limits and spooling, streaming responses, uploads, early disconnects. What differs:

- signal receivers and response closers run on the loop, so they must not block (Django's own do not, here: no ORM
  connection is ever opened on the loop);
- only middleware that is natively async is accepted; `web.native` makes it of Django's own;
- a view is cancelled at the deadline of its request, not when its client hangs up: what a person asked to be written
  is written, whether or not they wait for the answer. Streams do end when nobody reads them.
"""

from __future__ import annotations

import asyncio
import io
import logging
import tempfile
from collections.abc import Awaitable, Callable, Mapping
from contextlib import aclosing, suppress
from inspect import iscoroutinefunction
from typing import Any, BinaryIO, cast

from django.conf import settings
from django.core import signals
from django.core.exceptions import ImproperlyConfigured
from django.core.handlers.asgi import ASGIHandler, ASGIRequest, get_script_prefix
from django.db import close_old_connections, reset_queries
from django.dispatch import Signal
from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.urls import set_script_prefix
from django.utils.module_loading import import_string

from calotype.std.errors import CalotypeError, TooLarge
from calotype.web.limits import body_limit, seconds
from calotype.web.request import SiteRequest
from calotype.web.site import Site

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Send = Callable[[Mapping[str, Any]], Awaitable[None]]

SPOOL_BYTES = 1 << 20
"""A body up to this size stays in memory while it is read; a larger one goes to a temporary file."""

COLLECT_AFTER = (50_000, 20, 20)
"""Thresholds of the garbage collector where a site is open: a request leaves nothing to it (docs/web.md), and the default looks
after 2,000 objects."""

OF_THE_ORM = frozenset({close_old_connections, reset_queries})
"""Receivers of Django's own that look after the connections of this thread: the loop has none (`web.orm.in_thread` does
the same where there are)."""


class BodyTooSlow(CalotypeError):
    """The client stopped sending, or sends too slowly."""

    code = "body_too_slow"
    status = 408


class Disconnected(Exception):
    """The client went away before it had sent its request."""


class LeanHandler(ASGIHandler):
    """An ASGI application for HTTP requests of one site; `settings.LEAN_MIDDLEWARE` in place of `MIDDLEWARE`."""

    request_class = SiteRequest

    def __init__(self, site: Site) -> None:
        self.site = site
        super().__init__()

    def load_middleware(self, is_async: bool = True) -> None:
        """Chain the middleware classes, outermost first, and refuse any that would cost a thread.

        Exceptions travel up the chain as they are; `web.middleware.Errors` turns them into answers.
        """
        self._view_middleware: list[Any] = []
        self._template_response_middleware: list[Any] = []
        self._exception_middleware: list[Any] = []
        handler = self._get_response_async
        for path in reversed(settings.LEAN_MIDDLEWARE):
            handler = import_string(path)(handler)
            if not iscoroutinefunction(handler):
                raise ImproperlyConfigured(
                    f"{path} is not natively async: wrap it with web.native or leave it out"
                )
            if hasattr(handler, "process_view"):
                self._view_middleware.insert(0, handler.process_view)
        self._middleware_chain = handler

    async def _get_response_async(self, request: HttpRequest) -> HttpResponseBase:
        """Find the view and call it. Views are coroutines that answer finished responses."""
        view, arguments, named = self.resolve_request(request)
        for process_view in self._view_middleware:
            response: HttpResponseBase | None = await process_view(request, view, arguments, named)
            if response is not None:
                return response
        answer: HttpResponseBase = await view(request, *arguments, **named)
        self.check_response(answer, view)
        return answer

    async def run_get_response(self, request: HttpRequest) -> HttpResponseBase:
        response: HttpResponseBase = await self._middleware_chain(request)
        response._resource_closers.append(request.close)  # type: ignore[attr-defined]  # as BaseHandler does
        return response

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise ValueError(f"this application serves HTTP, not {scope['type']}")
        set_script_prefix(get_script_prefix(scope))
        await _announce(signals.request_started, self.__class__, scope=scope)
        request, refusal = self.create_request(scope, io.BytesIO())
        if request is None:
            assert refusal is not None
            await self.send_response(refusal, send)
            await _announce(signals.request_finished, self.__class__)
            return
        await self._serve(cast(SiteRequest, request), receive, send)

    async def _serve(self, request: SiteRequest, receive: Receive, send: Send) -> None:
        request.site = self.site
        try:
            await self._take_body(request, receive)
        except Disconnected:
            await _announce(signals.request_finished, self.__class__)
            return
        try:
            response = await self.run_get_response(request)
            if response.streaming:
                await self._stream(response, receive, send)
            else:
                await self._answer(response, send)
        finally:
            request.close()

    async def _take_body(self, request: SiteRequest, receive: Receive) -> None:
        """Read the body. What is wrong with it is refused inside the chain, with the headers and log line of any answer."""
        try:
            limit = await body_limit(request)
            async with asyncio.timeout(seconds(request)):
                request.take_body(await read_body(receive, limit, request.META.get("CONTENT_LENGTH", "")))
        except CalotypeError as error:
            request.refusal = error
        except TimeoutError:
            request.refusal = BodyTooSlow(f"the request did not arrive within {seconds(request):.0f} s")

    async def _answer(self, response: HttpResponseBase, send: Send) -> None:
        if isinstance(response, HttpResponse) and "Content-Length" not in response:
            response["Content-Length"] = str(len(response.content))
        try:
            await self.send_response(response, send)
        finally:
            await _close(response, self.__class__)

    async def _stream(self, response: HttpResponseBase, receive: Receive, send: Send) -> None:
        """Answer piece by piece, until all is sent or nobody reads it any longer."""
        answering = asyncio.create_task(self._answer(response, send))
        left = asyncio.create_task(_until_disconnected(receive))
        try:
            await asyncio.wait({answering, left}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            left.cancel()
            if not answering.done():
                answering.cancel()
        with suppress(asyncio.CancelledError):
            await answering

    async def send_response(self, response: HttpResponseBase, send: Send) -> None:
        """As in Django, but a plain body goes in one message: the server chunks it itself."""
        headers = [(name.encode("ascii"), value.encode("latin1")) for name, value in response.items()]
        headers += [
            (b"Set-Cookie", cookie.OutputString().encode("ascii")) for cookie in response.cookies.values()
        ]
        await send({"type": "http.response.start", "status": response.status_code, "headers": headers})
        if isinstance(response, StreamingHttpResponse):
            async with aclosing(aiter(response)) as parts:  # type: ignore[type-var]  # an async generator, by Django's contract
                async for part in parts:
                    await send({"type": "http.response.body", "body": part, "more_body": True})
            await send({"type": "http.response.body"})
        else:
            assert isinstance(response, HttpResponse)
            await send({"type": "http.response.body", "body": response.content})


async def _until_disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def read_body(receive: Receive, limit: int, declared: str) -> BinaryIO:
    """The request's body as a file at its start, in memory while it is small.

    Raises `TooLarge` as soon as the declared or the received length is over `limit` bytes, and `Disconnected`.
    """
    if declared.isdigit() and int(declared) > limit:
        raise _too_large(limit, int(declared))
    body = cast(BinaryIO, tempfile.SpooledTemporaryFile(SPOOL_BYTES))  # noqa: SIM115
    received = 0
    try:
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise Disconnected
            if chunk := message.get("body", b""):
                received += len(chunk)
                if received > limit:
                    raise _too_large(limit, received)
                body.write(chunk)
            if not message.get("more_body", False):
                body.seek(0)
                return body
    except BaseException:
        body.close()
        raise


def _too_large(limit: int, size: int) -> TooLarge:
    return TooLarge(
        f"this request is {size / 1e6:.1f} MB or more; the limit here is {limit / 1e6:.1f} MB",
        limit_bytes=limit,
        size_bytes=size,
    )


async def _announce(signal: Signal, sender: object, **named: object) -> None:
    """Send a signal without a thread: plain receivers on the loop, async ones awaited."""
    if not signal.receivers:
        return
    plain, asynchronous = signal._live_receivers(sender)  # Django has no public form that stays on the loop
    for receiver in plain:
        if receiver not in OF_THE_ORM:
            receiver(signal=signal, sender=sender, **named)
    for receiver in asynchronous:
        await receiver(signal=signal, sender=sender, **named)


async def _close(response: HttpResponseBase, sender: object) -> None:
    """`response.close()` with its signal sent from here."""
    for closer in response._resource_closers:  # type: ignore[attr-defined]  # as HttpResponseBase.close does
        try:
            closer()
        except Exception:
            logging.getLogger("django.request").exception("closing a response failed")
    response._resource_closers.clear()  # type: ignore[attr-defined]
    response.closed = True
    await _announce(signals.request_finished, sender)


assert issubclass(SiteRequest, ASGIRequest)
