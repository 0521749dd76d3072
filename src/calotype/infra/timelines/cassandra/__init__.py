"""Timelines in Apache Cassandra. Needs the extra `cassandra` of this package, so nothing else imports it unasked."""

from calotype.infra.timelines.cassandra.schema import migrate
from calotype.infra.timelines.cassandra.session import CassandraUnavailable, Nodes, Session
from calotype.infra.timelines.cassandra.timelines import CassandraTimelines

__all__ = ["CassandraTimelines", "CassandraUnavailable", "Nodes", "Session", "migrate"]
