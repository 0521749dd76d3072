"""Our own middleware, all of it native async: the request's id, log line, deadline, errors and session."""

from __future__ import annotations

import secrets
import sys
import time
from collections.abc import Awaitable, Callable
from inspect import markcoroutinefunction
from typing import IO

import msgspec
from django.conf import settings
from django.contrib.sessions.backends.base import UpdateError
from django.core.exceptions import BadRequest, PermissionDenied, SuspiciousOperation
from django.core.handlers.exception import response_for_exception
from django.http import Http404, HttpResponseBase
from django.http.multipartparser import MultiPartParserError
from django.utils.cache import patch_vary_headers
from django.utils.translation import gettext as _

from calotype.efficiency.dynostats import person
from calotype.efficiency.dynostats.django import named
from calotype.infra.shards.tickets import carrying
from calotype.std.deadline import deadline
from calotype.std.errors import CalotypeError, Unavailable
from calotype.web import tickets
from calotype.web.errors import error_response, failure_response
from calotype.web.limits import seconds
from calotype.web.request import SiteRequest
from calotype.web.sessions import SessionStore

GetResponse = Callable[[SiteRequest], Awaitable[HttpResponseBase]]

REQUEST_ID_LIMIT = 64


class Middleware:
    """A link of the chain; Django asks whether it is a coroutine function."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response
        markcoroutinefunction(self)  # type: ignore[type-var]  # Django marks instances too


class AccessLine(msgspec.Struct):
    """One request in the access log: a JSON object a line. The route and not the path: no ids, no personal data."""

    at: float
    id: str
    method: str
    route: str
    status: int
    ms: float
    bytes: int
    error: str | None = None


class AccessLog(Middleware):
    """Outermost: gives the request its id and writes one line when it has been answered."""

    out: IO[str] = sys.stdout
    encoder = msgspec.json.Encoder()

    async def __call__(self, request: SiteRequest) -> HttpResponseBase:
        request.request_id = request_id(request.headers.get("X-Request-Id", ""))
        began = time.perf_counter_ns()
        response = await self.get_response(request)
        response["X-Request-Id"] = request.request_id
        named(request)
        match = request.resolver_match
        line = AccessLine(
            at=round(time.time(), 3),
            id=request.request_id,
            method=request.method or "",
            route=match.route if match else "",
            status=response.status_code,
            ms=round((time.perf_counter_ns() - began) / 1e6, 2),
            bytes=0 if response.streaming else len(response.content),  # type: ignore[attr-defined]  # HttpResponse has it
            error=getattr(response, "error_code", None),
        )
        self.out.write(self.encoder.encode(line).decode() + "\n")
        self.out.flush()
        return response


def request_id(given: str) -> str:
    """The id that a proxy gave the request, if it is plain; else a new one."""
    if (
        0 < len(given) <= REQUEST_ID_LIMIT
        and given.isascii()
        and given.replace("-", "").replace("_", "").isalnum()
    ):
        return given
    return secrets.token_hex(8)


class Deadline(Middleware):
    """All of a request's work ends within `settings.REQUEST_SECONDS`, an upload's within `UPLOAD_SECONDS`."""

    async def __call__(self, request: SiteRequest) -> HttpResponseBase:
        with deadline(seconds(request)):
            return await self.get_response(request)


class Errors(Middleware):
    """Turns what is raised below it into an answer: pages for browsers, JSON for the API (docs/web.md)."""

    async def __call__(self, request: SiteRequest) -> HttpResponseBase:
        if request.refusal is not None:
            response = error_response(request, request.refusal)
            response["Connection"] = "close"  # the rest of the body is not read
            return response
        try:
            return await self.get_response(request)
        except CalotypeError as error:
            return error_response(request, error)
        except TimeoutError:
            return error_response(request, Unavailable(_("This took longer than a request may take.")))
        except (Http404, PermissionDenied, BadRequest, SuspiciousOperation, MultiPartParserError) as error:
            return response_for_exception(request, error)
        except Exception as error:
            return failure_response(request, error)


class TicketHolders(Middleware):
    """Around everything that reads or writes for a request: shows nobody less than what they have written."""

    async def __call__(self, request: SiteRequest) -> HttpResponseBase:
        if not request.site.may_lag:
            return await self.get_response(request)
        held = tickets.held_by(request)
        if held and request.site.cache is not None:
            await tickets.catch_up(request.site.cache, held)
        with carrying(held) as carried:
            response = await self.get_response(request)
        if carried.written:
            await tickets.hand_out(carried, response)
        return response


class Sessions(Middleware):
    """Loads the session that the cookie names, without the ORM and without a thread, and saves it when it changed."""

    async def __call__(self, request: SiteRequest) -> HttpResponseBase:
        key = request.COOKIES.get(settings.SESSION_COOKIE_NAME)
        session = SessionStore(key, request.site.sessions)
        request.session = session
        if key:
            await session.aload_now()
            request.account_id = session.account_id
            if session.account_id is not None:
                person(session.account_id)
        response = await self.get_response(request)
        await self._keep(request, session, response)
        return response

    async def _keep(self, request: SiteRequest, session: SessionStore, response: HttpResponseBase) -> None:
        if not session.accessed and not session.modified:
            return
        if session.is_empty():
            if settings.SESSION_COOKIE_NAME in request.COOKIES:
                response.delete_cookie(settings.SESSION_COOKIE_NAME, samesite="Lax")
            return
        patch_vary_headers(response, ("Cookie",))
        if session.modified and response.status_code < 500:
            try:
                await session.asave()
            except (
                UpdateError
            ):  # it was ended while this request ran, by a log-out or a changed password elsewhere
                response.delete_cookie(settings.SESSION_COOKIE_NAME, samesite="Lax")
                return
            response.set_cookie(
                settings.SESSION_COOKIE_NAME,
                session.session_key or "",
                max_age=session.get_expiry_age(),
                secure=settings.SESSION_COOKIE_SECURE,
                httponly=True,
                samesite="Lax",
            )
