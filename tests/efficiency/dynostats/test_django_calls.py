"""What a view asks databases and caches is counted for its request; each in a process of its own, with its own settings."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from tests.running_site import SOURCE

SITE = """
import asyncio, json
import django
from django.conf import settings
settings.configure(
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    CACHES={"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}},
)
django.setup()
from django.core.cache import cache, caches
from django.db import connection
from calotype.efficiency.dynostats import django_calls
from calotype.efficiency.meter import Account, Meter, counter
with connection.cursor() as cursor:
    cursor.execute("create table t (n int)")
django_calls.install()
django_calls.install()
meter = Meter(counter())
meter.install()
account = Account()
"""
SYNCHRONOUS = """
with meter.thread(account):
    with connection.cursor() as cursor:
        cursor.execute("insert into t values (1)")
        cursor.executemany("insert into t values (%s)", [(1,), (2,)])
        cursor.execute("select n from t")
    cache.set("a", 1)
    cache.get_many(["a", "b"])
    try:
        cache.incr("missing")
    except ValueError:
        pass
"""
ASYNCHRONOUS = """
async def view():
    await cache.aset("a", 1)
    assert await cache.aget("a") == 1
asyncio.run(meter.run(account, view()))
"""
TOLD = """
calls = meter.close(account).calls
print(json.dumps({name: [one.times, one.took_ns > 0] for name, one in calls.items()}))
"""


def told(view: str) -> Any:
    ran = subprocess.run(
        [sys.executable, "-P", "-c", SITE + view + TOLD],
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(ran.stdout)


@pytest.mark.parametrize(
    ("view", "calls"),
    [
        (SYNCHRONOUS, {"sqlite": [3, True], "cache": [3, True]}),
        (ASYNCHRONOUS, {"cache": [2, True]}),
    ],
    ids=["synchronous", "asynchronous"],
)
def test_calls_are_counted_once_each(view: str, calls: dict[str, list[object]]) -> None:
    assert told(view) == calls
