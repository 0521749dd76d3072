"""`calotype status`: what runs, by what the supervisor wrote, checked against the processes themselves."""

from __future__ import annotations

import contextlib
import sys
import time
from datetime import UTC, datetime

import click
import msgspec

from calotype.cli import state
from calotype.cli.health import Health, probe
from calotype.cli.options import data_option
from calotype.cli.places import Places
from calotype.cli.process import Process, alive

UNHEALTHY = 1
NOT_RUNNING = 3

SAID_LATELY_S = 10.0
"""What an invalidator said longer ago says nothing of now."""


class Lag(msgspec.Struct):
    """How far an invalidator is behind its log: what it has not applied yet, and for how long the oldest of it waits."""

    lag_bytes: int
    lag_s: float
    last_error: str


class Report(msgspec.Struct):
    """What `--json` prints. `children` as in state.json, except that a process that is gone has no `pid`.

    `url` and `health` are those of the first region; `regions` has the same of each, and the addresses of its cache.
    """

    running: bool
    url: str | None
    data: str
    phase: str
    supervisor: int | None
    children: list[dict[str, object]]
    health: dict[str, object]
    regions: list[dict[str, object]] = []


@click.command()
@data_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def status(places: Places, as_json: bool) -> None:
    """What runs, where, and whether it is healthy.

    Exit status: 0 running and healthy (in every region), 1 running but not healthy, 3 not running.

    \b
    Examples:
      ./calotype status
      ./calotype status --json | jq .health
    """
    report = examine(places)
    click.echo(msgspec.json.format(msgspec.json.encode(report), indent=2) if as_json else _text(report))
    sys.exit(exit_status(report))


def examine(places: Places) -> Report:
    """Look at the processes and ask the site once. Changes nothing."""
    process = state.supervisor(places)
    known = state.read(places)
    if process is None or known is None or known.supervisor != process:
        phase = "starting" if process is not None else "stopped"
        return Report(process is not None, None, str(places.data), phase, _pid(process), [], _health(None))
    lags = _lags(places, known.regions)
    children = [_child(child, lags.get(child.name)) for child in known.children]
    regions = [_region(region, known.phase) for region in known.regions]
    health = regions[0]["health"] if regions else _health(None)
    assert isinstance(health, dict)
    return Report(True, known.url, str(places.data), known.phase, process.pid, children, health, regions)


def exit_status(report: Report) -> int:
    if not report.running:
        return NOT_RUNNING
    return 0 if report.health["ok"] and all(_ok(region) for region in report.regions) else UNHEALTHY


def _region(region: state.RegionState, phase: state.Phase) -> dict[str, object]:
    health = probe(region.url) if phase == "running" else None
    return {"name": region.name, "url": region.url, "memcached": region.memcached, "health": _health(health)}


def _ok(region: dict[str, object]) -> bool:
    return isinstance(region["health"], dict) and bool(region["health"]["ok"])


def _lags(places: Places, regions: list[state.RegionState]) -> dict[str, Lag]:
    """How far behind its log each invalidator says that it is, by the name of its process."""
    found: dict[str, Lag] = {}
    for at, region in enumerate(regions):
        for path in places.run.glob(f"invalidator-*-{region.name}.json"):
            with contextlib.suppress(OSError, msgspec.DecodeError):
                if time.time() - path.stat().st_mtime < SAID_LATELY_S:
                    log = path.stem.removesuffix(f"-{region.name}")
                    name = path.stem if at else log
                    found[name] = msgspec.json.decode(path.read_bytes(), type=Lag)
    return found


def _child(child: state.ChildState, lag: Lag | None) -> dict[str, object]:
    lives = child.process is not None and alive(child.process)
    told = {} if lag is None or not lives else {"lag": msgspec.to_builtins(lag)}
    return told | {
        "name": child.name,
        "pid": _pid(child.process) if lives else None,
        "state": child.state if lives or child.state in ("waiting", "stopped") else "ended",
        "restarts": child.restarts,
        "since": datetime.fromtimestamp(child.since, UTC).isoformat(timespec="seconds"),
    }


def _health(health: Health | None) -> dict[str, object]:
    if health is None:
        return {"ok": False, "status": 0, "detail": "not asked: it is not up"}
    return {"ok": health.ok, "status": health.status, "detail": health.detail}


def _pid(process: Process | None) -> int | None:
    return process.pid if process is not None else None


def _text(report: Report) -> str:
    if not report.running:
        return f"Calotype is not running (data {report.data}). `./calotype up` starts it."
    lines = [
        f"Calotype is {report.phase} at {report.url or '(no address yet)'}, {_health_text(report.health)}",
        *(
            f"  region {one['name']} at {one['url']}, {_health_text(one['health'])}"
            for one in report.regions[1:]
        ),
        f"  data        {report.data}",
        f"  cache       {_cache_text(report.regions)}",
        f"  supervisor  process {report.supervisor}",
    ]
    width = max((len(str(child["name"])) for child in report.children), default=0)
    lines += [_child_text(child, max(10, width)) for child in report.children]
    return "\n".join(lines)


def _health_text(health: object) -> str:
    assert isinstance(health, dict)
    return "healthy" if health["ok"] else f"not healthy: {health['detail']}"


def _cache_text(regions: list[dict[str, object]]) -> str:
    said = [
        ", ".join(map(str, addresses)) for one in regions if isinstance(addresses := one["memcached"], tuple)
    ]
    return (
        "; ".join(one or "none: pages come without it, slower and as correct" for one in said)
        or "not known yet"
    )


def _child_text(child: dict[str, object], width: int) -> str:
    since = datetime.fromisoformat(str(child["since"])).timestamp()
    pid = f"process {child['pid']}" if child["pid"] else "no process"
    line = f"  {child['name']:{width}}  {child['state']:9} {pid:16} for {_duration(time.time() - since)}, restarts {child['restarts']}"
    return line + _lag_text(child.get("lag"))


def _lag_text(lag: object) -> str:
    """Said only when there is something to say: an invalidator that keeps up is like any other process."""
    if not isinstance(lag, dict) or lag["lag_s"] < 1:
        return ""
    return (
        f", {lag['lag_s']:.0f} s and {lag['lag_bytes']:,} bytes behind: {lag['last_error'] or 'catching up'}"
    )


def _duration(seconds: float) -> str:
    whole = max(0, int(seconds))
    days, hours, minutes = whole // 86400, whole // 3600 % 24, whole // 60 % 60
    if days:
        return f"{days} d {hours} h"
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {whole % 60} s" if minutes else f"{whole} s"
