"""Who goes at once, who goes together, and what one caller's end means for the others: nothing."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence

import pytest

from calotype.infra.shards import DeadlineExceeded, Pool
from calotype.infra.shards.tickets import carrying, current
from calotype.infra.tao.combining import Combiner, Outcome
from calotype.std.deadline import deadline, remaining_s

SEED = 20_261
LIMIT = 4

ONE, OTHER = Pool("pg-1", ""), Pool("pg-2", "")
"""Servers that are only named: the work here is done in the process."""


class Refused(Exception):
    """What a bad item fails with."""


class Desk:
    """Work that takes until it is let go on. `batches` is what went together, in the order in which it began."""

    def __init__(self) -> None:
        self.batches: list[tuple[str, list[int]]] = []
        self.seconds: list[float] = []
        self.open = asyncio.Event()
        self.combiner: Combiner[str, int] = Combiner(self._work, LIMIT)

    async def _work(self, pool: Pool, items: Sequence[int]) -> list[Outcome]:
        self.batches.append((pool.name, list(items)))
        self.seconds.append(remaining_s())
        await self.open.wait()
        return [Refused(item) if item < 0 else None for item in items]

    def ask(self, *items: int, key: str = "a", pool: Pool = ONE) -> asyncio.Task[None]:
        return asyncio.create_task(self.combiner.do(pool, {key: items}))

    @property
    def idle(self) -> bool:
        return not self.combiner._queues and not self.combiner._running


async def begun() -> None:
    """Everything that can go on without waiting has."""
    for _ in range(5):
        await asyncio.sleep(0)


async def test_what_comes_while_one_is_at_work_goes_together_when_it_is_done() -> None:
    desk = Desk()
    asked = []
    for item in range(4):
        asked.append(desk.ask(item))
        await begun()
    assert desk.batches == [("pg-1", [0])]
    desk.open.set()
    await asyncio.gather(*asked)
    assert desk.batches == [("pg-1", [0]), ("pg-1", [1, 2, 3])]
    await begun()
    assert desk.idle


async def test_who_finds_nobody_at_work_does_it_in_the_task_that_asks() -> None:
    tasks: list[asyncio.Task[object] | None] = []

    async def work(_: Pool, items: Sequence[int]) -> list[Outcome]:
        tasks.append(asyncio.current_task())
        return [None] * len(items)

    combiner: Combiner[str, int] = Combiner(work, LIMIT)
    for _ in range(3):
        await combiner.do(ONE, {"a": [1], "b": [2]})
    assert tasks == [asyncio.current_task()] * 3


async def test_nobody_waits_for_another_key_or_another_server() -> None:
    desk = Desk()
    asked = [desk.ask(1), desk.ask(2, key="b"), desk.ask(3, pool=OTHER)]
    await begun()
    assert desk.batches == [("pg-1", [1]), ("pg-1", [2]), ("pg-2", [3])]
    desk.open.set()
    await asyncio.gather(*asked)


async def test_of_several_keys_the_free_ones_go_at_once_and_the_rest_when_it_is_their_turn() -> None:
    desk = Desk()
    first = desk.ask(1, key="b")
    await begun()
    several = asyncio.create_task(desk.combiner.do(ONE, {"a": [2], "b": [3], "c": [4]}))
    await begun()
    later = desk.ask(5, key="c")
    await begun()
    assert desk.batches == [("pg-1", [1]), ("pg-1", [2, 4])]
    desk.open.set()
    await asyncio.gather(first, several, later)
    assert sorted(desk.batches[2:]) == [("pg-1", [3]), ("pg-1", [5])]


async def test_no_more_than_the_limit_goes_together_but_what_one_brings_is_not_divided() -> None:
    desk = Desk()
    asked = [desk.ask(0)]
    await begun()
    for items in ([1, 2], [3, 4], [5], [6, 7, 8, 9, 10], [11]):
        asked.append(desk.ask(*items))
        await begun()
    desk.open.set()
    await asyncio.gather(*asked)
    assert [items for _, items in desk.batches] == [[0], [1, 2, 3, 4], [5], [6, 7, 8, 9, 10], [11]]


async def test_a_bad_item_fails_for_whoever_brought_it() -> None:
    desk = Desk()
    asked = [desk.ask(-1)]
    await begun()
    asked += [desk.ask(1), desk.ask(2, -3), desk.ask(4, 5)]
    await begun()
    desk.open.set()
    outcomes = await asyncio.gather(*asked, return_exceptions=True)
    assert [repr(outcome) for outcome in outcomes] == ["Refused(-1)", "None", "Refused(-3)", "None"]


async def test_whose_time_is_up_goes_and_takes_along_what_has_not_begun() -> None:
    desk = Desk()
    first = desk.ask(0)
    await begun()
    with deadline(0.02):
        late = desk.ask(1)
        with pytest.raises(DeadlineExceeded, match="pg-1 was still at work on what others had asked for"):
            await late
    second = desk.ask(2)
    await begun()
    desk.open.set()
    await asyncio.gather(first, second)
    assert [items for _, items in desk.batches] == [[0], [2]]


async def test_whoever_is_cancelled_while_waiting_takes_nothing_from_the_others() -> None:
    desk = Desk()
    asked = [desk.ask(0)]
    await begun()
    asked += [desk.ask(item) for item in (1, 2, 3)]
    await begun()
    asked[2].cancel()
    await begun()
    desk.open.set()
    outcomes = await asyncio.gather(*asked, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [
        type(None),
        type(None),
        asyncio.CancelledError,
        type(None),
    ]
    assert [items for _, items in desk.batches] == [[0], [1, 3]]


async def test_when_the_one_at_work_is_cancelled_the_next_has_their_turn() -> None:
    desk = Desk()
    first = desk.ask(0)
    await begun()
    second = desk.ask(1)
    await begun()
    first.cancel()
    await begun()
    assert desk.batches == [("pg-1", [0]), ("pg-1", [1])]
    desk.open.set()
    await second
    assert first.cancelled()


async def test_who_is_cancelled_while_others_do_their_items_leaves_them_to_it() -> None:
    desk = Desk()
    first = desk.ask(0)
    await begun()
    asked = [desk.ask(1), desk.ask(2)]
    first.cancel()
    await begun()
    asked[0].cancel()
    await begun()
    desk.open.set()
    await asked[1]
    assert desk.batches[1] == ("pg-1", [1, 2])
    await begun()
    assert desk.idle


async def test_work_that_breaks_fails_all_who_were_in_it_and_nobody_after() -> None:
    calls = 0

    async def work(_: Pool, items: Sequence[int]) -> list[Outcome]:
        nonlocal calls
        calls += 1
        await asyncio.sleep(0)
        if calls == 2:
            raise KeyError
        return [None] * len(items)

    combiner: Combiner[str, int] = Combiner(work, LIMIT)
    asked = [asyncio.create_task(combiner.do(ONE, {"a": [item]})) for item in range(6)]
    outcomes = await asyncio.gather(*asked, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [type(None), *[KeyError] * 4, type(None)]


async def test_what_goes_together_has_the_longest_deadline_and_nobodys_tickets() -> None:
    desk = Desk()
    written: list[object] = []

    async def ask(item: int, seconds: float) -> None:
        with carrying({}) as tickets, deadline(seconds):
            await desk.combiner.do(ONE, {"a": [item]})
            written.append(tickets.written)

    carried: list[object] = []
    work = desk.combiner._work

    async def watched(pool: Pool, items: list[int]) -> Sequence[Outcome]:
        carried.append(current())
        return await work(pool, items)

    desk.combiner._work = watched
    asked = []
    for item, seconds in ((0, 5), (1, 7), (2, 20), (3, 9)):
        asked.append(asyncio.create_task(ask(item, seconds)))
        await begun()
    desk.open.set()
    await asyncio.gather(*asked)
    assert [round(seconds) for seconds in desk.seconds] == [5, 20]
    assert written == [{"pg-1": ONE}] * 4, "each has a ticket of its own"
    assert carried[1:] == [None]


@pytest.mark.parametrize("seed", range(SEED, SEED + 20))
async def test_whatever_callers_do_everything_that_returned_was_done_once_and_nothing_is_left(
    seed: int,
) -> None:
    dice = random.Random(seed)
    done: list[int] = []
    at_work: set[tuple[str, int]] = set()

    async def work(pool: Pool, items: Sequence[int]) -> list[Outcome]:
        keys = {(pool.name, item % 3) for item in items}
        assert not keys & at_work
        at_work.update(keys)
        try:
            await asyncio.sleep(dice.random() / 500)
            done.extend(items)
            return [Refused(item) if item % 17 == 0 else None for item in items]
        finally:
            at_work.difference_update(keys)

    combiner: Combiner[int, int] = Combiner(work, LIMIT)

    async def call(items: Sequence[int]) -> None:
        with deadline(dice.choice([0.001, 1, 1])):
            await combiner.do(dice.choice([ONE, OTHER]), {item % 3: [item] for item in items})

    async def person(number: int) -> list[int]:
        returned = []
        for turn in range(20):
            first = 3 * (number * 20 + turn)
            items = dice.sample(range(first, first + 3), dice.choice([1, 1, 3]))
            calling = asyncio.create_task(call(items))
            if dice.random() < 0.2:
                await asyncio.sleep(dice.random() / 500)
                calling.cancel()
            outcome = (await asyncio.gather(calling, return_exceptions=True))[0]
            assert outcome is None or isinstance(
                outcome, Refused | DeadlineExceeded | asyncio.CancelledError
            ), outcome
            if outcome is None:
                returned += items
        return returned

    returned = [
        item for some in await asyncio.gather(*(person(number) for number in range(12))) for item in some
    ]
    assert len(returned) > 100
    assert set(returned) <= set(done)
    assert len(set(done)) == len(done)
    async with asyncio.timeout(1):  # what was begun for somebody who has left is ended all the same
        while combiner._queues:  # noqa: ASYNC110
            await asyncio.sleep(0.001)
