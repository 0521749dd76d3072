"""A worker of the site's bulk jobs whose blob store breaks on the photographs that a directory names.

`python render_program.py DIRECTORY`: the file `<photo id>` there holds how many more blobs are refused.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import django

django.setup(set_prefix=False)

from django.conf import settings  # noqa: E402

from calotype.config.jobs import broker_url, failures  # noqa: E402
from calotype.config.wiring import open_site  # noqa: E402
from calotype.infra.blobs import LocalBlobs  # noqa: E402
from calotype.infra.jobs import Queue  # noqa: E402
from calotype.infra.jobs.worker import run_worker, worker_app  # noqa: E402
from calotype.web.site import Site  # noqa: E402


class Refusing(LocalBlobs):
    def __init__(self, root: Path, refused: Path) -> None:
        super().__init__(root)
        self._refused = refused

    async def put(self, key: str, data: bytes, content_type: str) -> None:
        counter = self._refused / key.split("/")[1]
        left = int(counter.read_text()) if counter.exists() else 0
        if left:
            counter.write_text(str(left - 1))
            raise ValueError(f"{key} is refused")  # not `Unavailable`, which is waited for
        await super().put(key, data, content_type)


@asynccontextmanager
async def opened() -> AsyncIterator[Site]:
    async with open_site(settings.SITE, settings.DATA) as site:
        yield replace(site, blobs=Refusing(settings.DATA / "blobs", Path(sys.argv[1])))


if __name__ == "__main__":
    run_worker(
        worker_app(broker_url(settings.SITE), failures(settings.SITE), Queue.BULK, opened), Queue.BULK.value
    )
