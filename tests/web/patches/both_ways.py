"""The same done by Django and by a patch of it."""

from __future__ import annotations

from collections.abc import Callable

from calotype.web.patches import Patch


def both[T](patch: Patch, do: Callable[[], T]) -> tuple[T, T]:
    """Without and with it."""
    patch.undo()
    theirs = do()
    patch.apply()
    return theirs, do()


def outcome(do: Callable[[], object]) -> object:
    """What it answers, with its type; or what it raises."""
    try:
        answer = do()
    except Exception as error:
        return type(error), str(error)
    return type(answer), answer
