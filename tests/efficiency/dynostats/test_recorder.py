"""What is recorded of which requests, and what a tick counts."""

from __future__ import annotations

import threading
import time

import pytest

from calotype.efficiency.dynostats import NO_ROUTE, OTHER, Recorder, Sampling
from calotype.efficiency.dynostats.observation import Observation
from calotype.efficiency.dynostats.types import ENDPOINTS
from calotype.efficiency.sketches import HyperLogLog
from tests.efficiency.dynostats.kept import Kept, recorder


def request(
    by: Recorder, endpoint: str = "feed", status: int = 200, person: int | None = None, ms: float = 0
) -> Observation:
    observed = by.begin("GET")
    if observed.account is not None:
        with by.meter.thread(observed.account):
            time.sleep(ms / 1000)
    else:
        time.sleep(ms / 1000)
    observed.endpoint, observed.status, observed.person = endpoint, status, person
    by.end(observed)
    return observed


def test_one_in_n_stands_for_n() -> None:
    sink = Kept()
    by = recorder(sink, Sampling(one_in=10))
    for _ in range(5_000):
        request(by)
    assert 350 < len(sink.records) < 650
    assert {(record.weight, record.reason) for record in sink.records} == {(10, "sampled")}
    by.tick()
    assert sink.ticks[0].endpoints["feed"].requests == 5_000
    assert sink.ticks[0].endpoints["feed"].cpu.count == 5_000


def test_errors_and_slow_ones_are_always_recorded_and_weigh_nothing() -> None:
    sink = Kept()
    by = recorder(sink, Sampling(one_in=10**9, slow_ms=50))
    for status in (200, 404, 500, 503, 0):
        request(by, status=status)
    request(by, ms=60)
    assert [(record.reason, record.status, record.weight) for record in sink.records] == [
        ("error", 500, 0),
        ("error", 503, 0),
        ("error", 0, 0),
        ("slow", 200, 0),
    ]
    assert all(record.figures is not None and record.figures.unit == "ns" for record in sink.records)


def test_who_is_not_sampled_need_not_be_metered() -> None:
    sink = Kept()
    by = recorder(sink, Sampling(one_in=10**9, meter="sampled"))
    assert request(by, status=500).account is None
    (record,) = sink.records
    assert record.figures is None
    assert record.wall_ns > 0
    by.tick()
    assert sink.ticks[0].endpoints["feed"].requests == 1
    assert sink.ticks[0].endpoints["feed"].cpu.count == 0


def test_a_slow_request_has_its_timeline_and_others_have_none() -> None:
    sink = Kept()
    by = recorder(sink, Sampling(slow_ms=0))
    assert request(by).account is not None
    assert sink.records[0].reason == "slow"
    fast = recorder(sink)
    request(fast)
    assert sink.records[1].figures is not None
    assert sink.records[1].figures.timeline == ()


def test_ten_thousand_endpoints_are_five_hundred_and_the_others() -> None:
    sink = Kept()
    by = recorder(sink)
    for number in range(10_000):
        request(by, endpoint=f"/wp-admin/{number}.php")
    by.tick()
    assert len(sink.ticks[0].endpoints) == ENDPOINTS + 1
    assert sink.ticks[0].endpoints[OTHER].requests == 10_000 - ENDPOINTS
    assert len({record.endpoint for record in sink.records}) == ENDPOINTS + 1


def test_a_request_that_no_route_matched_is_named_so() -> None:
    sink = Kept()
    by = recorder(sink)
    observed = by.begin("GET")
    observed.status = 404
    by.end(observed)
    assert sink.records[0].endpoint == NO_ROUTE


def test_a_tick_counts_since_the_one_before() -> None:
    sink = Kept()
    by = recorder(sink)
    for person in (1, 2, 2, None):
        request(by, person=person)
    request(by, endpoint="photo", status=500)
    by.tick()
    sink.dropped = 7
    request(by, person=3)
    by.tick()
    first, second = sink.ticks
    assert {name: (one.requests, one.errors) for name, one in first.endpoints.items()} == {
        "feed": (4, 0),
        "photo": (1, 1),
    }
    assert [len(HyperLogLog.decoded(tick.people)) for tick in (first, second)] == [2, 1]
    assert list(second.endpoints) == ["feed"]
    assert (first.dropped, second.dropped) == (0, 7)
    assert first.attributed + second.attributed == by.meter.attributed > 0
    assert first.process_cpu_ns >= first.attributed
    assert first.identity.region == "a"


def test_threads_lose_no_request() -> None:
    sink = Kept()
    by = recorder(sink)

    def some() -> None:
        for _ in range(500):
            request(by)

    threads = [threading.Thread(target=some) for _ in range(8)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        by.tick()
    by.close()
    assert sink.closed
    assert sum(tick.endpoints["feed"].requests for tick in sink.ticks if tick.endpoints) == 4_000
    assert len(sink.records) == 4_000


@pytest.mark.parametrize("wrong", [{"one_in": 0}, {"slow_ms": -1}])
def test_sampling_that_makes_no_sense_is_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="at least"):
        Sampling(**wrong)  # type: ignore[arg-type]  # that is the point


def test_a_clock_that_steps_back_changes_no_duration(monkeypatch: pytest.MonkeyPatch) -> None:
    sink = Kept()
    by = recorder(sink)
    observed = by.begin("GET")
    monkeypatch.setattr(time, "time", lambda: 0.0)
    by.end(observed)
    by.tick()
    assert sink.records[0].wall_ns > 0
    assert sink.ticks[0].seconds > 0


def test_a_stream_that_goes_on_is_not_slow() -> None:
    sink = Kept()
    by = recorder(sink, Sampling(slow_ms=50, one_in=10**9))
    observed = by.begin("GET")
    observed.answering(200)
    time.sleep(0.06)
    by.end(observed)
    assert sink.records == []
    late = by.begin("GET")
    time.sleep(0.06)
    late.answering(200)
    by.end(late)
    (record,) = sink.records
    assert record.reason == "slow"
    assert record.wall_ns >= record.answer_ns >= 60_000_000
