"""`calotype shards`: where the logical shards live, and bringing them up to date."""

from __future__ import annotations

import asyncio
import sys

import click
import msgspec

from calotype.cli.bars import Bar
from calotype.cli.options import data_option
from calotype.cli.places import Places
from calotype.config.site import Site, read
from calotype.infra.partitions import PARTITIONS
from calotype.infra.shards import Pool, Shards, schema_name
from calotype.infra.shards.migrations import migrate as migrate_all
from calotype.infra.shards.placement import place_on
from calotype.std.errors import Unavailable

COUNTED_ROWS = 100_000
"""A table up to about this size is counted; of a larger one the server's estimate is close enough, and free."""

_SIZES = """
select n.nspname as schema,
    sum(pg_total_relation_size(c.oid))::bigint as bytes,
    max(c.reltuples) filter (where c.relname = 'objects') as objects,
    max(c.reltuples) filter (where c.relname = 'associations') as associations
from pg_namespace n join pg_class c on c.relnamespace = n.oid and c.relkind = 'r'
where n.nspname = any($1::text[]) group by n.nspname
"""
_COUNT = "select count(*) from (select from {table} limit $1) t"


class ShardRow(msgspec.Struct, frozen=True):
    """One logical shard on one server. Large numbers of rows are estimates; None: its server does not answer."""

    shard: int
    partitions: list[str]
    server: str
    schema: str
    bytes: int | None
    objects: int | None
    associations: int | None


@click.group()
def shards() -> None:
    """Logical shards: where they live, how large they are; place and migrate new ones."""


@shards.command("list")
@data_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON array.")
def list_(places: Places, as_json: bool) -> None:
    """Every logical shard with its server, its schema and its size.

    \b
    Examples:
      ./calotype shards list
      ./calotype shards list --json | jq 'map(.bytes) | add'
    """
    rows = asyncio.run(_rows(read(places.data)))
    if as_json:
        click.echo(msgspec.json.encode(rows).decode())
    elif sys.stdout.isatty():
        _print_table(rows)
    else:
        click.echo("\t".join(HEADINGS))
        for row in rows:
            click.echo("\t".join(_cells(row)))


@shards.command()
@data_option
def migrate(places: Places) -> None:
    """Give new logical shards a server and bring all of them up to date.

    `calotype up` does this by itself. Raise `logical_shards` in calotype.toml, or name another server there, and run
    this while the site runs: shards that have a server stay where they are. An interrupted run goes on where it stopped.
    """
    steps = asyncio.run(_migrate(read(places.data)))
    click.echo(f"{steps:,} migrations done" if steps else "up to date")


async def _migrate(site: Site) -> int:
    numbers = range(site.logical_shards)
    placement = await place_on(site.control_dsn, PARTITIONS, numbers, sorted(site.servers))
    with Bar("migrations") as bar:
        return await migrate_all(placement, site.servers, bar.update)


async def _rows(site: Site) -> list[ShardRow]:
    async with Shards(site.control_dsn, site.servers) as entered:
        return await _shard_rows(entered)


async def _shard_rows(entered: Shards) -> list[ShardRow]:
    partitions: dict[tuple[int, str], list[str]] = {}
    for partition, placed in entered.placement.servers.items():
        for shard, server in placed.items():
            partitions.setdefault((shard, server), []).append(partition)
    sizes = {
        name: await _sizes(pool, [shard for shard, server in partitions if server == name])
        for name, pool in entered.pools.items()
    }
    return [
        ShardRow(
            shard,
            sorted(some, key=PARTITIONS.index),
            server,
            schema_name(shard),
            *sizes[server].get(shard, UNKNOWN),
        )
        for (shard, server), some in sorted(partitions.items())
    ]


UNKNOWN = (None, None, None)


async def _sizes(pool: Pool, on_it: list[int]) -> dict[int, tuple[int, int, int]]:
    """shard -> (bytes, objects, associations); nothing when the server is down: the rest is still worth a look."""
    try:
        rows = await pool.fetch(_SIZES, [schema_name(shard) for shard in on_it])
        return {
            int(row["schema"][1:]): (
                row["bytes"],
                await _count(pool, f"{row['schema']}.objects", row["objects"]),
                await _count(pool, f"{row['schema']}.associations", row["associations"]),
            )
            for row in rows
        }
    except Unavailable:
        return {}


async def _count(pool: Pool, table: str, estimate: float) -> int:
    if estimate >= COUNTED_ROWS:
        return int(estimate)
    rows = await pool.fetch(_COUNT.format(table=table), COUNTED_ROWS)
    return int(rows[0][0])


HEADINGS = ("shard", "partitions", "server", "schema", "size", "objects", "associations")


def _cells(row: ShardRow) -> list[str]:
    numbers = [_size(row.bytes), _amount(row.objects), _amount(row.associations)]
    partitions = "all" if len(row.partitions) == len(PARTITIONS) else ",".join(row.partitions)
    return [str(row.shard), partitions, row.server, row.schema, *numbers]


def _size(amount: int | None) -> str:
    return "-" if amount is None else f"{amount / 1024:,.0f} KiB"


def _amount(amount: int | None) -> str:
    return "-" if amount is None else f"{amount:,}"


def _print_table(rows: list[ShardRow]) -> None:
    from rich.console import Console  # 60 ms that only a terminal needs to pay
    from rich.table import Table

    table = Table(box=None)
    for heading in HEADINGS:
        table.add_column(
            heading, justify="left" if heading in ("partitions", "server", "schema") else "right"
        )
    for row in rows:
        table.add_row(*_cells(row))
    Console(highlight=False).print(table)
