"""What `settings.DYNOSTATS` of a Django site says."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import msgspec
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from calotype.efficiency.dynostats.recorder import Sampling, Sink
from calotype.efficiency.dynostats.sinks import SinkUnavailable, complaints, made
from calotype.efficiency.meter import CounterName
from calotype.efficiency.profiler import ClockName, Profiler


class Settings(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    directory: Path
    """Where segments are written, and sums for Prometheus: one for all workers of a host."""
    release: str = ""
    """Of the code: a commit."""
    region: str = ""
    sampling: Sampling = Sampling()
    counter: CounterName | None = None
    """None: the best there is."""
    profile_one_in: int = 0
    """One of so many requests is profiled, into `directory`/profiles; 0: none is."""
    profile_clock: ClockName = "cpu"
    segments: bool = True
    """Whether records and ticks are written to segments."""
    prometheus: bool = True
    """Whether sums are kept for `exposition`."""
    metrics_token: str = ""
    """Who has it may read them; empty: clients on this machine."""
    otlp: str = ""
    """`http://collector:4318` of an OpenTelemetry collector that gets records and ticks; empty: none does."""
    service: str = ""
    """The name of this site there; empty: what the variable `OTEL_SERVICE_NAME` says."""

    def __post_init__(self) -> None:
        if self.profile_one_in < 0:
            raise ValueError("profile_one_in is at least 0")
        for complaint in complaints(self.otlp, self.metrics_token):
            raise ValueError(complaint)


@cache
def told() -> Settings:
    """Raises `ImproperlyConfigured`."""
    try:
        return msgspec.convert(getattr(settings, "DYNOSTATS", None), Settings, dec_hook=_path)
    except (msgspec.ValidationError, ValueError) as error:
        raise ImproperlyConfigured(f"settings.DYNOSTATS: {error}") from error


def _path(type_: type, value: object) -> object:
    if type_ is Path and isinstance(value, str | Path):
        return Path(value)
    raise NotImplementedError(f"{type_.__name__} from {type(value).__name__}")


def sink(said: Settings) -> Sink:
    """All that they name, in one. Raises `ImproperlyConfigured`."""
    try:
        return made(
            said.directory,
            segments=said.segments,
            prometheus=said.prometheus,
            otlp=said.otlp,
            service=said.service,
        )
    except SinkUnavailable as error:
        raise ImproperlyConfigured(f"settings.DYNOSTATS: {error}") from error


def profiler(said: Settings) -> Profiler | None:
    if not said.profile_one_in:
        return None
    return Profiler(said.directory / "profiles", said.release, said.profile_clock, one_in=said.profile_one_in)
