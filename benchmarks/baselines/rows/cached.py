"""The graph's operations by Django's ORM and its low-level cache API, as its documentation has it: look into the cache,
else ask the database and store; whoever writes deletes the keys once the transaction has committed.

The newest 50 edges of a list are one entry, which answers its pages. Two readers may fill one key at a time, and one
who has read before a write may fill after it: that entry is wrong until it expires.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from django.core.cache import cache
from django.db import transaction
from django.db.models import F

from benchmarks.baselines.rows.models import Counter, Edge, Thing

EXPIRES_S = 86_400
NEWEST = 50
PAGE = 20
MISSING = "missing"
"""In the cache: the database has been asked, and has nothing."""

LINKS, LINKED_BY, OTHER, OTHER_BY = 911, 912, 913, 914

EdgeRow = tuple[int, int, int, Any]
"""(id2, time, version, data)"""


class Counted:
    """Reads, and those that the cache could not answer."""

    reads = 0
    misses = 0


def _look(key: str) -> Any:
    found = cache.get(key)
    Counted.reads += 1
    Counted.misses += found is None
    return found


def object_key(id_: int) -> str:
    return f"o:{id_}"


def list_key(id1: int, atype: int = LINKS) -> str:
    return f"l:{id1}:{atype}"


def count_key(id1: int, atype: int = LINKS) -> str:
    return f"c:{id1}:{atype}"


def edge_key(id1: int, id2: int, atype: int = LINKS) -> str:
    return f"e:{id1}:{atype}:{id2}"


def warm_objects(ids: Iterable[int]) -> None:
    """Look for all of these in the cache at once, and fill what is missing at once: as if each had been read."""

    def rows(missing: list[int]) -> Mapping[int, object]:
        return dict.fromkeys(missing, MISSING) | Thing.objects.in_bulk(missing)

    _warm({object_key(id_): id_ for id_ in ids}, rows)


def warm_lists(id1s: Iterable[int]) -> None:
    def rows(missing: list[int]) -> Mapping[int, object]:
        lists: dict[int, list[EdgeRow]] = {id1: [] for id1 in missing}
        found = Edge.objects.filter(id1__in=missing, atype=LINKS).order_by("-time", "-id2")
        for id1, *row in found.values_list("id1", "id2", "time", "version", "data"):
            lists[id1].append((row[0], row[1], row[2], row[3]))
        return {id1: edges[:NEWEST] for id1, edges in lists.items()}

    _warm({list_key(id1): id1 for id1 in id1s}, rows)


def warm_counts(id1s: Iterable[int]) -> None:
    def rows(missing: list[int]) -> Mapping[int, object]:
        found = Counter.objects.filter(id1__in=missing, atype=LINKS).values_list("id1", "count")
        return dict.fromkeys(missing, 0) | dict(found)

    _warm({count_key(id1): id1 for id1 in id1s}, rows)


def warm_edges(pairs: Iterable[tuple[int, int]]) -> None:
    def rows(missing: list[tuple[int, int]]) -> Mapping[tuple[int, int], object]:
        found = Edge.objects.filter(id1__in={id1 for id1, _ in missing}, atype=LINKS)
        known = {
            (id1, id2): (id2, *row)
            for id1, id2, *row in found.values_list("id1", "id2", "time", "version", "data")
        }
        return {pair: known.get(pair, MISSING) for pair in missing}

    _warm({edge_key(*pair): pair for pair in pairs}, rows)


def _warm[K](asked: Mapping[str, K], rows: Callable[[list[K]], Mapping[K, object]]) -> None:
    missing = asked.keys() - cache.get_many(asked).keys()
    if missing:
        filled = rows([asked[key] for key in missing])
        cache.set_many({key: filled[asked[key]] for key in missing}, EXPIRES_S)


def obj_get(id_: int) -> Thing | None:
    key = object_key(id_)
    thing = _look(key)
    if thing is None:
        thing = Thing.objects.filter(id=id_).first() or MISSING
        cache.set(key, thing, EXPIRES_S)
    return None if thing == MISSING else thing


def newest(id1: int) -> list[EdgeRow]:
    key = list_key(id1)
    rows: list[EdgeRow] | None = _look(key)
    if rows is None:
        found = Edge.objects.filter(id1=id1, atype=LINKS).order_by("-time", "-id2")
        rows = list(found.values_list("id2", "time", "version", "data")[:NEWEST])
        cache.set(key, rows, EXPIRES_S)
    return rows


def assoc_range(id1: int) -> list[EdgeRow]:
    return newest(id1)[:PAGE]


def assoc_time_range(id1: int, low: int) -> list[EdgeRow]:
    """Windows reach no further than the newest 50 here."""
    return [row for row in newest(id1) if row[1] >= low][:PAGE]


def assoc_count(id1: int) -> int:
    key = count_key(id1)
    count: int | None = _look(key)
    if count is None:
        count = Counter.objects.filter(id1=id1, atype=LINKS).values_list("count", flat=True).first() or 0
        cache.set(key, count, EXPIRES_S)
    return count


def assoc_get(id1: int, id2: int) -> EdgeRow | None:
    key = edge_key(id1, id2)
    row: Any = _look(key)
    if row is None:
        found = Edge.objects.filter(id1=id1, atype=LINKS, id2=id2)
        row = found.values_list("id2", "time", "version", "data").first() or MISSING
        cache.set(key, row, EXPIRES_S)
    return None if row == MISSING else row


def obj_add(id_: int, data: object, now: int) -> None:
    Thing.objects.create(id=id_, otype=910, data=data, version=1, created=now, updated=now)
    cache.delete(object_key(id_))


def obj_update(id_: int, changes: dict[str, object], now: int) -> None:
    with transaction.atomic():
        thing = Thing.objects.select_for_update().get(id=id_)
        thing.data |= changes
        thing.version += 1
        thing.updated = now
        thing.save(update_fields=("data", "version", "updated"))
        transaction.on_commit(lambda: cache.delete(object_key(id_)))


def obj_delete(id_: int) -> None:
    Thing.objects.filter(id=id_).delete()
    cache.delete(object_key(id_))


def assoc_add(id1: int, id2: int, time: int | None, data: object) -> None:
    """The edge and its inverse, and both counters if it is new."""
    with transaction.atomic():
        _add(id1, LINKS, id2, time, data)
        _add(id2, LINKED_BY, id1, time, data)
        _outdate(id1, LINKS, id2)
        _outdate(id2, LINKED_BY, id1)


def assoc_del(id1: int, id2: int) -> None:
    with transaction.atomic():
        _delete(id1, LINKS, id2)
        _delete(id2, LINKED_BY, id1)
        _outdate(id1, LINKS, id2)
        _outdate(id2, LINKED_BY, id1)


def assoc_change_type(id1: int, id2: int) -> None:
    with transaction.atomic():
        for first, old, new, second in ((id1, LINKS, OTHER, id2), (id2, LINKED_BY, OTHER_BY, id1)):
            edge = Edge.objects.filter(id1=first, atype=old, id2=second).first()
            if edge is not None:
                _delete(first, old, second)
                _add(first, new, second, edge.time, edge.data)
            _outdate(first, old, second)
            _outdate(first, new, second)


def _add(id1: int, atype: int, id2: int, time: int | None, data: object) -> None:
    values = {"version": F("version") + 1, "data": data} | ({} if time is None else {"time": time})
    if Edge.objects.filter(id1=id1, atype=atype, id2=id2).update(**values):
        return
    Edge.objects.create(id1=id1, atype=atype, id2=id2, time=time or 0, version=1, data=data)
    if not Counter.objects.filter(id1=id1, atype=atype).update(count=F("count") + 1):
        Counter.objects.create(id1=id1, atype=atype, count=1)


def _delete(id1: int, atype: int, id2: int) -> None:
    gone, _ = Edge.objects.filter(id1=id1, atype=atype, id2=id2).delete()
    if gone:
        Counter.objects.filter(id1=id1, atype=atype).update(count=F("count") - 1)


def _outdate(id1: int, atype: int, id2: int) -> None:
    keys = (edge_key(id1, id2, atype), list_key(id1, atype), count_key(id1, atype))
    transaction.on_commit(lambda: _delete_keys(keys))


def _delete_keys(keys: Iterable[str]) -> None:
    cache.delete_many(keys)
