"""Coalesce what is asked for in one turn of the event loop into one statement per physical server.

Twenty tasks that each `await` one object in the same turn cost one trip and not twenty. A turn ends when the loop has
run everything that was ready, so nobody waits for a timer. (RAMP-TAO 2021 and Haxl describe the same idea.)
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Mapping
from contextvars import copy_context

from calotype.infra.shards import Pool
from calotype.std.deadline import deadline, remaining_s

BATCH_LIMIT = 2_000
"""Keys of one statement: enough for any page, small enough for one statement's memory."""


class _Turn[K: Hashable, V]:
    """What one server is asked for in this turn."""

    __slots__ = ("keys", "seconds", "waiters")

    def __init__(self) -> None:
        self.keys: dict[K, None] = {}
        self.waiters: list[asyncio.Future[Mapping[K, V]]] = []
        self.seconds = 0.0


class Batcher[K: Hashable, V]:
    """`load` reads many keys from one server; keys without a value are missing from its answer."""

    def __init__(self, load: Callable[[Pool, list[K]], Awaitable[Mapping[K, V]]]) -> None:
        self._load = load
        self._turns: dict[Pool, _Turn[K, V]] = {}
        self._running: set[asyncio.Task[None]] = set()

    def ask(self, pool: Pool, keys: list[K]) -> asyncio.Future[Mapping[K, V]]:
        """A future of an answer that holds these keys, and maybe others' too. Fails as the statement fails."""
        turn = self._turns.get(pool)
        loop = asyncio.get_running_loop()
        if turn is None:
            turn = self._turns[pool] = _Turn()
            loop.call_soon(self._end, pool)
        for key in keys:
            turn.keys[key] = None
        turn.seconds = max(turn.seconds, remaining_s())
        waiter: asyncio.Future[Mapping[K, V]] = loop.create_future()
        turn.waiters.append(waiter)
        return waiter

    def _end(self, pool: Pool) -> None:
        turn = self._turns.pop(pool)
        task = asyncio.get_running_loop().create_task(self._run(pool, turn), context=copy_context())
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _run(self, pool: Pool, turn: _Turn[K, V]) -> None:
        """A task of its own: one waiter's cancellation must not take the answer from the others."""
        keys = list(turn.keys)
        answer: dict[K, V] = {}
        try:
            with deadline(turn.seconds):
                for start in range(0, len(keys), BATCH_LIMIT):
                    answer.update(await self._load(pool, keys[start : start + BATCH_LIMIT]))
        except BaseException as error:
            for waiter in turn.waiters:
                if not waiter.done():
                    waiter.set_exception(error)
            if not isinstance(error, Exception):
                raise
            return
        for waiter in turn.waiters:
            if not waiter.done():
                waiter.set_result(answer)
