"""The example: a Django site of fifty lines that takes only `calotype.efficiency`, under gunicorn and under uvicorn."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

import pytest

from calotype.efficiency.dynostats import NO_ROUTE, Record, Tick, read
from tests.ports import free_port
from tests.running_site import SOURCE

ROOT = Path(__file__).parents[3]
EXAMPLE = ROOT / "examples" / "any_django_site.py"
SERVERS = {
    "gunicorn, processes": ["gunicorn", "any_django_site:wsgi", "--workers", "2"],
    "gunicorn, threads": ["gunicorn", "any_django_site:wsgi", "--threads", "4"],
    "gunicorn, preloaded": ["gunicorn", "any_django_site:wsgi", "--workers", "2", "--preload"],
    "uvicorn": ["uvicorn", "any_django_site:asgi", "--log-level", "warning"],
    "uvicorn, asyncio": ["uvicorn", "any_django_site:asgi", "--loop", "asyncio", "--log-level", "warning"],
}
REQUESTS = 6


@contextmanager
def served(command: list[str], data: Path) -> Iterator[str]:
    """Its address, while it runs."""
    port = free_port()
    module, *arguments = command
    bind = ["--bind", f"127.0.0.1:{port}"] if module == "gunicorn" else ["--port", str(port)]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(SOURCE), str(EXAMPLE.parent)]),
        "ANY_SITE_DATA": str(data),
    }
    environment.pop("DJANGO_SETTINGS_MODULE", None)
    with (data / "log").open("wb") as log:
        server = subprocess.Popen(
            [sys.executable, "-P", "-m", module, *arguments, *bind], env=environment, stdout=log, stderr=log
        )
    try:
        until = time.monotonic() + 20
        while not answers(port):
            assert time.monotonic() < until, (data / "log").read_text()
            time.sleep(0.05)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(20)


def answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def get(url: str) -> int:
    try:
        with urllib.request.urlopen(url) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


@pytest.mark.parametrize("server", SERVERS)
def test_each_server_of_django_sites_records_what_requests_cost(server: str, tmp_path: Path) -> None:
    with served(SERVERS[server], tmp_path) as address:
        for _ in range(REQUESTS):
            assert get(f"{address}/") == 200
            assert get(f"{address}/patient/") == 200
        assert get(f"{address}/no/such/page") == 404
        until = time.monotonic() + 20
        while "uvicorn" in server and not counted(
            tmp_path
        ):  # it dies of its signal, with what is not ticked yet
            assert time.monotonic() < until, (tmp_path / "log").read_text()
            time.sleep(0.1)
    assert counted(tmp_path) == {"busy": REQUESTS, "patient": REQUESTS, NO_ROUTE: 1}
    cpu: dict[str, list[int]] = {"busy": [], "patient": [], NO_ROUTE: []}
    for record in read(tmp_path / "dynostats"):
        if isinstance(record, Record):
            assert record.figures is not None
            assert record.identity.release == "example"
            cpu[record.endpoint].append(record.figures.cpu)
            if record.endpoint == "patient" and "uvicorn" in server:
                assert record.figures.io_wait_ns > 45e6
    assert min(cpu["busy"]) >= 5e6
    assert median(cpu["busy"]) < 12e6
    assert median(cpu["patient"]) < 5e6 or "uvicorn" not in server


@pytest.mark.parametrize("server", ["gunicorn, processes", "uvicorn"])
def test_whichever_worker_is_scraped_has_the_metrics_of_all(server: str, tmp_path: Path) -> None:
    with served(SERVERS[server], tmp_path) as address:
        for _ in range(REQUESTS):
            assert get(f"{address}/") == 200
        until = time.monotonic() + 30
        while (seen := scraped(f"{address}/metrics", "busy")) < REQUESTS:
            assert time.monotonic() < until, (tmp_path / "log").read_text()
            time.sleep(0.2)
        assert seen == REQUESTS


def scraped(url: str, endpoint: str) -> float:
    """How many requests all workers have counted."""
    with urllib.request.urlopen(url) as answer:
        lines = answer.read().decode().splitlines()
    counter = f'dynostats_requests_total{{endpoint="{endpoint}"'
    return sum(float(line.split()[-1]) for line in lines if line.startswith(counter))


def counted(data: Path) -> Counter[str]:
    counts = Counter[str]()
    for tick in read(data / "dynostats"):
        if isinstance(tick, Tick):
            counts.update({name: totals.requests for name, totals in tick.endpoints.items()})
    return counts


def test_the_example_is_short_and_takes_nothing_else_of_calotype() -> None:
    text = EXAMPLE.read_text()
    assert len(text.splitlines()) < 60
    assert all(
        line.strip().startswith(("from calotype.efficiency", '"""', "MIDDLEWARE"))
        for line in text.splitlines()
        if "calotype." in line and "import" in line
    )
