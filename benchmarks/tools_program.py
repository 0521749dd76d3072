"""A Django site under a tool for `calotype bench dynostats`: `python -m benchmarks.tools_program`, its settings as always.

Reads a `Turn` a line, asks its own WSGI application for these pages, and answers each with a `Spent`, until its input
ends. What the tool's threads do later is in the next answer, so that nothing of it is lost.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable
from functools import cache
from wsgiref.util import setup_testing_defaults

import msgspec

type Environ = dict[str, object]


class Turn(msgspec.Struct, frozen=True):
    path: str
    viewers: list[int]
    """A request each, of this person."""


class Spent(msgspec.Struct, frozen=True):
    cpu_ns: int
    """Of the whole process, since the last answer."""
    seen: int | None = None
    """After a turn without requests: how many the tool knows of."""


class Answers:
    """What a server does with an application's answers."""

    def __init__(self) -> None:
        self.status = ""

    def start(
        self, status: str, headers: list[tuple[str, str]], *failure: object
    ) -> Callable[[bytes], object]:
        self.status = status
        return self.written

    def written(self, part: bytes) -> None:
        raise NotImplementedError("of another age, and not Django's")

    def take(self, parts: Iterable[bytes]) -> None:
        """Raises `RuntimeError` unless it is a success."""
        for _ in parts:
            pass
        getattr(parts, "close", lambda: None)()
        if not self.status.startswith("200"):
            raise RuntimeError(f"the answer is {self.status}")


def environ(path: str, cookie: str) -> Environ:
    made: Environ = {"PATH_INFO": path, "HTTP_HOST": "127.0.0.1", "HTTP_COOKIE": cookie}
    setup_testing_defaults(made)
    return made


def serve() -> None:
    from django.core.wsgi import get_wsgi_application

    from benchmarks.baselines.cookies import signed_cookie
    from benchmarks.baselines.tools.settings import TOOL
    from benchmarks.baselines.tools.watching import TOOLS

    seen = TOOLS[TOOL]()
    application, answers, cookie = get_wsgi_application(), Answers(), cache(signed_cookie)
    before_ns = time.process_time_ns()
    for line in sys.stdin:
        turn = msgspec.json.decode(line, type=Turn)
        for viewer in turn.viewers:
            answers.take(application(environ(turn.path, cookie(viewer)), answers.start))
        now_ns = time.process_time_ns()
        spent = Spent(now_ns - before_ns, None if turn.viewers else seen())
        before_ns = now_ns
        print(msgspec.json.encode(spent).decode(), flush=True)


if __name__ == "__main__":
    serve()
