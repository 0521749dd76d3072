"""The other side of pgoutput: what PostgreSQL sends, made by the tests."""

from __future__ import annotations

import struct
from collections.abc import Sequence

from calotype.infra.invalidation.pgoutput import UNCHANGED, Row, Value

EPOCH_MS = 946_684_800_000


def text(value: str) -> bytes:
    return value.encode() + b"\0"


def value(one: Value) -> bytes:
    if one is None:
        return b"n"
    if one is UNCHANGED:
        return b"u"
    raw = one.encode()
    return b"t" + struct.pack(">I", len(raw)) + raw


def row(values: Row) -> bytes:
    return struct.pack(">H", len(values)) + b"".join(map(value, values.values()))


def begin(lsn: int, committed_ms: int, xid: int) -> bytes:
    return b"B" + struct.pack(">QqI", lsn, (committed_ms - EPOCH_MS) * 1000, xid)


def commit(lsn: int, end: int, committed_ms: int) -> bytes:
    return b"C" + struct.pack(">BQQq", 0, lsn, end, (committed_ms - EPOCH_MS) * 1000)


def relation(oid: int, schema: str, name: str, columns: Sequence[str]) -> bytes:
    described = b"".join(b"\1" + text(column) + struct.pack(">Ii", 20, -1) for column in columns)
    head = b"R" + struct.pack(">I", oid) + text(schema) + text(name)
    return head + b"d" + struct.pack(">H", len(columns)) + described


def insert(oid: int, new: Row) -> bytes:
    return b"I" + struct.pack(">I", oid) + b"N" + row(new)


def update(oid: int, new: Row, old: Row | None = None, how: bytes = b"K") -> bytes:
    before = b"" if old is None else how + row(old)
    return b"U" + struct.pack(">I", oid) + before + b"N" + row(new)


def delete(oid: int, key: Row, how: bytes = b"K") -> bytes:
    return b"D" + struct.pack(">I", oid) + how + row(key)


def truncate(oids: Sequence[int]) -> bytes:
    return b"T" + struct.pack(f">IB{len(oids)}I", len(oids), 0, *oids)


def message(prefix: str, content: bytes, transactional: bool, lsn: int) -> bytes:
    head = b"M" + struct.pack(">BQ", transactional, lsn) + text(prefix)
    return head + struct.pack(">I", len(content)) + content
