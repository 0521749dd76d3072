"""The feed in a browser: likes and comments that show at once, ten thousand posts, where one was, what is new."""

from __future__ import annotations

import re
from collections.abc import Iterator
from io import BytesIO
from typing import Any

import pytest
from PIL import Image
from playwright.sync_api import Browser, FilePayload, Locator, Page, Route, StorageState, expect

from tests.e2e.conftest import WIDTHS, OpenPage
from tests.running_site import RunningSite

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]

AWAY = ("net::ERR",)
A_PAGE = 100
PIXEL = "data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7"


def share(page: Page, *colors: str) -> str:
    """Post photos; the address of the post."""
    files = []
    for number, color in enumerate(colors):
        out = BytesIO()
        Image.new("RGB", (900, 600), color).save(out, "JPEG")
        files.append(FilePayload(name=f"{number}.jpg", mimeType="image/jpeg", buffer=out.getvalue()))
    page.goto("/new/")
    page.locator('input[type="file"]').first.set_input_files(files)
    page.get_by_role("button", name=re.compile("share|post", re.I)).first.click()
    expect(page).to_have_url(re.compile(r"/p/\d+/"))
    return re.sub(r"(/p/\d+/).*", r"\1", page.url)


def delete(page: Page, address: str) -> None:
    page.goto(f"{address}delete/")
    page.get_by_role("button", name=re.compile("^delete", re.I)).click()
    expect(page).to_have_url(re.compile("/@jan/"))


@pytest.fixture(scope="module")
def post_of_jan(chromium: Browser, site: RunningSite, session_of_jan: StorageState) -> Iterator[str]:
    context = chromium.new_context(base_url=site.url, storage_state=session_of_jan, java_script_enabled=False)
    page = context.new_page()
    address = share(page, "tomato", "seagreen", "orchid")
    yield address
    delete(page, address)
    context.close()


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


def test_pressing_often_ends_as_it_was_pressed_last(open_page: OpenPage, post_of_jan: str) -> None:
    page = open_page(signed_in=True)
    page.goto(post_of_jan)
    for _ in range(4):
        heart(page).click()
    page.wait_for_load_state("networkidle")
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
    page.wait_for_function("window.unsent")
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
    expect(opened.value).to_have_url(re.compile("/log-in/"))
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


# Ten thousand posts


def article(number: int) -> str:
    place = place_of(number)
    return f"""<article class="post" id="post-{number}" data-post="{number}" data-place="{place}" tabindex="-1"
        aria-labelledby="post-{number}-by"><header class="post-head"><h2 id="post-{number}-by">Post {number}</h2></header>
        <figure class="photo"><picture><img src="{PIXEL}" width="600" height="{300 + number * 37 % 500}" alt="Photo {number}">
        </picture></figure><form data-say="{number}"><input name="text" aria-label="Comment"></form></article>"""


def place_of(number: int) -> str:
    return f"{1_700_000_000_000 - number}-{10**18 - number}"


def part(first: int, total: int, attributes: str = "") -> str:
    posts = range(first, min(total, first + A_PAGE))
    older = posts[-1] + 1 < total if posts else False
    end = (
        f'<nav class="pager"><a class="button" rel="next" href="/?before={place_of(posts[-1])}">Older posts</a></nav>'
        if older
        else '<p class="end-of-feed">You are all caught up</p>'
    )
    shown = "".join(article(number) for number in posts)
    return f'<div data-feed role="feed" {attributes}>{shown}</div><div data-feed-end>{end}</div>'


def give(page: Page, total: int, first: int = 0, attributes: str = "") -> None:
    """The feed of this page has `total` posts that the site need not have; its newest is number `first`."""
    feed = re.compile(r"<div data-feed .*(?=</main>)", re.S)

    def answer(route: Route) -> None:
        before = re.search(r"before=\d+-(\d+)", route.request.url)
        start = 10**18 - int(before[1]) + 1 if before else first
        if route.request.header_value("x-fragment"):
            route.fulfill(body=part(start, total, attributes), content_type="text/html")
        else:
            real = route.fetch()
            route.fulfill(response=real, body=feed.sub(lambda _: part(start, total, attributes), real.text()))

    page.route(re.compile(r"^[^?]*:\d+/(\?before=.*)?$"), answer)


SCROLL_TO_THE_END = """async () => {
    let most = 0;
    const frame = () => new Promise(done => requestAnimationFrame(() => setTimeout(done)));
    for (let tries = 0; tries < 4000 && !document.querySelector(".end-of-feed"); tries++) {
        scrollTo(0, document.documentElement.scrollHeight);
        await frame();
        most = Math.max(most, document.querySelectorAll("[data-feed] *").length);
    }
    scrollTo(0, document.documentElement.scrollHeight);
    await frame();
    return most;
}"""

NUMBER_SEEN = """() => {
    const seen = [...document.querySelectorAll("[data-post]")].find(each => each.getBoundingClientRect().bottom > 0);
    return [seen?.dataset.post, seen?.getBoundingClientRect().top];
}"""

SHIFTS = """() => {
    window.shifts = [];
    new PerformanceObserver(list => {
        for (const each of list.getEntries()) window.shifts.push([each.value, ...each.sources.map(by => by.node?.outerHTML?.slice(0, 80))]);
    }).observe({type: "layout-shift"});
}"""


def used(page: Page) -> dict[str, Any]:
    """What the page holds after everything that can be forgotten is: elements, attached or not, and the heap."""
    session = page.context.new_cdp_session(page)
    session.send("HeapProfiler.collectGarbage")
    session.send("Performance.enable")
    metrics = session.send("Performance.getMetrics")["metrics"]
    return {each["name"]: each["value"] for each in metrics}


def test_ten_thousand_posts_cost_as_much_as_a_few(open_page: OpenPage) -> None:
    page = open_page(signed_in=True)
    give(page, 10_000)
    page.goto("/")
    expect(page.get_by_text("Post 0", exact=True)).to_be_visible()
    page.evaluate(SHIFTS)
    most = page.evaluate(SCROLL_TO_THE_END)
    expect(page.get_by_text("You are all caught up")).to_be_visible()
    expect(page.get_by_text("Post 9999", exact=True)).to_be_attached()
    assert most < 2_000, "so many elements were in the feed at once"
    after = used(page)
    assert after["Nodes"] < 12_000
    assert after["JSHeapUsedSize"] < 24 << 20
    height = page.evaluate("document.documentElement.scrollHeight")
    assert height > 10_000 * 400

    page.evaluate("scrollTo(0, 0)")
    expect(page.get_by_text("Post 0", exact=True)).to_be_visible()
    page.evaluate("scrollTo(0, document.documentElement.scrollHeight / 2)")
    page.wait_for_function(
        "() => !document.querySelector('.feed-gap') && document.querySelectorAll('[data-post]').length > 5"
    )
    number, _ = page.evaluate(NUMBER_SEEN)
    assert 4_000 < int(number) < 6_000
    assert page.evaluate("window.shifts") == []


def test_reading_down_and_up_again_nothing_jumps(open_page: OpenPage) -> None:
    """By the wheel, post for post: each post is where the one before it ends, whatever was taken out meanwhile."""
    page = open_page(390, signed_in=True)
    give(page, 300)
    page.goto("/")
    expect(page.get_by_text("Post 0", exact=True)).to_be_visible()
    page.evaluate(SHIFTS)
    jumps = page.evaluate("""async () => {
        const frame = () => new Promise(done => requestAnimationFrame(() => setTimeout(done)));
        const seen = () => [...document.querySelectorAll("[data-post]")].find(each => each.getBoundingClientRect().bottom > 0);
        let jumps = 0;
        for (const by of [...Array(120).fill(700), ...Array(130).fill(-700)]) {
            const post = seen();
            const [was, from] = [post.getBoundingClientRect().top, scrollY];
            scrollBy(0, by);
            await frame();
            if (post.isConnected && Math.abs(was - post.getBoundingClientRect().top - (scrollY - from)) > 1) jumps++;
        }
        return jumps;
    }""")
    assert jumps == 0
    expect(page.get_by_text("Post 0", exact=True)).to_be_visible()
    assert page.evaluate("scrollY") == 0
    assert page.evaluate("window.shifts") == []


def test_what_is_typed_under_a_post_is_there_when_one_comes_back_to_it(open_page: OpenPage) -> None:
    page = open_page(signed_in=True)
    give(page, 400)
    page.goto("/")
    page.locator("#post-1 [name=text]").fill("Half a thought")
    page.evaluate(SCROLL_TO_THE_END)
    expect(page.locator("#post-1")).to_have_count(0)
    page.evaluate("scrollTo(0, 0)")
    expect(page.locator("#post-1 [name=text]")).to_have_value("Half a thought")


@pytest.mark.parametrize("width", WIDTHS.values(), ids=WIDTHS)
def test_whoever_reloads_or_comes_back_is_where_they_were(width: int, open_page: OpenPage) -> None:
    page = open_page(width, signed_in=True)
    give(page, 1_000)
    page.goto("/")
    page.evaluate(SCROLL_TO_THE_END)
    page.evaluate("scrollTo(0, 300_000)")
    page.wait_for_function(
        "() => !document.querySelector('.feed-gap') && document.querySelector('[data-post]')"
    )
    number, top = page.evaluate(NUMBER_SEEN)
    assert int(number) > 200

    def is_where_it_was() -> None:
        page.wait_for_function("() => !document.querySelector('.feed-gap')")
        again, now = page.evaluate(NUMBER_SEEN)
        assert again == number
        assert abs(now - top) <= 2

    page.reload()
    is_where_it_was()
    page.goto("/people/")
    page.go_back()
    expect(page.locator(f"#post-{number}")).to_be_visible()
    is_where_it_was()


def test_posts_that_came_meanwhile_stand_above_when_one_reloads(open_page: OpenPage) -> None:
    page = open_page(signed_in=True)
    give(page, 400, first=5)
    page.goto("/")
    page.evaluate(SCROLL_TO_THE_END)
    page.evaluate("scrollTo(0, 60_000)")
    page.wait_for_function(
        "() => !document.querySelector('.feed-gap') && document.querySelector('[data-post]')"
    )
    number, _ = page.evaluate(NUMBER_SEEN)
    page.unroute_all()
    give(page, 400, first=2)
    page.reload()
    expect(page.locator(f"#post-{number}")).to_be_visible()
    page.evaluate("scrollTo(0, 0)")
    expect(page.get_by_text("Post 2", exact=True)).to_be_visible()
    assert page.locator("[data-post]").first.get_attribute("data-post") == "2"


def test_a_page_that_does_not_come_is_asked_for_again(open_page: OpenPage) -> None:
    page = open_page(signed_in=True, expects=AWAY)
    give(page, 300)
    page.goto("/")
    page.route("**/?before=*", lambda route: route.abort())
    page.evaluate("scrollTo(0, document.documentElement.scrollHeight)")
    expect(page.get_by_role("alert")).to_contain_text("could not be loaded")
    page.unroute("**/?before=*")
    page.get_by_role("button", name="Try again").click()
    page.evaluate(SCROLL_TO_THE_END)
    expect(page.get_by_text("Post 299", exact=True)).to_be_attached()


def test_whoever_prefers_a_button_has_one(open_page: OpenPage) -> None:
    page = open_page(signed_in=True)
    page.goto("/settings/feed/")
    page.get_by_label(re.compile("press a button")).check()
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Saved.")).to_be_visible()
    page.goto("/")
    expect(page.locator("[data-feed][data-by-button]")).to_have_count(1)
    page.goto("/settings/feed/")
    page.get_by_label(re.compile("press a button")).uncheck()
    page.get_by_role("button", name="Save").click()
    page.goto("/")
    expect(page.locator("[data-feed]:not([data-by-button])")).to_have_count(1)


def test_the_button_brings_more_and_hands_the_focus_on(open_page: OpenPage) -> None:
    page = open_page(signed_in=True)
    give(page, 200, attributes="data-by-button")
    page.goto("/")
    page.evaluate("scrollTo(0, document.documentElement.scrollHeight)")
    button = page.get_by_role("link", name="Older posts")
    expect(button).to_be_visible()
    page.wait_for_timeout(300)
    assert page.locator("#post-100").count() == 0
    button.click()
    expect(page.locator("#post-100")).to_be_focused()
    expect(page.get_by_text("You are all caught up")).to_be_attached()


def test_a_new_post_is_announced_and_comes_at_the_top(open_page: OpenPage) -> None:
    page, other = open_page(signed_in=True), open_page(javascript=False, signed_in=True)
    page.goto("/")
    first = page.locator("[data-post]").first.get_attribute("data-post")
    page.evaluate("scrollTo(0, 1500)")
    address = share(other, "gold")
    try:
        page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
        pill = page.get_by_role("button", name="1 new post")
        expect(pill).to_be_visible()
        pill.click()
        expect(page.locator("[data-post]").first).to_have_attribute("data-post", address.split("/")[-2])
        expect(page.locator("[data-post]").first).to_be_focused()
        expect(page.locator("[data-post]").nth(1)).to_have_attribute("data-post", str(first))
        expect(pill).to_be_hidden()
        assert page.evaluate("scrollY") == 0
    finally:
        delete(other, address)


def test_without_a_script_there_are_pages(open_page: OpenPage) -> None:
    page = open_page(javascript=False, signed_in=True)
    page.goto("/")
    assert page.locator("[data-post]").count() >= 8
    assert page.locator("[data-keys]:visible").count() == 0
