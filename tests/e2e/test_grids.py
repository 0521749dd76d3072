"""Grids that go on: thousands of cells of which few are in the page, where one was, arrows, a page that does not come."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from tests.e2e.conftest import WIDTHS, OpenPage
from tests.running_site import SOURCE, RunningSite

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

MANY = 3_000
"""Posts of one person."""

CELLS = 120
"""At most in the page: the window, and as much above and below it."""

IN_SITE = """
import asyncio, os, sys
os.environ["DJANGO_SETTINGS_MODULE"] = "calotype.config.settings"
import django
django.setup(set_prefix=False)
from django.conf import settings
from calotype.config.wiring import open_site
from calotype.infra.ids import shard_of
from calotype.product.accounts.queries import named
from calotype.product.accounts.types import Person
from calotype.product.demo.population import Size, make_population
from calotype.product.photos.types import POSTED, Post, posted_at

async def many(site, amount):
    (id_,) = await make_population(site, Size(1, int(amount), 0, 0, 0), lambda *_: None)
    return (await site.graph.obj_get(Person, id_)).data.username

async def one_more(site, username):
    person = await named(site.graph, username)
    (last,) = await site.graph.assoc_range(POSTED, person.id, 0, 1)
    photos = (await site.graph.obj_get(Post, last.id2)).data.photos
    post = await site.graph.obj_add(Post(person.id, photos, borrowed=True), shard=shard_of(person.id))
    await site.graph.assoc_add(POSTED, person.id, post.id, time=max(posted_at(post), last.time + 1))
    return post.id

async def run(what, argument):
    async with open_site(settings.SITE, settings.DATA) as site:
        print(await globals()[what](site, argument))

asyncio.run(run(*sys.argv[1:]))
"""
"""What no page can do fast enough, done by a process beside the site's own."""


def in_site(site: RunningSite, what: str, argument: object) -> str:
    done = subprocess.run(
        [sys.executable, "-P", "-c", IN_SITE, what, str(argument)],
        env={**os.environ, "PYTHONPATH": str(SOURCE), "CALOTYPE_DATA": str(site.data)},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()[-1]


@pytest.fixture(scope="module")
def prolific(site: RunningSite) -> str:
    """The user name of somebody with so many posts."""
    return in_site(site, "many", MANY)


def cells(page: Page) -> Locator:
    return page.locator(".grid > li:not(.ghost)")


def scroll_on(page: Page, until: int) -> int:
    """Scroll down until so many cells are known; the most that were in the page at once."""
    most = 0
    for _ in range(2_000):
        there, known = page.evaluate("""() => {
                scrollTo(0, document.documentElement.scrollHeight);
                const cells = document.querySelectorAll(".grid > li");
                return [cells.length, Number(cells[cells.length - 1].getAttribute("aria-posinset"))];
            }""")
        most = max(most, there)
        if known >= until:
            return int(most)
        page.wait_for_timeout(20)
    raise AssertionError(f"only {known} cells came")


def first_seen(page: Page) -> tuple[str, float]:
    """The address of the first cell that is in the window, and how far from its top."""
    found = page.evaluate("""() => {
            const seen = [...document.querySelectorAll(".grid > li:not(.ghost)")]
                .find((cell) => cell.getBoundingClientRect().bottom > 1);
            return [seen.querySelector("a").pathname, seen.getBoundingClientRect().top];
        }""")
    return str(found[0]), float(found[1])


def assert_same_place(found: tuple[str, float], before: tuple[str, float]) -> None:
    assert found[0] == before[0]
    assert found[1] == pytest.approx(before[1], abs=2)


def at_rest(page: Page) -> None:
    """Until every cell in the window has come."""
    page.wait_for_function(
        """() => [...document.querySelectorAll(".grid > li")].some((cell) => cell.getBoundingClientRect().bottom > 0)
            && ![...document.querySelectorAll(".grid > .ghost")].some((cell) => {
                const box = cell.getBoundingClientRect();
                return box.bottom > 0 && box.top < innerHeight;
            })"""
    )


def until_there(page: Page, path: str) -> None:
    """Until a page that was loaded again is where it was: where this cell is."""
    page.wait_for_function(
        "path => scrollY > 0 && [...document.querySelectorAll('.grid a')].some((a) => a.pathname === path)",
        arg=path,
    )
    at_rest(page)


def test_of_thousands_of_cells_the_page_has_only_what_is_near_the_window(
    open_page: OpenPage, prolific: str
) -> None:
    page = open_page()
    page.goto(f"/@{prolific}/")
    assert scroll_on(page, MANY) <= CELLS
    page.wait_for_timeout(300)
    last = page.locator(f'.grid > li[aria-posinset="{MANY}"]')
    expect(last).to_have_attribute("aria-setsize", str(MANY))
    pitch = page.evaluate("document.querySelector('.grid > li').getBoundingClientRect().height + 4")
    height = page.evaluate("document.querySelector('.grid').getBoundingClientRect().height")
    assert height == pytest.approx(pitch * -(-MANY // 3) - 4, abs=4)
    page.evaluate("scrollTo(0, 0)")
    at_rest(page)
    expect(page.locator('.grid > li[aria-posinset="1"] a')).to_be_visible()
    assert page.locator(".grid > li").count() <= CELLS


@pytest.mark.parametrize("width", WIDTHS.values(), ids=WIDTHS)
def test_back_and_reload_lead_to_where_one_was(width: int, open_page: OpenPage, prolific: str) -> None:
    page = open_page(width)
    page.goto(f"/@{prolific}/")
    scroll_on(page, 500)
    page.evaluate("scrollTo(0, document.querySelector('.grid').getBoundingClientRect().height / 2)")
    at_rest(page)
    before = first_seen(page)
    page.reload()
    until_there(page, before[0])
    assert_same_place(first_seen(page), before)

    link = page.locator(f'.grid a[href="{before[0]}"]')
    link.focus()
    seen = first_seen(page)
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(before[0]))
    page.go_back()
    until_there(page, seen[0])
    assert_same_place(first_seen(page), seen)
    page.wait_for_function("path => document.activeElement.pathname === path", arg=before[0])


def test_a_post_that_came_meanwhile_moves_nothing_and_hides_nothing(
    open_page: OpenPage, site: RunningSite, prolific: str
) -> None:
    page = open_page()
    page.goto(f"/@{prolific}/")
    scroll_on(page, 200)
    page.evaluate("scrollTo(0, document.querySelector('.grid').getBoundingClientRect().height / 3)")
    at_rest(page)
    before = first_seen(page)
    made = in_site(site, "one_more", prolific)
    while f"/p/{made}/" not in page.request.get(f"/@{prolific}/").text():
        page.wait_for_timeout(50)  # until the log of that process has reached the site's cache
    page.reload()
    until_there(page, before[0])
    page.evaluate("scrollTo(0, 0)")
    page.wait_for_function(
        "path => document.querySelector('.grid > li a').pathname === path", arg=f"/p/{made}/"
    )
    without = page.context.browser.new_context(java_script_enabled=False, base_url=site.url)  # type: ignore[union-attr]
    plain = without.new_page()
    plain.goto(f"/@{prolific}/")
    plain.get_by_role("link", name="Older posts").click()
    second = plain.locator(".grid a").evaluate_all("all => all.map((a) => a.pathname)")
    without.close()
    page.evaluate("scrollTo(0, 10 * document.querySelector('.grid > li').getBoundingClientRect().height)")
    at_rest(page)
    beginning = [
        page.locator(f'.grid > li[aria-posinset="{n}"] a').get_attribute("href") for n in range(31, 37)
    ]
    assert beginning == second[:6]


def test_arrows_move_within_a_grid_which_is_one_stop(open_page: OpenPage, prolific: str) -> None:
    page = open_page()
    page.goto(f"/@{prolific}/")
    order = page.evaluate("[...document.querySelectorAll('.grid a')].map((a) => a.pathname)")
    page.locator(".grid a").first.focus()
    for key, at in (
        ("ArrowRight", 1),
        ("ArrowDown", 4),
        ("ArrowDown", 7),
        ("ArrowLeft", 6),
        ("End", 8),
        ("Home", 6),
        ("ArrowUp", 3),
        ("Control+Home", 0),
        ("ArrowLeft", 0),
        ("ArrowUp", 0),
    ):
        page.keyboard.press(key)
        page.wait_for_function("path => document.activeElement.pathname === path", arg=order[at])
    assert page.locator('.grid a[tabindex="0"]').count() == 1
    for _ in range(15):  # beyond the first page, faster than pages come
        page.keyboard.press("ArrowDown")
        page.wait_for_timeout(30)
    page.wait_for_function(
        "() => document.activeElement.closest('li')?.getAttribute('aria-posinset') === '46'"
    )
    box = page.evaluate("document.activeElement.getBoundingClientRect().toJSON()")
    assert box["top"] >= 0 and box["bottom"] <= 900
    page.keyboard.press("Tab")
    assert not page.evaluate("Boolean(document.activeElement.closest('.grid'))")
    page.keyboard.press("Shift+Tab")  # back to what is in the window, as the foot of the page was
    back = page.evaluate("document.activeElement.closest('.grid > li').getAttribute('aria-posinset')")
    box = page.evaluate("document.activeElement.getBoundingClientRect().toJSON()")
    assert box["top"] < 900 and box["bottom"] > 0
    page.evaluate("scrollTo(0, 0)")
    page.wait_for_timeout(200)
    assert page.evaluate("document.activeElement.closest('li')?.getAttribute('aria-posinset')") == back


def test_a_page_that_does_not_come_can_be_asked_for_again(open_page: OpenPage, prolific: str) -> None:
    page = open_page(390, expects=["status of 503"])
    page.goto(f"/@{prolific}/")

    def refuse(route: Route) -> None:
        route.fulfill(status=503, body="")

    page.route("**/*before=*", refuse)
    page.evaluate("scrollTo(0, document.documentElement.scrollHeight)")
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text("did not come")
    page.unroute("**/*before=*", refuse)
    alert.get_by_role("button", name="Try again").click()
    expect(alert).to_have_count(0)
    scroll_on(page, 90)


def test_without_javascript_a_grid_has_its_pages(open_page: OpenPage, prolific: str) -> None:
    page = open_page(javascript=False)
    page.goto(f"/@{prolific}/")
    expect(cells(page)).to_have_count(30)
    first = page.locator(".grid a").first.get_attribute("href")
    page.get_by_role("link", name="Older posts").click()
    expect(cells(page)).to_have_count(30)
    assert page.locator(".grid a").first.get_attribute("href") != first
    page.get_by_role("link", name="Back to the start").click()
    assert page.locator(".grid a").first.get_attribute("href") == first
