"""What is recorded: a tree of calls, each by the path that led to it, whatever the program does."""

from __future__ import annotations

import contextlib
import sys
from collections import defaultdict
from collections.abc import Generator, Iterator
from functools import cached_property
from typing import Literal

from hypothesis import given
from hypothesis import strategies as st

from calotype.efficiency.profiler import folded
from tests.efficiency.profiler.profiles import call, calls, paths
from tests.efficiency.profiler.work import work


def test_paths_are_whole_stacks() -> None:
    def left() -> None:
        work()

    def right() -> None:
        work()
        work()

    def view() -> None:
        left()
        right()

    assert calls(call(view)) == {
        ("view",): 1,
        ("view", "left"): 1,
        ("view", "left", "work"): 1,
        ("view", "left", "work", "burn"): 1,
        ("view", "right"): 1,
        ("view", "right", "work"): 2,
        ("view", "right", "work", "burn"): 2,
    }


class Photo:
    def a(self) -> int:
        return self.x

    def b(self) -> int:
        return self.y

    @cached_property
    def x(self) -> int:
        return self.value(1)

    @cached_property
    def y(self) -> int:
        return self.value(2)

    def value(self, of: int) -> int:
        return of


def test_what_two_callers_reach_through_one_wrapper_stays_apart() -> None:
    """A -> cached_property -> X and B -> cached_property -> Y: never A -> Y."""

    def view() -> None:
        photo = Photo()
        photo.a()
        photo.b()

    profile = call(view)
    assert {
        ("view", "Photo.a", "cached_property.__get__", "Photo.x", "Photo.value"),
        ("view", "Photo.b", "cached_property.__get__", "Photo.y", "Photo.value"),
    } <= set(paths(profile))
    assert calls(folded(profile)) == {
        ("view",): 1,
        ("view", "Photo.a"): 1,
        ("view", "Photo.a", "Photo.x"): 1,
        ("view", "Photo.a", "Photo.x", "Photo.value"): 1,
        ("view", "Photo.b"): 1,
        ("view", "Photo.b", "Photo.y"): 1,
        ("view", "Photo.b", "Photo.y", "Photo.value"): 1,
    }


def test_a_recursion_of_1000_is_a_path_of_1000() -> None:
    def deeper(levels: int) -> None:
        if levels:
            deeper(levels - 1)

    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(3_000)
    try:
        profile = call(lambda: deeper(1_000))
    finally:
        sys.setrecursionlimit(limit)
    deepest = max(paths(profile), key=len)
    assert deepest == ("<lambda>", *["deeper"] * 1_001)
    assert len(profile.paths) == 1_003


def test_a_recursion_that_never_ends_raises_as_it_does() -> None:
    def endless() -> None:
        endless()

    def after() -> None:
        pass

    def view() -> None:
        with contextlib.suppress(RecursionError):
            endless()
        after()

    profile = call(view)
    assert calls(profile)[("view", "after")] == 1
    assert sum("endless" in path for path in paths(profile)) > 500


def test_exceptions_and_generators_leave_the_stack_as_it_was() -> None:
    def gives() -> Iterator[int]:
        yield from (1, 2, 3)

    def raises() -> None:
        raise ValueError

    def closes() -> Generator[int]:
        try:
            yield 1
        finally:
            last()

    def last() -> None:
        pass

    def view() -> None:
        for _ in gives():
            with contextlib.suppress(ValueError):
                raises()
        closing = closes()
        next(closing)
        closing.close()
        last()

    found = calls(call(view), "suppress.__init__", "suppress.__enter__", "suppress.__exit__")
    assert found == {
        ("view",): 1,
        ("view", "gives"): 1,
        ("view", "raises"): 3,
        ("view", "closes"): 1,
        ("view", "closes", "last"): 1,
        ("view", "last"): 1,
    }


type Program = list[Statement]
"""What a function does: calls another, loops over a generator, or raises (caught by who calls it)."""

type Statement = tuple[Literal["call", "loop", "raise"], Program]

programs: st.SearchStrategy[Program] = st.recursive(
    st.just([]),
    lambda inner: st.lists(st.tuples(st.sampled_from(["call", "loop", "raise"]), inner), max_size=4),
    max_leaves=25,
)


class Interpreter:
    """Runs a program, and says which paths it took."""

    def __init__(self) -> None:
        self.path: tuple[str, ...] = ()
        self.taken: dict[tuple[str, ...], int] = defaultdict(int)

    def function(self, program: Program) -> None:
        outer, self.path = self.path, (*self.path, "function")
        self.taken[self.path] += 1
        for kind, inner in program:
            if kind == "call":
                self.function(inner)
            elif kind == "loop":
                for _ in self.generator(inner):
                    self.function([])
            else:
                self.caught(inner)
        self.path = outer

    def generator(self, program: Program) -> Iterator[int]:
        outer = self.path
        self.taken[(*outer, "generator")] += 1
        for number in range(3):
            self.path = (*outer, "generator")
            self.function(program)
            self.path = outer
            yield number

    def caught(self, program: Program) -> None:
        outer, self.path = self.path, (*self.path, "caught")
        self.taken[self.path] += 1
        try:
            self.raising(program)
        except ValueError:
            self.path = outer

    def raising(self, program: Program) -> None:
        outer, self.path = self.path, (*self.path, "raising")
        self.taken[self.path] += 1
        self.function(program)
        self.path = outer
        raise ValueError


@given(programs)
def test_any_program_is_recorded_as_it_ran(program: Program) -> None:
    interpreter = Interpreter()
    found = calls(call(lambda: interpreter.function(program)))
    named = {
        tuple(name.removeprefix("Interpreter.") for name in path[1:]): times for path, times in found.items()
    }
    assert {path: times for path, times in named.items() if path} == interpreter.taken
