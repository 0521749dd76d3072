"""A ring of one to three Apache Cassandra nodes on loopback, run from the jars that Maven fetches.

Node N listens on 127.0.0.N and nowhere else, asks for a password, and has a heap of 384 MB (0.8 GB resident). The ring is
laid out when it is made: each node knows its tokens and those of the others, so all start at the same time and none
has to stream. It does not grow: whoever needs more runs nodes of their own and names them in calotype.toml.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import shutil
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import msgspec

from calotype.std.errors import CalotypeError

VERSION = "5.0.6"
JAVAS = (17, 11)
"""The versions that Cassandra 5.0 runs on."""

PORT = 19042
"""Of CQL; the next one is spoken between nodes, and the one after that for TLS, which nobody uses here."""

HEAP_MB = 384
NODES = 3
"""At most."""

USER = "calotype"
DEFAULT_USER = "cassandra"
"""The superuser of a new ring, and its password; `timelines.cassandra.login.secure` takes its rights away."""

START_S = 120.0
PROBE_S = 1.0

_POM = """\
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>calotype</groupId><artifactId>cassandra</artifactId><version>1</version>
  <dependencies><dependency>
    <groupId>org.apache.cassandra</groupId><artifactId>cassandra-all</artifactId><version>{version}</version>
  </dependency></dependencies>
</project>
"""

_YAML = """\
cluster_name: calotype
num_tokens: 1
initial_token: {token}
auto_bootstrap: false
authenticator: PasswordAuthenticator
authorizer: CassandraAuthorizer
role_manager: CassandraRoleManager
default_keyspace_rf: {size}
partitioner: org.apache.cassandra.dht.Murmur3Partitioner
endpoint_snitch: SimpleSnitch
data_file_directories: ["{base}/data"]
commitlog_directory: "{base}/commitlog"
cdc_raw_directory: "{base}/cdc"
hints_directory: "{base}/hints"
saved_caches_directory: "{base}/saved_caches"
commitlog_sync: batch
paxos_variant: v2
commitlog_segment_size: 16MiB
commitlog_total_space: 256MiB
memtable_heap_space: 64MiB
memtable_offheap_space: 64MiB
file_cache_size: 64MiB
key_cache_size: 16MiB
concurrent_reads: 16
concurrent_writes: 16
seed_provider:
  - class_name: org.apache.cassandra.locator.SimpleSeedProvider
    parameters: [{{seeds: "{seeds}"}}]
storage_port: {storage_port}
ssl_storage_port: {tls_storage_port}
listen_address: {address}
rpc_address: {address}
native_transport_port: {cql_port}
"""
"""`batch`: a write is acknowledged when the commit log is on the disk, as all that we acknowledge is. `v2`: half
the round trips of a lightweight transaction. `default_keyspace_rf`: the roles are on every node from the first one on. Were they given to more
nodes later, a quorum of those that do not have them yet could know nobody."""

_LOGBACK = """\
<configuration>
  <appender name="OUT" class="ch.qos.logback.core.ConsoleAppender">
    <encoder><pattern>%date{ISO8601} %-5level %msg%n</pattern></encoder>
  </appender>
  <root level="WARN"><appender-ref ref="OUT"/></root>
</configuration>
"""

_OPENED = [
    "java.base/java.io",
    "java.base/java.lang",
    "java.base/java.lang.module",
    "java.base/java.lang.ref",
    "java.base/java.lang.reflect",
    "java.base/java.math",
    "java.base/java.net",
    "java.base/java.nio",
    "java.base/java.text",
    "java.base/java.util",
    "java.base/java.util.concurrent",
    "java.base/java.util.concurrent.atomic",
    "java.base/jdk.internal.loader",
    "java.base/jdk.internal.math",
    "java.base/jdk.internal.misc",
    "java.base/jdk.internal.module",
    "java.base/jdk.internal.ref",
    "java.base/jdk.internal.reflect",
    "java.base/jdk.internal.util",
    "java.base/jdk.internal.util.jar",
    "java.base/sun.net.dns",
    "java.base/sun.nio.ch",
    "java.management/sun.management",
    "java.rmi/sun.rmi.registry",
    "java.rmi/sun.rmi.server",
    "java.rmi/sun.rmi.transport",
    "java.rmi/sun.rmi.transport.tcp",
    "java.sql/java.sql",
    "jdk.management/com.sun.management.internal",
]
"""Packages of the JDK that Cassandra reaches into: the jar comes without the file that says so."""


class CassandraUnusable(CalotypeError):
    """There is no Java, no Maven or no jar, or a node does not start here; the message says what to do."""

    code = "cassandra_unusable"


def java() -> str | None:
    """A Java that Cassandra runs on: of `$JAVA_HOME`, on PATH, or where Debian has them; None when there is none."""
    names = [f"{os.environ['JAVA_HOME']}/bin/java"] if os.environ.get("JAVA_HOME") else []
    names += ["java", *(str(path) for path in sorted(Path("/usr/lib/jvm").glob("*/bin/java")))]
    found = (shutil.which(name) for name in names)
    return next((each for each in found if each and _major(each) in JAVAS), None)


def _major(program: str) -> int:
    said = subprocess.run([program, "-version"], capture_output=True, text=True, check=False)  # noqa: S603
    version = re.search(r'version "(\d+)', said.stderr)
    return int(version[1]) if version else 0


def jars(tools: Path) -> Path:
    """Where the jars lie when they are there."""
    return tools / f"cassandra-{VERSION}"


def fetched(tools: Path) -> bool:
    return jars(tools).is_dir()


def fetch(tools: Path, log: Path) -> None:
    """Have Maven bring Cassandra and what it needs: 100 jars, 66 MB. Raises `CassandraUnusable`."""
    if fetched(tools):
        return
    maven = shutil.which("mvn")
    if maven is None:
        raise CassandraUnusable("Cassandra comes from Maven: install it (Debian, Ubuntu: apt install maven)")
    half = tools / f"cassandra-{VERSION}.new-{os.getpid()}"
    half.mkdir(parents=True)
    (half / "pom.xml").write_text(_POM.format(version=VERSION))
    # Strict checksums: a jar that is not what the repository says it is fails.
    command = [
        maven,
        "--batch-mode",
        "--strict-checksums",
        "-q",
        "dependency:copy-dependencies",
        "-DoutputDirectory=lib",
    ]
    with log.open("ab") as out:
        ran = subprocess.run(  # noqa: S603
            command, cwd=half, stdin=subprocess.DEVNULL, stdout=out, stderr=out, check=False
        )
    if ran.returncode != 0:
        shutil.rmtree(half)
        raise CassandraUnusable(f"Maven cannot fetch Cassandra {VERSION}; its words are in {log}")
    with contextlib.suppress(OSError):  # somebody else was faster: theirs is as good
        (half / "lib").rename(jars(tools))
    shutil.rmtree(half)


@dataclass(frozen=True)
class Ring:
    """Nodes that share one keyspace. `root` holds the ring's password, its size and port, and a directory a node."""

    root: Path
    tools: Path
    """Where its jars are, or are to be fetched to."""
    size: int = 1
    port: int = PORT

    @property
    def addresses(self) -> list[str]:
        return [f"127.0.0.{number}" for number in range(1, self.size + 1)]

    @property
    def nodes(self) -> list[Node]:
        return [Node(self, number) for number in range(1, self.size + 1)]

    @property
    def password(self) -> str:
        return (self.root / "password").read_text().strip()

    def initialise(self) -> None:
        """Write the files of each node. Raises `CassandraUnusable` for data that another number of nodes wrote."""
        self.root.mkdir(parents=True, exist_ok=True, mode=0o700)
        known = made(self.root, self.tools)
        if known is not None and known.size != self.size:
            raise CassandraUnusable(
                f"{self.root} holds a ring of {known.size} nodes, not {self.size}: a ring keeps the size it was made with"
            )
        (self.root / "ring.json").write_bytes(msgspec.json.encode({"size": self.size, "port": self.port}))
        password = self.root / "password"
        if not password.exists():
            password.touch(mode=0o600)
            password.write_text(secrets.token_urlsafe(24))
        for node in self.nodes:
            node.initialise()


@dataclass(frozen=True)
class Node:
    ring: Ring
    number: int
    """From 1 on."""

    @property
    def name(self) -> str:
        return f"cassandra-{self.number}"

    @property
    def address(self) -> str:
        return f"127.0.0.{self.number}"

    @property
    def root(self) -> Path:
        return self.ring.root / f"node-{self.number}"

    def initialise(self) -> None:
        self.root.mkdir(exist_ok=True, mode=0o700)
        told = {
            "base": self.root,
            "size": self.ring.size,
            "address": self.address,
            "seeds": ",".join(f"{address}:{self.ring.port + 1}" for address in self.ring.addresses),
            "token": -(1 << 63) + (self.number - 1) * ((1 << 64) // self.ring.size),
            "cql_port": self.ring.port,
            "storage_port": self.ring.port + 1,
            "tls_storage_port": self.ring.port + 2,
        }
        (self.root / "cassandra.yaml").write_text(_YAML.format(**told))
        (self.root / "logback.xml").write_text(_LOGBACK)

    def command(self) -> list[str]:
        """The node in the foreground; SIGTERM stops it. Raises `CassandraUnusable`."""
        program = java()
        if program is None:
            raise CassandraUnusable(f"Cassandra {VERSION} needs Java {' or '.join(map(str, JAVAS))}")
        if not fetched(self.ring.tools):
            raise CassandraUnusable(
                f"Cassandra is not in {jars(self.ring.tools)}: `calotype engines start cassandra` brings it"
            )
        _require_address(self.address, self.ring.port)
        opened = [
            flag
            for each in _OPENED
            for flag in (f"--add-opens={each}=ALL-UNNAMED", f"--add-exports={each}=ALL-UNNAMED")
        ]
        settings = {
            "jdk.attach.allowAttachSelf": "true",
            "cassandra.config": f"file://{self.root}/cassandra.yaml",
            "logback.configurationFile": f"file://{self.root}/logback.xml",
            "cassandra.storagedir": str(self.root),
            "java.io.tmpdir": str(self.root),
            # No node can join meanwhile, and the default superuser is needed at once.
            "cassandra.superuser_setup_delay_ms": "0",
            "cassandra.skip_wait_for_gossip_to_settle": "0",
            "cassandra.ring_delay_ms": "2000",
            "cassandra-foreground": "yes",
        }
        return [
            program,
            f"-Xms{HEAP_MB}M",
            f"-Xmx{HEAP_MB}M",
            "-Xss256k",
            "-XX:+UseG1GC",
            "-XX:+ExitOnOutOfMemoryError",
            *opened,
            *(f"-D{key}={value}" for key, value in settings.items()),
            "-cp",
            f"{jars(self.ring.tools)}/*:{self.root}",
            "org.apache.cassandra.service.CassandraDaemon",
        ]

    def ready(self) -> bool:
        """Whether it answers the first question of CQL's protocol now (OPTIONS, version 4)."""
        with (
            contextlib.suppress(OSError),
            socket.create_connection((self.address, self.ring.port), PROBE_S) as connection,
        ):
            connection.sendall(b"\x04\x00\x00\x00\x05\x00\x00\x00\x00")
            return connection.recv(9)[:1] == b"\x84"
        return False

    def wait_until_ready(self, process: subprocess.Popen[bytes], seconds: float = START_S) -> None:
        """Block until it answers; raises `CassandraUnusable` when it has ended or takes longer."""
        until = time.monotonic() + seconds
        while not self.ready():
            if process.poll() is not None:
                raise CassandraUnusable(
                    f"{self.name} ended with status {process.returncode} before it was ready"
                )
            if time.monotonic() > until:
                raise CassandraUnusable(f"{self.name} is not ready after {seconds:.0f} s")
            time.sleep(0.1)


def made(root: Path, tools: Path) -> Ring | None:
    """The ring whose data lies in a directory; None when there is none."""
    try:
        known = msgspec.json.decode((root / "ring.json").read_bytes(), type=dict[str, int])
    except FileNotFoundError:
        return None
    return Ring(root, tools, known["size"], known["port"])


def start(ring: Ring, log: Path) -> list[subprocess.Popen[bytes]]:
    """Start all nodes and wait until they answer. For tests and tools; `calotype up` supervises its own."""
    ring.initialise()
    started = [start_node(node, log) for node in ring.nodes]
    for node, process in zip(ring.nodes, started, strict=True):
        node.wait_until_ready(process)
    return started


def start_node(node: Node, log: Path) -> subprocess.Popen[bytes]:
    with log.open("ab") as out:
        return subprocess.Popen(  # noqa: S603
            node.command(), stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True
        )


def _require_address(address: str, port: int) -> None:
    """Linux has all of 127.0.0.0/8; macOS has 127.0.0.1 alone until told."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError as error:
            raise CassandraUnusable(
                f"cannot listen on {address}:{port} ({error.strerror}): end what uses it; on macOS `ifconfig lo0 alias {address}` adds the address"
            ) from None
