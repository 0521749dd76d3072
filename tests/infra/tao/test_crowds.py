"""Many who write to one list at once: few transactions, and what is left is as if they had come one by one."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import batched

import msgspec
import pytest

from calotype.infra.ids import shard_of
from calotype.infra.shards import Pool
from calotype.infra.shards.tickets import carrying
from calotype.infra.tao import Graph, Sweep, check_graph
from calotype.infra.tao.relay import apply, relay
from calotype.infra.tao.writes import NO_DATA, Message, Mirror
from calotype.std.deadline import deadline
from tests.infra.tao.conftest import sweep_all
from tests.infra.tao.world import FOLLOWED_BY, FOLLOWS, LIKED_BY, LIKES, LOVED_BY, Note
from tests.statements import _watch

SEED = 20_261
CROWD = 120


@contextmanager
def watched(graph: Graph) -> Iterator[list[str]]:
    """The statements that its pools run inside the block, as "server: text"."""
    seen: list[str] = []
    for pool in graph.shards.pools.values():
        _watch(pool, seen)
    try:
        yield seen
    finally:
        for pool in graph.shards.pools.values():
            del pool.__dict__["_run"]


async def ends(graph: Graph, people: int) -> tuple[list[int], int]:
    """People on pg-1 and a photo on pg-2."""
    each = -(-people // 4)
    ids = [id_ for shard in (0, 2, 4, 6) for id_ in await graph.shards.next_ids(shard, each)]
    return ids[:people], (await graph.shards.next_ids(1))[0]


async def versions(graph: Graph, photo: int) -> tuple[int, list[int]]:
    """Of a list, and of its rows."""
    pool = graph.shards.pool(LIKED_BY.partition, shard_of(photo))
    key = (shard_of(photo), photo, LIKED_BY.number)
    where = "where shard = $1 and id1 = $2 and atype = $3"
    ((of_list,),) = await pool.fetch(f"select version from association_counts {where}", *key)
    rows = await pool.fetch(f"select version from associations {where} order by version", *key)
    return of_list, [row[0] for row in rows]


async def test_a_crowd_on_one_photo_costs_its_server_a_few_transactions(quiet: Graph) -> None:
    people, photo = await ends(quiet, CROWD)
    with watched(quiet) as seen:
        written = await asyncio.gather(*(quiet.assoc_add(LIKES, one, photo) for one in people))
    assert all(each.changed for each in written)
    assert await quiet.assoc_count(LIKED_BY, photo) == CROWD
    on_photos_server = [text for text in seen if text.startswith("pg-2")]
    assert len(on_photos_server) < CROWD / 4
    assert len(seen) < 2 * CROWD  # three each, one by one
    assert (await versions(quiet, photo)) == (CROWD, list(range(1, CROWD + 1)))
    report = await check_graph(quiet)
    assert (report.wrong, report.waiting) == (0, 0)


async def test_one_who_comes_alone_waits_for_nobody_and_costs_three_statements(quiet: Graph) -> None:
    (one, other), photo = await ends(quiet, 2)
    for person in (one, other):
        with watched(quiet) as seen:
            await quiet.assoc_add(LIKES, person, photo)
        assert [text.split()[0:2] for text in seen] == [
            ["pg-1:", "select"],
            ["pg-2:", "select"],
            ["pg-1:", "delete"],
        ]
        assert ["edge_write(" in seen[0], "edge_mirror(" in seen[1], "outbox" in seen[2]] == [True] * 3


async def test_a_crowd_that_likes_and_takes_it_back_leaves_exact_counts(quiet: Graph) -> None:
    people, photo = await ends(quiet, 40)
    liked: dict[int, bool] = {}

    async def person(one: int) -> None:
        dice = random.Random(one)
        for _ in range(10):
            liked[one] = dice.random() < 0.6
            await (quiet.assoc_add if liked[one] else quiet.assoc_del)(LIKES, one, photo)

    await asyncio.gather(*map(person, people))
    assert await quiet.assoc_count(LIKED_BY, photo) == sum(liked.values())
    of_list, of_rows = await versions(quiet, photo)
    assert len(set(of_rows)) == len(of_rows)
    assert of_list == max(of_rows)
    report = await check_graph(quiet)
    assert (report.wrong, report.waiting) == (0, 0)


@pytest.mark.parametrize("seed", range(SEED, SEED + 15))
async def test_a_batch_leaves_what_its_messages_would_have_left_one_by_one(quiet: Graph, seed: int) -> None:
    """Of three lists, with repetitions, in any order, on top of what was there before."""
    dice = random.Random(seed)
    people, photo = await ends(quiet, 5)
    pool = quiet.shards.pool(LIKED_BY.partition, shard_of(photo))
    lists = [(photo, LIKED_BY.number), (photo, LOVED_BY.number), (photo + 1, LIKED_BY.number)]
    sent: dict[tuple[int, int, int, int], Mirror] = {}
    for id1, atype in lists:
        for id2 in people:
            for version in range(1, 7):
                data = dice.choice([NO_DATA, msgspec.Raw(b'{"n": %d}' % version)])
                mirror = Mirror(id1, atype, id2, dice.randrange(9), data, version, dice.random() < 0.6)
                sent[id1, atype, id2, version] = mirror
    expected: dict[tuple[int, int, int], Mirror] = {}
    list_versions = dict.fromkeys(lists, 0)
    for _ in range(5):
        batch = dice.choices(list(sent.values()), k=dice.randrange(1, 12))
        await apply(pool, batch)
        newest = {(each.id1, each.atype, each.id2): each for each in sorted(batch, key=_source_version)}
        for edge, mirror in newest.items():
            if edge not in expected or mirror.source_version > expected[edge].source_version:
                expected[edge] = mirror
                list_versions[edge[:2]] += 1
        await _same(pool, expected, list_versions)


def _source_version(mirror: Mirror) -> int:
    return mirror.source_version


async def _same(
    pool: Pool,
    expected: dict[tuple[int, int, int], Mirror],
    list_versions: dict[tuple[int, int], int],
) -> None:
    rows = await pool.fetch(
        "select id1, atype, id2, source_version, deleted, data, time, version from associations"
    )
    assert {(row[0], row[1], row[2]): (row[3], row[4]) for row in rows} == {
        edge: (mirror.source_version, not mirror.present) for edge, mirror in expected.items()
    }
    for row in rows:
        mirror = expected[row[0], row[1], row[2]]
        if mirror.present:
            data = None if mirror.data == NO_DATA else bytes(mirror.data)
            assert (row[5], row[6]) == (data, mirror.time)
    for id1, atype, count, version in await pool.fetch(
        "select id1, atype, count, version from association_counts"
    ):
        living = [edge for edge, mirror in expected.items() if edge[:2] == (id1, atype) and mirror.present]
        assert (count, version) == (len(living), list_versions[id1, atype])
        of_rows = [row[7] for row in rows if (row[0], row[1]) == (id1, atype)]
        assert len(set(of_rows)) == len(of_rows)
        assert max(of_rows, default=0) == version


async def rows_read(pool: Pool) -> int:
    """By index, of the associations on shard 1, by the connection that was used last."""
    await pool.fetch("select pg_stat_force_next_flush()")
    rows = await pool.fetch(
        "select idx_tup_fetch from pg_stat_user_tables where relid = 's0001.associations'::regclass"
    )
    return int(rows[0][0])


async def test_a_batch_reads_its_own_edges_of_a_long_list_and_no_others(quiet: Graph) -> None:
    """Also where the server takes lists for short: it has counted rows when there were none."""
    (photo,) = await quiet.shards.next_ids(1)
    pool = quiet.shards.pool(LIKED_BY.partition, 1)
    people = range(2_000)
    mirrors = [Mirror(photo, LIKED_BY.number, one, 1, NO_DATA, 1, present=True) for one in people]
    await pool.write("analyze associations")
    for some in batched(mirrors, 500):
        await apply(pool, some)
    before = await rows_read(pool)
    again = [msgspec.structs.replace(each, source_version=2) for each in mirrors[::100]]
    await apply(pool, again)
    read = await rows_read(pool) - before
    assert len(again) <= read < 10 * len(again)
    assert await quiet.assoc_count(LIKED_BY, photo) == len(people)


async def test_one_edge_that_the_server_refuses_fails_for_nobody_else(
    quiet: Graph, caplog: pytest.LogCaptureFixture
) -> None:
    people, photo = await ends(quiet, CROWD)
    bad = people[CROWD // 2]
    pool = quiet.shards.pool(LIKED_BY.partition, shard_of(photo))
    await pool.write(
        f"alter table s0001.associations add constraint refused check (atype <> {LIKED_BY.number} or id2 <> {bad})"
    )
    written = await asyncio.gather(*(quiet.assoc_add(LIKES, one, photo) for one in people))
    assert all(each.changed for each in written)
    assert await quiet.assoc_count(LIKED_BY, photo) == CROWD - 1
    assert "1 messages to pg-2 wait for the sweep" in caplog.text
    waiting = await quiet.shards.pools["pg-1"].fetch("select payload from outbox")
    assert [msgspec.json.decode(row[0], type=Mirror).id2 for row in waiting] == [bad]
    await pool.write("alter table s0001.associations drop constraint refused")
    assert await sweep_all(quiet) == 1
    assert await quiet.assoc_count(LIKED_BY, photo) == CROWD
    assert (await check_graph(quiet)).wrong == 0


async def test_a_list_that_somebody_has_locked_keeps_only_those_waiting_who_write_it(quiet: Graph) -> None:
    people, photo = await ends(quiet, 12)
    (free,) = await quiet.shards.next_ids(1)
    pool = quiet.shards.pool(LIKED_BY.partition, shard_of(photo))
    async with pool.transaction() as connection:
        await pool.run_on(connection, "select lock_list($1, $2, $3)", 1, photo, LIKED_BY.number)
        with deadline(0.5):
            stuck = [asyncio.create_task(quiet.assoc_add(LIKES, one, photo)) for one in people]
            await asyncio.gather(*(quiet.assoc_add(LIKES, one, free) for one in people))
            assert not any(each.done() for each in stuck)
            assert all(each.changed for each in await asyncio.gather(*stuck))
    assert await quiet.assoc_count(LIKED_BY, free) == len(people)
    assert await quiet.assoc_count(LIKED_BY, photo) == 0
    assert await sweep_all(quiet) == len(people)
    assert await quiet.assoc_count(LIKED_BY, photo) == len(people)
    assert (await check_graph(quiet)).wrong == 0


async def test_what_a_sweep_has_in_its_hands_is_left_to_it(quiet: Graph) -> None:
    (one,), photo = await ends(quiet, 1)
    async with quiet.transaction(LIKES.partition, shard_of(one)) as write:
        await write.edge(LIKES, one, photo, time=None, data=None, present=True)
        messages: list[Message] = list(write.messages)
        write.messages.clear()
    source = quiet.shards.pools["pg-1"]
    async with source.transaction() as connection:
        await source.run_on(connection, "select id from outbox for update skip locked")
        with deadline(5):
            await relay(quiet.shards, messages)
    assert await quiet.assoc_count(LIKED_BY, photo) == 1
    assert len(await source.fetch("select id from outbox")) == 1
    assert await sweep_all(quiet) == 1
    assert (await versions(quiet, photo)) == (1, [1])


async def test_everybody_in_a_crowd_is_shown_their_own_write(quiet: Graph) -> None:
    """Whoever carried it: each has a ticket for the server of the inverse, too."""
    people, photo = await ends(quiet, 30)

    async def person(one: int) -> set[str]:
        with carrying({}) as tickets:
            await quiet.assoc_add(LIKES, one, photo)
            return set(await tickets.issue())

    assert await asyncio.gather(*map(person, people)) == [{"pg-1", "pg-2"}] * len(people)


async def test_crowds_that_bring_several_lists_each_do_not_wait_for_each_other(quiet: Graph) -> None:
    """Each of many writers has edges to the same few people, in an order of its own."""
    dice = random.Random(SEED)
    people, _ = await ends(quiet, 24)
    followed = [id_ for shard in (1, 3, 5, 7) for id_ in await quiet.shards.next_ids(shard, 2)]

    async def person(one: int) -> None:
        async with quiet.transaction(FOLLOWS.partition, shard_of(one)) as write:
            for other in sorted(dice.sample(followed, 5)):
                note = msgspec.json.encode(Note(1))
                await write.edge(FOLLOWS, one, other, time=None, data=note, present=True)

    with deadline(20):
        await asyncio.gather(*map(person, people))
    counts = await quiet.assoc_count_many(FOLLOWED_BY, followed)
    assert sum(counts.values()) == 5 * len(people)
    report = await check_graph(quiet)
    assert (report.wrong, report.waiting) == (0, 0)


async def test_the_sweep_delivers_a_crowd_in_batches(quiet: Graph) -> None:
    people, photo = await ends(quiet, 150)
    for one in people:
        async with quiet.transaction(LIKES.partition, shard_of(one)) as write:
            await write.edge(LIKES, one, photo, time=None, data=None, present=True)
            write.messages.clear()
    await quiet.shards.pools["pg-1"].write("update outbox set due = 0 returning id")
    with watched(quiet) as seen:
        assert await Sweep(quiet.shards, {}).once() == len(people)
    assert len([text for text in seen if "edge_mirrors(" in text]) == 1
    assert (await versions(quiet, photo)) == (150, list(range(1, 151)))
