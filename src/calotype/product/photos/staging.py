"""Files on their way here: uploads that survive a lost connection, a reload and a restart of the server.

The protocol is tus 1.0 in its ideas (creation, offsets, termination, expiration; HEAD says how far one is, PATCH goes on
from there), with three differences. A file is announced by a form, so that its name needs no encoding and a key makes a
repeated announcement harmless. A chunk is stored whole or not at all. And one that comes twice is answered like the first
time, since whoever lost the answer sends it again; only a chunk from a wrong place is a conflict (409, with the right one).

Each chunk is a blob, `staged/<file>/<offset>.part`. Blobs are create-only, durable when they are acknowledged, and seen by
every worker of every region, in a directory as on S3; so how far a file has come is what is stored of it, and no other
state can disagree. A chunk is written at the end of what is there, under a name that only its offset decides: of two
writers one wins, and chunks never overlap. An upload in parts of S3's own would save a copy, but its parts have a minimum
of 5 MB, cannot be read before its end, and do not exist in a directory.

A file that has arrived is decoded at once: a damaged one is refused then, while others go on. That leaves a preview, for
browsers that cannot show what their person has chosen (HEIC).

What is stored goes when the file is published or cancelled, and after `EXPIRES_MS` in any case: the outbox says so in the
transaction that makes the file. A chunk that is stored after that is removed by whoever stored it, since the file is read
after its chunk was written: if it is there, its end comes later, and so does the removal of its blobs.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import Sequence

import msgspec
from django.utils.translation import gettext as _

from calotype.infra.blobs import BlobExists, BlobMissing, blob_key
from calotype.infra.ids import shard_of, time_ms
from calotype.infra.imaging import ImageRefused, Recipe, accept_size, process
from calotype.infra.tao import Graph, Handler, Node, Writes
from calotype.product.accounts.avatars import Blobs
from calotype.product.accounts.types import AccountId
from calotype.product.photos import actions
from calotype.product.photos.types import EXPIRED, STAGED, FileExpired, StagedFile
from calotype.std.errors import CalotypeError, Conflict, NotFound, TooLarge, TooManyRequests, Unprocessable
from calotype.web.idempotency import claim_key
from calotype.web.sentences import sentence
from calotype.web.site import Site

EXPIRES_MS = 24 * 3_600_000
"""A file that is not published a day after it was announced is removed."""

OPEN_FILES = 240
"""Of one account: twice 60 photographs with their edited renditions."""

OPEN_BYTES = 4_000_000_000
"""What the open files of one account may have in all, as announced."""

MIN_CHUNK_BYTES = 64 * 1024
"""Of all chunks but the last: bounds the blobs of one file to 763."""

MAX_CHUNK_BYTES = 8 << 20
"""Fits into one request to S3 (`blobs.multipart`), and into a worker's memory many times."""

PREVIEW = Recipe(widths=(320,), square=0, formats=("jpeg",))


class FileMissing(NotFound):
    """Published, cancelled, expired, or never there; `data["files"]` names those that are meant."""

    code = "upload_missing"


class OffsetConflict(Conflict):
    """`data["offset"]` is where to go on."""

    code = "upload_offset"


class FileIncomplete(Conflict):
    code = "upload_incomplete"


class FileRefused(Unprocessable):
    """It has arrived and is no photograph: `data["reason"]` is the code of the error that its check raised."""

    code = "upload_refused"


class ChunkInvalid(Unprocessable):
    code = "upload_chunk_invalid"


class ChunkTooLarge(TooLarge):
    code = "upload_chunk_too_large"


class TooManyOpenFiles(TooManyRequests):
    """Files are to be published or cancelled before others are begun."""

    code = "too_many_open_uploads"
    retry_after_s = 60


class Choice(msgspec.Struct, frozen=True):
    """A photograph of a new post: its file, the rendition that was made of it in the browser (0: none) and how."""

    file: int
    edited: int = 0
    recipe: bytes = b""
    alt: str = ""

    @property
    def ids(self) -> tuple[int, ...]:
        return (self.file, self.edited) if self.edited else (self.file,)


def prefix(file_id: int) -> str:
    return f"staged/{file_id}"


def expires_ms(file: Node[StagedFile]) -> int:
    """When it will be removed, in ms since 1970."""
    return time_ms(file.id) + EXPIRES_MS


async def create(
    site: Site, owner: AccountId, *, name: str, size: int, sha256: str = "", key: str = ""
) -> Node[StagedFile]:
    """Announce a file. `key` makes a repeated announcement answer with the same file. Raises `TooManyOpenFiles`,
    `FileMissing` when the first announcement's file is gone, `ImageEmpty`, `ImageFileTooLarge`."""
    accept_size(size)
    shard = shard_of(owner)
    id_ = (await site.graph.shards.next_ids(shard))[0]
    async with site.graph.transaction("media", shard) as write:
        held = await write.claim("media", shard, "file", claim_key(owner, key), id_) if key else id_
        if held == id_:
            await write.post("media", shard, EXPIRED, FileExpired(id_), EXPIRES_MS)
            await write.obj_add(StagedFile(owner=owner, name=name, size=size, sha256=sha256), shard, id_)
            await write.edge(STAGED, owner, id_, time=None, data=None, present=True)
    made = await file_of(site.graph, owner, held)
    if held == id_:
        await _check_room(site, owner, made)
    return made


async def file_of(graph: Graph, owner: AccountId, file_id: int) -> Node[StagedFile]:
    """The file as its primary has it. Raises `FileMissing`, also for somebody else's, and `FileRefused`."""
    file = await Graph(graph.shards).obj_get(StagedFile, file_id)
    if file is None or file.data.owner != owner:
        raise _missing([file_id])
    if file.data.refused:
        raise FileRefused(file.data.refused, reason=file.data.reason)
    return file


async def offset_of(site: Site, file: Node[StagedFile]) -> int:
    """How many bytes of it are stored."""
    return end_of(await _parts(site, file.id))


async def append(site: Site, owner: AccountId, file_id: int, offset: int, chunk: bytes) -> int:
    """Store a chunk, and check the file if it was the last one; how many bytes are stored. Durable when it returns.

    An empty chunk at the end has the check made that a process did not live to make. Raises `OffsetConflict`,
    `ChunkInvalid`, `ChunkTooLarge`, `FileMissing`, `FileRefused`.
    """
    file = await file_of(site.graph, owner, file_id)
    parts = await _parts(site, file_id)
    if chunk and parts.get(offset) != len(chunk):  # else it came before, and only its answer was lost
        _check_chunk(file, end_of(parts), offset, chunk)
        parts = await _store(site, file, offset, chunk)
    if (end := end_of(parts)) == file.data.size and not file.data.checked:
        await _check(site, file)
    return end


async def cancel(graph: Graph, owner: AccountId, file_id: int) -> None:
    """Remove a file, whatever has become of it. Raises `FileMissing`."""
    file = await Graph(graph.shards).obj_get(StagedFile, file_id)
    if file is None or file.data.owner != owner or not await _remove(graph, file):
        raise _missing([file_id])


def expire(graph: Graph) -> Handler:
    """The outbox handler of `EXPIRED`."""

    async def handler(payload: bytes) -> None:
        file_id = msgspec.json.decode(payload, type=FileExpired).file
        if file := await Graph(graph.shards).obj_get(StagedFile, file_id):
            await _remove(graph, file)

    return handler


async def publish(
    site: Site, author: AccountId, choices: Sequence[Choice], caption: str, key: str
) -> actions.Published:
    """Post files that have arrived, in their order, as `actions.publish` does; they are gone from here with its
    transaction. Raises `FileMissing`, `FileIncomplete`, and what that raises."""
    if earlier := await actions.earlier(site.graph, author, key):
        return earlier
    try:
        files = await _arrived(site.graph, author, [id_ for choice in choices for id_ in choice.ids])
        uploads = [_later(site, files, choice) for choice in choices]

        async def consumed(write: Writes) -> None:
            await _consume(write, author, list(files.values()))

        return await actions.publish(site, author, uploads, caption, key, follow=consumed)
    except (FileMissing, actions.NothingStored):
        # The same request may have come twice, and the other one was faster.
        if earlier := await actions.earlier(site.graph, author, key):
            return earlier
        raise


async def _arrived(graph: Graph, owner: AccountId, ids: Sequence[int]) -> dict[int, Node[StagedFile]]:
    """The files by their ids. Raises `FileMissing`, `FileIncomplete`, `FileRefused`."""
    if len(set(ids)) < len(ids):
        raise Unprocessable(_("A file was named twice: each makes one photo."))
    found = await Graph(graph.shards).obj_get_many(StagedFile, ids)
    missing = [id_ for id_ in ids if id_ not in found or found[id_].data.owner != owner]
    if missing:
        raise _missing(missing)
    for file in found.values():
        if file.data.refused:
            raise FileRefused(": ".join((file.data.name, file.data.refused)), reason=file.data.reason)
        if not file.data.checked:
            raise FileIncomplete(_("%(name)s has not arrived yet.") % {"name": file.data.name})
    return found


def _later(site: Site, files: dict[int, Node[StagedFile]], choice: Choice) -> actions.Later:
    name = files[choice.file].data.name

    async def load() -> actions.Upload:
        data, edited = [await _assembled(site, id_) for id_ in choice.ids] + [b""] * (2 - len(choice.ids))
        return actions.Upload(name=name, data=data, alt=choice.alt, edited=edited, recipe=choice.recipe)

    return actions.Later(name, load)


async def _consume(write: Writes, owner: AccountId, files: Sequence[Node[StagedFile]]) -> None:
    for file in files:
        if not await write.obj_delete(StagedFile, file.id):
            raise _missing([file.id])
        await write.edge(STAGED, owner, file.id, time=None, data=None, present=False)
    await write.post("media", shard_of(owner), "blobs", Blobs([prefix(file.id) for file in files]), 0)


async def _check_room(site: Site, owner: AccountId, made: Node[StagedFile]) -> None:
    """Take a file back whose account has too many or too much. It is counted after it was made, so that of requests at
    the same time none slips through."""
    graph = Graph(site.graph.shards)
    edges = await graph.assoc_range(STAGED, owner, 0, OPEN_FILES + 1)
    files = await graph.obj_get_many(StagedFile, [edge.id2 for edge in edges])
    size_bytes = sum(file.data.size for file in files.values())
    if len(edges) > OPEN_FILES or size_bytes > OPEN_BYTES:
        await _remove(site.graph, made)
        raise TooManyOpenFiles(
            _("Too many photos are being uploaded at once: %(files)d files, %(megabytes)d MB.")
            % {"files": len(edges), "megabytes": size_bytes // 1_000_000}
        )


async def _parts(site: Site, file_id: int) -> dict[int, int]:
    """The chunks that are stored: their lengths by their offsets."""
    return {
        int(info.key.rpartition("/")[2].removesuffix(".part")): info.size_bytes
        async for info in site.blobs.list(prefix(file_id))
        if info.key.endswith(".part")
    }


def end_of(parts: dict[int, int]) -> int:
    """Where chunks that follow each other from the start end."""
    end = 0
    while length := parts.get(end, 0):
        end += length
    return end


def _check_chunk(file: Node[StagedFile], end: int, offset: int, chunk: bytes) -> None:
    size = file.data.size
    if len(chunk) > MAX_CHUNK_BYTES:
        raise ChunkTooLarge(
            f"a chunk of {len(chunk):,} bytes; the limit is {MAX_CHUNK_BYTES:,}", limit_bytes=MAX_CHUNK_BYTES
        )
    if offset != end:
        raise _conflict(file, end)
    if offset + len(chunk) > size:
        raise ChunkInvalid(f"{offset + len(chunk):,} bytes of a file that was announced with {size:,}")
    if len(chunk) < MIN_CHUNK_BYTES and offset + len(chunk) < size:
        raise ChunkInvalid(
            f"a chunk of {len(chunk):,} bytes; all but the last have {MIN_CHUNK_BYTES:,} or more"
        )


async def _store(site: Site, file: Node[StagedFile], offset: int, chunk: bytes) -> dict[int, int]:
    """Store a chunk; all that are stored then. Leaves none behind of a file that is gone."""
    key = blob_key(f"{prefix(file.id)}/{offset:010d}.part")
    with contextlib.suppress(BlobExists):  # another request was faster: what it has stored counts
        await site.blobs.put(key, chunk, "application/octet-stream")
    parts = await _parts(site, file.id)
    await _still_there(site, file)
    if parts.get(offset) != len(chunk):
        raise _conflict(file, end_of(parts))
    return parts


async def _still_there(site: Site, file: Node[StagedFile]) -> None:
    try:
        await file_of(site.graph, AccountId(file.data.owner), file.id)
    except (FileMissing, FileRefused):
        await site.blobs.delete_prefix(prefix(file.id))
        raise


async def _check(site: Site, file: Node[StagedFile]) -> None:
    """Decode what has arrived. Raises `FileRefused`, and remembers why."""
    try:
        data = await _assembled(site, file.id)
        if file.data.sha256 and hashlib.sha256(data).hexdigest() != file.data.sha256:
            raise ChunkInvalid("the file was changed on its way, or while it was read")
        loop = asyncio.get_running_loop()
        made = await loop.run_in_executor(site.imaging, lambda: process(data, recipe=PREVIEW))
    except BlobMissing:  # it was cancelled meanwhile
        raise _missing([file.id]) from None
    except (ImageRefused, ChunkInvalid) as error:
        await _refuse(site.graph, file, error)
        raise FileRefused(sentence(error), reason=error.code) from error
    with contextlib.suppress(BlobExists):
        await site.blobs.put(blob_key(f"{prefix(file.id)}/preview.jpeg"), made.variants[0].data, "image/jpeg")
    await _change(site.graph, file, checked=True)
    await _still_there(site, file)


async def _refuse(graph: Graph, file: Node[StagedFile], error: CalotypeError) -> None:
    """Keep only why: whoever asks again is told, until it expires."""
    shard = shard_of(file.id)
    async with graph.transaction("media", shard) as write:
        changes: dict[str, object] = {"refused": sentence(error), "reason": error.code, "size": 0}
        await write.obj_update(StagedFile, file.id, changes, None)
        await write.post("media", shard, "blobs", Blobs([prefix(file.id)]), 0)


async def _change(graph: Graph, file: Node[StagedFile], **changes: object) -> None:
    async with graph.transaction("media", shard_of(file.id)) as write:
        await write.obj_update(StagedFile, file.id, changes, None)


async def _assembled(site: Site, file_id: int) -> bytes:
    """All bytes of a file that has arrived."""
    offsets = sorted(await _parts(site, file_id))
    chunks = [await site.blobs.get(f"{prefix(file_id)}/{offset:010d}.part") for offset in offsets]
    return b"".join(chunks)


async def _remove(graph: Graph, file: Node[StagedFile]) -> bool:
    """Whether it was there."""
    shard = shard_of(file.id)
    async with graph.transaction("media", shard) as write:
        if not await write.obj_delete(StagedFile, file.id):
            return False
        await write.edge(STAGED, file.data.owner, file.id, time=None, data=None, present=False)
        await write.post("media", shard, "blobs", Blobs([prefix(file.id)]), 0)
    return True


def _conflict(file: Node[StagedFile], end: int) -> OffsetConflict:
    return OffsetConflict(f"{end:,} of {file.data.size:,} bytes are stored: go on from there", offset=end)


def _missing(ids: Sequence[int]) -> FileMissing:
    return FileMissing(
        _("This upload is not there any longer: it was posted, cancelled, or took more than a day."),
        files=[str(id_) for id_ in ids],
    )
