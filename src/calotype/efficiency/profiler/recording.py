"""What is done at each event of a thread that runs the request."""

from __future__ import annotations

import inspect
import sys
import threading
from types import CodeType, FrameType

from calotype.efficiency.profiler.clocks import Clock
from calotype.efficiency.profiler.tracing import Callbacks
from calotype.efficiency.profiler.tree import OTHER, Node, Tree

AWAITING = inspect.CO_COROUTINE | inspect.CO_ITERABLE_COROUTINE | inspect.CO_ASYNC_GENERATOR
"""Code whose frames are told apart: many of one function are suspended at a time, and a loop resumes them."""

SUSPENDED = 50_000
"""Frames that are remembered while they are suspended. Others go on under who resumes them."""

GIVEN = "async_generator_wrapped_value"
"""The type of what an asynchronous generator gives, as opposed to what it awaits."""


class Running:
    """Where a thread is in the tree, from entering the request until it leaves it."""

    __slots__ = ("beyond", "since", "suspended_at", "synced", "top", "used")

    def __init__(self, top: Node) -> None:
        self.top = top
        self.beyond = 0
        """How many calls are not in the tree that must end before the one on top does."""
        self.since = 0
        """The clock at the last event."""
        self.suspended_at = 0
        """The same, if it was a coroutine that was suspended."""
        self.synced = self.used = 0
        """`since` and what the clock that is meant said, when it was read last."""


class Mine(threading.local):
    """Of each thread. None: it does not run the request."""

    running: Running | None = None


class Suspended:
    """Coroutines, by the id of their frame: the node, and since when it waits for something."""

    def __init__(self, clock: Clock) -> None:
        self._waits = clock.waits
        self._frames: dict[int, tuple[Node, int | None]] = {}

    def add(self, frame: FrameType, node: Node, since: int | None) -> None:
        if len(self._frames) < SUSPENDED:
            self._frames[id(frame)] = node, since

    def pop(self, frame: FrameType, now: int) -> Node | None:
        """Charged with its waiting. None for one that is not known; an id may be that of a frame long gone."""
        node, since = self._frames.pop(id(frame), (None, None))
        if node is None or node.code is not frame.f_code:
            return None
        if since is not None and self._waits:
            node.own += now - since
        return node


def sync(running: Running, clock: Clock) -> None:
    """What the clock did before is nobody's."""
    if clock.used is not None:
        running.used = clock.used()
    running.since = running.synced = clock.read()


def lapsed(running: Running, clock: Clock, now: int) -> int:
    """Much time has passed since the last event. The clock that is meant knows how much of it counts: what it says to
    have been used, less the short times since it was read last."""
    assert clock.used is not None
    used = clock.used()
    short = running.since - running.synced
    charged = min(max(0, used - running.used - short), now - running.since)
    running.used, running.synced = used, clock.read()
    return charged


def charge(running: Running, node: Node, clock: Clock) -> None:
    """The time until now."""
    now = clock.read()
    passed = now - running.since
    if passed > clock.lapse:
        passed = lapsed(running, clock, now)
    node.own += passed
    running.since = now


def callbacks(clock: Clock, mine: Mine, tree: Tree) -> Callbacks:
    """For `sys.monitoring`.

    Each reads the clock first and last, and what lies between is nobody's: it takes very different times, as caches
    are. The rest (the interpreter's way here and back, and a reading) hardly varies and is subtracted (`calibration`).
    They say again what they could call: a call would be a third of what the most frequent ones cost. Where the stack is
    nearly as deep as Python lets it be, they find no room for theirs; such a call is only counted until it ends.
    """
    read, lapse, frame_of = clock.read, clock.lapse, sys._getframe
    suspended, events = Suspended(clock), sys.monitoring.events

    def called(code: CodeType, _offset: int) -> None:
        now = read()
        running = mine.running
        if running is None:
            return
        top = running.top
        try:
            passed = now - running.since
            if passed > lapse:
                passed = lapsed(running, clock, now)
            top.own += passed
            try:
                node = top.children[id(code)]
            except KeyError:
                node = step_into(running, code)
            node.calls += 1
            running.top = node
        except RecursionError:
            running.beyond += 1
        running.since = read()

    def ended(_code: CodeType, _offset: int, _value: object) -> None:
        now = read()
        running = mine.running
        if running is None:
            return
        top = running.top
        try:
            passed = now - running.since
            if passed > lapse:
                passed = lapsed(running, clock, now)
            top.own += passed
        except RecursionError:
            pass
        if running.beyond:
            running.beyond -= 1
        else:
            running.top = top.parent
        running.since = read()

    def gave(code: CodeType, _offset: int, value: object) -> None:
        now = read()
        running = mine.running
        if running is None:
            return
        before, top = running.since, running.top
        if running.beyond:
            running.beyond -= 1
        else:
            running.top = top.parent
        try:
            passed = now - before
            if passed > lapse:
                passed = lapsed(running, clock, now)
            top.own += passed
            if code.co_flags & AWAITING and type(value).__name__ != GIVEN and top.code is code:
                innermost = before != running.suspended_at  # else it awaits the one before
                suspended.add(frame_of(1), top, now if innermost else None)
                running.since = running.suspended_at = read()
                return
        except RecursionError:
            pass
        running.since = read()

    def went_on(code: CodeType, _offset: int, _raised: object = None) -> None:
        now = read()
        running = mine.running
        if running is None:
            return
        top, node = running.top, None
        try:
            passed = now - running.since
            if passed > lapse:
                passed = lapsed(running, clock, now)
            top.own += passed
            if code.co_flags & AWAITING and top.code is not OTHER:
                node = suspended.pop(frame_of(1), now)
                if node is None and top.hidden:
                    node = tree.below(top, code)
            if node is None:
                node = top.children.get(id(code)) or step_into(running, code)
            node.resumed += 1
            running.top = node
        except RecursionError:
            running.beyond += 1
        running.since = read()

    def step_into(running: Running, code: CodeType) -> Node:
        if running.top.code is OTHER:
            running.beyond += 1
            return running.top
        return tree.child(running.top, code)

    return {
        events.PY_START: called,
        events.PY_RETURN: ended,
        events.PY_UNWIND: ended,
        events.PY_YIELD: gave,
        events.PY_RESUME: went_on,
        events.PY_THROW: went_on,
    }
