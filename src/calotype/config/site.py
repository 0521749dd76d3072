"""The one configuration file of a site: `DATA/calotype.toml`, where DATA is `--data`, `$CALOTYPE_DATA` or `./var`.

The first `calotype up` writes it; every process reads it once at its start. Which engine serves a part of the data
plane is said here and nowhere else.
"""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import msgspec

from calotype.std.errors import CalotypeError

FILE = "calotype.toml"

FIRST_REGION = "a"
"""The name of the region of a site whose file names none."""

SESSIONS = "sessions"
"""The database of sessions, and the name of its commit log."""


class ConfigInvalid(CalotypeError):
    code = "config_invalid"


class Web(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    host: str = "127.0.0.1"
    port: int = 8000
    workers: int = 1
    public_url: str = ""
    """How people reach the site, e.g. `https://photos.example`; empty: `http://host:port`."""
    allowed_hosts: tuple[str, ...] = ("localhost", "127.0.0.1", "[::1]")
    debug: bool = False
    compress: bool = True
    """Whether pages go out compressed; false: a proxy in front does it."""
    offline: bool = True
    """Whether browsers keep pages for when there is no connection; without, they throw away what they have kept."""


class Feed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    pulled_from: int = 10_000
    """Posts of people with more followers than this are not pushed to each of them: the followers read them."""
    kept: int = 800
    """Entries of a timeline. What is older is read from the graph."""
    idle_days: int = 30
    """Timelines that nobody has read for so long are dropped, and made again when their owner returns."""


class Dynostats(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What requests cost is measured and written to DATA/dynostats (docs/dynostats.md)."""

    enabled: bool = True
    one_in: int = 1
    """Of so many requests one is recorded. All are counted."""
    slow_ms: float = 1_000
    """Slower ones are recorded in any case, like errors."""
    meter: Literal["all", "sampled"] = "all"
    """Whose CPU is measured. Of a site that is busy, `sampled`, with one in 100, costs next to nothing."""
    metrics_token: str = ""
    """Who has it may read `/metrics`; empty: clients on this machine."""
    otlp: str = ""
    """`http://collector:4318` of an OpenTelemetry collector that gets it all too; empty: none does."""
    profile_one_in: int = 1_000
    """One of so many requests is profiled (`calotype profile`); 0: none is."""


class S3(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A bucket that holds the blobs, instead of a directory."""

    endpoint: str
    """`https://host` or `http://host:port`, without a path."""
    bucket: str
    access_key: str
    secret_key: str
    region: str = "us-east-1"
    embedded: bool = False
    """Whether it is the gateway over DATA/engines/s3, which the supervisor starts itself."""


class Email(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`file` keeps each message in DATA/mail, `console` prints it to the log, `smtp` sends it."""

    backend: Literal["file", "console", "smtp"] = "file"
    sender: str = "Calotype <noreply@localhost>"
    host: str = "localhost"
    port: int = 25
    user: str = ""
    password: str = ""
    tls: bool = False


class Cassandra(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A cluster that keeps the timelines. `hosts`: some of its nodes, from which all are learnt."""

    hosts: tuple[str, ...]
    port: int = 9042
    user: str = ""
    password: str = ""
    keyspace: str = "calotype"
    replicas: int = 3
    """Of each timeline, when the keyspace is made."""
    embedded: bool = False
    """Whether it is the ring in DATA/engines/cassandra, which the supervisor starts itself."""


class Region(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one region fills its cache from, and where it keeps it. Addresses: `host:port`, or the path of a socket."""

    memcached: tuple[str, ...] = ()
    """Empty: this region runs without a cache."""
    gutter: tuple[str, ...] = ()
    """Servers that stand in for one of `memcached` that fails."""
    memcached_before: tuple[tuple[str, ...], ...] = ()
    """Earlier lists of `memcached` that some worker may still use: what is deleted is deleted there too."""
    standbys: dict[str, str] = {}
    """Log -> DSN of this region's standby of that database. The first region has none: it reads the primaries."""
    port: int = 0
    """Of its web server; 0: `web.port` plus the region's place in the file, counted from 0."""


class Site(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`servers`: physical server -> DSN of its database of logical shards. `databases`: Django alias -> DSN."""

    secret_key: str
    servers: dict[str, str]
    databases: dict[str, str]
    logical_shards: int = 32
    web: Web = msgspec.field(default_factory=Web)
    email: Email = msgspec.field(default_factory=Email)
    feed: Feed = msgspec.field(default_factory=Feed)
    dynostats: Dynostats = msgspec.field(default_factory=Dynostats)
    broker: str = ""
    """`amqp://` of a RabbitMQ that carries background jobs; empty: they lie in the database `default`."""
    cassandra: Cassandra | None = None
    """What keeps the timelines; none: the servers of their owners."""
    blobs: str = ""
    """Where blobs live: an absolute path, or empty for DATA/blobs."""
    s3: S3 | None = None
    """Where blobs live instead, if it is there."""
    embedded_postgres: bool = True
    """Whether the supervisor starts the PostgreSQL servers `pg-1` and `pg-2` itself."""
    embedded_memcached: bool = True
    """Whether the supervisor starts one memcached a region itself, where there is one on PATH, and writes its address."""
    memcached_mb: int = 64
    """Memory for the items of an embedded memcached."""
    regions: dict[str, Region] = {}
    """The first is that of the primaries; empty: one region `a` without a cache."""

    @property
    def logs(self) -> dict[str, str]:
        """The commit logs that outdate cache entries: log -> DSN of its primary database."""
        return {**self.servers, SESSIONS: self.databases[SESSIONS]}

    @property
    def control_dsn(self) -> str:
        """The database of what is the site's as a whole: the placement of shards, failed jobs, the timetable."""
        return self.databases["default"]


def data_directory() -> Path:
    return Path(os.environ.get("CALOTYPE_DATA", "var")).resolve()


def new_secret() -> str:
    return secrets.token_urlsafe(48)


def load(data: Path) -> Site:
    """The site as this process must see it: the file, and what `calotype up` was told for this run only.

    Raises `ConfigInvalid` as `read` and `region_name` do.
    """
    site = read(data)
    region_name(site)
    said = {key: os.environ.get(f"CALOTYPE_{key.upper()}") for key in ("host", "port", "workers")}
    try:
        web = msgspec.convert({key: value for key, value in said.items() if value}, Web, strict=False)
    except msgspec.ValidationError as error:
        raise ConfigInvalid(f"CALOTYPE_HOST, CALOTYPE_PORT or CALOTYPE_WORKERS: {error}") from None
    overridden = {key: getattr(web, key) for key, value in said.items() if value}
    return msgspec.structs.replace(site, web=msgspec.structs.replace(site.web, **overridden))


def read(data: Path) -> Site:
    """Read DATA/calotype.toml. Raises `ConfigInvalid` with the file, the key and what is wrong with it."""
    path = data / FILE
    try:
        site = msgspec.toml.decode(path.read_bytes(), type=Site)
    except FileNotFoundError:
        raise ConfigInvalid(
            f"{path} is not there: run `./calotype up --data {data}` once to make it"
        ) from None
    except msgspec.DecodeError as error:
        raise ConfigInvalid(f"{path}: {error}") from None
    for complaint in _complaints(site):
        raise ConfigInvalid(f"{path}: {complaint}")
    return site


def region_name(site: Site) -> str:
    """The region of this process: `$CALOTYPE_REGION`, else the first. Raises `ConfigInvalid` if the file has none such."""
    known = list(site.regions) or [FIRST_REGION]
    name = os.environ.get("CALOTYPE_REGION") or known[0]
    if name not in known:
        raise ConfigInvalid(f"CALOTYPE_REGION is {name!r}; {FILE} names the regions {', '.join(known)}")
    return name


def region(site: Site) -> Region:
    """What the file says of this process's region; raises `ConfigInvalid` as `region_name` does."""
    return site.regions.get(region_name(site), Region())


def save(data: Path, site: Site) -> None:
    """Write the file, readable by its owner only, all of it or none of it."""
    data.mkdir(parents=True, exist_ok=True, mode=0o700)
    half_written = data / f".{FILE}.new"
    half_written.touch(mode=0o600)
    # TOML has no word for nothing: what the site has not is left out.
    said = {key: value for key, value in msgspec.to_builtins(site).items() if value is not None}
    half_written.write_bytes(msgspec.toml.encode(said))
    half_written.rename(data / FILE)


def _complaints(site: Site) -> Iterator[str]:
    missing = {"default", SESSIONS} - site.databases.keys()
    if missing:
        yield f"[databases] lacks {', '.join(sorted(missing))}"
    if not site.servers:
        yield "[servers] names no server"
    if SESSIONS in site.servers:
        yield f"[servers] names a server {SESSIONS}; that is the name of a database"
    if not 1 <= site.logical_shards <= 8192:
        yield f"logical_shards is {site.logical_shards}; it must be 1 to 8192"
    if site.feed.kept < 100 or site.feed.pulled_from < 0 or site.feed.idle_days < 1:
        yield "[feed] must have kept of 100 or more, pulled_from of 0 or more, and idle_days of 1 or more"
    yield from (f"[dynostats] {complaint}" for complaint in _complaints_of_dynostats(site.dynostats))
    if site.broker and not re.match(r"amqps?://", site.broker):
        yield f"broker is {site.broker!r}; it must begin with amqp:// or amqps://, or be empty"
    if site.cassandra is not None:
        yield from _complaints_of_cassandra(site.cassandra)
    if not 1 <= site.memcached_mb <= 1 << 20:
        yield f"memcached_mb is {site.memcached_mb}; it must be 1 to {1 << 20}"
    if site.s3 is not None:
        yield from (f"[s3] {complaint}" for complaint in _complaints_of_s3(site.s3))
        if site.blobs:
            yield f"[s3] is there, and blobs is {site.blobs}: only one of the two can hold the blobs"
    for place, (name, one) in enumerate(site.regions.items()):
        for complaint in _complaints_of_region(site, name, one, first=place == 0):
            yield f"[regions.{name}] {complaint}"


def _complaints_of_dynostats(one: Dynostats) -> Iterator[str]:
    if one.one_in < 1 or one.slow_ms < 0:
        yield "must have one_in of 1 or more, and slow_ms of 0 or more"
    if one.otlp or one.metrics_token:
        # Every command reads this file; 50 ms of imports are for sites that name them.
        from calotype.efficiency.dynostats.sinks import complaints

        yield from complaints(one.otlp, one.metrics_token)


def _complaints_of_cassandra(one: Cassandra) -> Iterator[str]:
    if not one.hosts or not all(re.fullmatch(r"[^\s/:,]+|[0-9A-Fa-f:.]+", host) for host in one.hosts):
        yield f"[cassandra] names the hosts {', '.join(one.hosts) or 'none'}; it needs names or addresses without ports"
    if not 1 <= one.port <= 65535:
        yield f"[cassandra] has port {one.port}; it must be 1 to 65535"
    if not 1 <= one.replicas <= 9:
        yield f"[cassandra] has {one.replicas} replicas; it must be 1 to 9"
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,47}", one.keyspace):
        yield f"[cassandra] has the keyspace {one.keyspace!r}; a name is 1 to 48 of a-z, 0-9 and _"


def _complaints_of_s3(s3: S3) -> Iterator[str]:
    scheme, _, address = s3.endpoint.partition("://")
    if scheme not in ("http", "https") or not re.fullmatch(
        r"(?:[^\s/:\[\]@?#]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?", address
    ):
        yield f"endpoint is {s3.endpoint!r}; it must be http:// or https:// and a host, with a port if it has one, and no path"
    if not re.fullmatch(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", s3.bucket):
        yield f"bucket is {s3.bucket!r}; it must be 3 to 63 of a-z, 0-9, . and -"
    if not re.fullmatch(r"[a-z0-9-]+", s3.region):
        yield f"region is {s3.region!r}; it must be of a-z, 0-9 and -, such as us-east-1"
    for name in ("access_key", "secret_key"):
        if not re.fullmatch(r"[!-~]+", getattr(s3, name)):
            yield f"{name} must be of printable characters without spaces, and not empty"


def _complaints_of_region(site: Site, name: str, one: Region, *, first: bool) -> Iterator[str]:
    if not re.fullmatch(r"[a-z0-9_]{1,16}", name):
        yield "is no name: 1 to 16 of a-z, 0-9 and _, as replication slots are named"
    if not 0 <= one.port <= 65535:
        yield f"has port {one.port}; it must be 0 to 65535"
    if first and one.standbys:
        yield "names standbys, but is the first: it reads the primaries"
    if not first and one.standbys.keys() != site.logs.keys():
        yield f"must name a standby for each of {', '.join(site.logs)}; it has {', '.join(one.standbys) or 'none'}"
    for address in (
        *one.memcached,
        *one.gutter,
        *(each for before in one.memcached_before for each in before),
    ):
        if not _is_address(address):
            yield f"names {address!r}: an address is host:port or an absolute path"


def _is_address(address: str) -> bool:
    found = re.fullmatch(r"(?:[^\s/:\[\]]+|\[[0-9A-Fa-f:.]+\]):([0-9]{1,5})", address)
    return Path(address).is_absolute() or (found is not None and 1 <= int(found[1]) <= 65535)
