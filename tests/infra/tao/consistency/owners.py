"""A change of the set of memcached servers: a key's owner goes from X to Y, and later back to X.

Two workers learn of each change at moments of their own; each reads and fills at the owner that it knows. The consumer
deletes at a set of owners, which it changes by itself: X; both; Y; both; X. An entry lives for a bounded time, so that
waiting for that time is what makes sure that a server holds nothing; here, a server that is dropped must hold nothing.

What must hold: no fresh value at an owner that a worker still reads, or reads again, is older than what was applied.
"""

from __future__ import annotations

from typing import NamedTuple

from tests.infra.tao.consistency.explorer import Protocol, Rules, Steps

RULES = {
    "both-owners": "the consumer deletes at the old and the new owner before the first worker switches",
    "until-the-last": "and goes on with both until the last worker has switched",
    "drop-after-lifetime": "and for the lifetime of an entry from then, or the old owner keeps a value until it is back",
    "lifetime-of-leases": "and for that of a lease as well, since a fill may come until it ends",
    "fill-where-leased": "a fill goes to the server of its lease, by its connection, whoever owns the key by then",
    "applied-at-both": "a record is applied when its delete was applied at every owner",
}
WRITES = 2
X, Y = 0, 1
ABSENT, LEASE, FRESH, STALE = range(4)
IDLE, LEASED, READ = range(3)
TARGETS = ((X,), (X, Y), (Y,), (X, Y), (X,))
"""Of the consumer, stage by stage."""


class Entry(NamedTuple):
    kind: int = ABSENT
    version: int = 0


class Worker(NamedTuple):
    owner: int = X
    at: int = IDLE
    leased_at: int = X
    alive: bool = False
    version: int = 0


class State(NamedTuple):
    visible: int = 0
    applied: int = 0
    stage: int = 0
    deleted_at: tuple[int, ...] = ()
    """Owners at which the next record's delete was applied."""
    entries: tuple[Entry, ...] = (Entry(), Entry())
    workers: tuple[Worker, ...] = (Worker(), Worker())


def steps(state: State, rules: Rules) -> Steps[State]:
    if state.visible < WRITES:
        yield f"commit v{state.visible + 1}", state._replace(visible=state.visible + 1)
    yield from _change(state, rules)
    yield from _consumer(state, rules)
    for server in (X, Y):
        if state.entries[server].kind != ABSENT:
            yield f"the entry at {_name(server)} expires", _changed(state, server, Entry())
    for worker in set(state.workers):
        yield from _switch(state, worker, rules)
        yield from _fill(state, worker, rules)


def broken(state: State, rules: Rules) -> str:
    for server in {worker.owner for worker in state.workers}:
        kind, version = state.entries[server]
        if kind == FRESH and version < state.applied:
            return f"fresh: {_name(server)} holds v{version}, the consumer applied v{state.applied}"
    return ""


def _name(server: int) -> str:
    return "XY"[server]


def _change(state: State, rules: Rules) -> Steps[State]:
    """The consumer goes to its next stage."""
    if state.stage in (0, 2):
        yield "consumer deletes at both", state._replace(stage=state.stage + 1)
    elif state.stage in (1, 3):
        new = TARGETS[state.stage + 1][0]
        old = X + Y - new
        switched = all(worker.owner == new for worker in state.workers)
        if (switched or "until-the-last" not in rules) and _may_drop(state, old, rules):
            yield f"consumer drops {_name(old)}", state._replace(stage=state.stage + 1, deleted_at=())


def _may_drop(state: State, server: int, rules: Rules) -> bool:
    if "drop-after-lifetime" not in rules:
        return True
    kind = state.entries[server].kind
    return kind == ABSENT or (kind == LEASE and "lifetime-of-leases" not in rules)


def _switch(state: State, worker: Worker, rules: Rules) -> Steps[State]:
    if state.stage == 4:
        return
    new = TARGETS[state.stage + (1 if state.stage % 2 else 2)][0]
    if worker.owner != new and (state.stage % 2 or "both-owners" not in rules):
        yield f"a worker switches to {_name(new)}", _became(state, worker, worker._replace(owner=new))


def _consumer(state: State, rules: Rules) -> Steps[State]:
    if state.applied == state.visible:
        return
    targets = TARGETS[state.stage]
    version = state.applied + 1
    for server in targets:
        if server not in state.deleted_at:
            deleted_at = tuple(sorted((*state.deleted_at, server)))
            yield f"consumer deletes v{version} at {_name(server)}", _delete(
                state._replace(deleted_at=deleted_at), server, version
            )
    enough = set(targets) <= set(state.deleted_at)
    if enough or (state.deleted_at and "applied-at-both" not in rules):
        yield f"consumer has applied v{version}", state._replace(applied=version, deleted_at=())


def _delete(state: State, server: int, version: int) -> State:
    kind, held = state.entries[server]
    if kind == ABSENT or (kind == FRESH and held >= version):
        return state
    return _changed(state, server, Entry(STALE, held))


def _changed(state: State, server: int, entry: Entry) -> State:
    """Under another number: no lease of that server is alive."""
    entries = list(state.entries)
    entries[server] = entry
    workers = tuple(sorted(w._replace(alive=w.alive and w.leased_at != server) for w in state.workers))
    return state._replace(entries=tuple(entries), workers=workers)


def _fill(state: State, worker: Worker, rules: Rules) -> Steps[State]:
    if worker.at == IDLE:
        yield from _lease(state, worker)
    elif worker.at == LEASED:
        read = worker._replace(at=READ, version=state.visible)
        yield f"a worker reads v{state.visible}", _became(state, worker, read)
    else:
        done = _became(state, worker, Worker(worker.owner))
        yield f"a worker gives up v{worker.version}", done
        server = worker.leased_at if "fill-where-leased" in rules else worker.owner
        matches = state.entries[server].kind in (LEASE, STALE)  # numbers of two servers may be the same
        if worker.alive if server == worker.leased_at else matches:
            yield f"a worker sets v{worker.version} at {_name(server)}", _changed(
                done, server, Entry(FRESH, worker.version)
            )


def _lease(state: State, worker: Worker) -> Steps[State]:
    server = worker.owner
    won = Worker(server, LEASED, server, True)
    kind = state.entries[server].kind
    held = any(other.alive and other.leased_at == server for other in state.workers)
    if kind == ABSENT:
        entries = list(state.entries)
        entries[server] = Entry(LEASE)
        yield f"a worker wins a lease at {_name(server)}", _became(
            state._replace(entries=tuple(entries)), worker, won
        )
    elif kind == STALE and not held:
        yield f"a worker wins the stale entry at {_name(server)}", _became(state, worker, won)


def _became(state: State, worker: Worker, after: Worker) -> State:
    workers = list(state.workers)
    workers[workers.index(worker)] = after
    return state._replace(workers=tuple(sorted(workers)))


OWNERS = Protocol("change of owners", RULES, State(), steps, broken)
