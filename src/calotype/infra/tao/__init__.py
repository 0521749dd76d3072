"""Objects and associations over logical shards, with the API of TAO (Bronson et al., USENIX ATC 2013)."""

from calotype.infra.shards.tickets import untracked
from calotype.infra.tao.check import CheckReport, check_graph
from calotype.infra.tao.graph import Graph, ObjectMissing
from calotype.infra.tao.keys import records_of
from calotype.infra.tao.relay import Handler, Sweep, forget_claims
from calotype.infra.tao.types import (
    FIRST,
    LIST_LIMIT,
    START,
    Association,
    Cursor,
    Edge,
    Node,
    association,
    association_pair,
    object_type,
)
from calotype.infra.tao.writes import CrossServerWrite, EdgeWritten, VersionConflict, Writes

__all__ = [
    "FIRST",
    "LIST_LIMIT",
    "START",
    "Association",
    "CheckReport",
    "CrossServerWrite",
    "Cursor",
    "Edge",
    "EdgeWritten",
    "Graph",
    "Handler",
    "Node",
    "ObjectMissing",
    "Sweep",
    "VersionConflict",
    "Writes",
    "association",
    "association_pair",
    "check_graph",
    "forget_claims",
    "object_type",
    "records_of",
    "untracked",
]
