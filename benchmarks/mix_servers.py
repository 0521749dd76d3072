"""What runs beside a graph with a cache: memcached, and the consumers of the commit logs, each as on a site."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import msgspec

from benchmarks import processes
from benchmarks.site import BenchSite
from calotype.cli import site_processes
from calotype.config.site import FIRST_REGION, Region, Site, save
from calotype.infra.engines.memcached import Memcached
from calotype.infra.invalidation import position_key

DJANGO = "memcached"
"""The name of the server that Django's settings take (`population.baseline_environment`)."""


@dataclass(frozen=True)
class Beside:
    """`memcached` and `consumers` are process numbers."""

    server: Memcached
    memcached: int
    consumers: tuple[int, ...] = ()

    def memcached_cpu_s(self) -> float:
        return processes.cpu_s(self.memcached)

    def consumers_cpu_s(self) -> float:
        return sum(processes.cpu_s(pid) for pid in self.consumers)


@contextmanager
def memcached(bench: BenchSite, name: str, memory_mb: int) -> Iterator[Beside]:
    """One server, empty."""
    server = Memcached(name, bench.places.run, memory_mb)
    with processes.running(server.command(), bench.places.log(f"memcached-{name}"), server.ready) as pid:
        yield Beside(server, pid)


@contextmanager
def followed(bench: BenchSite, name: str, memory_mb: int) -> Iterator[Beside]:
    """The same, with a consumer for the log of each server of shards; each has published its position."""
    with memcached(bench, name, memory_mb) as alone:
        address = str(alone.server.socket)
        save(bench.places.data, with_cache(bench, address))
        told = site_processes.environment(bench.places, bench.site)
        with ThreadPoolExecutor() as threads, ExitStack() as stack:
            starting = [
                processes.running(
                    (spec := site_processes.invalidator(log, f"invalidator-{log}", told)).command,
                    bench.places.log(spec.name),
                    _published(address, log),
                    spec.environment,
                )
                for log in bench.site.servers
            ]
            yield Beside(alone.server, alone.memcached, tuple(threads.map(stack.enter_context, starting)))


def with_cache(bench: BenchSite, address: str) -> Site:
    """The site's file as it is with this memcached in its region."""
    return msgspec.structs.replace(bench.site, regions={FIRST_REGION: Region(memcached=(address,))})


def statistics(server: Memcached) -> dict[str, int]:
    """What memcached counts, as far as it is numbers."""
    lines = _ask(str(server.socket), b"stats\r\n", b"END\r\n").splitlines()
    words = [line.split() for line in lines if line.startswith(b"STAT ")]
    return {name.decode(): int(value) for _, name, value in words if value.isdigit()}


def _published(address: str, log: str) -> Callable[[], bool]:
    """Whether the position of a log is in the cache."""

    def ready() -> bool:
        return _ask(address, b"mg %b\r\n" % position_key(log), b"\r\n").startswith(b"HD")

    return ready


def _ask(address: str, command: bytes, end: bytes) -> bytes:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(5)
        connection.connect(address)
        connection.sendall(command)
        answer = b""
        while not answer.endswith(end) and (more := connection.recv(65_536)):
            answer += more
    return answer
