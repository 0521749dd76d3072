"""What simulated people do next: pure, and fixed by the seed. What they see decides nothing here."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

Kind = Literal[
    "home",
    "timeline",
    "post",
    "profile",
    "followers",
    "like",
    "unlike",
    "follow",
    "unfollow",
    "comment",
    "delete_comment",
]

READS: Mapping[Kind, int] = {"home": 30, "timeline": 25, "post": 25, "profile": 12, "followers": 8}
"""How often each is chosen, in parts of 100."""

WRITES: Mapping[Kind, int] = {
    "like": 25,
    "unlike": 25,
    "follow": 12,
    "unfollow": 10,
    "comment": 15,
    "delete_comment": 13,
}
"""Likes as often taken back as given, comments nearly as often deleted as made: a long run changes little."""

LIKES_IN_ONES_CORNER = 0.5


@dataclass(frozen=True)
class Scene:
    """Whom and what the load is about. Posts by id; a place is an index into `people`."""

    people: tuple[str, ...]
    posts: tuple[str, ...]

    @property
    def shared(self) -> tuple[str, ...]:
        """Posts that everybody likes and unlikes: a third of them."""
        return self.posts[: len(self.posts) // 3 or 1]

    def corner(self, place: int) -> tuple[str, ...]:
        """Posts that nobody else of the load likes, so that the right number of likes is known exactly."""
        return self.posts[len(self.shared) + place :: len(self.people)]


@dataclass(frozen=True)
class Choice:
    """One thing to do. `number` counts them; `post` and `person` are what it is done to, if its kind needs one."""

    number: int
    kind: Kind
    post: str
    person: str


def choices(scene: Scene, place: int, writes: float, seed: int) -> Iterator[Choice]:
    """All that one person would ever do, a share `writes` of it writing. Two people or more, one post or more."""
    chance = random.Random(f"{seed} {place}")  # noqa: S311  # replayable, not secret
    others = [name for at, name in enumerate(scene.people) if at != place]
    number = 0
    while True:
        number += 1
        kind = _weighted(chance, WRITES if chance.random() < writes else READS)
        yield Choice(number, kind, _post(chance, scene, place, kind), chance.choice(others))


def _post(chance: random.Random, scene: Scene, place: int, kind: Kind) -> str:
    if kind not in ("like", "unlike"):
        return chance.choice(scene.posts)
    corner = scene.corner(place)
    return chance.choice(corner if corner and chance.random() < LIKES_IN_ONES_CORNER else scene.shared)


def _weighted(chance: random.Random, weights: Mapping[Kind, int]) -> Kind:
    return chance.choices(list(weights), list(weights.values()))[0]
