"""The consumer's question before its delete, with memcached's tokens and the time that a stale value may live.

`mg k f t` asks for the version (client flags) and the time left. What is absent, or fresh and at least of the record's
version, is left alone; anything else is deleted: `md k I T..` marks it stale. Of a stale entry memcached gives the right
to fill it (`W`) to the first who asks, and that may be the consumer; a delete makes the right free again.

One key, filled from the database that the consumer follows; two writes, two fillers, and a clock of coarse ticks.
Nobody has to name numbers here: a filler's lease is alive until the entry is deleted, replaced or gone.

What must hold: no fresh value is older than what was applied; no stale value is shown longer than STALE_TICKS after it
was first marked; once the consumer has caught up, it does not sit on the right to fill; an empty entry is no value.
"""

from __future__ import annotations

from typing import NamedTuple

from tests.infra.tao.consistency.explorer import Protocol, Rules, Steps

RULES = {
    "delete-leases": "an entry that is only a lease has no version and is deleted",
    "delete-stale": "an entry that is marked stale is deleted whatever its version: the question took its token",
    "delete-blindly": "the delete is for whatever is there by then, not for what was asked about",
    "ack-after-delete": "the question alone acknowledges nothing but what it left alone",
    "no-prolonging": "a stale entry that is deleted again lives at most one tick less than it had left",
    "delete-in-time": "a delete follows its question within a tick, or the question is asked again",
    "no-blind-mark": "who did not ask sets no time: a writer removes, a filler that gives back leaves the time as it is",
    "empty-is-no-value": "an entry without a value is never shown, be it a lease or a lease marked stale",
}
WRITES, STALE_TICKS = 2, 3
ABSENT, LEASE, FRESH, STALE = range(4)
IDLE, LEASED, READ = range(3)
ASKING, DELETING, DONE = range(3)
FREE, READER, CONSUMER = range(3)
NOTHING = -1


class Entry(NamedTuple):
    kind: int = ABSENT
    version: int = NOTHING
    token: int = FREE
    """Of a stale entry: who was told to fill it."""
    left: int = 0
    age: int = 0
    """Of a stale entry, in ticks: until it expires, and since a value was first marked."""


class Filler(NamedTuple):
    at: int = IDLE
    version: int = 0
    alive: bool = False


class Consumer(NamedTuple):
    at: int = ASKING
    record: int = 1
    mark_ticks: int = 0
    """The T of its delete; 0: remove."""
    waited: int = 0
    unchanged: bool = False
    """Whether the entry is the one that it asked about."""


class State(NamedTuple):
    visible: int = 0
    applied: int = 0
    entry: Entry = Entry()
    consumer: Consumer = Consumer()
    fillers: tuple[Filler, ...] = (Filler(), Filler())


def steps(state: State, rules: Rules) -> Steps[State]:
    yield from _writer(state, rules)
    yield from _consumer(state, rules)
    yield from _memcached(state)
    for filler in set(state.fillers):
        yield from _fill(state, filler, rules)


def broken(state: State, rules: Rules) -> str:
    kind, version, token, _, age = state.entry
    if kind == FRESH and version < state.applied:
        return f"fresh: holds v{version}, the consumer applied v{state.applied}"
    if kind == STALE and version != NOTHING and age >= STALE_TICKS:
        return f"stale for {age} ticks and still shown"
    caught_up = state.consumer.at == ASKING and state.consumer.record > state.visible
    if caught_up and token == CONSUMER:
        return "the consumer has caught up and holds the token of a stale entry: nobody fills it"
    if "empty-is-no-value" not in rules and kind != ABSENT and version == NOTHING:
        return "shown an empty entry as if it were a value"
    return ""


def _writer(state: State, rules: Rules) -> Steps[State]:
    if state.visible < WRITES:
        yield f"commit v{state.visible + 1}", state._replace(visible=state.visible + 1)
    if state.visible and state.entry.kind != ABSENT:
        if "no-blind-mark" in rules:
            yield "a writer removes", _changed(state, Entry())
        else:
            yield "a writer marks stale", _changed(state, _marked(state.entry, STALE_TICKS))


def _consumer(state: State, rules: Rules) -> Steps[State]:
    consumer = state.consumer
    if consumer.at == ASKING and consumer.record <= state.visible:
        yield f"consumer asks for v{consumer.record}", _ask(state, rules)
    elif consumer.at == DELETING:
        yield from _delete(state, rules)
    elif consumer.at == DONE:
        applied = max(state.applied, consumer.record)
        yield f"consumer has applied v{consumer.record}", state._replace(
            applied=applied, consumer=Consumer(record=consumer.record + 1)
        )
    for record in range(1, consumer.record + (consumer.at != ASKING)):
        yield f"consumer starts again at v{record}", state._replace(consumer=Consumer(record=record))


def _ask(state: State, rules: Rules) -> State:
    kind, version, token, left, _ = entry = state.entry
    record = state.consumer.record
    if kind == STALE and token == FREE:
        entry = entry._replace(token=CONSUMER)
    if (
        kind == ABSENT
        or (kind == LEASE and "delete-leases" not in rules)
        or (version >= record and (kind == FRESH or "delete-stale" not in rules))
    ):
        return state._replace(entry=entry, consumer=Consumer(DONE, record))
    marked = kind == STALE and "no-prolonging" in rules
    asked = Consumer(DELETING, record, left - 1 if marked else STALE_TICKS, 0, True)
    applied = state.applied if "ack-after-delete" in rules else max(state.applied, record)
    return state._replace(entry=entry, applied=applied, consumer=asked)


def _delete(state: State, rules: Rules) -> Steps[State]:
    consumer = state.consumer
    if consumer.waited > 1 and "delete-in-time" in rules:
        yield "consumer is late and asks again", state._replace(consumer=Consumer(record=consumer.record))
        return
    done = state._replace(consumer=Consumer(DONE, consumer.record))
    if state.entry.kind == ABSENT or not (consumer.unchanged or "delete-blindly" in rules):
        yield "consumer deletes nothing", done
    elif consumer.mark_ticks == 0:
        yield "consumer removes", _changed(done, Entry())
    else:
        marked = _marked(state.entry, consumer.mark_ticks)
        yield f"consumer marks stale for {consumer.mark_ticks} ticks", _changed(done, marked)


def _marked(entry: Entry, ticks: int) -> Entry:
    """`md k I T..`: its token is free again. Of a lease it makes an empty entry."""
    return Entry(STALE, entry.version, FREE, ticks, entry.age)


def _memcached(state: State) -> Steps[State]:
    entry = state.entry
    if entry.kind != ABSENT:
        yield "evict", _changed(state, Entry())
    if entry.kind == STALE:
        waited = min(2, state.consumer.waited + 1) if state.consumer.at == DELETING else 0
        later = state._replace(consumer=state.consumer._replace(waited=waited))
        if entry.left == 1:
            yield "a tick: the stale entry expires", _changed(later, Entry())
        else:
            yield "a tick", later._replace(entry=entry._replace(left=entry.left - 1, age=entry.age + 1))


def _changed(state: State, entry: Entry) -> State:
    """Under another number: no lease is alive."""
    fillers = tuple(sorted(filler._replace(alive=False) for filler in state.fillers))
    consumer = state.consumer._replace(unchanged=False)
    return state._replace(entry=entry, fillers=fillers, consumer=consumer)


def _fill(state: State, filler: Filler, rules: Rules) -> Steps[State]:
    kind, version, token, _, _ = state.entry
    if filler.at == IDLE:
        leased = Filler(LEASED, 0, True)
        if kind == ABSENT:
            yield "a filler wins a lease", _became(state._replace(entry=Entry(LEASE)), filler, leased)
        elif kind == STALE and token == FREE:
            won = state._replace(entry=state.entry._replace(token=READER))
            yield "a filler wins the stale entry", _became(won, filler, leased)
        elif kind == FRESH:
            yield f"a filler cannot read v{version} and takes its number", _became(state, filler, leased)
    elif filler.at == LEASED:
        read = filler._replace(at=READ, version=state.visible)
        yield f"a filler reads v{state.visible}", _became(state, filler, read)
    else:
        yield from _set(state, filler, rules)


def _set(state: State, filler: Filler, rules: Rules) -> Steps[State]:
    done = _became(state, filler, Filler())
    yield f"a filler of v{filler.version} dies", done
    if filler.alive:
        yield f"a filler sets v{filler.version}", _changed(done, Entry(FRESH, filler.version))
        if state.entry.kind == STALE:
            ticks = state.entry.left if "no-blind-mark" in rules else STALE_TICKS
            yield "a filler gives the stale entry back", _changed(done, _marked(state.entry, ticks))


def _became(state: State, filler: Filler, after: Filler) -> State:
    fillers = list(state.fillers)
    fillers[fillers.index(filler)] = after
    return state._replace(fillers=tuple(sorted(fillers)))


PROBE = Protocol("probe", RULES, State(), steps, broken)
