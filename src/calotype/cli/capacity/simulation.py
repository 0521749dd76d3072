"""Fan-out as events: posts come, jobs wait for a worker, runs push batches, what is left becomes another job.

A heap of events in the order of time, one seed, nothing by the clock: the same arguments give the same outcome. Posts
come by chance, at the peak's rate; their authors' followers are the strata of the law, so that all of them together have exactly
its mean. Soon after the beginning the largest account posts once.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from heapq import heappop, heappush
from itertools import count
from math import exp, floor, log
from random import Random
from typing import NamedTuple

import msgspec

from calotype.cli.capacity.degrees import share_above, strata
from calotype.cli.capacity.loads import ENTRIES_A_RUN, FOLLOWERS_AT_ONCE
from calotype.cli.capacity.strategies import Name, World, sums, threshold

TOP_POSTS_AFTER = 0.1
"""Of the time that is simulated, so that most of what it delays is seen."""

type See = Callable[[int, float, float], None]
"""Called for each batch: the number of the post, the delay in seconds, how many followers see it."""


class Delay(NamedTuple):
    """A delay by chance, of which two percentiles were measured: log-normal."""

    p50_s: float
    p99_s: float

    def drawn(self, chance: Random) -> float:
        return self.p50_s * exp(chance.gauss(0, self.spread)) if self.p50_s else 0.0

    @property
    def spread(self) -> float:
        """2.326: the 99th percentile of the standard normal distribution."""
        return log(self.p99_s / self.p50_s) / 2.326 if self.p99_s > self.p50_s > 0 else 0.0


class Service(NamedTuple):
    """What a worker needs."""

    run_s: float
    entry_s: float
    delivery: Delay
    """From an outbox to a worker that waits."""


class Post(NamedTuple):
    at_s: float
    followers: float


class _Run(NamedTuple):
    """A job: push a post to the followers that are left."""

    post: int
    left: float
    queued_s: float


class Percentiles:
    """Weighed values in bins that are 1% wide."""

    WIDTH = log(1.01)

    def __init__(self) -> None:
        self._bins: dict[int, float] = {}
        self.weight = 0.0

    def add(self, value: float, weight: float) -> None:
        number = floor(log(max(value, 1e-9)) / self.WIDTH)
        self._bins[number] = self._bins.get(number, 0.0) + weight
        self.weight += weight

    def at(self, share: float) -> float:
        """The value that `share` of the weight does not exceed; 0 if there is none."""
        below = 0.0
        for number in sorted(self._bins):
            below += self._bins[number]
            if below >= share * self.weight * (1 - 1e-12):
                return exp((number + 0.5) * self.WIDTH)
        return 0.0


class Served(msgspec.Struct):
    """What a queue with some workers did with some posts."""

    window_s: float
    """Until the last post came."""
    runs: int = 0
    entries: float = 0.0
    waited_s: float = 0.0
    """Of all runs together, for a worker."""
    busy_s: float = 0.0
    """Of all workers together, within the window."""
    backlog_s: float = 0.0
    """Waiting runs, summed over time: by Little's law the same as `waited_s`."""
    backlog: int = 0
    """The most that waited at once."""
    ended_s: float = 0.0
    entries_in_second: dict[int, float] = {}

    @property
    def peak_entries(self) -> float:
        return max(self.entries_in_second.values(), default=0.0)

    def count(self, run: _Run, entries: float, begun_s: float, end_s: float) -> None:
        """A run that was begun."""
        self.runs += 1
        self.entries += entries
        self.waited_s += begun_s - run.queued_s
        self.busy_s += max(0.0, min(end_s, self.window_s) - begun_s)

    def write(self, at_s: float, entries: float) -> None:
        second = floor(at_s)
        self.entries_in_second[second] = self.entries_in_second.get(second, 0.0) + entries


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """One strategy. A follower's delay runs from the post's commit until a page of theirs would show it."""

    strategy: Name
    workers: int
    posts: int
    seconds: float
    entries_a_second: float
    """Without those of the largest account."""
    entries_peak: float
    """In the busiest second, all of them."""
    visible_p50_s: float
    visible_p99_s: float
    """Over the followers of all posts but the largest account's."""
    top_p50_s: float
    top_last_s: float
    """Over the followers of the largest account."""
    backlog: int
    busy: float
    """Share of the workers' time until the last post came."""
    lists_a_page: float
    page_app_s: float
    page_postgres_s: float
    cores: float


def simulate(
    world: World, strategy: Name, pulled_from: float, workers: int, posts: int, seed: int
) -> Outcome:
    """Let `posts` posts, and one of the largest account, come to `workers` processes."""
    limit = threshold(strategy, world.law, pulled_from)
    chance = Random(seed)  # noqa: S311  # replayable, not secret
    come = posted(_authors(world, posts, limit), world.law.top, world.posts_a_second, chance)
    seen = _Seen(largest=posts)
    service, pulled = service_of(world)
    for number, post in enumerate(come):
        if post.followers > limit:
            seen.see(number, pulled.drawn(chance), post.followers)
    pushed = [number for number, post in enumerate(come) if post.followers <= limit]
    served = serve(come, pushed, workers, service, chance, seen.see)
    seconds = posts / world.posts_a_second
    told = sums(world, limit)
    return Outcome(
        strategy=strategy,
        workers=workers,
        posts=posts,
        seconds=seconds,
        entries_a_second=sum(come[number].followers for number in pushed if number < posts) / seconds,
        entries_peak=served.peak_entries,
        visible_p50_s=seen.others.at(0.5),
        visible_p99_s=seen.others.at(0.99),
        top_p50_s=seen.top.at(0.5),
        top_last_s=seen.top.at(1),
        backlog=served.backlog,
        busy=served.busy_s / (workers * served.window_s),
        lists_a_page=told.lists_a_page,
        page_app_s=told.page_app_s,
        page_postgres_s=told.page_postgres_s,
        cores=told.cores,
    )


class _Seen:
    """Delays of the followers of the largest account's post, and of all others."""

    def __init__(self, largest: int) -> None:
        self._largest = largest
        self.others, self.top = Percentiles(), Percentiles()

    def see(self, post: int, delay_s: float, followers: float) -> None:
        (self.top if post == self._largest else self.others).add(delay_s, followers)


def _authors(world: World, posts: int, limit: float) -> list[float]:
    """Their followers. Those who are pushed and those who are pulled are strata of their own: one stratum of both would
    be neither, and the last, of the few with most followers, is wide."""
    pulled = round(posts * share_above(world.posts, limit))
    return strata(world.posts, posts - pulled, up_to=limit) + strata(world.posts, pulled, above=limit)


def service_of(world: World) -> tuple[Service, Delay]:
    """What workers need, and how long it takes until a pulled author's list, which lies in the cache, is outdated."""
    costs = world.costs
    delivery = Delay(costs.job_latency_p50_s, costs.job_latency_p99_s)
    pulled = Delay(costs.invalidated_p50_s, costs.invalidated_p99_s)
    return Service(world.run_s, costs.entry_wall_s, delivery), pulled


def posted(followers: Sequence[float], top: float, a_second: float, chance: Random) -> list[Post]:
    """One post of each of these authors in an order by chance; the last in the list is of the one with `top`."""
    order = list(followers)
    chance.shuffle(order)
    seconds = len(order) / a_second
    posts = [Post(chance.uniform(0, seconds), each) for each in order]
    return [*posts, Post(seconds * TOP_POSTS_AFTER, top)]


def serve(
    posts: Sequence[Post],
    pushed: Iterable[int],
    workers: int,
    service: Service,
    chance: Random,
    see: See,
) -> Served:
    """Push these posts, first come, first served."""
    queue = _Queue(posts, workers, service, chance, see)
    for number in pushed:
        queue.send(_Run(number, posts[number].followers, 0.0), posts[number].at_s)
    while queue.step():
        pass
    return queue.served


class _Queue:
    """Jobs on their way, jobs that wait, workers that run one each. `step` goes to the next event.

    Whenever a job waits, no worker is idle.
    """

    def __init__(
        self, posts: Sequence[Post], workers: int, service: Service, chance: Random, see: See
    ) -> None:
        self.served = Served(window_s=max((post.at_s for post in posts), default=0.0))
        self._posts = posts
        self._idle = workers
        self._service = service
        self._chance = chance
        self._see = see
        self._events: list[tuple[float, int, _Run, bool]] = []
        self._numbers = count()
        """Events of the same moment happen in the order in which they were made."""
        self._waiting: deque[_Run] = deque()

    def send(self, run: _Run, at_s: float) -> None:
        """Leave a job in an outbox; it comes to the queue some milliseconds later."""
        queued_s = at_s + self._service.delivery.drawn(self._chance)
        self._put(queued_s, run._replace(queued_s=queued_s), ends=False)

    def step(self) -> bool:
        """The next event; False if there is none."""
        if not self._events:
            return False
        now, _, run, ends = heappop(self._events)
        self.served.backlog_s += len(self._waiting) * (now - self.served.ended_s)
        self.served.ended_s = now
        if not ends:
            self._waiting.append(run)
        else:
            self._idle += 1
            if run.left > 0:
                self.send(run, now)
        if self._idle and self._waiting:
            self._begin(self._waiting.popleft(), now)
        self.served.backlog = max(self.served.backlog, len(self._waiting))
        return True

    def _begin(self, run: _Run, now: float) -> None:
        self._idle -= 1
        entries = min(run.left, ENTRIES_A_RUN)
        end = now + self._service.run_s + entries * self._service.entry_s
        self._push(run, now + self._service.run_s, entries)
        self.served.count(run, entries, now, end)
        self._put(end, run._replace(left=run.left - entries), ends=True)

    def _push(self, run: _Run, begun_s: float, entries: float) -> None:
        """Batch after batch: the followers of one see the post when it is written."""
        done = 0.0
        while done < entries:
            batch = min(FOLLOWERS_AT_ONCE, entries - done)
            done += batch
            at_s = begun_s + done * self._service.entry_s
            self._see(run.post, at_s - self._posts[run.post].at_s, batch)
            self.served.write(at_s, batch)

    def _put(self, at_s: float, run: _Run, *, ends: bool) -> None:
        heappush(self._events, (at_s, next(self._numbers), run, ends))
