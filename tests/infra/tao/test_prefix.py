"""The newest part of a list answers exactly the slices that it holds, and says of the others that it does not know."""

from __future__ import annotations

import hypothesis.strategies as st
from hypothesis import given

from calotype.infra.tao import FIRST, LIST_LIMIT, START, Edge
from calotype.infra.tao.prefix import SIZES, Prefix, RangeKey, size_for

OLDEST = -(1 << 63)

cursors = st.just(START) | st.tuples(st.integers(-1, 8), st.integers(-1, 8) | st.just(FIRST))
lists = st.lists(st.tuples(st.integers(0, 7), st.integers(0, 7)), max_size=12, unique=True).map(
    lambda found: [Edge(id2, time, 1) for time, id2 in sorted(found, reverse=True)]
)
keys = st.builds(
    lambda before, low, offset, limit: RangeKey(1, 1, before[0], before[1], low, offset, limit),
    cursors,
    st.just(OLDEST) | st.integers(0, 7),
    st.integers(0, 5),
    st.integers(1, 6),
)


def answer(edges: list[Edge], key: RangeKey) -> list[Edge]:
    before = (key.before_time, key.before_id2)
    found = [edge for edge in edges if edge.cursor < before and edge.time >= key.low]
    return found[key.offset : key.offset + key.limit]


@given(lists, st.integers(0, 12), keys)
def test_a_slice_is_right_or_not_known(edges: list[Edge], kept: int, key: RangeKey) -> None:
    prefix = Prefix(1, len(edges), kept >= len(edges), edges[:kept])
    found = prefix.slice(key)
    assert found is None or found == answer(edges, key)
    if prefix.whole:
        assert found is not None


@given(lists, keys)
def test_what_is_needed_is_enough(edges: list[Edge], key: RangeKey) -> None:
    needed = Prefix(1, len(edges), True, edges).needed(key)
    assert needed is not None
    assert Prefix(1, len(edges), needed > len(edges), edges[:needed]).slice(key) == answer(edges, key)


@given(st.integers(0, 230), st.booleans(), st.integers(0, 230))
def test_packing_keeps_everything_whatever_is_read_first(amount: int, whole: bool, first: int) -> None:
    edges = [Edge(n, amount - n, n, b"{}" if n % 3 else None) for n in range(amount)]
    read = Prefix.unpack(Prefix(7, 999, whole, edges).pack())
    assert (read.version, read.length, read.whole) == (7, 999, whole)
    assert read.newest(first)[:first] == edges[:first]
    assert read.newest(LIST_LIMIT) == edges


def test_the_last_two_of_a_long_list_are_read_without_the_rest() -> None:
    read = Prefix.unpack(Prefix(7, 2_000, False, [Edge(n, -n, 1) for n in range(1_000)]).pack())
    assert len(read.newest(2)) == SIZES[0]


@given(lists, st.integers(0, 12), st.integers(0, 7))
def test_an_association_is_found_where_it_is_kept(edges: list[Edge], kept: int, id2: int) -> None:
    there = {edge.id2: edge for edge in reversed(edges[:kept])}
    prefix = Prefix.unpack(Prefix(1, len(edges), kept >= len(edges), edges[:kept]).pack())
    assert prefix.find(id2) == there.get(id2)


def test_a_slice_that_ends_at_its_oldest_time_needs_nothing_older() -> None:
    prefix = Prefix(1, 9, False, [Edge(n, 10 - n, 1) for n in range(4)])
    assert prefix.slice(RangeKey(1, 1, *START, 9, 0, 50)) == [Edge(0, 10, 1), Edge(1, 9, 1)]
    assert prefix.slice(RangeKey(1, 1, *START, 1, 0, 50)) is None


def test_half_of_it_is_the_newer_half_and_not_the_whole() -> None:
    half = Prefix(3, 5, True, [Edge(n, -n, 1) for n in range(5)]).half()
    assert (half.version, half.length, half.whole, [edge.id2 for edge in half.newest(9)]) == (
        3,
        5,
        False,
        [0, 1],
    )


def test_sizes_grow_to_the_longest_range_that_may_be_asked_for() -> None:
    assert [size_for(amount) for amount in (1, 4, 5, 51, 201, 1_001, LIST_LIMIT)] == [
        4,
        4,
        50,
        200,
        1_000,
        LIST_LIMIT,
        LIST_LIMIT,
    ]
