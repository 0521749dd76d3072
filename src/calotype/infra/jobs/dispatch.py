"""From what has been committed to the broker: outbox rows that are calls, and failed calls whose next attempt is due."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

import msgspec

from calotype.infra.jobs.broker import Broker
from calotype.infra.jobs.engine import BrokerUnavailable
from calotype.infra.jobs.failures import Failures
from calotype.infra.jobs.periodic import Timetable
from calotype.infra.jobs.types import Call

REFUSED_S = 1.0
"""After the broker failed, nothing is sent for so long."""


class Sender(Protocol):
    """Where calls go that a commit has left in an outbox."""

    async def call(self, payload: bytes) -> None:
        """The outbox handler of `JOB`."""
        ...

    async def send(self, *calls: Call) -> None:
        """Durable when it returns; a failure leaves those before it sent."""
        ...


class Dispatcher:
    """`with Dispatcher(...)`: Celery is synchronous, so it has a thread of its own. Whatever cannot be sent stays where it is."""

    def __init__(self, broker: Broker, failures: Failures) -> None:
        self._broker, self._failures = broker, failures
        self._thread = ThreadPoolExecutor(1, "dispatch")
        self._refused_until = 0.0

    def __enter__(self) -> Dispatcher:
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.submit(self._broker.close).result()
        self._thread.shutdown()

    async def call(self, payload: bytes) -> None:
        """The outbox handler of `JOB`. Raises `BrokerUnavailable`."""
        await self.send(msgspec.json.decode(payload, type=Call))

    async def send(self, *calls: Call) -> None:
        """Durable when it returns; a failure leaves those before it sent. Raises `BrokerUnavailable`, `JobInvalid`."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._send, calls)

    def _send(self, calls: tuple[Call, ...]) -> None:
        for call in calls:
            self._send_one(call)

    def _send_one(self, call: Call) -> None:
        """A broker that is away is not asked for every call that waits: each would wait for its time-out."""
        if time.monotonic() < self._refused_until:
            raise BrokerUnavailable("the broker did not answer a moment ago")
        try:
            self._broker.send(call)
        except BrokerUnavailable:
            self._refused_until = time.monotonic() + REFUSED_S
            raise

    async def retry_due(self) -> int:
        """Send failed calls whose time has come; how many. Raises `BrokerUnavailable`, `FailuresUnavailable`."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, self._failures.send_due, self._send_one)

    async def send_periodic(self, timetable: Timetable) -> int:
        """Send what is due by a timetable; how many. Raises `BrokerUnavailable`, `PeriodicUnavailable`."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, timetable.send_due, self._send_one)
