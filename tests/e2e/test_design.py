"""The page of components in a browser: every component in every state, whoever looks at it and however."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.axe import violations
from tests.e2e.conftest import WIDTHS, OpenPage
from tests.running_site import RunningSite

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]

NARROWEST = 320


@pytest.fixture(scope="module")
def staffed(site: RunningSite) -> RunningSite:
    site.calotype("admin", "jan")
    return site


def is_no_wider_than_the_window(page: Page) -> bool:
    answer: bool = page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    return answer


def test_nobody_but_staff_sees_it(staffed: RunningSite, open_page: OpenPage) -> None:
    page = open_page()
    page.goto("/design/")
    assert "/log-in/?next=/design/" in page.url


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [*WIDTHS.values(), NARROWEST])
def test_axe_finds_nothing_in_any_component(
    width: int, theme: str, staffed: RunningSite, open_page: OpenPage
) -> None:
    page = open_page(width, theme=theme, signed_in=True)
    page.goto("/design/")
    assert is_no_wider_than_the_window(page)
    # Each component stands there twice, so its landmarks have a twin of the same name.
    assert [found for found in violations(page) if " landmark-unique (" not in found] == []


def test_each_side_has_its_own_theme(staffed: RunningSite, open_page: OpenPage) -> None:
    page = open_page(theme="dark", signed_in=True)
    page.goto("/design/")
    for theme, ground in (("light", "rgb(251, 250, 247)"), ("dark", "rgb(18, 17, 15)")):
        expect(page.locator(f"#post [data-theme={theme}]")).to_have_css("background-color", ground)


def test_nothing_is_lost_with_text_of_twice_the_size(staffed: RunningSite, open_page: OpenPage) -> None:
    page = open_page(signed_in=True)
    page.goto("/design/")
    page.evaluate("document.documentElement.style.fontSize = '200%'")
    assert is_no_wider_than_the_window(page)


def test_nothing_is_lost_from_right_to_left(staffed: RunningSite, open_page: OpenPage) -> None:
    page = open_page(WIDTHS["phone"], signed_in=True)
    page.goto("/design/")
    page.evaluate("document.documentElement.dir = 'rtl'")
    assert is_no_wider_than_the_window(page)
    avatar = page.locator("#people .person .avatar").first.bounding_box()
    name = page.locator("#people .person .name").first.bounding_box()
    assert avatar is not None and name is not None
    assert avatar["x"] > name["x"]
    for icon, scale in (("arrow-left", "-1 1"), ("arrow-up", "none")):
        drawn = page.locator(f"#icons svg:has(use[href$='#{icon}'])").first
        expect(drawn).to_have_css("scale", scale)


def test_what_moves_lies_still_for_whoever_wants_that(staffed: RunningSite, open_page: OpenPage) -> None:
    page = open_page(signed_in=True)
    page.emulate_media(reduced_motion="reduce")
    page.goto("/design/")
    assert (
        page.evaluate("document.getAnimations().filter(a => !(a.timeline instanceof ViewTimeline)).length")
        == 0
    )


def test_forced_colours_leave_every_control_an_edge(staffed: RunningSite, open_page: OpenPage) -> None:
    page = open_page(signed_in=True)
    page.emulate_media(forced_colors="active")
    page.goto("/design/")
    bare = page.evaluate(
        """[...document.querySelectorAll('.side-of :is(.button, .pill, .dialog, .toast, progress)')]
        .filter(each => getComputedStyle(each).borderTopWidth === '0px').map(each => each.outerHTML.slice(0, 80))"""
    )
    assert bare == []
