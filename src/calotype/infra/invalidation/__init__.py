"""From PostgreSQL's commit log to the cache of a region: what was committed is deleted there, and how far is known."""

from calotype.infra.invalidation.backlog import Record
from calotype.infra.invalidation.consumer import MESSAGE_PREFIX, Consumer, ConsumerMetrics, RecordsOf
from calotype.infra.invalidation.pgoutput import (
    UNCHANGED,
    Change,
    LogMalformed,
    Message,
    Operation,
    Row,
    Truncate,
    Unchanged,
    Value,
)
from calotype.infra.invalidation.positions import (
    Lsn,
    Position,
    decode_position,
    encode_position,
    format_lsn,
    key_space,
    parse_lsn,
    position_key,
)
from calotype.infra.invalidation.progress import Progress
from calotype.infra.invalidation.region_cache import Access, RegionCache, access
from calotype.infra.invalidation.slots import PublicationMissing
from calotype.infra.invalidation.stream import (
    Batch,
    LogStream,
    StreamLost,
    open_stream,
    open_temporary_stream,
)

__all__ = [
    "MESSAGE_PREFIX",
    "UNCHANGED",
    "Access",
    "Batch",
    "Change",
    "Consumer",
    "ConsumerMetrics",
    "LogMalformed",
    "LogStream",
    "Lsn",
    "Message",
    "Operation",
    "Position",
    "Progress",
    "PublicationMissing",
    "Record",
    "RecordsOf",
    "RegionCache",
    "Row",
    "StreamLost",
    "Truncate",
    "Unchanged",
    "Value",
    "access",
    "decode_position",
    "encode_position",
    "format_lsn",
    "key_space",
    "open_stream",
    "open_temporary_stream",
    "parse_lsn",
    "position_key",
]
