"""Timelines: the newest entries of a list that is computed when it is written, not when it is read."""

from calotype.infra.timelines.postgres import PostgresTimelines
from calotype.infra.timelines.types import EVERYTHING, Entry, Page, Timelines

__all__ = ["EVERYTHING", "Entry", "Page", "PostgresTimelines", "Timelines"]
