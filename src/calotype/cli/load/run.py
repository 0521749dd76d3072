"""A load from beginning to end: log in, find posts, let everybody live, add up."""

from __future__ import annotations

import random
import secrets
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import ExitStack
from dataclasses import dataclass
from http import HTTPStatus

import msgspec

from calotype.cli.load import pages
from calotype.cli.load.browser import Browser, SiteRefused
from calotype.cli.load.choices import Scene, choices
from calotype.cli.load.pace import Pace
from calotype.cli.load.person import Person
from calotype.cli.load.tally import Report, Tally, report
from calotype.cli.load.visit import Visit
from calotype.product.demo.people import PASSWORD, PEOPLE
from calotype.std.errors import NotFound, TooManyRequests, Unavailable

NAMES = tuple(person.username for person in PEOPLE)
SAY_EVERY_S = 5.0


@dataclass(frozen=True)
class Wanted:
    """`rate` in requests a second, 0 for no limit; `writes` the share of what people do that writes, 0 to 1."""

    seconds: float
    people: int
    rate: float
    writes: float
    seed: int


def run(regions: Mapping[str, str], wanted: Wanted, say: Callable[[str], None]) -> Report:
    """Load a site that answers at `regions` (name -> origin) and go nowhere else; an interrupt ends it early.

    Raises `Unavailable` when the site does not answer at the beginning, `NotFound` when it has no demo people or no
    post, `TooManyRequests` when it lets nobody in for now.
    """
    names = NAMES[: wanted.people]
    with ExitStack() as open_browsers:
        browsers = [open_browsers.enter_context(Browser(*regions.values())) for _ in names]
        for name, browser in zip(names, browsers, strict=True):
            _enter(browser, name)
        scene = Scene(names, _posts(browsers))
        say(f"{len(names)} people are in; {len(scene.posts)} posts to look at, for {wanted.seconds:g} s")
        return _live(scene, browsers, regions, wanted, say)


def _live(
    scene: Scene,
    browsers: Sequence[Browser],
    regions: Mapping[str, str],
    wanted: Wanted,
    say: Callable[[str], None],
) -> Report:
    over = threading.Event()
    pace = Pace(wanted.rate)
    tallies = [Tally() for _ in browsers]
    began = time.monotonic()
    with ThreadPoolExecutor(len(browsers), "person") as threads:
        lives: list[Future[None]] = []
        for place, (browser, tally) in enumerate(zip(browsers, tallies, strict=True)):
            visit = Visit(browser, regions, tally, _regions_by_chance(wanted.seed, place))
            person = Person(scene, place, visit, tally, pace, secrets.token_hex(3))
            to_do = choices(scene, place, wanted.writes, wanted.seed)
            lives.append(threads.submit(person.live, to_do, over))
        try:
            _watch(lives, tallies, began, wanted.seconds, say)
        except KeyboardInterrupt:
            say("interrupted: this is what there is")
        finally:
            over.set()
    for life in lives:
        life.result()
    return report(tallies, seconds=time.monotonic() - began, seed=wanted.seed)


def _watch(
    lives: Sequence[Future[None]],
    tallies: Sequence[Tally],
    began: float,
    seconds: float,
    say: Callable[[str], None],
) -> None:
    """Wait for the end, or for the first life to fail, and say now and then how it goes."""
    while (left := began + seconds - time.monotonic()) > 0:
        if wait(lives, timeout=min(left, SAY_EVERY_S), return_when="FIRST_COMPLETED").done:
            return
        if left > SAY_EVERY_S:
            say(_progress(report(tallies, seconds=time.monotonic() - began, seed=0), seconds))


def _progress(so_far: Report, seconds: float) -> str:
    failures = so_far.requests - so_far.ok
    return (
        f"{so_far.seconds:.0f} of {seconds:.0f} s: {so_far.requests:,} requests, {so_far.requests_per_s:,} a second, "
        f"{failures:,} failed; {so_far.own_writes_missed:,} of {so_far.own_writes_checked:,} own writes missed"
    )


def _regions_by_chance(seed: int, place: int) -> random.Random:
    return random.Random(f"{seed} {place} regions")  # noqa: S311  # replayable, not secret


def _enter(browser: Browser, name: str) -> None:
    try:
        browser.log_in(name, PASSWORD)
    except OSError as error:
        raise Unavailable(f"the site does not answer at {browser.origins[0]}: {error}") from error
    except SiteRefused as error:
        if error.data["status"] == HTTPStatus.UNPROCESSABLE_ENTITY:
            raise NotFound(
                f"nobody called {name} with the demo's password is on this site, and load is made by the people of "
                "the demo: `calotype down` and `calotype up --demo` make them, if this site never had them"
            ) from error
        if error.data["status"] == HTTPStatus.TOO_MANY_REQUESTS:
            raise TooManyRequests(
                f"the site does not let {name} log in again for now: every run is one log-in for each of --people, "
                "and 50 from one address or 10 of one person in 15 minutes are the limit"
            ) from error
        raise


def _posts(browsers: Sequence[Browser]) -> tuple[str, ...]:
    """The posts of everybody's home feed, newest first."""
    found: set[str] = set()
    for browser in browsers:
        try:
            found.update(pages.posts_of_timeline(browser.get("/api/v1/timelines/home?limit=40").text))
        except (OSError, msgspec.DecodeError) as error:
            raise Unavailable(f"{browser.origins[0]} shows no timeline: {error}") from error
    if not found:
        raise NotFound("nobody of the demo has a post in their home feed: there is nothing to look at")
    return tuple(sorted(found, key=int, reverse=True))
