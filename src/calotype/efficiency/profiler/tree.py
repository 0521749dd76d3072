"""The calling-context tree of one request while it grows: a node for each path of calls, not for each pair of functions.

A path is the logical one. A coroutine that a loop resumes goes on in its own node, under who awaits it; a task, a callback
or a call in a thread is under the place that has started it.
"""

from __future__ import annotations

import itertools
import threading
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from types import CodeType

NODES = 50_000
"""In one request. What is called beyond that is "(other)", under its caller."""

DEPTH = 2_000
"""The same for what is nested deeper."""

OURS = tuple(str(Path(__file__).parents[1] / package) + "/" for package in ("meter", "profiler"))
"""Frames of what meters and profiles lie between those of the request, and are hidden."""


def _stands_for(what: str) -> CodeType:
    return compile("", "", "exec").replace(co_name=what, co_qualname=what)


TOP, OTHER, BASE = _stands_for("(request)"), _stands_for("(other)"), _stands_for("(base)")


class Node:
    """One path. `own`: charged to its last function itself. `resumed`: how often that went on after it was suspended."""

    __slots__ = ("calls", "children", "code", "depth", "hidden", "own", "parent", "resumed")

    def __init__(self, code: CodeType, parent: Node | None, *, hidden: bool = False) -> None:
        self.code = code
        self.parent: Node = parent or self
        self.depth: int = parent.depth + 1 if parent else 0
        self.hidden = hidden
        """Its caller is charged, and calls what it calls."""
        self.children: dict[int, Node] = {}
        """By `id` of the code: its hash is taken of all its bytes, each time."""
        self.own = self.calls = self.resumed = 0


class Tree:
    def __init__(self) -> None:
        self.top = Node(TOP, None)
        self._size = 1
        self._bases: list[tuple[Node, Node]] = []

    def child(self, parent: Node, code: CodeType) -> Node:
        """Made if it is not there."""
        if (known := parent.children.get(id(code))) is not None:
            return known
        if code.co_filename.startswith(OURS):
            return self._hidden(parent, id(code), code)
        if self._size >= NODES or parent.depth >= DEPTH:
            return parent.children.setdefault(id(OTHER), Node(OTHER, parent))
        self._size += 1
        return parent.children.setdefault(id(code), Node(code, parent))

    def below(self, parent: Node, code: CodeType) -> Node:
        """As `child`, hidden: what a server resumes below a request."""
        return self._hidden(parent, -id(code), code)

    def _hidden(self, parent: Node, key: int, code: CodeType) -> Node:
        return parent.children.setdefault(key, Node(code, parent, hidden=True))

    def base(self, place: Node) -> Node:
        """For a thread that continues a place: what it ends there is below that. Each thread has its own, so that no two
        add to one node at a time."""
        key = -threading.get_ident()
        if (known := place.children.get(key)) is None:
            known = place.children[key] = Node(BASE, None, hidden=True)
            known.depth = place.depth
        return known

    def paths(self) -> Iterator[tuple[int, list[Node]]]:
        """For each path the number of its caller's (-1: none), and its nodes: the one of this name, and those hidden that
        it stands for. Callers come first."""
        waiting: list[tuple[int, list[Node]]] = [(-1, [self.top])]
        for number in itertools.count():
            if not waiting:
                return
            caller, nodes = waiting.pop()
            shown = defaultdict[int, list[Node]](list)
            for node in nodes:  # it grows
                for child in list(node.children.values()):
                    (nodes if child.hidden else shown[id(child.code)]).append(child)
            yield caller, nodes
            waiting += [(number, each) for each in shown.values()]
