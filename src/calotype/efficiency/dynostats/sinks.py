"""The sinks that a site names."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from calotype.efficiency.dynostats.prometheus import Prometheus
from calotype.efficiency.dynostats.recorder import Sink
from calotype.efficiency.dynostats.segments import Segments
from calotype.efficiency.dynostats.several import Several


class SinkUnavailable(Exception):
    """It needs something that is not installed."""


def complaints(otlp: str, metrics_token: str) -> Iterator[str]:
    """What is wrong with the address of a collector and with a token, each empty if there is none."""
    if otlp and not re.fullmatch(r"https?://[^\s/?#@]+(/[^\s?#]*)?", otlp):
        # It is not repeated: there may be a password in it.
        yield "otlp must be the http:// or https:// address of a collector, without user and password, or empty"
    if metrics_token and not re.fullmatch(r"[!-~]{16,}", metrics_token):
        yield "metrics_token must be 16 or more printable characters without spaces, or empty"


def made(directory: Path, *, segments: bool, prometheus: bool, otlp: str, service: str) -> Sink:
    """All of them in one. Raises `SinkUnavailable`."""
    sinks: list[Sink] = []
    if segments:
        sinks.append(Segments(directory))
    if prometheus:
        sinks.append(Prometheus(directory))
    if otlp:
        sinks.append(_otlp(otlp, service))
    return sinks[0] if len(sinks) == 1 else Several(sinks)


def _otlp(endpoint: str, service: str) -> Sink:
    try:
        from calotype.efficiency.dynostats.otlp import Otlp
    except ModuleNotFoundError as error:
        raise SinkUnavailable(f"otlp needs calotype[otlp]: {error}") from error
    return Otlp(endpoint, service=service)
