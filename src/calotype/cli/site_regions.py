"""The regions of a site: which there are, where each answers, and what the supervisor runs for each.

With embedded PostgreSQL all regions run on this machine, each further one on standbys of the embedded clusters. With
servers of one's own this machine runs one region, that of CALOTYPE_REGION, and the file says what the others are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

import msgspec

from calotype.cli.places import Places
from calotype.cli.site_processes import clusters, url_of
from calotype.cli.site_setup import ServerUnusable, Wanted, socket_parameter
from calotype.cli.state import RegionState
from calotype.config.site import FILE, FIRST_REGION, ConfigInvalid, Region, Site, Web, region_name, save
from calotype.infra.engines import memcached
from calotype.infra.engines.memcached import Memcached
from calotype.infra.engines.standby import Standby

NAMES = (FIRST_REGION, "b")
"""What regions are called that the command line makes."""

HOW_TO_GET_A_CACHE = "memcached is not on PATH: pages come without a cache. Debian, Ubuntu: apt install memcached; the next `up` uses it"


@dataclass(frozen=True)
class RegionHere:
    """A region that this supervisor runs. `site` is what its processes see: `web` is its own."""

    name: str
    suffix: str
    """Of the names of its processes; empty for the first of them."""
    site: Site
    standbys: tuple[Standby, ...]
    memcached: Memcached | None

    @property
    def caches(self) -> bool:
        return bool(self.site.regions[self.name].memcached)

    def state(self) -> RegionState:
        return RegionState(self.name, url_of(self.site.web), self.site.regions[self.name].memcached)


def webs(site: Site | None, wanted: Wanted, first: Web) -> dict[str, Web]:
    """Where each region that runs here will answer; `first` is the web server of the first region.

    Raises `ConfigInvalid` for regions that cannot be run, and for a port that is none.
    """
    if wanted.postgres or (site is not None and not site.embedded_postgres):
        _require_embedded(wanted)
    names = _names(site, wanted)
    known = site.regions if site else {}
    ports = {name: _port(known.get(name, Region()), first.port + at, wanted) for at, name in enumerate(names)}
    for name, port in ports.items():
        if port > 65535:
            raise ConfigInvalid(f"region {name} would have the port {port}: choose a smaller --port")
    here = names if site is None or site.embedded_postgres else [region_name(site)]
    return {name: msgspec.structs.replace(first, port=ports[name]) for name in here}


def arrange(places: Places, site: Site, wanted: Wanted) -> Site:
    """Bring the regions in the file to what is wanted and what is here, and write it if that changed anything.

    A region that is wanted no more loses its standbys and their slots. The clusters must run.
    """
    names = _names(site, wanted)
    for name in site.regions:
        if name not in names:
            for standby in standbys(places, name):
                standby.remove()
    known = {name: site.regions.get(name, Region()) for name in names}
    corrected = msgspec.structs.replace(
        site, regions={name: _corrected(places, site, name, one) for name, one in known.items()}
    )
    if corrected != site:
        save(places.data, corrected)
    return corrected


def here(places: Places, site: Site, at: Mapping[str, Web]) -> list[RegionHere]:
    """What this supervisor runs for each region of `webs`; `site` as `arrange` has left it."""
    first = next(iter(site.regions))
    cached = site.embedded_memcached and memcached.binary() is not None
    return [
        RegionHere(
            name,
            "" if place == 0 else f"-{name}",
            msgspec.structs.replace(site, web=web),
            () if name == first or not site.embedded_postgres else tuple(standbys(places, name)),
            _memcached(places, site, name) if cached else None,
        )
        for place, (name, web) in enumerate(at.items())
    ]


def standbys(places: Places, name: str) -> list[Standby]:
    """The embedded standbys of a region that is not the first."""
    return [
        Standby(f"{cluster.name}-{name}", places.cluster(f"{cluster.name}-{name}"), primary=cluster)
        for cluster in clusters(places)
    ]


def forget_consumers(region: RegionHere) -> None:
    """Drop the logical slots of a region that has no cache any more: nobody reads them, and each holds back log.

    Raises `ServerUnusable`. A slot that is made later begins a new generation of keys, so nothing that is cached now is ever believed again.
    """
    import psycopg

    drop = (
        b"SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots"
        b" WHERE starts_with(slot_name, %s) AND database = current_database() AND NOT active"
    )
    for log, dsn in (region.site.regions[region.name].standbys or region.site.logs).items():
        try:
            with psycopg.connect(dsn, autocommit=True, connect_timeout=10) as connection:
                connection.execute(drop, [f"calotype_{region.name}_"])
        except psycopg.Error as error:
            raise ServerUnusable(f"cannot drop the slots of the log {log}: {str(error).strip()}") from error


def _require_embedded(wanted: Wanted) -> None:
    if wanted.regions is not None and wanted.regions > 1:
        raise ConfigInvalid(
            f"--regions {wanted.regions} makes standbys of the embedded PostgreSQL, and this site has servers of its"
            f" own: write their standbys under [regions.{NAMES[1]}.standbys] in {FILE}, and run that region with"
            f" CALOTYPE_REGION={NAMES[1]}"
        )


def _names(site: Site | None, wanted: Wanted) -> list[str]:
    """The regions that the file will have. Those of servers of one's own are written by hand, and stay."""
    known = list(site.regions) if site else []
    names = known + [name for name in NAMES if name not in known]
    if site is not None and not site.embedded_postgres:
        return known or names[:1]
    return names[: wanted.regions or max(1, len(known))]


def _port(known: Region, default: int, wanted: Wanted) -> int:
    return default if wanted.port is not None else known.port or default


def _memcached(places: Places, site: Site, name: str) -> Memcached:
    suffix = "" if name == next(iter(site.regions), NAMES[0]) else f"-{name}"
    return Memcached(f"memcached{suffix}", places.memcached, site.memcached_mb)


def _corrected(places: Places, site: Site, name: str, known: Region) -> Region:
    """The addresses of what is embedded, which move with the data directory."""
    if site.embedded_memcached and (site.embedded_postgres or name == region_name(site)):
        server = _memcached(places, site, name)
        found = (str(server.socket),) if memcached.binary() else ()
        known = msgspec.structs.replace(known, memcached=found)
    if site.embedded_postgres and name != next(iter(site.regions), NAMES[0]):
        known = msgspec.structs.replace(known, standbys=_standby_dsns(places, site, name, known))
    return known


def _standby_dsns(places: Places, site: Site, name: str, known: Region) -> dict[str, str]:
    made = {socket_parameter(standby.primary.dsn()): standby for standby in standbys(places, name)}
    dsns = dict(known.standbys)
    for log, dsn in site.logs.items():
        if (standby := made.get(socket_parameter(dsn))) is not None:
            dsns[log] = standby.dsn(urlsplit(dsn).path.lstrip("/"))
        elif log not in dsns:
            raise ConfigInvalid(
                f"[servers] of {FILE} names {log}, which the supervisor does not run: add its standby by hand under"
                f" [regions.{name}.standbys] first"
            )
    return dsns
