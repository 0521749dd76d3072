"""Finding people and photographs: cards, following, sharing, news; as people do it, and when things fail."""

from __future__ import annotations

import re

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, Route, expect

from tests.e2e.conftest import OpenPage
from tests.running_site import RunningSite

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]


def focused(page: Page) -> str:
    return str(page.evaluate("document.activeElement.pathname ?? document.activeElement.tagName"))


def violations(page: Page) -> list[str]:
    found = Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"]
    return [f"{each['id']}: {each['nodes'][0]['html'][:200]}" for each in found]


def test_a_card_comes_for_the_pointer_and_stays_while_it_is_pointed_at(open_page: OpenPage) -> None:
    page = open_page(signed_in=True)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if "/card/" in request.url else None)
    page.goto("/@mara/followers/")
    name = page.locator(".person .name").first
    card = page.locator(".hover-card")
    for _ in range(2):
        name.hover()
        expect(card).to_be_visible()
        card.hover()
        page.wait_for_timeout(500)
        expect(card).to_be_visible()
        page.keyboard.press("Escape")
        expect(card).to_have_count(0)
        page.mouse.move(640, 5)
    assert len(asked) == 1
    name.hover()
    expect(card).to_be_visible()
    expect(name).to_have_attribute("aria-describedby", "hover-card")
    assert violations(page) == []
    page.mouse.move(640, 5)
    expect(card).to_have_count(0)
    expect(name).not_to_have_attribute("aria-describedby", "hover-card")


def test_a_card_comes_for_the_keyboard_and_one_can_go_into_it_and_on(open_page: OpenPage) -> None:
    page = open_page(signed_in=True)
    page.goto("/@mara/followers/")
    page.locator(".person .name").nth(1).focus()
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Tab")
    here = focused(page)
    card = page.locator(".hover-card")
    expect(card).to_be_visible()
    page.keyboard.press("Tab")
    assert page.evaluate("Boolean(document.activeElement.closest('.hover-card button'))")
    page.keyboard.press("Shift+Tab")
    assert focused(page) == here
    expect(card).to_be_visible()
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    assert page.evaluate("Boolean(document.activeElement.closest('.person form'))")
    expect(card).to_have_count(0)
    page.keyboard.press("Shift+Tab")
    expect(card).to_be_visible()
    page.keyboard.press("Escape")
    expect(card).to_have_count(0)
    assert focused(page) == here


def test_a_cell_tells_its_likes_and_comments(open_page: OpenPage) -> None:
    page = open_page()
    page.goto("/explore/")
    page.locator(".grid li").first.hover()
    card = page.locator(".hover-card")
    expect(card).to_contain_text(re.compile(r"\d+ likes?"))
    assert card.get_attribute("role") == "tooltip"
    assert violations(page) == []


def test_following_shows_at_once_everywhere_and_is_said(open_page: OpenPage) -> None:
    page = open_page(signed_in=True)
    page.goto("/@mara/followers/")
    form = page.locator("form[data-follow]").first
    button = form.get_by_role("button")
    began = button.get_attribute("aria-pressed")
    other = "false" if began == "true" else "true"
    held: list[Route] = []
    page.route("**/*follow/", lambda route: held.append(route))
    button.click()
    expect(button).to_have_attribute("aria-pressed", other)
    button.click()
    expect(button).to_have_attribute("aria-pressed", str(began))
    button.click()
    expect(button).to_have_attribute("aria-pressed", other)
    while not held:
        page.wait_for_timeout(20)
    page.wait_for_timeout(100)
    assert len(held) == 1  # the others have changed what is wanted, and in the end it is what was sent
    held[0].continue_()
    expect(page.locator("[data-say]")).to_contain_text(re.compile("You (do not )?follow"))
    page.unroute("**/*follow/")
    page.reload()
    expect(button).to_have_attribute("aria-pressed", other)
    button.click()
    expect(page.locator("[data-say]")).to_contain_text(re.compile("You (do not )?follow"))
    page.reload()
    expect(button).to_have_attribute("aria-pressed", str(began))


def test_a_follow_that_fails_is_taken_back_and_says_why(open_page: OpenPage) -> None:
    page = open_page(signed_in=True, expects=["ERR_INTERNET_DISCONNECTED"])
    page.goto("/@mara/followers/")
    button = page.locator("form[data-follow] button").first
    began = str(button.get_attribute("aria-pressed"))
    page.context.set_offline(True)
    button.click()
    expect(page.get_by_role("alert")).to_contain_text("No connection")
    expect(button).to_have_attribute("aria-pressed", began)
    page.context.set_offline(False)
    page.route(
        "**/*follow/",
        lambda route: route.fulfill(
            status=422,
            content_type="application/json",
            body='{"error": {"code": "following_limit", "message": "You follow 6000 people.", "data": {}}}',
        ),
    )
    button.click()
    expect(page.get_by_role("alert").last).to_contain_text("You follow 6000 people.")
    expect(button).to_have_attribute("aria-pressed", began)
    assert violations(page) == []


def test_a_post_is_shared_by_keyboard_alone(open_page: OpenPage) -> None:
    page = open_page(signed_in=True)
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto("/")
    share = page.get_by_role("link", name=re.compile("^Share the post by")).first
    address = str(share.get_attribute("href"))
    share.focus()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog", name="Share")
    expect(dialog).to_be_visible()
    assert violations(page) == []
    for name, status in (("Copy link", "The link is copied."), ("Copy code", "The code is copied.")):
        dialog.get_by_role("button", name=name).focus()
        page.keyboard.press("Enter")
        expect(dialog.get_by_role("status")).to_have_text(status)
        copied = page.evaluate("navigator.clipboard.readText()")
        assert address.removesuffix("share/") in copied
    assert copied.startswith("<figure><a href=")
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    assert focused(page) == address


def test_a_copy_that_is_forbidden_says_what_to_do(open_page: OpenPage) -> None:
    page = open_page()
    page.add_init_script(
        "navigator.clipboard.writeText = () => Promise.reject(new DOMException('', 'NotAllowedError'))"
    )
    page.goto("/@mara/")
    page.get_by_role("link", name=re.compile("^Share")).click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="Copy link").click()
    expect(dialog.get_by_role("status")).to_contain_text("It is selected")
    selected = page.evaluate("getSelection().toString()")
    assert selected.endswith("/@mara/")


def test_a_phone_shares_with_its_own_sheet(chromium: Browser, site: RunningSite) -> None:
    context = chromium.new_context(
        base_url=site.url, viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True
    )
    context.add_init_script("navigator.share = async (what) => { window.shared = what; }")
    page = context.new_page()
    page.goto("/@mara/")
    page.get_by_role("link", name=re.compile("^Share")).tap()
    page.wait_for_function("() => window.shared")
    assert page.evaluate("window.shared.url") == f"{site.url}/@mara/"
    assert page.get_by_role("dialog").count() == 0
    context.close()


def test_sharing_without_javascript_is_a_page(open_page: OpenPage) -> None:
    page = open_page(javascript=False)
    page.goto("/@mara/")
    page.get_by_role("link", name=re.compile("^Share")).click()
    page.wait_for_url(re.compile("/@mara/share/$"))
    expect(page.get_by_label("Link")).to_have_value(re.compile("/@mara/$"))
    expect(page.get_by_role("button", name="Copy link")).to_have_count(0)
    page.get_by_role("link", name="Done").click()
    page.wait_for_url(re.compile("/@mara/$"))


def test_new_notifications_come_into_the_open_page_when_one_wants_them(
    open_page: OpenPage, chromium: Browser, site: RunningSite
) -> None:
    page = open_page(signed_in=True)
    page.goto("/@jan/")
    mine = str(page.locator(".grid a").first.get_attribute("href"))
    page.goto("/notifications/")
    expect(page.get_by_role("button", name="notification")).to_have_count(0)
    friend = open_page()
    friend.goto("/sign-up/")
    friend.get_by_label("User name").fill("newsmaker")
    friend.get_by_label("E-mail").fill("newsmaker@mail.example")
    friend.get_by_label("Password", exact=True).fill("long enough to be one")
    friend.get_by_role("button", name=re.compile("create|sign up", re.I)).click()
    friend.wait_for_url(re.compile("/people/"))
    friend.goto("/@jan/")
    friend.get_by_role("button", name=re.compile("^Follow")).first.click()
    expect(friend.locator("[data-say]")).to_contain_text("You follow")
    friend.goto(mine)
    friend.get_by_role("textbox", name=re.compile("comment", re.I)).first.fill("Good light")
    friend.get_by_role("button", name=re.compile("^(Post|Send|Comment|Add)", re.I)).last.click()

    page.get_by_role("button", name=re.compile("^Show 2 new notifications")).click(timeout=20_000)
    expect(page.get_by_text("newsmaker").first).to_be_visible()
    assert page.evaluate("document.activeElement.closest('.event') !== null")
    links = page.locator(".event .said a").evaluate_all(
        "all => all.map((a) => a.getAttribute('href') + a.textContent)"
    )
    assert len(links) == len(set(links))
    page.reload()
    assert page.locator(".event.unread").count() == 0
    assert violations(page) == []


def test_settings_say_whether_they_are_saved(open_page: OpenPage) -> None:
    page = open_page(signed_in=True, expects=["ERR_INTERNET_DISCONNECTED"])
    page.goto("/settings/notifications/")
    box, state = page.get_by_role("checkbox").first, page.locator("[data-saved-state]")
    box.click()
    expect(state).to_have_text("Not saved yet")
    box.click()
    expect(state).to_have_text("")
    box.click()
    page.context.set_offline(True)
    page.get_by_role("button", name="Save").click()
    expect(state).to_contain_text("not saved")
    page.context.set_offline(False)
    page.get_by_role("button", name="Save").click()
    expect(state).to_have_text("Saved")
    page.reload()
    expect(box).not_to_be_checked()
    box.click()
    page.get_by_role("button", name="Save").click()
    expect(state).to_have_text("Saved")
