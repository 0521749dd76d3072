"""The page of profiles: a flame graph, the dearest functions, and what a release has changed."""

from __future__ import annotations

import sysconfig
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from calotype.efficiency.profiler import (
    Box,
    Change,
    Hot,
    Profile,
    Stored,
    difference,
    flame,
    folded,
    hottest,
    read,
    stored,
)

ROWS = 40
LEAST = 0.002
"""Of a request: what is narrower is not drawn."""

BOXES = 1_500
ROW_PX = 20
CHANGED = 0.02
"""Of a request: a function that has changed by as much is coloured."""

_STANDARD = sysconfig.get_paths()["stdlib"]


@dataclass(frozen=True, slots=True)
class FlameBox:
    """In percent of the width, and pixels from the top. `kind` is its class: whose code it is, or how it has changed."""

    box: Box
    number: int
    parent: int
    left: str
    width: str
    top: int
    kind: str

    @property
    def level(self) -> int:
        return self.box.depth + 1


@dataclass(frozen=True, slots=True)
class Profiles:
    all: list[Stored]
    endpoints: list[str]
    chosen: Stored | None
    """None: nothing is stored."""
    others: list[Stored]
    """Other releases of the same endpoint and clock."""
    clocks: list[Stored]
    before: Stored | None
    """What it is compared with."""
    profile: Profile | None
    boxes: list[FlameBox]
    height_px: int
    own: list[Hot]
    total: list[Hot]
    changes: list[Change]

    @property
    def per_request(self) -> float:
        return self.profile.amount / self.profile.requests if self.profile else 0.0

    @property
    def subtracted_share(self) -> float:
        """Of all that was recorded."""
        if self.profile is None:
            return 0.0
        return self.profile.subtracted / max(self.profile.subtracted + self.profile.amount, 1)


def profiles_page(directory: Path, endpoint: str, release: str, clock: str, before: str) -> Profiles:
    """What was asked for, or the nearest that there is: the latest release, the endpoint profiled last."""
    all_ = stored(directory)
    chosen = _chosen(all_, endpoint, release, clock)
    same = [] if chosen is None else [one for one in all_ if one.endpoint == chosen.endpoint]
    others = [
        one
        for one in same
        if chosen and (one.clock, one.unit) == (chosen.clock, chosen.unit) and one != chosen
    ]
    clocks = [one for one in same if chosen and one.release == chosen.release]
    earlier = next((one for one in others if before and one.release == before), None)
    profile = None if chosen is None else _folded(directory, chosen)
    changes = _changes(None if earlier is None else _folded(directory, earlier), profile)
    boxes = [] if profile is None else _boxes(profile, changes)
    return Profiles(
        all=all_,
        endpoints=sorted({one.endpoint for one in all_}),
        chosen=chosen,
        others=others,
        clocks=clocks,
        before=earlier,
        profile=profile,
        boxes=boxes,
        height_px=ROW_PX * (1 + max((each.box.depth for each in boxes), default=0)),
        own=[] if profile is None else hottest(profile, "self")[:ROWS],
        total=[] if profile is None else hottest(profile, "total")[:ROWS],
        changes=changes[:ROWS],
    )


def _chosen(all_: Sequence[Stored], endpoint: str, release: str, clock: str) -> Stored | None:
    fitting = [one for one in all_ if not endpoint or one.endpoint == endpoint]
    of_clock = [one for one in fitting if one.clock == (clock or "cpu")]
    of_release = [one for one in of_clock if one.release == release]
    return max(of_release or of_clock or fitting, key=lambda one: one.written_s, default=None)


@lru_cache(maxsize=8)
def _folded(directory: Path, of: Stored) -> Profile | None:
    """By when it was written: reading and folding take tens of milliseconds."""
    profile = read(directory, of)
    return None if profile is None else folded(profile)


def _changes(before: Profile | None, after: Profile | None) -> list[Change]:
    if before is None or after is None:
        return []
    return [change for change in difference(before, after).functions if change.own_before != change.own_after]


def _boxes(profile: Profile, changes: Sequence[Change]) -> list[FlameBox]:
    whole = profile.amount / max(profile.requests, 1) or 1
    changed = {change.name[0]: (change.own_after - change.own_before) / whole for change in changes}
    boxes: list[FlameBox] = []
    open_: list[int] = []
    for number, box in enumerate(flame(profile, LEAST)[:BOXES]):
        del open_[box.depth :]
        boxes.append(
            FlameBox(
                box=box,
                number=number,
                parent=open_[-1] if open_ else -1,
                left=f"{100 * box.left:.4f}",
                width=f"{100 * box.share:.4f}",
                top=ROW_PX * box.depth,
                kind=_changed(changed.get(box.name, 0.0)) if changes else _whose(box.where),
            )
        )
        open_.append(number)
    return boxes


def _changed(by: float) -> str:
    return "grew" if by > CHANGED else "shrank" if by < -CHANGED else "same"


def _whose(where: str) -> str:
    """The site's own code, a library's, or Python's."""
    if "site-packages" in where:
        return "library"
    return "python" if not where or where.startswith((_STANDARD, "<")) else "own"
