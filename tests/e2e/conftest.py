"""A running site with its demo, and Chromium."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from calotype.cli import test_engines
from tests.running_site import RunningSite, running_site
from tests.site import root

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

WIDTHS = {"phone": 390, "desktop": 1280}


@pytest.fixture(scope="session")
def site() -> Iterator[RunningSite]:
    with running_site(root() / "e2e") as running:
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


OpenPage = Callable[..., Page]


@pytest.fixture
def open_page(chromium: Browser, site: RunningSite) -> Iterator[OpenPage]:
    """Open a new browser at a width, with or without JavaScript, in a theme. Any error on a page fails the test."""
    contexts: list[BrowserContext] = []
    problems: list[str] = []

    def make(width: int = 1280, *, javascript: bool = True, theme: str = "light") -> Page:
        context = chromium.new_context(
            viewport={"width": width, "height": 900},
            java_script_enabled=javascript,
            color_scheme="dark" if theme == "dark" else "light",
            base_url=site.url,
        )
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(15_000)
        page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: problems.append(str(error)))
        return page

    yield make
    for context in contexts:
        context.close()
    expected = ("status of 4",)  # a refused form is answered with its status, which Chromium logs
    assert [text for text in problems if not any(part in text for part in expected)] == []
