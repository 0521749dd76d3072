"""What pages leave to the garbage collector, and what that costs: as they are, and as Django leaves them.

Two references round in a circle are enough for all that hangs on them to wait for a collection: notes know their request, and
contexts of templates know themselves. Ours are let go of when the answer is sent. The collector looks when it does on a site
(`config.asgi`), the process is frozen, and its time is what it takes between the calls of `gc.callbacks`.
"""

from __future__ import annotations

import gc
import random
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from statistics import median

from benchmarks.report import Row, row
from calotype.cli.bars import Bar

SEED = 29
TARGET = 0.1

type Ask = Callable[[str, int], Awaitable[None]]
"""A path, and as whom."""


@dataclass
class Left:
    """Of one page in one way; one figure a round."""

    us: list[float] = field(default_factory=list)
    """Of the collector, for each request."""
    objects: list[float] = field(default_factory=list)
    """That it has freed, or would have, for each request."""


async def rows(
    ask: Ask, viewers: Sequence[int], paths: Mapping[str, str], requests: Mapping[str, int], rounds: int
) -> list[Row]:
    """`requests`: so many of each page a round. A collection comes after fifty thousand objects."""
    chance = random.Random(SEED)
    found = {(page, ours): Left() for page in paths for ours in (True, False)}
    with Bar("rounds") as bar, _as_on_a_site():
        for number in range(rounds):
            for page, path in paths.items():
                asked = chance.choices(viewers, k=requests[page])
                for ours in chance.sample((True, False), 2):
                    await _measure(ask, path, asked, ours, found[page, ours])
            bar.update(number + 1, rounds)
    return [made for page in paths for made in _rows(page, found[page, True], found[page, False])]


async def _measure(ask: Ask, path: str, asked: Sequence[int], ours: bool, left: Left) -> None:
    with _collections() as spent_ns, _way(ours):
        gc.collect()
        spent_ns.clear()
        freed = _freed()
        for viewer in asked:
            await ask(path, viewer)
        us = sum(spent_ns) / 1000
        gc.collect()
        left.us.append(us / len(asked))
        left.objects.append((_freed() - freed) / len(asked))


def _freed() -> int:
    return sum(generation["collected"] for generation in gc.get_stats())


@contextmanager
def _as_on_a_site() -> Iterator[None]:
    from calotype.web.handler import COLLECT_AFTER

    before = gc.get_threshold()
    gc.set_threshold(*COLLECT_AFTER)
    try:
        yield
    finally:
        gc.set_threshold(*before)


@contextmanager
def _collections() -> Iterator[list[int]]:
    spent_ns: list[int] = []
    began_ns = 0

    def called(phase: str, _: dict[str, int]) -> None:
        nonlocal began_ns
        now_ns = time.thread_time_ns()
        if phase == "stop":
            spent_ns.append(now_ns - began_ns)
        began_ns = now_ns

    gc.callbacks.append(called)
    try:
        yield spent_ns
    finally:
        gc.callbacks.remove(called)


@contextmanager
def _way(ours: bool) -> Iterator[None]:
    """Ours, or Django's."""
    from django.http import HttpRequest
    from django.template.loader import render_to_string

    from calotype.web import pages
    from calotype.web.patches import Attribute
    from calotype.web.request import SiteRequest

    djangos = [
        Attribute(SiteRequest, "close", HttpRequest.close),
        Attribute(pages, "rendered", render_to_string),
    ]
    changed = [] if ours else djangos
    for each in changed:
        each.apply()
    try:
        yield
    finally:
        for each in changed:
            each.undo()


def _rows(page: str, ours: Left, djangos: Left) -> list[Row]:
    return [
        row(
            f"{page}, collecting garbage, CPU",
            median(ours.us),
            "us/page",
            "django",
            median(djangos.us),
            TARGET,
        ),
        row(
            f"{page}, objects that are garbage",
            median(ours.objects),
            "a page",
            "django",
            median(djangos.objects),
        ),
    ]
