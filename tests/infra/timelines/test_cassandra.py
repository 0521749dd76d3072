"""Timelines in Cassandra, on a ring of three nodes with three replicas."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from calotype.infra.timelines.cassandra import CassandraTimelines, Session
from tests.cassandra import RunningRing
from tests.infra.timelines.conformance import Conformance

pytestmark = pytest.mark.cassandra


@pytest.fixture
async def timelines(ring: RunningRing) -> AsyncIterator[CassandraTimelines]:
    session = Session(ring.nodes)
    yield CassandraTimelines(session)
    await session.close()


class TestCassandra(Conformance):
    pass
