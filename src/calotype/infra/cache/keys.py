"""Keys of memcached: at most 250 bytes without spaces or control characters. Whatever the text, `safe_key` makes one."""

from __future__ import annotations

import re
from hashlib import blake2b
from typing import NewType

Key = NewType("Key", bytes)
"""A key as it goes over the wire."""

KEY_LIMIT = 250
"""memcached's own."""

DIGEST_BYTES = 16
_HASHED = b"#"
_PLAIN = re.compile(rb"[!-\"$-~][!-~]{0,%d}" % (KEY_LIMIT - 1)).fullmatch


def safe_key(text: str) -> Key:
    """The key of any text: itself when it is printable ASCII of at most 250 bytes, else a hash of it.

    Two texts never share a key but by a collision of 128 bits: what starts with `#`, as the hashed ones do, is hashed too.
    """
    raw = text.encode("utf-8", "surrogatepass")
    if _PLAIN(raw):
        return Key(raw)
    return Key(_HASHED + blake2b(raw, digest_size=DIGEST_BYTES).hexdigest().encode())
