"""Pages in other languages, in a real browser: nothing breaks, and modules speak the language of the page."""

from __future__ import annotations

import json
import re

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Route, expect

from tests.e2e.conftest import WIDTHS, OpenPage, module
from tests.running_site import RunningSite

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]

LANGUAGES = ("de", "es", "ar-xb")
OF_EVERYBODY = ("/log-in/", "/sign-up/", "/password-reset/", "/explore/", "/nothing/", "/about/photos/")
OF_JAN = (
    "/",
    "/explore/",
    "/people/",
    "/new/",
    "/notifications/",
    "/@jan/",
    "/@jan/followers/",
    "/settings/profile/",
    "/settings/notifications/",
    "/settings/password/",
    "/settings/language/",
)

OVERFLOW = """() => {
    const page = document.documentElement;
    const wide = page.scrollWidth > page.clientWidth ? [`page: ${page.scrollWidth} of ${page.clientWidth}`] : [];
    const shown = [...document.querySelectorAll("button, .button, nav a, label, h1, h2, .foot a")];
    const cut = shown.filter((e) => e.offsetWidth > 4 && e.scrollWidth > e.clientWidth + 1 && getComputedStyle(e).overflowX === "visible"
        && getComputedStyle(e).display !== "inline" && !e.closest(".vh, .cut") && !e.classList.contains("vh"));
    const out = shown.filter((e) => {
        const { left, right, width } = e.getBoundingClientRect();
        return width > 4 && !e.closest(".vh, .slides, .skip") && !e.classList.contains("skip") && (left < -1 || right > page.clientWidth + 1);
    });
    const said = (what, e) => `${what}: ${e.tagName} ${e.className} “${e.textContent.trim().slice(0, 60)}”`;
    return [...wide, ...cut.map((e) => said("cut", e)), ...out.map((e) => said("outside", e))];
}"""


@pytest.mark.parametrize("width", WIDTHS.values(), ids=WIDTHS)
@pytest.mark.parametrize("language", LANGUAGES)
def test_no_page_breaks_in_another_language(
    language: str, width: int, open_page: OpenPage, site: RunningSite
) -> None:
    broken: dict[str, list[str]] = {}
    for signed_in, paths in ((False, OF_EVERYBODY), (True, OF_JAN)):
        page = open_page(width, signed_in=signed_in)
        page.context.add_cookies([{"name": "language", "value": language, "url": site.url}])
        for path in paths:
            page.goto(path)
            html = page.locator("html")
            expect(html).to_have_attribute("lang", language)
            expect(html).to_have_attribute("dir", "rtl" if language == "ar-xb" else "ltr")
            if problems := page.evaluate(OVERFLOW):
                broken[path] = problems
    assert broken == {}


@pytest.mark.parametrize("language", ["de", "ar-xb"])
def test_pages_are_as_accessible_in_another_language(
    language: str, open_page: OpenPage, site: RunningSite
) -> None:
    found: dict[str, list[str]] = {}
    for signed_in, paths in (
        (False, ("/log-in/", "/explore/")),
        (True, ("/", "/settings/language/", "/@jan/")),
    ):
        page = open_page(390, signed_in=signed_in)
        page.context.add_cookies([{"name": "language", "value": language, "url": site.url}])
        for path in paths:
            page.goto(path)
            violations = Axe().run(page).response["violations"]
            if violations:
                found[path] = [f"{each['id']}: {each['nodes'][0]['html'][:120]}" for each in violations]
    assert found == {}


@pytest.mark.parametrize("javascript", [True, False], ids=["javascript", "no javascript"])
def test_a_visitor_chooses_a_language_and_stays_where_they_are(javascript: bool, open_page: OpenPage) -> None:
    page = open_page(390, javascript=javascript, language="de-DE")
    page.goto("/explore/")
    expect(page.get_by_role("heading", level=1)).to_have_text("Entdecken")
    form = page.get_by_role("form", name="Sprache")
    expect(form.get_by_role("button", name="Deutsch")).to_have_attribute("aria-current", "true")
    form.get_by_role("button", name="Español").click()
    page.wait_for_url(re.compile("/explore/$"))
    expect(page.get_by_role("heading", level=1)).to_have_text("Explorar")
    page.goto("/log-in/")
    expect(page.get_by_role("button", name="Iniciar sesión")).to_be_visible()


def test_a_language_is_chosen_with_the_keyboard_alone(open_page: OpenPage) -> None:
    page = open_page(1280)
    page.goto("/log-in/")
    page.get_by_role("button", name="Deutsch").focus()
    page.keyboard.press("Enter")
    expect(page.locator("html")).to_have_attribute("lang", "de")


def test_modules_speak_the_language_of_the_page(open_page: OpenPage, site: RunningSite) -> None:
    page = open_page(1280, signed_in=True, language="de")
    page.goto("/")
    said = page.evaluate(
        """async (address) => (await import(address)).toast("x", { error: true })
            .querySelector("button").getAttribute("aria-label")""",
        module(site, "say"),
    )
    assert said == "Schließen"


CATALOGUE = {
    "de": {"{n} new post": {"one": "{n} neuer Beitrag", "other": "{n} neue Beiträge"}},
    "es": {"{n} new post": {"one": "{n} nueva", "many": "{n} de nuevas", "other": "{n} nuevas"}},
    "ar-xb": {
        "{n} new post": {
            "zero": "none",
            "one": "1",
            "two": "2",
            "few": "few",
            "many": "many",
            "other": "other",
        }
    },
}


@pytest.mark.parametrize(
    ("language", "said"),
    [
        ("en", ["0 new posts", "1 new post", "2 new posts", "12,345 new posts"]),
        ("de", ["0 neue Beiträge", "1 neuer Beitrag", "2 neue Beiträge", "12.345 neue Beiträge"]),
        ("es", ["0 nuevas", "1 nueva", "2 nuevas", "12.345 nuevas"]),
        ("ar-xb", ["none", "1", "2", "many"]),
    ],
)
def test_modules_choose_the_plural_as_the_language_has_it(
    language: str, said: list[str], open_page: OpenPage, site: RunningSite
) -> None:
    page = open_page(1280, signed_in=True)
    page.context.add_cookies([{"name": "language", "value": language, "url": site.url}])

    def answer(route: Route) -> None:
        route.fulfill(body=json.dumps({"messages": CATALOGUE[language]}), content_type="application/json")

    page.route("**/web/words/*.json", answer)
    page.goto("/")
    ask = """async ([address, counts]) => {
        const { ngettext } = await import(address);
        return counts.map((n) => ngettext("{n} new post", "{n} new posts", n));
    }"""
    assert page.evaluate(ask, [module(site, "words"), [0, 1, 2, 12_345]]) == said


def test_without_its_catalogue_a_page_speaks_english(open_page: OpenPage, site: RunningSite) -> None:
    page = open_page(1280, signed_in=True, language="de")
    page.route("**/web/words/*.json", lambda route: route.fulfill(status=404, body=""))
    page.goto("/")
    ask = """async (address) => {
        const { gettext, ngettext } = await import(address);
        return [gettext("Dismiss"), ngettext("{n} photo", "{n} photos", 0), gettext("{a} of {b}", { a: 1 })];
    }"""
    assert page.evaluate(ask, module(site, "words")) == ["Dismiss", "0 photos", "1 of {b}"]
