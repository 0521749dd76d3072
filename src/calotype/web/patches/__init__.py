"""Django's own overheads on the way of a page, taken out: each at least 1% of the home feed. See docs/web.md.

A patch does the same in less time. It is left out, with a warning, when what it replaces is no longer what it was written
for: whatever a release of Django repairs there is in force. `calotype bench patches` measures each of them.
"""

from calotype.web.patches.addresses import RESOLVE, REVERSE
from calotype.web.patches.context_locals import LOCALS
from calotype.web.patches.contexts import CONTEXTS
from calotype.web.patches.escaping import ESCAPING
from calotype.web.patches.numbers import NUMBERS
from calotype.web.patches.patch import Attribute, Code, Patch, apply
from calotype.web.patches.setting_lookups import SETTINGS

__all__ = ["PATCHES", "Attribute", "Code", "Patch", "apply"]

PATCHES = (SETTINGS, LOCALS, RESOLVE, REVERSE, ESCAPING, NUMBERS, CONTEXTS)
