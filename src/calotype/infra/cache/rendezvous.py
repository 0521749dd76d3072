"""Rendezvous hashing (Thaler and Ravishankar, 1998): each key goes to the server with the highest score for it.

When a server leaves, only its keys move; when one joins, it takes its share from all others and nothing else moves.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b

REMEMBERED = 65_536
"""Placements of keys kept; all are forgotten when there are more."""

_MASK = (1 << 64) - 1


class Rendezvous:
    """Places keys on servers, named by text: equal names give equal places in every process."""

    def __init__(self, names: Sequence[str]) -> None:
        self._seeds = [_digest(name.encode()) for name in names]
        self._places: dict[bytes, int] = {}

    def place(self, key: bytes) -> int:
        """The index of the key's server among the names."""
        if len(self._seeds) == 1:
            return 0
        found = self._places.get(key)
        if found is None:
            if len(self._places) >= REMEMBERED:
                self._places.clear()
            found = self._places[key] = self._highest(_digest(key))
        return found

    def _highest(self, digest: int) -> int:
        scores = [_mix(digest ^ seed) for seed in self._seeds]
        return scores.index(max(scores))


def _digest(raw: bytes) -> int:
    return int.from_bytes(blake2b(raw, digest_size=8).digest())


def _mix(word: int) -> int:
    """The finaliser of SplitMix64: every bit of the word changes half of the score's."""
    word = (word ^ word >> 30) * 0xBF58476D1CE4E5B9 & _MASK
    word = (word ^ word >> 27) * 0x94D049BB133111EB & _MASK
    return word ^ word >> 31
