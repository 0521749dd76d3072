"""How much one request may bring."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest

FORM_BYTES = 1 << 20
"""Any request that uploads nothing."""


def body_limit(request: HttpRequest) -> int:
    """Bytes that this request's body may have: `settings.UPLOAD_LIMITS` names the paths that take more."""
    for prefix, limit in settings.UPLOAD_LIMITS.items():
        if request.path_info.startswith(prefix):
            return int(limit)
    return FORM_BYTES
