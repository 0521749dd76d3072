"""A process that has loaded the site and opened nothing, of which others are forked: they share its memory and need not load it.

Loading the site takes two seconds of CPU and 80 MB, and a site has four processes that need it. The supervisor asks for
one with its module and arguments over a socket (`forked`), and passes the descriptor that the new process writes to. It is
told who that process is and, as whoever starts a process is, how it ended. When the supervisor goes, so does this; when
this goes, the kernel ends what was forked off it.

Linux only: elsewhere the system's own libraries start threads, and processes are started one by one. Run as
`python -m calotype.cli.fork_server DESCRIPTOR`.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import os
import runpy
import select
import signal
import socket
import sys
from collections.abc import Iterator, Sequence

import msgspec

from calotype.std.forking import hindrance

PR_SET_PDEATHSIG = 1
PR_SET_NAME = 15
NAME_BYTES = 15
"""Of the name that the kernel keeps of a process, which `top` and `ps -o comm` show."""

MESSAGE_BYTES = 65536


class Ask(msgspec.Struct, frozen=True):
    """For a process; with the message comes the descriptor that is its standard output and error."""

    id: int
    name: str
    run: tuple[str, ...]
    """A module, run as `python -m` runs it, and its arguments."""


class Begun(msgspec.Struct, frozen=True, tag=True):
    id: int
    pid: int


class Ended(msgspec.Struct, frozen=True, tag=True):
    id: int
    status: int
    """As `subprocess` has it: below zero the signal that ended it."""


class Refused(msgspec.Struct, frozen=True, tag=True):
    """The system would not fork."""

    id: int
    why: str


Told = Begun | Ended | Refused


def main() -> None:
    with socket.socket(fileno=int(sys.argv[1])) as link:
        why_not = hindrance(load)
        if why_not:
            print(f"the site's processes share nothing: loading it {why_not}", file=sys.stderr, flush=True)
        gc.collect()
        gc.freeze()  # no collection in a child touches, and so copies, what it has from here
        run = serve(link)
    if run is None:
        return
    if why_not:
        os.execv(sys.executable, [sys.executable, "-P", "-m", *run])  # noqa: S606
    module, *sys.argv[1:] = run
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def load() -> None:
    """Import what more than one process of a site needs."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "calotype.config.settings")
    import django

    django.setup(set_prefix=False)
    import calotype.config.wiring
    import calotype.infra.jobs.worker  # noqa: F401


def serve(link: socket.socket) -> Sequence[str] | None:
    """Fork off what is asked for. Returns twice: in each process that was forked what it is to run, and here, when the
    supervisor has gone, None."""
    woken, wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wake)
    ids: dict[int, int] = {}
    while True:
        readable, _, _ = select.select([link.fileno(), woken], [], [])
        if woken in readable:
            os.read(woken, MESSAGE_BYTES)
        for pid, status in _ended():
            _tell(link, Ended(ids.pop(pid), status))
        if link.fileno() not in readable:
            continue
        message, descriptors, _, _ = socket.recv_fds(link, MESSAGE_BYTES, 1)
        if not message:
            return None
        ask = msgspec.json.decode(message, type=Ask)
        ourselves = os.getpid()
        try:
            pid = os.fork()
        except OSError as error:
            _tell(link, Refused(ask.id, str(error)))
            pid = -1
        if pid == 0:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            os.close(woken)
            os.close(wake)
            _become(ask.name, descriptors[0], ourselves)
            return ask.run
        os.close(descriptors[0])
        if pid > 0:
            ids[pid] = ask.id
            _tell(link, Begun(ask.id, pid))


def _ended() -> Iterator[tuple[int, int]]:
    with contextlib.suppress(ChildProcessError):
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            yield pid, os.waitstatus_to_exitcode(status)


def _tell(link: socket.socket, told: Told) -> None:
    with contextlib.suppress(OSError):  # the supervisor has gone: the next reading says so
        link.send(msgspec.json.encode(told))


def _become(name: str, output: int, parent: int) -> None:
    """A process like one that was started by itself: a session, an output and a name of its own."""
    os.setsid()
    libc = ctypes.CDLL(None)
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != parent:  # it had gone before it was asked to tell
        os._exit(1)
    libc.prctl(PR_SET_NAME, name.encode()[:NAME_BYTES], 0, 0, 0)
    os.dup2(output, sys.stdout.fileno())
    os.dup2(output, sys.stderr.fileno())
    os.close(output)


if __name__ == "__main__":
    main()
