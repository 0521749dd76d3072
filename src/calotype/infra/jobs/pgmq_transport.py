"""kombu's pgmq transport, awake when a job ends and when the worker is to end, and gone when it could not connect.

A worker that holds as many messages as it may waits in kombu for a notification, or for the polling interval, though its
job may end within a millisecond: short jobs would come one a second. Here it waits for what it holds first, without
asking the database, and asks only when it may take another.
"""

from __future__ import annotations

import time
from typing import Any

from kombu.transport import pgmq

BUSY_POLL_S = 0.002

LONGEST_WAIT_S = 0.5
"""A worker that is told to end notices within this time."""


class Transport(pgmq.Transport):
    def establish_connection(self) -> Any:
        """kombu closes no connection that it did not get, but the pool behind it is there: its threads would go on trying."""
        try:
            return super().establish_connection()  # type: ignore[no-untyped-call]  # not in its stubs
        except BaseException:
            self.close_connection(None)
            raise

    def drain_events(self, connection: Any, timeout: float | None = None) -> None:  # type: ignore[override]  # so are kombu's own
        """Raises `socket.timeout`."""
        began = time.monotonic()
        while not self._may_take():
            if timeout is not None and time.monotonic() - began >= timeout:
                raise TimeoutError
            time.sleep(BUSY_POLL_S)
        longest = LONGEST_WAIT_S if timeout is None else min(timeout, LONGEST_WAIT_S)
        super().drain_events(connection, longest)  # type: ignore[no-untyped-call]  # not in its stubs

    def _may_take(self) -> bool:
        consuming = [channel for channel in self.channels or () if channel._consumers]
        return not consuming or any(channel.qos.can_consume() for channel in consuming)
