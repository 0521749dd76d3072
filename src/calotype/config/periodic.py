"""What comes round by itself. The relay sends each to its queue, once a period for the whole site."""

from __future__ import annotations

from calotype.config.site import Site as Configuration
from calotype.infra.jobs.periodic import Periodic, Timetable
from calotype.product.explore.tasks import Rank, rank
from calotype.product.explore.types import EVERY_S

PERIODIC = (Periodic("explore", EVERY_S, lambda: rank(Rank())),)


def timetable(configuration: Configuration) -> Timetable:
    return Timetable(configuration.control_dsn, PERIODIC)
