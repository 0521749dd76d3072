"""The dashboard: its file is one that Grafana knows, its queries are PromQL, they ask for what the exposition has, and a
Prometheus that has scraped it answers them."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import msgspec
import promql_parser
import pytest
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard
from prometheus_client.exposition import choose_encoder

from calotype.efficiency.dynostats import Prometheus, Recorder, Sampling
from calotype.efficiency.dynostats.exposition import registry
from calotype.efficiency.meter import Meter, counter
from tests.efficiency.dynostats.kept import identity
from tests.efficiency.dynostats.receiver import until
from tests.efficiency.dynostats.test_cumulative import tick
from tests.efficiency.dynostats.test_otlp import serve
from tests.efficiency.dynostats.test_prometheus import exposed
from tests.ports import free_port

FILE = Path(__file__).parents[3] / "deploy" / "grafana" / "calotype-efficiency.json"
DASHBOARD: dict[str, Any] = json.loads(FILE.read_text())

OF_PROMETHEUS = {"step", "titleFormat", "textFormat", "useValueForTime"}
"""Of an annotation, which only the data source knows: Grafana's own models leave them out."""


def panels(within: dict[str, Any] = DASHBOARD) -> Iterator[dict[str, Any]]:
    for panel in within["panels"]:
        if panel["type"] == "row":
            yield from panels(panel)
        else:
            yield panel


EXPRESSIONS = [
    *(target["expr"] for panel in panels() for target in panel["targets"]),
    *(annotation["expr"] for annotation in DASHBOARD["annotations"]["list"]),
]


def without_variables(expression: str) -> str:
    """As Grafana asks it, of all endpoints."""
    return expression.replace("$__rate_interval", "10s").replace("$endpoint", ".*")


def lost(ours: Any, theirs: Any, path: str = "") -> Iterator[str]:
    """What is not in theirs as it is in ours. They may say more: their defaults."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for key, value in ours.items():
            if key in theirs:
                yield from lost(value, theirs[key], f"{path}.{key}")
            elif not (path.startswith(".annotations") and key in OF_PROMETHEUS):
                yield f"{path}.{key}"
    elif isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        for n, (one, other) in enumerate(zip(ours, theirs, strict=True)):
            yield from lost(one, other, f"{path}[{n}]")
    elif ours != theirs:
        yield path


def test_grafanas_own_models_know_all_that_the_file_says() -> None:
    register_default_plugins()
    read = json.loads(JSONEncoder().encode(Dashboard.from_json(DASHBOARD)))
    assert list(lost(DASHBOARD, read)) == []
    assert list(lost({"panels": [{"tpye": "stat"}]}, {"panels": [{}]})) == [".panels[0].tpye"]


def test_panels_have_places_and_numbers_of_their_own() -> None:
    numbers = [panel["id"] for panel in panels()]
    assert len(set(numbers)) == len(numbers) > 15
    taken: set[tuple[int, int]] = set()
    for panel in panels():
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, f"{panel['title']} lies on another panel"
        assert place["x"] + place["w"] <= 24
        taken |= cells


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_queries_are_promql_over_metrics_that_there_are(expression: str, tmp_path: Path) -> None:
    selected = set[str]()

    def select(node: promql_parser.Expr) -> None:
        if isinstance(node, promql_parser.VectorSelector):
            assert node.name is not None
            selected.add(node.name)

    promql_parser.walk(promql_parser.parse(without_variables(expression)), select)
    assert selected and selected <= metrics(tmp_path)


def metrics(directory: Path) -> set[str]:
    """The names of all samples, of workers of either unit."""
    for worker in ("ns", "instructions"):
        sink = Prometheus(directory / worker)
        counted = tick(time.time(), worker=worker)
        sink.put(msgspec.structs.replace(counted, unit=worker))
        sink.close()
        for path in (directory / worker).iterdir():
            path.rename(directory / f"{worker}-{path.name}")
    return {sample.name for family in exposed(directory).values() for sample in family.samples}


def test_the_list_of_endpoints_is_a_metric_too(tmp_path: Path) -> None:
    (asked,) = (each["query"] for each in DASHBOARD["templating"]["list"] if each["name"] == "endpoint")
    found = re.fullmatch(r"label_values\((\w+), endpoint\)", asked)
    assert found is not None and found[1] in metrics(tmp_path)


@contextmanager
def scraping(directory: Path, where: Path) -> Iterator[Callable[..., Any]]:
    """A Prometheus that scrapes what workers write to a directory, every second; asks it something."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            encode, content_type = choose_encoder(self.headers.get("Accept", ""))
            self.send_response(200)
            self.send_header("Content-Type", content_type)
            self.end_headers()
            self.wfile.write(encode(registry(directory, time.time())))

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", free_port()), Handler) as site:
        threading.Thread(target=site.serve_forever, args=(0.05,), daemon=True).start()
        port = free_port()
        (where / "prometheus.yml").write_text(
            "global: {scrape_interval: 1s}\n"
            f"scrape_configs: [{{job_name: site, static_configs: [{{targets: ['127.0.0.1:{site.server_port}']}}]}}]\n"
        )
        with (where / "log").open("wb") as log:
            prometheus = subprocess.Popen(
                [
                    "prometheus",
                    f"--config.file={where / 'prometheus.yml'}",
                    f"--storage.tsdb.path={where / 'tsdb'}",
                    f"--web.listen-address=127.0.0.1:{port}",
                    "--enable-feature=exemplar-storage",
                ],
                stdout=log,
                stderr=log,
            )

        def ask(path: str, **named: object) -> Any:
            query = urllib.parse.urlencode(named)
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v1/{path}?{query}") as answer:
                said = json.load(answer)
            assert said["status"] == "success"
            return said["data"]

        try:
            yield ask
        finally:
            prometheus.terminate()
            prometheus.wait()
            site.shutdown()


@pytest.mark.prometheus
@pytest.mark.skipif(shutil.which("prometheus") is None, reason="no prometheus")
def test_a_prometheus_that_scrapes_a_site_answers_every_query(tmp_path: Path) -> None:
    directory = tmp_path / "dynostats"
    by = Recorder(identity, Prometheus(directory), Meter(counter("thread-cpu")), Sampling(), b"key")
    stop = threading.Event()

    def work() -> None:
        while not stop.wait(0.2):
            serve(by, status=500)
            by.tick()

    working = threading.Thread(target=work)
    working.start()
    try:
        with scraping(directory, tmp_path) as ask:

            def answered() -> bool:
                try:
                    return (
                        len(
                            ask("query", query="count_over_time(dynostats_requests_total[1m]) >= 4")["result"]
                        )
                        > 0
                    )
                except OSError:
                    return False

            until(answered, seconds=60)
            for expression in EXPRESSIONS:
                result = ask("query", query=without_variables(expression))["result"]
                assert ("instructions" in expression) != bool(result), expression
            now = time.time()
            exemplars = ask(
                "query_exemplars", query="dynostats_request_cpu_seconds_bucket", start=now - 60, end=now + 60
            )
            assert exemplars and len(exemplars[0]["exemplars"][0]["labels"]["request"]) == 16
    finally:
        stop.set()
        working.join()
        by.close()
