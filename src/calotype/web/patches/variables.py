"""Variables of templates: 1,900 look-ups a page of the feed."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from django.template import Context, RequestContext
from django.template.base import Variable
from django.template.context import BaseContext

from calotype.web.patches.patch import Attribute, Patch

CONTEXTS = (RequestContext, Context)
RESUMED = " resumed"
"""No variable can be called this."""

_theirs = Variable._resolve_lookup  # type: ignore[attr-defined]  # not in its stubs


def resolve_lookup(self: Variable, context: BaseContext) -> Any:
    if type(context) not in CONTEXTS:
        return _theirs(self, context)
    lookups: tuple[str, ...] = self.lookups  # type: ignore[assignment]  # only called when there are some
    for names in reversed(context.dicts):  # type: ignore[attr-defined]  # not in its stubs
        if lookups[0] in names:
            current = names[lookups[0]]
            break
    else:
        return _theirs(self, context)
    if callable(current):
        return _resumed(current, lookups[1:], context)
    for at in range(1, len(lookups)):
        bit, kind = lookups[at], type(current)
        if kind is dict and bit in current:
            current = current[bit]
        elif hasattr(kind, "__getitem__"):
            return _resumed(current, lookups[at:], context)
        else:
            try:
                current = getattr(current, bit)
            except Exception:  # Django decides what becomes of it
                return _resumed(current, lookups[at:], context)
        if callable(current):
            return _resumed(current, lookups[at + 1 :], context)
    return current


def _resumed(current: object, lookups: tuple[str, ...], context: BaseContext) -> Any:
    """Django goes on from here: what was found so far is not read twice."""
    with context.push({RESUMED: current}):
        return _theirs(SimpleNamespace(lookups=(RESUMED, *lookups)), context)


VARIABLES = Patch(
    name="variables",
    replaces="django.template.base.Variable._resolve_lookup",
    safe_because="""
    A name of the context, keys of plain dictionaries and attributes of what has no keys are found as Django finds
    them. Whatever else there is (something to call, lists, strings, a name that is missing, an error) is left to
    Django, which goes on with what was found so far. A property that raises is read once more.
    """,
    read=(_theirs, BaseContext.__getitem__, BaseContext.push),
    digest="b39e1b3cc29597d1",
    places=(Attribute(Variable, "_resolve_lookup", resolve_lookup),),
)


def contains(self: BaseContext, key: object) -> bool:
    for names in self.dicts:  # type: ignore[attr-defined]  # noqa: SIM110  # not in its stubs; `any` is what costs
        if key in names:
            return True
    return False


CONTAINS = Patch(
    name="contains",
    replaces="django.template.context.BaseContext.__contains__",
    safe_because="""
    The same dictionaries are asked in the same order, in a loop instead of a generator.
    """,
    read=(BaseContext.__contains__,),
    digest="fc03d9145ec3cadc",
    places=(Attribute(BaseContext, "__contains__", contains),),
)
