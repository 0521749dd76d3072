"""Who may read the metrics of a site, and in which format."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings
from django.http import HttpResponse
from django.test import AsyncRequestFactory

from calotype.efficiency.dynostats import Prometheus
from calotype.efficiency.dynostats.exposition import exposition
from calotype.efficiency.dynostats.settings import told
from tests.efficiency.dynostats.test_cumulative import tick
from tests.efficiency.dynostats.test_prometheus import parsed

TOKEN = "0123456789abcdef"


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[Path]:
    sink = Prometheus(tmp_path)
    sink.put(tick(time.time(), requests=3))
    sink.close()
    with pytest.MonkeyPatch.context() as patch:
        configure(patch, tmp_path)
        yield tmp_path
    told.cache_clear()


def configure(patch: pytest.MonkeyPatch, directory: Path, **named: str) -> None:
    patch.setattr(settings, "DYNOSTATS", {"directory": directory, **named})
    told.cache_clear()


def ask(method: str = "GET", address: str = "127.0.0.1", **headers: str) -> HttpResponse:
    request = AsyncRequestFactory().generic(method, "/metrics", headers=headers)
    request.META["REMOTE_ADDR"] = address
    return asyncio.run(exposition(request))


def test_prometheus_gets_openmetrics_with_exemplars_and_others_get_its_older_text(directory: Path) -> None:
    modern = ask(accept="application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5")
    assert modern.headers["Content-Type"].startswith("application/openmetrics-text")
    assert modern.headers["Cache-Control"] == "no-store"
    assert "dynostats_requests" in parsed(modern.content.decode())
    older = ask()
    assert older.headers["Content-Type"].startswith("text/plain")
    assert b"# EOF" not in older.content and b"dynostats_requests_total" in older.content


@pytest.mark.parametrize("address", ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"])
def test_without_a_token_clients_on_this_machine_may_read_them(address: str, directory: Path) -> None:
    assert ask(address=address).status_code == 200


@pytest.mark.parametrize("address", ["192.0.2.1", "10.0.0.1", "2001:db8::1", "", "unix"])
def test_and_nobody_else(address: str, directory: Path) -> None:
    refused = ask(address=address)
    assert refused.status_code == 403 and b"dynostats" not in refused.content


@pytest.mark.parametrize("header", ["X-Forwarded-For", "Forwarded", "X-Real-IP", "Via"])
def test_nor_who_comes_through_a_proxy_on_this_machine(header: str, directory: Path) -> None:
    assert ask(**{header: "192.0.2.1"}).status_code == 403


def test_with_a_token_only_who_has_it_wherever_they_are(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(monkeypatch, directory, metrics_token=TOKEN)
    assert ask(address="192.0.2.1", authorization=f"Bearer {TOKEN}").status_code == 200
    for said in ("", f"Bearer {TOKEN}x", f"bearer {TOKEN[:-1]}", TOKEN, "Bearer ", "Bearer \xff"):
        refused = ask(authorization=said)
        assert refused.status_code == 401 and b"dynostats" not in refused.content
        assert refused.headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_they_are_only_read(method: str, directory: Path) -> None:
    assert ask(method).status_code == 405
