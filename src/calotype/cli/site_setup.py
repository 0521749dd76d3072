"""The site's file and databases: made at the first start, found at every later one."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal
from urllib.parse import quote, urlsplit

import msgspec

from calotype.cli.places import Places, tools
from calotype.cli.site_processes import clusters, default_workers
from calotype.config.site import FILE, S3, Cassandra, ConfigInvalid, Site, Web, new_secret, read, save
from calotype.infra.engines.cassandra import USER, Ring
from calotype.infra.engines.cassandra import made as made_ring
from calotype.infra.engines.postgres import Cluster
from calotype.infra.engines.versitygw import BUCKET, REGION, Versitygw
from calotype.std.errors import CalotypeError

OLDEST_SERVER = 160000
"""`server_version_num` of PostgreSQL 16."""


S3_PORT = 19070
"""Of a gateway that was not told another."""


class ServerUnusable(CalotypeError):
    code = "server_unusable"


class BrokerBusy(CalotypeError):
    code = "broker_busy"


@dataclass(frozen=True)
class Wanted:
    """What the command line and the environment said; None or empty: nothing."""

    host: str | None = None
    port: int | None = None
    workers: int | None = None
    postgres: tuple[str, ...] = ()
    regions: int | None = None
    broker: str | None = None
    timelines: Literal["postgres", "cassandra"] | None = None
    blobs: Literal["local", "s3"] | None = None


def existing(places: Places) -> Site | None:
    return read(places.data) if (places.data / FILE).exists() else None


def with_wanted(web: Web, wanted: Wanted) -> Web:
    """The web settings of this run: what was said now wins over the file, and is not written to it."""
    said = {"host": wanted.host, "port": wanted.port, "workers": wanted.workers}
    return msgspec.structs.replace(web, **{key: value for key, value in said.items() if value is not None})


def first_web(wanted: Wanted) -> Web:
    return with_wanted(Web(workers=default_workers()), wanted)


def make(places: Places, wanted: Wanted) -> Site:
    """Write the file of a new site. The embedded clusters must have been initialised: it holds their passwords."""
    servers, databases = (
        _existing_servers(wanted.postgres) if wanted.postgres else _embedded(clusters(places))
    )
    site = Site(
        secret_key=new_secret(),
        servers=servers,
        databases=databases,
        web=first_web(wanted),
        embedded_postgres=not wanted.postgres,
    )
    save(places.data, site)
    return site


def check_servers(places: Places, site: Site, wanted: Wanted) -> None:
    """Data does not follow a changed option: raises `ConfigInvalid` when other servers are named than the file has."""
    if wanted.postgres and _existing_servers(wanted.postgres)[0] != site.servers:
        raise ConfigInvalid(
            f"{places.data / FILE} already names the servers of this site, and --postgres names others:"
            " change the file if the data has moved, or take another --data"
        )


def follow_moved_data(places: Places, site: Site) -> Site:
    """If the data directory was moved, the sockets of the embedded clusters did too: correct the file."""
    if not site.embedded_postgres:
        return site
    corrected = site
    for cluster in clusters(places):
        was = socket_parameter(site.servers.get(cluster.name, ""))
        now = socket_parameter(cluster.dsn())
        if was and was != now:
            corrected = _with_socket(corrected, was, now)
    if corrected is not site:
        save(places.data, corrected)
    return corrected


def use_broker(places: Places, site: Site, wanted: Wanted) -> Site:
    """Write the broker that is wanted into the file. Raises `BrokerUnavailable` when it does not answer, and `BrokerBusy`
    when the one before still has jobs, which would wait there for ever."""
    if wanted.broker is None:
        return site
    chosen = msgspec.structs.replace(site, broker="" if wanted.broker == "embedded" else wanted.broker)
    if chosen.broker == site.broker:
        return site
    from calotype.config.jobs import broker_url  # they bring Celery
    from calotype.infra.jobs.broker import Broker

    if chosen.broker:
        Broker(chosen.broker).depths()
    waiting = sum(queue.waiting + (queue.running or 0) for queue in Broker(broker_url(site)).depths())
    if waiting:
        raise BrokerBusy(
            f"{waiting} jobs wait with the broker of before, and nobody would run them there: start the site with it,"
            " wait until `calotype jobs list` shows none, then change it"
        )
    save(places.data, chosen)
    return chosen


def use_timelines(places: Places, site: Site, wanted: Wanted) -> Site:
    """Write what keeps the timelines into the file. Those of before are left: they repeat what the graph says, and expire.

    Raises `CassandraUnusable` for a ring that cannot be made.
    """
    if wanted.timelines is None:
        embedded = site.cassandra is not None and site.cassandra.embedded
        chosen = _with_ring(site, ring(places)) if embedded else site
    elif wanted.timelines == "postgres":
        chosen = msgspec.structs.replace(site, cassandra=None)
    elif site.cassandra is not None and not site.cassandra.embedded:
        chosen = site
    else:
        chosen = _with_ring(site, ring(places))
    if chosen != site:
        save(places.data, chosen)
    return chosen


def use_blobs(places: Places, site: Site, wanted: Wanted, *, first: bool) -> Site:
    """Write where the blobs lie into the file; at the first start only, since they do not move. Raises `ConfigInvalid`."""
    now = "local" if site.s3 is None else "s3"
    if wanted.blobs not in (None, now) and not first:
        raise ConfigInvalid(
            f"the photographs of this site lie in {'a directory' if now == 'local' else 'a bucket'}, and --blobs {wanted.blobs}"
            f" would not move them: copy them first (names stay), then change {places.data / FILE}"
        )
    if wanted.blobs != "s3" and not (site.s3 is not None and site.s3.embedded):
        return site
    if site.s3 is not None and not site.s3.embedded:
        return site
    server = gateway(places)
    s3 = S3(server.endpoint, BUCKET, server.keys.access_key, server.keys.secret_key, REGION, embedded=True)
    if s3 != site.s3:
        site = msgspec.structs.replace(site, s3=s3)
        save(places.data, site)
    return site


def gateway(places: Places) -> Versitygw:
    """The site's own S3, at the port that `calotype engines start s3` was given last."""
    root = places.engine("s3").data
    port = int(path.read_text()) if (path := root / "port").exists() else S3_PORT
    return Versitygw("s3", root, port, tools())


def ring(places: Places) -> Ring:
    """The site's own Cassandra: what `calotype engines start cassandra` has made, else one node."""
    root = places.engine("cassandra").data
    return made_ring(root, tools()) or Ring(root, tools())


def _with_ring(site: Site, ring: Ring) -> Site:
    ring.initialise()
    cassandra = Cassandra(
        tuple(ring.addresses), ring.port, USER, ring.password, replicas=ring.size, embedded=True
    )
    return msgspec.structs.replace(site, cassandra=cassandra)


def socket_parameter(dsn: str) -> str:
    """The parameter of a DSN that says where the socket of its server lies; empty when it has none."""
    found = re.search(r"[?&](host=[^&]*)", dsn)
    return found[1] if found else ""


def create_databases(site: Site) -> None:
    """Create the databases that do not exist yet. Raises `ServerUnusable` with what to do."""
    dsns = list(dict.fromkeys([*site.servers.values(), *site.databases.values()]))
    with ThreadPoolExecutor(len(dsns)) as threads:
        for _ in threads.map(_create_database, dsns):
            pass


def _create_database(dsn: str) -> None:
    import psycopg  # 100 ms that `status` and `down` need not pay
    from psycopg import sql

    name = urlsplit(dsn).path.lstrip("/")
    try:
        with psycopg.connect(
            _with_database(dsn, "postgres"), autocommit=True, connect_timeout=10
        ) as connection:
            _require_recent(connection.info.server_version, connection.info.host)
            known = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone()
            if known is None:
                create = sql.SQL("CREATE DATABASE {} ENCODING 'UTF8' TEMPLATE template0")
                connection.execute(create.format(sql.Identifier(name)))
    except psycopg.Error as error:
        raise ServerUnusable(
            f"cannot make the database {name} on {urlsplit(dsn).hostname or 'the local server'}: {str(error).strip()}"
        ) from error


def _require_recent(version: int, host: str) -> None:
    if version < OLDEST_SERVER:
        raise ServerUnusable(
            f"the server {host} is PostgreSQL {version // 10000}; Calotype needs 16 or newer"
        )


def _embedded(made: list[Cluster]) -> tuple[dict[str, str], dict[str, str]]:
    first, *_, last = made
    servers = {cluster.name: cluster.dsn("shards") for cluster in made}
    return servers, {"default": first.dsn("main"), "sessions": last.dsn("sessions")}


def _existing_servers(dsns: tuple[str, ...]) -> tuple[dict[str, str], dict[str, str]]:
    """Numbered, so that two DSNs of one server still are two databases of shards."""
    for dsn in dsns:
        if not re.match(r"postgres(ql)?://", dsn):
            raise ConfigInvalid(
                f"--postgres takes a DSN like postgresql://user:password@host:5432/, not {dsn!r}"
            )
    servers = {f"pg-{n}": _with_database(dsn, f"calotype_shards_{n}") for n, dsn in enumerate(dsns, 1)}
    databases = {
        "default": _with_database(dsns[0], "calotype_main"),
        "sessions": _with_database(dsns[-1], "calotype_sessions"),
    }
    return servers, databases


def _with_database(dsn: str, name: str) -> str:
    # Not urlunsplit: it drops the empty host of a DSN that names a socket.
    scheme, rest = dsn.split("://", 1)
    place, question, parameters = rest.partition("?")
    return f"{scheme}://{place.partition('/')[0]}/{quote(name)}{question}{parameters}"


def _with_socket(site: Site, was: str, now: str) -> Site:
    def corrected(dsns: dict[str, str]) -> dict[str, str]:
        return {
            name: re.sub(rf"([?&]){re.escape(was)}(?=&|$)", lambda m: m[1] + now, dsn)
            for name, dsn in dsns.items()
        }

    return msgspec.structs.replace(site, servers=corrected(site.servers), databases=corrected(site.databases))
