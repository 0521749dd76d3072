"""Answers to requests that failed: the same code, sentence and status as a page or as JSON.

JSON: `{"error": {"code", "message", "data", "request_id"}}`. Which of the two: paths under `/api/` and clients that ask
for JSON get JSON.
"""

from __future__ import annotations

import logging

import msgspec
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.utils.translation import gettext as _

from calotype.std.errors import BadRequest, CalotypeError, Datum, Forbidden, NotFound, NotSignedIn
from calotype.web.sentences import sentence

log = logging.getLogger("calotype.web")


class ErrorBody(msgspec.Struct):
    code: str
    message: str
    data: dict[str, Datum]
    request_id: str


class ErrorAnswer(msgspec.Struct):
    error: ErrorBody


class Failure(CalotypeError):
    """Our own fault: what exactly is in the log, under the request's id, and not in the answer."""


def wants_json(request: HttpRequest) -> bool:
    return request.path_info.startswith("/api/") or "application/json" in request.headers.get("Accept", "")


def error_response(request: HttpRequest, error: CalotypeError) -> HttpResponse:
    """The answer to a request that ended with a public error."""
    request_id = getattr(request, "request_id", "")
    if wants_json(request):
        body = ErrorAnswer(ErrorBody(error.code, sentence(error), error.data, request_id))
        response = HttpResponse(
            msgspec.json.encode(body), content_type="application/json", status=error.status
        )
    else:
        response = _page(request, error, request_id)
    retry_after = error.data.get("retry_after_s") or error.retry_after_s
    if retry_after:
        response["Retry-After"] = str(retry_after)
    response["Cache-Control"] = "no-store"
    response.error_code = error.code  # type: ignore[attr-defined]  # for the access log
    return response


def _page(request: HttpRequest, error: CalotypeError, request_id: str) -> HttpResponse:
    titles = {
        400: _("That did not work"),
        401: _("Please log in"),
        403: _("Not allowed"),
        404: _("Nothing here"),
        413: _("Too large"),
        429: _("A little slower"),
        503: _("Back in a moment"),
    }
    icons = {
        401: "lock",
        403: "lock",
        404: "image-off",
        413: "images",
        429: "clock",
        500: "triangle-alert",
        503: "cloud-off",
    }
    context = {
        "title": titles.get(error.status, _("That did not work")),
        "icon": icons.get(error.status, "circle-alert"),
        "message": sentence(error),
        "code": error.code,
        "request_id": request_id,
        "sign_in": isinstance(error, NotSignedIn),
        "next": request.get_full_path() if request.method == "GET" else "",
        "again": request.method == "GET" and error.status in (429, 500, 503),
    }
    return HttpResponse(render_to_string("web/error.html", context), status=error.status)


def failure_response(request: HttpRequest, error: Exception) -> HttpResponse:
    """The answer to a request that ended with anything else: a 500 that gives nothing away."""
    request_id = getattr(request, "request_id", "")
    log.error("request %s failed", request_id, exc_info=error)
    return error_response(
        request, Failure(_("Something went wrong on our side. It has been noted as %s.") % request_id)
    )


def server_error(request: HttpRequest) -> HttpResponse:
    """Django's handler500, for the pages of staff: Django has written down what it was."""
    return error_response(request, Failure(_("Something went wrong on our side.")))


def not_found(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """Django's handler404."""
    return error_response(request, NotFound(_("There is no page at this address.")))


def permission_denied(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """Django's handler403."""
    return error_response(request, Forbidden(_("This is not yours to do.")))


def bad_request(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """Django's handler400: suspicious input, too many form fields."""
    kind = type(exception).__name__ if exception else ""
    reason = {
        "TooManyFieldsSent": _("This form has too many fields."),
        "TooManyFilesSent": _("This form has too many files."),
        "RequestDataTooBig": _("This form is too large."),
    }.get(kind, _("This request cannot be understood."))
    return error_response(request, BadRequest(reason))


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Django's CSRF_FAILURE_VIEW."""
    return error_response(
        request, CsrfFailed(_("This form has expired or came from elsewhere. Reload the page and try again."))
    )


class CsrfFailed(CalotypeError):
    code = "csrf_failed"
    status = 403
