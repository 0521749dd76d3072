"""Decode pgoutput, PostgreSQL's own logical replication protocol, version 1: bytes in, data out.

Version 1 sends a transaction only after it has committed: Begin, its changes, Commit. A relation is described before
its first change in a session. Source: PostgreSQL's manual, "Logical Replication Message Formats".
"""

from __future__ import annotations

import enum
from struct import Struct, error
from typing import Final

import msgspec

from calotype.infra.invalidation.positions import Lsn
from calotype.std.errors import CalotypeError

_U8 = Struct(">B")
_U16 = Struct(">H")
_U32 = Struct(">I")
_U64 = Struct(">Q")
_I64 = Struct(">q")

_EPOCH_MS = 946_684_800_000
"""2000-01-01T00:00:00Z, from which PostgreSQL counts microseconds."""

_NULL, _UNCHANGED, _TEXT = b"nut"
_KEY, _OLD, _NEW = b"KON"


class LogMalformed(CalotypeError):
    """What came over the stream is not pgoutput version 1, or ends too early."""

    code = "log_malformed"


class Unchanged(enum.Enum):
    """In place of a large value that an update did not touch: PostgreSQL does not send it."""

    UNCHANGED = "unchanged"


UNCHANGED: Final = Unchanged.UNCHANGED

type Value = str | Unchanged | None
type Row = dict[str, Value]
"""Column -> value as text. Only the columns of the publication's list."""


class Operation(enum.Enum):
    INSERT = "insert"
    UPDATE = "update"
    DELETE = "delete"


class Begin(msgspec.Struct, frozen=True, gc=False):
    """`lsn`: where its commit record starts; `xid`: the lower 32 bits of the transaction's id."""

    lsn: Lsn
    committed_ms: int
    xid: int


class Commit(msgspec.Struct, frozen=True, gc=False):
    """`end`: the position to acknowledge once the transaction has been applied."""

    lsn: Lsn
    end: Lsn
    committed_ms: int


class Relation(msgspec.Struct, frozen=True, gc=False):
    """`name` is qualified, e.g. `calotype.objects`."""

    oid: int
    name: str
    columns: tuple[str, ...]


class Change(msgspec.Struct, frozen=True, gc=False):
    """A row of the table `relation`.

    `row`: the new row; of a delete the old key, with None in all other columns. `old`: of an update that changed the
    key, the key before, in the same form.
    """

    operation: Operation
    relation: str
    row: Row
    old: Row | None = None

    def number(self, column: str) -> int:
        """Of a column that is a whole number and never null."""
        value = self.row[column]
        assert isinstance(value, str), (self.relation, column, value)
        return int(value)


class Truncate(msgspec.Struct, frozen=True, gc=False):
    relations: tuple[str, ...]


class Message(msgspec.Struct, frozen=True, gc=False):
    """Of `pg_logical_emit_message(transactional, prefix, content)`."""

    prefix: str
    content: bytes
    transactional: bool
    lsn: Lsn


type Decoded = Begin | Commit | Relation | Change | Truncate | Message


class Decoder:
    """Remembers the relations of one session; a new session describes them anew."""

    def __init__(self) -> None:
        self._relations: dict[int, Relation] = {}

    def decode(self, data: bytes) -> Decoded | None:
        """One message; None for those that tell nothing of rows (origin, type). Raises `LogMalformed` and nothing else."""
        try:
            reader = _Reader(data)
            decoded = self._decode(reader)
        except (error, LookupError, ValueError) as failure:
            raise LogMalformed(
                f"not a message of pgoutput version 1: {len(data)} bytes, {data[:16].hex()}... ({failure})"
            ) from failure
        if reader.at != len(data):
            raise LogMalformed(f"a message of {len(data)} bytes ends at {reader.at}: {data[:16].hex()}...")
        return decoded

    def _decode(self, reader: _Reader) -> Decoded | None:
        match reader.byte():
            case 0x49:  # I
                return self._insert(reader)
            case 0x55:  # U
                return self._update(reader)
            case 0x44:  # D
                return self._delete(reader)
            case 0x42:  # B
                return Begin(reader.lsn(), reader.time_ms(), reader.number(_U32))
            case 0x43:  # C
                return _commit(reader)
            case 0x52:  # R
                return self._relation(reader)
            case 0x54:  # T
                return self._truncate(reader)
            case 0x4D:  # M
                return _message(reader)
            case 0x4F | 0x59:  # O, Y
                reader.skip_rest()
                return None
            case kind:
                raise ValueError(f"unknown kind {chr(kind)!r}")

    def _insert(self, reader: _Reader) -> Change:
        relation = self._relations[reader.number(_U32)]
        reader.expect(_NEW)
        return Change(Operation.INSERT, relation.name, reader.row(relation.columns))

    def _update(self, reader: _Reader) -> Change:
        relation = self._relations[reader.number(_U32)]
        old = None
        tag = reader.byte()
        if tag in (_KEY, _OLD):
            old = reader.row(relation.columns)
            tag = reader.byte()
        if tag != _NEW:
            raise ValueError(f"an update without its new row: {tag}")
        return Change(Operation.UPDATE, relation.name, reader.row(relation.columns), old)

    def _delete(self, reader: _Reader) -> Change:
        relation = self._relations[reader.number(_U32)]
        reader.expect(_KEY, _OLD)
        return Change(Operation.DELETE, relation.name, reader.row(relation.columns))

    def _relation(self, reader: _Reader) -> Relation:
        oid = reader.number(_U32)
        schema = reader.text() or "pg_catalog"
        name = reader.text()
        reader.byte()  # its replica identity
        columns = tuple(_column(reader) for _ in range(reader.number(_U16)))
        relation = Relation(oid, f"{schema}.{name}", columns)
        self._relations[oid] = relation
        return relation

    def _truncate(self, reader: _Reader) -> Truncate:
        amount = reader.number(_U32)
        reader.byte()  # cascade, restart identity
        return Truncate(tuple(self._relations[reader.number(_U32)].name for _ in range(amount)))


def _commit(reader: _Reader) -> Commit:
    reader.byte()  # flags, of which there are none yet
    return Commit(reader.lsn(), reader.lsn(), reader.time_ms())


def _message(reader: _Reader) -> Message:
    transactional = bool(reader.byte() & 1)
    lsn, prefix = reader.lsn(), reader.text()
    return Message(prefix, reader.take(reader.number(_U32)), transactional, lsn)


def _column(reader: _Reader) -> str:
    reader.byte()  # whether it is part of the key
    name = reader.text()
    reader.take(8)  # type and modifier
    return name


class _Reader:
    """A place in a message. Whatever reads past the end raises `struct.error`, `LookupError` or `ValueError`."""

    __slots__ = ("at", "data")

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def number(self, form: Struct) -> int:
        number: int = form.unpack_from(self.data, self.at)[0]
        self.at += form.size
        return number

    def byte(self) -> int:
        value = self.data[self.at]
        self.at += 1
        return value

    def expect(self, *tags: int) -> None:
        if (found := self.byte()) not in tags:
            raise ValueError(f"{found} where one of {tags} belongs")

    def lsn(self) -> Lsn:
        return Lsn(self.number(_U64))

    def time_ms(self) -> int:
        return self.number(_I64) // 1000 + _EPOCH_MS

    def text(self) -> str:
        end = self.data.index(0, self.at)
        text = self.data[self.at : end].decode()
        self.at = end + 1
        return text

    def take(self, size_bytes: int) -> bytes:
        end = self.at + size_bytes
        if end > len(self.data):
            raise ValueError(f"{size_bytes} bytes announced, {len(self.data) - self.at} there")
        taken = self.data[self.at : end]
        self.at = end
        return taken

    def skip_rest(self) -> None:
        self.at = len(self.data)

    def row(self, columns: tuple[str, ...]) -> Row:
        """The hot path: once for each row of the log, so it keeps its place in a local name."""
        if self.number(_U16) != len(columns):
            raise ValueError(f"a row that has not the {len(columns)} columns of its relation")
        data, at, length = self.data, self.at, _U32.unpack_from
        row: Row = {}
        for column in columns:
            tag = data[at]
            at += 1
            if tag == _TEXT:
                start = at + 4
                at = start + length(data, at)[0]
                row[column] = data[
                    start:at
                ].decode()  # if cut short, `at` is past the end and the caller refuses it
            elif tag == _NULL:
                row[column] = None
            elif tag == _UNCHANGED:
                row[column] = UNCHANGED
            else:
                raise ValueError(f"a value of kind {tag}")
        self.at = at
        return row
