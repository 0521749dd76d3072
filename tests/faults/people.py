"""Who uses the graph while something breaks: members write and look at what they wrote, visitors only look.

Each thing is written by one member alone, so what was acknowledged last is how it must be. Everything that is done is
done as a request is: with the tickets of whoever asks, and inside a deadline.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field

from calotype.infra.shards.pool import ConnectionLost, DeadlineExceeded
from calotype.infra.shards.tickets import Tickets, carrying
from calotype.infra.tao import Graph
from calotype.std.deadline import deadline
from calotype.std.errors import CalotypeError, Unavailable
from tests.faults.comparison import Things
from tests.faults.world import PATIENCE_S
from tests.infra.tao.world import FOLLOWED_BY, FOLLOWS, Person

DEADLINE_S = 2.0
PAUSE_S = 0.01
LIST = 50
ENOUGH = 50
"""Requests of each kind of people that are a load."""

type Tolerated = tuple[type[CalotypeError], ...]


@dataclass
class Requests:
    """What came of the requests of one kind of people. `errors`: those that nobody should have seen."""

    tolerated: Tolerated = ()
    done: int = 0
    refused: int = 0
    slowest_s: float = 0.0
    errors: list[str] = field(default_factory=list)

    @asynccontextmanager
    async def request(self, held: Mapping[str, int]) -> AsyncIterator[Tickets]:
        began = time.monotonic()
        try:
            with carrying(held) as tickets, deadline(DEADLINE_S):
                yield tickets
            self.done += 1
        except self.tolerated:
            self.refused += 1
            await asyncio.sleep(PAUSE_S)
        except CalotypeError as error:
            self.errors.append(f"{error.code}: {error}")
        finally:
            self.slowest_s = max(self.slowest_s, time.monotonic() - began)


@dataclass
class Acknowledged:
    """The last word on each thing; None: of a write that may or may not have happened."""

    cats: dict[int, int | None]
    follows: dict[tuple[int, int], bool | None]

    def followed(self, one: int) -> set[int] | None:
        """Whom somebody follows; None when that is not known."""
        own = {other: on for (follower, other), on in self.follows.items() if follower == one}
        return None if None in own.values() else {other for other, on in own.items() if on}


@dataclass
class Member:
    """Writes through any of `writers` and reads through any of `readers`, with the tickets that the answers gave."""

    things: Things
    said: Acknowledged
    writers: Sequence[Graph]
    readers: Sequence[Graph]
    dice: random.Random
    requests: Requests
    unseen: list[str]
    tickets: dict[str, int] = field(default_factory=dict)
    unticketed: set[object] = field(default_factory=set)

    async def act(self) -> None:
        graph = self.dice.choice(self.writers)
        if self.dice.random() < 0.5:
            if sure := [id_ for id_ in self.things.people if self.said.cats[id_] is not None]:
                await self._change_object(graph, self.dice.choice(sure))
        elif certain := [pair for pair in self.things.pairs if self.said.follows[pair] is not None]:
            await self._change_edge(graph, *self.dice.choice(certain))
        await self._look(self.dice.choice(self.readers), self.dice.choice(self.things.people))

    async def _change_object(self, graph: Graph, id_: int) -> None:
        cats = self.dice.randrange(1 << 30)
        await self._write(self.said.cats, id_, cats, lambda: graph.obj_update(Person, id_, cats=cats))

    async def _change_edge(self, graph: Graph, one: int, other: int) -> None:
        on = self.dice.random() < 0.6
        change = graph.assoc_add if on else graph.assoc_del
        await self._write(self.said.follows, (one, other), on, lambda: change(FOLLOWS, one, other))

    async def _write[K, V](
        self, said: dict[K, V | None], k: K, v: V, write: Callable[[], Awaitable[object]]
    ) -> None:
        """What may or may not have happened is not written again: it may still happen."""
        before = said[k]
        said[k] = None
        async with self.requests.request(self.tickets) as tickets:
            try:
                await write()
            except (ConnectionLost, DeadlineExceeded):
                raise
            except Unavailable:
                said[k] = before
                raise
            said[k] = v
            self.unticketed.add(k)
            for log, position in (await tickets.issue()).items():
                self.tickets[log] = max(position, self.tickets.get(log, 0))
            self.unticketed.discard(k)

    async def _look(self, graph: Graph, id_: int) -> None:
        cats, followed = self.said.cats[id_], self.said.followed(id_)
        async with self.requests.request(self.tickets):
            if cats is not None and id_ not in self.unticketed:
                node = await graph.obj_get(Person, id_)
                if node is None or node.data.cats != cats:
                    self.unseen.append(f"object {id_}: {node}, {cats} cats were acknowledged")
            if followed is not None and not any(pair in self.unticketed for pair in self.things.pairs):
                edges = await graph.assoc_range(FOLLOWS, id_, 0, LIST)
                count = await graph.assoc_count(FOLLOWS, id_)
                if {edge.id2 for edge in edges} != followed or count != len(followed):
                    self.unseen.append(f"list of {id_}: {edges}, {count}; {followed} were acknowledged")


@dataclass
class Visitor:
    """Reads whatever there is, without tickets."""

    things: Things
    readers: Sequence[Graph]
    dice: random.Random
    requests: Requests

    async def act(self) -> None:
        graph, dice = self.dice.choice(self.readers), self.dice
        ids = dice.sample(self.things.people, 5)
        async with self.requests.request({}):
            match dice.randrange(5):
                case 0 | 1:
                    await graph.obj_get_many(Person, ids)
                case 2:
                    await graph.assoc_range_many(FOLLOWS, ids, dice.choice((4, LIST, 2 * LIST)))
                case 3:
                    await graph.assoc_range_many(FOLLOWED_BY, ids, LIST)
                    await graph.assoc_count_many(FOLLOWED_BY, ids)
                case _:
                    await graph.assoc_count_many(FOLLOWS, ids)
                    await graph.assoc_get_many(FOLLOWS, dice.sample(self.things.pairs, 5))


@dataclass
class Crowd:
    """Members and visitors at work at once."""

    things: Things
    said: Acknowledged
    members: list[Member]
    visitors: list[Visitor]
    unseen: list[str]

    @asynccontextmanager
    async def at_work(self) -> AsyncIterator[None]:
        """For the length of the block and until they have done `ENOUGH`; then everybody ends what they do."""
        async with _at_work(self.people):
            yield
            async with asyncio.timeout(PATIENCE_S):
                while any(requests.done < ENOUGH for requests in self.requests):  # noqa: ASYNC110
                    await asyncio.sleep(PAUSE_S)

    def looking(self) -> AbstractAsyncContextManager[None]:
        """The visitors alone."""
        return _at_work(self.visitors)

    @property
    def people(self) -> list[Member | Visitor]:
        return [*self.members, *self.visitors]

    @property
    def acknowledged(self) -> int:
        return len(self.known_cats) + sum(on is not None for on in self.said.follows.values())

    @property
    def known_cats(self) -> dict[int, int]:
        return {id_: cats for id_, cats in self.said.cats.items() if cats is not None}

    @property
    def requests(self) -> list[Requests]:
        return list({id(one.requests): one.requests for one in self.people}.values())


@asynccontextmanager
async def _at_work(people: Sequence[Member | Visitor]) -> AsyncIterator[None]:
    stop = asyncio.Event()
    tasks = [asyncio.create_task(_work(one, stop)) for one in people]
    try:
        yield
    finally:
        stop.set()
        await asyncio.gather(*tasks)


async def _work(one: Member | Visitor, stop: asyncio.Event) -> None:
    while not stop.is_set():
        await one.act()
        await asyncio.sleep(one.dice.uniform(0, PAUSE_S))


async def new_things(graph: Graph, people: int = 24, follows: int = 4) -> tuple[Things, Acknowledged]:
    """Spread over 8 shards and so over both servers."""
    made = await graph.obj_add_many(Person, [(n % 8, Person(f"p{n}")) for n in range(people)])
    ids = [node.id for node in made]
    pairs = [(one, ids[(at + step) % people]) for at, one in enumerate(ids) for step in range(1, follows + 1)]
    things = Things(ids, pairs)
    return things, Acknowledged(dict.fromkeys(ids, 0), dict.fromkeys(pairs, False))


def crowd(
    things: Things,
    said: Acknowledged,
    seed: int,
    *,
    writers: Sequence[Graph],
    readers: Sequence[Graph],
    members: int = 4,
    visitors: int = 4,
    members_may_see: Tolerated = (),
    visitors_may_see: Tolerated = (),
) -> Crowd:
    """Members who share the things among them, and visitors; which errors may reach them."""
    unseen: list[str] = []
    requests, visits = Requests(members_may_see), Requests(visitors_may_see)
    made = []
    for at in range(members):
        own = things.people[at::members]
        pairs = [pair for pair in things.pairs if pair[0] in own]
        dice = random.Random(seed * 1_000 + at)
        made.append(Member(Things(own, pairs), said, writers, readers, dice, requests, unseen))
    looking = [
        Visitor(things, readers, random.Random(seed * 1_000 + 500 + at), visits) for at in range(visitors)
    ]
    return Crowd(things, said, made, looking, unseen)
