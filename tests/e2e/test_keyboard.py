"""The site by keyboard alone, as somebody uses it who sees, hears or touches no pointer: where Tab goes, that one sees it, what is said,
and whole errands from signing in to having posted. Single keys are in test_keys.py."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.e2e.conftest import WIDTHS, OpenPage
from tests.e2e.uploading import photo

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]

SAID = """() => {
    window.said = [];
    const regionOf = (node) => (node.nodeType === 1 ? node : node.parentElement)?.closest("[role=status], [role=alert], [aria-live]");
    const heard = (mutations) => mutations.flatMap(({target, addedNodes}) => [target, ...addedNodes]).forEach((node) => {
        const region = regionOf(node);
        const inert = document.querySelector("dialog[open]") && !region?.closest("dialog[open]");
        if (region?.textContent.trim() && !inert) window.said.push(region.textContent.trim());
    });
    new MutationObserver(heard).observe(document.body, {childList: true, subtree: true, characterData: true});
}"""
"""Note what live regions say, but for those that lie under a dialog: nobody hears them."""

FOCUS = """() => {
    const e = document.activeElement;
    const seen = (style) => style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2 && !/^rgba.*, 0\\)$/.test(style.outlineColor);
    const lit = (style) => style.boxShadow !== "none";
    const shown = ["", "::before", "::after"].some((part) => { const style = getComputedStyle(e, part); return seen(style) || lit(style); });
    const {left, top, width, height} = e.getBoundingClientRect();
    const points = [[left + width / 2, top + height / 2], [left + 3, top + 3], [left + width - 3, top + height - 3]];
    const over = points.map(([x, y]) => document.elementFromPoint(x, y)).map((at) => Boolean(at && (e.contains(at) || at.contains(e))));
    return {name: e.outerHTML.slice(0, 160), shown, free: over.some(Boolean), post: e.closest("[data-post]")?.dataset.post ?? "",
        href: e.getAttribute("href") ?? "", main: Boolean(e.closest("main")), body: e === document.body};
}"""
"""What has the focus, whether one sees that, and whether something lies over all of it (WCAG 2.4.7, 2.4.11)."""


def tab_to(page: Page, element: Locator, most: int = 80) -> None:
    """Press Tab until it has the focus."""
    for _ in range(most):
        page.keyboard.press("Tab")
        if element.evaluate("each => each === document.activeElement"):
            return
    raise AssertionError(f"not within {most} stops: {element}")


def heard(page: Page, words: str) -> None:
    page.wait_for_function("words => window.said.some(each => new RegExp(words).test(each))", arg=words)


@pytest.mark.parametrize("width", WIDTHS.values(), ids=WIDTHS)
def test_tab_through_a_feed_is_seen_at_every_stop(width: int, open_page: OpenPage, post_of_jan: str) -> None:
    page = open_page(width, signed_in=True)
    page.emulate_media(reduced_motion="reduce")  # so that a row of photos has scrolled when it is looked at
    page.goto("/")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.getAttribute('href')") == "#main"
    stops = []
    for _ in range(70):
        page.keyboard.press("Tab")
        stops.append(page.evaluate(FOCUS))
    assert [each["name"] for each in stops if not each["shown"]] == []
    assert [each["name"] for each in stops if not each["free"]] == []
    assert len({each["post"] for each in stops}) >= 4, "the posts take too many stops each"
    twice = [
        (one["name"], other["name"])
        for one, other in pairwise(stops)
        if one["post"] and one["href"] and (one["post"], one["href"]) == (other["post"], other["href"])
    ]
    assert twice == []


def test_the_skip_link_leads_past_the_navigation(open_page: OpenPage) -> None:
    page = open_page(signed_in=True)
    page.goto("/")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate(FOCUS)["main"]


def test_each_post_is_one_stop_and_tab_goes_on_within_it(open_page: OpenPage, post_of_jan: str) -> None:
    page = open_page(signed_in=True)
    page.goto("/")
    order = page.locator("[data-post]").evaluate_all("all => all.map((each) => each.dataset.post)")[:5]
    went = []
    for _ in order:
        page.keyboard.press("j")
        assert page.evaluate("document.activeElement.matches('article[data-post]')")
        assert page.evaluate(FOCUS)["shown"]
        went.append(page.evaluate("document.activeElement.dataset.post"))
    assert went == order
    page.keyboard.press("Tab")
    assert page.evaluate(FOCUS)["post"] == order[-1]
    assert page.locator("article[data-post][tabindex='0']").count() == 0


def test_the_photos_of_a_post_are_one_stop_that_is_no_landmark(open_page: OpenPage, post_of_jan: str) -> None:
    page = open_page(signed_in=True)
    page.goto("/")
    row = page.locator(".slides").first
    tab_to(page, row)
    expect(row).to_have_attribute("role", "group")
    page.evaluate(SAID)
    page.keyboard.press("ArrowRight")
    heard(page, "^2 of 3")
    assert page.locator(".dots a:not([tabindex='-1']), .turn:not([tabindex='-1'])").count() == 0


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_forced_colours_keep_the_focus_and_a_like_in_sight(
    theme: str, open_page: OpenPage, post_of_jan: str
) -> None:
    page = open_page(signed_in=True, theme=theme)
    page.emulate_media(forced_colors="active")
    page.goto("/")
    unseen = []
    for _ in range(40):
        page.keyboard.press("Tab")
        unseen += page.evaluate("""() => {
            const e = document.activeElement;
            const seen = ["", "::before", "::after"].some((part) => {
                const style = getComputedStyle(e, part);
                return style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 1;
            });
            return seen || e === document.body ? [] : [e.outerHTML.slice(0, 160)];
        }""")
    assert unseen == []
    heart = page.locator("[data-like] .icon").first
    fill = "each => getComputedStyle(each).fill"
    page.route("**/*like/", lambda route: None)
    before = heart.evaluate(fill)
    page.locator("[data-like] button").first.press("Enter")
    assert heart.evaluate(fill) != before


# Errands


def test_from_signing_in_to_a_like_a_comment_and_the_photograph(
    open_page: OpenPage, post_of_jan: str
) -> None:
    page = open_page()
    page.goto("/log-in/")
    tab_to(page, page.get_by_label("User name or e-mail"))
    page.keyboard.type("jan")
    page.keyboard.press("Tab")
    page.keyboard.type("contemplative")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(r":\d+/$"))  # until its modules have run: without them Space sends a form
    page.evaluate(SAID)

    article = page.locator(f'[data-post="{post_of_jan.split("/")[-2]}"]')
    heart = article.locator("[data-like] button")
    tab_to(page, heart)
    page.keyboard.press("Space")
    expect(heart).to_have_attribute("aria-pressed", "true")
    heard(page, "^Liked. 1 like")
    page.keyboard.press("Space")
    heard(page, "^You no longer like it")

    tab_to(page, article.locator("[name=text]"))
    page.keyboard.type("By keyboard alone")
    page.keyboard.press("Enter")
    heard(page, "^Your comment is posted")
    expect(article.get_by_text("By keyboard alone")).to_be_visible()
    expect(article.locator("[name=text]")).to_be_focused()

    full = article.locator("[data-full]").first
    for _ in range(30):
        page.keyboard.press("Shift+Tab")
        if full.evaluate("each => each === document.activeElement"):
            break
    page.keyboard.press("Enter")
    viewer = page.get_by_role("dialog")
    expect(viewer).to_have_accessible_name(re.compile("1 of 3"))
    page.keyboard.press("+")
    expect(page.locator(".viewer-stage")).to_have_class(re.compile("zoomed"))
    for _ in range(8):
        page.keyboard.press("Tab")
        assert page.evaluate(
            "document.activeElement === document.body || !!document.activeElement.closest('dialog')"
        )
    page.keyboard.press("0")
    page.keyboard.press("ArrowRight")
    heard(page, "2 of 3")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Escape")
    expect(viewer).to_be_hidden()
    expect(full).to_be_focused()


def test_photos_are_chosen_described_ordered_and_posted(open_page: OpenPage) -> None:
    page = open_page(signed_in=True)
    page.goto("/new/")
    page.evaluate(SAID)
    with page.expect_file_chooser() as choosing:
        # Asked for first, and answered by the way: a key overtakes the message that choosers are listened for.
        tab_to(page, page.locator("#id_photos"))
        page.keyboard.press("Enter")
    choosing.value.set_files([photo("red.jpg", "red"), photo("blue.jpg", "blue")])
    heard(page, "^2 photos added")
    heard(page, "^All photos are uploaded")
    grip = page.get_by_role("button", name="Move photo 1 of 2, red.jpg")
    tab_to(page, grip)
    page.keyboard.press("ArrowDown")
    heard(page, "^Photo 2 of 2")
    expect(page.locator(".upload .name")).to_have_text(["blue.jpg", "red.jpg"])
    assert (
        page.evaluate("document.activeElement.closest('.upload').querySelector('.name').textContent")
        == "red.jpg"
    )
    tab_to(page, page.locator(".upload", has_text="red.jpg").get_by_label("What it shows"))
    page.keyboard.type("a red field")
    back = page.locator(".upload", has_text="blue.jpg").get_by_label("What it shows")
    for _ in range(20):
        page.keyboard.press("Shift+Tab")
        if back.evaluate("each => each === document.activeElement"):
            break
    page.keyboard.type("a blue field")
    tab_to(page, page.get_by_role("button", name="Share 2 photos"))
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(r"/p/\d+/$"))
    shown = page.locator(".photo img[alt$=field]").evaluate_all("all => all.map(each => each.alt)")
    assert shown == ["a blue field", "a red field"]

    address = page.url
    tab_to(page, page.locator(".post-head summary"))
    page.keyboard.press("Enter")
    tab_to(page, page.get_by_role("link", name="Delete"))
    page.keyboard.press("Enter")
    tab_to(page, page.get_by_role("button", name="Delete the post"))
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("/@jan/"))
    assert page.request.get(address).status == 404


def test_somebody_is_followed_and_no_longer(open_page: OpenPage) -> None:
    page = open_page(signed_in=True)
    page.goto("/@mara/followers/")
    page.evaluate(SAID)
    button = page.locator("form[data-follow] button").first
    was = str(button.get_attribute("aria-pressed"))
    tab_to(page, button)
    page.keyboard.press("Space")
    expect(button).not_to_have_attribute("aria-pressed", was)
    heard(page, "^You (do not )?follow")
    expect(button).to_be_focused()
    page.evaluate("window.said = []")
    page.keyboard.press("Enter")
    expect(button).to_have_attribute("aria-pressed", was)
    heard(page, "^You (do not )?follow")


def test_a_setting_is_changed_and_changed_back(open_page: OpenPage) -> None:
    page = open_page(signed_in=True)
    page.goto("/settings/notifications/")
    page.evaluate(SAID)
    box, save = page.get_by_role("checkbox").first, page.get_by_role("button", name="Save")
    for wanted in (False, True):
        page.locator("main").focus()
        tab_to(page, box)
        page.keyboard.press("Space")
        heard(page, "^Not saved yet")
        tab_to(page, save)
        page.keyboard.press("Enter")
        heard(page, "^Saved$")
        expect(save).to_be_focused()
        page.reload()
        page.evaluate(SAID)
        expect(box).to_be_checked(checked=wanted)


def test_a_trouble_in_the_viewer_is_heard_and_can_be_dismissed_there(
    open_page: OpenPage, post_of_jan: str
) -> None:
    page = open_page(signed_in=True, expects=("net::ERR",))
    page.goto(post_of_jan)
    page.locator("[data-full]").first.press("Enter")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.evaluate(SAID)
    page.route("**/api/v1/accounts/**", lambda route: route.abort())
    page.keyboard.press("j")
    heard(page, "reached|onnection")
    dismiss = page.get_by_role("button", name="Dismiss")
    tab_to(page, dismiss, 10)
    page.keyboard.press("Enter")
    expect(dismiss).to_have_count(0)
    expect(page.get_by_role("dialog")).to_be_visible()
