"""Requests as one person makes them: in any region, counted, timed and judged by their answer."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from http import HTTPStatus

from calotype.cli.load import pages
from calotype.cli.load.browser import Browser, Reply
from calotype.cli.load.choices import Kind
from calotype.cli.load.tally import Outcome, Tally

JSON_PATHS = "/api/"


class Visit:
    """One browser on the site. `regions`: name -> origin; which of them answers next is left to `chance`."""

    def __init__(
        self, browser: Browser, regions: Mapping[str, str], tally: Tally, chance: random.Random
    ) -> None:
        self._browser = browser
        self._regions = regions
        self._tally = tally
        self._chance = chance
        self.region = next(iter(regions))
        """The one that answered last."""

    def see(self, kind: Kind, path: str) -> str | None:
        """Read a page or JSON; None, and counted, if it was not shown. Having logged in is an own write as well."""
        reply = self._ask(kind, f"GET {path}", HTTPStatus.OK, lambda origin: self._browser.get(path, origin))
        if reply is None:
            return None
        if path.startswith(JSON_PATHS) or pages.signed_in(reply.text):
            return reply.text
        self._tally.own_write(seen=False, words=f"GET {path} in region {self.region}: shown as to a stranger")
        return None

    def write(self, kind: Kind, path: str, **fields: str) -> bool:
        """Send a form; whether it was acknowledged. If not, it may have been done all the same."""
        reply = self._ask(
            kind,
            f"POST {path}",
            HTTPStatus.SEE_OTHER,
            lambda origin: self._browser.post(path, origin, **fields),
        )
        return reply is not None

    def _ask(self, kind: Kind, words: str, wanted: HTTPStatus, send: Callable[[str], Reply]) -> Reply | None:
        self.region = self._chance.choice(list(self._regions))
        reply: Reply | None = None
        began = time.perf_counter()
        try:
            reply = send(self._regions[self.region])
            outcome, answer = judge(reply.status, wanted), str(reply.status)
        except OSError as error:
            outcome, answer = "unanswered", f"{type(error).__name__}: {error}"
        took_ms = (time.perf_counter() - began) * 1000
        self._tally.request(kind, self.region, took_ms, outcome, f"{words} in region {self.region}: {answer}")
        return reply if outcome == "ok" else None


def judge(status: int, wanted: HTTPStatus) -> Outcome:
    """What became of a request that was answered."""
    if status == wanted:
        return "ok"
    if status in (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE):
        return "refused"
    return "server_error" if status >= HTTPStatus.INTERNAL_SERVER_ERROR else "unexpected"
