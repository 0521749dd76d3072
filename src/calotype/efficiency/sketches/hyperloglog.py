"""How many different ones there are: HyperLogLog (Flajolet and others, 2007), with linear counting while it is nearly empty.

Of each member 14 bits choose a register, and the register remembers the longest run of leading zeros in the rest. What is
kept says nothing about who was counted to somebody without the key.
"""

from __future__ import annotations

import math
from base64 import b85decode, b85encode
from collections.abc import Iterable
from hashlib import blake2b

INDEX_BITS = 14
REGISTERS = 1 << INDEX_BITS
STANDARD_ERROR = 1.04 / math.sqrt(REGISTERS)  # 0.8%
_REST_BITS = 64 - INDEX_BITS
_ALPHA = 0.7213 / (1 + 1.079 / REGISTERS)


class HyperLogLog:
    """Counts members that were added under one key; those of another key do not add up with them."""

    def __init__(self, key: bytes = b"", registers: dict[int, int] | None = None) -> None:
        self._key = key
        self._registers = registers or {}

    def add(self, member: int | str) -> None:
        digest = blake2b(str(member).encode(), digest_size=8, key=self._key).digest()
        number = int.from_bytes(digest)
        index, rest = number >> _REST_BITS, number & ((1 << _REST_BITS) - 1)
        rank = _REST_BITS - rest.bit_length() + 1
        if rank > self._registers.get(index, 0):
            self._registers[index] = rank

    def merge(self, other: HyperLogLog) -> None:
        for index, rank in other._registers.items():
            if rank > self._registers.get(index, 0):
                self._registers[index] = rank

    def __len__(self) -> int:
        """The estimate, rounded; its standard error is `STANDARD_ERROR`, and less below 10,000."""
        zeros = REGISTERS - len(self._registers)
        sum_ = zeros + sum(2.0**-rank for rank in self._registers.values())
        estimate = _ALPHA * REGISTERS * REGISTERS / sum_
        if estimate <= 2.5 * REGISTERS and zeros:
            estimate = REGISTERS * math.log(REGISTERS / zeros)
        return round(estimate)

    def encoded(self) -> str:
        """Three bytes a register that is not empty."""
        return b85encode(
            b"".join((index << 6 | rank).to_bytes(3) for index, rank in self._registers.items())
        ).decode()

    @classmethod
    def decoded(cls, text: str) -> HyperLogLog:
        """To be merged and counted. Raises `ValueError` for anything else than `encoded` has made."""
        packed = b85decode(text)
        if len(packed) % 3:
            raise ValueError(f"{len(packed)} bytes are no registers")
        numbers = (int.from_bytes(packed[at : at + 3]) for at in range(0, len(packed), 3))
        return cls(registers={number >> 6: number & 63 for number in numbers})


def union(sketches: Iterable[HyperLogLog]) -> HyperLogLog:
    """All that any of them has counted, each once."""
    all_ = HyperLogLog()
    for each in sketches:
        all_.merge(each)
    return all_
