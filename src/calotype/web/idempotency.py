"""Requests that come twice, by a double click or a retry, and must count once.

The form carries a key in a hidden field; a program sends it as `Idempotency-Key`. The write claims it in its own
transaction, so of any number of requests with one key exactly one does something.
"""

from __future__ import annotations

import hashlib

from django.http import HttpRequest

KEY_LIMIT = 200

KINDS = ("upload", "file", "comment")
"""The kinds of claims that are keys of requests: they may be forgotten after `KEPT_S`."""

KEPT_S = 7 * 86_400
"""How long a repeated request is recognised."""


def key_of(request: HttpRequest) -> str:
    """The key of a request; empty when it has none."""
    return (request.headers.get("Idempotency-Key") or request.POST.get("key") or "")[:KEY_LIMIT]


def claim_key(account_id: int, key: str, part: int = 0) -> str:
    """The claim for a key of an account: hashed, so its length is bounded and nobody can claim another's."""
    return f"{account_id}:{hashlib.sha256(key.encode()).hexdigest()[:32]}:{part}"
