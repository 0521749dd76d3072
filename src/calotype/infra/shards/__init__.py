"""Logical shards on physical PostgreSQL servers: placement, pools, migrations."""

from calotype.infra.shards.placement import AbsentShard, Placement, PlacementInvalid, PlacementListener
from calotype.infra.shards.pool import Connection, DeadlineExceeded, Pool, PoolMetrics, ServerUnavailable
from calotype.infra.shards.shards import ControlUnavailable, Shards, schema_name

__all__ = [
    "AbsentShard",
    "Connection",
    "ControlUnavailable",
    "DeadlineExceeded",
    "Placement",
    "PlacementInvalid",
    "PlacementListener",
    "Pool",
    "PoolMetrics",
    "ServerUnavailable",
    "Shards",
    "schema_name",
]
