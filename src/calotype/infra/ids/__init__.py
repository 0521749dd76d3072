"""64-bit ids that carry their time and their logical shard."""

from calotype.infra.ids.codec import (
    EPOCH_MS,
    MAX_ID,
    MAX_MS,
    MAX_SEQUENCE,
    MAX_SHARD,
    IdInvalid,
    IdParts,
    compose,
    decompose,
    parse,
    shard_of,
    time_ms,
)

__all__ = [
    "EPOCH_MS",
    "MAX_ID",
    "MAX_MS",
    "MAX_SEQUENCE",
    "MAX_SHARD",
    "IdInvalid",
    "IdParts",
    "compose",
    "decompose",
    "parse",
    "shard_of",
    "time_ms",
]
