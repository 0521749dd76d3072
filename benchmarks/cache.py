"""`calotype bench cache`: our client of memcached beside others', on one server.

Measured: CPU of the client process (`time.process_time`) for a multi-get of 20 values of 130 bytes, all of them there,
and for a set; by 8 tasks at once and by one alone (sync clients: one). All speak TCP over loopback, since not all of them
know Unix sockets. Each is set as is best for it: a connection a task for those that do not share one, pylibmc's text
protocol. What they answer is checked before they are measured. Variants take turns; figures are medians of the rounds.

Client and memcached share one core. Where the system puts them on two, a client that waits for one answer sleeps and is
woken for each, which costs it 30 us more whichever it is: so by one task chance would decide, not the client.

`obj_get` is the graph's: 20 objects of 670 bytes (TAO's mean) decoded into Structs, from memcached alone: what the process
keeps of hot keys is counted and not used. Beside it the bare client's multi-get of the same entries.
"""

from __future__ import annotations

import asyncio
import os
import random
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import aiomcache
import emcache
import pylibmc
import uvloop
from pymemcache.client.base import Client as PyMemcache

from benchmarks import cached_objects, processes, requirements
from benchmarks.report import Options, Report, Row, report, row
from calotype.cli.bars import Bar
from calotype.infra.cache import Cache, Found, safe_key

ROUNDS = 7
CALLS = 4_000
TASKS = 8
BATCH = 20
VALUE_BYTES = 130
OBJECTS = 2_000

CLIENT_TARGET = 0.8
"""Of the best async client's CPU."""
GRAPH_TARGET = 1.5
"""Of the bare client's, for as many objects."""

OURS = "calotype"
ASYNC = ("emcache", "aiomcache")
SYNC = ("pylibmc", "pymemcache")

KEYS = [safe_key(f"bench:{n:04d}") for n in range(BATCH)]
TEXTS = [key.decode() for key in KEYS]

Operation = Callable[[], Awaitable[object]]
PACKAGES = ("pylibmc", "emcache", "aiomcache", "pymemcache", "uvloop", "msgspec")


@dataclass
class Case:
    """One thing that several clients do. `costs`: (client, tasks) -> microseconds a call, round by round."""

    name: str
    asynchronous: dict[str, Operation]
    synchronous: dict[str, Callable[[], object]]
    costs: dict[tuple[str, int], list[float]] = field(default_factory=dict)

    def spent(self, who: str, tasks: int, seconds: float, calls: int) -> None:
        self.costs.setdefault((who, tasks), []).append(seconds * 1e6 / calls)

    def typical(self, who: str, tasks: int) -> float:
        return median(self.costs[who, tasks])


def run(options: Options) -> Report:
    """Start memcached, fill it, measure every client."""
    requirements.ensure()
    calls = CALLS // 10 if options.quick else CALLS
    options.data.mkdir(parents=True, exist_ok=True)
    with (
        _one_core(),
        _memcached(options.data / "memcached.log") as port,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        rows = runner.run(_measure(port, calls))
    version = subprocess.run(["memcached", "-V"], capture_output=True, text=True, check=True).stdout.split()[
        -1
    ]
    return report("cache", PACKAGES, rows, {"memcached": version})


@contextmanager
def _one_core() -> Iterator[None]:
    """For this process and those that it starts, where that can be said."""
    if sys.platform != "linux":
        yield
        return
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)


@contextmanager
def _memcached(log: Path) -> Iterator[int]:
    (port,) = processes.free_ports(1)
    command = [
        "memcached",
        "-l",
        "127.0.0.1",
        "-p",
        str(port),
        "-U",
        "0",
        "-m",
        "64",
        "-t",
        "1",
        "-u",
        "root",
    ]
    with processes.running(command, log, processes.answers(port)):
        yield port


async def _measure(port: int, calls: int) -> list[Row]:
    async with AsyncExitStack() as stack:
        ours = Cache([f"127.0.0.1:{port}"])
        stack.push_async_callback(ours.close)
        cases = await _cases(ours, port, stack)
        graph = await _graph_case(ours, calls)
        with Bar("rounds") as bar:
            for number in range(ROUNDS + 1):  # the first one warms up
                for case in (*cases, graph):
                    await _round(case, calls)
                    if number == 0:
                        case.costs.clear()
                bar.update(number + 1, ROUNDS + 1)
    return [each for case in cases for each in _rows(case)] + _graph_rows(graph)


async def _cases(ours: Cache, port: int, stack: AsyncExitStack) -> list[Case]:
    value = random.Random(1).randbytes(VALUE_BYTES)
    for key in KEYS:
        assert await ours.set(key, value)
    address = emcache.MemcachedHostAddress("127.0.0.1", port)
    em = await emcache.create_client([address], timeout=5.0, max_connections=TASKS)
    stack.push_async_callback(em.close)
    aio = aiomcache.Client("127.0.0.1", port, pool_size=TASKS)
    stack.push_async_callback(aio.close)
    lib = pylibmc.Client([f"127.0.0.1:{port}"], behaviors={"tcp_nodelay": True})
    py = PyMemcache(("127.0.0.1", port), no_delay=True)
    stack.callback(py.close)
    reads = Case(
        f"get of {BATCH}",
        {
            OURS: lambda: ours.get_many(KEYS),
            "calotype, with leases": lambda: ours.lease_many(KEYS),
            "emcache": lambda: em.get_many(KEYS),
            "aiomcache": lambda: aio.multi_get(*KEYS),
        },
        {"pylibmc": lambda: lib.get_multi(TEXTS), "pymemcache": lambda: py.get_many(TEXTS)},
    )
    writes = Case(
        "set",
        {
            OURS: lambda: ours.set(KEYS[0], value),
            "emcache": lambda: em.set(KEYS[0], value),
            "aiomcache": lambda: aio.set(KEYS[0], value),
        },
        {
            "pylibmc": lambda: lib.set(TEXTS[0], value),
            "pymemcache": lambda: py.set(TEXTS[0], value, noreply=False),
        },
    )
    await _check_reads(reads, value)
    await _check_writes(writes, value, ours)
    return [reads, writes]


async def _check_reads(case: Case, value: bytes) -> None:
    """A client that finds less than all would be cheap."""
    for operation in case.asynchronous.values():
        assert _values(await operation()) == [value] * BATCH
    for operate in case.synchronous.values():
        assert _values(operate()) == [value] * BATCH


def _values(answer: Any) -> list[bytes]:
    """Of whatever a client makes of a multi-get."""
    found = answer.hits if isinstance(answer, Found) else answer
    return [getattr(each, "value", each) for each in (found.values() if isinstance(found, dict) else found)]


async def _check_writes(case: Case, value: bytes, ours: Cache) -> None:
    for operation in case.asynchronous.values():
        await ours.remove(KEYS[:1])
        await operation()
        assert await ours.get(KEYS[0]) == value
    for operate in case.synchronous.values():
        await ours.remove(KEYS[:1])
        operate()
        assert await ours.get(KEYS[0]) == value


async def _graph_case(ours: Cache, calls: int) -> Case:
    """What `Graph.obj_get_many` does for 20 hits of memcached, beside the bare multi-get of the same entries."""
    read, ids, keys = await cached_objects.reader(ours, OBJECTS)
    chance = random.Random(2)

    def some() -> int:
        return chance.randrange(0, OBJECTS - BATCH)

    async def objects() -> object:
        start = some()
        found = await read(ids[start : start + BATCH])
        assert len(found) == BATCH
        return found

    async def bare() -> object:
        start = some()
        return await ours.get_many(keys[start : start + BATCH])

    return Case(f"obj_get of {BATCH} hits", {OURS: objects, "get_many": bare}, {})


async def _round(case: Case, calls: int) -> None:
    for tasks in (TASKS, 1):
        for who, operation in case.asynchronous.items():
            case.spent(who, tasks, await _spent(operation, calls, tasks), calls)
    for who, operate in case.synchronous.items():
        began = time.process_time()
        for _ in range(calls):
            operate()
        case.spent(who, 1, time.process_time() - began, calls)


async def _spent(operation: Operation, calls: int, tasks: int) -> float:
    async def work() -> None:
        for _ in range(calls // tasks):
            await operation()

    began = time.process_time()
    async with asyncio.TaskGroup() as group:
        for _ in range(tasks):
            group.create_task(work())
    return time.process_time() - began


def _rows(case: Case) -> list[Row]:
    rows: list[Row] = []
    for tasks in (TASKS, 1):
        title = f"{case.name}, {tasks} task{'s' if tasks > 1 else ''}, client CPU"
        value = case.typical(OURS, tasks)
        best = min(ASYNC, key=lambda who: case.typical(who, tasks))
        rows += [
            row(title, value, "us", who, case.typical(who, tasks), CLIENT_TARGET if who == best else None)
            for who in (*ASYNC, *(SYNC if tasks == 1 else ()))
        ]
        if "calotype, with leases" in case.asynchronous:
            leased = case.typical("calotype, with leases", tasks)
            rows.append(row(f"{title}, with leases", leased, "us", best, case.typical(best, tasks)))
    return rows


def _graph_rows(case: Case) -> list[Row]:
    return [
        row(
            f"{case.name}, {tasks} task{'s' if tasks > 1 else ''}, client CPU",
            case.typical(OURS, tasks),
            "us",
            "get_many",
            case.typical("get_many", tasks),
            GRAPH_TARGET,
        )
        for tasks in (TASKS, 1)
    ]
