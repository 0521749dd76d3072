"""`kill -9` of a web worker and of a PostgreSQL server while people write: what was acknowledged is there afterwards."""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from calotype.cli.load.browser import Browser
from tests.running_site import RunningSite, kill, running_site
from tests.site import root

PASSWORD = "contemplative"
PEOPLE = ("jan", "pat", "mara", "tomas", "ada", "aitzol", "noor", "peter", "ines", "sam", "yuki", "lea")
WRITERS = 6
SEED = 1841

pytestmark = [pytest.mark.fault, pytest.mark.timeout(240)]


@pytest.fixture(scope="module")
def site() -> Iterator[RunningSite]:
    with running_site(root() / "faults", "--workers", "2") as running:
        yield running


@dataclass
class Load:
    """Writers that like, follow and comment until they are told to stop, and remember what was acknowledged."""

    site: RunningSite
    posts: list[str]
    comments: set[str] = field(default_factory=set)
    likes: dict[tuple[str, str], bool] = field(default_factory=dict)
    follows: dict[tuple[str, str], bool] = field(default_factory=dict)
    acknowledged: int = 0
    failures: int = 0
    errors: list[str] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def run(self, seed: int, disturb: Callable[[], None]) -> None:
        """Write while `disturb` runs, and a second before and after."""
        visitors = {name: Browser(self.site.url) for name in random.Random(seed).sample(PEOPLE, WRITERS)}
        for name, visitor in visitors.items():
            visitor.log_in(name, PASSWORD)
        threads = [
            threading.Thread(target=self._write, args=(name, visitor, random.Random(seed * 100 + n)))
            for n, (name, visitor) in enumerate(visitors.items())
        ]
        for thread in threads:
            thread.start()
        try:
            time.sleep(1)
            disturb()
            time.sleep(1)
        finally:
            self._stop.set()
            for thread in threads:
                thread.join()

    def _write(self, me: str, visitor: Browser, chance: random.Random) -> None:
        """Each writer changes only their own edges, so the last acknowledged word on an edge is its state."""
        number = 0
        while not self._stop.is_set():
            number += 1
            post, other = chance.choice(self.posts), chance.choice([name for name in PEOPLE if name != me])
            kind = chance.choice(("comment", "like", "unlike", "follow", "unfollow"))
            try:
                if kind == "comment":
                    self._comment(visitor, post, f"{me} {number} {chance.getrandbits(32):08x}")
                elif kind in ("like", "unlike"):
                    self._edge(self.likes, (me, post), kind == "like", visitor, f"/p/{post}/{kind}/")
                else:
                    self._edge(self.follows, (me, other), kind == "follow", visitor, f"/@{other}/{kind}/")
            except OSError:
                with self._lock:
                    self.failures += 1
                time.sleep(0.05)

    def _comment(self, visitor: Browser, post: str, text: str) -> None:
        if self._acknowledged(visitor.post(f"/p/{post}/comments/", text=text).status):
            with self._lock:
                self.comments.add(text)

    def _edge(
        self, edges: dict[tuple[str, str], bool], key: tuple[str, str], on: bool, visitor: Browser, path: str
    ) -> None:
        with self._lock:
            edges.pop(key, None)  # until this one is acknowledged, either state is right
        if self._acknowledged(visitor.post(path).status):
            with self._lock:
                edges[key] = on

    def _acknowledged(self, status: int) -> bool:
        if status == 303:
            with self._lock:
                self.acknowledged += 1
            return True
        with self._lock:
            self.failures += 1
            if status not in (429, 503):
                self.errors.append(f"status {status}")
        time.sleep(0.05)
        return False


def posts_of_everybody(visitor: Browser) -> list[str]:
    statuses: list[dict[str, Any]] = json.loads(visitor.get("/api/v1/timelines/home?limit=40").text)
    return [status["id"] for status in statuses]


def under_load(site: RunningSite, seed: int, disturb: Callable[[], None]) -> Load:
    jan = Browser(site.url)
    jan.log_in("jan", PASSWORD)
    load = Load(site, posts_of_everybody(jan)[:8])
    load.run(seed, disturb)
    site.wait_until_healthy()
    return load


def assert_everything_is_there(
    site: RunningSite, load: Load, graph_state: Callable[[], dict[str, Any]]
) -> None:
    assert load.errors == []
    assert load.acknowledged > 30, "the load was no load"
    state = graph_state()
    assert load.comments <= set(state["comments"])
    wrong_likes = {key: on for key, on in load.likes.items() if (list(key) in state["likes"]) != on}
    assert wrong_likes == {}
    wrong_follows = {key: on for key, on in load.follows.items() if (list(key) in state["follows"]) != on}
    assert wrong_follows == {}
    checked = site.calotype("graph", "check", "--json", check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.fixture(scope="module")
def graph_state(site: RunningSite) -> Callable[[], dict[str, Any]]:
    """All comments, likes and follows, read from PostgreSQL and not through the site."""

    def read() -> dict[str, Any]:
        import psycopg

        from calotype.config.site import load

        rows: dict[str, list[Any]] = {"comments": [], "likes": [], "follows": []}
        names: dict[int, str] = {}
        edges: list[tuple[int, int, int]] = []
        for dsn in load(site.data).servers.values():
            with psycopg.connect(dsn) as connection:
                names |= dict(
                    connection.execute("select id, data->>'username' from objects where otype = 1").fetchall()
                )
                rows["comments"] += [
                    row[0] for row in connection.execute("select data->>'text' from objects where otype = 3")
                ]
                edges += connection.execute(
                    "select id1, atype, id2 from associations where atype in (1, 5) and not deleted"
                ).fetchall()
        for id1, atype, id2 in edges:
            if atype == 5:
                rows["likes"].append([names[id1], str(id2)])
            else:
                rows["follows"].append([names[id1], names[id2]])
        return rows

    return read


def test_killed_web_workers_lose_nothing_that_was_acknowledged(
    site: RunningSite, graph_state: Callable[[], dict[str, Any]]
) -> None:
    def disturb() -> None:
        for _ in range(3):
            for pid in site.web_workers()[:1]:
                kill(pid)
            time.sleep(1.5)

    load = under_load(site, SEED, disturb)
    assert_everything_is_there(site, load, graph_state)


@pytest.mark.parametrize("server", ["pg-1", "pg-2"])
def test_a_killed_server_loses_nothing_and_comes_back_by_itself(
    server: str, site: RunningSite, graph_state: Callable[[], dict[str, Any]]
) -> None:
    def disturb() -> None:
        kill(site.pid(server))
        time.sleep(3)

    load = under_load(site, SEED + int(server[-1]), disturb)
    assert load.failures > 0, "nobody noticed that the server was gone"
    assert_everything_is_there(site, load, graph_state)


def test_a_killed_relay_comes_back_and_finishes_its_work(
    site: RunningSite, graph_state: Callable[[], dict[str, Any]]
) -> None:
    def disturb() -> None:
        for _ in range(2):
            kill(site.pid("relay"))
            time.sleep(1)

    load = under_load(site, SEED + 3, disturb)
    assert_everything_is_there(site, load, graph_state)


def test_a_killed_supervisor_leaves_nothing_that_hinders_the_next(tmp_path: Path) -> None:
    with running_site(root() / "killed", "--no-demo") as running:
        kill(running.status()["supervisor"])
        again = running.calotype("up", "--detach", "--port", str(running.port), "--no-demo", check=False)
        assert again.returncode == 0, again.stdout + again.stderr
        running.wait_until_healthy()
