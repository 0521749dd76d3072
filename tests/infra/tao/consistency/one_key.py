"""One key in one region: leases and their numbers, lost deletes, evictions, a restart of memcached, a standby that trails.

A region is a database to fill from (the primary, or a standby that trails it), a memcached server and one consumer of a
commit log. Two writes, two fillers, one restart; memcached numbers entries from 1 after each start. Versions are 1, 2,
...; `applied` is the last one whose record the consumer acknowledged.

What must hold: no fresh value is older than `applied`, so nothing stale stays once the consumer has caught up; a person
whose ticket says version t is never shown less, on whatever worker of the region.
"""

from __future__ import annotations

from typing import NamedTuple

from tests.infra.tao.consistency.explorer import Protocol, Rules, Steps

RULES = {
    "leases": "a fill is accepted only with the lease under which it read",
    "lease-before-read": "the lease is taken before the database is read",
    "delete-before-ack": "the consumer acknowledges a record only when its delete was applied",
    "break-leases": "a delete breaks a lease too, not only a value",
    "epoch": "a lease dies with the connection it came by: a restarted memcached numbers from the start again",
    "own-log": "the consumer follows the log of the database that this region fills from",
    "one-standby": "fills read the database that the consumer follows, not another one that may trail it",
    "no-blind-write": "a writer deletes, it does not set what it wrote",
    "own-cas": "CAS numbers are memcached's own; a version rides in the client flags",
    "ticket-by-applied": "a ticket is compared with what the consumer applied, not with what the standby replayed",
    "ticket-refuses-stale": "a person with an open ticket is not given a value marked stale",
}
WRITES, RESTARTS, STANDBY_LAG, NUMBERS = 2, 1, 1, 4
ABSENT, LEASE, FRESH, STALE = range(4)
IDLE, EARLY, LEASED, READ = range(4)
NOTHING = -1
UNLEASED = 0
"""The number of a filled entry: memcached's next, which no lease has and no filler holds."""


class Entry(NamedTuple):
    kind: int = ABSENT
    version: int = NOTHING
    """NOTHING in a lease, and in what a delete makes of it: an entry marked stale, and empty."""
    number: int = UNLEASED


class Filler(NamedTuple):
    at: int = IDLE
    number: int = 0
    epoch: int = 0
    version: int = 0


class State(NamedTuple):
    committed: int = 0
    replayed: int = 0
    """By the database that this region fills from."""
    applied: int = 0
    entry: Entry = Entry()
    last_number: int = 0
    epoch: int = 0
    fillers: tuple[Filler, ...] = (Filler(), Filler())
    """Sorted: which is which makes no difference."""
    undeleted: tuple[int, ...] = ()
    """What was committed by a writer that has not come to its delete."""


def steps(state: State, rules: Rules) -> Steps[State]:
    yield from _database(state)
    yield from _writers(state, rules)
    yield from _consumer(state, rules)
    yield from _memcached(state)
    for filler in set(state.fillers):
        yield from _fill(state, filler, rules)


def broken(state: State, rules: Rules) -> str:
    kind, version, _ = state.entry
    if kind == FRESH and version < state.applied:
        return f"fresh: holds v{version}, the consumer applied v{state.applied}"
    reached = min(state.committed, state.applied if "ticket-by-applied" in rules else state.replayed)
    served = kind == FRESH or (kind == STALE and "ticket-refuses-stale" not in rules)
    if served and NOTHING < version < reached:
        return f"own write: ticket v{reached}, shown v{version}"
    return ""


def _database(state: State) -> Steps[State]:
    if state.committed < WRITES:
        version = state.committed + 1
        yield f"commit v{version}", state._replace(committed=version, undeleted=(*state.undeleted, version))
    if state.replayed < state.committed:
        yield f"replay v{state.replayed + 1}", state._replace(replayed=state.replayed + 1)


def _writers(state: State, rules: Rules) -> Steps[State]:
    for version in state.undeleted:
        done = state._replace(undeleted=tuple(other for other in state.undeleted if other != version))
        yield f"writer of v{version} cannot reach memcached", done
        if "no-blind-write" in rules:
            yield f"writer of v{version} deletes", _delete(done, rules)
        else:
            yield f"writer of v{version} sets", done._replace(entry=Entry(FRESH, version))


def _consumer(state: State, rules: Rules) -> Steps[State]:
    version = state.applied + 1
    if version > (state.replayed if "own-log" in rules else state.committed):
        return
    newer = state.entry.kind == FRESH and state.entry.version >= version
    yield f"consumer applies v{version}", (state if newer else _delete(state, rules))._replace(
        applied=version
    )
    if "delete-before-ack" not in rules:
        yield f"consumer acknowledges v{version}, memcached out of reach", state._replace(applied=version)


def _delete(state: State, rules: Rules) -> State:
    """`md k I T..`: whatever is there stays, marked stale, under a new number; of a lease, that is an empty entry."""
    kind, version, _ = state.entry
    if kind == ABSENT or (kind == LEASE and "break-leases" not in rules):
        return state
    number = state.last_number + 1
    return state._replace(entry=Entry(STALE, version, number), last_number=number)


def _memcached(state: State) -> Steps[State]:
    if state.entry.kind != ABSENT:
        yield "evict", state._replace(entry=Entry())
    if state.epoch < RESTARTS:
        yield "memcached restarts", state._replace(entry=Entry(), last_number=0, epoch=state.epoch + 1)


def _fill(state: State, filler: Filler, rules: Rules) -> Steps[State]:
    if filler.at == IDLE and "lease-before-read" not in rules:
        yield from _read(state, filler, Filler(EARLY), rules)
    elif filler.at in (IDLE, EARLY):
        yield from _lease(state, filler)
    elif filler.at == LEASED:
        yield from _read(state, filler, filler._replace(at=READ), rules)
    else:
        yield from _set(state, filler, rules)


def _lease(state: State, filler: Filler) -> Steps[State]:
    at = READ if filler.at == EARLY else LEASED
    number = state.last_number + 1
    if state.entry.kind == ABSENT and number <= NUMBERS:
        leased = state._replace(entry=Entry(LEASE, number=number), last_number=number)
        yield f"a filler wins lease {number}", _became(
            leased, filler, Filler(at, number, state.epoch, filler.version)
        )
    elif state.entry.kind == STALE:
        won = Filler(at, state.entry.number, state.epoch, filler.version)
        yield f"a filler wins the stale entry {won.number}", _became(state, filler, won)


def _read(state: State, filler: Filler, after: Filler, rules: Rules) -> Steps[State]:
    lowest = state.replayed if "one-standby" in rules else max(0, state.replayed - STANDBY_LAG)
    for version in range(lowest, state.replayed + 1):
        yield f"a filler reads v{version}", _became(state, filler, after._replace(version=version))


def _set(state: State, filler: Filler, rules: Rules) -> Steps[State]:
    done = _became(state, filler, Filler())
    yield f"a filler of v{filler.version} gives up", done
    connected = filler.epoch == state.epoch or "epoch" not in rules
    accepted = state.entry.kind != ABSENT and state.entry.number == filler.number and connected
    if accepted or "leases" not in rules:
        number = UNLEASED if "own-cas" in rules else filler.version
        yield f"a filler sets v{filler.version}", done._replace(entry=Entry(FRESH, filler.version, number))


def _became(state: State, filler: Filler, after: Filler) -> State:
    fillers = list(state.fillers)
    fillers[fillers.index(filler)] = after
    return state._replace(fillers=tuple(sorted(fillers)))


ONE_KEY = Protocol("one key", RULES, State(), steps, broken)
