"""The log and its consumer: what is logged and not yet visible, a slot that is lost, a primary that is replaced.

PostgreSQL sends a commit to the log's readers once it is flushed; other sessions see it a moment later, and with a
synchronous standby only once that one has confirmed. A slot that is lost is made anew at the present end of the log,
and with it a generation, which is part of every key. A standby that is promoted may lack the last commit; its log goes
on from there, on a timeline of its own, with positions that were in use before.

One key; two workers, which learn of generation and position from the record that the consumer publishes; one accident.

What must hold: under the generation of the slot, no fresh value is older than what was applied, or was lost; a person
whose ticket is satisfied by the record that a worker knows is shown at least that write by it.
"""

from __future__ import annotations

from typing import NamedTuple

from tests.infra.tao.consistency.explorer import Protocol, Rules, Steps

RULES = {
    "visible-first": "a record is applied, and a new slot's start published, only when other sessions see it",
    "publish-after-apply": "a position is published when every delete up to it was applied",
    "generation": "a slot that is made anew has a generation of its own",
    "publish-after-slot": "a generation is published only when its slot exists",
    "one-record": "generation and position are one record, and a worker takes both at once",
    "slot-dies-with-primary": "a promoted standby's slot is a new one: synchronised slots would keep the generation",
    "ticket-names-timeline": "a ticket names its timeline: positions of another one do not compare",
}
WRITES = 2
ABSENT, LEASE, FRESH, STALE = range(4)
IDLE, LEASED, READ = range(3)
NONE = -1
LOST = -2
"""The version of a value that was read from a primary which died before a standby had it."""


class Entry(NamedTuple):
    kind: int = ABSENT
    version: int = 0


class Position(NamedTuple):
    generation: int = 0
    timeline: int = 0
    applied: int = 0


class Worker(NamedTuple):
    known: Position = Position()
    at: int = IDLE
    generation: int = 0
    """Of the key that it fills."""
    alive: bool = False
    version: int = 0


class State(NamedTuple):
    logged: int = 0
    visible: int = 0
    slot: int = 0
    """What was applied from it; NONE: lost."""
    generation: int = 0
    accident: bool = False
    fork: int = NONE
    """The last version that the promoted standby had; NONE: no standby was promoted."""
    published: Position = Position()
    entries: tuple[Entry, ...] = (Entry(), Entry())
    """By generation."""
    workers: tuple[Worker, ...] = (Worker(), Worker())

    @property
    def timeline(self) -> int:
        return int(self.fork != NONE)


def steps(state: State, rules: Rules) -> Steps[State]:
    if state.logged < WRITES:
        yield f"v{state.logged + 1} is logged", state._replace(logged=state.logged + 1)
    if state.visible < state.logged:
        yield f"v{state.visible + 1} is visible", state._replace(visible=state.visible + 1)
    if not state.accident:
        yield from _accident(state, rules)
    yield from _consumer(state, rules)
    for worker in set(state.workers):
        yield from _learn(state, worker, rules)
        yield from _fill(state, worker)


def broken(state: State, rules: Rules) -> str:
    kind, version = state.entries[state.generation]
    if kind == FRESH and state.slot != NONE and version < state.slot:
        held = "a lost write" if version == LOST else f"v{version}"
        return f"fresh: holds {held}, the consumer applied v{state.slot}"
    for known in {worker.known for worker in state.workers}:
        kind, version = state.entries[known.generation]
        for ticket in range(1, state.visible + 1):
            shown = kind == FRESH and _satisfied(state, ticket, known, rules)
            if shown and version < ticket and not (version == LOST and ticket <= state.fork):
                return f"own write: ticket v{ticket}, shown {'a lost write' if version == LOST else f'v{version}'}"
    return ""


def _satisfied(state: State, ticket: int, known: Position, rules: Rules) -> bool:
    if "ticket-names-timeline" not in rules:
        return known.applied >= ticket
    timeline = int(state.timeline and ticket > state.fork)
    return (known.timeline, known.applied) >= (timeline, ticket)


def _accident(state: State, rules: Rules) -> Steps[State]:
    yield "the slot is lost", _without_slot(state, rules)
    if state.logged:
        promoted = _promoted(state)
        kept = promoted._replace(slot=min(state.slot, promoted.logged), accident=True)
        safe = "slot-dies-with-primary" in rules
        yield f"a standby without v{state.logged} is promoted", (
            _without_slot(promoted, rules) if safe else kept
        )


def _without_slot(state: State, rules: Rules) -> State:
    lost = state._replace(slot=NONE, accident=True)
    if "publish-after-slot" in rules:
        return lost
    published = Position(state.generation + 1, state.timeline, state.logged)
    return lost._replace(generation=published.generation, published=published)


def _promoted(state: State) -> State:
    last, fork = state.logged, state.logged - 1
    workers = (w._replace(version=LOST) if w.at == READ and w.version == last else w for w in state.workers)
    return state._replace(
        logged=fork,
        visible=fork,
        fork=fork,
        entries=tuple(e._replace(version=LOST) if e.version == last else e for e in state.entries),
        workers=tuple(sorted(workers)),
    )


def _consumer(state: State, rules: Rules) -> Steps[State]:
    if state.slot == NONE:
        generation = state.generation + ({"generation", "publish-after-slot"} <= rules)
        yield f"a new slot from v{state.logged} on", state._replace(slot=state.logged, generation=generation)
        return
    seen = state.visible if "visible-first" in rules else state.logged
    if state.slot < seen:
        yield f"consumer applies v{state.slot + 1}", _apply(state, state.slot + 1)
    ahead = state.slot < seen and "publish-after-apply" not in rules
    position = Position(state.generation, state.timeline, state.slot + ahead)
    if position != state.published and state.slot <= seen:
        yield f"consumer publishes v{position.applied}", state._replace(published=position)


def _apply(state: State, version: int) -> State:
    kind, held = state.entries[state.generation]
    applied = state._replace(slot=version)
    if kind == ABSENT or (kind == FRESH and held >= version):
        return applied
    return _changed(applied, state.generation, Entry(STALE, held))


def _changed(state: State, generation: int, entry: Entry) -> State:
    """Under another number: no lease of that key is alive."""
    entries = list(state.entries)
    entries[generation] = entry
    workers = (w._replace(alive=w.alive and w.generation != generation) for w in state.workers)
    return state._replace(entries=tuple(entries), workers=tuple(sorted(workers)))


def _learn(state: State, worker: Worker, rules: Rules) -> Steps[State]:
    known, published = worker.known, state.published
    if known == published:
        return
    yield "a worker reads the record", _became(state, worker, worker._replace(known=published))
    if "one-record" not in rules:
        position = published._replace(generation=known.generation)
        yield "a worker reads the position", _became(state, worker, worker._replace(known=position))


def _fill(state: State, worker: Worker) -> Steps[State]:
    if worker.at == IDLE:
        yield from _lease(state, worker)
    elif worker.at == LEASED:
        read = worker._replace(at=READ, version=state.visible)
        yield f"a worker reads v{state.visible}", _became(state, worker, read)
    else:
        done = _became(state, worker, Worker(worker.known))
        yield "a worker gives up", done
        if worker.alive:
            yield "a worker sets what it read", _changed(
                done, worker.generation, Entry(FRESH, worker.version)
            )


def _lease(state: State, worker: Worker) -> Steps[State]:
    generation = worker.known.generation
    won = Worker(worker.known, LEASED, generation, True)
    kind = state.entries[generation].kind
    if kind == ABSENT:
        entries = list(state.entries)
        entries[generation] = Entry(LEASE)
        leased = state._replace(entries=tuple(entries))
        yield f"a worker wins a lease of generation {generation}", _became(leased, worker, won)
    elif kind == STALE and not any(w.alive and w.generation == generation for w in state.workers):
        yield f"a worker wins the stale entry of generation {generation}", _became(state, worker, won)


def _became(state: State, worker: Worker, after: Worker) -> State:
    workers = list(state.workers)
    workers[workers.index(worker)] = after
    return state._replace(workers=tuple(sorted(workers)))


LOG = Protocol("log", RULES, State(), steps, broken)
