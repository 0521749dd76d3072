"""A process full of people who like two photos and take it back, to be killed at will: `python -m tests.faults.like_crowd ORDERS`.

Every person has an edge to each photo that nobody else writes. What they are about to do and what was acknowledged goes
to a file a line at a time, written through at once, so that it is known of a process that was killed.
"""

from __future__ import annotations

import asyncio
import os
import random
import sys
from pathlib import Path

import msgspec

from calotype.infra.shards import Shards
from calotype.infra.tao import Graph
from calotype.std.deadline import deadline
from tests.infra.tao.world import LIKES

Liked = dict[tuple[int, int], bool | None]
"""(person, photo) -> what was acknowledged last; None: begun, so it may have happened or not."""


class Orders(msgspec.Struct, frozen=True):
    control_dsn: str
    servers: dict[str, str]
    people: list[int]
    photos: list[int]
    diary: str
    seed: int
    seconds: float


class Line(msgspec.Struct, frozen=True, array_like=True):
    person: int
    photo: int
    liked: bool | None


def read_diary(path: Path) -> Liked:
    """What people knew when their process ended. A line that was not written to its end is none."""
    lines = path.read_bytes().split(b"\n")[:-1]
    return {
        (line.person, line.photo): line.liked
        for line in (msgspec.json.decode(each, type=Line) for each in lines)
    }


async def crowd(orders: Orders) -> None:
    diary = os.open(orders.diary, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    loop = asyncio.get_running_loop()
    until = loop.time() + orders.seconds

    def note(person: int, photo: int, liked: bool | None) -> None:
        os.write(diary, msgspec.json.encode(Line(person, photo, liked)) + b"\n")

    async def person(graph: Graph, one: int) -> None:
        dice = random.Random(orders.seed * 1_000_003 + one)
        while loop.time() < until:
            photo = dice.choice(orders.photos)
            liked = dice.random() < 0.6
            note(one, photo, None)
            with deadline(5):
                await (graph.assoc_add if liked else graph.assoc_del)(LIKES, one, photo)
            note(one, photo, liked)

    async with Shards(orders.control_dsn, orders.servers) as shards:
        graph = Graph(shards)
        await asyncio.gather(*(person(graph, one) for one in orders.people))


if __name__ == "__main__":
    asyncio.run(crowd(msgspec.json.decode(sys.argv[1], type=Orders)))
