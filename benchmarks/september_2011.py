"""`calotype bench 2011`: the load that Instagram published for September 2011, on a whole site that `calotype up` runs.

25 photos and 90 likes a second; with each photo 20 feed pages and 5 comments. Requests arrive as a Poisson process, however
long the earlier ones take (`benchmarks.arrivals`). Two shared cores may be too few for all of it or have room for more, so
the rate doubles from step to step until one is not sustained, then the gap is halved a few times; the largest rate that was
sustained is held for five minutes, and what is reported was measured in these. `times 2011` is the rate that was held.

Sustained: at most 0.1% of the requests fail; p99 of each action stays below 2 s; of what arrives, 98% is answered before the
step ends (a quarter of a second more is given to what has just arrived); and the background work that is left then is done within a tenth of the step's length. No limit of the product is switched off: so many
people take part that nobody meets one.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import msgspec
from PIL import Image

from benchmarks import whole_site
from benchmarks.arrivals import Action, Figures, Plan, Result, Someone
from benchmarks.report import Options, Report, Row, machine, report, row
from benchmarks.whole_site import WholeSite
from calotype.cli.load.tally import percentile
from calotype.cli.places import checkout
from calotype.std.errors import CalotypeError

PHOTOS_PER_S, LIKES_PER_S = 25.0, 90.0
FEED_PAGES_PER_PHOTO, COMMENTS_PER_PHOTO = 20.0, 5.0

PER_S: dict[Action, float] = {
    "photo": PHOTOS_PER_S,
    "like": LIKES_PER_S,
    "feed page": PHOTOS_PER_S * FEED_PAGES_PER_PHOTO,
    "comment": PHOTOS_PER_S * COMMENTS_PER_PHOTO,
}
"""Once 2011."""

P99_LIMIT_MS = 2_000.0
ERRORS_LIMIT, IN_TIME_LIMIT = 0.001, 0.98
TIMEOUT_S = 10.0

PEOPLE, QUICK_PEOPLE = 2_000, 100
MOST = 1.5
COMMENTS_EACH, COMMENTS_WINDOW_S = 60, 600
"""What the product takes from one person."""
assert MOST * PER_S["comment"] * COMMENTS_WINDOW_S <= PEOPLE * COMMENTS_EACH, "a limit would be measured"

GENERATORS = 2
SEED = 2011
SIDE, SIZE_BYTES = 612, 70_000
"""Of a photo as a phone sent it then."""
QUALITIES = range(50, 96, 3)
FULL = 0.9
"""A process that uses so much of one core, or all processes together of all cores, has no more to give."""
SHRINK = 0.85
HOLDS = 3
"""A rate that a short step sustained and five minutes did not is made smaller, so many times at most."""


class NothingOffered(CalotypeError):
    code = "bench_nothing_offered"


@dataclass(frozen=True)
class Lengths:
    """What the options make shorter."""

    people: int
    first: float
    most: float
    step_s: float
    halvings: int
    hold_s: float


FULL_RUN = Lengths(people=PEOPLE, first=0.05, most=MOST, step_s=15, halvings=3, hold_s=300)
TRIAL = Lengths(people=QUICK_PEOPLE, first=0.02, most=0.02, step_s=2, halvings=0, hold_s=3)


@dataclass(frozen=True)
class Step:
    """A rate, offered for some seconds, and what became of it."""

    times: float
    seconds: float
    figures: Mapping[Action, Figures]
    errors: Counter[str]
    late_ms: Sequence[float]
    cores: Mapping[str, float]
    """Used by each group of processes."""
    machine_cores: float
    """Used by everything on this machine."""
    drained_s: float
    drained_limit_s: float

    @property
    def offered(self) -> int:
        return sum(each.offered for each in self.figures.values())

    def p_ms(self, action: Action, percent: float) -> float:
        """A percentile of the answers; 0 when there was none."""
        return percentile(sorted(self.figures[action].answered_ms), percent) or 0.0

    def faults(self) -> list[str]:
        """Why this rate is not sustained; nothing if it is."""
        failed = self.errors.total() / max(1, self.offered)
        in_time = sum(each.in_time for each in self.figures.values()) / max(1, self.offered)
        said = [
            f"p99 of {action} {self.p_ms(action, 99):,.0f} ms"
            for action in self.figures
            if self.p_ms(action, 99) > P99_LIMIT_MS
        ]
        if failed > ERRORS_LIMIT:
            said.append(f"{failed:.2%} failed ({self.errors.most_common(1)[0][0]})")
        if in_time < IN_TIME_LIMIT:
            said.append(f"{in_time:.1%} answered in time")
        if self.drained_s >= self.drained_limit_s:
            said.append(f"background work left after {self.drained_limit_s:.0f} s")
        return said


Offer = Callable[[float, float], Step]
"""Offers so many times 2011 for so many seconds."""


class Load:
    """Steps of load on one site; each goes on from the posts of those before."""

    def __init__(
        self, whole: WholeSite, people: Sequence[Someone], photos: Sequence[Path], posts: Sequence[int]
    ) -> None:
        self._whole = whole
        self._people = people
        self._photos = [str(path) for path in photos]
        self._posts = [str(post) for post in posts]
        self._steps = 0

    def step(self, times: float, seconds: float) -> Step:
        """Offer so many times 2011 for some seconds, then wait until what it has left to do is done."""
        self._steps += 1
        plans = [self._plan(times, seconds, place) for place in range(GENERATORS)]
        busy, before, began = whole_site.machine_busy_s(), self._whole.cpu_s(), time.monotonic()
        results = self._generate(plans)
        took = time.monotonic() - began
        cores = whole_site.cores_used(before, self._whole.cpu_s(), took)
        used = (whole_site.machine_busy_s() - busy) / took
        limit = max(2.0, seconds / 10)
        drained = whole_site.drained_s(self._whole, limit)
        if drained >= limit:
            whole_site.drained_s(self._whole, 120)  # so that the next step begins with nothing left
        self._posts += [post for result in results for post in result.posts]
        return Step(
            times=times,
            seconds=seconds,
            figures={action: _together([each.figures[action] for each in results]) for action in PER_S},
            errors=sum((Counter(result.errors) for result in results), Counter()),
            late_ms=sorted(late for result in results for late in result.late_ms),
            cores=cores | {"generator": sum(result.cpu_s for result in results) / took},
            machine_cores=used,
            drained_s=drained,
            drained_limit_s=limit,
        )

    def _plan(self, times: float, seconds: float, place: int) -> Path:
        plan = Plan(
            port=self._whole.port,
            seconds=seconds,
            per_s={action: rate * times / GENERATORS for action, rate in PER_S.items()},
            seed=SEED + self._steps * GENERATORS + place,
            people=list(self._people[place::GENERATORS]),
            posts=self._posts,
            photos=self._photos,
            timeout_s=TIMEOUT_S,
        )
        path = self._whole.places.run / f"plan-{place}.json"
        path.write_bytes(msgspec.json.encode(plan))
        return path

    def _generate(self, plans: Sequence[Path]) -> list[Result]:
        """Begin at the same moment in processes of their own; what each says at its end."""
        with ExitStack() as stack:
            started = [stack.enter_context(_generator(plan)) for plan in plans]
            for process in started:
                assert process.stdout is not None
                if process.stdout.readline() != b"ready\n":
                    raise NothingOffered(f"a generator ended with status {process.wait()} before it began")
            for process in started:
                assert process.stdin is not None
                process.stdin.write(b"go\n")
                process.stdin.flush()
            said = [process.communicate()[0] for process in started]
        if any(process.returncode for process in started):
            raise NothingOffered("a generator failed; it has said why")
        return [msgspec.json.decode(each, type=Result) for each in said]


def _generator(plan: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "benchmarks.arrivals", str(plan)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=checkout())


def _together(figures: Sequence[Figures]) -> Figures:
    return Figures(
        sum(each.offered for each in figures),
        sum(each.in_time for each in figures),
        [ms for each in figures for ms in each.answered_ms],
    )


def run(options: Options) -> Report:
    """Start a site, people it, look for the largest rate that it sustains, hold that rate."""
    lengths = TRIAL if options.quick else FULL_RUN
    with whole_site.running(options.data / "2011") as whole:
        load = _load(whole, lengths.people)
        load.step(lengths.first, min(5.0, lengths.step_s))  # connections and caches are warm after it
        sustained, refused = search(load.step, lengths)
        held = hold(load.step, sustained, lengths.hold_s) if sustained else None
    failed = refused or (held if held and held.faults() else None)
    more = {"2011": "25 photos/s, 90 likes/s, 20 feed pages and 5 comments for each photo"}
    if failed is not None:
        more["first rate that was not sustained"] = _said(failed)
    shown = held or failed
    assert shown is not None, "a step is sustained or it is not"
    return report("2011", ("django", "granian", "uvloop", "pillow", "asyncpg"), _rows(shown, failed), more)


def _load(whole: WholeSite, amount: int) -> Load:
    """People who follow each other and have looked before, and photographs for them to send."""
    print(f"making {amount:,} people")
    whole.calotype("demo", f"--people={amount}", "--follows-per-person=30", "--photos-per-person=3")
    cookies = asyncio.run(whole_site.people_of(whole))
    asyncio.run(whole_site.build_timelines(whole, list(cookies)))
    posts = asyncio.run(whole_site.posts_of(whole))
    people = [Someone(account, cookie) for account, cookie in sorted(cookies.items())]
    return Load(whole, people, photographs(whole.places.run), posts)


def photographs(directory: Path) -> list[Path]:
    """The demo's photographs as phones sent them in 2011: square, 612 px, of about 70 kB."""
    made = []
    for path in sorted((checkout() / "src" / "calotype" / "product" / "demo" / "photos").glob("*.jpg")):
        with Image.open(path) as opened:
            picture = opened.convert("RGB")
        side = min(picture.size)
        for place, left in enumerate({0, picture.width - side}):
            square = picture.crop((left, 0, left + side, side)).resize((SIDE, SIDE), Image.Resampling.LANCZOS)
            target = directory / f"{path.stem}-{place}.jpg"
            target.write_bytes(_jpeg(square))
            made.append(target)
    return made


def _jpeg(picture: Image.Image) -> bytes:
    """Compressed to about the wanted size: the better it looks, the larger it is."""

    def encoded(quality: int) -> bytes:
        out = BytesIO()
        picture.save(out, "JPEG", quality=quality)
        return out.getvalue()

    found = bisect_left(QUALITIES, SIZE_BYTES, key=lambda quality: len(encoded(quality)))
    return encoded(QUALITIES[min(found, len(QUALITIES) - 1)])


def search(offer: Offer, lengths: Lengths) -> tuple[Step | None, Step | None]:
    """The largest rate that a short step sustained, and the smallest that it did not; None when there was none such."""
    best: Step | None = None
    worst: Step | None = None
    times = lengths.first
    while worst is None and (best is None or best.times < lengths.most):
        step = _told(offer(times, lengths.step_s))
        if step.faults():
            worst = step
        else:
            best, times = step, min(times * 2, lengths.most)
    for _ in range(lengths.halvings):
        if worst is None:
            break
        times = (best.times * worst.times) ** 0.5 if best else worst.times / 2
        step = _told(offer(times, lengths.step_s))
        if step.faults():
            worst = step
        else:
            best = step
    return best, worst


def hold(offer: Offer, sustained: Step, seconds: float) -> Step:
    """The rate that is held for so long: the sustained one, or a smaller one; the last tried if none is held."""
    times = sustained.times
    for last in range(HOLDS):
        step = _told(offer(times, seconds))
        if not step.faults() or last == HOLDS - 1:
            break
        times *= SHRINK
    return step


def _told(step: Step) -> Step:
    print(_said(step) if step.faults() else f"{step.times:.3g} times 2011 for {step.seconds:g} s: sustained")
    return step


def _said(step: Step) -> str:
    return f"{step.times:.3g} times 2011 for {step.seconds:g} s: {'; '.join(step.faults())}"


def _rows(shown: Step, failed: Step | None) -> list[Row]:
    """`shown`: what was held. `failed`: the smallest rate that was not sustained, in which something had no more to give."""
    held = not shown.faults()
    rows = [row("times 2011", shown.times if held else 0.0, "x"), row("held for", shown.seconds, "s")]
    for action, figures in shown.figures.items():
        rate = figures.in_time / shown.seconds
        rows += [
            row(f"{action}, answered", rate, "1/s", "offered", figures.offered / shown.seconds),
            row(f"{action}, p50", shown.p_ms(action, 50), "ms"),
            row(f"{action}, p99", shown.p_ms(action, 99), "ms", limit=P99_LIMIT_MS),
        ]
    failures = 100 * shown.errors.total() / max(1, shown.offered)
    rows.append(row("failed", failures, "% of requests", limit=100 * ERRORS_LIMIT))
    rows.append(row("background work done after the end", shown.drained_s, "s", limit=shown.drained_limit_s))
    rows += [row(f"CPU, {name}", cores, "cores") for name, cores in shown.cores.items()]
    ours = sum(shown.cores.values())
    site_cores = ours - shown.cores["generator"]
    rows.append(row("CPU, the whole site", site_cores, "cores"))
    rows.append(row("CPU, the whole site, for once 2011", site_cores / shown.times, "cores"))
    rows.append(row("CPU, others on this machine", max(0.0, shown.machine_cores - ours), "cores"))
    late_ms = percentile(shown.late_ms, 99) or 0.0
    rows.append(row("generator, late by, p99", late_ms, "ms"))
    rows.append(saturated(failed or shown))
    return rows


def saturated(step: Step) -> Row:
    """What has least left to give in a step: a server of one thread by its core, or all cores together.

    PostgreSQL and the workers have many processes, so only the cores can be too few for them.
    """
    cores = machine().cores
    single = {name: used for name, used in step.cores.items() if name in ("web server", "relay", "memcached")}
    name = max(single, key=lambda each: single[each])
    if single[name] >= FULL and single[name] >= step.machine_cores / cores:
        return row(f"saturates first: {name}", 100 * single[name], "% of a core")
    words = "the cores" if step.machine_cores >= FULL * cores else "nothing: it waits"
    return row(f"saturates first: {words}", 100 * step.machine_cores / cores, "% of all cores")
