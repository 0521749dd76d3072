"""`calotype graph` and `calotype shards` as programs, on a site of their own."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from calotype import cli
from calotype.config.site import Site as Configuration
from calotype.config.site import read, save
from calotype.infra.tao import Graph
from calotype.product.graph_types import FOLLOWED_BY, FOLLOWS
from tests.conftest import NewSite
from tests.infra.tao.conftest import graph_of
from tests.site import Site

SOURCE = Path(cli.__file__).parents[2]


@pytest.fixture
async def site(new_site: NewSite) -> Site:
    return await new_site("together")


@pytest.fixture
def data(site: Site, tmp_path: Path) -> Path:
    save(tmp_path, Configuration("secret", site.servers, site.databases, logical_shards=8))
    return tmp_path


async def calotype(data: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"CALOTYPE_DATA": str(data), "PYTHONPATH": str(SOURCE)}
    command = [sys.executable, "-P", "-m", "calotype.cli", *words]
    return await asyncio.to_thread(
        subprocess.run, command, capture_output=True, text=True, env=environment, check=False, timeout=60
    )


async def break_something(graph: Graph) -> None:
    """One follow whose inverse is lost with its count, and one whose count alone is wrong."""
    (one,), (other,) = await graph.shards.next_ids(0), await graph.shards.next_ids(1)
    await graph.assoc_add(FOLLOWS, one, other)
    await graph.assoc_add(FOLLOWS, other, one)
    there, here = graph.shards.pool("people", 1), graph.shards.pool("people", 0)
    await there.write("delete from associations where id1 = $1 and atype = $2", other, FOLLOWED_BY.number)
    await there.write(
        "update association_counts set count = 0 where id1 = $1 and atype = $2", other, FOLLOWED_BY.number
    )
    await here.write(
        "update association_counts set count = 9 where id1 = $1 and atype = $2", one, FOLLOWED_BY.number
    )


async def test_a_whole_graph_is_reported_as_such(data: Path) -> None:
    done = await calotype(data, "graph", "check")
    assert done.returncode == 0, done.stderr
    assert "nothing is wrong" in done.stdout


async def test_a_broken_graph_is_an_exit_status_until_it_is_mended(site: Site, data: Path) -> None:
    async with graph_of(site) as graph:
        await break_something(graph)
    found = await calotype(data, "graph", "check")
    assert found.returncode == 1
    assert "1 edges whose inverse is missing" in found.stdout
    assert "1 lists whose count is wrong" in found.stdout
    assert "graph check --repair" in found.stdout
    mended = await calotype(data, "graph", "check", "--repair", "--json")
    assert mended.returncode == 0
    report: dict[str, Any] = json.loads(mended.stdout)
    assert (report["wrong"], report["repaired"]) == (2, 2)
    after = await calotype(data, "graph", "check", "--json")
    assert after.returncode == 0
    assert json.loads(after.stdout)["wrong"] == 0


async def test_the_list_names_every_shard_with_its_server_and_size(site: Site, data: Path) -> None:
    listed = await calotype(data, "shards", "list", "--json")
    rows = json.loads(listed.stdout)
    assert [row["shard"] for row in rows] == list(range(8))
    assert {row["server"] for row in rows} == set(site.servers)
    assert rows[3]["schema"] == "s0003"
    assert rows[3]["partitions"] == ["people", "media", "likes", "comments"]
    assert all(row["bytes"] > 0 for row in rows)
    plain = await calotype(data, "shards", "list")
    heading, *lines = plain.stdout.splitlines()
    assert heading.split("\t")[:4] == ["shard", "partitions", "server", "schema"]
    assert len(lines) == 8
    assert lines[3].split("\t")[:4] == ["3", "all", "pg-2", "s0003"]


async def test_a_server_that_is_down_is_listed_without_sizes(site: Site, data: Path, tmp_path: Path) -> None:
    down = site.servers | {"pg-2": f"postgresql://nobody@/none?host={tmp_path}"}
    save(data, Configuration("secret", down, site.databases, logical_shards=8))
    rows = json.loads((await calotype(data, "shards", "list", "--json")).stdout)
    assert {row["server"] for row in rows if row["bytes"] is None} == {"pg-2"}
    assert {row["server"] for row in rows if row["bytes"] is not None} == {"pg-1"}


async def test_new_shards_are_placed_and_migrated_and_old_ones_left_alone(site: Site, data: Path) -> None:
    assert "up to date" in (await calotype(data, "shards", "migrate")).stdout
    before = read(data)
    save(data, Configuration("secret", before.servers, before.databases, logical_shards=10))
    done = await calotype(data, "shards", "migrate")
    assert done.returncode == 0, done.stderr
    rows = json.loads((await calotype(data, "shards", "list", "--json")).stdout)
    assert [row["shard"] for row in rows] == list(range(10))
    connection = await asyncpg.connect(site.servers["pg-2"])
    assert await connection.fetchval("select to_regclass('s0009.objects') is not null")
    await connection.close()
