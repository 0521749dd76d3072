"""The one configuration file of a site: `DATA/calotype.toml`, where DATA is `--data`, `$CALOTYPE_DATA` or `./var`.

The first `calotype up` writes it; every process reads it once at its start. Which engine serves a part of the data
plane is said here and nowhere else.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import Literal

import msgspec

from calotype.std.errors import CalotypeError

FILE = "calotype.toml"


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


class Email(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`file` keeps each message in DATA/mail, `console` prints it to the log, `smtp` sends it."""

    backend: Literal["file", "console", "smtp"] = "file"
    sender: str = "Calotype <noreply@localhost>"
    host: str = "localhost"
    port: int = 25
    user: str = ""
    password: str = ""
    tls: bool = False


class Site(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`servers`: physical server -> DSN of its database of logical shards. `databases`: Django alias -> DSN."""

    secret_key: str
    servers: dict[str, str]
    databases: dict[str, str]
    logical_shards: int = 32
    web: Web = msgspec.field(default_factory=Web)
    email: Email = msgspec.field(default_factory=Email)
    blobs: str = ""
    """Where blobs live: an absolute path, or empty for DATA/blobs."""
    embedded_postgres: bool = True
    """Whether the supervisor starts the PostgreSQL servers `pg-1` and `pg-2` itself."""


def data_directory() -> Path:
    return Path(os.environ.get("CALOTYPE_DATA", "var")).resolve()


def new_secret() -> str:
    return secrets.token_urlsafe(48)


def load(data: Path) -> Site:
    """The site as this process must see it: the file, and what `calotype up` was told for this run only."""
    site = read(data)
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
    missing = {"default", "sessions"} - site.databases.keys()
    if missing:
        raise ConfigInvalid(f"{path}: [databases] lacks {', '.join(sorted(missing))}")
    if not site.servers:
        raise ConfigInvalid(f"{path}: [servers] names no server")
    if not 1 <= site.logical_shards <= 8192:
        raise ConfigInvalid(f"{path}: logical_shards is {site.logical_shards}; it must be 1 to 8192")
    return site


def save(data: Path, site: Site) -> None:
    """Write the file, readable by its owner only, all of it or none of it."""
    data.mkdir(parents=True, exist_ok=True, mode=0o700)
    half_written = data / f".{FILE}.new"
    half_written.touch(mode=0o600)
    half_written.write_bytes(msgspec.toml.encode(site))
    half_written.rename(data / FILE)
