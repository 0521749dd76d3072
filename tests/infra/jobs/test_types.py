"""Jobs are declared once, and called with what they are declared to take."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calotype.infra.jobs import Call, JobInvalid, Queue, job
from calotype.infra.jobs.types import FIRST_RETRY_S, LAST_RETRY_S, RETRIES, again_s, job_named, retry_s
from calotype.std.errors import Unavailable


class Numbers(msgspec.Struct, frozen=True):
    numbers: list[int]
    name: str = ""


class Others(msgspec.Struct, frozen=True):
    text: str


@job("test.numbers", Numbers, queue=Queue.BULK)
async def numbers(_: None, arguments: Numbers) -> None: ...


@given(st.lists(st.integers(-(1 << 63), (1 << 63) - 1)), st.text())
def test_a_call_brings_its_arguments_over_the_wire(some: list[int], name: str) -> None:
    call = numbers(Numbers(some, name))
    sent = msgspec.json.decode(msgspec.json.encode(call), type=Call)
    assert numbers.check(sent.arguments) == Numbers(some, name)
    assert (sent.job, sent.id, sent.attempts) == (call.job, call.id, 0)


def test_each_call_has_an_id_of_its_own() -> None:
    assert numbers(Numbers([])).id != numbers(Numbers([])).id


def test_arguments_of_another_type_are_refused() -> None:
    with pytest.raises(JobInvalid, match=r"test\.numbers takes Numbers, not Others"):
        numbers(Others("x"))  # type: ignore[arg-type]  # that is the point


@pytest.mark.parametrize("arguments", [b"{}", b'{"numbers": "many"}', b'{"numbers": [1.5]}', b"not JSON"])
def test_arguments_that_do_not_fit_are_named(arguments: bytes) -> None:
    with pytest.raises(JobInvalid, match=r"test\.numbers cannot be called with"):
        numbers.check(arguments)


def test_a_job_of_another_release_is_named() -> None:
    with pytest.raises(JobInvalid, match=r"there is no job 'test\.gone' in this release"):
        job_named("test.gone")


def test_a_name_is_taken_once() -> None:
    with pytest.raises(TypeError, match=r"there is a job test\.numbers already"):
        job("test.numbers", Numbers, queue=Queue.BULK)(numbers.run)


def test_retries_come_later_and_later_and_not_at_once() -> None:
    for attempts in range(1, 20):
        least = min(FIRST_RETRY_S * 2 ** (attempts - 1), LAST_RETRY_S)
        waits = {retry_s(attempts) for _ in range(50)}
        assert all(least <= wait <= least * 1.5 for wait in waits)
        assert len(waits) > 10


def test_a_job_is_given_up_after_its_retries_but_not_for_an_engine_that_is_away() -> None:
    call = msgspec.structs.replace(numbers(Numbers([])), attempts=RETRIES)
    assert again_s(call, ValueError("no")) is None
    assert again_s(call, JobInvalid("no")) is None
    after_s = again_s(call, Unavailable("it is away"))
    assert after_s is not None
    assert 8 <= after_s <= 12
    first_s = again_s(numbers(Numbers([])), Unavailable("it is away"))
    assert first_s is not None
    assert 2 <= first_s <= 3
