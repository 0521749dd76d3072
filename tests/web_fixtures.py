"""Fixtures of tests that make requests: a site with its application, browsers, and people who are signed in."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import pytest

from tests import django_site
from tests.client import Answer, Client, File

django_site.set_up()

# Django must be set up before its models are imported.
from calotype.config.jobs import broker, failures  # noqa: E402
from calotype.config.wiring import open_site, outbox_handlers  # noqa: E402
from calotype.infra.jobs.broker import install_broker  # noqa: E402
from calotype.infra.jobs.dispatch import Dispatcher  # noqa: E402
from calotype.infra.tao import Sweep  # noqa: E402
from calotype.product.accounts.actions import sign_up  # noqa: E402
from calotype.product.accounts.types import AccountId  # noqa: E402
from calotype.web import rate_limits  # noqa: E402
from calotype.web.handler import LeanHandler  # noqa: E402
from calotype.web.site import Site  # noqa: E402
from tests.cached_site import cached_site  # noqa: E402
from tests.memcached import RunningMemcached, running_memcached  # noqa: E402
from tests.site import Site as Databases  # noqa: E402

__all__ = [
    "ann",
    "ann_cached",
    "bob",
    "browser",
    "cached_handler",
    "cached_web_site",
    "dispatcher",
    "handler",
    "new_person",
    "one_window",
    "sweep",
    "web_memcached",
    "web_site",
]
"""The fixtures, for the `conftest.py` of each directory that takes them: each has its own site and its own memcached."""

PASSWORD = "long enough to be one"

_numbers = itertools.count(1)


@dataclass
class Someone:
    """A person with their browser."""

    id: AccountId
    username: str
    browser: Client

    async def post_photos(self, *files: File, caption: str = "", **fields: str | list[str]) -> Answer:
        """Upload through the form."""
        photos = [("photos", file) for file in files]
        return await self.browser.post("/new/", {"caption": caption, **fields}, files=photos)

    async def post_one(self, caption: str = "") -> int:
        """Post one small photo; the id of the post."""
        answer = await self.browser.post(
            "/new/",
            {"caption": caption},
            files=[("photos", ("a.png", picture()))],
            headers={"accept": "application/json"},
        )
        assert answer.status == 201, answer.text
        return int(answer.json()["posts"][0])


NewPerson = Callable[[], Awaitable[Someone]]


@pytest.fixture(scope="session")
async def web_site(site: Databases) -> AsyncIterator[Site]:
    """The running site: migrated, with its static files collected."""
    from django.conf import settings
    from django.core.management import call_command
    from django.db import connections

    def prepare() -> None:
        for alias in settings.DATABASES:
            call_command("migrate", database=alias, verbosity=0, interactive=False)
        call_command("collectstatic", verbosity=0, interactive=False)
        connections.close_all()

    await asyncio.to_thread(prepare)
    await asyncio.to_thread(install_broker, settings.SITE.control_dsn)
    async with open_site(settings.SITE, settings.DATA) as opened:
        yield opened


@pytest.fixture(scope="session")
def dispatcher(web_site: Site) -> Iterator[Dispatcher]:
    """Sends the site's jobs to its real queues; nobody works on them."""
    from django.conf import settings

    with Dispatcher(broker(settings.SITE), failures(settings.SITE)) as entered:
        yield entered


@pytest.fixture(scope="session")
def sweep(web_site: Site, dispatcher: Dispatcher) -> Sweep:
    """What a relay does with the site's outboxes."""
    return Sweep(web_site.graph.shards, outbox_handlers(web_site, dispatcher))


@pytest.fixture(scope="session")
def web_memcached(short_directory: Path) -> Iterator[RunningMemcached]:
    """The site's own: real consumers publish their positions there."""
    with running_memcached(short_directory) as (one,):
        yield one


@pytest.fixture(scope="session")
async def cached_web_site(web_site: Site, web_memcached: RunningMemcached) -> AsyncIterator[Site]:
    """The same site as a worker with a cache sees it, its logs followed by real consumers."""
    async with cached_site(web_site, web_memcached.address) as site:
        yield site


@pytest.fixture(scope="session")
def cached_handler(cached_web_site: Site) -> LeanHandler:
    return LeanHandler(cached_web_site)


@pytest.fixture
async def ann_cached(ann: Someone, cached_handler: LeanHandler) -> Someone:
    """Ann's browser, on the worker with a cache."""
    return Someone(ann.id, ann.username, Client(cached_handler, dict(ann.browser.cookies), new_address()))


@pytest.fixture(scope="session")
def handler(web_site: Site) -> LeanHandler:
    return LeanHandler(web_site)


@pytest.fixture
def browser(handler: LeanHandler) -> Client:
    """Somebody who is not signed in."""
    return Client(handler, address=new_address())


@pytest.fixture(scope="session")
def new_person(web_site: Site, handler: LeanHandler) -> NewPerson:
    """Make a person and sign them in through the form."""

    async def make() -> Someone:
        username = f"someone{next(_numbers)}"
        id_ = await sign_up(
            web_site.graph, username=username, email=f"{username}@mail.example", password=PASSWORD
        )
        someone = Someone(id_, username, Client(handler, address=new_address()))
        answer = await someone.browser.post("/log-in/", {"username": username, "password": PASSWORD})
        assert answer.status == 303, answer.text
        return someone

    return make


@pytest.fixture
async def ann(new_person: NewPerson) -> Someone:
    return await new_person()


@pytest.fixture
async def bob(new_person: NewPerson) -> Someone:
    return await new_person()


@pytest.fixture(autouse=True)
def one_window(monkeypatch: pytest.MonkeyPatch) -> None:
    """The clock of rate limits stands still, so that no test straddles two windows."""
    moment = rate_limits.seconds_now()
    monkeypatch.setattr(rate_limits, "seconds_now", lambda: moment)


def new_address() -> str:
    """Limits by address are per test."""
    number = next(_numbers)
    return f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"


def picture(width: int = 40, height: int = 30, color: str = "teal", format: str = "PNG") -> bytes:
    """A small picture of one colour."""
    from PIL import Image

    out = BytesIO()
    Image.new("RGB", (width, height), color).save(out, format)
    return out.getvalue()
