"""Real S3 for tests: a versitygw that is killed, frozen and started again."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from calotype.infra.blobs import Bucket
from calotype.infra.engines.versitygw import BUCKET, REGION, Versitygw, start
from tests.ports import free_ports

TOOLS = Path(__file__).parent.parent / ".tools"


class RunningVersitygw:
    """A gateway and its process, which is ours alone to end. Its address and its blobs stay."""

    def __init__(self, server: Versitygw) -> None:
        self.server = server
        self.process = self._started()

    def _started(self) -> subprocess.Popen[bytes]:
        return start(self.server, self.server.root.parent / f"{self.server.root.name}.log")

    def bucket(self, name: str = BUCKET) -> Bucket:
        keys = self.server.keys
        return Bucket(self.server.endpoint, name, REGION, keys.access_key, keys.secret_key)

    def start(self) -> None:
        """Start it again, with all that it held."""
        if self.process.poll() is not None:
            self.process = self._started()

    def kill(self) -> None:
        """As `kill -9` does; a frozen one too."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()

    def restart(self) -> None:
        self.kill()
        self.start()

    def freeze(self) -> None:
        """It keeps its connections, takes new ones, and answers nothing."""
        self.process.send_signal(signal.SIGSTOP)
        os.waitpid(self.process.pid, os.WUNTRACED)  # until it has stopped

    def thaw(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    def parts(self, bucket: str = BUCKET) -> list[Path]:
        """What it keeps of uploads that have not ended."""
        below = self.server.objects / bucket / ".sgwtmp" / "multipart"
        return [path for path in below.rglob("*") if path.is_file()]


@contextmanager
def running_versitygw(directory: Path, *, write_through: bool = False) -> Iterator[RunningVersitygw]:
    """In a new directory under this one, ended with the block. It survives the death of any process, as always, but not
    that of the machine: a test run needs no more."""
    (port,) = free_ports(1)
    root = Path(tempfile.mkdtemp(dir=directory))
    server = RunningVersitygw(Versitygw("s3", root, port, TOOLS, write_through))
    try:
        yield server
    finally:
        server.kill()
