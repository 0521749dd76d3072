"""Which objects the mixes of `calotype bench graph` have, and which edges, before anything is stored."""

from __future__ import annotations

import random
from dataclasses import dataclass

SEED = 1841


@dataclass(frozen=True)
class World:
    """Objects by their place in the list of ids, and where their edges lead, newest first. Made by a seed alone."""

    edges: tuple[tuple[int, ...], ...]
    popular: tuple[int, ...]
    """All places, the most asked-for first. Unrelated to ids and lengths of lists, so the hot ones lie on all shards."""


EMPTY = 0.45
"""Share of objects without an edge: so many of TAO's counts are zero."""
LONGEST = 300


def make_world(objects: int) -> World:
    """Lists of power-law length: more than half of those that are there have one edge, the longest 300."""
    chance = random.Random(SEED)
    edges = []
    for place in range(objects):
        length = 0 if chance.random() < EMPTY else min(int((1 - chance.random()) ** -0.8), LONGEST)
        ends = dict.fromkeys(chance.randrange(objects) for _ in range(length))
        edges.append(tuple(end for end in ends if end != place))
    popular = list(range(objects))
    chance.shuffle(popular)
    return World(tuple(edges), tuple(popular))
