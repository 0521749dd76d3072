"""The log-in of a new ring of ours: a role with a password of its own, and none for anybody else."""

from __future__ import annotations

import asyncio
import contextlib
import time

import acsylla
from acsylla import errors

from calotype.infra.engines.cassandra import DEFAULT_USER, USER, CassandraUnusable, Ring
from calotype.infra.timelines.cassandra.session import Nodes, connect

PATIENCE_S = 60.0
"""A new ring makes its default superuser a moment after it answers."""


def nodes_of(ring: Ring) -> Nodes:
    return Nodes(tuple(ring.addresses), ring.port, USER, ring.password)


async def secure(ring: Ring) -> None:
    """Have the ring know `USER` with `ring.password`, and let nobody in with the default password. Repeating it does
    nothing. Raises `CassandraUnusable`.

    Each node has the roles (`engines.cassandra` says so to a new ring), so that log-ins do not die with one of them.
    """
    if (known := await _log_in(ring, USER, ring.password, patience_s=0)) is not None:
        await known.close()
        return
    admin = await _log_in(ring, DEFAULT_USER, DEFAULT_USER, patience_s=PATIENCE_S)
    if admin is None:
        raise CassandraUnusable(f"neither {USER} nor {DEFAULT_USER} can log in to the ring in {ring.root}")
    role = f"PASSWORD = '{ring.password}' AND LOGIN = true AND SUPERUSER = true"
    try:
        await admin.query(f"CREATE ROLE IF NOT EXISTS {USER} WITH {role}")
    finally:
        await admin.close()
    ours = await _log_in(ring, USER, ring.password, patience_s=PATIENCE_S)
    if ours is None:
        raise CassandraUnusable(f"{USER} cannot log in to the ring in {ring.root}")
    try:
        await ours.query(f"ALTER ROLE {DEFAULT_USER} WITH LOGIN = false AND SUPERUSER = false")
    finally:
        await ours.close()


async def _log_in(ring: Ring, user: str, password: str, *, patience_s: float) -> acsylla.Session | None:
    nodes = Nodes(tuple(ring.addresses), ring.port, user, password)
    until = time.monotonic() + patience_s
    while True:
        with contextlib.suppress(errors.CassException):
            return await connect(nodes, keyspace=False)
        if time.monotonic() >= until:
            return None
        await asyncio.sleep(0.2)
