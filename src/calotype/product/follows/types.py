from __future__ import annotations

from calotype.infra.tao import LIST_LIMIT, association_pair

FOLLOWS, FOLLOWED_BY = association_pair(1, "follows", 2, "followed_by", partition="people")

FOLLOWING_LIMIT = LIST_LIMIT
"""People that one may follow: as many as one read of the list can reach, so that a feed misses none."""
