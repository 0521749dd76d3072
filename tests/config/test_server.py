"""The web server as `calotype up` runs it: workers that share what was loaded before they were forked, and come back."""

from __future__ import annotations

import gzip
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.request import Request, urlopen

import brotli
import pytest

from calotype.cli.load.browser import Browser
from calotype.cli.process import wait_until
from tests import django_site
from tests.running_site import SOURCE, RunningSite, kill, running_site
from tests.site import root

django_site.set_up()

linux = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nothing is forked")


@pytest.fixture(scope="module")
def site() -> Iterator[RunningSite]:
    with running_site(root() / "server", "--workers", "2", "--no-demo") as running:
        yield running


def answers(site: RunningSite, times: int = 8) -> None:
    """Over so many connections, which the kernel spreads over the workers."""
    for _ in range(times):
        with Browser(site.url) as browser:
            assert browser.get("/healthz").status == 200
            assert browser.get("/log-in/").status == 200


def started_with(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")


def shared_kb(pid: int) -> int:
    """Anonymous memory that a process has written and shares with another: of Python's objects, those of before a fork."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Shared_Dirty:"))


def replaced(site: RunningSite, old: list[int], seconds: float = 60) -> list[int]:
    """The workers, once none of them is of the old ones."""

    def new() -> bool:
        workers = site.web_workers()
        return len(workers) == 2 and not set(workers) & set(old)

    assert wait_until(new, seconds), site.web_workers()
    site.wait_until_healthy()  # a process is there before it listens, and where all were killed nobody else does
    return site.web_workers()


# --- Before the fork ---------------------------------------------------------------------------------------------------


def told(program: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-P", "-c", program],
        env={**os.environ, "PYTHONPATH": str(SOURCE), "CALOTYPE_DATA": str(django_site.data())},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )


@linux
def test_loading_the_site_starts_no_thread_and_opens_nothing() -> None:
    program = """
import asyncio, json, sys, threading
from calotype.config import server
method = server.start_method()
loaded = [name in sys.modules for name in ("calotype.config.wiring", "calotype.web.middleware", "asyncpg")]
from django.template import engines
templates = len(engines.all()[0].engine.template_loaders[0].get_template_cache)
running = asyncio._get_running_loop() is not None
print(json.dumps([method, loaded, templates > 30, threading.active_count(), running]))
"""
    assert json.loads(told(program).stdout) == ["fork", [True] * 3, True, 1, False]


@linux
def test_a_site_that_starts_threads_or_opens_something_when_it_is_loaded_is_not_forked() -> None:
    program = """
import socket, threading
from calotype.config import server
load, kept = server.preload, []
def {name}():
    load()
    {does}
server.preload = {name}
print(server.start_method())
"""
    thread = told(
        program.format(name="f", does="threading.Thread(target=threading.Event().wait, daemon=True).start()")
    )
    opened = told(program.format(name="f", does="kept.append(socket.socket())"))
    assert (thread.stdout, opened.stdout) == ("spawn\n", "spawn\n")
    assert "left 2 threads" in thread.stderr
    assert "socket:" in opened.stderr


# --- Static files ------------------------------------------------------------------------------------------------------


@pytest.mark.fault
def test_static_files_are_sent_as_they_were_compressed_ahead(site: RunningSite) -> None:
    with urlopen(f"{site.url}/log-in/") as answer:
        found = re.search(r'href="(/static/web/look[^"]+)"', answer.read().decode())
    assert found
    bodies = {}
    for coding in ("br", "gzip", "identity"):
        with urlopen(Request(site.url + found[1], headers={"Accept-Encoding": coding})) as answer:
            assert answer.headers.get("Content-Encoding", "identity") == coding
            assert "immutable" in answer.headers["Cache-Control"]
            bodies[coding] = answer.read()
            assert len(bodies[coding]) == int(answer.headers["Content-Length"])
    assert brotli.decompress(bodies["br"]) == gzip.decompress(bodies["gzip"]) == bodies["identity"]
    assert len(bodies["br"]) < len(bodies["gzip"]) < len(bodies["identity"]) / 3


# --- Workers -----------------------------------------------------------------------------------------------------------


@linux
@pytest.mark.fault
def test_workers_share_what_was_loaded_before_they_were_forked(site: RunningSite) -> None:
    answers(site)
    for pid in site.web_workers():
        assert shared_kb(pid) > 25_000


LOADING = ["relay", "web", "worker-interactive", "worker-bulk"]


def parent(pid: int) -> int:
    stat = Path(f"/proc/{pid}/stat").read_text()
    return int(stat[stat.rindex(")") + 2 :].split()[1])


@linux
@pytest.mark.fault
def test_all_that_load_the_site_are_forked_off_one_process_that_has(site: RunningSite) -> None:
    pids = [site.pid(name) for name in LOADING]
    (server,) = {parent(pid) for pid in pids}
    assert "fork_server" in started_with(server)
    assert all(shared_kb(pid) > 25_000 for pid in pids)


@linux
@pytest.mark.fault
def test_when_that_process_is_killed_the_site_comes_back_whole(site: RunningSite) -> None:
    pids = {name: site.pid(name) for name in LOADING}
    kill(parent(pids["web"]))

    def back() -> bool:
        children = site.children()
        return all(children[name].state == "running" and site.pid(name) != pid for name, pid in pids.items())

    assert wait_until(back, 60), site.children()
    site.wait_until_healthy()
    answers(site)
    assert len({parent(site.pid(name)) for name in LOADING}) == 1


@pytest.mark.fault
def test_killed_workers_are_forked_again_and_answer(site: RunningSite) -> None:
    server, old = site.pid("web"), site.web_workers()
    for pid in old:
        kill(pid)
    new = replaced(site, old)
    answers(site)
    assert site.pid("web") == server
    if sys.platform == "linux":
        assert all("spawn_main" not in started_with(pid) and shared_kb(pid) > 25_000 for pid in new)


@pytest.mark.fault
def test_a_reload_replaces_the_workers_by_some_that_load_everything_anew(site: RunningSite) -> None:
    server, old = site.pid("web"), site.web_workers()
    os.kill(server, signal.SIGHUP)
    until = replaced(site, old)
    answers(site)
    assert all("spawn_main" in started_with(pid) for pid in until)
    kill(until[0])
    assert wait_until(lambda: until[0] not in site.web_workers() and len(site.web_workers()) == 2, 30)
    site.wait_until_healthy()
    answers(site)
    assert site.pid("web") == server


@pytest.mark.fault
def test_the_server_ends_with_all_of_its_workers(site: RunningSite) -> None:
    server, workers = site.pid("web"), site.web_workers()
    os.kill(server, signal.SIGTERM)
    assert wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in [server, *workers]), 15)
    site.wait_until_healthy()
    assert site.pid("web") != server
    answers(site)
