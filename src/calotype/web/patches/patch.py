"""What a patch of somebody else's code is, and when it is left out."""

from __future__ import annotations

import hashlib
import inspect
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from types import CodeType, FunctionType, ModuleType
from typing import Any, Protocol, cast

log = logging.getLogger(__name__)

ABSENT = object()


class Changed(Exception):
    """What a patch was written for is another thing now."""


class Place(Protocol):
    """Where something of ours takes the place of something of theirs."""

    theirs: Any
    ours: Any

    @property
    def current(self) -> Any: ...
    def apply(self) -> None: ...
    def undo(self) -> None: ...


class Attribute:
    """An attribute of a class or module. For what others look up there, not for what they import by name."""

    def __init__(self, owner: type | ModuleType, name: str, ours: Any) -> None:
        self._owner, self._name = owner, name
        self.theirs, self.ours = self.current, ours

    @property
    def current(self) -> Any:
        """ABSENT: it is inherited."""
        return vars(self._owner).get(self._name, ABSENT)

    def apply(self) -> None:
        setattr(self._owner, self._name, self.ours)

    def undo(self) -> None:
        if self.theirs is not ABSENT:
            setattr(self._owner, self._name, self.theirs)
        elif self.current is not ABSENT:
            delattr(self._owner, self._name)


class Code:
    """What a function does: it stays the object that it is, so that whoever has imported it by name gets ours too.

    Our code runs with their module's globals and in their closure: it may use only names that mean the same there.
    Raises `Changed` if it does not.
    """

    def __init__(self, function: Callable[..., Any], ours: Callable[..., Any]) -> None:
        self._function = cast(FunctionType, function)
        self.theirs, self.ours = self.current, cast(FunctionType, ours).__code__
        if self.theirs.co_freevars != self.ours.co_freevars:
            raise Changed(f"{function} closes over {self.theirs.co_freevars}")
        for name, value in inspect.getclosurevars(ours).globals.items():
            if self._function.__globals__.get(name, ABSENT) is not value:
                raise Changed(f"{name} is something else for {function}")

    @property
    def current(self) -> CodeType:
        return self._function.__code__

    def apply(self) -> None:
        self._function.__code__ = self.ours

    def undo(self) -> None:
        self._function.__code__ = self.theirs


@dataclass(frozen=True)
class Patch:
    """Does the same in less time. Applied once, before anything is served; `undo` is for tests and benches."""

    name: str
    replaces: str
    safe_because: str
    read: tuple[Callable[..., Any], ...]
    """The functions whose source was read to write this one."""
    digest: str
    """Of that source. A release that changes it, be it for safety, is used as it is."""
    places: tuple[Place, ...]
    as_read: bool = field(init=False)
    """Whether what it replaces is still what it was written for."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "as_read", digest(self.read) == self.digest)

    @property
    def applied(self) -> bool:
        return all(place.current is place.ours for place in self.places)

    def apply(self) -> None:
        for place in self.places:
            place.apply()

    def undo(self) -> None:
        for place in self.places:
            place.undo()


def digest(functions: Iterable[Callable[..., Any]]) -> str:
    """Of their source as it is installed; empty where there is none."""
    try:
        sources = [inspect.getsource(function) for function in functions]
    except OSError:
        return ""
    return hashlib.sha256("".join(sources).encode()).hexdigest()[:16]


def apply(patches: Iterable[Patch]) -> None:
    """All of them but those whose original has changed."""
    for patch in patches:
        if patch.as_read:
            patch.apply()
        else:
            log.warning(
                "the patch %r is left out: %s is not what it was written for", patch.name, patch.replaces
            )
