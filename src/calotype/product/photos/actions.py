"""Publishing, editing and deleting posts.

What an upload stores: `photos/<photo>/original-<sha256>.<format>`, byte for byte and shown to its author only, and its public
display variants `photos/<photo>/<width>.<format>`; a job adds the others (`rendering`). A photograph that was edited before it was
sent has `edited-<sha256>.<format>` beside its original, and its variants are made of that. Blobs are create-only. Before the
first one is stored, the outbox of the author's shard says that they shall be removed; the transaction that makes the post
takes that back. So an upload that fails or whose process dies at any moment leaves nothing behind.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Iterable, Sequence

import msgspec
from django.utils.formats import number_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from calotype.infra.blobs import BlobStore, blob_key
from calotype.infra.ids import shard_of
from calotype.infra.imaging import Processed, Recipe, SourceFormat, inspect, process
from calotype.infra.tao import Graph, Handler, Node, VersionConflict, Writes
from calotype.product.accounts.avatars import Blobs
from calotype.product.accounts.types import AccountId
from calotype.product.photos.queries import PostMissing, post_of
from calotype.product.photos.recipe import EditRecipe, RecipeInvalid, read, written
from calotype.product.photos.types import (
    FILES_PER_UPLOAD,
    PHOTOS_PER_POST,
    POSTED,
    PUBLISHED,
    STORED,
    Photo,
    PhotoStored,
    Post,
    PostId,
    PostPublished,
    posted_at,
)
from calotype.product.words.parsing import parse
from calotype.product.words.queries import people_in
from calotype.product.words.types import WRITTEN, Written
from calotype.std.errors import CalotypeError, Forbidden, TooLarge, Unprocessable
from calotype.web.idempotency import claim_key
from calotype.web.sentences import sentence
from calotype.web.site import Site

ABANDONED_MS = 3_600_000
"""Blobs of an upload that has not become a post within an hour are removed."""

DISPLAY = Recipe(widths=(320, 640, 1080))
"""What there must be before an upload is answered: enough for every page on a phone or a laptop. The rest follows in a job."""

RENDER_EVERY_MS = 2_000
"""The photographs of one upload are rendered so far apart, and the first so late, that other bulk jobs come before and in
between: its own fan-out first of all."""

CHANGE_TRIES = 5
"""As often a change of a post is begun again because another one came first."""

AT_ONCE = 2
"""Files of one upload that are decoded at the same time: bounds its memory to two decoded pictures."""


class NothingStored(Unprocessable):
    """None of the files could be used; `data["files"]` has a sentence for each."""

    code = "nothing_stored"


class TooManyFiles(TooLarge):
    code = "too_many_files"


class NotYours(Forbidden):
    code = "not_yours"


class Upload(msgspec.Struct, frozen=True):
    """One file as it came. Its name is only ever shown to the one who sent it."""

    name: str
    data: bytes
    alt: str = ""
    edited: bytes = b""
    """The rendition that its author made of it; then there is a recipe."""
    recipe: bytes = b""


class Later(msgspec.Struct, frozen=True):
    """A file that is read when its turn comes, so that of sixty large ones only two are in memory."""

    name: str
    load: Callable[[], Awaitable[Upload]]


Follow = Callable[[Writes], Awaitable[None]]
"""What is to commit together with a new post."""


class Published(msgspec.Struct, frozen=True):
    """What became of an upload: the posts in order, and sentences on files that were refused or changed."""

    posts: list[PostId]
    stored: int
    refused: list[str]
    notes: list[str]


async def publish(
    site: Site,
    author: AccountId,
    uploads: Sequence[Upload | Later],
    caption: str = "",
    key: str = "",
    at_ms: int = 0,
    follow: Follow | None = None,
) -> Published:
    """Store photographs and post them in their order, 20 to a post. Durable when it returns.

    Files that cannot be used are named in `refused`; the others are posted all the same. `key` makes a repeated request
    (double click, retry) answer with the posts that the first one made. `at_ms` dates them back.
    What `follow` writes commits with the posts. Raises `NothingStored`, `TooManyFiles`.
    """
    if not uploads:
        raise NothingStored(_("Choose at least one photo."))
    if len(uploads) > FILES_PER_UPLOAD:
        raise too_many(len(uploads))
    if before := await earlier(site.graph, author, key):
        return before
    shard = shard_of(author)
    ids = await site.graph.shards.next_ids(shard, len(uploads))
    async with site.graph.transaction("media", shard) as write:
        pending = await write.post("media", shard, "blobs", Blobs([prefix(id_) for id_ in ids]), ABANDONED_MS)
    photos, refused, notes = await _store_all(site, ids, uploads)
    if not photos:
        raise NothingStored(" ".join(refused), files=refused)
    mentions = await people_in(site.graph, caption, author)
    whole = Post(author=author, photos=photos, caption=caption, mentions=mentions, at=at_ms)
    try:
        posts = await _post(site.graph, whole, key, [pending], follow)
    except DuplicateUpload:  # a request with this key was faster: its posts are the answer to both
        if before := await earlier(site.graph, author, key):
            return before
        raise
    return Published(posts, len(photos), refused, notes)


def too_many(given: int) -> TooManyFiles:
    return TooManyFiles(
        _("%(given)d files at once; the limit is %(limit)d.") % {"given": given, "limit": FILES_PER_UPLOAD},
        limit=FILES_PER_UPLOAD,
    )


def prefix(photo_id: int) -> str:
    return f"photos/{photo_id}"


async def earlier(graph: Graph, author: AccountId, key: str) -> Published | None:
    """What a request with this key has published before; None when there was none. Raises `PostMissing` if it is gone."""
    if not key:
        return None
    writes = graph.writes("media", shard_of(author))
    ids: list[PostId] = []
    while claimed := await writes.claimed(
        "media", shard_of(author), "upload", claim_key(author, key, len(ids))
    ):
        ids.append(PostId(claimed[0]))
    if not ids:
        return None
    posts = await graph.obj_get_many(Post, ids)
    if not posts:
        raise PostMissing(_("This upload was posted, and has been deleted since."))
    return Published(
        [id_ for id_ in ids if id_ in posts], sum(len(post.data.photos) for post in posts.values()), [], []
    )


async def _store_all(
    site: Site, ids: Sequence[int], uploads: Sequence[Upload | Later]
) -> tuple[list[Photo], list[str], list[str]]:
    """Decode and store the files, two at a time; the photos in their order, and what to tell about the others."""
    turn = asyncio.Semaphore(AT_ONCE)

    async def one(id_: int, upload: Upload | Later) -> tuple[Photo, list[str]] | CalotypeError:
        async with turn:
            try:
                return await store(site, id_, upload if isinstance(upload, Upload) else await upload.load())
            except CalotypeError as error:
                return error

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one(id_, upload)) for id_, upload in zip(ids, uploads, strict=True)]
    photos: list[Photo] = []
    refused: list[str] = []
    notes: list[str] = []
    for task, upload in zip(tasks, uploads, strict=True):
        outcome = task.result()
        if isinstance(outcome, CalotypeError) and outcome.status >= 500:
            raise outcome  # an engine is away: nobody's file is to blame, and nothing is posted
        if isinstance(outcome, CalotypeError):
            refused.append(f"{upload.name}: {sentence(outcome)}")
            continue
        photos.append(outcome[0])
        notes += [f"{upload.name}: {note}" for note in outcome[1]]
    return photos, refused, notes


async def store(site: Site, id_: int, upload: Upload) -> tuple[Photo, list[str]]:
    """Store what is kept of a file and what is shown of it, under an id that has nothing yet; the photograph, and what to tell
    about it. Raises `ImageRefused`, `RecipeInvalid`, `BlobsUnavailable`."""
    recipe = _recipe_of(upload)
    edited = recipe is not None and not recipe.is_plain
    original = await in_imaging(site, lambda: inspect(upload.data))
    shown = upload.edited if edited else upload.data
    made = await in_imaging(site, lambda: process(shown, recipe=DISPLAY))
    await _keep(site, id_, "original", upload.data, original.format)
    if edited:
        await _keep(site, id_, "edited", upload.edited, made.format)
    for variant in made.variants:
        await site.blobs.put(blob_key(f"{prefix(id_)}/{variant.file}"), variant.data, variant.content_type)
    return photo_of(id_, made, upload.alt, written(recipe) if recipe and edited else ""), notes_on(made)


def notes_on(made: Processed) -> list[str]:
    """Sentences about what whoever sent a file may not expect."""
    if made.frames == 1:
        return []
    kept = ngettext(
        "animated: the first of %(n)s frame is kept",
        "animated: the first of %(n)s frames is kept",
        made.frames,
    )
    return [kept % {"n": number_format(made.frames, use_l10n=True, force_grouping=True)}]


def _recipe_of(upload: Upload) -> EditRecipe | None:
    if bool(upload.edited) != bool(upload.recipe):
        raise RecipeInvalid(_("An edited photo and its recipe come together."))
    return read(upload.recipe) if upload.recipe else None


async def _keep(site: Site, id_: int, name: str, data: bytes, format: SourceFormat) -> None:
    key = blob_key(f"{prefix(id_)}/{name}-{hashlib.sha256(data).hexdigest()}.{format}")
    await site.blobs.put(key, data, f"image/{format}")


async def in_imaging[T](site: Site, work: Callable[[], T]) -> T:
    return await asyncio.get_running_loop().run_in_executor(site.imaging, work)


def photo_of(id_: int, made: Processed, alt: str, recipe: str = "") -> Photo:
    """What the graph keeps of a stored photograph."""
    widths = sorted({variant.width for variant in made.variants if variant.name != "square"})
    return Photo(
        id=id_,
        width=made.width,
        height=made.height,
        blurhash=made.blurhash,
        widths=widths,
        alt=alt,
        recipe=recipe,
    )


async def _post(
    graph: Graph, whole: Post, key: str, pending: Iterable[int], follow: Follow | None
) -> list[PostId]:
    """Make the posts, 20 photographs each, and keep their blobs: one transaction on the author's shard."""
    author = AccountId(whole.author)
    shard = shard_of(author)
    parts = [
        whole.photos[start : start + PHOTOS_PER_POST]
        for start in range(0, len(whole.photos), PHOTOS_PER_POST)
    ]
    ids = await graph.shards.next_ids(shard, len(parts))
    async with graph.transaction("media", shard) as write:
        for at, (post_id, photos) in enumerate(zip(ids, parts, strict=True)):
            if (
                key
                and await write.claim("media", shard, "upload", claim_key(author, key, at), post_id)
                != post_id
            ):
                raise DuplicateUpload(_("This upload is being stored already."))
            post = await write.obj_add(msgspec.structs.replace(whole, photos=photos), shard, post_id)
            at_ms = posted_at(post)
            await write.edge(POSTED, author, post_id, time=at_ms, data=None, present=True)
            await write.post("media", shard, PUBLISHED, PostPublished(post_id, author, at_ms), 0)
            for nth, photo in enumerate(photos, start=at * PHOTOS_PER_POST + 1):
                stored = PhotoStored(post_id, photo.id)
                await write.post("media", shard, STORED, stored, nth * RENDER_EVERY_MS)
            if parse(whole.caption):
                await write.post("media", shard, WRITTEN, Written(post_id), 0)
        await write.take_back("media", shard, pending)
        if follow is not None:
            await follow(write)
    return [PostId(id_) for id_ in ids]


class DuplicateUpload(Unprocessable):
    """Two requests with one Idempotency-Key at the same time: the other one has won, its answer is the one to use."""

    code = "duplicate_upload"
    status = 409


async def edit(
    graph: Graph, author: AccountId, post_id: PostId, *, caption: str, alts: Sequence[str]
) -> Node[Post]:
    """Change the caption and the descriptions, given in the photos' order. Raises `PostMissing`, `NotYours`,
    `VersionConflict`."""
    known = await own_post(graph, author, post_id)
    mentions = await people_in(graph, caption, author, known.data.mentions)

    def edited(post: Post) -> Post:
        photos = [
            msgspec.structs.replace(photo, alt=alts[at] if at < len(alts) else photo.alt)
            for at, photo in enumerate(post.photos)
        ]
        return msgspec.structs.replace(post, caption=caption, photos=photos, mentions=mentions)

    return await change_post(graph, post_id, edited)


Also = Callable[[Writes], Awaitable[None]]
"""What else a transaction writes."""


async def change_post(
    graph: Graph, post_id: int, change: Callable[[Post], Post], also: Also | None = None
) -> Node[Post]:
    """Make of the newest state of a post what `change` makes of it, so that what others write meanwhile is kept: its
    author's words, and what its jobs say of the photographs. `also` writes in the transaction of the change. Raises
    `PostMissing`, `VersionConflict` if it never rests.
    """
    for _try in range(CHANGE_TRIES):
        # From the primary: a cache may be behind, and then no try would ever succeed.
        post = await post_of(Graph(graph.shards), post_id, None)
        changed = change(post.data)
        if changed == post.data:
            return post
        if (made := await _changed(graph, post, changed, also)) is not None:
            return made
    raise VersionConflict(_("The post was changed meanwhile. Look at it again."))


async def _changed(graph: Graph, post: Node[Post], changed: Post, also: Also | None) -> Node[Post] | None:
    """Write it, and have what follows from its words follow; None: another change was faster, or the post is gone."""
    before, after = msgspec.structs.asdict(post.data), msgspec.structs.asdict(changed)
    shard = shard_of(post.id)
    async with graph.transaction("media", shard) as write:
        made = await write.obj_update(
            Post,
            post.id,
            {name: value for name, value in after.items() if value != before[name]},
            post.version,
        )
        if (
            made
            and changed.caption != post.data.caption
            and (parse(changed.caption) or parse(post.data.caption))
        ):
            await write.post("media", shard, WRITTEN, Written(post.id), 0)
        if made and also:
            await also(write)
    return made


async def delete(graph: Graph, author: AccountId, post_id: PostId) -> None:
    """Delete a post with its photographs, originals too. It is gone from every page when this returns; its blobs,
    likes and comments follow within seconds. Raises `PostMissing`, `NotYours`."""
    post = await own_post(graph, author, post_id)
    shard = shard_of(author)
    async with graph.transaction("media", shard) as write:
        await write.obj_delete(Post, post_id)
        await write.edge(POSTED, author, post_id, time=None, data=None, present=False)
        if not post.data.borrowed:
            await write.post(
                "media", shard, "blobs", Blobs([prefix(photo.id) for photo in post.data.photos]), 0
            )


async def own_post(graph: Graph, author: AccountId, post_id: PostId) -> Node[Post]:
    """The post, if it is the author's; raises `PostMissing`, `NotYours`."""
    post = await post_of(graph, post_id, author)
    if post.data.author != author:
        raise NotYours(_("This is somebody else's post: only its author can change it."))
    return post


def remove_blobs(store: BlobStore) -> Handler:
    """The outbox handler of `blobs`."""

    async def handler(payload: bytes) -> None:
        for each in msgspec.json.decode(payload, type=Blobs).prefixes:
            await store.delete_prefix(each)

    return handler


def stored_sentence(published: Published) -> str:
    """ "57 photos are posted." for the note on the next page."""
    return ngettext("%d photo is posted.", "%d photos are posted.", published.stored) % published.stored
