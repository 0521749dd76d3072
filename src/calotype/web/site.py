"""What a process serves a site with: made once at its start, handed to every request as `request.site`."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from calotype.infra.blobs import BlobStore
from calotype.infra.invalidation import RegionCache
from calotype.infra.tao import Graph
from calotype.infra.timelines import Timelines
from calotype.web.live import Live
from calotype.web.session_rows import SessionRows


@dataclass(frozen=True)
class Site:
    graph: Graph
    sessions: SessionRows
    """The database of the Django alias `sessions`, without the ORM."""
    blobs: BlobStore
    imaging: ThreadPoolExecutor
    """Threads for decoding and encoding pictures; as many as the processors that this process may use."""
    data: Path
    timelines: Timelines
    live: Live
    cache: RegionCache | None = None
    """The region's; None where it runs without one."""
    regions: tuple[str, ...] = ("a",)
    """All regions of the site; the first is that of the primaries."""
    region: str = "a"
    """That of this process."""

    @property
    def may_lag(self) -> bool:
        """Whether anything here may show less than what was just written: a cache, or another region's standby."""
        return self.cache is not None or len(self.regions) > 1
