"""The decoder, for everything that the encoder of these tests can say and for everything that it would never say."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calotype.infra.invalidation.pgoutput import (
    UNCHANGED,
    Begin,
    Change,
    Commit,
    Decoded,
    Decoder,
    LogMalformed,
    Message,
    Operation,
    Relation,
    Row,
    Truncate,
)
from calotype.infra.invalidation.positions import Lsn
from tests.infra.invalidation import encoder

OID = 16_385

names = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=20)
lsns = st.integers(0, 2**64 - 1).map(Lsn)
times_ms = st.integers(0, 4_000_000_000_000)
rows = st.dictionaries(names, st.none() | st.just(UNCHANGED) | st.text(), max_size=6)


def decoder_of(row: Row, name: str = "objects") -> Decoder:
    """One that knows a relation with the columns of this row."""
    decoder = Decoder()
    decoder.decode(encoder.relation(OID, "calotype", name, list(row)))
    return decoder


@given(lsns, lsns, times_ms, st.integers(0, 2**32 - 1))
def test_begin_and_commit_carry_positions_and_the_time(lsn: Lsn, end: Lsn, at_ms: int, xid: int) -> None:
    decoder = Decoder()
    assert decoder.decode(encoder.begin(lsn, at_ms, xid)) == Begin(lsn, at_ms, xid)
    assert decoder.decode(encoder.commit(lsn, end, at_ms)) == Commit(lsn, end, at_ms)


@given(names, names, st.lists(names, unique=True, max_size=6))
def test_a_relation_has_a_qualified_name_and_columns(schema: str, name: str, columns: list[str]) -> None:
    decoded = Decoder().decode(encoder.relation(OID, schema, name, columns))
    assert decoded == Relation(OID, f"{schema}.{name}", tuple(columns))


@given(rows)
def test_rows_keep_their_values_nulls_and_what_is_unchanged(row: Row) -> None:
    decoder = decoder_of(row)
    assert decoder.decode(encoder.insert(OID, row)) == Change(Operation.INSERT, "calotype.objects", row)
    assert decoder.decode(encoder.update(OID, row)) == Change(Operation.UPDATE, "calotype.objects", row)
    for how in (b"K", b"O"):
        deleted = decoder.decode(encoder.delete(OID, row, how))
        assert deleted == Change(Operation.DELETE, "calotype.objects", row)
        updated = decoder.decode(encoder.update(OID, row, row, how))
        assert updated == Change(Operation.UPDATE, "calotype.objects", row, row)


@given(st.lists(st.integers(0, 2**32 - 1), unique=True, max_size=5))
def test_a_truncate_names_its_relations(oids: list[int]) -> None:
    decoder = Decoder()
    for oid in oids:
        decoder.decode(encoder.relation(oid, "public", f"t{oid}", []))
    assert decoder.decode(encoder.truncate(oids)) == Truncate(tuple(f"public.t{oid}" for oid in oids))


@given(names, st.binary(max_size=100), st.booleans(), lsns)
def test_a_message_is_its_prefix_and_its_content(
    prefix: str, content: bytes, transactional: bool, lsn: Lsn
) -> None:
    decoded = Decoder().decode(encoder.message(prefix, content, transactional, lsn))
    assert decoded == Message(prefix, content, transactional, lsn)


def test_origins_and_types_tell_nothing_of_rows() -> None:
    assert Decoder().decode(b"O" + bytes(8) + b"elsewhere\0") is None
    assert Decoder().decode(b"Y" + bytes(4) + b"public\0mood\0") is None


def test_a_schema_without_a_name_is_the_catalog() -> None:
    decoded = Decoder().decode(encoder.relation(OID, "", "pg_class", []))
    assert decoded == Relation(OID, "pg_catalog.pg_class", ())


def _samples() -> list[bytes]:
    row: Row = {"id": "7", "version": None, "data": UNCHANGED}
    return [
        encoder.begin(1, EPOCH, 2),
        encoder.commit(1, 2, EPOCH),
        encoder.relation(OID, "calotype", "objects", list(row)),
        encoder.insert(OID, row),
        encoder.update(OID, row, row),
        encoder.delete(OID, row),
        encoder.truncate([OID]),
        encoder.message("calotype.invalidate", b"o:1:2", True, 3),
    ]


EPOCH = encoder.EPOCH_MS


@pytest.mark.parametrize("sample", _samples(), ids=lambda sample: chr(sample[0]))
def test_a_message_that_is_cut_short_or_too_long_is_refused(sample: bytes) -> None:
    for size in range(len(sample)):
        with pytest.raises(LogMalformed):
            decoder_of({"id": "", "version": "", "data": ""}).decode(sample[:size])
    with pytest.raises(LogMalformed):
        decoder_of({"id": "", "version": "", "data": ""}).decode(sample + b"\0")


def test_rows_of_unknown_relations_are_refused() -> None:
    with pytest.raises(LogMalformed):
        Decoder().decode(encoder.insert(OID, {"id": "1"}))
    with pytest.raises(LogMalformed):
        Decoder().decode(encoder.truncate([OID]))


def test_a_row_must_have_the_columns_of_its_relation() -> None:
    with pytest.raises(LogMalformed):
        decoder_of({"id": None}).decode(encoder.insert(OID, {"id": "1", "more": "2"}))


@given(st.sampled_from(b"BCORYIUDTMS").map(lambda tag: bytes([tag])) | st.just(b""), st.binary(max_size=80))
def test_random_bytes_decode_or_are_refused_and_nothing_else(tag: bytes, rest: bytes) -> None:
    with contextlib.suppress(LogMalformed):
        decoder_of({"id": None}).decode(tag + rest)


@given(st.sampled_from(_samples()), st.data())
def test_a_flipped_byte_decodes_or_is_refused_and_nothing_else(sample: bytes, data: st.DataObject) -> None:
    damaged = bytearray(sample)
    damaged[data.draw(st.integers(0, len(sample) - 1))] = data.draw(st.integers(0, 255))
    decoded: Decoded | None = None
    with contextlib.suppress(LogMalformed):
        decoded = decoder_of({"id": "", "version": "", "data": ""}).decode(bytes(damaged))
    assert decoded is None or not isinstance(decoded, bytes)
