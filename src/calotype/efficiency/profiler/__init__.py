"""Where the requests of an endpoint spend what they cost, by path of calls. See docs/profiler.md."""

from calotype.efficiency.profiler.clocks import ClockName, Unit
from calotype.efficiency.profiler.exports import pprof, pstats_of, speedscope
from calotype.efficiency.profiler.folding import RULES, Rule, folded
from calotype.efficiency.profiler.probe import Probe, ToolTaken
from calotype.efficiency.profiler.profile import CallPath, Function, Profile, ProfilesDiffer, merged
from calotype.efficiency.profiler.profiler import Profiler
from calotype.efficiency.profiler.store import ProfileUnreadable, Stored, read, stored
from calotype.efficiency.profiler.views import (
    Box,
    By,
    Change,
    Difference,
    Hot,
    difference,
    flame,
    hottest,
)

__all__ = [
    "RULES",
    "Box",
    "By",
    "CallPath",
    "Change",
    "ClockName",
    "Difference",
    "Function",
    "Hot",
    "Probe",
    "Profile",
    "ProfileUnreadable",
    "Profiler",
    "ProfilesDiffer",
    "Rule",
    "Stored",
    "ToolTaken",
    "Unit",
    "difference",
    "flame",
    "folded",
    "hottest",
    "merged",
    "pprof",
    "pstats_of",
    "read",
    "speedscope",
    "stored",
]
