"""Which content coding a client takes: `Accept-Encoding`, as RFC 9110 (12.5.3) has it."""

from __future__ import annotations

from functools import lru_cache

NAMES_KEPT = 256
"""Browsers send a few different headers; what strangers make up must not fill the memory."""


@lru_cache(NAMES_KEPT)
def preferred(header: str, offered: tuple[str, ...]) -> str | None:
    """Of the codings `offered`, ours first, the one that this client likes best; None: send it as it is."""
    weights = dict(map(_weighed, filter(None, (part.strip() for part in header.lower().split(",")))))
    others = weights.get("*", 0.0)
    weighed = [(weights.get(name, others), name) for name in offered]
    best = max(weighed, key=lambda each: each[0], default=(0.0, ""))
    return best[1] if best[0] > 0 and best[0] >= weights.get("identity", 0.0) else None


def _weighed(part: str) -> tuple[str, float]:
    """`gzip;q=0.5` taken apart. What cannot be read is not wanted."""
    name, _, parameter = part.partition(";")
    if not parameter:
        return name.strip(), 1.0
    key, _, value = parameter.partition("=")
    try:
        weight = float(value) if key.strip() == "q" else 0.0
    except ValueError:
        weight = 0.0
    return name.strip(), weight if 0.0 <= weight <= 1.0 else 0.0
