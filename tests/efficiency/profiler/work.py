"""What the recorded requests do: use CPU, alone and in coroutines; and what of that is in a profile."""

from __future__ import annotations

import asyncio

import pytest
from asgiref.sync import async_to_sync, sync_to_async

from calotype.efficiency.profiler import Profile
from tests.efficiency.burning import burn, burnt
from tests.efficiency.profiler.profiles import paths


def work(by: str = "") -> None:
    burn(5, by)


async def child() -> None:
    await leaf()


async def leaf() -> None:
    work()
    await asyncio.sleep(0.001)
    work()


async def in_synchronous_code() -> None:
    def synchronous() -> None:
        work()
        async_to_sync(child)()

    await sync_to_async(synchronous)()


def own(profile: Profile, *path: str) -> int:
    return paths(profile)[path][1]


def cpu_of(profile: Profile, *path: str) -> int:
    """Own and below."""
    return sum(amount for each, (_, amount) in paths(profile).items() if each[: len(path)] == path)


def assert_burns(profile: Profile, *path: str) -> None:
    """All that is burnt, in the `work` below a path."""
    assert cpu_of(profile, "coroutine", "view", *path, "work") == pytest.approx(burnt(), rel=0.1)
