"""The console's pages, made of segments and profiles that were written before."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from django.core.exceptions import PermissionDenied
from django.core.management import call_command
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.test import RequestFactory

from calotype.efficiency.dynostats import Identity, Record, Segments, Tick, Totals
from calotype.efficiency.dynostats.segments import segments
from calotype.efficiency.meter import Figures, Step, Unit
from calotype.efficiency.profiler import Profiler
from calotype.efficiency.sketches import Histogram, HyperLogLog
from tests import django_site

django_site.set_up()

from calotype.efficiency.console import history as histories  # noqa: E402
from calotype.efficiency.console import views  # noqa: E402

MS = 1_000_000
HOSTILE = '<script>alert("x")</script>'
STAFF = SimpleNamespace(is_authenticated=True, is_active=True, is_staff=True)
NOBODY = SimpleNamespace(is_authenticated=False, is_active=False, is_staff=False)
PERSON = SimpleNamespace(is_authenticated=True, is_active=True, is_staff=False)

View = Callable[..., HttpResponseBase]


@pytest.fixture(scope="module", autouse=True)
def static_files() -> None:
    call_command("collectstatic", verbosity=0, interactive=False)


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(views, "_directory", lambda: tmp_path)
    histories.history_of.cache_clear()
    return tmp_path


def ask(view: View, address: str = "/ops/", user: object = STAFF, **arguments: str) -> HttpResponse:
    request: HttpRequest = RequestFactory().get(address)
    request.user = user  # type: ignore[assignment]  # as much of one as the console looks at
    answer = view(request, **arguments)
    assert isinstance(answer, HttpResponse)
    return answer


def said(view: View, address: str = "/ops/", **arguments: str) -> str:
    answer = ask(view, address, **arguments)
    assert answer.status_code == 200
    return re.sub(r"\s+", " ", answer.content.decode())


def totals(requests: int, cpu_ms: float, errors: int = 0) -> Totals:
    made = Totals(requests=requests, errors=errors, wall_ns=Histogram(), cpu=Histogram())
    for _ in range(requests):
        made.cpu.add(cpu_ms * MS)
        made.wall_ns.add(2 * cpu_ms * MS)
    return made


def tick(at: float, release: str = "one", unit: Unit = "ns", **endpoints: Totals) -> Tick:
    people = HyperLogLog(b"key")
    for person in range(40):
        people.add(person)
    return Tick(
        at=at,
        seconds=5,
        identity=Identity(release=release, host="host", worker="1"),
        counter="thread-cpu" if unit == "ns" else "instructions",
        unit=unit,
        process_cpu_ns=2_000 * MS,
        attributed=1_800 * MS,
        after=0,
        people=people.encoded(),
        endpoints=endpoints,
    )


def record(at: float, endpoint: str = "feed", status: int = 200, **more: object) -> Record:
    figures = Figures(
        counter="thread-cpu",
        unit="ns",
        cpu=7 * MS,
        after_cpu=0,
        offloaded_cpu=0,
        wall_ns=2_000 * MS,
        loop_wait_ns=3 * MS,
        io_wait_ns=1_900 * MS,
        steps=2,
        calls={},
        peak_rss_growth_kb=0,
        timeline=(Step(0, MS, 3 * MS, MS), Step(1_000 * MS, 1_001 * MS, 1_005 * MS, 6 * MS)),
    )
    told: dict[str, object] = {
        "identity": Identity(release="one", host="host", worker="1"),
        "method": "GET",
        "reason": "slow",
        "weight": 1.0,
        "wall_ns": 2_000 * MS,
        "answer_ns": 2_000 * MS,
        "bytes_in": 0,
        "bytes_out": 10,
        "figures": figures,
    }
    return Record(at=at, endpoint=endpoint, status=status, **{**told, **more})  # type: ignore[arg-type]  # they fit


def write(directory: Path, *entries: Tick | Record) -> None:
    sink = Segments(directory)
    for entry in entries:
        sink.put(entry)
    sink.close()


@pytest.mark.parametrize("view", [views.overview, views.endpoint, views.profiles])
def test_who_is_not_signed_in_is_sent_to_log_in_and_others_than_staff_are_refused(
    view: View, directory: Path
) -> None:
    answer = ask(view, "/ops/", NOBODY)
    assert answer.status_code == 302
    assert answer["Location"].endswith("?next=/ops/")
    with pytest.raises(PermissionDenied):
        ask(view, "/ops/", PERSON)
    assert "no-store" in ask(view, "/ops/?name=feed")["Cache-Control"]


def test_a_site_that_nobody_has_used_says_how_to_begin(directory: Path) -> None:
    assert "No request yet" in said(views.overview)
    assert "No profile yet" in said(views.profiles)


def test_the_overview_shows_people_cost_and_endpoints_by_their_share(directory: Path) -> None:
    now = time.time()
    ticks = [tick(now - 5 * n, feed=totals(10, 8), photo=totals(30, 1, errors=2)) for n in range(1, 100)]
    write(directory, *ticks, record(now - 20))
    page = said(views.overview)
    assert "<dd>40</dd>" in page
    assert "90% charged to requests" in page
    assert page.index('name=feed&amp;window=hour"') < page.index('name=photo&amp;window=hour"')
    assert "73%" in page
    assert "Slowest recent requests" in page
    assert "2.00 s" in page
    assert "<title>" not in said(views.overview, "/ops/?fragment").split("<svg")[0]


def test_an_endpoint_compares_its_releases(directory: Path) -> None:
    now = time.time()
    before = [tick(now - 600 - 5 * n, "one", feed=totals(10, 8)) for n in range(20)]
    after = [tick(now - 100 - 5 * n, "two", feed=totals(10, 10)) for n in range(20)]
    write(directory, *before, *after, record(now - 20), record(now - 10, status=503))
    page = said(views.endpoint, "/ops/endpoint/?name=feed")
    assert "+25" in page
    assert "Latest that failed" in page
    assert "503" in page
    assert ask(views.endpoint, "/ops/endpoint/?name=none").status_code == 404


def test_a_request_has_a_page_with_its_steps(directory: Path) -> None:
    slow = record(time.time() - 20)
    write(directory, tick(time.time() - 5, feed=totals(1, 7)), slow)
    page = said(views.request, digest=histories.digest_of(slow))
    assert "7.00 ms" in page
    assert ask(views.request, digest="0" * 24).status_code == 404


def test_names_that_somebody_chose_are_text(directory: Path) -> None:
    now = time.time()
    hostile = record(now - 9, HOSTILE, 500, error=HOSTILE, gates=(HOSTILE,), method=HOSTILE)
    write(directory, tick(now - 5, HOSTILE, "ns", **{HOSTILE: totals(3, 5)}), hostile)
    pages = [
        said(views.overview),
        said(views.endpoint, f"/ops/endpoint/?name={HOSTILE}"),
        said(views.request, digest=histories.digest_of(hostile)),
    ]
    for page in pages:
        assert "&lt;script&gt;" in page
        assert "<script>" not in page
    gone = ask(views.endpoint, '/ops/endpoint/?name=<img src="x">')
    assert b"<img" not in gone.content


def test_what_is_new_is_read_and_what_is_torn_waits(directory: Path) -> None:
    now = time.time()
    write(directory, tick(now - 10, feed=totals(3, 5)))
    assert 'name=feed&amp;window=hour"' in said(views.overview)
    (path,) = segments(directory)
    whole = path.read_bytes()
    write(directory, tick(now - 5, late=totals(3, 5)))
    first, second = segments(directory)
    frame = second.read_bytes()
    second.unlink()
    first.write_bytes(whole + frame[:10])
    assert "name=late" not in said(views.overview)
    first.write_bytes(whole + frame)
    assert 'name=late&amp;window=hour"' in said(views.overview)


def test_instructions_are_shown_as_such(directory: Path) -> None:
    now = time.time()
    write(directory, *(tick(now - 5 * n, unit="instructions", feed=totals(10, 8)) for n in range(1, 20)))
    page = said(views.overview)
    assert re.search(r"[78]\.\d\d M instr\.", page)
    assert "counted in instructions" in page


def test_a_profile_is_a_tree_of_boxes_and_two_tables(directory: Path) -> None:
    def work() -> int:
        return sum(inner(number) for number in range(2_000))

    def inner(number: int) -> int:
        return number * number

    for release in ("one", "two"):
        profiler = Profiler(directory / "profiles", release, one_in=1)
        probe = profiler.probe()
        assert probe is not None
        probe.inside(work, ())
        assert profiler.store(HOSTILE, probe)
    page = said(views.profiles)
    assert 'role="tree"' in page
    assert page.count('role="treeitem"') >= 3
    assert "test_views:test_a_profile_is_a_tree_of_boxes_and_two_tables.&lt;locals&gt;.work" in page
    assert "<script>" not in page
    compared = said(views.profiles, "/ops/profiles/?release=two&before=one")
    assert "What changed since" in compared
    assert said(views.profiles, "/ops/profiles/?endpoint=none&release=none&clock=none")
