"""A simulated person: does what was chosen, and looks whether what was written is there."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable

from calotype.cli.load import pages
from calotype.cli.load.choices import Choice, Kind, Scene
from calotype.cli.load.pace import Pace
from calotype.cli.load.tally import Tally
from calotype.cli.load.visit import Visit

COMMENT_EVERY_S = 12.0
"""The product takes 60 comments in each 10 minutes from one account."""

PAUSE_S = 0.25
"""After something that failed."""

COUNT_WITHIN_S = 2.0
"""The inverse of a like, and with it the count, follows its commit; what is not there by then is missed."""

LOOK_AGAIN_S = 0.05

SAYINGS = ("Beautiful light.", "Where is this?", "This one stays with me.", "The colours!", "Again, please.")


class Person:
    """The account at one place of the scene. `run` tells what it says in this run from all else that is said."""

    def __init__(self, scene: Scene, place: int, visit: Visit, tally: Tally, pace: Pace, run: str) -> None:
        self.name = scene.people[place]
        self._visit = visit
        self._tally = tally
        self._pace = pace
        self._countable = set(scene.corner(place))
        """Posts whose likes nobody else changes."""
        self._run = run
        self._said: list[tuple[str, str]] = []
        """(post, comment id) of what one said and saw there, to be deleted again."""
        self._commented_at = time.monotonic() - COMMENT_EVERY_S

    def live(self, choices: Iterable[Choice], over: threading.Event) -> None:
        """Do one thing after the other, at the pace, until it is over."""
        for choice in choices:
            if not self._pace.wait(over):
                return
            if not self.do(choice):
                over.wait(PAUSE_S)

    def do(self, choice: Choice) -> bool:
        """Do one thing with all that follows from it; whether every request of it was answered as it should be."""
        failed, asked = self._tally.failures, self._tally.outcomes.total()
        self._do(choice)
        for _ in range(self._tally.outcomes.total() - asked - 1):
            self._pace.take()
        return self._tally.failures == failed

    def _do(self, choice: Choice) -> None:
        match choice.kind:
            case "home":
                self._visit.see("home", "/")
            case "timeline":
                self._visit.see("timeline", "/api/v1/timelines/home")
            case "post":
                self._visit.see("post", _post(choice.post))
            case "profile":
                self._visit.see("profile", f"/@{choice.person}/")
            case "followers":
                self._visit.see("followers", f"/@{choice.person}/followers/")
            case "like" | "unlike":
                self._like(choice.kind, choice.post)
            case "follow" | "unfollow":
                self._follow(choice.kind, choice.person)
            case "comment":
                self._comment(choice)
            case "delete_comment":
                self._delete_comment(choice)

    def _like(self, kind: Kind, post: str) -> None:
        liked = kind == "like"
        page = self._visit.see("post", _post(post))
        before = pages.like_of(page, post) if page else None
        if before is None:
            return
        if not self._visit.write(kind, f"{_post(post)}{kind}/"):
            self._countable.discard(post)  # it may be done later, and change the number then
            return
        words = f"{self.name}: {kind} of {post}"
        page = self._check("post", _post(post), words, lambda page: _shows_like(page, post, liked))
        if page and post in self._countable:
            self._check_count(page, post, before.likes + liked - before.liked, words)

    def _follow(self, kind: Kind, other: str) -> None:
        if self._visit.write(kind, f"/@{other}/{kind}/"):
            wanted = kind == "follow"
            self._check(
                "profile",
                f"/@{other}/",
                f"{self.name}: {kind} of {other}",
                lambda page: pages.follows(page, other) is wanted,
            )

    def _comment(self, choice: Choice) -> None:
        """Say something; one who has just spoken only looks."""
        if time.monotonic() - self._commented_at < COMMENT_EVERY_S:
            self._visit.see("post", _post(choice.post))
            return
        self._commented_at = time.monotonic()
        text = f"{SAYINGS[choice.number % len(SAYINGS)]} {self._run}-{choice.number}"
        if not self._visit.write(
            "comment", f"{_post(choice.post)}comments/", text=text, key=f"{self._run}-{choice.number}"
        ):
            return
        words = f"{self.name}: comment {text!r} on {choice.post}"
        page = self._check(
            "post", _post(choice.post), words, lambda page: pages.comment_id(page, text) is not None
        )
        if page and (id_ := pages.comment_id(page, text)):
            self._said.append((choice.post, id_))

    def _delete_comment(self, choice: Choice) -> None:
        """Delete what one said first; one who has said nothing only looks."""
        if not self._said:
            self._visit.see("post", _post(choice.post))
            return
        post, id_ = self._said.pop(0)
        if self._visit.write("delete_comment", f"{_post(post)}comments/{id_}/delete/"):
            words = f"{self.name}: deletion of comment {id_} on {post}"
            self._check("post", _post(post), words, lambda page: not pages.has_comment(page, id_))

    def _check(self, kind: Kind, path: str, words: str, shows: Callable[[str], bool]) -> str | None:
        """Read the page that must show an acknowledged write, in any region; the page, if it does."""
        written_in = self._visit.region
        page = self._visit.see(kind, path)
        if page is None:
            self._tally.unread += 1
            return None
        seen = shows(page)
        where = f"acknowledged by region {written_in}, not shown on {path} by region {self._visit.region}"
        self._tally.own_write(seen=seen, words=f"{words}: {where}")
        return page if seen else None

    def _check_count(self, page: str, post: str, right: int, words: str) -> None:
        """The number of likes with one's own; given a moment, since it follows the commit."""
        until = time.monotonic() + COUNT_WITHIN_S
        last: str | None = page
        while (count := _count(last, post)) not in (right, None) and time.monotonic() < until:
            words += f": {count} likes instead of {right}" if last is page else ""
            time.sleep(LOOK_AGAIN_S)
            last = self._visit.see("post", _post(post))
        if last is None:
            self._tally.unread += 1
            return
        self._tally.own_write(seen=count in (right, None), words=words)
        if count not in (right, None):
            self._countable.discard(post)  # from here on nothing is known
        elif last is not page:
            self._tally.count_late(words)


def _post(id_: str) -> str:
    return f"/p/{id_}/"


def _shows_like(page: str, post: str, liked: bool) -> bool:
    like = pages.like_of(page, post)
    return like is not None and like.liked == liked


def _count(page: str | None, post: str) -> int | None:
    like = pages.like_of(page, post) if page else None
    return like.likes if like else None
