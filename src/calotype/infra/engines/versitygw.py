"""One versitygw on loopback: the S3 API over a directory, run from a program that Go builds here.

A bucket is a directory in `root`/objects, a blob a file in it. The gateway itself never calls fsync, neither for the bytes nor
for their names: its source has no such call, and a trace of it shows none. So `root`/objects gets the attributes that
`chattr +SD` sets, which all that is made below inherits: the file system then writes bytes and names to the disk before the calls return,
and what the gateway acknowledges is durable. ext4 has both attributes; where one is missing (XFS, tmpfs, overlays, macOS)
`durable` is False: then it survives the death of any process, but not a loss of power.
"""

from __future__ import annotations

import contextlib
import fcntl
import http.client
import os
import secrets
import shutil
import struct
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import msgspec

from calotype.infra.engines.sockets import make_private
from calotype.std.errors import CalotypeError

VERSION = "v1.8.0"
PACKAGE = f"github.com/versity/versitygw/cmd/versitygw@{VERSION}"
GO = "/usr/local/go/bin/go"
"""Where Go's own archive is unpacked, which is not on PATH by itself."""

BUCKET = "calotype"
REGION = "us-east-1"
PROBE_S = 1.0

# From linux/fs.h, the same on every 64-bit machine.
_GET_FLAGS, _SET_FLAGS = 0x80086601, 0x40086602
_SYNC, _DIRECTORY_SYNC = 0x00000008, 0x00010000
_THROUGH = _SYNC | _DIRECTORY_SYNC


class VersitygwUnusable(CalotypeError):
    """There is no versitygw, or it does not start here; the message says what to do."""

    code = "versitygw_unusable"


class Keys(msgspec.Struct, frozen=True):
    """Who may use a gateway; there is one account."""

    access_key: str
    secret_key: str


def binary(tools: Path | None = None) -> str | None:
    """The program: `$CALOTYPE_VERSITYGW_BIN`, else `tools`/bin/versitygw, else on PATH; None when there is none.

    Raises `VersitygwUnusable` when the variable names no program.
    """
    given = os.environ.get("CALOTYPE_VERSITYGW_BIN", "")
    if given and shutil.which(given) is None:
        raise VersitygwUnusable(f"CALOTYPE_VERSITYGW_BIN is {given}, which is no program that can be run")
    names = (given, str(tools / "bin" / "versitygw") if tools else "", "versitygw")
    return next((found for name in names if name and (found := shutil.which(name))), None)


def install(tools: Path, log: Path) -> bool:
    """Build the program into `tools`/bin with Go, about two minutes once; False when that fails, and `log` says why.

    All that Go keeps lies below `tools`, and what it has downloaded and compiled is removed again: 1 GB.
    """
    go = shutil.which("go") or shutil.which(GO)
    log.parent.mkdir(parents=True, exist_ok=True)
    if go is None:
        log.write_text(f"versitygw is built with Go, which is neither on PATH nor at {GO}\n")
        return False
    work = tools / "versitygw-build"
    environment = os.environ | {
        "GOBIN": str(tools / "bin"),
        "GOPATH": str(work),
        "GOCACHE": str(work / "cache"),
        "GOTMPDIR": str(work),
        "GOFLAGS": "-modcacherw",  # Go makes its downloads read-only, and could not be tidied away
        "CGO_ENABLED": "0",
    }
    work.mkdir(parents=True, exist_ok=True)
    try:
        with log.open("ab") as out:
            built = subprocess.run(  # noqa: S603
                # Without what only debuggers read: a fifth of the work and a quarter of the size.
                [go, "install", "-ldflags=-s -w", "-gcflags=all=-dwarf=false", PACKAGE],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                check=False,
            )
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return built.returncode == 0 and binary(tools) is not None


@dataclass(frozen=True)
class Versitygw:
    """One gateway; blobs lie in `root`/objects, its keys in `root`/keys.json (0600), made once."""

    name: str
    root: Path
    port: int
    tools: Path | None = None
    """Where `install` has put the program, if it is not on PATH."""
    write_through: bool = True
    """Whether to be durable where the file system can be. Without it a put costs no flush of the disk: for tests."""

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def objects(self) -> Path:
        """The directory of buckets."""
        return self.root / "objects"

    @property
    def keys(self) -> Keys:
        """Made when first asked for, by whichever process is first."""
        path = self.root / "keys.json"
        if not path.exists():
            make_private(self.root)
            half_written = self.root / f".keys-{os.getpid()}"
            half_written.touch(mode=0o600)
            made = Keys(access_key=secrets.token_hex(10), secret_key=secrets.token_urlsafe(30))
            half_written.write_bytes(msgspec.json.encode(made))
            with contextlib.suppress(FileExistsError):
                path.hardlink_to(half_written)  # a rename would replace the keys of a faster process
            half_written.unlink()
        return msgspec.json.decode(path.read_bytes(), type=Keys)

    @property
    def durable(self) -> bool:
        """Whether what it acknowledges survives a loss of power; known once `command` has made the directory."""
        return self.objects.is_dir() and _flags(self.objects) & _THROUGH == _THROUGH

    def command(self) -> list[str]:
        """The gateway in the foreground, to be run with `environment`; SIGTERM stops it. Makes the bucket too."""
        program = binary(self.tools)
        if program is None:
            raise VersitygwUnusable(
                "versitygw is not on PATH and CALOTYPE_VERSITYGW_BIN is not set: `calotype engines start s3` builds it"
            )
        make_private(self.root)
        self.objects.mkdir(exist_ok=True, mode=0o700)
        if self.write_through:
            have_written_through(self.objects)
        (self.objects / BUCKET).mkdir(exist_ok=True, mode=0o700)
        options = ["--port", f"127.0.0.1:{self.port}", "--region", REGION, "--health", self._health]
        options += ["--keep-alive", "--quiet"]
        return [program, *options, "posix", "--dir-perms", "0700", "--file-perms", "0600", str(self.objects)]

    @property
    def environment(self) -> dict[str, str]:
        """What it needs on top of the environment: on its command line everybody could read the secret."""
        keys = self.keys
        return {"ROOT_ACCESS_KEY": keys.access_key, "ROOT_SECRET_KEY": keys.secret_key}

    def ready(self) -> bool:
        """Whether it answers now: it, and no other that has its port."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PROBE_S)
        with contextlib.suppress(OSError, http.client.HTTPException), contextlib.closing(connection):
            connection.request("GET", self._health)
            return connection.getresponse().status == http.client.OK
        return False

    @property
    def _health(self) -> str:
        return f"/ready-{self.keys.access_key}"

    def wait_until_ready(self, process: subprocess.Popen[bytes], seconds: float = 10.0) -> None:
        """Block until it answers; raises `VersitygwUnusable` when it has ended or takes longer."""
        until = time.monotonic() + seconds
        while process.poll() is None:
            if self.ready():
                return
            if time.monotonic() > until:
                raise VersitygwUnusable(f"{self.name} is not ready after {seconds:.0f} s")
            time.sleep(0.01)
        raise VersitygwUnusable(
            f"{self.name} ended with status {process.returncode} before it was ready: is port {self.port} taken?"
        )


def start(server: Versitygw, log: Path) -> subprocess.Popen[bytes]:
    """Start it and wait until it answers. For tests and tools; `calotype up` supervises its own."""
    command = server.command()
    with log.open("ab") as out:
        process = subprocess.Popen(  # noqa: S603
            command,
            env=os.environ | server.environment,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
    server.wait_until_ready(process)
    return process


def have_written_through(directory: Path) -> None:
    """Have the file system write all that is made below `directory` to the disk at once, if it can do that."""
    flags = _flags(directory)
    if sys.platform != "linux" or flags & _THROUGH == _THROUGH:
        return
    descriptor = os.open(directory, os.O_RDONLY | os.O_CLOEXEC)
    try:
        with contextlib.suppress(OSError):  # only ext4 and its kin have both attributes
            fcntl.ioctl(descriptor, _SET_FLAGS, struct.pack("l", flags | _THROUGH))
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _flags(directory: Path) -> int:
    if sys.platform != "linux":
        return 0
    descriptor = os.open(directory, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return int(struct.unpack("l", fcntl.ioctl(descriptor, _GET_FLAGS, struct.pack("l", 0)))[0])
    except OSError:
        return 0
    finally:
        os.close(descriptor)
