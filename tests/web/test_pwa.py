"""The manifest, the service worker, the page for offline and the share target, as a browser asks for them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
from django.conf import settings
from django.test import override_settings

import calotype
from calotype.infra.imaging import DEFAULT_LIMITS
from calotype.product.photos.types import FILES_PER_UPLOAD
from tests.client import Answer, Client
from tests.web_fixtures import Someone

STATIC = Path(calotype.__file__).parent / "web/static/web"


def told(answer: Answer) -> dict[str, Any]:
    """What the view puts before the worker's text."""
    line = re.search(r"^self\.calotype = (.*);$", answer.text, re.MULTILINE)
    assert line
    document: dict[str, Any] = msgspec.json.decode(line[1])
    return document


async def test_the_manifest_says_what_a_device_needs_to_install_the_site(browser: Client) -> None:
    answer = await browser.get("/manifest.webmanifest")
    assert answer.headers["content-type"] == "application/manifest+json"
    manifest = answer.json()
    assert (manifest["start_url"], manifest["scope"], manifest["display"]) == ("/", "/", "standalone")
    assert {(icon["sizes"], icon["purpose"]) for icon in manifest["icons"]} == {
        ("192x192", "any"),
        ("512x512", "any"),
        ("512x512", "maskable"),
    }
    for icon in manifest["icons"]:
        assert (settings.STATIC_ROOT / icon["src"].removeprefix("/static/")).is_file(), icon
    assert [shortcut["url"] for shortcut in manifest["shortcuts"]] == ["/new/", "/notifications/"]
    assert manifest["share_target"]["action"] == "/share/"


async def test_its_colours_are_those_of_both_themes(browser: Client) -> None:
    manifest = (await browser.get("/manifest.webmanifest")).json()
    paper = re.search(r"--paper: light-dark\((#\w+), (#\w+)\)", (STATIC / "look.css").read_text())
    assert paper
    assert (manifest["theme_color"], manifest["color_scheme_dark"]["theme_color"]) == paper.groups()
    page = (await browser.get("/")).text
    assert re.findall(r'name="theme-color" content="(#\w+)"', page) == list(paper.groups())


async def test_the_worker_is_a_script_of_the_whole_site_that_is_asked_for_anew(browser: Client) -> None:
    answer = await browser.get("/service-worker.js")
    assert answer.status == 200
    assert answer.headers["content-type"] == "text/javascript; charset=utf-8"
    assert answer.headers["cache-control"] == "no-cache"
    assert "script-src 'self'" in answer.headers["content-security-policy"]
    assert "set-cookie" not in answer.headers


async def test_the_worker_is_told_what_there_is_to_keep_under_names_with_hashes(browser: Client) -> None:
    first, *files = told(await browser.get("/service-worker.js"))["precached"]
    assert first == "/offline/"
    page = (await browser.get("/offline/")).text
    for path in files:
        assert re.search(r"\.[0-9a-f]{12}\.\w+$", path)
        assert (settings.STATIC_ROOT / path.removeprefix("/static/")).is_file(), path
    needed = {path.partition("#")[0] for path in re.findall(r'(?:href|src)="(/static/[^"]+)"', page)}
    assert needed - {path for path in needed if path.endswith(".png")} <= set(files)


async def test_another_release_is_another_worker(browser: Client) -> None:
    one = await browser.get("/service-worker.js")
    assert (await browser.get("/service-worker.js")).body == one.body
    with override_settings(DYNOSTATS={**settings.DYNOSTATS, "release": "the next"}):
        other = await browser.get("/service-worker.js")
    assert told(one)["version"] != told(other)["version"]
    assert told(one)["precached"] == told(other)["precached"]


async def test_a_site_without_a_worker_hands_out_one_that_takes_itself_away(
    browser: Client, ann: Someone
) -> None:
    with override_settings(OFFLINE=False):
        answer = await browser.get("/service-worker.js")
        page = await ann.browser.get("/")
    assert told(answer)["precached"] == []
    assert "registration.unregister()" in answer.text
    assert "respondWith" not in answer.text
    assert 'data-service-worker=""' in page.text
    assert 'data-service-worker="/service-worker.js"' in (await ann.browser.get("/")).text


async def test_the_page_for_offline_is_the_same_for_everybody(browser: Client, ann: Someone) -> None:
    for_nobody, for_ann = await browser.get("/offline/"), await ann.browser.get("/offline/")
    assert for_nobody.body == for_ann.body
    assert ann.username not in for_ann.text
    assert "/sign-up/" not in for_ann.text
    assert "x-account" not in for_ann.headers


async def test_a_page_says_whose_it_is(browser: Client, ann: Someone, bob: Someone) -> None:
    assert (await browser.get("/")).headers["x-account"] == "0"
    assert (await ann.browser.get("/")).headers["x-account"] == str(ann.id)
    assert (await bob.browser.get(f"/@{ann.username}/")).headers["x-account"] == str(bob.id)
    assert f'data-account="{ann.id}"' in (await ann.browser.get("/")).text


async def test_a_log_out_tells_the_browser_to_forget_everything(ann: Someone) -> None:
    answer = await ann.browser.post("/log-out/")
    assert answer.headers["clear-site-data"] == '"cache", "storage"'
    assert (await ann.browser.get("/")).headers["x-account"] == "0"


@pytest.mark.parametrize(
    "path", ["/settings/profile/", "/log-in/", "/notifications/", "/new/", "/admin/", "/?before=1"]
)
def test_only_the_feed_posts_and_profiles_are_kept(path: str) -> None:
    text = (STATIC / "offline.worker.js").read_text()
    found = re.search(r"^const KEPT_PAGE = /(.*)/;$", text, re.MULTILINE)
    assert found
    kept = re.compile(found[1].replace(r"\/", "/"))
    assert not kept.match(path)
    assert all(kept.match(page) for page in ("/", "/p/17/", "/@mara/"))


async def test_what_is_shared_without_a_worker_leads_to_where_photos_are_chosen(ann: Someone) -> None:
    for answer in (
        await ann.browser.post("/share/", files=[("photos", ("a.jpg", b"x" * 2_000_000))]),
        await ann.browser.request("POST", "/share/"),  # a device has no token
        await ann.browser.get("/share/"),
    ):
        assert (answer.status, answer.location) == (303, "/new/")
    assert "could not be handed over" in (await ann.browser.get("/new/")).text


async def test_who_is_not_signed_in_cannot_fill_the_disk_by_sharing(browser: Client) -> None:
    answer = await browser.post("/share/", files=[("photos", ("a.jpg", b"x" * 2_000_000))])
    assert answer.status == 413


def test_the_worker_takes_as_much_as_an_upload_may_bring() -> None:
    text = (STATIC / "share.worker.js").read_text()
    limits = {
        name: int(value.replace("_", ""))
        for name, value in re.findall(r"^const (\w+) = ([\d_]+);$", text, re.MULTILINE)
    }
    assert limits == {"FILES": FILES_PER_UPLOAD, "FILE_BYTES": DEFAULT_LIMITS.max_bytes}
