"""The keyspace and its numbered migrations: `cql/NNNN_name.cql`, applied in order, once, each statement repeatable.

One process at a time applies them (`calotype prepare`): Cassandra has no transactional schema.
"""

from __future__ import annotations

from importlib.resources import files

import acsylla
from acsylla import errors

from calotype.infra.timelines.cassandra.session import CassandraUnavailable, Nodes, connect

STATEMENT_S = 30.0
"""All nodes agree on a change of the schema and write it to disk, which on a busy machine takes longer than a page may wait."""

_KEYSPACE = """
CREATE KEYSPACE IF NOT EXISTS {name}
WITH replication = {{'class': 'NetworkTopologyStrategy', 'replication_factor': {replicas}}}
"""
_MIGRATIONS = "CREATE TABLE IF NOT EXISTS migrations (name text PRIMARY KEY, applied timestamp)"


async def migrate(nodes: Nodes, replicas: int) -> list[str]:
    """Make the keyspace if there is none, and apply what has not been applied; the names of those. Raises
    `CassandraUnavailable`."""
    try:
        session = await connect(nodes, keyspace=False, attempt_s=STATEMENT_S)
    except errors.CassException as error:
        raise CassandraUnavailable(
            f"Cassandra at {', '.join(nodes.hosts)} port {nodes.port} cannot be reached: {error}"
        ) from error
    try:
        await session.query(_KEYSPACE.format(name=nodes.keyspace, replicas=replicas))
        await session.use_keyspace(nodes.keyspace)
        return await _apply(session)
    except errors.CassException as error:
        raise CassandraUnavailable(
            f"the schema of {nodes.keyspace} cannot be brought up to date: {error}"
        ) from error
    finally:
        await session.close()


async def _apply(session: acsylla.Session) -> list[str]:
    await session.query(_MIGRATIONS)
    known = {row.as_tuple()[0] for row in (await session.query("SELECT name FROM migrations")).all()}
    new = [(name, text) for name, text in migrations() if name not in known]
    for name, text in new:
        for statement in _statements(text):
            await session.query(statement)
        note = await session.create_prepared(
            "INSERT INTO migrations (name, applied) VALUES (?, toTimestamp(now()))"
        )
        await session.execute(note.bind((name,)))
    return [name for name, _ in new]


def migrations() -> list[tuple[str, str]]:
    """Name and text, in order."""
    directory = files("calotype.infra.timelines.cassandra") / "cql"
    return [
        (path.name.removesuffix(".cql"), path.read_text())
        for path in sorted(directory.iterdir(), key=lambda p: p.name)
    ]


def _statements(text: str) -> list[str]:
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("--")]
    return [statement for part in "\n".join(lines).split(";") if (statement := part.strip())]
