"""Numbers with their units, in templates."""

from __future__ import annotations

from django import template

from calotype.efficiency.console import figures
from calotype.efficiency.sketches import Histogram

register = template.Library()

register.filter("cpu", figures.cpu)
register.filter("amount", figures.amount)
register.filter("duration", figures.duration)
register.filter("size", figures.size)
register.filter("digits", figures.digits)
register.filter("grouped", figures.count)
register.filter("percent", figures.percent)


@register.filter
def clock(at: float) -> str:
    return figures.clock(at, seconds=True)


@register.filter
def per(part: float, whole: float) -> float:
    """A part as a share of the whole."""
    return part / whole if whole else 0.0


@register.filter
def quantile(histogram: Histogram, share: float) -> float:
    return histogram.quantile(share)


@register.filter
def moved(change: str) -> str:
    """The class of a change, by its sign: costs that grow are no good news."""
    return "worse" if change.startswith("+") else "better" if change.startswith("−") else ""


@register.filter
def minus(before: float, after: float) -> float:
    """How much more the first is."""
    return before - after
