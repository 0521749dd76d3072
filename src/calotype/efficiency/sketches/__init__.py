"""Summaries of many values that can be added up: of workers, of minutes, of hosts."""

from calotype.efficiency.sketches.histogram import Histogram
from calotype.efficiency.sketches.hyperloglog import HyperLogLog

__all__ = ["Histogram", "HyperLogLog"]
