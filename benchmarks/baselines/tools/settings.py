"""`BENCH_TOOL` says which tool; `watching` starts those that need more than settings."""

import os
from pathlib import Path
from typing import Any

from benchmarks.baselines import settings as _shared
from benchmarks.baselines.settings import *  # noqa: F403

TOOL = os.environ["BENCH_TOOL"]
ROOT_URLCONF = "benchmarks.baselines.tools.urls"

_OURS = ["calotype.efficiency.dynostats.django.Dynostats"]
MIDDLEWARE = {
    "dynostats": _OURS,
    "dynostats, 1 in 100": _OURS,
    "django-silk": ["silk.middleware.SilkyMiddleware"],
    "django-prometheus": [
        "django_prometheus.middleware.PrometheusBeforeMiddleware",
        "django_prometheus.middleware.PrometheusAfterMiddleware",
    ],
}.get(TOOL, [])
_APPS = {"django-silk": ["silk"], "django-prometheus": ["django_prometheus"]}.get(TOOL, [])
INSTALLED_APPS = [*_shared.INSTALLED_APPS, *_APPS]

DYNOSTATS: dict[str, Any] = {
    "directory": Path(os.environ["BENCH_DYNOSTATS"]),
    "sampling": {"one_in": 100, "meter": "sampled"} if TOOL == "dynostats, 1 in 100" else {},
}
TEMPLATES = [{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}]
"""Of silk's own pages, which nobody opens here."""
