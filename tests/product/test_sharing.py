"""What other places are told of a post or a person, and of which ones nothing."""

from __future__ import annotations

import json
import re
from html import unescape
from html.parser import HTMLParser
from urllib.parse import quote, urlencode

import pytest

from calotype.infra.ids import shard_of
from calotype.product.accounts.types import Person
from calotype.product.photos.queries import picture
from calotype.product.photos.types import Photo, Post
from calotype.product.sharing import views
from calotype.product.sharing.oembed import side
from calotype.std.errors import BadRequest
from calotype.web.rate_limits import RateLimit
from calotype.web.site import Site
from tests.client import Answer, Client
from tests.product.test_timelines import PICTURE
from tests.web_fixtures import Someone
from tests.web_fixtures import picture as file_of

HOSTILE = "</title><script>alert(1)</script>\"'><img src=x onerror=alert(2)> <!-- ]]> \u2028 fin"
HERE = "http://testserver"
WIDE = Photo(id=7, width=4000, height=3000, blurhash=PICTURE.blurhash, widths=[320, 640, 1080, 2048])


class Head(HTMLParser):
    """The `<meta>` and `<link>` of a page as whoever makes cards reads them, and every element that it has."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.meta: dict[str, str] = {}
        self.links: dict[str, str] = {}
        self.elements: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        self.elements.append(tag)
        if tag == "meta" and (name := found.get("property") or found.get("name")):
            self.meta[name] = found.get("content", "")
        elif tag == "link":
            self.links[found.get("type") or found.get("rel", "")] = found.get("href", "")


async def described(someone: Someone, post_id: int, caption: str, alt: str) -> None:
    answer = await someone.browser.post(f"/p/{post_id}/edit/", {"caption": caption, "alt": [alt]})
    assert answer.status == 303


async def wide_post(site: Site, author: Someone, caption: str = "") -> int:
    node = await site.graph.obj_add(
        Post(author=author.id, photos=[WIDE], caption=caption, borrowed=True), shard=shard_of(author.id)
    )
    return node.id


async def oembed(browser: Client, **asked: str | int) -> Answer:
    return await browser.get(f"/api/oembed?{urlencode(asked)}")


async def test_a_post_has_a_card_with_a_picture_whose_size_is_known(ann: Someone, browser: Client) -> None:
    post_id = await ann.post_one()
    await described(ann, post_id, "Low tide\nat  six", "Two boats on sand")
    head = Head((await browser.get(f"/p/{post_id}/")).text)
    meta = head.meta
    assert meta["og:type"] == "article"
    assert meta["og:title"] == f"Photo by {ann.username}"
    assert meta["og:description"] == "Low tide at six"
    assert head.links["canonical"] == meta["og:url"] == f"{HERE}/p/{post_id}/"
    assert meta["twitter:card"] == "summary_large_image"
    assert meta["og:image:alt"] == "Two boats on sand"
    assert (meta["og:image:width"], meta["og:image:height"], meta["og:image:type"]) == (
        "40",
        "30",
        "image/jpeg",
    )
    picture_of_card = await browser.get(meta["og:image"].removeprefix(HERE))
    assert picture_of_card.status == 200
    assert picture_of_card.headers["content-type"] == "image/jpeg"


async def test_hostile_words_end_no_attribute_and_begin_no_element(ann: Someone, browser: Client) -> None:
    post_id = await ann.post_one()
    before = Head((await browser.get(f"/p/{post_id}/")).text)
    await described(ann, post_id, HOSTILE, HOSTILE)
    page = (await browser.get(f"/p/{post_id}/")).text
    head = Head(page)
    assert head.elements.count("script") == before.elements.count("script")
    assert "onerror" not in {
        name
        for tag in re.findall(r"<img[^>]*>", page)
        for name in re.findall(r"(\w+)=", re.sub(r'"[^"]*"', "", tag))
    }
    assert head.meta["og:description"].startswith('</title><script>alert(1)</script>"')
    assert head.meta["og:image:alt"].startswith("</title><script>")


async def test_a_profile_has_a_card_that_says_who(ann: Someone, browser: Client) -> None:
    await ann.browser.post("/settings/profile/", {"name": 'Ann "><b>', "bio": HOSTILE, "website": ""})
    head = Head((await browser.get(f"/@{ann.username}/")).text)
    assert head.meta["og:type"] == "profile"
    assert head.meta["og:title"] == f'Ann "><b> (@{ann.username})'
    assert head.meta["og:description"].startswith("</title><script>")
    assert head.meta["profile:username"] == ann.username
    assert head.meta["og:url"] == f"{HERE}/@{ann.username}/"
    assert "og:image" not in head.meta


async def test_an_avatar_is_the_picture_of_a_profile(ann: Someone, browser: Client) -> None:
    fields = {"name": "", "bio": "", "website": ""}
    files = [("avatar", ("me.png", file_of(400, 400)))]
    assert (await ann.browser.post("/settings/profile/", fields, files=files)).status == 303
    meta = Head((await browser.get(f"/@{ann.username}/")).text).meta
    assert (await browser.get(meta["og:image"].removeprefix(HERE))).status == 200
    assert meta["og:image:width"] == "320"


@pytest.mark.parametrize("gone", ["deleted", "suspended"])
async def test_of_what_nobody_may_see_nobody_is_told(
    gone: str, ann: Someone, browser: Client, web_site: Site
) -> None:
    post_id = await ann.post_one("a secret by now")
    paths = [f"/p/{post_id}/", f"/p/{post_id}/share/", f"/p/{post_id}/card/"]
    paths.append("/api/oembed?url=" + quote(f"{HERE}/p/{post_id}/"))
    if gone == "deleted":
        assert (await ann.browser.post(f"/p/{post_id}/delete/")).status == 303
    else:
        paths += [f"/@{ann.username}/", f"/@{ann.username}/share/", f"/@{ann.username}/card/"]
        await web_site.graph.obj_update(Person, ann.id, suspended=True)
    for path in paths:
        answer = await browser.get(path)
        assert answer.status == 404, path
        assert "a secret" not in answer.text
        assert "og:" not in answer.text


async def test_oembed_answers_a_photo_as_the_page_itself_says_where(ann: Someone, browser: Client) -> None:
    post_id = await ann.post_one()
    await described(ann, post_id, "Low tide", "Two boats")
    discovered = Head((await browser.get(f"/p/{post_id}/")).text).links["application/json+oembed"]
    answer = await browser.get(discovered.removeprefix(HERE))
    assert answer.status == 200
    found = answer.json()
    assert found["version"] == "1.0"
    assert found["type"] == "photo"
    assert (found["width"], found["height"]) == (40, 30)
    assert found["title"] == f"Photo by {ann.username}: Low tide"
    assert found["alt_text"] == "Two boats"
    assert (found["author_name"], found["author_url"]) == (ann.username, f"{HERE}/@{ann.username}/")
    assert (await browser.get(found["url"].removeprefix(HERE))).status == 200
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.headers["cache-control"].startswith("public")


async def test_oembed_says_the_same_to_whoever_asks(ann: Someone, bob: Someone, browser: Client) -> None:
    url = f"{HERE}/p/{await ann.post_one('hm')}/"
    answers = [await oembed(each, url=url) for each in (browser, ann.browser, bob.browser)]
    assert len({answer.body for answer in answers}) == 1


async def test_oembed_of_hostile_words_is_text_in_json(ann: Someone, browser: Client) -> None:
    post_id = await ann.post_one(HOSTILE)
    answer = await oembed(browser, url=f"{HERE}/p/{post_id}/")
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "html" not in answer.json()
    assert "</title><script>alert(1)" in json.loads(answer.body)["title"]


@pytest.mark.parametrize(
    ("asked", "size"),
    [
        ({}, (2048, 1536)),
        ({"maxwidth": 700}, (640, 480)),
        ({"maxheight": 480}, (640, 480)),
        ({"maxwidth": 4_000, "maxheight": 300}, (320, 240)),
        ({"maxwidth": 100}, (100, 75)),
        ({"maxwidth": 999_999}, (2048, 1536)),
    ],
)
async def test_oembed_keeps_within_the_size_that_is_asked_for(
    asked: dict[str, int], size: tuple[int, int], ann: Someone, browser: Client, web_site: Site
) -> None:
    url = f"{HERE}/p/{await wide_post(web_site, ann)}/"
    found = (await oembed(browser, url=url, **asked)).json()
    assert (found["width"], found["height"]) == size
    assert found["url"].endswith(f"/{max(320, size[0])}.jpeg")


@pytest.mark.parametrize("text", ["", "0", "-1", "1e3", "1" * 7, "a", "٣"])
def test_a_side_that_is_no_number_of_pixels_is_refused(text: str) -> None:
    with pytest.raises(BadRequest):
        side(text)


def test_a_picture_never_has_a_side_of_nothing() -> None:
    thin = Photo(id=1, width=16_000, height=2, blurhash="", widths=[320])
    assert picture(1, thin, max_width=1) == picture(1, thin, max_width=1, max_height=1)
    assert min(picture(1, thin, max_width=1).width, picture(1, thin, max_width=1).height) == 1


@pytest.mark.parametrize(
    "url",
    [
        "",
        "https://elsewhere.example/p/{post}/",
        "http://testserver.elsewhere.example/p/{post}/",
        "http://testserver@elsewhere.example/p/{post}/",
        "http://elsewhere.example@testserver/p/{post}/",
        "javascript://testserver/p/{post}/",
        "http://testserver/p/{post}/edit/",
        "http://testserver/p/1/",
        "http://testserver/p/99999999999999999999/",
        "http://testserver/",
        "http://testserver/@nobody/",
        "http://[::1/p/{post}/",
        "/p/{post}/",
        "x" * 100_000,
    ],
)
async def test_oembed_knows_only_posts_of_this_site(url: str, ann: Someone, browser: Client) -> None:
    post_id = await ann.post_one()
    answer = await oembed(browser, url=url[:3_000].format(post=post_id))
    assert answer.status == 404
    assert answer.error_code in ("post_missing", "absent_shard")


async def test_oembed_takes_an_address_as_people_copy_it(ann: Someone, browser: Client) -> None:
    post_id = await ann.post_one()
    for url in (
        f"{HERE}/p/{post_id}",
        f"{HERE}/p/{post_id}/?utm=1#comments",
        f"https://testserver/p/{post_id}/",
    ):
        assert (await oembed(browser, url=url)).status == 200


async def test_oembed_makes_json_and_says_so_of_anything_else(ann: Someone, browser: Client) -> None:
    url = f"{HERE}/p/{await ann.post_one()}/"
    assert (await oembed(browser, url=url, format="json")).status == 200
    answer = await oembed(browser, url=url, format="xml")
    assert (answer.status, answer.error_code) == (501, "format_unsupported")
    assert (await oembed(browser, url=url, maxwidth="0")).error_code == "bad_request"


async def test_oembed_is_limited_by_address(
    ann: Someone, browser: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(views, "BY_ADDRESS", RateLimit("oembed-test", amount=2, seconds=60))
    url = f"{HERE}/p/{await ann.post_one()}/"
    assert [(await oembed(browser, url=url)).status for _ in range(3)] == [200, 200, 429]


async def test_the_code_to_paste_is_a_described_picture_and_nothing_that_runs(
    ann: Someone, browser: Client
) -> None:
    post_id = await ann.post_one()
    await described(ann, post_id, HOSTILE, HOSTILE)
    page = (await browser.get(f"/p/{post_id}/share/")).text
    (shown,) = re.findall(r"<textarea[^>]*>(.*?)</textarea>", page, re.DOTALL)
    code = unescape(shown)
    assert Head(code).elements == ["figure", "a", "img", "figcaption", "a"]
    assert f'href="{HERE}/p/{post_id}/"' in code
    assert 'width="40" height="30"' in code


async def test_the_sheet_alone_is_sent_to_a_module(ann: Someone, browser: Client) -> None:
    post_id = await ann.post_one()
    for path in (f"/p/{post_id}/share/", f"/@{ann.username}/share/"):
        whole, part = await browser.get(path), await browser.get(path, {"x-fragment": "1"})
        assert "<html" in whole.text
        assert "<html" not in part.text
        assert "data-sheet" in part.text
        assert "X-Fragment" in part.headers["vary"]
