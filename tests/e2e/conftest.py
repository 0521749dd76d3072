"""A running site with its demo, and Chromium."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from io import BytesIO

import pytest
from PIL import Image
from playwright.sync_api import (
    Browser,
    BrowserContext,
    FilePayload,
    Page,
    StorageState,
    expect,
    sync_playwright,
)

from calotype.cli import test_engines
from tests.e2e.offline import wait_until_kept
from tests.running_site import RunningSite, running_site
from tests.site import root

_OF_PLAYWRIGHT = (
    "AvoidUnnecessaryBeforeUnloadCheckSync",
    "DestroyProfileOnBrowserClose",
    "HttpsUpgrades",
    "HttpsFirstBalancedModeAutoEnable",
    "LensOverlay",
    "MediaRouter",
    "PaintHolding",
    "ThirdPartyStoragePartitioning",
    "AvoidCorsURLLoaderRestartOnRedirect",
    "OptimizationHints",
    "NetworkTimeServiceQuerying",
    "AimEnabled",
    "PreconnectToSearch",
)
"""What Playwright switches off: of an option that is given twice Chromium takes the last."""

_OF_WINDOWS = (
    "WebUIOmniboxPopup",
    "WebUIOmniboxAimPopup",
    "WebUIOmniboxFullPopup",
    "SpareRendererForSitePerProcess",
)
"""The pop-ups of an address bar, which nobody sees here: two pages of Chromium's own, with a process each, for every window. And
a process for a page that may come. Without them a window costs less than half the CPU."""

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    f"--disable-features={','.join((*_OF_PLAYWRIGHT, *_OF_WINDOWS))}",
]

PATIENCE_MS = 15_000
"""How long to wait for what is due: other tests, sites and browsers share the machine. What must be quick is timed for itself."""

expect.set_options(timeout=PATIENCE_MS)

WIDTHS = {"phone": 390, "desktop": 1280}
PASSWORD = "long enough to be one"


@pytest.fixture(scope="session")
def site(request: pytest.FixtureRequest) -> Iterator[RunningSite]:
    """With its demo; but for what watches the clock, beside which its photographs would still be rendered."""
    options = ["--no-demo"] if request.config.getoption("--part") == "alone" else []
    with ExitStack() as stack:
        with pytest.MonkeyPatch.context() as environment:
            environment.setenv("CALOTYPE_PSEUDO_LANGUAGE", "1")
            running = stack.enter_context(running_site(root() / "e2e", *options))
        yield running


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """For one module: while it is open Playwright keeps an event loop running, in which no async test could run."""
    path = test_engines.chromium()
    if path is None:
        message = "Chromium is not installed: apt-get install chromium"
        if os.environ.get("CALOTYPE_REQUIRE_ENGINES") == "1":
            pytest.fail(message)
        pytest.skip(message)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(path), args=FLAGS)
        yield browser
        browser.close()


def log_in(page: Page, username: str = "jan", password: str = "contemplative") -> None:
    """Through the form; without a name as Jan of the demo."""
    page.goto("/log-in/")
    page.get_by_label("User name or e-mail").fill(username)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name=re.compile("log in", re.I)).click()
    page.wait_for_url(re.compile(r":\d+/$"))


def sign_up(page: Page, username: str) -> None:
    page.goto("/sign-up/")
    page.get_by_label("User name").fill(username)
    page.get_by_label("E-mail").fill(f"{username}@mail.example")
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name=re.compile("create|sign up", re.I)).click()
    page.wait_for_url(re.compile("/people/"))


@pytest.fixture(scope="session")
def sessions() -> dict[str, StorageState]:
    """Of those who have logged in: how often one may do that is limited."""
    return {}


@pytest.fixture(scope="module")
def session_of_jan(chromium: Browser, site: RunningSite, sessions: dict[str, StorageState]) -> StorageState:
    """The same for all modules, so nobody may end it."""
    if "jan" not in sessions:
        context = chromium.new_context(base_url=site.url)
        log_in(context.new_page())
        sessions["jan"] = context.storage_state()
        context.close()
    return sessions["jan"]


@pytest.fixture(scope="module")
def session_of(chromium: Browser, site: RunningSite, sessions: dict[str, StorageState]) -> SessionOf:
    """Of somebody who has signed up for the tests: what they do is in nobody else's way."""

    def of(username: str) -> StorageState:
        if username not in sessions:
            context = chromium.new_context(base_url=site.url, service_workers="block")
            sign_up(context.new_page(), username)
            sessions[username] = context.storage_state()
            context.close()
        return sessions[username]

    return of


SessionOf = Callable[[str], StorageState]


def module(site: RunningSite, name: str) -> str:
    """The address of a shared module."""
    manifest = json.loads((site.data / "static" / "staticfiles.json").read_text())
    return f"/static/{manifest['paths'][f'web/{name}.js']}"


@contextmanager
def answered(page: Page) -> Iterator[None]:
    """Until the site has answered what is pressed within: the page shows it before that."""
    with page.expect_response(lambda response: response.request.method == "POST"):
        yield


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
    page.wait_for_url(re.compile(r"/p/\d+/"))
    return re.sub(r"(/p/\d+/).*", r"\1", page.url)


def delete(page: Page, address: str) -> None:
    page.goto(f"{address}delete/")
    page.get_by_role("button", name=re.compile("^delete", re.I)).click()
    page.wait_for_url(re.compile("/@jan/"))


@pytest.fixture(scope="module")
def post_of_jan(chromium: Browser, site: RunningSite, session_of_jan: StorageState) -> Iterator[str]:
    context = chromium.new_context(base_url=site.url, storage_state=session_of_jan, java_script_enabled=False)
    page = context.new_page()
    address = share(page, "tomato", "seagreen", "orchid")
    yield address
    delete(page, address)
    context.close()


OpenPage = Callable[..., Page]


@pytest.fixture
def open_page(chromium: Browser, site: RunningSite, request: pytest.FixtureRequest) -> Iterator[OpenPage]:
    """Open a new browser at a width, with or without JavaScript, in a theme, and perhaps signed in, as Jan of the demo or as
    somebody new of a name. Any error on a page fails the test, but those that have one of `expects` in them.
    """
    contexts: list[BrowserContext] = []
    problems: list[str] = []
    expected = ["status of 4"]  # a refused form is answered with its status, which Chromium logs

    def make(
        width: int = 1280,
        *,
        javascript: bool = True,
        theme: str = "light",
        signed_in: bool | str = False,
        expects: Sequence[str] = (),
        language: str = "en",
    ) -> Page:
        expected.extend(expects)
        state = request.getfixturevalue("session_of_jan") if signed_in is True else None
        if isinstance(signed_in, str):
            state = request.getfixturevalue("session_of")(signed_in)
        context = chromium.new_context(
            viewport={"width": width, "height": 900},
            java_script_enabled=javascript,
            color_scheme="dark" if theme == "dark" else "light",
            base_url=site.url,
            locale=language,
            storage_state=state,
            service_workers="block",  # what one asks for, a test could not answer itself (test_offline.py lets it)
        )
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(PATIENCE_MS)
        page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: problems.append(str(error)))
        return page

    yield make
    for context in contexts:
        context.close()
    assert [text for text in problems if not any(part in text for part in expected)] == []


UPLOADER = "uploader"
FAULTS = ("status of 4", "status of 5", "net::ERR_")
"""Chromium logs what a fault looks like; anything else on the console is one of ours."""

NewBrowser = Callable[..., BrowserContext]


@pytest.fixture
def new_browser(chromium: Browser, site: RunningSite, session_of: SessionOf) -> Iterator[NewBrowser]:
    """Of somebody who makes posts; `make` opens one at a width, perhaps with touch, in a theme. Faults are what some tests are about."""
    contexts: list[BrowserContext] = []
    problems: list[str] = []

    def watched(page: Page) -> None:
        page.set_default_timeout(PATIENCE_MS)
        page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: problems.append(str(error)))

    def make(width: int = 1280, *, touch: bool = False, theme: str = "light") -> BrowserContext:
        context = chromium.new_context(
            viewport={"width": width, "height": 900},
            color_scheme="dark" if theme == "dark" else "light",
            has_touch=touch,
            is_mobile=touch,
            base_url=site.url,
            storage_state=session_of(UPLOADER),
        )
        contexts.append(context)
        context.on("page", watched)
        return context

    yield make
    for context in contexts:
        context.close()
    assert [text for text in problems if not any(part in text for part in FAULTS)] == []


NewContext = Callable[..., BrowserContext]


@pytest.fixture
def new_context(chromium: Browser, site: RunningSite) -> Iterator[NewContext]:
    """A browser of its own, with its own service worker. Requests that fail are what these tests are about."""
    contexts: list[BrowserContext] = []

    def make(state: StorageState | None, url: str = site.url) -> BrowserContext:
        context = chromium.new_context(
            base_url=url, storage_state=state, viewport={"width": 390, "height": 800}
        )
        context.set_default_timeout(20_000)
        contexts.append(context)
        return context

    yield make
    for context in contexts:
        context.close()


@pytest.fixture
def jans(new_context: NewContext, session_of_jan: StorageState) -> Page:
    """Jan's feed, kept by the worker."""
    page = new_context(session_of_jan).new_page()
    page.goto("/")
    wait_until_kept(page, "/")
    return page


@pytest.fixture
def two_people(session_of: SessionOf) -> tuple[StorageState, StorageState]:
    """Two who have just signed up: `away1` and `away2`."""
    return session_of("away1"), session_of("away2")
