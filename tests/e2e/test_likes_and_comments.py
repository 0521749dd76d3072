"""Likes and comments in a browser: what one does shows at once, and is kept, taken back or sent again."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Locator, Page, Request, Route, expect

from tests.e2e.conftest import WIDTHS, NewBrowser, OpenPage, delete, share

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]

AWAY = ("net::ERR",)


def heart(page: Page | Locator) -> Locator:
    return page.locator("[data-like] button").first


def likes(page: Page) -> int:
    return int(page.locator("[data-likes]").first.get_attribute("data-n") or "0")


# Likes


@pytest.mark.parametrize("width", WIDTHS.values(), ids=WIDTHS)
def test_a_like_shows_at_once_and_is_kept(width: int, open_page: OpenPage, post_of_jan: str) -> None:
    page = open_page(width, signed_in=True)
    page.goto(post_of_jan)
    before = likes(page)
    with page.expect_response(re.compile("/like/$")) as answer:
        heart(page).click()
        expect(heart(page)).to_have_attribute("aria-pressed", "true", timeout=200)
    assert answer.value.json() == {"liked": True, "likes": before + 1}
    expect(page.locator("[data-say][aria-live]")).to_have_text(re.compile("^Liked. 1 like"))
    page.reload()
    expect(heart(page)).to_have_attribute("aria-pressed", "true")
    with page.expect_response(re.compile("/unlike/$")):
        heart(page).click()
    expect(page.locator("[data-likes]").first).to_be_hidden()
    page.reload()
    assert likes(page) == before


def test_a_like_waits_for_nothing_before_it_shows(open_page: OpenPage, post_of_jan: str) -> None:
    page = open_page(390, signed_in=True)
    page.goto(post_of_jan)
    page.route("**/like/", lambda route: None)  # is never answered
    with page.expect_request(re.compile("/like/$")):
        took = page.evaluate("""async () => {
            const button = document.querySelector("[data-like] button");
            const start = performance.now();
            button.click();
            return button.getAttribute("aria-pressed") === "true" ? performance.now() - start : Infinity;
        }""")
    assert took < 50


def test_two_taps_on_a_photo_like_it_and_two_more_do_not_take_that_back(
    open_page: OpenPage, post_of_jan: str
) -> None:
    page = open_page(signed_in=True)
    page.goto(post_of_jan)
    photo = page.locator(".photo").first
    with page.expect_response(re.compile("/like/$")):
        photo.dblclick(position={"x": 200, "y": 200})
    expect(heart(page)).to_have_attribute("aria-pressed", "true")
    expect(photo.locator(".burst")).to_have_count(1)
    expect(photo.locator(".burst")).to_have_count(0)
    photo.dblclick(position={"x": 200, "y": 200})
    expect(heart(page)).to_have_attribute("aria-pressed", "true")
    with page.expect_response(re.compile("/unlike/$")):
        heart(page).click()


def test_no_heart_leaps_for_those_who_want_less_motion(open_page: OpenPage, post_of_jan: str) -> None:
    page = open_page(signed_in=True)
    page.emulate_media(reduced_motion="reduce")
    page.goto(post_of_jan)
    page.locator(".photo").first.dblclick(position={"x": 200, "y": 200})
    expect(heart(page)).to_have_attribute("aria-pressed", "true")
    assert page.locator(".burst:visible").count() == 0
    with page.expect_response(re.compile("/unlike/$")):
        heart(page).click()


def test_a_finger_likes_once_when_it_leaves_the_button_and_not_when_it_has_moved_off(
    new_browser: NewBrowser, post_of_jan: str
) -> None:
    page = new_browser(390, touch=True).new_page()
    page.goto(post_of_jan)
    session = page.context.new_cdp_session(page)
    box = heart(page).bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2

    def finger(*path: tuple[float, float]) -> None:
        kinds = ["touchStart", *["touchMove"] * (len(path) - 1)]
        for kind, (at_x, at_y) in zip(kinds, path, strict=True):
            session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": at_x, "y": at_y}]})
        page.wait_for_timeout(80)
        session.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})

    for pressed, path in (("true", "/like/$"), ("false", "/unlike/$")):
        with page.expect_response(re.compile(path)):
            finger((x, y))
        page.wait_for_timeout(300)  # the click comes after it
        expect(heart(page)).to_have_attribute("aria-pressed", pressed)
    finger((x, y), (x + 120, y), (x + 160, y))
    page.wait_for_timeout(300)
    expect(heart(page)).to_have_attribute("aria-pressed", "false")


def test_pressing_often_ends_as_it_was_pressed_last(open_page: OpenPage, post_of_jan: str) -> None:
    page = open_page(signed_in=True)
    page.goto(post_of_jan)
    sent: list[Request] = []
    answered: list[Request] = []
    page.on("request", lambda request: sent.append(request))
    page.on("requestfinished", lambda request: answered.append(request))
    for _ in range(4):
        heart(page).click()
    page.wait_for_timeout(200)  # what is pressed is sent when it has been shown
    while any(request.method == "POST" and request not in answered for request in sent):
        page.wait_for_timeout(50)
    expect(heart(page)).to_have_attribute("aria-pressed", "false")
    page.reload()
    expect(heart(page)).to_have_attribute("aria-pressed", "false")


def test_a_like_that_cannot_be_sent_is_taken_back_and_says_so(open_page: OpenPage, post_of_jan: str) -> None:
    page = open_page(signed_in=True, expects=AWAY)
    page.goto(post_of_jan)
    page.evaluate(
        "document.addEventListener('calotype:unsent', (event) => event.stopImmediatePropagation(), true)"
    )
    page.route("**/like/", lambda route: route.abort())
    heart(page).click()
    expect(page.get_by_role("alert")).to_contain_text("cannot be reached")
    expect(heart(page)).to_have_attribute("aria-pressed", "false")
    expect(page.locator("[data-likes]").first).to_be_hidden()


def test_a_like_that_somebody_keeps_for_later_stays(open_page: OpenPage, post_of_jan: str) -> None:
    page = open_page(signed_in=True, expects=AWAY)
    page.goto(post_of_jan)
    page.evaluate("""document.addEventListener("calotype:unsent", event => {
        event.preventDefault();
        window.unsent = event.detail;
    })""")
    page.route("**/like/", lambda route: route.abort())
    heart(page).click()
    page.wait_for_function("() => window.unsent")
    unsent = page.evaluate("window.unsent")
    assert unsent["path"].endswith("/like/")
    assert unsent["fields"] == {}
    assert len(unsent["key"]) > 20
    expect(heart(page)).to_have_attribute("aria-pressed", "true")
    assert page.get_by_role("alert").count() == 0


def test_a_like_on_a_post_that_was_just_deleted_is_taken_back_and_says_so(open_page: OpenPage) -> None:
    page, other = open_page(signed_in=True), open_page(javascript=False, signed_in=True)
    address = share(other, "gold")
    page.goto(address)
    delete(other, address)
    heart(page).click()
    expect(page.get_by_role("alert")).to_contain_text("just been deleted")
    expect(heart(page)).to_have_attribute("aria-pressed", "false")


# Comments


def field(page: Page) -> Locator:
    return page.locator("[data-say] [name=text]").first


@pytest.mark.parametrize("width", WIDTHS.values(), ids=WIDTHS)
def test_a_comment_appears_and_goes_without_a_reload(
    width: int, open_page: OpenPage, post_of_jan: str
) -> None:
    page = open_page(width, signed_in=True)
    page.goto(post_of_jan)
    page.evaluate("window.stayed = true")
    words = f"Lovely <b>red</b> at {width}"
    field(page).fill(words)
    field(page).press("Control+Enter")
    comment = page.locator("li.comment", has_text=words)
    expect(comment).to_be_visible()
    expect(field(page)).to_have_value("")
    expect(comment).to_have_attribute("id", re.compile(r"comment-\d+"))
    expect(page.locator("[data-say][aria-live]")).to_have_text("Your comment is posted.")
    comment.locator("summary").click()
    comment.get_by_role("button", name=re.compile("delete", re.I)).click()
    expect(comment).to_have_count(0)
    expect(page.locator(".no-comments")).to_be_visible()
    expect(field(page)).to_be_focused()
    assert page.evaluate("window.stayed")
    page.reload()
    assert page.get_by_text(words).count() == 0
    assert page.get_by_text("The comment is deleted").count() == 0


def test_a_comment_in_the_feed_stands_under_its_post(open_page: OpenPage, post_of_jan: str) -> None:
    page = open_page(390, signed_in=True)
    page.goto("/")
    post = page.locator(f'article[id="post-{post_of_jan.split("/")[-2]}"]')
    post.locator("[name=text]").fill("From the feed #red")
    post.locator("[name=text]").press("Enter")
    comment = post.locator(".words [data-comment]", has_text="From the feed")
    expect(comment).to_be_visible()
    expect(comment.get_by_role("link", name="#red")).to_be_visible()
    page.goto(post_of_jan)
    kept = page.locator("li.comment", has_text="From the feed")
    kept.locator("summary").click()
    kept.get_by_role("button", name=re.compile("delete", re.I)).click()
    expect(kept).to_have_count(0)


def test_a_comment_that_is_refused_goes_back_into_its_field(open_page: OpenPage, post_of_jan: str) -> None:
    page = open_page(signed_in=True, expects=AWAY)
    page.goto(post_of_jan)
    page.route("**/comments/", lambda route: route.abort())
    field(page).fill("Not lost")
    field(page).press("Control+Enter")
    expect(page.get_by_role("alert")).to_contain_text("still here")
    expect(field(page)).to_have_value("Not lost")
    assert page.locator("li.comment").count() == 0
    page.unroute("**/comments/")
    page.get_by_role("button", name="Send again").click()
    comment = page.locator("li.comment", has_text="Not lost")
    expect(comment).to_have_attribute("id", re.compile("comment-"))
    comment.locator("summary").click()
    comment.get_by_role("button", name=re.compile("delete", re.I)).click()
    expect(comment).to_have_count(0)


def test_a_comment_whose_answer_was_lost_is_there_once(open_page: OpenPage, post_of_jan: str) -> None:
    page = open_page(signed_in=True, expects=AWAY)
    page.goto(post_of_jan)

    def lose(route: Route) -> None:
        route.fetch()  # it arrives, and its answer does not
        route.abort()

    page.route("**/comments/", lose)
    field(page).fill("Only once")
    field(page).press("Control+Enter")
    expect(page.get_by_role("alert")).to_be_visible()
    page.unroute("**/comments/")
    page.get_by_role("button", name="Send again").click()
    comment = page.locator("li.comment", has_text="Only once")
    expect(comment).to_have_attribute("id", re.compile("comment-"))
    page.reload()
    expect(comment).to_have_count(1)
    comment.locator("summary").click()
    comment.get_by_role("button", name=re.compile("delete", re.I)).click()
    expect(comment).to_have_count(0)


def test_what_is_typed_survives_a_session_that_has_ended(open_page: OpenPage, post_of_jan: str) -> None:
    page = open_page(signed_in=True)
    page.goto(post_of_jan)
    cookies = page.context.cookies()
    page.context.clear_cookies(name="session")
    field(page).fill("A long thought")
    field(page).press("Control+Enter")
    expect(page.get_by_role("alert")).to_contain_text("You have been logged out")
    expect(field(page)).to_have_value("A long thought")
    with page.context.expect_page() as opened:
        page.get_by_role("button", name="Log in in a new tab").click()
    opened.value.wait_for_url(re.compile("/log-in/"))
    opened.value.close()
    # Logging in gives the browser a session and another CSRF token than this page has.
    page.context.clear_cookies(name="csrftoken")
    session = next(each for each in cookies if each.get("name") == "session")
    page.context.add_cookies(
        [{"name": "session", "value": session.get("value", ""), "url": page.url.partition("/p/")[0]}]
    )
    page.get_by_role("button", name="Send again").click()
    comment = page.locator("li.comment", has_text="A long thought")
    expect(comment).to_have_attribute("id", re.compile("comment-"))
    comment.locator("summary").click()
    comment.get_by_role("button", name=re.compile("delete", re.I)).click()
    expect(comment).to_have_count(0)
