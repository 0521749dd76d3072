"""Every kind of defect is put in by hand, counted, mended, and gone; what is only late is left alone."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from calotype.infra.ids import shard_of
from calotype.infra.tao import Association, CheckReport, Edge, Graph, check, check_graph
from calotype.infra.tao.check import _Forward, _Row, judge
from tests.conftest import NewSite
from tests.infra.tao.conftest import graph_of, sweep_all
from tests.infra.tao.world import FOLLOWED_BY, FOLLOWS, LIKED_BY, LIKES, MUTES, Note
from tests.site import Layout

PEOPLE_A_SHARD = 4
SHARDS = range(6)
SEED = 11


@pytest.fixture(scope="module")
async def checked(layout: Layout, new_site: NewSite) -> AsyncIterator[Graph]:
    """A graph of its own: a check looks at everything that is there."""
    async with graph_of(await new_site(layout)) as graph:
        yield graph


@pytest.fixture
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a small graph takes many of them."""
    monkeypatch.setattr(check, "EDGES_AT_ONCE", 31)
    monkeypatch.setattr(check, "LISTS_AT_ONCE", 13)
    monkeypatch.setattr(check, "SUSPECTS_AT_ONCE", 2)


@pytest.fixture
async def people(checked: Graph) -> AsyncIterator[list[int]]:
    """Some people who follow and like each other; afterwards the graph must be clean again."""
    for pool in checked.shards.pools.values():
        await pool.write("truncate associations, association_counts, outbox")
    ids = [id_ for shard in SHARDS for id_ in await checked.shards.next_ids(shard, PEOPLE_A_SHARD)]
    dice = random.Random(SEED)
    for assoc in (FOLLOWS, LIKES, MUTES):
        rows = {(dice.choice(ids), dice.choice(ids)) for _ in range(80)}
        await checked.assoc_add_many(assoc, [(one, Edge(other, 5, 0, b'{"n": 1}')) for one, other in rows])
    for one in ids[:4]:
        await checked.assoc_add(FOLLOWS, one, ids[-1], time=3, data=Note(2))
        await checked.assoc_add(LIKES, one, ids[-1], time=3, data=Note(2))
    yield ids
    assert (await check_graph(checked)).wrong == 0


async def sql(graph: Graph, assoc: Association, id1: int, statement: str, *arguments: object) -> None:
    """Run a statement where the list lies; $1, $2, $3 are its shard, id1 and atype."""
    pool = graph.shards.pool(assoc.partition, shard_of(id1))
    await pool.write(statement, shard_of(id1), id1, assoc.number, *arguments)


WHERE = "where shard = $1 and id1 = $2 and atype = $3"

Inject = Callable[[Graph, list[int]], Awaitable[None]]


async def lose_an_inverse(graph: Graph, people: list[int]) -> None:
    await sql(graph, FOLLOWED_BY, people[-1], f"delete from associations {WHERE} and id2 = $4", people[0])
    await sql(graph, FOLLOWED_BY, people[-1], f"update association_counts set count = count - 1 {WHERE}")


async def bury_an_inverse(graph: Graph, people: list[int]) -> None:
    await sql(
        graph, LIKED_BY, people[-1], f"update associations set deleted = true {WHERE} and id2 = $4", people[1]
    )
    await sql(graph, LIKED_BY, people[-1], f"update association_counts set count = count - 1 {WHERE}")


async def lose_a_forward_edge(graph: Graph, people: list[int]) -> None:
    await sql(graph, LIKES, people[2], f"delete from associations {WHERE} and id2 = $4", people[-1])
    await sql(graph, LIKES, people[2], f"update association_counts set count = count - 1 {WHERE}")


async def change_the_data_of_an_inverse(graph: Graph, people: list[int]) -> None:
    await sql(
        graph,
        FOLLOWED_BY,
        people[-1],
        f"update associations set data = '{{\"n\": 9}}' {WHERE} and id2 = $4",
        people[1],
    )


async def change_the_time_of_a_forward_edge(graph: Graph, people: list[int]) -> None:
    await sql(graph, LIKES, people[3], f"update associations set time = 99 {WHERE} and id2 = $4", people[-1])


async def take_a_forward_list_back_to_an_older_version(graph: Graph, people: list[int]) -> None:
    """What a server that was restored from an old backup looks like: its inverses mirror a future that it forgot."""
    await sql(graph, FOLLOWS, people[3], f"update associations set version = 0 {WHERE}")
    await sql(graph, FOLLOWS, people[3], f"update association_counts set version = 0 {WHERE}")


async def count_one_too_many_forward(graph: Graph, people: list[int]) -> None:
    await sql(
        graph,
        MUTES,
        people[0],
        "insert into association_counts values ($1, $2, $3, 1, 1)"
        " on conflict (shard, id1, atype) do update set count = association_counts.count + 1",
    )


async def count_one_too_few_inverse(graph: Graph, people: list[int]) -> None:
    await sql(graph, FOLLOWED_BY, people[-1], f"update association_counts set count = count - 1 {WHERE}")


async def lose_a_count(graph: Graph, people: list[int]) -> None:
    await sql(graph, LIKED_BY, people[-1], f"delete from association_counts {WHERE}")


DEFECTS: dict[Inject, dict[str, int]] = {
    lose_an_inverse: {"missing_inverses": 1},
    bury_an_inverse: {"missing_inverses": 1},
    lose_a_forward_edge: {"orphan_inverses": 1},
    change_the_data_of_an_inverse: {"different_inverses": 1},
    change_the_time_of_a_forward_edge: {"different_inverses": 1},
    count_one_too_many_forward: {"wrong_counts": 1},
    count_one_too_few_inverse: {"wrong_counts": 1},
    lose_a_count: {"wrong_counts": 1},
}


def defects(report: CheckReport) -> dict[str, int]:
    names = ("missing_inverses", "orphan_inverses", "different_inverses", "wrong_counts")
    return {name: getattr(report, name) for name in names if getattr(report, name)}


async def test_a_graph_that_only_its_own_writes_have_touched_is_clean(
    checked: Graph, people: list[int]
) -> None:
    done: list[tuple[int, int]] = []
    report = await check_graph(checked, progress=lambda shards, total: done.append((shards, total)))
    assert report.wrong == report.waiting == report.repaired == 0
    assert report.edges > 200
    assert report.lists > 40
    assert done == [(n + 1, len(done)) for n in range(len(done))]


@pytest.mark.usefixtures("small_batches")
@pytest.mark.parametrize("inject", DEFECTS, ids=lambda inject: inject.__name__)
async def test_a_defect_is_counted_mended_and_gone(checked: Graph, people: list[int], inject: Inject) -> None:
    await inject(checked, people)
    for _ in range(2):  # to look changes nothing
        assert defects(await check_graph(checked)) == DEFECTS[inject]
    report = await check_graph(checked, repair=True)
    assert defects(report) == DEFECTS[inject]
    assert report.repaired == 1
    assert defects(await check_graph(checked)) == {}


async def test_the_forward_edge_is_what_a_repair_believes(checked: Graph, people: list[int]) -> None:
    await lose_an_inverse(checked, people)
    await lose_a_forward_edge(checked, people)
    await change_the_data_of_an_inverse(checked, people)
    await check_graph(checked, repair=True)
    last = people[-1]
    (again,) = await checked.assoc_get(FOLLOWED_BY, last, [people[0]])
    assert (again.time, again.data) == (3, b'{"n": 2}')
    assert await checked.assoc_get(LIKED_BY, last, [people[2]]) == []
    (restored,) = await checked.assoc_get(FOLLOWED_BY, last, [people[1]])
    assert restored.data == b'{"n": 2}'


async def test_a_list_that_went_back_in_time_can_be_written_again_after_a_repair(
    checked: Graph, people: list[int]
) -> None:
    one, last = people[3], people[-1]
    await take_a_forward_list_back_to_an_older_version(checked, people)
    assert (await check_graph(checked, repair=True)).different_inverses > 0
    await checked.assoc_del(FOLLOWS, one, last)
    assert await checked.assoc_get(FOLLOWED_BY, last, [one]) == []


@pytest.mark.usefixtures("small_batches")
@pytest.mark.parametrize("seed", range(SEED, SEED + 6))
async def test_whatever_is_broken_together_is_clean_after_one_repair(
    checked: Graph, people: list[int], seed: int
) -> None:
    dice = random.Random(seed)
    for inject in dice.sample(list(DEFECTS), dice.randint(2, len(DEFECTS))):
        await inject(checked, people)
    assert (await check_graph(checked)).wrong > 0
    assert (await check_graph(checked, repair=True)).repaired > 0
    assert defects(await check_graph(checked)) == {}


async def test_an_edge_whose_message_still_waits_is_not_wrong(checked: Graph, people: list[int]) -> None:
    one, other = people[0], people[PEOPLE_A_SHARD]
    async with checked.transaction(FOLLOWS.partition, shard_of(one)) as write:
        await write.edge(FOLLOWS, one, other, time=77, data=None, present=True)
        write.messages.clear()  # as if the writer had died now
    report = await check_graph(checked, repair=True)
    assert (report.wrong, report.waiting, report.repaired) == (0, 1, 0)
    await sweep_all(checked)
    report = await check_graph(checked)
    assert (report.wrong, report.waiting) == (0, 0)


async def test_a_site_that_is_written_all_the_time_shows_nothing_wrong(
    checked: Graph, people: list[int]
) -> None:
    dice = random.Random(SEED)
    stop = asyncio.Event()

    async def write() -> None:
        while not stop.is_set():
            one, other = dice.sample(people, 2)
            if dice.random() < 0.5:
                await checked.assoc_add(FOLLOWS, one, other, time=dice.randrange(9))
            else:
                await checked.assoc_del(FOLLOWS, one, other)

    writing = [asyncio.create_task(write()) for _ in range(6)]
    reports = [await check_graph(checked, repair=True) for _ in range(8)]
    stop.set()
    await asyncio.gather(*writing)
    assert [defects(report) for report in reports] == [{}] * 8


def forward(version: int | None, list_version: int, *, waiting: bool = False) -> _Forward:
    return _Forward(list_version, version, 5 if version else None, None, waiting)


def inverse(source_version: int | None, *, time: int = 5, deleted: bool = False) -> _Row:
    return _Row(time, None, 1, source_version, deleted)


@pytest.mark.parametrize(
    ("before", "seen", "after", "verdict"),
    [
        (forward(3, 3), inverse(3), forward(3, 3), "right"),
        (forward(3, 3), None, forward(3, 3), "missing"),
        (forward(3, 3), inverse(2, deleted=True), forward(3, 3), "missing"),
        (forward(None, 4), inverse(3), forward(None, 4), "orphan"),
        (forward(None, 4), inverse(4, deleted=True), forward(None, 4), "right"),
        (forward(None, 4), None, forward(None, 4), "right"),
        (forward(3, 3), inverse(3, time=6), forward(3, 3), "different"),
        (forward(3, 3), inverse(None), forward(3, 3), "different"),
        (forward(3, 3), inverse(9), forward(3, 3), "different"),
        (forward(3, 3, waiting=True), None, forward(3, 3), "waiting"),
        (forward(3, 3), None, forward(3, 4, waiting=True), "waiting"),
        (forward(3, 3), None, forward(4, 4), "waiting"),
        (forward(None, 2), inverse(3), forward(None, 4), "waiting"),
        (forward(None, 2), inverse(9), forward(None, 4), "orphan"),
    ],
)
def test_three_looks_prove_what_they_prove_and_no_more(
    before: _Forward, seen: _Row | None, after: _Forward, verdict: str
) -> None:
    assert judge(before, seen, after) == verdict
