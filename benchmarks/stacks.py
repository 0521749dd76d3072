"""The four servers of `calotype bench feed`: one worker each, on loopback, over the same data."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import msgspec

from benchmarks import processes, requirements
from benchmarks.client import Client
from benchmarks.population import baseline_environment
from benchmarks.site import BenchSite
from calotype.cli import site_processes
from calotype.config.site import Cassandra, Region, Site, save
from calotype.infra.engines.memcached import Memcached

PATH = "/api/v1/timelines/home"
OURS = "calotype"


@dataclass(frozen=True)
class Stack:
    """A running server, and how each viewer is known to it."""

    name: str
    pid: int
    client: Client
    path: str
    cookies: dict[int, str]
    helpers: tuple[int, ...] = ()
    """Processes beside it whose CPU is told apart: memcached."""
    consumers: tuple[int, ...] = ()
    """Those of the commit logs."""

    def page(self, viewer: int) -> bytes:
        return self.client.get(
            self.path, {"Cookie": self.cookies[viewer], "Host": f"127.0.0.1:{self.client.port}"}
        )

    def cpu_s(self) -> float:
        return processes.cpu_s(self.pid)


@contextmanager
def started(bench: BenchSite, viewers: Sequence[int]) -> Iterator[list[Stack]]:
    """All four, ours first."""
    cookies = _cookies(bench, "tuned", viewers)
    with ExitStack() as stack:
        yield [
            stack.enter_context(ours(bench, viewers)),
            stack.enter_context(drf(bench, viewers)),
            stack.enter_context(_tuned(bench, cookies)),
            stack.enter_context(_cached(bench, cookies)),
        ]


@contextmanager
def web(bench: BenchSite, port: int, workers: int = 1, command: Sequence[str] | None = None) -> Iterator[int]:
    """Our web server exactly as `calotype up` runs it, but for another command if there is one; its process number."""
    told_web = msgspec.structs.replace(bench.site.web, host="127.0.0.1", port=port, workers=workers)
    site = msgspec.structs.replace(bench.site, web=told_web)
    spec = site_processes.web(site, site_processes.environment(bench.places, site))
    ready = processes.answers(port)
    with processes.running(
        command or spec.command, bench.places.log("web"), ready, spec.environment, spec.stop_signal
    ) as pid:
        yield pid


async def session_cookies(bench: BenchSite, accounts: Sequence[int]) -> dict[int, str]:
    """Sessions of these people, written as a log-in leaves them; each one's Cookie header."""
    from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY

    from calotype.web.sessions import SessionStore

    expires = datetime.now(UTC) + timedelta(days=1)
    connection = await asyncpg.connect(bench.site.databases["sessions"])
    cookies = {}
    try:
        for account in accounts:
            key = secrets.token_hex(16)
            data: dict[str, Any] = {
                SESSION_KEY: str(account),
                BACKEND_SESSION_KEY: "calotype.product.accounts.backends.AccountBackend",
                HASH_SESSION_KEY: "0" * 64,
            }
            await connection.execute(
                "insert into public.web_session (session_key, session_data, expire_date, account_id)"
                " values ($1, $2, $3, $4)",
                key,
                SessionStore().encode(data),
                expires,
                account,
            )
            cookies[account] = f"session={key}"
    finally:
        await connection.close()
    return cookies


async def build_timelines(site: Site, data: Path, owners: Sequence[int]) -> None:
    """What the job `feed.build` does at the first visit of each."""
    from calotype.config.wiring import open_site
    from calotype.product.feed.actions import build

    async with open_site(site, data) as opened:
        for owner in owners:
            await build(opened.graph, opened.timelines, owner, kept=site.feed.kept)


@dataclass(frozen=True)
class Cached:
    """Our site with memcached and the consumers of all logs beside it, as `calotype up` runs them; no web server yet."""

    site: Site
    cookies: dict[int, str]
    memcached: int
    consumers: tuple[int, ...]


@contextmanager
def cached(bench: BenchSite, viewers: Sequence[int], cassandra: Cassandra | None = None) -> Iterator[Cached]:
    """`cassandra`: what keeps the timelines."""
    cookies = asyncio.run(session_cookies(bench, viewers))
    kept = msgspec.structs.replace(bench.site, cassandra=cassandra)
    asyncio.run(build_timelines(kept, bench.places.data, viewers))
    server = Memcached("memcached-ours", bench.places.run, memory_mb=256)
    site = msgspec.structs.replace(kept, regions={"a": Region(memcached=(str(server.socket),))})
    save(bench.places.data, site)
    told = site_processes.environment(bench.places, site)
    with ExitStack() as stack:
        log = bench.places.log(server.name)
        memcached = stack.enter_context(processes.running(server.command(), log, server.ready))
        consumers = []
        for name in site.logs:
            spec = site_processes.invalidator(name, f"invalidator-{name}", told)
            told_how_far = bench.places.invalidator("a", name)
            told_how_far.unlink(missing_ok=True)
            log = bench.places.log(spec.name)
            consumers.append(
                stack.enter_context(
                    processes.running(spec.command, log, told_how_far.exists, spec.environment)
                )
            )
        stack.callback(save, bench.places.data, bench.site)
        yield Cached(site, cookies, memcached, tuple(consumers))


@contextmanager
def ours(bench: BenchSite, viewers: Sequence[int], cassandra: Cassandra | None = None) -> Iterator[Stack]:
    """With one worker. `cassandra`: what keeps the timelines."""
    (port,) = processes.free_ports(1)
    with cached(bench, viewers, cassandra) as site, web(bench, port) as pid:
        yield Stack(OURS, pid, Client(port), PATH, site.cookies, (site.memcached,), site.consumers)


@contextmanager
def drf(bench: BenchSite, viewers: Sequence[int]) -> Iterator[Stack]:
    (port,) = processes.free_ports(1)
    command = [
        sys.executable,
        "-P",
        "-m",
        "gunicorn",
        "--workers=1",
        "--worker-class=sync",
        "--no-control-socket",
    ]
    command += [f"--bind=127.0.0.1:{port}", "benchmarks.baselines.drf.wsgi:application"]
    with _baseline(bench, "drf", "drf", command, port) as pid:
        yield Stack("drf", pid, Client(port), PATH, _cookies(bench, "drf", viewers))


@contextmanager
def _tuned(bench: BenchSite, cookies: dict[int, str]) -> Iterator[Stack]:
    (port,) = processes.free_ports(1)
    with _baseline(bench, "tuned", "tuned", _uwsgi(port), port) as pid:
        yield Stack("tuned", pid, Client(port), PATH, cookies)


@contextmanager
def _cached(bench: BenchSite, cookies: dict[int, str]) -> Iterator[Stack]:
    (port,) = processes.free_ports(1)
    path = Path(baseline_environment(bench, "tuned")["BENCH_MEMCACHED"])
    path.unlink(missing_ok=True)
    command = ["memcached", "-s", str(path), "-m", "256", "-t", "1"]
    command += ["-u", "root"] if os.geteuid() == 0 else []
    with (
        processes.running(command, bench.places.log("memcached"), path.exists) as memcached,
        _baseline(bench, "tuned", "tuned-cached", _uwsgi(port), port) as pid,
    ):
        yield Stack("tuned+memcached", pid, Client(port), f"/cached{PATH}", cookies, (memcached,))


def _uwsgi(port: int) -> list[str]:
    binary = requirements.uwsgi()
    assert binary is not None, "requirements.ensure() comes first"
    options = [
        "--master",
        "--processes=1",
        "--single-interpreter",
        "--lazy-apps",
        "--need-app",
        "--die-on-term",
    ]
    options += ["--disable-logging", f"--http11-socket=127.0.0.1:{port}", f"--virtualenv={sys.prefix}"]
    return [binary, *options, "--module=benchmarks.baselines.tuned.wsgi:application"]


@contextmanager
def _baseline(bench: BenchSite, project: str, log: str, command: Sequence[str], port: int) -> Iterator[int]:
    environment = baseline_environment(bench, project)
    with processes.running(command, bench.places.log(log), processes.answers(port), environment) as pid:
        yield pid


def _cookies(bench: BenchSite, project: str, viewers: Sequence[int]) -> dict[int, str]:
    command = [sys.executable, "-P", "-m", "benchmarks.baselines.cookies", project, *map(str, viewers)]
    made: dict[str, str] = json.loads(processes.run(command, baseline_environment(bench, project)))
    return {int(person): cookie for person, cookie in made.items()}
