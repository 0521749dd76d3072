"""Values of `django.core.cache` as bytes, and back exactly as they were. Never pickle: whoever can write to a memcached
would run what they like in every process that reads from it.

A whole number is kept as its digits, which memcached can count; everything else as msgpack behind a letter.
"""

from __future__ import annotations

from typing import Any

import msgspec
from django.utils.safestring import SafeString

_MSGPACK = b"m"
_SAFE = b"s"
_DIGITS = b"0123456789"

LEAST, COUNTABLE, MOST = -(1 << 63), 0, (1 << 64) - 1
"""Whole numbers: what msgpack takes, from which on memcached counts, and what both end with."""

_LEAVES = (str, bytes, float, bool, type(None))

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder()


class Unreadable(ValueError):
    """Bytes that this module has not written."""


def encode(value: Any) -> bytes:
    """Raises `TypeError` for what would not come back as it was."""
    if type(value) is int and COUNTABLE <= value <= MOST:
        return b"%d" % value
    if type(value) is SafeString:  # what the template tag `cache` keeps
        return _SAFE + value.encode()
    _check(value)
    return _MSGPACK + _encoder.encode(value)


def decode(raw: bytes) -> Any:
    """Raises `Unreadable`."""
    form = raw[:1]
    try:
        if form == _MSGPACK:
            return _decoder.decode(raw[1:])
        if form == _SAFE:
            return SafeString(raw[1:].decode())
        if form and form in _DIGITS:
            return int(raw)  # memcached may have left a space where it counted down
    except (msgspec.DecodeError, ValueError) as error:
        raise Unreadable(str(error)) from None
    raise Unreadable(f"begins with {form!r}")


def _check(value: Any) -> None:
    kind = type(value)
    if kind in _LEAVES or (kind is int and LEAST <= value <= MOST):
        return
    if kind is list:
        for each in value:
            _check(each)
    elif kind is dict:
        for key, each in value.items():
            if type(key) is not str:
                raise _refused(f"a dict with a key of type {type(key).__name__}")
            _check(each)
    elif kind is int:
        raise _refused(f"{value}, which has over 64 bits,")
    else:
        raise _refused(f"a value of type {kind.__module__}.{kind.__qualname__}")


def _refused(what: str) -> TypeError:
    return TypeError(
        f"{what} cannot be kept in this cache: it takes str, bytes, int, float, bool, None, and lists and dicts "
        "with str keys of these, which come back exactly as they were; it never pickles"
    )
