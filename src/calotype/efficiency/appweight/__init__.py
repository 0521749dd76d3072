"""What one active person costs, and how many a core carries. See docs/appweight.md."""

from calotype.efficiency.appweight.capacity import Capacity, capacity
from calotype.efficiency.appweight.weight import AppWeight, EndpointWeight, releases, series, weigh

__all__ = ["AppWeight", "Capacity", "EndpointWeight", "capacity", "releases", "series", "weigh"]
