"""Whoever is scraped exposes all workers of the host, in a format that Prometheus's own parsers take."""

from __future__ import annotations

import math
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from calotype.efficiency.dynostats import Prometheus, Record, Recorder, Sampling
from calotype.efficiency.dynostats.exposition import registry
from calotype.efficiency.dynostats.prometheus import KEPT_S, RECENT, SHOWN_S, SUFFIX, forget, live
from calotype.efficiency.dynostats.types import digest
from calotype.efficiency.meter import Meter, counter
from tests.efficiency.dynostats.kept import identity
from tests.efficiency.dynostats.receiver import until
from tests.efficiency.dynostats.test_cumulative import tick
from tests.efficiency.dynostats.test_otlp import serve
from tests.efficiency.dynostats.test_segments import record
from tests.running_site import SOURCE

OPENMETRICS = "application/openmetrics-text; version=1.0.0"


def text(made: CollectorRegistry, accept: str = OPENMETRICS) -> str:
    encode, _ = choose_encoder(accept)
    return encode(made).decode()


def exposed(directory: Path, now: float | None = None) -> dict[str, Metric]:
    """Parsed by the reference implementation of OpenMetrics."""
    return parsed(text(registry(directory, time.time() if now is None else now)))


def parsed(said: str) -> dict[str, Metric]:
    families = text_string_to_metric_families(said)  # type: ignore[no-untyped-call]  # it has no types
    return {family.name: family for family in families}


def samples(families: dict[str, Metric], name: str, **labels: str) -> list[Sample]:
    return [
        sample
        for family in families.values()
        for sample in family.samples
        if sample.name == name and sample.labels.items() >= labels.items()
    ]


def value(families: dict[str, Metric], name: str, **labels: str) -> float:
    (sample,) = samples(families, name, **labels)
    return sample.value


def test_what_a_worker_has_done_is_exposed(tmp_path: Path) -> None:
    sink = Prometheus(tmp_path)
    now = time.time()
    sink.put(tick(now, requests=3, people=range(10)))
    sink.put(tick(now, requests=2))
    sink.close()
    families = exposed(tmp_path)
    assert value(families, "dynostats_requests_total", endpoint="feed", worker="1") == 5
    assert value(families, "dynostats_process_cpu_seconds_total", worker="1") == pytest.approx(0.0075)
    assert value(families, "dynostats_attributed_cpu_seconds_total") == pytest.approx(0.005)
    assert value(families, "dynostats_dropped_total") == 4
    assert value(families, "dynostats_active_people") == 10
    assert value(families, "dynostats_worker_start_time_seconds", release="abc") == pytest.approx(now - 5)
    for name, took in (("duration", 0.002), ("cpu", 0.001)):
        buckets = samples(families, f"dynostats_request_{name}_seconds_bucket")
        counts = {float(each.labels["le"]): each.value for each in buckets}
        assert all(count == (5 if bound >= took else 0) for bound, count in counts.items())
        assert math.inf in counts
        assert value(families, f"dynostats_request_{name}_seconds_sum") == pytest.approx(5 * took)
        assert value(families, f"dynostats_request_{name}_seconds_count") == 5


def test_an_exemplar_is_a_recorded_request_of_its_bucket(tmp_path: Path) -> None:
    sink = Prometheus(tmp_path)
    records: list[Record] = []

    class Both:
        dropped = 0

        def put(self, entry: object) -> None:
            if isinstance(entry, Record):
                records.append(entry)
            sink.put(entry)  # type: ignore[arg-type]  # whatever it was given

        def close(self) -> None:
            sink.close()

    by = Recorder(identity, Both(), Meter(counter("thread-cpu")), Sampling())
    for _ in range(20):
        serve(by)
    by.close()
    by_digest = {digest(each): each for each in records}
    families = exposed(tmp_path)
    found = 0
    for name in ("duration", "cpu"):
        below = 0.0
        for sample in samples(families, f"dynostats_request_{name}_seconds_bucket"):
            bound = float(sample.labels["le"])
            if sample.exemplar is not None:
                found += 1
                (recorded,) = (by_digest[id_] for id_ in sample.exemplar.labels.values())
                assert below <= sample.exemplar.value <= bound
                assert sample.exemplar.timestamp is not None
                assert float(sample.exemplar.timestamp) == pytest.approx(recorded.at, abs=0.001)
                if name == "duration":
                    assert sample.exemplar.value == pytest.approx(recorded.wall_ns / 1e9)
            below = bound
    assert found >= 2


WORKER = """
import sys, time
from pathlib import Path
from calotype.efficiency.dynostats import Identity, Prometheus, Recorder, Sampling
from calotype.efficiency.meter import Meter, counter
name, requests = sys.argv[2], int(sys.argv[3])
by = Recorder(
    lambda: Identity(release="abc", host="host", worker=name), Prometheus(Path(sys.argv[1])), Meter(counter()), Sampling(), b"key"
)
def serve():
    for person in range(requests):
        observed = by.begin("GET")
        observed.endpoint, observed.status, observed.person = "feed", 200, person
        by.end(observed)
    by.tick()
serve()
for line in sys.stdin:
    serve()
"""


def test_each_worker_process_has_its_series_and_all_people_are_counted_once(tmp_path: Path) -> None:
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", WORKER, tmp_path, name, str(requests)],
            env={**os.environ, "PYTHONPATH": str(SOURCE)},
            stdin=subprocess.PIPE,
        )
        for name, requests in (("first", 30), ("second", 50))
    ]
    try:
        until(lambda: len(live(tmp_path, time.time())) == 2)
        families = exposed(tmp_path)
        assert value(families, "dynostats_requests_total", worker="first") == 30
        assert value(families, "dynostats_requests_total", worker="second") == 50
        assert value(families, "dynostats_active_people") == 50
        workers[0].kill()
        workers[0].wait()
        assert workers[1].stdin is not None
        workers[1].stdin.write(b"\n")
        workers[1].stdin.flush()
        until(lambda: value(exposed(tmp_path), "dynostats_requests_total", worker="second") == 100)
        # What was killed is there until it has been scraped, and then no more.
        assert value(exposed(tmp_path), "dynostats_requests_total", worker="first") == 30
        later = exposed(tmp_path, time.time() + SHOWN_S + 10)
        shown = [sample.name for family in later.values() for sample in family.samples]
        assert shown == ["dynostats_active_people"]
    finally:
        for worker in workers:
            worker.kill()
            worker.wait()
            assert worker.stdin is not None
            worker.stdin.close()


def test_a_child_of_fork_has_its_own_sums(tmp_path: Path) -> None:
    sink = Prometheus(tmp_path)
    sink.put(tick(time.time(), requests=7))
    until(lambda: live(tmp_path, time.time()))
    child = os.fork()
    if not child:
        sink.put(tick(time.time(), requests=1, worker="child"))
        sink.close()
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    sink.close()
    families = exposed(tmp_path)
    assert value(families, "dynostats_requests_total", worker="1") == 7
    assert value(families, "dynostats_requests_total", worker="child") == 1


def test_files_that_cannot_be_read_are_left_out(tmp_path: Path) -> None:
    sink = Prometheus(tmp_path)
    sink.put(tick(time.time()))
    sink.close()
    (whole,) = tmp_path.glob(f"*{SUFFIX}")
    for name, data in (("torn", whole.read_bytes()[:-9]), ("empty", b""), ("other", b'{"sums": 1}')):
        (tmp_path / f"{name}{SUFFIX}").write_bytes(data)
    assert len(live(tmp_path, time.time())) == 1
    assert live(tmp_path / "none", time.time()) == []


def test_a_worker_whose_number_another_has_had_is_there_once(tmp_path: Path) -> None:
    for at, directory in ((time.time() - 20, "a"), (time.time(), "b")):
        sink = Prometheus(tmp_path / directory)
        sink.put(tick(at, requests=int(at % 2) + 1))
        sink.close()
        (path,) = (tmp_path / directory).glob(f"*{SUFFIX}")
        path.rename(tmp_path / f"{directory}{SUFFIX}")
    (shown,) = live(tmp_path, time.time())
    assert time.time() - shown.sums.at < 10


def test_old_files_are_removed_when_a_worker_begins(tmp_path: Path) -> None:
    old, young = tmp_path / f"old{SUFFIX}", tmp_path / f"young{SUFFIX}"
    for path in (old, young):
        path.touch()
    os.utime(old, (time.time() - KEPT_S - 10,) * 2)
    forget(tmp_path, time.time() - KEPT_S)
    assert not old.exists() and young.exists()


def test_a_disk_that_refuses_loses_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    directory = tmp_path / "full"
    directory.touch()  # a file where the directory should be
    sink = Prometheus(directory)
    sink.put(tick(time.time(), requests=3))
    until(lambda: "not written" in caplog.text)
    directory.unlink()
    sink.put(tick(time.time(), requests=4))
    sink.close()
    assert value(exposed(directory), "dynostats_requests_total") == 7


def test_records_are_kept_only_as_examples(tmp_path: Path) -> None:
    sink = Prometheus(tmp_path)
    for number in range(RECENT * 3):
        sink.put(record(number))
    sink.put(tick(time.time()))
    sink.close()
    assert sink.dropped == 0
    (path,) = tmp_path.glob(f"*{SUFFIX}")
    assert path.stat().st_size < 10_000


@pytest.mark.prometheus
@pytest.mark.skipif(shutil.which("promtool") is None, reason="no promtool")
def test_promtool_has_nothing_to_complain_of(tmp_path: Path) -> None:
    sink = Prometheus(tmp_path)
    sink.put(tick(time.time(), requests=3))
    sink.close()
    said = text(registry(tmp_path, time.time()), "text/plain")
    checked = subprocess.run(
        ["promtool", "check", "metrics"], input=said, capture_output=True, text=True, check=False
    )
    assert (checked.returncode, checked.stderr) == (0, "")
