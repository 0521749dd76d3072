"""What every engine of timelines must do. An engine's tests are this class with its `timelines` fixture."""

from __future__ import annotations

import itertools
import random
from collections.abc import Sequence

from calotype.infra.ids import compose
from calotype.infra.timelines import EVERYTHING, Entry, Timelines
from calotype.infra.timelines.types import Place

NEWEST: Place = ((1 << 63) - 1, (1 << 63) - 1)
HOME, OTHER = 1, 2
_numbers = itertools.count(1)


def owners(amount: int) -> list[int]:
    """New ones, on eight logical shards in turn."""
    return [compose(next(_numbers), number % 8, 0) for number in range(amount)]


def entries(*times: int) -> list[Entry]:
    return [Entry(time, time * 10, 7) for time in times]


async def push(
    timelines: Timelines, some: Sequence[int], entries: Sequence[Entry], kind: int = HOME, keep: int = 1_000
) -> None:
    await timelines.push(kind, some, entries, keep=keep)


async def built(timelines: Timelines, some: Sequence[int], kind: int = HOME) -> None:
    """Empty timelines from which nothing is missing."""
    for owner in some:
        build = await timelines.begin(kind, owner)
        assert build is not None
        assert await timelines.finish(kind, owner, build, EVERYTHING)


class Conformance:
    async def read(
        self, timelines: Timelines, owner: int, before: Place = NEWEST, limit: int = 100, kind: int = HOME
    ) -> list[Entry]:
        page = await timelines.page(kind, owner, before, limit)
        assert page is not None
        return page.entries

    async def test_nobody_has_a_timeline_to_begin_with(self, timelines: Timelines) -> None:
        (one,) = owners(1)
        await push(timelines, [one], entries(1))
        assert await timelines.page(HOME, one, NEWEST, 10) is None

    async def test_an_entry_is_shown_to_all_it_was_pushed_to_newest_first(self, timelines: Timelines) -> None:
        some = owners(20)
        await built(timelines, some)
        await push(timelines, some[:15], entries(3, 1, 2))
        for owner in some[:15]:
            assert await self.read(timelines, owner) == entries(3, 2, 1)
        assert await self.read(timelines, some[-1]) == []

    async def test_pushing_again_changes_nothing(self, timelines: Timelines) -> None:
        some = owners(3)
        await built(timelines, some)
        await push(timelines, some, entries(1, 2))
        await push(timelines, some, entries(1, 2))
        assert await self.read(timelines, some[0]) == entries(2, 1)

    async def test_kinds_are_timelines_of_their_own(self, timelines: Timelines) -> None:
        (one,) = owners(1)
        await built(timelines, [one])
        await built(timelines, [one], OTHER)
        await push(timelines, [one], entries(1))
        await push(timelines, [one], entries(2), OTHER)
        assert await self.read(timelines, one) == entries(1)
        assert await self.read(timelines, one, kind=OTHER) == entries(2)

    async def test_pages_follow_each_other_both_ways_through_equal_times(self, timelines: Timelines) -> None:
        (one,) = owners(1)
        await built(timelines, [one])
        dice = random.Random(1)
        pushed = [Entry(dice.randrange(5), id_, 1) for id_ in range(40)]
        await push(timelines, [one], pushed)
        wanted = sorted(pushed, key=lambda entry: entry.place, reverse=True)
        down: list[Entry] = []
        while page := await self.read(timelines, one, down[-1].place if down else NEWEST, 7):
            down += page
        assert down == wanted
        up: list[Entry] = []
        while page_up := await timelines.page_up(HOME, one, up[0].place if up else EVERYTHING, 7):
            if not page_up.entries:
                break
            up = page_up.entries + up
        assert up == wanted

    async def test_what_is_removed_is_gone_and_the_rest_is_not(self, timelines: Timelines) -> None:
        some = owners(4)
        await built(timelines, some)
        await push(timelines, some, entries(1, 2, 3))
        await timelines.remove(HOME, some[:2], [entries(2)[0].place])
        await timelines.remove(HOME, some[:2], [entries(2)[0].place])
        assert await self.read(timelines, some[0]) == entries(3, 1)
        assert await self.read(timelines, some[2]) == entries(3, 2, 1)

    async def test_while_it_is_built_entries_are_kept_and_none_are_shown(self, timelines: Timelines) -> None:
        (one,) = owners(1)
        build = await timelines.begin(HOME, one)
        assert build is not None
        await push(timelines, [one], entries(5))
        assert await timelines.page(HOME, one, NEWEST, 10) is None
        await push(timelines, [one], entries(3, 4))
        assert await timelines.finish(HOME, one, build, entries(3)[0].place)
        page = await timelines.page(HOME, one, NEWEST, 10)
        assert page == (entries(5, 4, 3), entries(3)[0].place)

    async def test_only_the_last_build_can_finish(self, timelines: Timelines) -> None:
        (one,) = owners(1)
        first, second = await timelines.begin(HOME, one), await timelines.begin(HOME, one)
        assert first is not None
        assert second is not None
        assert not await timelines.finish(HOME, one, first, EVERYTHING)
        assert await timelines.page(HOME, one, NEWEST, 10) is None
        assert await timelines.finish(HOME, one, second, EVERYTHING)

    async def test_one_asks_for_a_build_and_others_need_not(self, timelines: Timelines) -> None:
        (one,) = owners(1)
        assert await timelines.begin(HOME, one, unless_begun_s=60) is not None
        assert await timelines.begin(HOME, one, unless_begun_s=60) is None
        build = await timelines.begin(HOME, one)
        assert build is not None
        await timelines.finish(HOME, one, build, EVERYTHING)
        assert await timelines.begin(HOME, one, unless_begun_s=0.001) is None, "it is built"

    async def test_below_the_floor_nothing_is_told(self, timelines: Timelines) -> None:
        (one,) = owners(1)
        build = await timelines.begin(HOME, one)
        assert build is not None
        await push(timelines, [one], entries(1, 2, 3))
        await timelines.finish(HOME, one, build, entries(2)[0].place)
        assert await self.read(timelines, one) == entries(3, 2)
        assert await self.read(timelines, one, entries(2)[0].place) == []

    async def test_the_newest_are_kept_at_least_and_the_floor_says_where_they_end(
        self, timelines: Timelines
    ) -> None:
        (one,) = owners(1)
        await built(timelines, [one])
        for time in range(60):
            await push(timelines, [one], entries(time), keep=10)
        page = await timelines.page(HOME, one, NEWEST, 100)
        assert page is not None
        times = [entry.time for entry in page.entries]
        assert times[:10] == list(range(59, 49, -1))
        assert times == list(range(59, max(page.floor[0], 0) - 1, -1))

    async def test_a_build_leaves_only_what_is_above_its_floor(self, timelines: Timelines) -> None:
        (one,) = owners(1)
        await built(timelines, [one])
        await push(timelines, [one], entries(1, 2, 3))
        build = await timelines.begin(HOME, one)
        assert build is not None
        await timelines.finish(HOME, one, build, entries(3)[0].place)
        assert await self.read(timelines, one) == entries(3)
        again = await timelines.begin(HOME, one)
        assert again is not None
        await push(timelines, [one], entries(1, 2))
        await timelines.finish(HOME, one, again, EVERYTHING)
        assert await self.read(timelines, one) == entries(3, 2, 1)

    async def test_an_owner_on_a_shard_that_does_not_exist_does_no_harm(self, timelines: Timelines) -> None:
        await push(timelines, [compose(1, 8_000, 0)], entries(1))

    async def test_it_is_healthy(self, timelines: Timelines) -> None:
        assert await timelines.healthy()
