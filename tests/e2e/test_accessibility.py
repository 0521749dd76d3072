"""Every page that the URL configuration knows: for axe-core in both themes and at both widths, at 320 px and 200%, with
spaced text, reduced motion and forced colours. What opens on a page is in test_accessible_states.py."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Route, StorageState, expect

from calotype.efficiency.profiler import Profiler
from tests.e2e.axe import everywhere, violations
from tests.e2e.conftest import delete, share
from tests.e2e.inside import PASSWORD, Inside, ask
from tests.e2e.reading import lost, moving, unseen
from tests.running_site import RunningSite

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

PAGES: dict[str, tuple[str, ...]] = {
    "": ("visitor /", "jan /", "jan /?before=1-1", "newcomer /"),
    "people/": ("jan /people/",),
    "explore/": ("visitor /explore/", "jan /explore/"),
    "tags/<str:name>/": ("jan /tags/macro/", "jan /tags/nobody_has_used_this/"),
    "sign-up/": ("visitor /sign-up/",),
    "log-in/": ("visitor /log-in/",),
    "password-reset/": ("visitor /password-reset/",),
    "password-reset/<str:uid>/<str:token>/": ("visitor {reset}", "visitor /password-reset/MQ/gone/"),
    "@<str:username>/": (
        "visitor /@mara/",
        "jan /@jan/",
        "newcomer /@mara/",
        "newcomer /@newcomer/",
        "newcomer /@pat/",
    ),
    "@<str:username>/followers/": ("visitor /@mara/followers/", "newcomer /@newcomer/followers/"),
    "@<str:username>/following/": ("jan /@mara/following/", "newcomer /@newcomer/following/"),
    "@<str:username>/block/": ("jan /@mara/block/",),
    "@<str:username>/remove/": ("jan /@mara/remove/",),
    "@<str:username>/share/": ("jan /@mara/share/",),
    "p/<id:post_id>/": ("visitor {post}", "jan {post}", "jan {theirs}"),
    "p/<id:post_id>/edit/": ("jan {post}edit/", "jan {post}edit/?new"),
    "p/<id:post_id>/delete/": ("jan {post}delete/",),
    "p/<id:post_id>/share/": ("visitor {post}share/",),
    "new/": ("jan /new/",),
    "share/": ("jan /share/",),
    "notifications/": ("jan /notifications/", "newcomer /notifications/"),
    "settings/profile/": ("jan /settings/profile/",),
    "settings/password/": ("jan /settings/password/",),
    "settings/notifications/": ("jan /settings/notifications/",),
    "settings/feed/": ("jan /settings/feed/",),
    "settings/blocked/": ("jan /settings/blocked/", "newcomer /settings/blocked/"),
    "settings/language/": ("jan /settings/language/",),
    "about/photos/": ("visitor /about/photos/",),
    "offline/": ("visitor /offline/",),
    "design/": ("jan /design/",),
    "ops/": ("jan /ops/",),
    "ops/endpoint/": ("jan /ops/endpoint/?name=log_in", "jan /ops/endpoint/?name=none"),
    "ops/profiles/": ("jan /ops/profiles/", "jan /ops/profiles/?endpoint=drawn&release=two&before=one"),
    "ops/request/<slug:digest>/": ("jan {request}", "jan /ops/request/none/"),
}
"""Route -> who looks at which addresses of it. An error page is one, too: see `ERRORS`."""

NO_PAGES: dict[str, str] = {
    "admin/login/": "leads to /log-in/",
    "healthz": "/healthz",
    "metrics": "/metrics",
    "manifest.webmanifest": "/manifest.webmanifest",
    "service-worker.js": "/service-worker.js",
    "feed/newer/": "/feed/newer/?after=1-1",
    "api/v1/timelines/home": "/api/v1/timelines/home",
    "api/v1/accounts/<id:account_id>/statuses": "/api/v1/accounts/{account}/statuses",
    "api/v1/timelines/tag/<str:name>": "/api/v1/timelines/tag/macro",
    "api/v1/trends/statuses": "/api/v1/trends/statuses",
    "api/v1/notifications": "/api/v1/notifications",
    "api/v1/markers": "/api/v1/markers",
    "api/oembed": "/api/oembed?url={site}{post}",
    "notifications/read/": "/notifications/read/",
    "notifications/unread/": "/notifications/unread/",
    "notifications/live/": "is a stream",
    "log-out/": "/log-out/",
    "language/": "/language/",
    "media/avatars/<id:account_id>/<id:avatar_id>.jpeg": "is a picture",
    "media/<id:post_id>/<id:photo_id>/<slug:name>.<slug:format>": "is a picture",
    "about/photos/<str:name>.jpg": "is a picture",
    "p/<id:post_id>/photos/<id:photo_id>/original/": "is a picture",
    "uploads/": "/uploads/",
    "uploads/<id:file_id>/": "is a file",
    "uploads/<id:file_id>/preview.jpeg": "is a picture",
    "new/edited/": "/new/edited/",
    "p/<id:post_id>/like/": "{post}like/",
    "p/<id:post_id>/unlike/": "{post}unlike/",
    "p/<id:post_id>/comments/": "{post}comments/",
    "p/<id:post_id>/comments/<id:comment_id>/delete/": "{post}comments/{account}/delete/",
    "@<str:username>/follow/": "/@mara/follow/",
    "@<str:username>/unfollow/": "/@mara/unfollow/",
    "@<str:username>/unblock/": "/@mara/unblock/",
    "@<str:username>/card/": "/@mara/card/",
    "p/<id:post_id>/card/": "{post}card/",
}
"""Route -> an address of it that answers without a page, or why none is asked for."""

DJANGOS_OWN = re.compile(r"^admin/(?!login/$)")
ERRORS = {"400", "401", "403", "404", "429", "500", "503"}
NEWCOMER = "newcomer"


def outer() -> int:
    return sum(range(2_000)) + sum(range(3_000))


@pytest.fixture(scope="module")
def inside(site: RunningSite) -> Inside:
    return ask(site, NEWCOMER)


@pytest.fixture(scope="module")
def people(
    chromium: Browser, site: RunningSite, session_of_jan: StorageState, inside: Inside
) -> Iterator[dict[str, Page]]:
    """A page of somebody who is not signed in, of Jan, who is staff, and of somebody who has just joined."""
    site.calotype("admin", "jan")
    contexts: list[BrowserContext] = []

    def page(state: StorageState | None = None) -> Page:
        contexts.append(
            chromium.new_context(base_url=site.url, storage_state=state, service_workers="block", locale="en")
        )
        return contexts[-1].new_page()

    newcomer = page()
    newcomer.goto("/log-in/")
    newcomer.get_by_label("User name or e-mail").fill(NEWCOMER)
    newcomer.get_by_label("Password").fill(PASSWORD)
    newcomer.get_by_role("button", name="Log in").click()
    expect(newcomer.get_by_role("heading", name="Nothing here yet")).to_be_visible()
    yield {"visitor": page(), "jan": page(session_of_jan), "newcomer": newcomer}
    for context in contexts:
        context.close()


@pytest.fixture(scope="module")
def addresses(
    chromium: Browser,
    people: dict[str, Page],
    site: RunningSite,
    session_of_jan: StorageState,
    inside: Inside,
) -> Iterator[dict[str, str]]:
    """What stands for the words in braces. Jan has two posts of several photos, so that their home feed has two of them."""
    for release in ("one", "two"):
        profiler = Profiler(site.data / "dynostats" / "profiles", release, one_in=1)
        probe = profiler.probe()
        assert probe is not None
        probe.inside(outer, ())
        assert profiler.store("drawn", probe)
    without = chromium.new_context(base_url=site.url, storage_state=session_of_jan, java_script_enabled=False)
    page = without.new_page()
    posts = [share(page, *colors) for colors in (("tomato", "teal"), ("gold", "navy", "plum"))]
    page.goto("/@mara/")
    theirs = page.locator('a[href^="/p/"]').first.get_attribute("href")
    request = page.locator("[data-part=slowest] tbody a").first
    while page.goto("/ops/endpoint/?name=log_in") and not request.count():
        page.wait_for_timeout(200)  # it is written down every few seconds
    slow = request.get_attribute("href")
    page.goto("/people/")
    account = page.locator("body").get_attribute("data-account")
    yield {
        "site": site.url,
        "reset": inside.reset_path,
        "account": f"{account}",
        "post": posts[1].removeprefix(site.url),
        "theirs": f"{theirs}",
        "request": f"{slow}",
    }
    for post in posts:
        delete(page, post)
    without.close()


Found = dict[str, list[str]]


@pytest.fixture(scope="module")
def found(people: dict[str, Page], addresses: dict[str, str], inside: Inside) -> Found:
    """What is wrong with the pages, by kind: each is loaded once and looked at in every way."""
    found: Found = defaultdict(list)
    for visit in (visit for visits in PAGES.values() for visit in visits):
        who, _, address = visit.format(**addresses).partition(" ")
        look_at(people[who], address, found)
    visitor = people["visitor"]
    visitor.route("**/failed/*", lambda route: fail(route, inside))
    for status in inside.errors:
        look_at(visitor, f"/failed/{status}", found)
    return found


def fail(route: Route, inside: Inside) -> None:
    status = route.request.url.rpartition("/")[2]
    route.fulfill(status=int(status), body=inside.errors[status], content_type="text/html; charset=utf-8")


def look_at(page: Page, address: str, found: Found) -> None:
    page.goto(address)
    # The page of components shows both themes by itself, and each component takes axe a while: its widths are in test_design.py.
    found["axe"] += violations(page) if address == "/design/" else everywhere(page)
    found["moving"] += moving(page)
    found["unseen"] += unseen(page)
    found["lost"] += lost(page)


def test_every_route_is_a_page_that_is_visited_or_answers_without_one(inside: Inside) -> None:
    ours = {route for route in inside.routes if not DJANGOS_OWN.match(route)}
    assert ours == PAGES.keys() | NO_PAGES.keys()
    assert not PAGES.keys() & NO_PAGES.keys()
    assert inside.errors.keys() == ERRORS


def test_what_is_no_page_is_none(people: dict[str, Page], addresses: dict[str, str]) -> None:
    asked = [each.format(**addresses) for each in NO_PAGES.values() if each[0] in "/{"]
    assert len(asked) > 20
    for address in asked:
        answer = people["jan"].request.get(address, max_redirects=0)
        assert answer.status != 404, address
        assert answer.status == 405 or "<html" not in answer.text(), address


def test_axe_finds_nothing_on_any_page(found: Found) -> None:
    # Each component of /design/ stands there twice, so its landmarks have a twin of the same name.
    wrong = [each for each in found["axe"] if "/design/ landmark-unique (" not in each]
    assert not wrong, "\n".join(wrong)


def test_nothing_is_lost_at_320_px_at_200_percent_and_with_spaced_text(found: Found) -> None:
    assert not found["lost"], "\n".join(found["lost"])


def test_nothing_moves_for_whoever_wants_less_motion(found: Found) -> None:
    assert not found["moving"], "\n".join(found["moving"])


def test_forced_colours_leave_edges_and_what_is_chosen(found: Found) -> None:
    assert not found["unseen"], "\n".join(found["unseen"])
