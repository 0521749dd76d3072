"""Sign people in to a baseline without its log-in page: prints {"person id": "cookie header"} as JSON.

DJANGO_SETTINGS_MODULE=... python -m benchmarks.baselines.cookies drf|tuned 17 18 ...
"""

from __future__ import annotations

import json
import sys

import django
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.http import HttpResponse


def session_cookie(person: int) -> str:
    """Of Django's session table, as `login` leaves it."""
    from django.contrib.sessions.backends.db import SessionStore

    from benchmarks.baselines.photos.models import Person

    session = SessionStore()
    session[SESSION_KEY] = str(person)
    session[BACKEND_SESSION_KEY] = "django.contrib.auth.backends.ModelBackend"
    session[HASH_SESSION_KEY] = Person.objects.get(id=person).get_session_auth_hash()
    session.create()
    return f"sessionid={session.session_key}"


def signed_cookie(person: int) -> str:
    """What `HttpRequest.get_signed_cookie` reads."""
    response = HttpResponse()
    response.set_signed_cookie("person", str(person))
    return response.cookies["person"].OutputString().partition(";")[0]


if __name__ == "__main__":
    django.setup(set_prefix=False)
    make = session_cookie if sys.argv[1] == "drf" else signed_cookie
    print(json.dumps({person: make(int(person)) for person in sys.argv[2:]}))
