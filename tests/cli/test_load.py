"""`calotype load` on a site of its own, and, through a region that cheats, that it catches what it looks for."""

from __future__ import annotations

import http.client
import json
import re
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import cycle, islice
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import click
import msgspec
import pytest

from calotype.cli import state
from calotype.cli.load import choices, run, tally
from calotype.cli.load.browser import Browser
from calotype.cli.load.choices import Choice, Scene
from calotype.cli.load.command import load, regions
from calotype.cli.load.run import Wanted
from calotype.cli.places import Places
from calotype.cli.process import ourselves
from calotype.std.errors import CalotypeError
from tests.ports import free_port
from tests.running_site import RunningSite, running_site
from tests.site import root

SCENE = Scene(("jan", "pat", "mara"), tuple(str(number) for number in range(12)))


@pytest.fixture(scope="module")
def bare_site() -> Iterator[RunningSite]:
    with running_site(root() / "load", "--no-demo") as running:
        yield running


@pytest.fixture(scope="module")
def refusal(bare_site: RunningSite) -> CompletedProcess[str]:
    """What `load` says while nobody is on the site."""
    return bare_site.calotype("load", "--seconds", "5", check=False)


@pytest.fixture(scope="module")
def site(bare_site: RunningSite, refusal: CompletedProcess[str]) -> RunningSite:
    bare_site.calotype("prepare", "--demo")
    return bare_site


# --- Choices ----------------------------------------------------------------------------------------------------------


def first(amount: int, place: int, seed: int, writes: float = 0.3) -> list[Choice]:
    return list(islice(choices.choices(SCENE, place, writes, seed), amount))


def test_the_seed_fixes_what_each_person_does() -> None:
    assert first(200, place=1, seed=5) == first(200, place=1, seed=5)
    assert first(200, place=1, seed=5) != first(200, place=1, seed=6)
    assert first(200, place=1, seed=5) != first(200, place=2, seed=5)


def test_people_write_as_often_as_they_are_told_and_do_all_there_is_to_do() -> None:
    done = [choice.kind for choice in first(4000, place=0, seed=1)]
    assert sum(kind in choices.WRITES for kind in done) == pytest.approx(1200, abs=120)
    assert set(done) == {*choices.READS, *choices.WRITES}
    assert {choice.kind for choice in first(500, 0, 1, writes=0)} == set(choices.READS)


def test_nobody_else_likes_what_is_in_ones_corner() -> None:
    corners = [set(SCENE.corner(place)) for place in range(3)]
    assert [len(corner) for corner in corners] == [3, 3, 2]
    assert len(set().union(SCENE.shared, *corners)) == 12 == len(SCENE.shared) + sum(map(len, corners))
    for place in range(3):
        liked = {choice.post for choice in first(1000, place, 1) if choice.kind in ("like", "unlike")}
        assert liked == {*SCENE.shared, *corners[place]}


def test_nobody_follows_themselves() -> None:
    assert {choice.person for choice in first(300, place=0, seed=1)} == {"pat", "mara"}


def test_one_post_is_enough_for_everybody() -> None:
    alone = Scene(("jan", "pat"), ("9",))
    assert {choice.post for choice in islice(choices.choices(alone, 1, 0.5, 1), 50)} == {"9"}


# --- Figures ----------------------------------------------------------------------------------------------------------


def assert_it_adds_up(seen: dict[str, Any]) -> None:
    outcomes = ("ok", "refused", "server_errors", "unexpected", "unanswered")
    assert seen["requests"] == sum(seen[name] for name in outcomes)
    assert seen["requests"] == sum(kind["requests"] for kind in seen["kinds"])
    assert seen["requests"] == sum(seen["regions"].values())
    assert seen["requests_per_s"] == pytest.approx(seen["requests"] / seen["seconds"], rel=0.1)
    for kind in seen["kinds"]:
        if kind["p50_ms"] is not None:
            assert 0 < kind["p50_ms"] <= kind["p95_ms"] <= kind["p99_ms"]


def test_the_figures_of_everybody_are_summed() -> None:
    one, other = tally.Tally(), tally.Tally()
    for ms in range(1, 101):
        one.request("home", "a", ms, "ok")
    other.request("home", "b", 5_000, "server_error", "GET / in region b: 500")
    other.request("like", "b", 1, "refused", "POST /p/1/like/ in region b: 503")
    other.own_write(seen=True, words="")
    other.own_write(seen=False, words="pat: like of 1")
    seen = tally.report([one, other], seconds=10, seed=3)
    assert_it_adds_up(msgspec.to_builtins(seen))
    assert (seen.requests, seen.ok, seen.server_errors, seen.refused, seen.failed) == (102, 100, 1, 1, True)
    assert (seen.own_writes_checked, seen.own_writes_missed, seen.regions) == (2, 1, {"a": 100, "b": 2})
    home, like = seen.kinds
    assert (home.kind, home.requests, home.p50_ms, home.p95_ms, home.p99_ms) == ("home", 101, 50, 95, 99)
    assert (like.requests, like.p50_ms) == (1, None), "what was refused has no latency"
    assert seen.examples["server_error"] == "GET / in region b: 500"
    assert seen.examples["own_write_missed"] == "pat: like of 1"


@pytest.mark.parametrize(
    ("values", "percent", "expected"),
    [([], 50, None), ([3], 99, 3), ([1, 2], 50, 1), ([1, 2, 3, 4], 95, 4)],
)
def test_percentiles_are_values_that_were_there(
    values: Sequence[float], percent: float, expected: float | None
) -> None:
    assert tally.percentile(values, percent) == expected


# --- Which site -------------------------------------------------------------------------------------------------------


def write_state(data: Path, **more: Any) -> Places:
    places = Places(data)
    places.run.mkdir()
    known = state.State(ourselves(), "http://127.0.0.1:21999", "running", 0.0, [])
    state.write(places, msgspec.structs.replace(known, **more))
    return places


def sentence(data: Path, *options: str) -> str:
    with pytest.raises(CalotypeError) as raised:
        load.main(["--data", str(data), *options], standalone_mode=False)
    return str(raised.value)


def test_a_site_that_does_not_run_is_a_sentence(tmp_path: Path) -> None:
    assert sentence(tmp_path) == f"the site in {tmp_path} is not running: `calotype up` starts it"


def test_a_state_whose_supervisor_is_gone_names_nobody_to_load(tmp_path: Path) -> None:
    write_state(tmp_path)
    assert "is not running" in sentence(tmp_path)


def test_all_regions_of_a_running_site_are_loaded_or_the_one_that_was_named(tmp_path: Path) -> None:
    both = {"a": "http://127.0.0.1:21999", "b": "http://127.0.0.1:21998"}
    known = [state.RegionState(name, url, ()) for name, url in both.items()]
    places = write_state(tmp_path, regions=known)
    lock = state.take_lock(places)
    assert lock is not None
    with lock:
        assert regions(places) == both
        assert sentence(tmp_path, "--region", "c") == "there is no region c; there is a, b"
        assert "does not answer at http://127.0.0.1:21998" in sentence(tmp_path, "--region", "b")


def test_minutes_and_seconds_together_are_refused(tmp_path: Path) -> None:
    with pytest.raises(click.UsageError, match="not both"):
        load.main(
            ["--data", str(tmp_path), "--minutes", "1", "--seconds", "5"],
            standalone_mode=False,
        )


# --- On a site --------------------------------------------------------------------------------------------------------


def test_a_site_without_the_demo_is_told_how_to_get_it(refusal: CompletedProcess[str]) -> None:
    assert refusal.returncode == 1
    assert refusal.stderr.startswith("calotype: nobody called jan with the demo's password is on this site")
    assert "`calotype up --demo`" in refusal.stderr
    assert refusal.stderr.count("\n") == 1


def test_people_see_what_they_write_and_the_report_adds_up(site: RunningSite) -> None:
    options = ("--seconds", "4", "--people", "3", "--rate", "0", "--writes", "0.5", "--json")
    done = site.calotype("load", *options, check=False)
    seen = json.loads(done.stdout)
    assert done.returncode == 0, seen
    assert_it_adds_up(seen)
    assert 4 <= seen["seconds"] < 10
    assert seen["people"] == 3
    assert seen["ok"] == seen["requests"] > 50, seen["examples"]
    assert seen["own_writes_checked"] > 10
    assert (seen["own_writes_missed"], seen["own_writes_unread"]) == (0, 0)
    assert {"home", "timeline", "post", "like", "unlike"} <= {kind["kind"] for kind in seen["kinds"]}


def test_the_rate_is_kept_and_the_report_can_be_read(site: RunningSite) -> None:
    done = site.calotype("load", "--seconds", "2", "--people", "2", "--rate", "10", check=False)
    assert done.returncode == 0, done.stdout
    said, *_, last = done.stdout.splitlines()
    assert re.fullmatch(r"2 people are in; \d+ posts to look at, for 2 s", said)
    assert last.startswith("own writes: ")
    requests = int(done.stdout.partition(" requests of 2 people")[0].splitlines()[-1])
    assert 10 <= requests <= 26


def test_nothing_is_sent_to_another_address_than_the_sites(site: RunningSite) -> None:
    with connections() as made:
        run.run({"a": site.url}, Wanted(1, 2, 0, 0.5, 7), lambda _: None)
    assert made == {("127.0.0.1", site.port)}


def test_a_redirect_is_not_followed_and_a_path_leads_to_no_other_host(site: RunningSite) -> None:
    def elsewhere(_: BaseHTTPRequestHandler) -> tuple[int, str]:
        return 302, "http://127.0.0.1:9/"

    with cheating(site, elsewhere) as url, Browser(url) as browser, connections() as made:
        assert browser.get("//127.0.0.1:9/").status == 302
        with pytest.raises(AssertionError):
            browser.get("http://127.0.0.1:9/")
    assert {port for _, port in made} == {int(url.rpartition(":")[2])}


# --- What it catches --------------------------------------------------------------------------------------------------


def test_a_region_that_forgets_what_it_acknowledged_is_caught(site: RunningSite) -> None:
    seen = run_through(site, lambda request: (303, "/") if is_write(request) else None)
    assert seen.own_writes_missed > 0
    assert seen.failed
    assert "acknowledged by region b, not shown on /" in seen.examples["own_write_missed"]


def test_a_region_whose_numbers_of_likes_stand_still_is_caught(site: RunningSite) -> None:
    """Whoever likes a post sees that they do, so that only the number gives it away."""

    def stand_still(page: bytes) -> bytes:
        return re.sub(rb'(data-likes="\d+" data-n=)"\d+"', rb'\g<1>"1000"', page)

    seen = run_through(site, lambda _: None, stand_still)
    assert seen.own_writes_missed > 0
    assert ": 1000 likes instead of " in seen.examples["own_write_missed"]


def test_a_region_that_does_not_know_who_is_signed_in_is_caught(site: RunningSite) -> None:
    def stranger(page: bytes) -> bytes:
        return page.replace(b'href="/settings/profile/"', b"")

    seen = run_through(site, lambda _: None, stranger)
    assert seen.own_writes_missed > 0
    assert seen.examples["own_write_missed"].endswith("in region b: shown as to a stranger")


def test_answers_that_are_no_success_are_counted_apart(site: RunningSite) -> None:
    statuses = cycle((500, 503, 404, 0))
    seen = run_through(site, lambda request: (next(statuses), "") if is_write(request) else None)
    assert_it_adds_up(msgspec.to_builtins(seen))
    assert min(seen.server_errors, seen.refused, seen.unexpected, seen.unanswered) > 0
    assert seen.failed
    assert re.fullmatch(r"POST /\S+/ in region b: 500", seen.examples["server_error"])
    assert re.fullmatch(r"POST /\S+/ in region b: 503", seen.examples["refused"])
    assert re.fullmatch(r"POST /\S+/ in region b: 404", seen.examples["unexpected"])
    assert "in region b: ConnectionError: RemoteDisconnected" in seen.examples["unanswered"]
    assert seen.own_writes_missed == 0, "what was not acknowledged is not looked for"


def test_refusals_and_silence_alone_are_no_failure() -> None:
    troubled = tally.Tally()
    for outcome in ("refused", "unexpected", "unanswered"):
        troubled.request("like", "a", 1, outcome, "POST")
    assert not tally.report([troubled], seconds=1, seed=1).failed


Answer = Callable[[BaseHTTPRequestHandler], tuple[int, str] | None]
"""Status and Location of an answer of its own, status 0 for none at all; None: what the site answers."""

Rewrite = Callable[[bytes], bytes]


def is_write(request: BaseHTTPRequestHandler) -> bool:
    return request.command == "POST" and request.path != "/log-in/"


def run_through(site: RunningSite, answer: Answer, rewrite: Rewrite = bytes) -> tally.Report:
    """Two people for two seconds, all of whose requests pass a region that cheats."""
    with cheating(site, answer, rewrite) as url:
        return run.run({"b": url}, Wanted(2, 2, 0, 0.9, 7), lambda _: None)


@contextmanager
def cheating(site: RunningSite, answer: Answer, rewrite: Rewrite = bytes) -> Iterator[str]:
    """A region of the site that gives some answers itself and rewrites the pages of the others; its URL."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            own = answer(self)
            if own is None:
                self.pass_on(body)
            elif own[0] == 0:
                self.close_connection = True
            else:
                self.reply(own[0], [("Location", own[1])], b"")

        do_POST = do_GET

        def pass_on(self, body: bytes) -> None:
            asked = http.client.HTTPConnection("127.0.0.1", site.port)
            headers = {name: value for name, value in self.headers.items() if name != "Host"}
            asked.request(self.command, self.path, body or None, headers)
            given = asked.getresponse()
            kept = [
                (name, value)
                for name, value in given.getheaders()
                if name.lower() in ("location", "set-cookie")
            ]
            self.reply(given.status, kept, rewrite(given.read()))
            asked.close()

        def reply(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
            self.send_response(status)
            for name, value in [*headers, ("Content-Length", str(len(body)))]:
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", free_port()), Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


_listeners: list[set[object]] = []


def _hear(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "socket.connect":
        for heard in _listeners:
            heard.add(arguments[1])


sys.addaudithook(_hear)


@contextmanager
def connections() -> Iterator[set[Any]]:
    """The addresses that this process connects to meanwhile."""
    heard: set[Any] = set()
    _listeners.append(heard)
    try:
        yield heard
    finally:
        _listeners.remove(heard)
