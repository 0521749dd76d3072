"""The CPU of each request, exactly, while requests interleave in one process. See docs/meter.md."""

from calotype.efficiency.meter.account import CURRENT, Account, Calls, Figures, Probe, Step, calling
from calotype.efficiency.meter.counters import Availability, Counter, CounterName, Unit, available, counter
from calotype.efficiency.meter.loops import detach
from calotype.efficiency.meter.meter import Meter
from calotype.efficiency.meter.perf import PerfUnavailable

__all__ = [
    "CURRENT",
    "Account",
    "Availability",
    "Calls",
    "Counter",
    "CounterName",
    "Figures",
    "Meter",
    "PerfUnavailable",
    "Probe",
    "Step",
    "Unit",
    "available",
    "calling",
    "counter",
    "detach",
]
