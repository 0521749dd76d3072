"""Servers of each engine: what it must do at the peak, divided by what a server of a stated shape can do."""

from __future__ import annotations

from collections.abc import Callable
from math import ceil
from typing import Literal, NamedTuple

import msgspec

from calotype.cli.capacity.assumptions import DAY_S, Assumptions, Demand, Engine
from calotype.cli.capacity.costs import Costs
from calotype.cli.capacity.loads import FOLLOW, Loads

YEAR_DAYS = 365
GB, TB, GBIT = 1e9, 1e12, 1e9 / 8
"""In bytes, and bytes a second."""

FILES_OF_A_PHOTO = 11
"""The original and ten variants, each written once for each copy."""

WRITE_BYTES = 1_000
"""Of a statement that writes, with its answer, on the wire."""


class Shape(msgspec.Struct, frozen=True):
    """One server."""

    name: str
    cores: float
    memory_gb: float
    disk_tb: float
    network_gbit: float
    disks: int = 0
    """Spinning ones, each with so many reads a second as is assumed."""


APP = Shape("app", 32, 128, 0, 10)
DATABASE = Shape("database", 32, 256, 8, 10)
MEMORY = Shape("memory", 8, 256, 0, 10)
BROKER = Shape("broker", 8, 32, 1, 10)
BLOBS = Shape("blobs", 16, 64, 192, 25, disks=12)
EDGE = Shape("edge", 32, 128, 0, 25)
SHAPES = (APP, DATABASE, MEMORY, BROKER, BLOBS, EDGE)

Binding = Literal["cores", "memory", "storage", "network", "disk reads", "messages", "copies"]
"""What a server runs out of first; `copies`: it would hold more, but this many must be there."""


class Need(NamedTuple):
    """What an engine must have on all its servers together, on an average day. Rates are means, a second."""

    name: str
    shape: Shape
    does: str
    """What `a_second` counts."""
    a_second: float
    cpu_s: float = 0
    """CPU seconds a second."""
    process_gb: float = 0
    """Memory of one process; there is one for each core."""
    memory_gb: float = 0
    stored_bytes_a_day: float = 0
    stored_bytes: float = 0
    """That do not grow with time."""
    bytes_a_second: float = 0
    disk_reads: float = 0
    messages: float = 0
    least: float = 1
    """Servers in each region, however little there is to do."""


class Servers(msgspec.Struct, frozen=True, kw_only=True):
    """One engine, as it is printed. `cores`, `memory_gb` and `network_gbit` are what must be there at the peak, with the
    share that is kept free; `storage_tb` is what is stored, all copies of it."""

    engine: str
    does: str
    mean_a_second: float
    peak_a_second: float
    cores: float
    memory_gb: float
    storage_tb: float
    storage_in_a_year_tb: float
    network_gbit: float
    shape: str
    servers: int
    servers_in_a_year: int
    binds: Binding


class Fleet(msgspec.Struct, frozen=True, kw_only=True):
    engines: list[Servers]

    @property
    def cores(self) -> float:
        return sum(one.cores for one in self.engines)

    @property
    def servers(self) -> int:
        return sum(one.servers for one in self.engines)

    @property
    def servers_in_a_year(self) -> int:
        return sum(one.servers_in_a_year for one in self.engines)

    def __getitem__(self, engine: str) -> Servers:
        return next(one for one in self.engines if one.engine == engine)


def fleet(demand: Demand, assumptions: Assumptions, costs: Costs, loads: Loads, timelines: Engine) -> Fleet:
    """The servers of every engine. Pure: the same figures give the same fleet."""
    needs = [
        _edge(assumptions, loads, costs),
        _web(assumptions, loads, costs),
        _workers(assumptions, loads, costs),
        _memcached(demand, assumptions, loads, costs),
        *(_postgres(demand, assumptions, loads, costs, name) for name in loads.reads),
        _consumers(assumptions, loads, costs),
        TIMELINES[timelines](demand, assumptions, loads, costs),
        _broker(loads),
        _blobs(assumptions, loads, costs),
    ]
    return Fleet(engines=[_servers(need, assumptions) for need in needs])


def hit_share(assumptions: Assumptions, costs: Costs) -> float:
    """Of reads of the graph that the cache answers: assumed, or as it was measured."""
    return costs.read_hit_share if assumptions.hit_rate is None else assumptions.hit_rate


def miss_s(costs: Costs) -> float:
    """PostgreSQL's CPU for a read that the cache does not answer: TAO's mix, whose writes are 0.2%, is nothing else."""
    return costs.read_postgres_s / max(1 - costs.read_hit_share, 1e-6)


def statement_s(costs: Costs) -> float:
    """PostgreSQL's CPU for a statement of LinkBench's mix, half of which write."""
    return costs.mixed_postgres_s / costs.mixed_statements


def _edge(assumptions: Assumptions, loads: Loads, costs: Costs) -> Need:
    images = loads.images * (1 - assumptions.browser_hit_rate)
    pages = loads.feed_pages + loads.other_pages
    return Need(
        "edge",
        EDGE,
        "requests",
        loads.requests + images,
        cpu_s=(loads.requests + images) * assumptions.edge_request_us * 1e-6,
        bytes_a_second=images * assumptions.image_bytes
        + pages * costs.feed_page_bytes
        + loads.uploads * costs.photo_bytes,
    )


def _web(assumptions: Assumptions, loads: Loads, costs: Costs) -> Need:
    others = loads.requests - loads.feed_pages
    pages = loads.feed_pages + others * assumptions.other_page_cost
    edges = sum(rate * write.edges / 2 for write, rate in loads.writes.items())
    return Need(
        "web workers",
        APP,
        "requests",
        loads.requests,
        cpu_s=pages * costs.feed_page_app_s * assumptions.product_weight
        + loads.merged_lists * costs.list_read_app_s
        + edges * costs.write_app_s
        + loads.uploads * costs.upload_app_s,
        process_gb=assumptions.web_process_mb / 1e3,
        bytes_a_second=(loads.feed_pages + loads.other_pages) * costs.feed_page_bytes
        + loads.uploads * (2 * costs.photo_bytes + costs.variants_bytes),
    )


def _workers(assumptions: Assumptions, loads: Loads, costs: Costs) -> Need:
    return Need(
        "job workers",
        APP,
        "jobs",
        loads.jobs,
        cpu_s=loads.jobs * (1 / costs.jobs_a_s + costs.send_job_s)
        + loads.entries * costs.entry_app_s
        + loads.lists_of_builds * costs.list_read_app_s,
        process_gb=assumptions.worker_mb / 1e3,
        bytes_a_second=loads.entries * assumptions.edge_bytes,
    )


def _memcached(demand: Demand, assumptions: Assumptions, loads: Loads, costs: Costs) -> Need:
    """Each region holds the people of a day, and the posts of some days with their lists."""
    reads = sum(loads.reads.values())
    cached = demand.daily + loads.posts * DAY_S * assumptions.cached_days
    return Need(
        "memcached",
        MEMORY,
        "reads",
        reads,
        cpu_s=reads * costs.read_memcached_s,
        memory_gb=cached * assumptions.cached_bytes * assumptions.regions / GB,
        bytes_a_second=reads * assumptions.cached_value_bytes,
    )


def _postgres(demand: Demand, assumptions: Assumptions, loads: Loads, costs: Costs, partition: str) -> Need:
    """One vertical partition. Reads are shared by the regions' copies; each of them applies every write."""
    misses = loads.reads[partition] * (1 - hit_share(assumptions, costs))
    lists = loads.lists_of_builds if partition == "media" else 0
    statements = sum(
        rate * write.statements for write, rate in loads.writes.items() if write.partition == partition
    )
    kept, grows = _stored(demand, assumptions, loads, partition)
    held = kept + grows * assumptions.history_days
    return Need(
        f"PostgreSQL {partition}",
        DATABASE,
        "statements",
        misses + lists + statements,
        cpu_s=(misses + lists) * miss_s(costs) + statements * statement_s(costs) * assumptions.regions,
        memory_gb=held * assumptions.regions * assumptions.database_hot_share / GB,
        stored_bytes=kept * assumptions.regions,
        stored_bytes_a_day=grows * assumptions.regions,
        bytes_a_second=(misses + lists) * assumptions.object_bytes
        + statements * WRITE_BYTES * assumptions.regions,
    )


def _stored(demand: Demand, assumptions: Assumptions, loads: Loads, partition: str) -> tuple[float, float]:
    """Bytes of one copy: those that are there with the people, and those that a day adds. Follows are of the first kind."""
    if partition == FOLLOW.partition:
        edges = demand.people * assumptions.mean_followers * FOLLOW.edges
        return demand.people * assumptions.object_bytes + edges * assumptions.edge_bytes, 0
    added = sum(
        rate * DAY_S * (write.objects * assumptions.object_bytes + write.edges * assumptions.edge_bytes)
        for write, rate in loads.writes.items()
        if write.partition == partition
    )
    return 0, added


def _consumers(assumptions: Assumptions, loads: Loads, costs: Costs) -> Need:
    """Each region follows every log."""
    rows = sum(rate * write.logged_rows for write, rate in loads.writes.items()) * assumptions.regions
    return Need(
        "log consumers",
        APP,
        "rows",
        rows,
        cpu_s=rows * costs.logged_row_s,
        process_gb=assumptions.worker_mb / 1e3,
        bytes_a_second=rows * assumptions.edge_bytes,
    )


def _timelines_in_postgres(demand: Demand, assumptions: Assumptions, loads: Loads, costs: Costs) -> Need:
    """The one statement of a feed page is its timeline's."""
    copies = assumptions.regions
    held = demand.people * assumptions.timeline_entries * assumptions.entry_bytes * copies
    return Need(
        "timelines, PostgreSQL",
        DATABASE,
        "entries, pages",
        loads.entries + loads.feed_pages,
        cpu_s=loads.feed_pages * costs.feed_page_postgres_s + loads.entries * costs.entry_postgres_s * copies,
        memory_gb=held * assumptions.database_hot_share / GB,
        stored_bytes=held,
        bytes_a_second=(loads.entries * copies + loads.feed_pages * 20) * assumptions.entry_bytes,
    )


def _timelines_in_cassandra(demand: Demand, assumptions: Assumptions, loads: Loads, costs: Costs) -> Need:
    copies = assumptions.cassandra_copies * assumptions.regions
    held = demand.people * assumptions.timeline_entries * assumptions.entry_bytes * copies
    return Need(
        "timelines, Cassandra",
        DATABASE,
        "entries, pages",
        loads.entries + loads.feed_pages,
        cpu_s=loads.entries * costs.cassandra_entry_s * copies
        + loads.feed_pages * costs.cassandra_page_s * assumptions.cassandra_asked,
        memory_gb=held * assumptions.database_hot_share / GB,
        stored_bytes=held,
        bytes_a_second=(loads.entries * copies + loads.feed_pages * 20 * assumptions.cassandra_asked)
        * assumptions.entry_bytes,
        least=assumptions.cassandra_copies,
    )


TIMELINES: dict[Engine, Callable[[Demand, Assumptions, Loads, Costs], Need]] = {
    "postgresql": _timelines_in_postgres,
    "cassandra": _timelines_in_cassandra,
}


def _broker(loads: Loads) -> Need:
    """A queue is kept by three servers, and each job passes all of them."""
    return Need(
        "broker",
        BROKER,
        "messages",
        loads.jobs,
        messages=loads.jobs * 3,
        bytes_a_second=loads.jobs * 3_000,
        least=3,
    )


def _blobs(assumptions: Assumptions, loads: Loads, costs: Costs) -> Need:
    reads = loads.images * assumptions.blob_share
    a_photo = (costs.photo_bytes + costs.variants_bytes) * assumptions.blob_copies
    return Need(
        "blobs",
        BLOBS,
        "reads",
        reads,
        stored_bytes_a_day=loads.uploads * DAY_S * a_photo,
        bytes_a_second=reads * assumptions.image_bytes + loads.uploads * a_photo,
        disk_reads=reads
        + loads.posts * assumptions.photos_a_post * FILES_OF_A_PHOTO * assumptions.blob_copies,
    )


def _servers(need: Need, assumptions: Assumptions) -> Servers:
    now = _stored_tb(need, assumptions.history_days)
    then = _stored_tb(need, assumptions.history_days + YEAR_DAYS)
    peak = assumptions.peak_to_mean
    cores = need.cpu_s * peak / assumptions.utilisation / assumptions.core_speed
    memory_gb = cores * need.process_gb + need.memory_gb / assumptions.fullness
    network_gbit = need.bytes_a_second * peak / GBIT / assumptions.utilisation
    shape = need.shape
    others: dict[Binding, tuple[float, float]] = {
        "cores": (cores, shape.cores),
        "memory": (memory_gb, shape.memory_gb),
        "network": (network_gbit, shape.network_gbit),
        "disk reads": (
            need.disk_reads * peak / assumptions.utilisation,
            shape.disks * assumptions.disk_reads,
        ),
        "messages": (need.messages * peak / assumptions.utilisation, assumptions.broker_messages),
    }
    disks, least = shape.disk_tb * assumptions.fullness, ceil(need.least) * assumptions.regions
    amount, binds = _bound(others | {"storage": (now, disks)}, least)
    in_a_year, _ = _bound(others | {"storage": (then, disks)}, least)
    return Servers(
        engine=need.name,
        does=need.does,
        mean_a_second=need.a_second,
        peak_a_second=need.a_second * peak,
        cores=cores,
        memory_gb=memory_gb,
        storage_tb=now,
        storage_in_a_year_tb=then,
        network_gbit=network_gbit,
        shape=shape.name,
        servers=amount,
        servers_in_a_year=in_a_year,
        binds=binds,
    )


def _stored_tb(need: Need, days: float) -> float:
    return (need.stored_bytes + need.stored_bytes_a_day * days) / TB


def _bound(wanted: dict[Binding, tuple[float, float]], least: int) -> tuple[int, Binding]:
    """How many servers, and of what they run out first. What a server has none of, as a web worker has no storage, is
    wanted of none."""
    binds, share = max(
        ((name, need / has) for name, (need, has) in wanted.items() if has), key=lambda one: one[1]
    )
    return (ceil(share), binds) if share > least else (least, "copies")
