"""Reading posts, and turning them into what templates and the API show."""

from __future__ import annotations

import base64
import io
from functools import lru_cache

import msgspec
from blurhash_rs import blurhash_decode
from django.urls import reverse
from django.utils.translation import gettext as _

from calotype.infra.tao import Cursor, Graph, Node
from calotype.product.accounts.queries import apart_from
from calotype.product.photos.types import POSTED, Photo, Post
from calotype.std.errors import NotFound

PLACEHOLDER_SIDE = 16


class PostMissing(NotFound):
    code = "post_missing"


class PhotoMissing(NotFound):
    """The post has no such photograph: it never had, or it was edited since and has another id."""

    code = "photo_missing"


class PhotoView(msgspec.Struct, frozen=True):
    """A photograph as templates show it: URLs, sizes, and a placeholder that needs no request."""

    id: int
    alt: str
    width: int
    height: int
    portrait: bool
    placeholder: str
    """A `data:` URL of a 16 px picture."""
    src: str
    avif: str
    webp: str
    jpeg: str
    """`srcset`s; that of AVIF is empty until there are such variants."""
    square: str
    full: str


class Picture(msgspec.Struct, frozen=True):
    """One stored JPEG of a photograph, for places that cannot choose among several."""

    url: str
    width: int
    height: int


async def post_of(graph: Graph, post_id: int, viewer: int | None) -> Node[Post]:
    """The post, unless its author and `viewer` are apart; raises `PostMissing`."""
    post = await graph.obj_get(Post, post_id)
    if post is None or await apart_from(graph, viewer, [post.data.author]):
        raise PostMissing(_("There is no such post; it may have been deleted."))
    return post


def photo_in(post: Post, photo_id: int) -> Photo:
    """One photograph of a post; raises `PhotoMissing`."""
    for photo in post.photos:
        if photo.id == photo_id:
            return photo
    raise PhotoMissing(_("This photo is not in the post, or was edited meanwhile. Load the page again."))


async def posts_of(
    graph: Graph, author: int, before: Cursor, limit: int
) -> tuple[list[Node[Post]], Cursor | None]:
    """A person's posts, newest first, with the cursor of the next page."""
    edges = await graph.assoc_range(POSTED, author, 0, limit + 1, before=before)
    found = await graph.obj_get_many(Post, [edge.id2 for edge in edges[:limit]])
    posts = [found[edge.id2] for edge in edges[:limit] if edge.id2 in found]
    return posts, edges[limit - 1].cursor if len(edges) > limit else None


def media_url(post_id: int, photo_id: int, name: str) -> str:
    return f"/media/{post_id}/{photo_id}/{name}"


def photo_view(post_id: int, photo: Photo) -> PhotoView:
    def url(name: str) -> str:
        return media_url(post_id, photo.id, name)

    def srcset(format: str) -> str:
        return ", ".join(f"{url(f'{width}.{format}')} {width}w" for width in photo.widths)

    middle = next((width for width in photo.widths if width >= 1080), photo.widths[-1])
    return PhotoView(
        id=photo.id,
        alt=photo.alt,
        width=photo.width,
        height=photo.height,
        portrait=photo.height > photo.width,
        placeholder=placeholder(photo.blurhash, photo.height > photo.width),
        src=url(f"{middle}.jpeg"),
        avif=srcset("avif") if photo.avif else "",
        webp=srcset("webp"),
        jpeg=srcset("jpeg"),
        square=url("square.webp"),
        full=url(f"{photo.widths[-1]}.jpeg"),
    )


def picture(
    post_id: int, photo: Photo, max_width: int | None = None, max_height: int | None = None
) -> Picture:
    """The largest JPEG that fits. When not even the smallest does, that one, with the size at which it would."""
    sizes = [(width, max(1, round(photo.height * width / photo.width))) for width in photo.widths]
    widest, highest = max_width or sizes[-1][0], max_height or sizes[-1][1]
    fitting = [size for size in sizes if size[0] <= widest and size[1] <= highest]
    width, height = fitting[-1] if fitting else sizes[0]
    shrink = min(1.0, widest / width, highest / height)
    url = media_url(post_id, photo.id, f"{width}.jpeg")
    return Picture(url, max(1, int(width * shrink)), max(1, int(height * shrink)))


def photo_views(post: Node[Post]) -> list[PhotoView]:
    return [photo_view(post.id, photo) for photo in post.data.photos]


@lru_cache(maxsize=8192)
def placeholder(blurhash: str, portrait: bool) -> str:
    """A blurhash as a tiny picture in a `data:` URL: shown blurred under a photo until it has loaded."""
    width, height = (12, PLACEHOLDER_SIDE) if portrait else (PLACEHOLDER_SIDE, 12)
    out = io.BytesIO()
    blurhash_decode(blurhash, width, height).save(out, "WEBP", quality=60, method=4)
    return "data:image/webp;base64," + base64.b64encode(out.getvalue()).decode()


def has_variant(photo: Photo, name: str, format: str) -> bool:
    """Whether this of a photograph has an address: its public variants do, and never the original."""
    if format == "avif":
        return photo.avif and name in map(str, photo.widths)
    return format in ("jpeg", "webp") and name in {"square", *map(str, photo.widths)}


def post_url(post_id: int) -> str:
    return reverse("post", args=[post_id])
