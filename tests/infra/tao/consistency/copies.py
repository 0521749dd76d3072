"""Copies beside memcached (the gutter, a process's hot keys) and how long a ticket is kept.

Nobody deletes copies; they live LIFETIME ticks. So a copy that was made just before a delete was applied shows the old
value for that long after it, while the position in the ticket has long been reached. One write of one person.

What must hold: that person is shown the write, wherever a worker looks. Everybody else may wait for LIFETIME.
"""

from __future__ import annotations

from typing import NamedTuple

from tests.infra.tao.consistency.explorer import Protocol, Rules, Steps

RULES = {
    "no-copy-for-tickets": "who has a ticket is shown no copy",
    "keep-tickets": "a ticket is kept for its time, not dropped once its position has been applied",
    "outlive-copies": "that time is the longest lag that counts, and then the lifetime of a copy",
}
LIFETIME, LAG = 2, 1
"""Ticks. A consumer that is further behind than LAG breaks the promise, and is an alert."""


class State(NamedTuple):
    written: bool = False
    applied: bool = False
    age: int = 0
    """Of the ticket, in ticks."""
    copy_left: int = 0
    """Ticks; 0: there is none."""
    copy_written: bool = False
    """Whether the copy has the write."""


def steps(state: State, rules: Rules) -> Steps[State]:
    if not state.written:
        yield "the person writes", state._replace(written=True)
    elif not state.applied:
        yield "consumer applies the write", state._replace(applied=True)
    for has in {state.applied, state.written}:
        made = state._replace(copy_left=LIFETIME, copy_written=has)
        yield f"a copy {'with' if has else 'without'} the write is made", made
    if state.applied or state.age < LAG:
        yield "a tick", state._replace(
            age=min(state.age + state.written, LAG + LIFETIME), copy_left=max(0, state.copy_left - 1)
        )


def broken(state: State, rules: Rules) -> str:
    kept = state.age < (LAG + LIFETIME if "outlive-copies" in rules else LIFETIME)
    if state.applied and "keep-tickets" not in rules:
        kept = False
    refused = kept and "no-copy-for-tickets" in rules
    if state.written and state.copy_left and not state.copy_written and not refused:
        return f"own write: shown a copy without it, {state.age} ticks later"
    return ""


COPIES = Protocol("copies", RULES, State(), steps, broken)
