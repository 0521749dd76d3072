"""What people do, in a real browser: on a phone and on a desk, with JavaScript and without."""

from __future__ import annotations

import re
import time
from io import BytesIO
from itertools import count

import psycopg
import pytest
from PIL import Image
from playwright.sync_api import FilePayload, Page, expect

from calotype.config.site import read
from tests.e2e.conftest import UPLOADER, WIDTHS, NewBrowser, OpenPage, answered, log_in
from tests.e2e.conftest import sign_up as sign_up_as
from tests.running_site import RunningSite

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]

_numbers = count(1)


def file(name: str, color: str, size: tuple[int, int] = (900, 600)) -> FilePayload:
    out = BytesIO()
    Image.new("RGB", size, color).save(out, "JPEG")
    return FilePayload(name=name, mimeType="image/jpeg", buffer=out.getvalue())


def sign_up(page: Page) -> str:
    username = f"visitor{next(_numbers)}"
    sign_up_as(page, username)
    return username


@pytest.mark.parametrize("width", WIDTHS.values(), ids=WIDTHS)
@pytest.mark.parametrize("javascript", [True, False], ids=["javascript", "no javascript"])
def test_sign_up_upload_follow_like_comment_delete(width: int, javascript: bool, open_page: OpenPage) -> None:
    author, friend = open_page(width, javascript=javascript), open_page(width, javascript=javascript)
    name, friends_name = sign_up(author), sign_up(friend)

    author.goto("/new/")
    author.locator('input[type="file"]').set_input_files(
        [file("one.jpg", "tomato"), file("two.jpg", "seagreen")]
    )
    author.get_by_label("Caption").fill("Two colours")
    author.get_by_role("button", name=re.compile("share|post", re.I)).click()
    author.wait_for_url(re.compile(r"/edit/\?new"))
    descriptions = author.locator('textarea[name="alt"], input[name="alt"]')
    expect(descriptions).to_have_count(2)
    descriptions.nth(0).fill("a red field")
    descriptions.nth(1).fill("a green field")
    author.get_by_role("button", name=re.compile("save|done", re.I)).click()
    author.wait_for_url(re.compile(r"/p/\d+/$"))
    expect(author.get_by_alt_text("a red field")).to_be_visible()
    post_url = author.url

    friend.goto(f"/@{name}/")
    with answered(friend):
        friend.get_by_role("button", name=re.compile("^Follow", re.I)).first.click()
    friend.goto("/")
    expect(friend.get_by_text("Two colours").first).to_be_visible()
    with answered(friend):
        friend.get_by_role("button", name=re.compile("^Like", re.I)).first.click()
    friend.goto(post_url)
    expect(friend.get_by_role("button", name=re.compile("like", re.I), pressed=True)).to_have_count(1)
    friend.get_by_role("textbox", name=re.compile("comment", re.I)).first.fill("Lovely <b>red</b>")
    with answered(friend):
        friend.get_by_role("button", name=re.compile("^(Post|Send|Comment|Add)", re.I)).last.click()
    expect(friend.get_by_text("Lovely <b>red</b>")).to_be_visible()

    author.goto(post_url)
    expect(author.get_by_text("1 like", exact=False).first).to_be_visible()
    expect(author.get_by_text(friends_name).first).to_be_visible()
    author.locator(".comment summary").click()
    with answered(author):
        author.get_by_role("button", name=re.compile("delete.*comment", re.I)).click()
    expect(author.get_by_text("Lovely <b>red</b>")).to_have_count(0)
    author.goto(f"{post_url}delete/")
    author.get_by_role("button", name=re.compile("^delete", re.I)).click()
    author.wait_for_url(re.compile(f"/@{name}/"))
    assert friend.goto(post_url).status == 404  # type: ignore[union-attr]  # a page was opened


def test_a_file_that_is_no_photo_is_named(open_page: OpenPage) -> None:
    page = open_page(javascript=False)
    sign_up(page)
    page.goto("/new/")
    broken = FilePayload(name="holiday.jpg", mimeType="image/jpeg", buffer=b"not a photo")
    page.locator('input[type="file"]').set_input_files([broken])
    page.get_by_role("button", name=re.compile("share|post", re.I)).click()
    expect(page.get_by_text("holiday.jpg").first).to_be_visible()


def test_the_demo_can_be_logged_in_to_and_scrolled(open_page: OpenPage) -> None:
    page = open_page(390)
    log_in(page)
    expect(page.get_by_text("Contemplative cat!").first).to_be_visible()
    assert page.locator("article").count() >= 8


def test_no_page_moves_while_its_photos_load(open_page: OpenPage) -> None:
    """Cumulative layout shift of the feed and a profile, scrolled to the end."""
    for width in WIDTHS.values():
        page = open_page(width, signed_in=True)
        for path in ("/", "/@mara/"):
            page.goto(path)
            shift = page.evaluate("""async () => {
                let total = 0;
                new PerformanceObserver(list => { for (const e of list.getEntries()) if (!e.hadRecentInput) total += e.value; })
                    .observe({type: "layout-shift", buffered: true});
                for (let y = 0; y < document.body.scrollHeight; y += 400) { window.scrollTo(0, y); await new Promise(r => setTimeout(r, 50)); }
                return total;
            }""")
            assert shift < 0.02, f"{path} at {width} px moves by {shift}"


def test_nothing_is_wider_than_the_screen(open_page: OpenPage) -> None:
    for width in (360, *WIDTHS.values()):
        page = open_page(width)
        for path in ("/", "/sign-up/", "/@mara/", "/about/photos/", "/@nobody/"):
            page.goto(path)
            overflow = page.evaluate(
                "document.documentElement.scrollWidth - document.documentElement.clientWidth"
            )
            assert overflow <= 0, f"{path} at {width} px is {overflow} px too wide"


def test_a_new_post_comes_into_the_timeline_of_whoever_follows(
    open_page: OpenPage, site: RunningSite
) -> None:
    author, reader = open_page(javascript=False), open_page(javascript=False)
    name, _ = sign_up(author), sign_up(reader)
    reader.goto("/")  # has a timeline made
    reader.goto(f"/@{name}/")
    reader.get_by_role("button", name=re.compile("^Follow", re.I)).first.click()
    author.goto("/new/")
    author.locator('input[type="file"]').set_input_files([file("one.jpg", "orchid")])
    author.get_by_label("Caption").fill("Fresh paint")
    author.get_by_role("button", name=re.compile("share|post", re.I)).click()
    author.wait_for_url(re.compile(r"/p/\d+/edit/"))
    post_id = int(re.findall(r"/p/(\d+)/", author.url)[0])
    until = time.monotonic() + 15
    while in_timelines(site, post_id) != 1:
        assert time.monotonic() < until, site.calotype("jobs", "list", check=False).stdout
        time.sleep(0.05)
    reader.goto("/")
    expect(reader.get_by_text("Fresh paint").first).to_be_visible()


def in_timelines(site: RunningSite, post_id: int) -> int:
    found = 0
    for dsn in read(site.data).servers.values():
        with psycopg.connect(dsn) as connection:
            row = connection.execute(
                "select count(*) from calotype.timelines where id = %s", (post_id,)
            ).fetchone()
            assert row is not None
            found += row[0]
    return found


def test_a_like_is_told_to_its_author_while_their_page_stays_open(open_page: OpenPage) -> None:
    author, friend = open_page(), open_page(390)
    sign_up(author)
    author.goto("/new/")
    author.locator('input[type="file"]').set_input_files([file("one.jpg", "tomato")])
    author.get_by_role("button", name=re.compile("share|post", re.I)).click()
    author.wait_for_url(re.compile(r"/edit/\?new"))
    post_url = author.url.partition("edit/")[0]
    author.goto("/people/")
    bell = author.get_by_role("link", name="Notifications").first
    expect(bell).to_have_attribute("data-unread-now", "0")

    friends_name = sign_up(friend)
    friend.goto(post_url)
    friend.get_by_role("button", name=re.compile("^Like", re.I)).first.click()
    expect(bell).to_have_attribute("data-unread-now", "1", timeout=15_000)
    expect(author).to_have_title(re.compile(r"^\(1\) "))
    second_tab = author.context.new_page()
    second_tab.goto("/people/")
    expect(second_tab.locator("[data-unread]")).to_have_text("1")

    author.goto("/notifications/")
    expect(author.get_by_text(f"{friends_name} likes your photo")).to_be_visible()
    expect(second_tab.locator("[data-unread]")).to_be_hidden()


@pytest.mark.parametrize("width", WIDTHS.values(), ids=WIDTHS)
@pytest.mark.parametrize("javascript", [True, False], ids=["javascript", "no javascript"])
def test_somebody_is_blocked_and_unblocked_from_the_keyboard(
    width: int, javascript: bool, open_page: OpenPage, new_browser: NewBrowser
) -> None:
    page, other = open_page(width, javascript=javascript, signed_in=True), new_browser(width).new_page()
    name = UPLOADER
    page.goto(f"/@{name}/")
    more = page.locator(f'summary[aria-label="What to do about {name}"]')
    more.focus()
    page.keyboard.press("Enter")
    page.get_by_role("link", name="Block", exact=True).focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name=f"Block {name}?")).to_be_visible()
    page.get_by_role("button", name="Block").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name=f"You have blocked {name}")).to_be_visible()
    expect(page.get_by_text(f"{name} is blocked.")).to_be_visible()
    assert other.goto("/@jan/").status == 404  # type: ignore[union-attr]  # a page was opened
    page.goto("/settings/blocked/")
    page.get_by_role("button", name=f"Unblock {name}").press("Enter")
    expect(page.get_by_text(f"{name} is not blocked any longer.")).to_be_visible()
    expect(page.get_by_text("You have blocked nobody")).to_be_visible()
    assert other.goto("/@jan/").status == 200  # type: ignore[union-attr]


def test_a_follower_is_removed_from_the_list(open_page: OpenPage, new_browser: NewBrowser) -> None:
    author, follower = open_page(390, signed_in=True), new_browser(390).new_page()
    follower.goto("/@jan/")
    with answered(follower):
        follower.get_by_role("button", name="Follow Jan").click()
    expect(follower.get_by_role("button", name="Following Jan")).to_be_visible()
    remove = author.get_by_role("link", name=f"Remove {UPLOADER} as a follower")
    author.goto("/@jan/followers/")
    remove.click()
    author.get_by_role("button", name="Remove").click()
    expect(author.get_by_text(f"{UPLOADER} no longer follows you.")).to_be_visible()
    expect(remove).to_have_count(0)
    follower.goto("/@jan/")
    expect(follower.get_by_role("button", name="Follow Jan")).to_be_visible()
