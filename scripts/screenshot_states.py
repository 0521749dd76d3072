"""What scripts/screenshots.py takes pictures of: each page, and each state with what brings it about.

A state names things by the hooks that modules use, not by words, since it runs in every language. Faults are the browser's:
what is not to arrive is held or cut on its way. So no post or comment is left on the site, only photos that wait to be posted.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import NamedTuple

from playwright.sync_api import FilePayload, Page, Route

Act = Callable[[Page], object]

JAN, NEWCOMER, NOBODY = "jan", "newcomer", ""
PHONE, DESKTOP = 390, 1280
CHECKOUT = Path(__file__).parent.parent
DEMO = CHECKOUT / "src/calotype/product/demo/photos"
CHUNKS = re.compile(r"/uploads/\d+/$")
PHOTO_BYTES = 3 << 20
"""Of a photo that is uploaded: more than the 1 MiB that go first."""


class Missing(Exception):
    """The site has nothing of which this picture could be taken; why."""


class Picture(NamedTuple):
    """`path` may name what of the demo is looked for: `{several}`, `{own}`, `{author}`, `{newcomer}`."""

    path: str
    act: Act | None = None
    who: str = JAN
    widths: tuple[int, ...] = (PHONE, DESKTOP)
    workers: bool = False
    """Whether the browser may have a service worker."""


held: list[Route] = []
"""What is on its way for as long as the picture takes."""


def cut(route: Route) -> None:
    route.abort()


def let_go() -> None:
    while held:
        held.pop().abort()


# Sheets, menus and cards


def press(selector: str, shown: str, page: Page) -> None:
    page.locator(selector).first.click()
    page.locator(shown).first.wait_for()


def look_closer(page: Page) -> None:
    press("[data-full]", "dialog.viewer[open] img", page)
    page.locator("dialog.viewer img").first.evaluate("image => image.decode()")


def turn(page: Page) -> None:
    page.locator(".strip").first.hover()
    press(".turn.next", ".dots a:nth-child(2)[aria-current]", page)


def ask_for_keys(page: Page) -> None:
    page.locator("[data-keys]:not([hidden])").wait_for()
    page.keyboard.press("?")
    page.locator("dialog.keys[open]").wait_for()


def point_at(selector: str, page: Page) -> None:
    page.locator(selector).first.hover()
    page.locator(".hover-card").wait_for()


# The feed and what is said under a post


def read_to_the_end(page: Page) -> None:
    for _ in range(200):
        page.evaluate("scrollTo(0, document.documentElement.scrollHeight)")
        page.wait_for_timeout(50)
        if page.locator(".end-of-feed").is_visible():
            return
    raise Missing("the feed has no end")


def comment(page: Page) -> None:
    page.locator("#say").fill("The light between the trees!")
    page.keyboard.press("Control+Enter")
    page.locator(".toast.error").wait_for()


def comment_without_a_line(page: Page) -> None:
    page.route("**/comments/", cut)
    comment(page)


def comment_after_the_session(page: Page) -> None:
    page.context.clear_cookies(name="session")
    comment(page)


def lose_the_line(page: Page) -> None:
    page.locator("[data-keys]:not([hidden])").wait_for()  # modules are there
    page.context.set_offline(True)
    page.locator("[data-offline]:not([hidden])").wait_for()


def go_on_without_a_line(page: Page) -> None:
    for _ in range(100):
        if page.evaluate("""async () => navigator.serviceWorker.controller !== null
                && await caches.match("/offline/", {ignoreVary: true}) !== undefined
                && (await (await caches.open("calotype-1-pages")).keys()).length > 0"""):
            break
        page.wait_for_timeout(100)
    page.context.set_offline(True)
    page.goto("/explore/")
    page.locator("[data-kept-pages]:not([hidden])").wait_for()


# Forms


def send(values: dict[str, str], shown: str, page: Page) -> None:
    for name, value in values.items():
        # As one who pastes, past what the form itself would stop.
        page.locator(f"main [name={name}]").evaluate(
            "(field, value) => { field.removeAttribute('maxlength'); field.value = value; }", value
        )
    page.locator("main form").first.evaluate("form => { form.noValidate = true; }")
    page.locator("main .button.primary").first.click()
    page.locator(shown).first.wait_for()


# A new post


def demo_photo(name: str, size: int = PHOTO_BYTES) -> FilePayload:
    return FilePayload(
        name=f"{name}.jpg",
        mimeType="image/jpeg",
        buffer=(DEMO / f"{name}.jpg").read_bytes().ljust(size, b"\0"),
    )


def choose(*files: FilePayload, arrive: int, page: Page) -> None:
    page.locator("form.live").wait_for()
    page.locator("#id_photos").set_input_files(list(files))
    page.locator(".upload canvas").nth(arrive - 1 if arrive else 0).wait_for()
    if arrive:
        page.locator(".upload.arrived").nth(arrive - 1).wait_for()


def choose_three(page: Page) -> None:
    choose(demo_photo("honey-bee"), demo_photo("fig"), demo_photo("forest-stream"), arrive=3, page=page)


def describe(page: Page) -> None:
    choose_three(page)
    page.locator("[data-alt]").first.fill("A bee on a purple flower, its legs yellow with pollen")
    page.locator("[name=caption]").fill("What the garden did while I was away. #macro")


def send_first_parts(route: Route) -> None:
    is_later = route.request.headers.get("upload-offset", "0") != "0"
    if route.request.method == "PATCH" and is_later:
        held.append(route)
    else:
        route.continue_()


def choose_on_a_slow_line(page: Page) -> None:
    """One photo arrives, and of two the first part."""
    page.route(CHUNKS, send_first_parts)
    choose(demo_photo("coffee", 0), demo_photo("fig"), demo_photo("bridge"), arrive=1, page=page)
    page.wait_for_function(
        "() => [...document.querySelectorAll('.upload progress')].filter(bar => bar.value > .3 && bar.value < 1).length == 2"
    )


def choose_a_broken_one(page: Page) -> None:
    whole = demo_photo("rocket", 0)
    broken = FilePayload(
        name="rocket.jpg", mimeType="image/jpeg", buffer=whole["buffer"][: len(whole["buffer"]) // 2]
    )
    choose(demo_photo("honey-bee", 0), broken, demo_photo("citrus", 0), arrive=2, page=page)
    page.locator(".upload.refused").wait_for()


def choose_without_a_line(page: Page) -> None:
    page.context.route(CHUNKS, cut)
    choose(demo_photo("honey-bee", 0), demo_photo("fig", 0), arrive=0, page=page)


def share_without_a_line(page: Page) -> None:
    choose_without_a_line(page)
    page.locator("[data-share]").click()
    page.locator(".outgoing.alone").wait_for()


def go_home_meanwhile(page: Page) -> None:
    share_without_a_line(page)
    page.locator("[data-outgoing] a").first.click()
    page.locator(".upload-chip").wait_for()


def edit(tab: int, page: Page) -> None:
    choose(demo_photo("dragonfly", 0), arrive=1, page=page)
    page.locator("[data-edit]").click()
    page.locator(".editor > header .primary:enabled").wait_for()
    page.locator(".editor [role=tab]").nth(tab).click()
    page.wait_for_timeout(300)  # filters are drawn one by one


def give_up_an_edit(page: Page) -> None:
    edit(0, page)
    page.locator(".editor .turns button").first.click()
    page.keyboard.press("Escape")
    page.locator(".editor-ask[open]").wait_for()


# What fails


@cache
def error_pages(language: str) -> dict[str, str]:
    """Status -> the page, as the site itself draws it: a process with its data in `$CALOTYPE_DATA`."""
    if "CALOTYPE_DATA" not in os.environ:
        raise Missing("the pages of errors need CALOTYPE_DATA: where the site that runs keeps its data")
    drawn = subprocess.run(
        [sys.executable, "-c", f"from tests.e2e.inside import print_errors; print_errors({language!r})"],
        env={**os.environ, "PYTHONPATH": f"{CHECKOUT}:{CHECKOUT / 'src'}"},
        capture_output=True,
        text=True,
        check=True,
    )
    pages: dict[str, str] = json.loads(drawn.stdout)
    return pages


def fail(status: int, page: Page) -> None:
    language = page.locator("html").get_attribute("lang") or "en"
    body = error_pages(language)[str(status)]
    page.route("**/failed/", lambda route: route.fulfill(status=status, body=body, content_type="text/html"))
    page.goto("/failed/")


# The console


def compare(page: Page) -> None:
    other = page.locator("[name=before] option").nth(1)
    if not other.count():
        raise Missing("only one release was profiled")
    page.locator("[name=before]").select_option(index=1)
    page.locator("form.choose button").click()
    page.locator("#change-title").wait_for()


def open_a_request(page: Page) -> None:
    press("[data-part=slowest] tbody a", "main h1", page)


PICTURES: dict[str, Picture] = {
    "log-in": Picture("/log-in/", who=NOBODY),
    "sign-up": Picture("/sign-up/", who=NOBODY),
    "sign-up-refused": Picture(
        "/sign-up/",
        partial(send, {"username": "a b", "email": "someone", "password": "short"}, ".errors"),
        NOBODY,
    ),
    "lost-password": Picture("/password-reset/", who=NOBODY),
    "visitor": Picture("/@mara/", who=NOBODY),
    "credits": Picture("/about/photos/", who=NOBODY),
    "feed": Picture("/"),
    "feed-end": Picture("/", read_to_the_end),
    "feed-empty": Picture("/", who=NEWCOMER),
    "feed-offline": Picture("/", lose_the_line),
    "keys": Picture("/", ask_for_keys),
    "photo": Picture("/p/{several}/"),
    "photo-turned": Picture("/p/{several}/", turn),
    "photo-menu": Picture("{own}", partial(press, ".post-head summary", ".post-head .menu")),
    "share": Picture("/p/{several}/", partial(press, "[data-share]", "dialog[open] #share-url")),
    "viewer": Picture("{own}", look_closer),
    "comment-failed": Picture("/p/{several}/", comment_without_a_line),
    "session-ended": Picture("/p/{several}/", comment_after_the_session),
    "profile": Picture("{author}"),
    "profile-menu": Picture("{author}", partial(press, ".who .more > summary", ".who .menu")),
    "profile-own": Picture("/@jan/"),
    "profile-empty": Picture("/@{newcomer}/", who=NEWCOMER),
    "explore": Picture("/explore/"),
    "explore-card": Picture("/explore/", partial(point_at, ".grid li"), widths=(DESKTOP,)),
    "tag": Picture("/tags/macro/"),
    "tag-empty": Picture("/tags/nobody_has_used_this/"),
    "people": Picture("/people/"),
    "people-card": Picture("/people/", partial(point_at, ".person .name"), widths=(DESKTOP,)),
    "block": Picture("/@mara/block/"),
    "remove-follower": Picture("/@mara/remove/"),
    "followers": Picture("/@mara/followers/"),
    "followers-empty": Picture("/@{newcomer}/followers/", who=NEWCOMER),
    "notifications": Picture("/notifications/"),
    "notifications-empty": Picture("/notifications/", who=NEWCOMER),
    "new": Picture("/new/"),
    "new-chosen": Picture("/new/", describe),
    "new-uploading": Picture("/new/", choose_on_a_slow_line),
    "new-refused": Picture("/new/", choose_a_broken_one),
    "new-going": Picture("/new/", share_without_a_line),
    "new-gone-home": Picture("/new/", go_home_meanwhile),
    "editor-crop": Picture("/new/", partial(edit, 0)),
    "editor-adjust": Picture("/new/", partial(edit, 1)),
    "editor-filters": Picture("/new/", partial(edit, 2)),
    "editor-given-up": Picture("/new/", give_up_an_edit),
    "describe": Picture("{own}edit/?new"),
    "edit": Picture("{own}edit/"),
    "delete": Picture("{own}delete/"),
    "settings-profile": Picture("/settings/profile/"),
    "settings-notifications": Picture(
        "/settings/notifications/", partial(press, "main .button.primary", "[data-saved-state]:not(:empty)")
    ),
    "settings-feed": Picture("/settings/feed/"),
    "settings-blocked": Picture("/settings/blocked/"),
    "settings-password": Picture("/settings/password/"),
    "settings-password-refused": Picture(
        "/settings/password/", partial(send, {"current": "not it", "new": "short"}, ".errors")
    ),
    "settings-language": Picture("/settings/language/"),
    "not-found": Picture("/nothing/here/", who=NOBODY),
    "not-allowed": Picture("/ops/", who=NEWCOMER),
    "too-large": Picture("/log-in/", partial(send, {"username": "x" * (4 << 20)}, ".error-page"), NOBODY),
    "too-often": Picture("/log-in/", partial(fail, 429), NOBODY),
    "failed": Picture("/log-in/", partial(fail, 500), NOBODY),
    "away": Picture("/log-in/", partial(fail, 503), NOBODY),
    "offline": Picture("/", go_on_without_a_line, workers=True),
    "design": Picture("/design/"),
    "ops": Picture("/ops/"),
    "ops-endpoint": Picture("/ops/endpoint/?name=home"),
    "ops-request": Picture("/ops/endpoint/?name=home", open_a_request),
    "profiles": Picture("/ops/profiles/?endpoint=home"),
    "profiles-compared": Picture("/ops/profiles/?endpoint=home", compare),
}
