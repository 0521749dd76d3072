"""Django's own overheads on the way of a page, taken out: each at least 1% of the home feed. See docs/web.md.

A patch does the same in less time. It is left out, with a warning, when what it replaces is no longer what it was written
for: whatever a release of Django repairs there is in force. `calotype bench patches` measures each of them.
"""

import logging
from collections.abc import Iterator
from importlib import import_module

from calotype.web.patches.patch import Attribute, Changed, Code, Patch, apply

__all__ = ["PATCHES", "Attribute", "Code", "Patch", "apply"]

MODULES = ("setting_lookups", "context_locals", "addresses", "escaping", "numbers", "contexts")


def possible(modules: tuple[str, ...]) -> Iterator[Patch]:
    """The patches of these modules, without those for which a release of Django has nothing to replace any longer."""
    for module in modules:
        try:
            yield from import_module(f"{__name__}.{module}").PATCHES
        except (ImportError, AttributeError, Changed):
            logging.getLogger(__name__).warning("the patches %r are left out", module, exc_info=True)


PATCHES = tuple(possible(MODULES))
