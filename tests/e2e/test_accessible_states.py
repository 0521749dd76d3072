"""What opens, fails, waits or ends on a page: axe-core finds nothing in it, in both themes and at both widths."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, FilePayload, Page, Route, StorageState, expect

from tests.e2e.axe import everywhere
from tests.e2e.conftest import OpenPage, delete, share
from tests.e2e.reading import settled, unseen
from tests.e2e.uploading import photo
from tests.running_site import RunningSite

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]

AWAY = ("net::ERR",)


@pytest.fixture(scope="module")
def post(chromium: Browser, site: RunningSite, session_of_jan: StorageState) -> Iterator[str]:
    """The address of a post of Jan's with three photos and a comment."""
    context = chromium.new_context(base_url=site.url, storage_state=session_of_jan, java_script_enabled=False)
    page = context.new_page()
    address = share(page, "tomato", "seagreen", "orchid")
    page.goto(address)
    page.get_by_role("textbox", name=re.compile("comment")).fill("In #red and for @mara")
    page.get_by_role("button", name="Send").click()
    expect(page.locator("li.comment")).to_have_count(1)
    yield address
    delete(page, address)
    context.close()


def assert_accessible(page: Page) -> None:
    """And in forced colours all that is pressed, selected or has an edge shows it."""
    settled(page)
    found = [*everywhere(page), *unseen(page)]
    assert not found, "\n".join(found)


def keep_waiting(route: Route) -> None:
    """It is never answered."""


# On a post


def test_a_post_with_its_menus_open(open_page: OpenPage, post: str) -> None:
    page = open_page(signed_in=True)
    page.goto(post)
    menu = page.locator(".post-head summary")
    menu.click()
    assert_accessible(page)
    menu.click()
    page.locator(".comment summary").click()
    assert_accessible(page)


def test_a_post_that_one_likes_with_a_comment_that_failed(open_page: OpenPage, post: str) -> None:
    page = open_page(signed_in=True, expects=AWAY)
    page.goto(post)
    page.route("**/like/", keep_waiting)
    page.locator("[data-like] button").first.click()
    page.route("**/comments/", lambda route: route.abort())
    page.locator("[data-say] [name=text]").first.fill("Not lost")
    page.get_by_role("button", name="Send", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text("still here")
    assert_accessible(page)


def test_a_comment_on_its_way_and_a_session_that_has_ended(open_page: OpenPage, post: str) -> None:
    page = open_page(signed_in=True)
    page.goto(post)
    page.route("**/comments/", keep_waiting)
    page.locator("[data-say] [name=text]").first.fill("On its way")
    page.get_by_role("button", name="Send", exact=True).click()
    expect(page.locator(".unsent")).to_be_visible()
    assert_accessible(page)
    page.unroute("**/comments/")
    page.context.clear_cookies(name="session")
    page.locator("[data-say] [name=text]").first.fill("A long thought")
    page.get_by_role("button", name="Send", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text("You have been logged out")
    assert_accessible(page)


def test_the_viewer_as_it_opens_and_zoomed(open_page: OpenPage, post: str) -> None:
    page = open_page(signed_in=True)
    page.goto(post)
    page.locator("[data-full]").first.press("Enter")
    expect(page.locator("dialog.viewer")).to_be_visible()
    assert_accessible(page)
    page.keyboard.press("+")
    assert_accessible(page)


def test_the_sheets_of_sharing_and_of_keys(open_page: OpenPage, post: str) -> None:
    page = open_page(signed_in=True)
    page.goto(post)
    page.locator("[data-share]").first.press("Enter")
    dialog = page.get_by_role("dialog", name="Share")
    dialog.get_by_role("button", name="Copy link").click()
    expect(dialog.get_by_role("status")).not_to_be_empty()
    assert_accessible(page)
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keyboard shortcuts")).to_be_visible()
    assert_accessible(page)


def test_the_editor_with_each_of_its_tabs_and_its_question(open_page: OpenPage, post: str) -> None:
    page = open_page(signed_in=True)
    page.goto(f"{post}edit/")
    page.get_by_role("button", name=re.compile("^Edit photo")).first.click()
    expect(page.get_by_role("button", name="Done")).to_be_enabled()
    page.get_by_role("button", name="Rotate").click()
    for tab in ("Crop", "Light", "Filters"):
        page.get_by_role("tab", name=tab).click()
        assert_accessible(page)
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog", name=re.compile("Discard"))).to_be_visible()
    assert_accessible(page)


# In lists


def test_a_feed_to_its_end_with_newer_posts_and_without_a_connection(open_page: OpenPage) -> None:
    page = open_page(signed_in=True, expects=(*AWAY, "ERR_INTERNET_DISCONNECTED"))
    page.route("**/feed/newer/*", lambda route: route.fulfill(json={"newer": 3}))
    page.goto("/")
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    expect(page.get_by_role("button", name="3 new posts")).to_be_visible()
    assert_accessible(page)
    for _ in range(40):
        page.evaluate("scrollTo(0, document.documentElement.scrollHeight)")
        settled(page)
        if page.locator(".end-of-feed").is_visible():
            break
    expect(page.get_by_text("You are all caught up")).to_be_visible()
    page.context.set_offline(True)
    expect(page.locator("[data-offline]")).to_be_visible()
    assert_accessible(page)


def test_a_feed_whose_next_page_does_not_come(open_page: OpenPage) -> None:
    page = open_page(signed_in=True, expects=AWAY)
    page.goto("/")
    page.evaluate("""() => {
        const end = document.querySelector("[data-feed-end]");
        end.innerHTML = '<nav class="pager" aria-label="Pages"><a class="button" rel="next" href="/?before=1-1">Older posts</a></nav>';
    }""")
    page.route("**/?before=*", lambda route: route.abort())
    page.evaluate("scrollTo(0, document.documentElement.scrollHeight)")
    expect(page.get_by_role("alert")).to_contain_text("could not be loaded")
    assert_accessible(page)


def test_cards_of_a_person_and_of_a_photograph(open_page: OpenPage) -> None:
    page = open_page(signed_in=True)
    for address, about in (
        ("/@mara/followers/", ".person .name"),
        ("/explore/", ".grid a"),
    ):
        page.goto(address)
        page.locator(about).first.focus()
        page.keyboard.press("Shift+Tab")
        page.keyboard.press("Tab")  # only what has the keyboard's focus shows one
        expect(page.locator(".hover-card")).to_be_visible()
        assert_accessible(page)


def test_a_grid_whose_next_page_did_not_come(open_page: OpenPage) -> None:
    page = open_page(expects=["status of 503"])

    def with_more(route: Route) -> None:
        real = route.fetch()
        route.fulfill(response=real, body=re.sub('data-older="[^"]*"', 'data-older="1-1"', real.text()))

    page.route(re.compile("/explore/$"), with_more)
    page.route("**/*before=*", lambda route: route.fulfill(status=503, body=""))
    page.goto("/explore/")
    page.evaluate("scrollTo(0, document.documentElement.scrollHeight)")
    expect(page.get_by_role("alert")).to_contain_text("did not come")
    assert_accessible(page)


def test_news_that_came_while_one_reads_old_ones(open_page: OpenPage) -> None:
    page = open_page(signed_in=True, expects=AWAY)
    page.route("**/notifications/live/", lambda route: route.abort())
    page.route("**/notifications/unread/", lambda route: route.fulfill(json={"unread": 2}))
    page.goto("/notifications/")
    expect(page.get_by_role("button", name="Show 2 new notifications")).to_be_visible()
    page.evaluate("document.querySelector('.event').classList.add('unread')")
    assert_accessible(page)


# In forms


def test_a_draft_with_photos_that_arrived_wait_and_are_refused(open_page: OpenPage) -> None:
    page = open_page(signed_in=True, expects=AWAY)
    page.goto("/new/")
    broken = FilePayload(name="holiday.jpg", mimeType="image/jpeg", buffer=b"not a photo")
    page.locator("#id_photos").set_input_files([photo("one.jpg"), photo("two.jpg", "tomato"), broken])
    expect(page.locator(".upload.arrived")).to_have_count(2)
    expect(page.locator(".upload.refused")).to_have_count(1)
    page.route("**/uploads/**", keep_waiting)
    page.route("**/uploads/", keep_waiting)
    page.locator("#id_photos").set_input_files([photo("three.jpg", "navy")])
    expect(page.locator(".upload")).to_have_count(4)
    assert_accessible(page)

    page.get_by_role("button", name=re.compile("^Remove photo 3")).click()
    page.get_by_role("button", name=re.compile("^Share")).click()
    expect(page.get_by_role("heading", name="Your post is on its way")).to_be_visible()
    assert_accessible(page)
    page.goto("/people/")
    expect(page.get_by_role("complementary", name="Uploads")).to_be_visible()
    assert_accessible(page)


def test_a_draft_that_is_refused_without_a_script(open_page: OpenPage) -> None:
    page = open_page(signed_in=True)
    page.goto("/new/")
    token = page.locator("[name=csrfmiddlewaretoken]").first.input_value()
    answer = page.request.post(
        "/new/",
        multipart={
            "csrfmiddlewaretoken": token,
            "key": page.locator("[name=key]").first.input_value(),
            "photos": FilePayload(name="holiday.jpg", mimeType="image/jpeg", buffer=b"not a photo"),
        },
        headers={"Referer": page.url},
    )
    page.route("**/new/", lambda route: route.fulfill(body=answer.body(), content_type="text/html"))
    page.goto("/new/")
    expect(page.get_by_text("Nothing was posted.")).to_be_visible()
    assert_accessible(page)


@pytest.mark.parametrize(
    ("address", "fields", "button"),
    [
        ("/settings/profile/", {"Website": "no address"}, "Save"),
        ("/settings/password/", {"Password now": "wrong", "New password": "short"}, "Change the password"),
    ],
)
def test_settings_that_are_refused(
    address: str, fields: dict[str, str], button: str, open_page: OpenPage
) -> None:
    page = open_page(signed_in=True)
    page.goto(address)
    for label, text in fields.items():
        field = page.get_by_label(label, exact=True)
        field.evaluate("field => { field.type = field.type === 'url' ? 'text' : field.type; }")
        field.fill(text)
    page.get_by_role("button", name=button).click()
    expect(page.locator("[aria-invalid=true]").first).to_be_visible()
    assert_accessible(page)


def test_settings_that_are_saved_or_not_yet(open_page: OpenPage) -> None:
    page = open_page(signed_in=True)
    page.goto("/settings/notifications/")
    page.evaluate("dispatchEvent(new Event('beforeinstallprompt', {cancelable: true}))")
    expect(page.get_by_role("button", name="Install the app")).to_be_visible()
    box = page.get_by_role("checkbox").first
    box.click()
    expect(page.locator("[data-saved-state]")).to_have_text("Not saved yet")
    assert_accessible(page)
    page.goto("/settings/feed/")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Saved.")).to_be_visible()
    assert_accessible(page)


def test_doors_that_are_shut_or_have_sent_a_link(open_page: OpenPage) -> None:
    page = open_page()
    page.goto("/sign-up/")
    page.get_by_label("User name").fill("a b")
    page.get_by_label("E-mail").fill("someone@mail.example")
    page.get_by_label("Password", exact=True).fill("short")
    page.get_by_role("button", name=re.compile("create|sign up", re.I)).click()
    expect(page.locator("[aria-invalid=true]").first).to_be_visible()
    assert_accessible(page)
    page.goto("/log-in/")
    page.get_by_label("User name or e-mail").fill("nobody.of.that.name")
    page.get_by_label("Password").fill("wrong")
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("alert")).to_be_visible()
    assert_accessible(page)
    page.goto("/password-reset/")
    page.get_by_label(re.compile("mail", re.I)).fill("nobody@mail.example")
    page.get_by_role("button", name="Send the link").click()
    expect(page.get_by_role("heading", name="Look into your mail")).to_be_visible()
    assert_accessible(page)


def test_the_skip_link_that_is_seen_while_it_has_the_focus(open_page: OpenPage) -> None:
    page = open_page(signed_in=True)
    page.goto("/people/")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    assert_accessible(page)
