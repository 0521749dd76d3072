"""Every object and association of the product, declared by importing this module."""

from calotype.product.accounts.types import BLOCKED_BY, BLOCKS, JOINED, Person
from calotype.product.comments.types import AUTHORED, AUTHORED_BY, COMMENT_ON, HAS_COMMENT, Comment
from calotype.product.explore.types import Ranking
from calotype.product.feed.types import PULLS
from calotype.product.follows.types import FOLLOWED_BY, FOLLOWS
from calotype.product.likes.types import LIKED_BY, LIKES
from calotype.product.notifications.types import SEEN
from calotype.product.photos.types import POSTED, POSTED_BY, STAGED, Post, StagedFile
from calotype.product.tags.types import TAGGED, TAGGED_WITH, Tag
from calotype.product.words.types import MENTIONED_IN, MENTIONS, TOLD

__all__ = [
    "AUTHORED",
    "AUTHORED_BY",
    "BLOCKED_BY",
    "BLOCKS",
    "COMMENT_ON",
    "FOLLOWED_BY",
    "FOLLOWS",
    "HAS_COMMENT",
    "JOINED",
    "LIKED_BY",
    "LIKES",
    "MENTIONED_IN",
    "MENTIONS",
    "POSTED",
    "POSTED_BY",
    "PULLS",
    "SEEN",
    "STAGED",
    "TAGGED",
    "TAGGED_WITH",
    "TOLD",
    "Comment",
    "Person",
    "Post",
    "Ranking",
    "StagedFile",
    "Tag",
]
