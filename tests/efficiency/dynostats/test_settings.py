"""`settings.DYNOSTATS` of any Django site: what it may say, and which sinks come of it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from calotype.efficiency.dynostats import Prometheus, Segments, Several
from calotype.efficiency.dynostats.otlp import Otlp
from calotype.efficiency.dynostats.settings import sink, told


@pytest.fixture(autouse=True)
def forget_what_was_told() -> Any:
    told.cache_clear()
    yield
    told.cache_clear()


def kinds(of: object) -> set[type]:
    return {type(each) for each in of._sinks} if isinstance(of, Several) else {type(of)}


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({}, {Segments, Prometheus}),
        ({"prometheus": False}, {Segments}),
        ({"segments": False, "prometheus": False}, set()),
        ({"otlp": "http://collector:4318"}, {Segments, Prometheus, Otlp}),
        ({"otlp": "https://host/prefix", "segments": False, "prometheus": False}, {Otlp}),
    ],
)
def test_sinks_are_named_by_settings(
    said: dict[str, object], expected: set[type], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, "DYNOSTATS", {"directory": tmp_path, **said})
    assert kinds(sink(told())) == expected


@pytest.mark.parametrize(
    ("said", "complaint"),
    [
        ({"otlp": "collector:4318"}, "otlp must be the http"),
        ({"otlp": "http://user:secret@host"}, "without user and password"),
        ({"metrics_token": "short"}, "16 or more"),
        ({"metrics_token": "with a space in it"}, "16 or more"),
        ({"sinks": ["segments"]}, "sinks"),
        ({"prometheus": "yes"}, "prometheus"),
    ],
)
def test_what_cannot_be_is_refused_with_what_is_wrong(
    said: dict[str, object], complaint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, "DYNOSTATS", {"directory": tmp_path, **said})
    with pytest.raises(ImproperlyConfigured, match=complaint) as caught:
        told()
    assert "secret" not in str(caught.value)


def test_a_site_without_the_extra_is_told_what_it_lacks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, "DYNOSTATS", {"directory": tmp_path, "otlp": "http://collector:4318"})
    monkeypatch.delitem(sys.modules, "calotype.efficiency.dynostats.otlp", raising=False)
    monkeypatch.setitem(sys.modules, "calotype.efficiency.dynostats.collector", None)
    with pytest.raises(ImproperlyConfigured, match=r"calotype\[otlp\]"):
        sink(told())
