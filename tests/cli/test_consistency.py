"""`calotype consistency` as a program, on a site of two regions."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from calotype.cli.consistency import _text
from calotype.config.site import Site as Configuration
from calotype.config.site import read, save
from calotype.infra.cache import Cache, Key
from calotype.infra.invalidation import decode_position, key_space, position_key
from calotype.infra.tao.consistency import Inconsistency, Report
from calotype.infra.tao.keys import object_key
from tests.running_site import RunningSite, running_site
from tests.site import root

pytestmark = pytest.mark.memcached


@pytest.fixture(scope="module")
def site() -> Iterator[RunningSite]:
    with running_site(root() / "consistency", "--regions", "2", "--workers", "1", "--no-demo") as running:
        yield running


def test_a_site_at_rest_is_consistent(site: RunningSite) -> None:
    done = site.calotype("consistency", "--minutes", "0.03", check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "seconds: 1 of 1" in done.stdout
    assert "nines" in done.stdout
    assert "does not follow" not in done.stdout


def test_a_stale_entry_in_one_region_is_found_and_named(site: RunningSite) -> None:
    """Written after the region's own delete, as by a worker without a lease."""
    log, dsn = next(iter(read(site.data).servers.items()))
    id_ = new_object(dsn)
    stop = threading.Event()
    meddling = threading.Thread(target=meddle, args=(site, log, dsn, id_, stop))
    meddling.start()
    try:
        done = site.calotype("consistency", "--minutes", "0.06", "--json", check=False)
    finally:
        stop.set()
        meddling.join()
    assert done.returncode == 1, done.stderr
    report: dict[str, Any] = json.loads(done.stdout)
    assert list(report) == ["checked", "scales", "inconsistencies"]
    (scale,) = report["scales"]
    assert list(scale) == ["after_s", "checked", "stale", "nines"]
    assert scale["after_s"] == 1
    assert scale["stale"] == len(report["inconsistencies"]) > 0
    for one in report["inconsistencies"]:
        assert (one["log"], one["region"], one["what"]) == (log, "b", f"object {id_}")
        assert one["problem"] in ("older version", "absent in the cache")
        assert one["age_s"] >= 1


def new_object(dsn: str) -> int:
    with psycopg.connect(dsn, autocommit=True) as connection:
        row = connection.execute(
            'insert into calotype.objects select shard, next_ids, 1, \'{"username": "x"}\', 1, 1, 1'
            " from (select min(shard) as shard from (select substr(nspname, 2)::int as shard from pg_namespace"
            "  where nspname ~ '^s[0-9]{4}$') s) s, calotype.next_ids(shard, 1) returning id"
        ).fetchone()
        assert row is not None
        return int(row[0])


def meddle(site: RunningSite, log: str, dsn: str, id_: int, stop: threading.Event) -> None:
    """Write a row again and again, and put "there is none" back into the cache of region b each time."""

    async def until_stopped() -> None:
        cache = Cache(read(site.data).regions["b"].memcached)
        key = await key_of(cache, log, id_)
        with psycopg.connect(dsn, autocommit=True) as connection:
            while not stop.is_set():
                connection.execute("update calotype.objects set version = version + 1 where id = %s", (id_,))
                until = time.monotonic() + 1.5
                while time.monotonic() < until:
                    await cache.set(key, b"\x01")
                    await asyncio.sleep(0.01)
        await cache.delete([key])
        await cache.close()

    asyncio.run(until_stopped())


async def key_of(cache: Cache, log: str, id_: int) -> Key:
    (value,) = await cache.get_everywhere(position_key(log))
    position = decode_position(value)
    assert position is not None
    return object_key(key_space(log, position.generation).encode(), id_)


def test_without_memcached_there_is_nothing_to_compare(site: RunningSite, tmp_path: Path) -> None:
    known = read(site.data)
    save(tmp_path, Configuration("secret", known.servers, known.databases))
    bare = RunningSite(tmp_path, site.port)
    plain = bare.calotype("consistency", check=False)
    assert (plain.returncode, plain.stderr) == (0, "")
    assert "no region of this site has memcached" in plain.stdout
    as_json = bare.calotype("consistency", "--json", check=False)
    assert as_json.returncode == 0
    assert json.loads(as_json.stdout) == {"checked": 0, "scales": [], "inconsistencies": []}


def test_the_text_names_each_entry_with_its_versions_and_times() -> None:
    report = Report([1.0, 60.0, 300.0])
    report.scales[1.0].checked = 2_000
    report.scales[60.0].checked = 100
    report.found(
        Inconsistency(
            log="pg-1",
            region="b",
            kind="list",
            what="list of follows of 7",
            key="l:x:7:1",
            problem="older version",
            after_s=60.0,
            age_s=60.04,
            written_version=6,
            cached_version=4,
            primary_version=9,
            committed_ms=1_800_000_000_123,
            seen_ms=1_800_000_060_163,
        )
    )
    report.absent = 12
    report.unfollowed = [("b", "sessions")]
    lines = _text(report).splitlines()
    assert [line.split() for line in lines[:4]] == [
        ["after", "compared", "stale", "nines"],
        ["1", "s", "2,000", "0", "≥", "3.3"],
        ["1", "min", "100", "1", "2.0"],
        ["5", "min", "0", "0", "–"],
    ]
    assert lines[4].startswith("12 looks found no entry")
    assert "region b does not follow the log of sessions" in lines[5]
    assert lines[6] == (
        "region b, pg-1: list of follows of 7 (l:x:7:1): older version (versions: 4 in the cache, 9 on the primary, "
        "6 known before); committed 08:00:00.123 UTC, seen 08:01:00.163 UTC, 60.0 s later"
    )
