"""Processes that are forked off one that has loaded something: here a small module instead of the site."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

import pytest

from calotype.cli.forked import Forked, ForkServer, LoadFailed
from calotype.cli.process import alive, identify, wait_until
from tests.running_site import SOURCE

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nothing is forked")

LOADED = """
LOADED_BY = __import__("os").getpid()
"""

SERVER = """
import sys, threading
from calotype.cli import fork_server
def load():
    import loaded
    {more}
fork_server.load = load
fork_server.main()
"""

CHILD = """
import os, sys, time
import loaded
own_session = os.getpgid(0) == os.getsid(0) == os.getpid()
name = open("/proc/self/comm").read().strip()
print(loaded.LOADED_BY, os.getppid(), os.getpid(), own_session, name, __name__, *sys.argv[1:], flush=True)
match sys.argv[1:]:
    case ["sleep"]:
        time.sleep(60)
    case ["exit", status]:
        sys.exit(int(status))
"""


@pytest.fixture
def modules(tmp_path: Path) -> Path:
    """A directory with what is loaded, and with what is run."""
    (tmp_path / "loaded.py").write_text(LOADED)
    (tmp_path / "child.py").write_text(CHILD)
    return tmp_path


type Made = Callable[[str], ForkServer]


@pytest.fixture
async def made(modules: Path) -> AsyncIterator[Made]:
    servers: list[ForkServer] = []

    def make(more: str) -> ForkServer:
        command = [sys.executable, "-P", "-c", SERVER.format(more=more)]
        environment = {**os.environ, "PYTHONPATH": f"{SOURCE}:{modules}"}
        servers.append(ForkServer(command, environment, modules, modules / "fork-server.log"))
        return servers[-1]

    yield make
    for server in servers:
        await server.close()


@pytest.fixture
def server(made: Made) -> ForkServer:
    return made("pass")


async def forked(server: ForkServer, output: Path, *arguments: str) -> Forked:
    with output.open("wb") as file:
        return await server.fork("worker-interactive", ["child", *arguments], file.fileno())


async def said(output: Path) -> Sequence[str]:
    """The line that it writes, once it has."""

    def line() -> str:
        return output.read_text()

    assert await asyncio.to_thread(wait_until, lambda: line().endswith("\n"), 10)
    return (await asyncio.to_thread(line)).split()


async def test_a_process_has_what_was_loaded_and_is_otherwise_like_one_that_was_started(
    server: ForkServer, tmp_path: Path
) -> None:
    running = await forked(server, tmp_path / "out", "exit", "3")
    assert await running.wait() == running.returncode == 3
    loaded_by, parent, pid, own_session, *rest = await said(tmp_path / "out")
    assert loaded_by == parent != pid == str(running.pid)
    assert [own_session, *rest] == ["True", "worker-interact", "__main__", "exit", "3"]


async def test_what_is_loaded_is_loaded_once(server: ForkServer, tmp_path: Path) -> None:
    each = [await forked(server, tmp_path / name, "exit", "0") for name in ("one", "other")]
    assert [await running.wait() for running in each] == [0, 0]
    one, other = await said(tmp_path / "one"), await said(tmp_path / "other")
    assert one[0] == other[0]
    assert one[2] != other[2]


async def test_a_signal_reaches_it_and_how_it_ended_is_told(server: ForkServer, tmp_path: Path) -> None:
    running = await forked(server, tmp_path / "out", "sleep")
    await said(tmp_path / "out")
    running.send_signal(signal.SIGTERM)
    assert await running.wait() == -signal.SIGTERM
    killed = await forked(server, tmp_path / "killed", "sleep")
    killed.send_signal(signal.SIGKILL)
    assert await killed.wait() == -signal.SIGKILL
    killed.send_signal(signal.SIGTERM)  # there is nobody to signal, and nobody is


async def test_when_the_server_is_killed_all_of_it_ends_and_the_next_one_is_started_anew(
    server: ForkServer, tmp_path: Path
) -> None:
    each = [await forked(server, tmp_path / name, "sleep") for name in ("one", "other")]
    processes = [identify(running.pid) for running in each]
    parent = int((await said(tmp_path / "one"))[1])
    os.kill(parent, signal.SIGKILL)
    assert [await running.wait() for running in each] == [-signal.SIGTERM] * 2
    assert wait_until(lambda: not any(process and alive(process) for process in processes), 10)
    again = await forked(server, tmp_path / "again", "exit", "0")
    assert await again.wait() == 0
    assert int((await said(tmp_path / "again"))[1]) != parent


async def test_several_at_once_are_of_one_server(server: ForkServer, tmp_path: Path) -> None:
    each = await asyncio.gather(*(forked(server, tmp_path / str(n), "exit", str(n)) for n in range(8)))
    assert [await running.wait() for running in each] == list(range(8))
    assert len({(await said(tmp_path / str(n)))[1] for n in range(8)}) == 1


async def test_what_cannot_be_loaded_is_said_with_its_last_words(made: Made, tmp_path: Path) -> None:
    server = made("raise SystemExit('no such site')")
    for _ in range(2):  # it is tried again when somebody asks again
        with pytest.raises(LoadFailed, match=r"(?s)ended with status 1.*no such site"):
            await forked(server, tmp_path / "out", "exit", "0")


async def test_what_starts_a_thread_is_not_shared(made: Made, tmp_path: Path) -> None:
    server = made("threading.Thread(target=threading.Event().wait, daemon=True).start()")
    running = await forked(server, tmp_path / "out", "exit", "4")
    assert await running.wait() == 4
    loaded_by, parent, pid, *_ = await said(tmp_path / "out")
    assert loaded_by == pid != parent
    assert "left 2 threads" in (tmp_path / "fork-server.log").read_text()


async def test_a_process_that_nobody_waits_for_any_more_is_ended(server: ForkServer, tmp_path: Path) -> None:
    asking = asyncio.create_task(forked(server, tmp_path / "out", "sleep"))
    await asyncio.sleep(0)  # it has asked
    while not (tmp_path / "fork-server.log").exists():  # noqa: ASYNC110
        await asyncio.sleep(0)
    asking.cancel()
    await asyncio.wait([asking])
    other = await forked(server, tmp_path / "other", "exit", "0")
    assert await other.wait() == 0
    parent = int((await said(tmp_path / "other"))[1])
    children = Path(f"/proc/{parent}/task/{parent}/children")
    assert wait_until(lambda: not children.read_text().strip(), 10)


def test_what_was_forked_ends_with_the_supervisor(modules: Path) -> None:
    supervisor = """
import asyncio, os, signal, sys
from pathlib import Path
from calotype.cli import site_processes
from calotype.cli.forked import ForkServer
async def main():
    command = [*site_processes.dying_with_us(signal.SIGTERM), sys.executable, "-P", "-c", sys.argv[1]]
    server = ForkServer(command, dict(os.environ), Path("."), Path("log"))
    with open("out", "wb") as out:
        running = await server.fork("child", ["child", "sleep"], out.fileno())
    print(running.pid, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
asyncio.run(main())
"""
    ran = subprocess.run(
        [sys.executable, "-P", "-c", supervisor, SERVER.format(more="pass")],
        env={**os.environ, "PYTHONPATH": f"{SOURCE}:{modules}"},
        cwd=modules,
        stdout=subprocess.PIPE,
        text=True,
        timeout=30,
    )
    assert ran.returncode == -signal.SIGKILL
    pid = int(ran.stdout.split()[0])
    assert wait_until(lambda: identify(pid) is None, 10)
