"""Numbers as people read them: three significant digits, always with their unit. What is not known is a dash."""

from __future__ import annotations

import math
from datetime import datetime

from django.utils import timezone

NOTHING = "–"
_NS = ((1e9, "s"), (1e6, "ms"), (1e3, "µs"), (1, "ns"))
_INSTRUCTIONS = ((1e12, "T instr."), (1e9, "G instr."), (1e6, "M instr."), (1e3, "k instr."), (1, "instr."))
_BYTES = ((1e9, "GB"), (1e6, "MB"), (1e3, "kB"), (1, "B"))


def cpu(value: float, unit: str | None) -> str:
    """Of a meter: ns as time, instructions by thousands."""
    return _scaled(value, _INSTRUCTIONS if unit == "instructions" else _NS)


def amount(value: float, unit: str | None) -> str:
    """Of a profile: CPU, time or bytes."""
    return size(value) if unit == "bytes" else cpu(value, unit)


def duration(ns: float) -> str:
    return _scaled(ns, _NS)


def size(number_bytes: float) -> str:
    return _scaled(number_bytes, _BYTES)


def digits(value: float) -> str:
    """Three significant ones, and all of a whole part that has more."""
    if not math.isfinite(value):
        return NOTHING
    if value == 0:
        return "0"
    rounded = float(f"{value:.3g}")
    whole = 1 + math.floor(math.log10(abs(rounded)))
    return f"{value:,.0f}" if whole >= 3 else f"{rounded:.{min(3 - whole, 6)}f}"


def count(number: float) -> str:
    return f"{number:,.0f}" if math.isfinite(number) else NOTHING


def percent(share: float) -> str:
    """Of a whole: 62%, 6.1%, and below a tenth of a percent only that it is less."""
    if not math.isfinite(share):
        return NOTHING
    if 0 < share < 0.001:
        return "< 0.1%"
    return f"{share:.0%}" if share >= 0.0995 or share == 0 else f"{share:.1%}"


def change(before: float, after: float) -> str:
    """With its sign."""
    if not (math.isfinite(before) and math.isfinite(after)) or not before:
        return NOTHING
    moved = after / before - 1
    return f"{'+' if moved >= 0 else '−'}{abs(moved):.1%}"


def clock(at: float, *, seconds: bool = False) -> str:
    """Of the day, in the site's time zone."""
    return moment(at).strftime("%H:%M:%S" if seconds else "%H:%M")


def moment(at: float) -> datetime:
    return datetime.fromtimestamp(at, timezone.get_current_timezone())


def _scaled(value: float, units: tuple[tuple[float, str], ...]) -> str:
    if not math.isfinite(value):
        return NOTHING
    for size_, unit in units:
        if abs(value) >= size_ * 0.9995:
            return f"{digits(value / size_)} {unit}"
    return f"{digits(value)} {units[-1][1]}"
