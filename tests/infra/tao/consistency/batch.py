"""Two keys in one batch: one snapshot fills both, and the delete of either can fail while the other's succeeds.

The keys are on memcached servers of their own. Each record of LOG changes one of them; a snapshot is how much of the log
the database shows, and what is read in it is the last version of each key. A filler takes a lease for each key that it
can have, reads both in one statement, and fills each under its own. Either server may be out of reach of the consumer at
any time: then it goes on with the others, and starts again from what it acknowledged when it has to.

What must hold: no fresh value of a key is older than the last record of that key that was acknowledged.
"""

from __future__ import annotations

from typing import NamedTuple

from tests.infra.tao.consistency.explorer import Protocol, Rules, Steps

RULES = {
    "ack-whole-batch": "it acknowledges only up to where the delete of every record was applied",
    "leases-before-snapshot": "every lease of a batch is taken before its one snapshot",
    "fill-won-only": "only keys whose lease was won are filled, not all that the statement read",
    "newest-of-batch": "records of one key in a batch become one delete, for the newest version, or for any at all",
}
KEYS = "AB"


class Record(NamedTuple):
    key: int
    version: int | None
    """None: the row is gone, and a later one may start from 1 again."""


LOG = (Record(0, 1), Record(1, 1), Record(0, None), Record(0, 1))
ABSENT, LEASE, FRESH, STALE = range(4)
IDLE, LEASING, READ = range(3)


class Entry(NamedTuple):
    kind: int = ABSENT
    snapshot: int = 0


class Filler(NamedTuple):
    at: int = IDLE
    alive: tuple[bool, ...] = (False, False)
    """By key: whether it has a lease that nothing has broken."""
    asked: int = 0
    """Of how many keys it has asked for the lease; in their order."""
    snapshot: int = 0


class State(NamedTuple):
    visible: int = 0
    acknowledged: int = 0
    applied: frozenset[int] = frozenset()
    """Records beyond `acknowledged` whose delete was applied."""
    entries: tuple[Entry, ...] = (Entry(), Entry())
    fillers: tuple[Filler, ...] = (Filler(), Filler())


def steps(state: State, rules: Rules) -> Steps[State]:
    if state.visible < len(LOG):
        yield f"commit {_name(state.visible)}", state._replace(visible=state.visible + 1)
    yield from _consumer(state, rules)
    for key, entry in enumerate(state.entries):
        if entry.kind != ABSENT:
            yield f"evict {KEYS[key]}", _changed(state, key, Entry())
    for filler in set(state.fillers):
        yield from _fill(state, filler, rules)


def broken(state: State, rules: Rules) -> str:
    for key, entry in enumerate(state.entries):
        missed = [r for r in range(entry.snapshot, state.acknowledged) if LOG[r].key == key]
        if entry.kind == FRESH and missed:
            return f"fresh: {KEYS[key]} misses {_name(missed[0])}, acknowledged"
    return ""


def _name(record: int) -> str:
    key, version = LOG[record]
    return f"{KEYS[key]}{'gone' if version is None else version}"


def _version(key: int, snapshot: int) -> int:
    versions = [record.version for record in LOG[:snapshot] if record.key == key]
    return (versions[-1] or 0) if versions else 0


def _consumer(state: State, rules: Rules) -> Steps[State]:
    for key in range(len(KEYS)):
        batch = {r for r in range(state.acknowledged, state.visible) if LOG[r].key == key}
        if not batch <= state.applied:
            names = ", ".join(map(_name, sorted(batch)))
            yield f"consumer applies {names}", _apply(state, key, frozenset(batch), rules)
    upto = _acknowledgeable(state, rules)
    if upto > state.acknowledged:
        rest = frozenset(record for record in state.applied if record >= upto)
        yield f"consumer acknowledges {upto}", state._replace(acknowledged=upto, applied=rest)
    if state.applied:
        yield "consumer starts again", state._replace(applied=frozenset())


def _acknowledgeable(state: State, rules: Rules) -> int:
    if "ack-whole-batch" not in rules:
        return max(state.applied, default=-1) + 1
    upto = state.acknowledged
    while upto in state.applied:
        upto += 1
    return upto


def _apply(state: State, key: int, records: frozenset[int], rules: Rules) -> State:
    """Those of one key in the batch, by one question and one delete."""
    applied = state._replace(applied=state.applied | records)
    versions = [LOG[record].version for record in sorted(records)]
    known = [version for version in versions if version is not None]
    wanted = max(known) if len(known) == len(versions) else None
    if "newest-of-batch" not in rules:
        wanted = versions[-1]
    kind, snapshot = state.entries[key]
    newer = kind == FRESH and wanted is not None and _version(key, snapshot) >= wanted
    if kind == ABSENT or newer:
        return applied
    return _changed(applied, key, Entry(STALE, snapshot))


def _changed(state: State, key: int, entry: Entry) -> State:
    """Under another number: no lease of that key is alive."""
    fillers = state.fillers
    if any(filler.alive[key] for filler in fillers):
        fillers = tuple(sorted(f._replace(alive=_with(f.alive, key, False)) for f in fillers))
    return state._replace(entries=_with(state.entries, key, entry), fillers=fillers)


def _with[T](by_key: tuple[T, ...], key: int, value: T) -> tuple[T, ...]:
    return (*by_key[:key], value, *by_key[key + 1 :])


def _fill(state: State, filler: Filler, rules: Rules) -> Steps[State]:
    has_all = filler.asked == len(KEYS)
    if not has_all:
        yield from _lease(state, filler, filler.asked)
    if filler.at == LEASING and any(filler.alive) and (has_all or "leases-before-snapshot" not in rules):
        yield from _read(state, filler)
    if has_all and not (filler.at == LEASING and any(filler.alive)):
        yield f"a filler of snapshot {filler.snapshot} gives up", _became(state, filler, Filler())
    if has_all and filler.at == READ:
        yield from _set(state, filler, rules)


def _lease(state: State, filler: Filler, key: int) -> Steps[State]:
    asked = filler._replace(at=max(LEASING, filler.at), asked=key + 1)
    won = asked._replace(alive=_with(filler.alive, key, True))
    kind = state.entries[key].kind
    if kind == ABSENT:
        leased = state._replace(entries=_with(state.entries, key, Entry(LEASE)))
        yield f"a filler wins a lease on {KEYS[key]}", _became(leased, filler, won)
    elif kind == STALE and not any(other.alive[key] for other in state.fillers):
        yield f"a filler wins stale {KEYS[key]}", _became(state, filler, won)
    else:
        yield f"a filler does not win {KEYS[key]}", _became(state, filler, asked)


def _read(state: State, filler: Filler) -> Steps[State]:
    read = filler._replace(at=READ, snapshot=state.visible)
    yield f"a filler reads snapshot {state.visible}", _became(state, filler, read)


def _set(state: State, filler: Filler, rules: Rules) -> Steps[State]:
    fresh = Entry(FRESH, filler.snapshot)
    for key, alive in enumerate(filler.alive):
        if alive or "fill-won-only" not in rules:
            yield f"a filler sets {KEYS[key]} of snapshot {filler.snapshot}", _changed(state, key, fresh)


def _became(state: State, filler: Filler, after: Filler) -> State:
    fillers = list(state.fillers)
    fillers[fillers.index(filler)] = after
    return state._replace(fillers=tuple(sorted(fillers)))


BATCH = Protocol("batch of two keys", RULES, State(), steps, broken)
