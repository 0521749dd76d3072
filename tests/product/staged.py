"""Uploading in chunks, as a browser does it."""

from __future__ import annotations

from io import BytesIO
from random import Random

from PIL import Image

from calotype.infra.blobs import BlobStore
from calotype.infra.tao import Sweep
from calotype.product.photos import changes, staging
from calotype.web.site import Site
from tests.client import Answer, Client
from tests.outbox import all_done

JSON = {"accept": "application/json"}
PART = staging.MIN_CHUNK_BYTES


def noise(width: int = 320, height: int = 240) -> bytes:
    """A picture that no format makes small: several chunks of the smallest size."""
    out = BytesIO()
    Image.frombytes("RGB", (width, height), Random(7).randbytes(width * height * 3)).save(out, "PNG")
    return out.getvalue()


async def announce(browser: Client, data: bytes, name: str = "a.png", key: str = "", **fields: str) -> Answer:
    headers = JSON | ({"idempotency-key": key} if key else {})
    return await browser.post("/uploads/", {"name": name, "size": str(len(data)), **fields}, headers=headers)


async def chunk(browser: Client, file: str, offset: int, data: bytes, **headers: str) -> Answer:
    given = {
        "content-type": "application/offset+octet-stream",
        "upload-offset": str(offset),
        "x-csrftoken": await browser.token(),
    }
    return await browser.request("PATCH", f"/uploads/{file}/", body=data, headers=JSON | given | headers)


async def begin(browser: Client, data: bytes, **fields: str) -> str:
    answer = await announce(browser, data, **fields)
    assert answer.status == 201, answer.text
    return str(answer.json()["id"])


async def send(browser: Client, data: bytes, **fields: str) -> str:
    """Upload a file in chunks; its id."""
    file = await begin(browser, data, **fields)
    for offset in range(0, len(data), PART * 2):
        answer = await chunk(browser, file, offset, data[offset : offset + PART * 2])
        assert answer.status == 204, answer.text
    return file


async def post(browser: Client, *files: str, key: str = "", **fields: str | list[str]) -> Answer:
    headers = JSON | ({"idempotency-key": key} if key else {})
    return await browser.post("/new/", {"upload": list(files), **fields}, headers=headers)


async def where(browser: Client, file: str) -> Answer:
    return await browser.get(f"/uploads/{file}/", headers=JSON)


async def staged_blobs(store: BlobStore, file: str) -> list[str]:
    return sorted([info.key.rpartition("/")[2] async for info in store.list(staging.prefix(int(file)))])


async def remove(site: Site) -> None:
    await all_done(Sweep(site.graph.shards, {"blobs": changes.remove_blobs(site.blobs)}))
