"""One pipelined connection: answers in their order however they arrive, and the end of it when they are none."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from calotype.infra.cache import CacheMisused, CacheUnavailable
from calotype.infra.cache.connection import LINE_LIMIT, QUEUE_LIMIT, Connection, connect
from tests.memcached import RunningMemcached

TIMEOUT_S = 0.25


@asynccontextmanager
async def connected(name: str) -> AsyncIterator[Connection]:
    connection = await connect(name, TIMEOUT_S, lambda ended: None)
    try:
        yield connection
    finally:
        connection.close()


class Silent(asyncio.Transport):
    """Takes everything and says nothing: what arrives is up to the test."""

    def write(self, data: bytes | bytearray | memoryview) -> None: ...

    def abort(self) -> None: ...


@pytest.fixture
async def fed() -> AsyncIterator[tuple[Connection, Callable[[bytes], None]]]:
    """A connection, and what hands it bytes as its server would."""
    connection = Connection("fed", TIMEOUT_S, lambda ended: None)
    connection.connection_made(Silent())
    yield connection, connection.data_received
    connection.close()


ANSWERS = b"VA 9 c7\r\na\r\nVA 1 \r\r\nHD f12 t-1\r\nEN\r\nVA 0 c8 W\r\n\r\nNF\r\n"
REPLIES = [
    (b"VA", [b"c7"], b"a\r\nVA 1 \r"),
    (b"HD", [b"f12", b"t-1"], None),
    (b"EN", [], None),
    (b"VA", [b"c8", b"W"], b""),
    (b"NF", [], None),
]
Fed = tuple[Connection, Callable[[bytes], None]]


async def test_answers_may_be_split_at_every_byte(fed: Fed) -> None:
    connection, arrive = fed
    for first in range(1, len(ANSWERS)):
        for second in {first, min(first + 1, len(ANSWERS) - 1), (first + len(ANSWERS)) // 2}:
            one, rest = connection.send(b"...", 2), connection.send(b"...", 3)
            for part in (ANSWERS[:first], ANSWERS[first:second], ANSWERS[second:]):
                if part:
                    arrive(part)
            assert await one + await rest == REPLIES, (first, second)


async def test_a_long_value_is_not_copied_with_every_packet(fed: Fed) -> None:
    connection, arrive = fed
    value = os.urandom(900_000)
    answer = b"VA 900000\r\n" + value + b"\r\n"
    asked = connection.send(b"...", 1)
    for at in range(0, len(answer), 1_000):
        arrive(answer[at : at + 1_000])
    assert (await asked)[0][2] == value


@pytest.mark.parametrize(
    "garbage",
    [
        b"HTTP/1.1 400 Bad Request\r\n",
        b"VA x\r\n",
        b"VA \r\n",
        b"VA -5\r\n\r\n",
        b"XX\r\n",
        b"\r\n",
        b"\x00\xff\xfe\r\n",
        b"VA 999999999999\r\nabc",
        b"x" * (LINE_LIMIT + 1),
        b"HD\r\nHD\r\n",
    ],
)
async def test_what_is_no_answer_ends_the_connection(fed: Fed, garbage: bytes) -> None:
    connection, arrive = fed
    asked = connection.send(b"...", 1)
    arrive(garbage)
    assert not connection.alive
    with pytest.raises(CacheUnavailable):
        connection.send(b"...", 1)
    if garbage.startswith(b"HD"):  # the first was an answer
        assert (await asked)[0][0] == b"HD"
    else:
        with pytest.raises(CacheUnavailable, match="no answer"):
            await asked


async def test_errors_of_the_server_are_told_apart_and_the_next_answer_is_read(fed: Fed) -> None:
    connection, arrive = fed
    misused, full, fine = (connection.send(b"...", 1) for _ in range(3))
    arrive(b"CLIENT_ERROR bad data chunk\r\nSERVER_ERROR out of memory\r\nHD\r\n")
    with pytest.raises(CacheMisused, match="bad data chunk"):
        await misused
    with pytest.raises(CacheUnavailable, match="out of memory"):
        await full
    assert (await fine)[0][0] == b"HD"


async def test_a_command_that_nobody_waits_for_keeps_its_place(fed: Fed) -> None:
    connection, arrive = fed
    given_up, next_one = connection.send(b"...", 1), connection.send(b"...", 1)
    given_up.cancel()
    arrive(b"VA 1\r\n1\r\nVA 1\r\n2\r\n")
    assert (await next_one)[0][2] == b"2"


async def test_too_much_under_way_is_refused(fed: Fed) -> None:
    connection, _ = fed
    waiting = connection.send(b"...", QUEUE_LIMIT + 1)
    with pytest.raises(CacheUnavailable, match=f"{QUEUE_LIMIT + 1} commands under way"):
        connection.send(b"...", 1)
    waiting.cancel()


@pytest.mark.memcached
async def test_values_with_line_ends_and_of_900_kb_come_back(own_memcached: RunningMemcached) -> None:
    values = [b"a\r\nb", b"\r\n", b"EN\r\n", b"VA 3\r\nabc\r\n", b"", os.urandom(900_000)]
    async with connected(own_memcached.address) as connection:
        for at, value in enumerate(values):
            connection.send(b"ms k%d %d\r\n%b\r\n" % (at, len(value), value), 1)
        asked = b"".join(b"mg k%d v\r\n" % at for at in range(len(values)))
        replies = await connection.send(asked, len(values))
        assert [value for _, _, value in replies] == values


@pytest.mark.memcached
async def test_thousands_of_commands_of_many_tasks_get_their_own_answers(
    own_memcached: RunningMemcached,
) -> None:
    async def task(number: int, connection: Connection) -> None:
        for turn in range(60):
            key = b"k%d-%d" % (number, turn)
            stored, got = await asyncio.gather(
                connection.send(b"ms %b %d\r\n%b\r\n" % (key, len(key) * 50, key * 50), 1),
                connection.send(b"mg %b v k\r\nmg absent v\r\n" % key, 2),
            )
            assert stored[0][0] == b"HD"
            assert got == [(b"VA", [b"k" + key], key * 50), (b"EN", [], None)]

    async with connected(own_memcached.address) as connection:
        await asyncio.gather(*(task(number, connection) for number in range(50)))


async def test_where_nothing_listens_there_is_no_connection(short_directory: Path) -> None:
    for name in (str(short_directory / "nothing.sock"), "127.0.0.1:1"):
        with pytest.raises(CacheUnavailable, match="cannot be reached"):
            await connect(name, TIMEOUT_S, lambda ended: None)


@pytest.mark.memcached
async def test_everything_under_way_fails_when_the_server_dies(own_memcached: RunningMemcached) -> None:
    ended: list[Connection] = []
    connection = await connect(own_memcached.address, TIMEOUT_S, ended.append)
    own_memcached.freeze()
    asked = [connection.send(b"mn\r\n", 1) for _ in range(10)]
    await asyncio.sleep(0.01)
    own_memcached.kill()
    for each in asked:
        with pytest.raises(CacheUnavailable):
            await each
    assert ended == [connection]
