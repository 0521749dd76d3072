"""The console under /ops/ in a browser: who may see it, by keyboard, for everybody, fresh by itself."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from calotype.efficiency.profiler import Profiler
from tests.e2e.axe import violations
from tests.e2e.conftest import WIDTHS, OpenPage
from tests.running_site import RunningSite

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]

PAGES = (
    "/ops/",
    "/ops/?window=day",
    "/ops/endpoint/?name=log_in",
    "/ops/endpoint/?name=none",
    "/ops/profiles/",
)


def outer() -> int:
    return middle(3) + middle(500)


def middle(times: int) -> int:
    return sum(inner(number) for number in range(times))


def inner(number: int) -> int:
    return sum(range(number + 2_000))


@pytest.fixture(scope="module")
def staffed(site: RunningSite) -> RunningSite:
    """Jan is staff, and something was profiled."""
    site.calotype("admin", "jan")
    for release in ("one", "two"):
        profiler = Profiler(site.data / "dynostats" / "profiles", release, one_in=1)
        probe = profiler.probe()
        assert probe is not None
        probe.inside(outer, ())
        assert profiler.store("of_the_console", probe)
    return site


@pytest.fixture
def page(staffed: RunningSite, open_page: OpenPage) -> Page:
    return open_page(signed_in=True)


def test_nobody_but_staff_sees_it(staffed: RunningSite, open_page: OpenPage) -> None:
    page = open_page()
    page.goto("/ops/")
    assert "/log-in/?next=/ops/" in page.url


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS.values(), ids=WIDTHS)
def test_axe_finds_nothing_and_nothing_is_wider_than_the_screen(
    width: int, theme: str, staffed: RunningSite, open_page: OpenPage
) -> None:
    page = open_page(width, theme=theme, signed_in=True)
    found: list[str] = []
    for address in (*PAGES, "/ops/profiles/?endpoint=of_the_console&release=two&before=one"):
        page.goto(address)
        found += violations(page)
        assert page.evaluate("document.documentElement.scrollWidth") == width
    assert found == []


def test_figures_become_fresh_by_themselves(page: Page) -> None:
    page.goto("/ops/")
    before = page.locator("[data-part=updated]").text_content()
    expect(page.locator("[data-part=updated]")).not_to_have_text(before or "", timeout=30_000)
    page.get_by_role("button", name="Pause").click()
    expect(page.locator("[data-live-pause]")).to_have_attribute("aria-pressed", "true")


def test_a_slow_request_has_its_page(page: Page) -> None:
    page.goto("/ops/endpoint/?name=log_in")
    page.locator("[data-part=slowest] tbody a").first.click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("A request at")
    expect(page.get_by_role("main")).to_contain_text("log_in")


def test_the_flame_graph_is_walked_and_entered_by_keyboard(page: Page) -> None:
    page.goto("/ops/profiles/?endpoint=of_the_console&release=one")
    boxes = page.get_by_role("treeitem")
    boxes.first.focus()
    page.keyboard.press("ArrowDown")
    focused = page.locator("[data-flame] .box:focus")
    expect(focused).to_have_attribute("data-name", "tests.e2e.test_console:outer")
    page.keyboard.press("ArrowDown")
    expect(focused).to_have_attribute("data-name", "tests.e2e.test_console:middle")
    page.keyboard.press("Enter")
    expect(focused).to_have_attribute("width", "100%")
    expect(page.locator("[data-flame-said]")).to_have_text("Looking at tests.e2e.test_console:middle.")
    page.keyboard.press("Escape")
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="Whole request")).to_be_disabled()
    page.keyboard.press("/")
    page.keyboard.type("inner")
    expect(page.locator(".box.found").first).to_have_attribute("data-name", "tests.e2e.test_console:inner")


def test_without_javascript_all_of_it_is_there(staffed: RunningSite, open_page: OpenPage) -> None:
    page = open_page(javascript=False, signed_in=True)
    page.goto("/ops/profiles/?endpoint=of_the_console&release=two&before=one")
    expect(page.get_by_role("heading", name="What changed since one")).to_be_visible()
    page.goto("/ops/")
    expect(page.get_by_role("link", name="Reload")).to_be_visible()
