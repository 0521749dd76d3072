"""What of a text leads somewhere, and what is said when it does."""

from __future__ import annotations

from typing import Literal, NamedTuple

import msgspec

from calotype.infra.tao import association, association_pair

TAG_LENGTH = 100
"""Characters of a hashtag without its sign, as it was written and as it is looked up."""

TAGS_OF_TEXT = 30
MENTIONS_OF_TEXT = 20
"""Different ones that one text can have; what comes after them stays plain text."""


class Mark(NamedTuple):
    """A part of a text that leads somewhere: `text[start:end]`, its sign included. `key`: what is looked up by it, the
    name of the tag or of the person."""

    start: int
    end: int
    sign: Literal["#", "@"]
    key: str


WRITTEN = "written"


class Written(msgspec.Struct, frozen=True):
    """The payload of an outbox row of kind `WRITTEN`: a text with marks is there, or is another one now.

    `comment` is 0 when it is the caption of the post.
    """

    post: int
    comment: int = 0

    @property
    def text(self) -> int:
        """The object that the text is part of."""
        return self.comment or self.post


MENTIONED = "mentioned"


class Mentioned(msgspec.Struct, frozen=True):
    """The payload of an outbox row of kind `MENTIONED`: a text mentions somebody for the first time.

    `by` has written it: the caption of `post` when `comment` is 0, else that comment under it. `at`: when they were, in
    ms since 1970, which an edit makes later than the text. Left once for each text and person, in the transaction that makes the edge, on the shard of the text.
    """

    person: int
    by: int
    post: int
    comment: int
    at: int


MENTIONS, MENTIONED_IN = association_pair(20, "mentions", 21, "mentioned_in", partition="media")
"""From a post or a comment to the people in its words."""

TOLD = association(22, "told", partition="media")
"""From a post or a comment to whomever its mentions have been announced to: an edit that takes a name out and puts it in
again announces nothing. Goes with the text alone."""
