"""A record of what requests cost, sampled, from any Django, ASGI or WSGI site. See docs/dynostats.md."""

from calotype.efficiency.dynostats.asgi import MeteredASGI
from calotype.efficiency.dynostats.observation import OBSERVED, Observation, endpoint, gate, person
from calotype.efficiency.dynostats.prometheus import Prometheus
from calotype.efficiency.dynostats.recorder import Recorder, Sampling, Sink
from calotype.efficiency.dynostats.segments import Segments, read
from calotype.efficiency.dynostats.several import Several
from calotype.efficiency.dynostats.types import NO_ROUTE, OTHER, Entry, Identity, Record, Tick, Totals
from calotype.efficiency.dynostats.wsgi import MeteredWSGI

__all__ = [
    "NO_ROUTE",
    "OBSERVED",
    "OTHER",
    "Entry",
    "Identity",
    "MeteredASGI",
    "MeteredWSGI",
    "Observation",
    "Prometheus",
    "Record",
    "Recorder",
    "Sampling",
    "Segments",
    "Several",
    "Sink",
    "Tick",
    "Totals",
    "endpoint",
    "gate",
    "person",
    "read",
]
