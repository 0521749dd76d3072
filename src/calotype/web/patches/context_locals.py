"""`asgiref.local.Local`: the current language, time zone, URL prefix and URL configuration."""

from __future__ import annotations

from threading import get_ident

from asgiref.local import _CVar, _DefaultLocal

from calotype.web.patches.patch import Attribute, Patch


def read(self: _DefaultLocal, key: str) -> object:
    held = self._storage._data.get(None)
    if held is None or held.thread_id != get_ident():
        raise AttributeError(key)
    try:
        return held.data[key]
    except KeyError:
        raise AttributeError(key) from None


LOCALS = Patch(
    name="locals",
    replaces="asgiref.local._DefaultLocal.__getattr__",
    safe_because="""
    The same context variable is read, with the same question whether its value is this thread's own; writing and
    deleting are asgiref's. It takes no lock: what is read lies in the context of the reader, which no other thread
    runs in, and is replaced by every write, never changed. The error names the attribute and no longer the object.
    """,
    read=(
        _DefaultLocal.__getattr__,
        _DefaultLocal.__setattr__,
        _CVar._storage,
        _CVar.__getattr__,
        _CVar.__setattr__,
    ),
    digest="95712089b95fdd88",
    places=(Attribute(_DefaultLocal, "__getattr__", read),),
)

PATCHES = (LOCALS,)
