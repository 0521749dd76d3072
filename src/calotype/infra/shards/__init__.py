"""Logical shards on physical PostgreSQL servers: placement, pools, migrations."""

from calotype.infra.shards.placement import AbsentShard, Placement, PlacementInvalid, PlacementListener
from calotype.infra.shards.pool import Connection, DeadlineExceeded, Pool, PoolMetrics, ServerUnavailable
from calotype.infra.shards.shards import ControlUnavailable, Shards, pool_with_standby, schema_name
from calotype.infra.shards.tickets import Tickets

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
    "Tickets",
    "pool_with_standby",
    "schema_name",
]
