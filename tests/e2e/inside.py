"""What only a process of the site's own knows, for tests of its pages: `python -m tests.e2e.inside`, with `$CALOTYPE_DATA`.

Prints JSON: every route of the URL configuration; the pages of errors, by status; and somebody who has just joined and has blocked somebody, with a
link to choose a new password.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tests.running_site import SOURCE, RunningSite

PASSWORD = "long enough to be one"

BLOCKED = "pat"
"""Of the demo, by the newcomer."""


@dataclass(frozen=True)
class Inside:
    routes: list[str]
    errors: dict[str, str]
    """Status -> the page."""
    newcomer: str
    reset_path: str


def ask(site: RunningSite, newcomer: str) -> Inside:
    """`newcomer`: the user name of whoever joins, with `PASSWORD`."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.e2e.inside", newcomer],
        env={**os.environ, "PYTHONPATH": f"{SOURCE}:{SOURCE.parent}", "CALOTYPE_DATA": str(site.data)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return Inside(**json.loads(done.stdout))


def routes(patterns: list[Any], before: str = "") -> Iterator[str]:
    for each in patterns:
        route = f"{before}{each.pattern}"
        if hasattr(each, "url_patterns"):
            yield from routes(each.url_patterns, route)
        else:
            yield route


def pages_of_errors() -> dict[str, str]:
    from django.test import RequestFactory
    from django.utils.translation import gettext as _

    from calotype.std.errors import (
        BadRequest,
        CalotypeError,
        Forbidden,
        NotFound,
        NotSignedIn,
        TooManyRequests,
        Unavailable,
    )
    from calotype.web.errors import Failure, error_response
    from calotype.web.rate_limits import RateLimit

    kinds: tuple[type[CalotypeError], ...] = (
        BadRequest,
        NotSignedIn,
        Forbidden,
        NotFound,
        TooManyRequests,
        Failure,
        Unavailable,
    )
    said: dict[type[CalotypeError], str] = {
        Failure: _("Something went wrong on our side."),
        TooManyRequests: RateLimit("any", 20, 3_600)._sentence(9),
        Unavailable: _("This took longer than a request may take."),
    }
    request = RequestFactory().get("/somewhere/")
    return {
        str(kind.status): error_response(
            request, kind(said.get(kind, "Something has happened."))
        ).content.decode()
        for kind in kinds
    }


async def join(username: str) -> str:
    from django.conf import settings
    from django.contrib.auth.tokens import default_token_generator
    from django.urls import reverse
    from django.utils.encoding import force_bytes
    from django.utils.http import urlsafe_base64_encode

    from calotype.config.wiring import open_site
    from calotype.product.accounts.actions import sign_up
    from calotype.product.accounts.models import Account
    from calotype.product.accounts.queries import named
    from calotype.product.accounts.types import AccountId
    from calotype.product.follows.actions import block

    async with open_site(settings.SITE, settings.DATA) as site:
        email = f"{username}@mail.example"
        id_ = await sign_up(site.graph, username=username, email=email, password=PASSWORD)
        await block(site.graph, id_, AccountId((await named(site.graph, BLOCKED)).id))
    account = await Account.objects.aget(pk=id_)
    token = default_token_generator.make_token(account)
    return reverse("password_reset_confirm", args=[urlsafe_base64_encode(force_bytes(account.pk)), token])


def set_up() -> None:
    os.environ["DJANGO_SETTINGS_MODULE"] = "calotype.config.settings"
    import django

    django.setup(set_prefix=False)


def print_errors(language: str) -> None:
    """Nothing but the pages of errors, in a language."""
    set_up()
    from django.utils.translation import override

    with override(language):
        print(json.dumps(pages_of_errors()))


def main(username: str) -> None:
    set_up()
    from django.urls import get_resolver

    reset = asyncio.run(join(username))
    print(
        json.dumps(
            {
                "routes": list(routes(get_resolver().url_patterns)),
                "errors": pages_of_errors(),
                "newcomer": username,
                "reset_path": reset,
            }
        )
    )


if __name__ == "__main__":
    main(sys.argv[1])
