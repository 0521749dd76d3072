"""What a process serves a site with: made once at its start, handed to every request as `request.site`."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from calotype.infra.blobs import BlobStore
from calotype.infra.shards import Pool
from calotype.infra.tao import Graph


@dataclass(frozen=True)
class Site:
    graph: Graph
    sessions: Pool
    """The database of the Django alias `sessions`: sessions and rate limits, without the ORM."""
    blobs: BlobStore
    imaging: ThreadPoolExecutor
    """Threads for decoding and encoding pictures; as many as the processors that this process may use."""
    data: Path
