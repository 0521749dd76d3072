"""Every interleaving of writes, relays, crashes and late messages of one edge across two shards.

    python tests/infra/tao/edges_model.py      the protocol as designed, then with each rule switched off

The forward row lives on id1's shard, the inverse on id2's; a relay carries each change there from the outbox. Three
writes (add, delete, add) and two relays, which may both hold the same message, die with it, or deliver it after the
other has already done so. Change the protocol here first.

What must hold: the inverse's count always equals its rows; once the outbox is empty and no relay holds anything, the
inverse is there if and only if the forward row is.
"""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace

RULES = {
    "one-transaction": "the forward row, its count and the outbox row commit together",
    "newest-wins": "the inverse row keeps the forward row's version and takes only a newer one",
    "tombstones": "a deleted inverse row leaves its version behind",
    "purge-late": "a tombstone goes only when no older message can be in the outbox or in a relay's hands",
    "remove-after-apply": "the outbox row is removed only after the inverse has committed",
    "count-with-row": "the inverse's count changes only when its row appeared or vanished, in the same transaction",
    "resend-from-outbox": "a message stays in the outbox until it is applied, however often a relay dies",
}
ALL_RULES = frozenset(RULES)
WRITES = 3


@dataclass(frozen=True)
class State:
    """A version is odd when the edge is there: write 1 adds, 2 deletes, 3 adds again."""

    version: int = 0
    """Of the forward row."""
    inverse: int = 0
    """The version that the inverse mirrors; 0: nothing there, not even a tombstone."""
    count: int = 0
    """Of the inverse's list."""
    outbox: frozenset[int] = frozenset()
    relays: tuple[int, ...] = (0, 0)
    """The message that each holds; 0: none."""
    unsent: int = 0
    """A committed forward write whose outbox row is not written yet: only without "one-transaction"."""


@dataclass(frozen=True)
class Exploration:
    """`violation` is empty when there is none; else `way` is a shortest one to it."""

    states: int
    violation: str
    way: tuple[str, ...]


def explore(rules: frozenset[str] = ALL_RULES) -> Exploration:
    """Breadth first, so that the first counterexample is a shortest."""
    start = State()
    came_from: dict[State, tuple[State, str] | None] = {start: None}
    queue = deque([start])
    while queue:
        state = queue.popleft()
        if violation := broken(state):
            return Exploration(len(came_from), violation, _way(state, came_from))
        for what, after in steps(state, rules):
            if after not in came_from:
                came_from[after] = (state, what)
                queue.append(after)
    return Exploration(len(came_from), "", ())


def _way(state: State, came_from: dict[State, tuple[State, str] | None]) -> tuple[str, ...]:
    way: list[str] = []
    while (step := came_from[state]) is not None:
        state, what = step
        way.append(what)
    return tuple(reversed(way))


def broken(state: State) -> str:
    """The sentence of the invariant that this state breaks, or nothing."""
    if state.count != state.inverse % 2:
        return f"count {state.count}, rows {state.inverse % 2}"
    at_rest = not (state.outbox or any(state.relays) or state.unsent)
    if at_rest and state.inverse % 2 != state.version % 2:
        return f"half edge: forward v{state.version}, inverse {'present' if state.inverse % 2 else 'absent'}"
    return ""


def steps(state: State, rules: frozenset[str]) -> Iterator[tuple[str, State]]:
    """All that can happen next."""
    yield from _writer(state, rules)
    yield from _purge(state, rules)
    for relay, held in enumerate(state.relays):
        if held == 0:
            yield from _take(state, relay, rules)
        else:
            yield from _deliver(state, relay, held, rules)


def _writer(state: State, rules: frozenset[str]) -> Iterator[tuple[str, State]]:
    if state.unsent:
        sent = replace(state, outbox=state.outbox | {state.unsent}, unsent=0)
        yield f"outbox row v{state.unsent}", sent
        yield "the writer dies before its outbox row", replace(state, unsent=0)
    elif state.version < WRITES:
        version = state.version + 1
        what = f"{'add' if version % 2 else 'delete'} v{version}"
        if "one-transaction" in rules:
            yield what, replace(state, version=version, outbox=state.outbox | {version})
        else:
            yield what, replace(state, version=version, unsent=version)


def _purge(state: State, rules: frozenset[str]) -> Iterator[tuple[str, State]]:
    if state.inverse == 0 or state.inverse % 2:
        return
    older = [message for message in (*state.outbox, *state.relays) if 0 < message < state.inverse]
    if not older or not {"tombstones", "purge-late"} <= rules:
        yield "tombstone purged", replace(state, inverse=0)


def _take(state: State, relay: int, rules: frozenset[str]) -> Iterator[tuple[str, State]]:
    for message in sorted(state.outbox):
        kept = state.outbox if "remove-after-apply" in rules else state.outbox - {message}
        yield f"relay {relay} takes v{message}", _holding(replace(state, outbox=kept), relay, message)


def _deliver(state: State, relay: int, held: int, rules: frozenset[str]) -> Iterator[tuple[str, State]]:
    applied = _apply(_holding(state, relay, 0), held, rules)
    yield f"relay {relay} applies v{held}", replace(applied, outbox=state.outbox - {held})
    yield f"relay {relay} applies v{held} and dies before removing it", applied
    kept = state.outbox if "resend-from-outbox" in rules else state.outbox - {held}
    yield f"relay {relay} dies holding v{held}", _holding(replace(state, outbox=kept), relay, 0)


def _holding(state: State, relay: int, message: int) -> State:
    return replace(state, relays=(*state.relays[:relay], message, *state.relays[relay + 1 :]))


def _apply(state: State, message: int, rules: frozenset[str]) -> State:
    """What `edge_mirror` does (infra/shards/sql/0002_graph.server.sql)."""
    if "newest-wins" in rules and message <= state.inverse:
        return state
    was_there, is_there = state.inverse % 2, message % 2
    change = is_there - was_there if "count-with-row" in rules else 1 if is_there else -1
    kept = message if is_there or "tombstones" in rules else 0
    return replace(state, inverse=kept, count=state.count + change)


def main() -> int:
    found = explore()
    print(f"all rules: {found.states} states, {found.violation or 'no violation'}")
    wrong = bool(found.violation)
    for rule in RULES:
        found = explore(ALL_RULES - {rule})
        wrong |= not found.violation
        print(f"without {rule}: {found.violation or 'NO VIOLATION'} ({len(found.way)} steps)")
        print("".join(f"    {step}\n" for step in found.way), end="")
    return wrong


if __name__ == "__main__":
    sys.exit(main())
