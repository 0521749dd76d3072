from __future__ import annotations

import logging
from collections.abc import Mapping
from types import MappingProxyType

from calotype.infra.tao import Graph
from calotype.product.accounts.queries import by_usernames
from calotype.product.words.parsing import names_of
from calotype.std.deadline import deadline
from calotype.std.errors import Unavailable

log = logging.getLogger(__name__)

PATIENCE_S = 1.0
"""For the names in a text: nobody's words are lost because a server that holds a name is away."""


async def people_in(
    graph: Graph, text: str, author: int, known: Mapping[str, int] = MappingProxyType({})
) -> dict[str, int]:
    """Whom a text mentions, by name; nobody from whom its author is apart. When that cannot be found out within a second, only the names that are `known` from
    the text before are somebody's; the others stay text."""
    names = names_of(text)
    if not names:
        return {}
    try:
        with deadline(PATIENCE_S):
            return {name: node.id for name, node in (await by_usernames(graph, names, author)).items()}
    except Unavailable as error:
        log.warning("who %d names are cannot be found out, so they stay text: %s", len(names), error)
        return {name: known[name] for name in names if name in known}
