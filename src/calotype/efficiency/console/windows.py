"""How far back a page looks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from calotype.efficiency.appweight import AppWeight
from calotype.efficiency.console.history import DAY_S, HOUR_S, MINUTE_S, SPAN_S
from calotype.efficiency.dynostats import Tick

NAN = float("nan")


@dataclass(frozen=True, slots=True)
class Window:
    name: str
    title: str
    seconds: int
    minutes: int
    """A point of a chart is so many."""
    spans: int
    """A point of a trend is so many."""


WINDOWS = {
    window.name: window
    for window in (
        Window("hour", "the last hour", HOUR_S, minutes=1, spans=1),
        Window("day", "the last 24 hours", DAY_S, minutes=10, spans=6),
    )
}
HOUR = WINDOWS["hour"]


@dataclass(frozen=True, slots=True)
class Stretch:
    """Some minutes, taken together: what an active person cost in one of them."""

    at: float
    people: float
    """Of a minute, on average. NaN: no worker has said anything."""
    weight_ns: float
    """For each active person and minute. NaN: there was none."""
    cores: float
    requests_per_s: float


def stretches(minutes: Sequence[AppWeight], each: int) -> list[Stretch]:
    return [stretch(minutes[at : at + each]) for at in range(0, len(minutes), each)]


def stretch(minutes: Sequence[AppWeight]) -> Stretch:
    known = [minute for minute in minutes if minute.unit is not None]
    people, cores = sum(each.people for each in known), sum(each.cores for each in known)
    number = len(known)
    return Stretch(
        at=minutes[0].since,
        people=people / number if number else NAN,
        weight_ns=(
            1e9 * MINUTE_S * sum(each.cores for each in known if each.people) / people if people else NAN
        ),
        cores=cores / number if number else NAN,
        requests_per_s=sum(each.requests for each in known) / (number * MINUTE_S) if number else NAN,
    )


def groups(spans: Sequence[Tick], now: float, window: Window) -> Iterator[tuple[float, list[Tick]]]:
    """Of the window, as its trends have them: when each begins, and what is in it."""
    each_s = window.spans * SPAN_S
    last = int(now // each_s)
    found: dict[int, list[Tick]] = {}
    for tick in spans:
        found.setdefault(int((tick.at - 0.001) // each_s), []).append(tick)
    for number in range(last - window.seconds // each_s + 1, last + 1):
        yield number * each_s, found.get(number, [])
