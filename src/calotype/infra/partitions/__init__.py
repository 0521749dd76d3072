"""The vertical split: which kind of data lives where, for the graph's tables and for Django's own models."""

from calotype.infra.partitions.router import VerticalPartitionRouter

PARTITIONS = ("people", "media", "likes", "comments")
"""The graph's partitions. Embedded, the four share one set of schemas; a fleet may give each its own servers."""

HOME_PARTITION = "people"
"""Ids of a logical shard come from this partition's server, so that they stay unique when partitions are apart."""

__all__ = ["HOME_PARTITION", "PARTITIONS", "VerticalPartitionRouter"]
