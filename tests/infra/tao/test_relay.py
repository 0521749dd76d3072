"""Messages: applied in any order, any number of times, by anybody, and never lost or obeyed too late."""

from __future__ import annotations

import itertools

import asyncpg
import msgspec
import pytest

from calotype.infra.ids import shard_of
from calotype.infra.shards import Pool
from calotype.infra.tao import Association, Edge, Graph, Sweep, check_graph
from calotype.infra.tao.forget import forget
from calotype.infra.tao.relay import (
    FIRST_RETRY_MS,
    LAST_RETRY_MS,
    TOMBSTONE_RETENTION_S,
    apply,
    relay,
    retry_ms,
)
from calotype.infra.tao.writes import Message, Mirror
from tests.infra.tao.conftest import sweep_all
from tests.infra.tao.world import FOLLOWED_BY, FOLLOWS, LIKED_BY, LIKES, MUTES, POSTED, Note, Person, Photo


@pytest.fixture
async def ends(quiet: Graph) -> tuple[int, int]:
    """Ids on two servers."""
    return (await quiet.shards.next_ids(0))[0], (await quiet.shards.next_ids(1))[0]


async def write_and_die(
    graph: Graph, assoc: Association, id1: int, id2: int, *, present: bool, data: bytes | None = None
) -> Message:
    """Commit a forward write, and end before anything else: its message is in the outbox, and returned."""
    async with graph.transaction(assoc.partition, shard_of(id1)) as write:
        await write.edge(assoc, id1, id2, time=5 if present else None, data=data, present=present)
        (message,) = write.messages
        write.messages.clear()
    return message


async def outbox(graph: Graph) -> list[asyncpg.Record]:
    return [
        row
        for pool in graph.shards.pools.values()
        for row in await pool.fetch("select * from outbox order by id")
    ]


def target(graph: Graph, message: Message) -> Pool:
    return graph.shards.pool(message.partition, shard_of(message.mirror.id1))


async def test_a_writer_that_dies_after_its_commit_leaves_its_work_to_the_sweep(
    quiet: Graph, ends: tuple[int, int]
) -> None:
    one, other = ends
    await write_and_die(quiet, LIKES, one, other, present=True, data=b'{"n": 3}')
    assert await quiet.assoc_count(LIKES, one) == 1
    assert await quiet.assoc_count(LIKED_BY, other) == 0
    assert await sweep_all(quiet) == 1
    (edge,) = await quiet.assoc_range(LIKED_BY, other, 0, 10)
    assert (edge.id2, edge.time, edge.data) == (one, 5, b'{"n": 3}')
    assert await quiet.assoc_count(LIKED_BY, other) == 1
    assert await outbox(quiet) == []


async def test_the_sweep_leaves_what_is_younger_than_a_second_to_its_writer(
    quiet: Graph, ends: tuple[int, int]
) -> None:
    message = await write_and_die(quiet, LIKES, *ends, present=True)
    (row,) = await outbox(quiet)
    assert row["due"] == row["created"] + 1000
    await quiet.shards.pools["pg-1"].write("update outbox set due = now_ms() + 60000 returning id")
    assert await Sweep(quiet.shards, {}).once() == 0
    await relay(quiet.shards, [message])
    assert await outbox(quiet) == []


@pytest.mark.parametrize("order", list(itertools.permutations(range(4))))
async def test_messages_of_one_edge_may_come_in_any_order_and_twice(
    quiet: Graph, order: tuple[int, ...]
) -> None:
    (one,), (other,) = await quiet.shards.next_ids(2), await quiet.shards.next_ids(3)
    messages = [await write_and_die(quiet, LIKES, one, other, present=at % 2 == 0) for at in range(4)]
    for at in (*order, *reversed(order)):
        await apply(target(quiet, messages[at]), [messages[at].mirror])
        there = await quiet.assoc_get(LIKED_BY, other, [one])
        assert await quiet.assoc_count(LIKED_BY, other) == len(there)
    assert await quiet.assoc_count(LIKED_BY, other) == 0
    await sweep_all(quiet)
    assert (await check_graph(quiet)).wrong == 0


async def test_many_messages_of_one_edge_in_one_batch_end_with_the_newest(
    quiet: Graph, ends: tuple[int, int]
) -> None:
    one, other = ends
    messages = [await write_and_die(quiet, LIKES, one, other, present=at % 2 == 0) for at in range(5)]
    await relay(quiet.shards, messages[::-1])
    assert await quiet.assoc_count(LIKED_BY, other) == 1
    assert await outbox(quiet) == []


async def test_a_message_after_its_deadline_is_refused(quiet: Graph, ends: tuple[int, int]) -> None:
    message = await write_and_die(quiet, LIKES, *ends, present=True)
    mirror = message.mirror
    with pytest.raises(asyncpg.PostgresError) as refused:
        async with target(quiet, message).connection() as connection:
            await connection.execute(
                "select calotype.edge_mirror($1, $2, $3, $4, $5, null, $6, true, calotype.now_ms() - 1)",
                shard_of(mirror.id1),
                mirror.id1,
                mirror.atype,
                mirror.id2,
                mirror.time,
                mirror.source_version,
            )
    assert refused.value.sqlstate == "CT001"
    assert await quiet.assoc_count(LIKED_BY, ends[1]) == 0
    await sweep_all(quiet)
    assert await quiet.assoc_count(LIKED_BY, ends[1]) == 1


async def test_a_tombstone_stays_while_an_older_message_waits_anywhere(
    quiet: Graph, ends: tuple[int, int]
) -> None:
    one, other = ends
    old = await write_and_die(quiet, LIKES, one, other, present=True)
    await quiet.assoc_del(LIKES, one, other)
    sweep = Sweep(quiet.shards, {})
    (pool,) = {target(quiet, old)}
    # Far older than the retention, by the clock; but its add still waits in the other server's outbox.
    await pool.write(
        "update associations set time = now_ms() - 30 * 86400000::bigint where deleted returning id1"
    )
    await quiet.shards.pools["pg-1"].write(
        "update outbox set created = now_ms() - 40 * 86400000::bigint returning id"
    )
    assert await sweep.purge_tombstones() == 0
    await apply(pool, [old.mirror])
    assert await quiet.assoc_count(LIKED_BY, other) == 0
    await sweep_all(quiet)
    assert await sweep.purge_tombstones() == 1
    assert await pool.fetch("select 1 from associations where deleted") == []


async def test_a_young_tombstone_stays(quiet: Graph, ends: tuple[int, int]) -> None:
    await quiet.assoc_add(LIKES, *ends)
    await quiet.assoc_del(LIKES, *ends)
    sweep = Sweep(quiet.shards, {})
    assert await sweep.purge_tombstones() == 0
    pool = quiet.shards.pool(LIKED_BY.partition, shard_of(ends[1]))
    age_ms = int(TOMBSTONE_RETENTION_S * 1000) - 1
    await pool.write("update associations set time = now_ms() - $1 where deleted returning id1", age_ms)
    assert await sweep.purge_tombstones() == 0
    assert await sweep.purge_tombstones(retention_s=0) == 1


async def test_an_edge_added_again_after_the_purge_is_mirrored(quiet: Graph, ends: tuple[int, int]) -> None:
    await quiet.assoc_add(LIKES, *ends)
    await quiet.assoc_del(LIKES, *ends)
    pool = quiet.shards.pool(LIKED_BY.partition, shard_of(ends[1]))
    await pool.write("delete from associations where deleted returning id1")
    await quiet.assoc_add(LIKES, *ends)
    assert await quiet.assoc_count(LIKED_BY, ends[1]) == 1


async def test_rows_that_cannot_be_done_hold_up_none_of_the_others(
    quiet: Graph, ends: tuple[int, int], caplog: pytest.LogCaptureFixture
) -> None:
    one, other = ends
    mirror = {
        "id1": other,
        "atype": LIKED_BY.number,
        "id2": one,
        "time": 1,
        "data": None,
        "source_version": 1,
        "present": True,
    }
    bad = [
        ("mirror", mirror | {"atype": 1_000_000}),  # a type of a newer release
        ("mirror", mirror | {"id1": 8191 << 10}),  # a shard that is gone
        ("a kind of a newer release", {}),
    ]
    pool = quiet.shards.pools["pg-1"]
    for kind, payload in bad:
        await pool.write(
            "insert into outbox (shard, id, kind, payload, created, due) select 0, next_id(0), $1, $2, 0, 0 returning id",
            kind,
            msgspec.json.encode(payload),
        )
    await write_and_die(quiet, LIKES, one, other, present=True)
    assert await sweep_all(quiet) == 1
    assert await quiet.assoc_count(LIKED_BY, other) == 1
    left = await outbox(quiet)
    assert len(left) == 3
    assert all(row["attempts"] > 0 for row in left)
    assert "which nobody handles" in caplog.text


async def test_a_message_that_the_server_refuses_is_tried_alone(quiet: Graph, ends: tuple[int, int]) -> None:
    one, other = ends
    good = await write_and_die(quiet, LIKES, one, other, present=True)
    pool = target(quiet, good)
    await write_and_die(quiet, FOLLOWS, one, other, present=True)
    await pool.write(
        f"alter table s0001.associations add constraint refused check (atype <> {FOLLOWED_BY.number})"
    )
    assert await sweep_all(quiet) == 1
    assert await quiet.assoc_count(LIKED_BY, other) == 1
    assert await quiet.assoc_count(FOLLOWED_BY, other) == 0
    await pool.write("alter table s0001.associations drop constraint refused")
    assert await sweep_all(quiet) == 1
    assert await quiet.assoc_count(FOLLOWED_BY, other) == 1


async def test_a_handler_that_fails_is_called_again_and_others_are_not_disturbed(quiet: Graph) -> None:
    calls: list[bytes] = []

    async def handler(payload: bytes) -> None:
        calls.append(payload)
        if len(calls) == 1:
            raise OSError

    async with quiet.transaction("people", 0) as write:
        await write.post("people", 0, "greet", Note(1), delay_ms=0)
    sweep = Sweep(quiet.shards, {"greet": handler})
    assert await sweep.once() == 0
    (row,) = await outbox(quiet)
    assert row["attempts"] == 1
    assert row["due"] > row["created"]
    assert await sweep_all(quiet, sweep) == 1
    assert calls == [b'{"n": 1}'] * 2


async def test_work_that_is_taken_back_is_not_done(quiet: Graph) -> None:
    async with quiet.transaction("people", 0) as write:
        row = await write.post("people", 0, "greet", Note(1), delay_ms=0)
        assert await write.take_back("people", 0, [row]) == 1
        assert await write.take_back("people", 0, [row]) == 0
    assert await outbox(quiet) == []


async def test_work_of_a_transaction_that_fails_was_never_there(quiet: Graph, ends: tuple[int, int]) -> None:
    with pytest.raises(KeyError):
        async with quiet.transaction("people", 0) as write:
            await write.post("people", 0, "greet", Note(1), delay_ms=0)
            await write.edge(FOLLOWS, *ends, time=None, data=None, present=True)
            raise KeyError
    assert await outbox(quiet) == []
    assert await quiet.assoc_count(FOLLOWS, ends[0]) == 0
    assert await quiet.assoc_count(FOLLOWED_BY, ends[1]) == 0


async def test_two_sweeps_at_once_share_the_work(quiet: Graph) -> None:
    import asyncio

    (one,) = await quiet.shards.next_ids(0)
    others = await quiet.shards.next_ids(1, 300)
    for other in others:
        await write_and_die(quiet, LIKES, one, other, present=True)
    await quiet.shards.pools["pg-1"].write("update outbox set due = 0 returning id")
    done = 0
    for _ in range(3):  # 200 rows a pass
        done += sum(await asyncio.gather(*(Sweep(quiet.shards, {}).once() for _ in range(3))))
    assert done == 300
    assert set((await quiet.assoc_count_many(LIKED_BY, others)).values()) == {1}


async def test_the_edges_of_a_deleted_object_go_in_both_directions(quiet: Graph) -> None:
    person = await quiet.obj_add(Person("Ada"), shard=0)
    friends = [await quiet.obj_add(Person("b"), shard=shard) for shard in range(8)]
    for friend in friends:
        await quiet.assoc_add(FOLLOWS, person.id, friend.id)
        await quiet.assoc_add(FOLLOWS, friend.id, person.id)
        await quiet.assoc_add(MUTES, person.id, friend.id)
    assert await quiet.obj_delete(Person, person.id)
    assert not await quiet.obj_delete(Person, person.id)
    assert await quiet.obj_get(Person, person.id) is None
    assert await sweep_all(quiet, Sweep(quiet.shards, {"forget": forget(quiet)})) == 1
    for friend in friends:
        assert (
            await quiet.assoc_count(FOLLOWS, friend.id)
            == await quiet.assoc_count(FOLLOWED_BY, friend.id)
            == 0
        )
    for assoc in (FOLLOWS, FOLLOWED_BY, MUTES):
        assert await quiet.assoc_count(assoc, person.id) == 0
    assert await outbox(quiet) == []
    assert (await check_graph(quiet)).wrong == 0


async def test_what_an_object_owns_goes_with_it(quiet: Graph) -> None:
    person = await quiet.obj_add(Person("Ada"), shard=0)
    photos = await quiet.obj_add_many(Photo, [(0, Photo(f"{n}")) for n in range(5)])
    await quiet.assoc_add_many(POSTED, [(person.id, Edge(photo.id, 0, 0)) for photo in photos])
    await quiet.obj_delete(Person, person.id)
    await sweep_all(quiet, Sweep(quiet.shards, {"forget": forget(quiet)}))
    assert await quiet.obj_get_many(Photo, [photo.id for photo in photos]) == {}
    assert await outbox(quiet) == []


def test_what_fails_is_tried_again_after_a_second_and_at_last_once_a_minute() -> None:
    waits = [retry_ms(attempts) for attempts in range(100)]
    assert waits[:3] == [FIRST_RETRY_MS, 2 * FIRST_RETRY_MS, 4 * FIRST_RETRY_MS]
    assert max(waits) == waits[-1] == LAST_RETRY_MS
    assert waits == sorted(waits)


@pytest.mark.parametrize("data", [None, b'{"n": 1}'])
def test_the_payload_of_a_message_reads_back(data: bytes | None) -> None:
    payload = (
        b'{"id1": 1, "atype": 2, "id2": 3, "time": 4, "data": %s, "source_version": 5, "present": true}'
        % (data or b"null")
    )
    assert bytes(msgspec.json.decode(payload, type=Mirror).data) == (data or b"null")
