"""The feed as a window on a long list: ten thousand posts, where one was, what is new, a page that does not come."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from tests.e2e.conftest import WIDTHS, OpenPage, delete, share

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]

AWAY = ("net::ERR",)
A_PAGE = 100
PIXEL = "data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7"


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


def test_posts_come_in_a_few_at_a_time(open_page: OpenPage) -> None:
    """Whoever reads on has no frame in which a whole page of posts is laid out."""
    page = open_page(390, signed_in=True)
    give(page, 300)
    page.goto("/")
    page.evaluate("""() => {
        window.come = [];
        const look = changes => come.push(changes.flatMap(each => [...each.addedNodes]).length);
        new MutationObserver(look).observe(document.querySelector("[data-feed]"), {childList: true});
    }""")
    for _ in range(250):
        page.mouse.wheel(0, 400)
        page.wait_for_timeout(10)
    come = page.evaluate("come.filter(Boolean)")
    assert len(come) > 20
    assert max(come) <= 6


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
    held: list[Route] = []
    page.route("**/?before=*", lambda route: held.append(route))
    button.click()
    expect(button).to_have_attribute("aria-busy", "true")
    while not held:
        page.wait_for_timeout(20)
    held[0].fallback()
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
