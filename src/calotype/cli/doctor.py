"""`calotype doctor`: what this machine has for a site, what it lacks, and what can be done about it."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections.abc import Iterator

import click
import msgspec

from calotype.cli import test_engines
from calotype.cli.options import data_option
from calotype.cli.places import Places, tools
from calotype.efficiency import meter
from calotype.infra.engines import cassandra, versitygw

FREE_BYTES = 2 << 30
"""Less disk than this is not much for a site: its databases, photographs and logs."""

MEMORY_BYTES = 2 << 30


class Finding(msgspec.Struct, frozen=True):
    """`needed`: without it the site does not start."""

    topic: str
    name: str
    ok: bool
    detail: str
    needed: bool = False


@click.command()
@data_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON array of findings.")
def doctor(places: Places, as_json: bool) -> None:
    """What this machine has for a site, and why it lacks the rest.

    Looks only; nothing is started, installed or changed. Exit status: 0 the site can run here, 1 it cannot.

    \b
    Examples:
      ./calotype doctor
      ./calotype doctor --json | jq '.[] | select(.ok | not)'
    """
    findings = list(examine(places))
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(findings), indent=2))
    else:
        click.echo(_text(findings))
    sys.exit(1 if any(one.needed and not one.ok for one in findings) else 0)


def examine(places: Places) -> Iterator[Finding]:
    yield from _machine(places)
    yield from _counters()
    yield from _engines()


def _machine(places: Places) -> Iterator[Finding]:
    def found(name: str, ok: bool, detail: str, *, needed: bool = False) -> Finding:
        return Finding("machine", name, ok, detail, needed)

    yield found("Python", sys.version_info >= (3, 12), platform.python_version(), needed=True)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    yield found("cores", True, f"{cores} for this process")
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    yield found("memory", memory >= MEMORY_BYTES, f"{memory / 2**30:.1f} GB")
    nearest = next(path for path in (places.data, *places.data.parents) if path.exists())
    writable = nearest.is_dir() and os.access(nearest, os.W_OK)
    yield found(
        "data directory", writable, f"{places.data}{'' if writable else ': cannot be written'}", needed=True
    )
    free = shutil.disk_usage(nearest).free
    yield found("free disk", free >= FREE_BYTES, f"{free / 2**30:.1f} GB at {nearest}")


def _counters() -> Iterator[Finding]:
    """What requests are metered in; the first that works is taken."""
    counters = meter.available()
    taken = next(one.name for one in counters if one.refusal is None)
    for one in counters:
        use = (
            "requests are metered in it" if one.name == taken else "works; not taken, since a better one does"
        )
        yield Finding("CPU counters", f"{one.name} ({one.unit})", one.refusal is None, one.refusal or use)


def _engines() -> Iterator[Finding]:
    """None of them is needed: PostgreSQL comes with the program, and the others have something that stands in for them."""

    def found(name: str, place: str | None, otherwise: str) -> Finding:
        return Finding("engines", name, place is not None, place or otherwise)

    yield found(
        "memcached",
        _memcached(),
        "not on PATH: the site runs without a cache, slower (`apt install memcached`)",
    )
    yield found(
        "RabbitMQ",
        shutil.which("rabbitmq-server"),
        "not on PATH: background jobs lie in PostgreSQL (`apt install rabbitmq-server`)",
    )
    yield found(
        "Cassandra",
        _cassandra(),
        "not fetched: timelines lie in PostgreSQL (`calotype engines start cassandra`)",
    )
    gateway = versitygw.binary(tools())
    yield found(
        "S3 server",
        str(gateway) if gateway else None,
        "not built: blobs lie in a directory (`calotype engines start s3`)",
    )
    yield found(
        "Chromium",
        test_engines.chromium(),
        "not on PATH: browser tests are left out (`apt install chromium`)",
    )


def _memcached() -> str | None:
    return shutil.which(os.environ.get("CALOTYPE_MEMCACHED_BIN") or "memcached")


def _cassandra() -> str | None:
    java = cassandra.java()
    if java is None or not cassandra.fetched(tools()):
        return None
    return f"with {java}"


def _text(findings: list[Finding]) -> str:
    width = max(len(one.name) for one in findings)
    lines: list[str] = []
    topic = ""
    for one in findings:
        if one.topic != topic:
            topic = one.topic
            lines += [*([""] if lines else []), topic]
        mark = "ok" if one.ok else "MISSING" if one.needed else "-"
        lines.append(f"  {one.name:{width}}  {mark:7}  {one.detail}")
    return "\n".join(lines)
