"""What is seen of a request while it runs, by whoever knows it: the server, the routing, the session, a gate."""

from __future__ import annotations

import time
from contextvars import ContextVar

from calotype.efficiency.dynostats.types import NO_ROUTE
from calotype.efficiency.meter import Account
from calotype.efficiency.profiler import Probe

GATES = 50
"""As many are noted of one request."""


class Observation:
    """Of one request; whoever serves it fills it in."""

    __slots__ = (
        "account",
        "answer_ns",
        "at",
        "began_ns",
        "bytes_in",
        "bytes_out",
        "endpoint",
        "error",
        "gates",
        "method",
        "person",
        "probe",
        "sampled",
        "status",
    )

    def __init__(self, method: str, sampled: bool, account: Account | None) -> None:
        self.method = method
        self.sampled = sampled
        self.account = account
        """None: its CPU is not metered."""
        self.at = time.time()
        self.began_ns = time.perf_counter_ns()
        self.endpoint = NO_ROUTE
        self.status = 0
        self.answer_ns = 0
        """From its beginning to that of its answer; 0 as long as there is none."""
        self.bytes_in = self.bytes_out = 0
        self.error = ""
        self.person: int | str | None = None
        """Who is active. Only ever counted, as one of how many."""
        self.gates: list[str] = []
        self.probe: Probe | None = None
        """It is profiled."""

    def answering(self, status: int) -> None:
        """Its answer begins."""
        self.status = status
        self.answer_ns = time.perf_counter_ns() - self.began_ns


OBSERVED: ContextVar[Observation | None] = ContextVar("calotype_observation", default=None)
"""Of the request that this code runs for."""


def endpoint(name: str) -> None:
    """This request is served by the route of this name (or pattern): one of a fixed set, so nothing of its path."""
    if (observed := OBSERVED.get()) is not None:
        observed.endpoint = name or NO_ROUTE


def person(id_: int | str) -> None:
    """This request is of this person, who is active therefore."""
    if (observed := OBSERVED.get()) is not None:
        observed.person = id_


def gate(name: str) -> None:
    """This request has passed this gate (feature flag)."""
    if (observed := OBSERVED.get()) is not None and len(observed.gates) < GATES:
        observed.gates.append(name)
