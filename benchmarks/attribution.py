"""How exactly CPU is charged to requests that interleave on one loop: by our meter, and by what others do.

1, 10 and 50 requests at once, of which each burns CPU in steps of its own, in child tasks, or in a thread, and gives way
to the others in between. What it has burnt is known: each piece is read off the thread's clock. Beside it:

- process delta: the CPU of the process from the request's beginning to its end, as agents of New Relic's kind take it;
- yappi, by its clock of CPU and with tags: its tag callback answers the number of the request from a context variable,
  and a request's CPU is what all functions, builtin ones too, have used by themselves under its number. A profiler, so it
  runs alone, and what it costs itself it charges to whom it interrupts. Only ways to burn are taken in which the context goes along by
  itself (tasks, `asyncio.to_thread`): these are as easy for it as for us.

Errors are |charged - burnt| / burnt: what asyncio itself needs to serve a request is charged and not burnt, up to a
percent. Of a round, the worst and the median of its requests; of these the median over the
rounds.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from statistics import median
from typing import Any

import uvloop

from benchmarks.report import Row, row
from calotype.efficiency.meter import Account, Meter, counter

PIECE_MS = 10.0
PIECES = 4
ROUNDS = {1: 15, 10: 5, 50: 3}
"""By how many requests are there at once."""

WARM_UP_MS = 0.01
"""Pieces of the requests before: they start the threads, and load what all of them run."""

OURS, DELTA, YAPPI = "meter", "process delta", "yappi"


@dataclass
class Request:
    number: int
    piece_ms: float
    burnt_ns: int = 0
    charged_ns: dict[str, int] = field(default_factory=dict)

    def burn(self) -> None:
        """One piece, in whichever thread."""
        began = now = time.thread_time_ns()
        until = began + int(self.piece_ms * 1e6)
        while now < until:
            now = time.thread_time_ns()
        self.burnt_ns += now - began

    def error(self, by: str) -> float:
        """In percent."""
        return 100 * abs(self.charged_ns[by] - self.burnt_ns) / self.burnt_ns


type Serve = Callable[[Request], Awaitable[None]]


async def in_steps(request: Request) -> None:
    for _ in range(PIECES):
        request.burn()
        await asyncio.sleep(0)


async def in_children(request: Request) -> None:
    async def child() -> None:
        for _ in range(PIECES // 2):
            request.burn()
            await asyncio.sleep(0.001)

    await asyncio.gather(child(), child())


async def in_threads(request: Request) -> None:
    for _ in range(PIECES):
        await asyncio.to_thread(request.burn)


WAYS: Sequence[Serve] = (in_steps, in_children, in_threads)


def rows(quick: bool) -> list[Row]:
    made = []
    for at_once, rounds in ROUNDS.items():
        piece_ms = PIECE_MS / 10 if quick else PIECE_MS
        ours, theirs = _rounds(at_once, 1 if quick else rounds, piece_ms)
        errors = {
            OURS: _worst_and_median(ours, OURS),
            DELTA: _worst_and_median(ours, DELTA),
            YAPPI: _worst_and_median(theirs, YAPPI),
        }
        kinds = enumerate((", worst", ", median") if at_once > 1 else ("",))
        made += [
            row(f"attribution error, {at_once} at once{kind}", errors[OURS][n], "%", other, errors[other][n])
            for n, kind in kinds
            for other in (DELTA, YAPPI)
        ]
    return made


def _rounds(at_once: int, rounds: int, piece_ms: float) -> tuple[list[list[Request]], list[list[Request]]]:
    """Under our meter, and under yappi, in turn."""
    ours, theirs = [], []
    meter = Meter(counter("thread-cpu"))
    for number in range(rounds):
        meter.install()
        try:
            ours.append(uvloop.run(_under_meter(meter, _requests(at_once, piece_ms), number)))
        finally:
            meter.uninstall()
        theirs.append(_under_yappi(_requests(at_once, piece_ms), number))
    return ours, theirs


def _requests(amount: int, piece_ms: float) -> list[Request]:
    return [Request(number, piece_ms) for number in range(1, amount + 1)]


def _worst_and_median(rounds: Sequence[Sequence[Request]], by: str) -> tuple[float, float]:
    errors = [[request.error(by) for request in requests] for requests in rounds]
    return median(map(max, errors)), median(map(median, errors))


def _way(request: Request, round_: int) -> Serve:
    """One request alone takes another way each round."""
    return WAYS[(request.number + round_) % len(WAYS)]


async def _under_meter(meter: Meter, requests: list[Request], round_: int) -> list[Request]:
    """Both figures are of the same run: the delta takes two readings of a clock, outside of what is metered."""

    async def one(request: Request) -> None:
        before, account = time.process_time_ns(), Account()
        await meter.run(account, _serving(request, round_))
        request.charged_ns[OURS] = meter.close(account).cpu
        request.charged_ns[DELTA] = time.process_time_ns() - before

    await _at_once(one, _requests(len(requests), WARM_UP_MS))
    await _at_once(one, requests)
    return requests


async def _serving(request: Request, round_: int) -> None:
    await _way(request, round_)(request)


NUMBER: ContextVar[int] = ContextVar("number", default=0)


def _under_yappi(requests: list[Request], round_: int) -> list[Request]:
    import yappi

    async def one(request: Request) -> None:
        NUMBER.set(request.number)
        await _serving(request, round_)

    async def profiled() -> None:
        await _at_once(one, _requests(len(requests), WARM_UP_MS))
        yappi.start(builtins=True)
        try:
            await _at_once(one, requests)
        finally:
            yappi.stop()

    yappi.set_clock_type("cpu")
    yappi.set_tag_callback(NUMBER.get)
    uvloop.run(profiled())
    for request in requests:
        functions = yappi.get_func_stats(tag=request.number)
        request.charged_ns[YAPPI] = int(1e9 * sum(each.tsub for each in functions))
    yappi.clear_stats()
    yappi.set_tag_callback(None)
    return requests


async def _at_once(serve: Callable[[Request], Any], requests: Sequence[Request]) -> None:
    async with asyncio.TaskGroup() as group:
        for request in requests:
            group.create_task(serve(request))
