"""A deadline belongs to a whole piece of work and can only get shorter on the way down."""

from __future__ import annotations

import asyncio
import time

import pytest

from calotype.std.deadline import DEFAULT_S, deadline, expires_at, remaining_s


def test_work_without_a_deadline_has_the_default_one() -> None:
    assert remaining_s() == pytest.approx(DEFAULT_S, abs=0.1)


def test_a_deadline_is_a_moment_and_not_a_length() -> None:
    with deadline(5) as at:
        assert expires_at() == at
        assert 4.9 < remaining_s() <= at - time.monotonic() + 0.1


def test_a_deadline_inside_another_can_only_shorten_it() -> None:
    with deadline(5) as outer:
        with deadline(60) as longer:
            assert longer == outer
        with deadline(1) as shorter:
            assert shorter < outer
        assert expires_at() == outer


def test_what_is_over_has_no_negative_time_left() -> None:
    with deadline(-1):
        assert remaining_s() == 0.0


def test_a_deadline_ends_with_its_block_also_when_that_fails() -> None:
    with pytest.raises(ZeroDivisionError), deadline(1):
        _ = 1 / 0
    assert remaining_s() > 1


async def test_tasks_inherit_the_deadline_of_who_started_them_and_not_each_others() -> None:
    async def own(seconds: float) -> float:
        with deadline(seconds):
            await asyncio.sleep(0)
            return remaining_s()

    with deadline(10):
        inherited = asyncio.create_task(asyncio.to_thread(remaining_s))
        short, long = await asyncio.gather(own(1), own(60))
        assert short <= 1
        assert 1 < long <= 10
        assert 1 < await inherited <= 10
