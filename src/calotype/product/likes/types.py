from __future__ import annotations

from calotype.infra.tao import association_pair

LIKES, LIKED_BY = association_pair(5, "likes", 6, "liked_by", partition="likes")
