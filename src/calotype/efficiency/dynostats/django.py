"""The middleware for any Django site, synchronous or not. It goes first:

    MIDDLEWARE = ["calotype.efficiency.dynostats.django.Dynostats", ...]
    DYNOSTATS = {"directory": BASE_DIR / "dynostats"}

Where the site's application is wrapped already (`MeteredASGI`, `MeteredWSGI`: then routing and the sending of answers are metered
too) it only says which route and which person a request was for.
"""

from __future__ import annotations

import atexit
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from functools import cache
from inspect import iscoroutinefunction, markcoroutinefunction
from typing import Any, cast

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse

from calotype.efficiency.dynostats import django_calls, observation
from calotype.efficiency.dynostats.asgi import running
from calotype.efficiency.dynostats.observation import OBSERVED, Observation
from calotype.efficiency.dynostats.recorder import Recorder
from calotype.efficiency.dynostats.settings import profiler, sink, told
from calotype.efficiency.dynostats.types import Identity
from calotype.efficiency.dynostats.wsgi import Parts, serving
from calotype.efficiency.meter import Meter, counter


@cache
def recorder() -> Recorder:
    """Of this site, by its settings. Raises `ImproperlyConfigured`."""
    said = told()

    def identity() -> Identity:
        return Identity(
            release=said.release, host=socket.gethostname(), worker=str(os.getpid()), region=said.region
        )

    meter = Meter(counter(said.counter))
    key = settings.SECRET_KEY.encode() if settings.SECRET_KEY else b""
    made = Recorder(identity, sink(said), meter, said.sampling, key, profiler(said))
    meter.install()
    django_calls.install()
    atexit.register(made.close)
    return made


GetResponse = Callable[[HttpRequest], HttpResponseBase | Awaitable[HttpResponseBase]]


class Dynostats:
    sync_capable = async_capable = True

    def __init__(self, get_response: GetResponse) -> None:
        self._get_response = get_response
        self._recorder = recorder()
        if iscoroutinefunction(get_response):
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> Any:
        if iscoroutinefunction(self._get_response):
            return self._asynchronous(request)
        return self._synchronous(request)

    def _synchronous(self, request: HttpRequest) -> HttpResponseBase:
        get_response = cast(Callable[[HttpRequest], HttpResponseBase], self._get_response)
        if OBSERVED.get() is not None:  # the application is wrapped
            response = get_response(request)
            named(request)
            return response
        observed = self._recorder.begin(request.method or "")
        try:
            with serving(self._recorder, observed):
                response = get_response(request)
                named(request)
        except BaseException:
            self._recorder.end(observed)
            raise
        return self._answered(observed, request, response)

    async def _asynchronous(self, request: HttpRequest) -> HttpResponseBase:
        get_response = cast(
            Callable[[HttpRequest], Coroutine[Any, Any, HttpResponseBase]], self._get_response
        )
        if OBSERVED.get() is not None:
            response = await get_response(request)
            named(request)
            return response
        observed = self._recorder.begin(request.method or "")
        token = OBSERVED.set(observed)
        try:
            response = await running(self._recorder, observed, get_response(request))
            named(request)
        except BaseException as error:
            observed.error = type(error).__name__
            self._recorder.end(observed)
            raise
        finally:
            OBSERVED.reset(token)
        return self._answered(observed, request, response)

    def _answered(
        self, observed: Observation, request: HttpRequest, response: HttpResponseBase
    ) -> HttpResponseBase:
        observed.answering(response.status_code)
        length = request.META.get("CONTENT_LENGTH") or ""
        observed.bytes_in = int(length) if length.isdigit() else 0
        if isinstance(response, StreamingHttpResponse):
            self._until_streamed(observed, response)
        else:
            assert isinstance(response, HttpResponse)
            observed.bytes_out = len(response.content)
            self._recorder.end(observed)
        return response

    def _until_streamed(self, observed: Observation, response: StreamingHttpResponse) -> None:
        """Charge the making of each piece; the request ends when its answer is closed."""
        content = response.streaming_content
        if response.is_async:
            response.streaming_content = _pieces(
                cast(AsyncIterator[bytes], content), self._recorder, observed
            )
        else:
            response.streaming_content = Parts(cast(Iterator[bytes], content), self._recorder, observed)
        close = response.close

        def close_and_end() -> None:
            try:
                close()
            finally:
                self._recorder.end(observed)

        response.close = close_and_end  # type: ignore[method-assign]  # Django has no other moment that is the last


async def _pieces(
    content: AsyncIterator[bytes], recorder: Recorder, observed: Observation
) -> AsyncIterator[bytes]:
    while True:
        try:
            piece = await running(recorder, observed, _next(content))
        except StopAsyncIteration:
            return
        observed.bytes_out += len(piece)
        yield piece


async def _next(content: AsyncIterator[bytes]) -> bytes:
    return await anext(content)


def named(request: HttpRequest) -> None:
    """Say what the request was for, as far as Django knows. Nobody is looked up for this who was not looked up before."""
    if (match := request.resolver_match) is not None:
        observation.endpoint(match.view_name or match.route)
    user = getattr(request, "_acached_user", None) or getattr(request, "_cached_user", None)
    if user is not None and user.pk is not None:
        observation.person(str(user.pk))
