"""Requests that arrive when they arrive, whether or not the earlier ones have been answered: one process of an open load.

    python -m benchmarks.arrivals PLAN.json     prints `ready`, begins when it is sent a line, writes a `Result` to PLAN.result

Arrivals of all actions together are one Poisson process from a seed. Times are from when a request should have been sent:
a generator that is late makes nothing look faster than it was. What it was late is told too.
"""

from __future__ import annotations

import asyncio
import random
import secrets
import sys
import time
from pathlib import Path
from typing import Literal, NamedTuple
from urllib.parse import urlencode

import msgspec
import uvloop

Action = Literal["photo", "like", "feed page", "comment"]

CONNECTIONS = 400
"""At most; whoever finds none waits, and the time counts."""

GRACE_S = 0.25
"""For what arrives just before the end: so long it takes without any queue."""

RECENT = 2.0
"""The higher, the more of the likes and comments go to the newest posts."""

SAYINGS = ("Beautiful light.", "Where is this?", "This one stays with me.", "The colours!", "Again, please.")


class Someone(msgspec.Struct, frozen=True):
    account: int
    cookie: str


class Plan(msgspec.Struct, frozen=True):
    port: int
    seconds: float
    per_s: dict[Action, float]
    seed: int
    people: list[Someone]
    posts: list[str]
    """Oldest first."""
    photos: list[str]
    """Paths of JPEG files."""
    timeout_s: float


class Figures(msgspec.Struct):
    """Of one action. `offered`: arrivals. `in_time`: of those that were answered well, how many before the end."""

    offered: int = 0
    in_time: int = 0
    answered_ms: list[float] = []


class Result(msgspec.Struct):
    figures: dict[Action, Figures]
    errors: dict[str, int]
    """What went wrong -> how often."""
    late_ms: list[float]
    """How much later than it should have been each request began."""
    cpu_s: float
    posts: list[str]
    """New ones, oldest first."""


class Broken(Exception):  # what happened to an answer, not an error of the program
    """An answer that is not what it should be."""


class Answer(NamedTuple):
    status: int
    ticket: str
    """The cookie of that name which it sets, as `name=value`; empty when it sets none."""
    body: bytes


class Connections:
    """Kept-alive connections to one port of this machine, as many as are needed at once."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
        self._turn = asyncio.Semaphore(CONNECTIONS)

    async def ask(self, head: str, body: bytes) -> Answer:
        """Ask for one thing. The connection is closed if anything fails on the way."""
        async with self._turn:
            reader, writer = await self._connection()
            try:
                writer.write(head.encode() + body)
                answer = await _answer(reader)
            except BaseException:
                writer.close()
                raise
            self._idle.append((reader, writer))
            return answer

    def close(self) -> None:
        for _, writer in self._idle:
            writer.close()

    async def _connection(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        while self._idle:
            reader, writer = self._idle.pop()
            if not reader.at_eof() and not writer.is_closing():
                return reader, writer
        return await asyncio.open_connection("127.0.0.1", self._port)


async def _answer(reader: asyncio.StreamReader) -> Answer:
    first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin1").splitlines()
    size, ticket = 0, ""
    for line in lines:
        name, _, value = line.partition(":")
        match name.lower():
            case "content-length":
                size = int(value)
            case "set-cookie" if value.strip().startswith("ticket="):
                ticket = value.strip().partition(";")[0]
    return Answer(int(first.split()[1]), ticket, await reader.readexactly(size))


class Load:
    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._chance = random.Random(plan.seed)
        self._connections = Connections(plan.port)
        self._photos = [Path(path).read_bytes() for path in plan.photos]
        self._posts = list(plan.posts)
        self._tickets: dict[int, str] = {}
        self._token = secrets.token_hex(16)
        self._turns = self._chance.sample(plan.people, len(plan.people))
        self.result = Result({action: Figures() for action in plan.per_s}, {}, [], 0.0, [])

    async def run(self) -> None:
        """Let requests arrive for as long as planned, and wait for those that are on their way."""
        plan = self._plan
        actions, weights = list(plan.per_s), list(plan.per_s.values())
        tasks: set[asyncio.Task[None]] = set()
        spent = time.process_time()
        began = due = time.perf_counter()
        while (due := due + self._chance.expovariate(sum(weights))) < began + plan.seconds:
            if (wait := due - time.perf_counter()) > 0:
                await asyncio.sleep(wait)
            (action,) = self._chance.choices(actions, weights)
            task = asyncio.create_task(self._one(action, due, began + plan.seconds + GRACE_S))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
        if tasks:
            await asyncio.wait(tasks)
        self.result.cpu_s = time.process_time() - spent
        self._connections.close()

    async def _one(self, action: Action, due: float, end: float) -> None:
        figures = self.result.figures[action]
        figures.offered += 1
        self.result.late_ms.append(max(0.0, time.perf_counter() - due) * 1000)
        try:
            async with asyncio.timeout(self._plan.timeout_s):
                await self._do(action)
        except (
            OSError,
            EOFError,
            Broken,
        ) as error:  # a timeout is an OSError, a closed connection an EOFError
            words = f"{action}: {type(error).__name__} {error}".strip()
            self.result.errors[words] = self.result.errors.get(words, 0) + 1
        else:
            now = time.perf_counter()
            figures.answered_ms.append((now - due) * 1000)
            figures.in_time += now <= end

    async def _do(self, action: Action) -> None:
        match action:
            case "feed page":
                await self._ask(self._anybody(), "GET", "/api/v1/timelines/home", 200)
            case "like":
                await self._ask(self._anybody(), "POST", f"/p/{self._post()}/like/", 200)
            case "comment":
                fields = {"text": self._chance.choice(SAYINGS), "key": secrets.token_hex(8)}
                form = urlencode(fields).encode()
                await self._ask(self._next(), "POST", f"/p/{self._post()}/comments/", 200, form)
            case "photo":
                body, kind = multipart(self._chance.choice(self._photos))
                answer = await self._ask(self._next(), "POST", "/new/", 201, body, kind)
                new = msgspec.json.decode(answer, type=dict[str, object])["posts"]
                assert isinstance(new, list)
                self._posts += new
                self.result.posts += new

    async def _ask(
        self,
        person: Someone,
        method: str,
        path: str,
        wanted: int,
        body: bytes = b"",
        kind: str = "application/x-www-form-urlencoded",
    ) -> bytes:
        """The body of an answer with the wanted status; raises `Broken` for another."""
        cookie = f"{person.cookie}; csrftoken={self._token}"
        if ticket := self._tickets.get(person.account):
            cookie += f"; {ticket}"
        head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{self._plan.port}\r\nCookie: {cookie}\r\n"
        if method == "POST":
            head += f"X-CSRFToken: {self._token}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n"
        answer = await self._connections.ask(f"{head}Accept: application/json\r\n\r\n", body)
        if answer.status != wanted:
            raise Broken(f"{answer.status} {answer.body[:160].decode(errors='replace')}")
        if answer.ticket:  # to read one's own writes: a browser brings it with what it asks for next
            self._tickets[person.account] = answer.ticket
        return answer.body

    def _anybody(self) -> Someone:
        return self._chance.choice(self._plan.people)

    def _next(self) -> Someone:
        """One after the other, since the product takes only so many comments from each."""
        person = self._turns.pop()
        if not self._turns:
            self._turns = self._chance.sample(self._plan.people, len(self._plan.people))
        return person

    def _post(self) -> str:
        return self._posts[-1 - int(len(self._posts) * self._chance.random() ** RECENT)]


def multipart(photo: bytes) -> tuple[bytes, str]:
    """An upload of one JPEG as the form sends it; its content type."""
    edge = secrets.token_hex(16)
    body = b"".join(
        [
            f'--{edge}\r\nContent-Disposition: form-data; name="caption"\r\n\r\nSeptember\r\n'.encode(),
            f'--{edge}\r\nContent-Disposition: form-data; name="photos"; filename="photo.jpg"\r\n'.encode(),
            b"Content-Type: image/jpeg\r\n\r\n",
            photo,
            f"\r\n--{edge}--\r\n".encode(),
        ]
    )
    return body, f"multipart/form-data; boundary={edge}"


def main(path: str) -> None:
    load = Load(msgspec.json.decode(Path(path).read_bytes(), type=Plan))
    print("ready", flush=True)
    sys.stdin.readline()
    uvloop.run(load.run())
    Path(path).with_suffix(".result").write_bytes(msgspec.json.encode(load.result))


if __name__ == "__main__":
    main(sys.argv[1])
