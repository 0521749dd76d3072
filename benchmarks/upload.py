"""`calotype bench upload`: a 12-megapixel JPEG, beside bare Pillow that makes the same variants.

Measured: CPU of the web server's processes for one `POST /new/` (multipart, signed in, the original and the eight display
variants stored durably), and CPU of `infra.imaging.process` alone, in turns with two ways to write it by hand with Pillow:

- `pillow`, the baseline: decode once with `draft()`, make each size from the next larger one, encode JPEG and WebP;
- `pillow, each from the full picture`: decode again for each size, as a thumbnailing library does.

Then the same of what follows in a job: 2048 wide as JPEG and WebP, and AVIF of each width. Sizes, qualities and filter are the same. Neither checks the file, keeps colours right, hashes or stores anything.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from collections.abc import Callable, Sequence
from io import BytesIO
from statistics import fmean, median
from typing import Any

from PIL import Image, ImageOps

from benchmarks import population, processes, site, stacks
from benchmarks.client import Client
from benchmarks.report import Options, Report, Row, report, row
from benchmarks.site import BenchSite
from calotype.cli.bars import Bar
from calotype.cli.places import checkout
from calotype.infra.imaging import process

ROUNDS = 7
TARGET = 1.1
SIZE, SMALL_SIZE = (4032, 3024), (1600, 1200)

DISPLAY_WIDTHS = (1080, 640, 320)
ALL_WIDTHS = (2048, *DISPLAY_WIDTHS)
SQUARE = 150
JPEG: dict[str, Any] = {"format": "JPEG", "quality": 82}
WEBP: dict[str, Any] = {"format": "WEBP", "quality": 78, "method": 4}
AVIF: dict[str, Any] = {"format": "AVIF", "quality": 62, "speed": 10, "max_threads": 1}

OURS, POST = "process", "POST /new/"
PILLOW, FULL = "pillow", "pillow, each from the full picture"
JOB, PILLOW_JOB = "process in the job", "pillow, for the job"


def run(options: Options) -> Report:
    """Start a site with one web worker and one person; upload, process, and do it by hand, in turns."""
    photo = picture(SMALL_SIZE if options.quick else SIZE)
    with site.clusters_running(options.data / "small", {}) as bench:
        site.prepare(bench)
        population.set_django_up()
        cookie = asyncio.run(_cookie(bench))
        port = processes.free_ports(1)[0]
        with stacks.web(bench, port) as server:
            costs = _measure(photo, Client(port), server, bench, cookie, 1 if options.quick else ROUNDS)
    return report("upload", ("pillow", "django", "granian", "asyncpg", "obstore"), _rows(costs, photo), {})


def picture(size: tuple[int, int]) -> bytes:
    """A photograph of the demo's in this size, as a camera compresses it."""
    path = checkout() / "src" / "calotype" / "product" / "demo" / "photos" / "forest-stream.jpg"
    out = BytesIO()
    with Image.open(path) as photo:
        photo.convert("RGB").resize(size, Image.Resampling.LANCZOS).save(out, "JPEG", quality=90)
    return out.getvalue()


async def _cookie(bench: BenchSite) -> str:
    """Somebody new, signed in."""
    from calotype.config.wiring import open_site
    from calotype.product.accounts.actions import sign_up

    name = f"bench{secrets.token_hex(4)}"
    async with open_site(bench.site, bench.places.data) as opened:
        account = await sign_up(
            opened.graph, username=name, email=f"{name}@bench.example", password=secrets.token_urlsafe(16)
        )
    return (await stacks.session_cookies(bench, [account]))[account]


def _measure(
    photo: bytes, client: Client, server: int, bench: BenchSite, cookie: str, rounds: int
) -> dict[str, list[float]]:
    """CPU milliseconds, by what was done. The first round warms up."""
    costs: dict[str, list[float]] = {}
    with Bar("rounds") as bar:
        for number in range(rounds + 1):
            before, database = processes.cpu_s(server), bench.postgres_cpu_s()
            _post(client, cookie, photo)
            found = {
                POST: (processes.cpu_s(server) - before) * 1000,
                "postgres": (bench.postgres_cpu_s() - database) * 1000,
                OURS: _spent(lambda: displayed(photo)),
                PILLOW: _spent(lambda: chained(photo)),
                FULL: _spent(lambda: each_from_full(photo)),
                JOB: _spent(lambda: followed(photo)),
                PILLOW_JOB: _spent(lambda: chained_later(photo)),
            }
            if number:
                for name, cost in found.items():
                    costs.setdefault(name, []).append(cost)
            bar.update(number + 1, rounds + 1)
    return costs


def _post(client: Client, cookie: str, photo: bytes) -> None:
    boundary, token = secrets.token_hex(16), secrets.token_hex(16)
    body = b"".join(
        [
            f'--{boundary}\r\nContent-Disposition: form-data; name="caption"\r\n\r\nA bench.\r\n'.encode(),
            f'--{boundary}\r\nContent-Disposition: form-data; name="photos"; filename="photo.jpg"\r\n'.encode(),
            b"Content-Type: image/jpeg\r\n\r\n",
            photo,
            f"\r\n--{boundary}--\r\n".encode(),
        ]
    )
    answer = client.request(
        "POST",
        "/new/",
        body,
        {
            "Content-Type": f"multipart/form-data; boundary={boundary}",
            "Cookie": f"{cookie}; csrftoken={token}",
            "X-CSRFToken": token,
            "Accept": "application/json",
        },
    )
    assert json.loads(answer)["stored"] == 1, answer


def displayed(photo: bytes) -> list[bytes]:
    """What an upload makes before it is answered."""
    from calotype.product.photos.actions import DISPLAY

    return [variant.data for variant in process(photo, recipe=DISPLAY).variants]


def followed(photo: bytes) -> list[bytes]:
    """What its job makes."""
    from calotype.product.photos.rendering import EVERYTHING

    stored = {f"{width}.{format}" for width in DISPLAY_WIDTHS for format in ("jpeg", "webp")}
    return [variant.data for variant in process(photo, recipe=EVERYTHING, stored=stored).variants]


def chained(photo: bytes) -> list[bytes]:
    """By hand, well: one decode, at a scale of libjpeg's where that is enough; each size from the next larger."""
    pictures = _chain(photo, DISPLAY_WIDTHS)
    square = ImageOps.fit(pictures[-1], (SQUARE, SQUARE), Image.Resampling.LANCZOS)
    return [data for each in (*pictures, square) for data in _encoded(each)]


def chained_later(photo: bytes) -> list[bytes]:
    """The job's by hand, in the same way."""
    pictures = _chain(photo, ALL_WIDTHS)
    return [*_encoded(pictures[0]), *(data for each in pictures for data in _encoded(each, AVIF))]


def _chain(photo: bytes, widths: Sequence[int]) -> list[Image.Image]:
    with Image.open(BytesIO(photo)) as opened:
        opened.draft("RGB", (widths[0], widths[0] * opened.height // opened.width))
        larger = ImageOps.exif_transpose(opened).convert("RGB")
    pictures: list[Image.Image] = []
    for width in widths:
        larger = _scaled(larger, width)
        pictures.append(larger)
    return pictures


def each_from_full(photo: bytes) -> list[bytes]:
    """By hand, simply: open the file again for each size."""
    made: list[bytes] = []
    for width in (*DISPLAY_WIDTHS, SQUARE):
        with Image.open(BytesIO(photo)) as opened:
            full = ImageOps.exif_transpose(opened).convert("RGB")
        if width == SQUARE:
            made += _encoded(ImageOps.fit(full, (SQUARE, SQUARE), Image.Resampling.LANCZOS))
        else:
            made += _encoded(_scaled(full, width))
    return made


def _scaled(picture: Image.Image, width: int) -> Image.Image:
    size = (width, round(picture.height * width / picture.width))
    return picture.resize(size, Image.Resampling.LANCZOS, reducing_gap=2.0)


def _encoded(picture: Image.Image, *formats: dict[str, Any]) -> list[bytes]:
    made = []
    for options in formats or (JPEG, WEBP):
        out = BytesIO()
        picture.save(out, **options)
        made.append(out.getvalue())
    return made


def _spent(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return (time.process_time() - began) * 1000


def _rows(costs: dict[str, list[float]], photo: bytes) -> list[Row]:
    typical = {name: median(each) for name, each in costs.items()}
    sizes = {
        name: sum(map(len, make(photo)))
        for name, make in ((OURS, displayed), (PILLOW, chained), (JOB, followed), (PILLOW_JOB, chained_later))
    }
    return [
        row("POST /new/, server CPU", typical[POST], "ms", PILLOW, typical[PILLOW], TARGET),
        row("process, CPU", typical[OURS], "ms", PILLOW, typical[PILLOW], TARGET),
        row("process, CPU", typical[OURS], "ms", FULL, typical[FULL]),
        row("process in the job, CPU", typical[JOB], "ms", PILLOW, typical[PILLOW_JOB], TARGET),
        row("POST /new/, PostgreSQL CPU", fmean(costs["postgres"]), "ms"),  # a tick is 10 ms: no median
        row("the photo", len(photo), "bytes"),
        row("its display variants", sizes[OURS], "bytes", PILLOW, sizes[PILLOW]),
        row("those of the job", sizes[JOB], "bytes", PILLOW, sizes[PILLOW_JOB]),
    ]
