"""The one root of errors that may reach a person.

Each class has a stable `code` (clients match on it, so it never changes), an HTTP `status`, and a message that says
what happened and how much. `data` carries the same figures for machines.
"""

from __future__ import annotations

from typing import ClassVar

Datum = str | int | float | bool | list[str] | None


class CalotypeError(Exception):
    """Root of all public errors: `str(error)` is a sentence for the person, `data` its figures."""

    code: ClassVar[str] = "internal"
    status: ClassVar[int] = 500
    retry_after_s: ClassVar[int | None] = None

    def __init__(self, message: str, **data: Datum) -> None:
        super().__init__(message)
        self.message = message
        self.data = data


class BadRequest(CalotypeError):
    code = "bad_request"
    status = 400


class NotSignedIn(CalotypeError):
    code = "not_signed_in"
    status = 401


class Forbidden(CalotypeError):
    code = "forbidden"
    status = 403


class NotFound(CalotypeError):
    code = "not_found"
    status = 404


class Conflict(CalotypeError):
    code = "conflict"
    status = 409


class TooLarge(CalotypeError):
    code = "too_large"
    status = 413


class Unprocessable(CalotypeError):
    code = "unprocessable"
    status = 422


class TooManyRequests(CalotypeError):
    code = "too_many_requests"
    status = 429


class Unavailable(CalotypeError):
    """An engine that this request needs does not answer; the same request may succeed later."""

    code = "unavailable"
    status = 503
    retry_after_s = 2
