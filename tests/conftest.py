"""One pair of real PostgreSQL clusters for each pytest process (0.9 s), with the databases of one site on them.

Tests share that site and keep out of each other's way by new ids; nothing is truncated. A test that counts everything
on a server takes `new_site`, one that stops servers `own_clusters`.
"""

from __future__ import annotations

import functools
import itertools
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import pytest
from xdist.scheduler import LoadScopeScheduling

from calotype.infra.shards import Shards
from calotype.infra.tao import Graph
from tests.memcached import RunningMemcached, running_memcached
from tests.site import NOT_DURABLE, Layout, RunningCluster, Site, create_site, root, running
from tests.versitygw import RunningVersitygw, running_versitygw

ALONE = {"clock"}
"""Markers of what watches the clock: it has the machine for itself."""

SITES = {"browser", "fault", "bench", "rabbitmq", "cassandra", "s3", "prometheus"}
"""Markers of what starts whole sites or slow engines, or kills processes. Most of its time it waits for them."""

TOGETHER = ("std", "config", "efficiency", "infra", "product", "web")
"""Directories whose other tests start nothing but this process's servers. Those of the command line start whole sites."""

ONE_PROCESS = ("tests/infra/timelines/",)
"""Directories whose tests stay in one process, as those of a file do: they share a ring of three nodes."""

COMPUTES = ("tests/e2e/", "tests/benchmarks/test_benches.py")
"""What takes minutes of CPU, in the order in which one process of two begins with it: so the browsers share one site."""

WAITS = (
    *ONE_PROCESS,
    "tests/infra/jobs/",
    "tests/config/",
    "tests/cli/test_jobs.py",
    "tests/cli/test_up.py",
    "tests/cli/test_regions.py",
    "tests/cli/test_load.py",
    "tests/cli/test_engines.py",
    "tests/faults/",
)
"""What takes minutes in which it mostly waits, from the shortest to the longest: the other process begins at its end. They meet
in the middle, at what takes seconds."""

PARTS = ("together", "sites", "alone")

HERE = Path(__file__).parent


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--part",
        choices=PARTS,
        help="together: what starts nothing of its own; sites: what starts whole sites and slow engines; "
        "alone: what watches the clock. Several processes can share the first, and the second",
    )


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """A file of which the part runs nothing is not even imported: that takes longer than many a part."""
    part = config.getoption("--part")
    if part is None or not collection_path.match("test_*.py"):
        return None
    return None if may_hold(part, collection_path) else True


@functools.cache
def may_hold(part: str, file: Path) -> bool:
    """Whether a file of tests may have some of this part: a marker is named in the file, or in the conftest.py beside it."""
    directory = file.relative_to(HERE).parts[0]
    if part == "together":
        return directory in TOGETHER
    beside = file.with_name("conftest.py")
    text = file.read_text() + (beside.read_text() if beside.exists() and file.parent != HERE else "")
    named = {marker for marker in ALONE | SITES if f"mark.{marker}" in text}
    return bool(named & ALONE) if part == "alone" else directory not in TOGETHER or bool(named & SITES)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    part = config.getoption("--part")
    if part is None:
        return
    # Whatever its part leaves out is collected with the others of its directory.
    lost = [item.nodeid for item in items if not may_hold(part_of(item), item.path)]
    if lost:
        raise pytest.UsageError(f"no part would run {lost[0]}: its file does not name its marker")
    left_out = [item for item in items if part_of(item) != part]
    config.hook.pytest_deselected(items=left_out)
    gone = set(left_out)
    items[:] = sorted((item for item in items if item not in gone), key=lambda item: turn_of(item.nodeid))


class ByGroup(LoadScopeScheduling):  # type: ignore[misc]  # xdist says nothing of its types
    """Which process runs which tests. (xdist's own `loadgroup` writes groups into names that pytest 9.2 keeps elsewhere.)"""

    def _split_scope(self, nodeid: str) -> str:
        return group_of(nodeid)

    def _assign_work_unit(self, node: object) -> None:
        """From the front; to the second process of sites from the end, so that one computes while the other waits."""
        if self.config.getoption("--part") == "sites" and self.nodes.index(node) % 2:
            self.workqueue.move_to_end(next(reversed(self.workqueue)), last=False)
        super()._assign_work_unit(node)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> ByGroup:
    return ByGroup(config, log)


def part_of(item: pytest.Item) -> str:
    markers = {marker.name for marker in item.iter_markers()}
    if markers & ALONE:
        return "alone"
    directory = item.path.relative_to(HERE).parts[0]
    return "together" if directory in TOGETHER and not markers & SITES else "sites"


def group_of(nodeid: str) -> str:
    """What one process runs: the tests of a file, or of several that share what is dear."""
    file = nodeid.partition("::")[0]
    return next((directory for directory in ONE_PROCESS if file.startswith(directory)), file)


def turn_of(nodeid: str) -> int:
    """Where it stands in the queue of its part."""
    for turn, begin in enumerate((*COMPUTES, "", *WAITS)):
        if begin and nodeid.startswith(begin):
            return turn
    return len(COMPUTES)


NewSite = Callable[[Layout], Awaitable[Site]]


@pytest.fixture(scope="session")
def short_directory() -> Path:
    return root()


@pytest.fixture(scope="session")
def clusters(short_directory: Path) -> Iterator[dict[str, RunningCluster]]:
    with running(short_directory, NOT_DURABLE) as started:
        yield started


@pytest.fixture(scope="session")
def memcached(short_directory: Path) -> Iterator[RunningMemcached]:
    """One that all tests of this process share; each has key spaces of its own."""
    with running_memcached(short_directory) as (one,):
        yield one


@pytest.fixture
def own_memcached(short_directory: Path) -> Iterator[RunningMemcached]:
    """One of the test's own, to be killed, frozen and looked into."""
    with running_memcached(short_directory) as (one,):
        yield one


@pytest.fixture(scope="session")
def versitygw(short_directory: Path) -> Iterator[RunningVersitygw]:
    """One S3 server that all tests of this process share; each has a bucket of its own."""
    with running_versitygw(short_directory) as one:
        yield one


@pytest.fixture
def own_versitygw(versitygw: RunningVersitygw) -> Iterator[RunningVersitygw]:
    """The same, to be killed and frozen: it runs again after the test, with what it held."""
    yield versitygw
    versitygw.restart()


@pytest.fixture(scope="session")
async def site(clusters: dict[str, RunningCluster]) -> Site:
    return await create_site(clusters)


@pytest.fixture(scope="session")
def servers(site: Site) -> dict[str, str]:
    """Physical server -> DSN of its logical shards."""
    return site.servers


@pytest.fixture(scope="session")
def control_dsn(site: Site) -> str:
    return site.control_dsn


@pytest.fixture(scope="session")
def databases(site: Site) -> dict[str, str]:
    """Django's database alias -> DSN. The databases are empty but for the placement in `default`."""
    return site.databases


@pytest.fixture(scope="session")
async def shards(control_dsn: str, servers: dict[str, str]) -> AsyncIterator[Shards]:
    async with Shards(control_dsn, servers) as entered:
        yield entered


@pytest.fixture(scope="session")
def graph(shards: Shards) -> Graph:
    return Graph(shards)


@pytest.fixture(scope="session")
def new_site(clusters: dict[str, RunningCluster]) -> NewSite:
    """Make databases of one's own, with 8 logical shards, on the shared clusters (0.3 s)."""
    numbers = itertools.count(1)

    async def make(layout: Layout) -> Site:
        return await create_site(clusters, prefix=f"site{next(numbers)}_", shards=8, layout=layout)

    return make


@pytest.fixture
async def own_clusters(short_directory: Path) -> AsyncIterator[Site]:
    """A site of 8 logical shards on two durable clusters of its own, to be killed and started at will (1.5 s)."""
    root = Path(tempfile.mkdtemp(dir=short_directory))
    with running(root, {}) as started:
        yield await create_site(started, shards=8)
