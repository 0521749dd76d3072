"""`name in context`, which `{% blocktranslate %}` asks for each of its variables."""

from __future__ import annotations

from django.template.context import BaseContext

from calotype.web.patches.patch import Attribute, Patch


def contains(self: BaseContext, key: object) -> bool:
    for names in self.dicts:  # type: ignore[attr-defined]  # noqa: SIM110  # not in its stubs; `any` is what costs
        if key in names:
            return True
    return False


CONTEXTS = Patch(
    name="contexts",
    replaces="django.template.context.BaseContext.__contains__",
    safe_because="""
    The same dictionaries are asked in the same order, in a loop instead of a generator.
    """,
    read=(BaseContext.__contains__,),
    digest="fc03d9145ec3cadc",
    places=(Attribute(BaseContext, "__contains__", contains),),
)

PATCHES = (CONTEXTS,)
