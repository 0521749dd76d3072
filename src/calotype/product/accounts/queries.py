"""What is asked about people, and who may see whom.

A `viewer` is the id of a person, or None: somebody who is not signed in, or the site itself, who see what everybody sees.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
from django.urls import reverse
from django.utils.translation import gettext as _

from calotype.infra.tao import START, Cursor, Graph, Node
from calotype.product.accounts import names, store
from calotype.product.accounts.types import BLOCKED_BY, BLOCKS, JOINED, AccountId, Person, shard_root
from calotype.std.errors import NotFound, NotSignedIn
from calotype.std.together import together
from calotype.web.memo import Memo
from calotype.web.request import SiteRequest

AVATAR_HUES = 8


class PersonMissing(NotFound):
    code = "person_missing"


class PersonCard(msgspec.Struct, frozen=True):
    """A person as templates show them."""

    id: AccountId
    username: str
    name: str
    url: str
    avatar: str
    """URL of the picture, empty when there is none: then the initial is shown in one of eight hues."""
    initial: str
    hue: int
    bio: str = ""
    website: str = ""
    version: int = 0
    """The person's: another one may look different."""


_cards: Memo[tuple[int, int], PersonCard] = Memo(20_000)


def card(node: Node[Person]) -> PersonCard:
    return _cards.get((node.id, node.version), lambda: _card(node))


def _card(node: Node[Person]) -> PersonCard:
    person = node.data
    picture = reverse("avatar", args=[node.id, person.avatar]) if person.avatar else ""
    return PersonCard(
        id=AccountId(node.id),
        username=person.username,
        name=person.shown_name,
        url=f"/@{person.username}/",
        avatar=picture,
        initial=person.shown_name[:1].upper(),
        hue=(node.id >> 10) % AVATAR_HUES,
        bio=person.bio,
        website=person.website,
        version=node.version,
    )


async def viewer(request: SiteRequest) -> Node[Person] | None:
    """Who is looking; None for nobody. A session whose account is suspended or gone counts for nobody."""
    if request.account_id is None:
        return None
    if request.viewer_node is None:
        node = await request.site.graph.obj_get(Person, request.account_id)
        if node is None or node.data.suspended:
            await request.site.sessions.end_all(request.account_id)
            request.account_id = None
            return None
        request.viewer_node = node
    found: Node[Person] = request.viewer_node
    return found


async def require_viewer(request: SiteRequest) -> Node[Person]:
    """Who is looking; raises `NotSignedIn` for nobody."""
    found = await viewer(request)
    if found is None:
        raise NotSignedIn(_("This needs an account: log in first."))
    return found


async def by_username(graph: Graph, username: str, viewer: int | None) -> Node[Person]:
    """The person with exactly this name, if `viewer` may see them; raises `PersonMissing`."""
    node = await named(graph, username)
    if await apart_from(graph, viewer, [node.id]):
        raise nobody_called(username)
    return node


async def named(graph: Graph, username: str) -> Node[Person]:
    """The person with exactly this name, whoever asks; raises `PersonMissing`. A name that only looks like it finds nobody."""
    wanted = names.canonical(username)
    id_ = await store.find(graph, wanted) if len(wanted) <= names.LONGEST and "\0" not in wanted else None
    node = await graph.obj_get(Person, id_) if id_ is not None else None
    if node is None or node.data.username != wanted or node.data.suspended:
        raise nobody_called(username)
    return node


def nobody_called(username: str) -> PersonMissing:
    return PersonMissing(_("There is nobody called @%s here.") % username[:40])


async def by_usernames(graph: Graph, usernames: Iterable[str], viewer: int | None) -> dict[str, Node[Person]]:
    """The people with exactly these names, given in their canonical form; those whom `viewer` may see."""
    ids = await store.find_many(graph, usernames)
    found = await people(graph, ids.values(), viewer)
    return {
        name: found[id_] for name, id_ in ids.items() if id_ in found and found[id_].data.username == name
    }


async def people(graph: Graph, ids: Iterable[int], viewer: int | None) -> dict[int, Node[Person]]:
    """Those of these people whom `viewer` may see: not who is suspended, nor who is apart from them."""
    wanted = list(ids)
    found, apart = await together(graph.obj_get_many(Person, wanted), apart_from(graph, viewer, wanted))
    return {id_: node for id_, node in found.items() if not node.data.suspended and id_ not in apart}


async def apart_from(graph: Graph, viewer: int | None, ids: Iterable[int]) -> set[int]:
    """Which of these people `viewer` has blocked, or is blocked by."""
    others = [id_ for id_ in ids if id_ != viewer]
    if viewer is None or not others:
        return set()
    return await graph.assoc_among((BLOCKS, BLOCKED_BY), viewer, others)


async def blocked_among(graph: Graph, viewer: int, ids: Iterable[int]) -> set[int]:
    """Which of these people `viewer` has blocked."""
    return {edge.id2 for edge in await graph.assoc_get(BLOCKS, viewer, ids)}


async def newest(
    graph: Graph, limit: int, viewer: int | None, before: Cursor = START
) -> list[tuple[Node[Person], Cursor]]:
    """The people whom `viewer` may see who joined last, with the cursor after each: one statement a physical server for the lists."""
    roots = [shard_root(shard) for shard in graph.shards.placement.shards("people")]
    joined = [edge for _, edge in await graph.assoc_merge(JOINED, roots, limit, before=before)]
    found = await people(graph, [edge.id2 for edge in joined], viewer)
    return [(found[edge.id2], edge.cursor) for edge in joined if edge.id2 in found]
