"""Combine what is wanted of the same thing while somebody is at work on it: the next statement does all of it.

Whoever writes a list holds its lock until the commit. So writers with a transaction each stand in a row, one commit
after the other, and however fast the server is, a list takes no more than 1 / (time of a commit) of them. Here they
wait in the process, and when the one at work is done, all that have come meanwhile go together in one transaction:
the more wait, the more go at once. No timer: who finds nobody at work begins at once.
(Flat combining, Hendler et al., SPAA 2010; a database's group commit is the same idea.)
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Hashable, Iterable, Mapping, Sequence
from contextvars import Context
from dataclasses import dataclass
from itertools import islice

from calotype.infra.shards import DeadlineExceeded, Pool
from calotype.infra.shards.tickets import wrote
from calotype.std.deadline import deadline, expires_at, remaining_s

type Outcome = Exception | None
"""How one item failed; None: it is done."""

type Work[T] = Callable[[Pool, list[T]], Awaitable[Sequence[Outcome]]]
"""Does many items on one server; an outcome for each, in their order."""


@dataclass(frozen=True, eq=False)
class _Waiter[T]:
    items: Sequence[T]
    expires_at: float
    done: asyncio.Future[None]


class Combiner[K: Hashable, T]:
    """At most one piece of work for a server and key is under way. `limit`: items that go together, unless one caller
    alone brings more. Belongs to one event loop.

    Only what somebody waits for is in a queue: whose time is up, or who is cancelled, takes theirs along. So there is
    never more of it than the process has callers.
    """

    def __init__(self, work: Work[T], limit: int) -> None:
        self._work = work
        self._limit = limit
        self._queues: dict[tuple[Pool, K], dict[_Waiter[T], None]] = {}
        """Of what is being worked on. A dict for its order, and because one may leave from the middle."""
        self._running: set[asyncio.Task[None]] = set()

    async def do(self, pool: Pool, items: Mapping[K, Sequence[T]]) -> None:
        """Do these items, by key: those that nobody is at work on now and together, the rest with others' items.

        All are done when it returns. Raises how the first of them failed, and `DeadlineExceeded` when a turn did not come
        in time; others of them may be done then. Being cancelled takes nothing from those who wait for the same.
        """
        wrote(pool)  # whoever does it for us leaves no ticket of ours
        free = {key: some for key, some in items.items() if (pool, key) not in self._queues}
        queued = {key: self._queue(pool, key, some) for key, some in items.items() if key not in free}
        try:
            if free:
                await self._at_once(pool, free)
            for waiter in queued.values():
                await _turn(pool, waiter)
        finally:
            for key, waiter in queued.items():
                self._leave(pool, key, waiter)

    async def _at_once(self, pool: Pool, items: Mapping[K, Sequence[T]]) -> None:
        """In the caller's own task, as if there were no combiner; then whoever has come meanwhile has their turn."""
        for key in items:
            self._queues[pool, key] = {}
        try:
            outcomes = await self._work(pool, [item for some in items.values() for item in some])
        finally:
            for key in items:
                self._hand_over(pool, key)
        if failure := _first_failure(outcomes):
            raise failure

    def _queue(self, pool: Pool, key: K, items: Sequence[T]) -> _Waiter[T]:
        waiter = _Waiter(items, expires_at(), asyncio.get_running_loop().create_future())
        self._queues[pool, key][waiter] = None
        return waiter

    def _leave(self, pool: Pool, key: K, waiter: _Waiter[T]) -> None:
        self._queues.get((pool, key), {}).pop(waiter, None)
        if not waiter.done.cancel() and not waiter.done.cancelled():
            waiter.done.exception()  # so that nobody is told that it was never looked at

    def _hand_over(self, pool: Pool, key: K) -> None:
        if not self._queues[pool, key]:
            del self._queues[pool, key]
            return
        # A context of its own: neither the deadline nor the tickets of one caller are those of the others.
        task = asyncio.get_running_loop().create_task(self._drain(pool, key), context=Context())
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _drain(self, pool: Pool, key: K) -> None:
        """A task of its own: one caller's cancellation must not take it from the others."""
        try:
            while waiters := self._next(self._queues[pool, key]):
                await self._together(pool, waiters)
        finally:
            for waiter in self._queues.pop((pool, key)):
                waiter.done.cancel()

    def _next(self, queue: dict[_Waiter[T], None]) -> list[_Waiter[T]]:
        """Take the first out of the queue that may go together."""
        taken: list[_Waiter[T]] = []
        amount = 0
        for waiter in queue:
            amount += len(waiter.items)
            if taken and amount > self._limit:
                break
            taken.append(waiter)
        for waiter in taken:
            del queue[waiter]
        return taken

    async def _together(self, pool: Pool, waiters: Sequence[_Waiter[T]]) -> None:
        """With the longest of their deadlines. Each waits no longer than its own."""
        try:
            with deadline(max(waiter.expires_at for waiter in waiters) - time.monotonic()):
                outcomes = await self._work(pool, [item for waiter in waiters for item in waiter.items])
        except BaseException as error:
            for waiter in waiters:
                _settle(waiter, error)
            if not isinstance(error, Exception):
                raise
            return
        rest = iter(outcomes)
        for waiter in waiters:
            _settle(waiter, _first_failure(islice(rest, len(waiter.items))))


async def _turn[T](pool: Pool, waiter: _Waiter[T]) -> None:
    try:
        async with asyncio.timeout(remaining_s()):
            await waiter.done
    except TimeoutError:
        raise DeadlineExceeded(
            f"{pool.name} was still at work on what others had asked for before when the time was up",
            server=pool.name,
        ) from None


def _settle[T](waiter: _Waiter[T], failure: BaseException | None) -> None:
    if waiter.done.done():
        return
    if failure is None:
        waiter.done.set_result(None)
    else:
        waiter.done.set_exception(failure)


def _first_failure(outcomes: Iterable[Outcome]) -> Exception | None:
    failures = [
        outcome for outcome in outcomes if outcome is not None
    ]  # to the end: others' outcomes come after it
    return failures[0] if failures else None
