"""A standby: a streaming copy of a running cluster, which answers reads and whose log can be decoded.

Its primary holds a physical replication slot for it, so that it can be away and follow on. That slot holds back at
most `max_slot_wal_keep_size` of log; a standby that was away for longer is made anew, from nothing but the primary.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from calotype.infra.engines.postgres import PORT, USER, Cluster, PostgresUnusable, as_nobody, binaries

if TYPE_CHECKING:
    import psycopg

CAUGHT_UP_POLL_S = 0.02


@dataclass(frozen=True)
class Standby(Cluster):
    """A copy of `primary`, which must run when this is made. Its password is the primary's.

    Whoever starts it calls `initialise` first, each time: what it may have missed meanwhile shows only then.
    """

    primary: Cluster = field(kw_only=True)

    @property
    def password_file(self) -> Path:
        return self.primary.password_file

    @property
    def slot(self) -> str:
        """Its physical replication slot on the primary."""
        return "calotype_standby_" + re.sub(r"[^a-z0-9_]", "_", self.name.lower())

    def initialise(self) -> None:
        """Copy the primary unless there is a copy that can follow it. Blocks for as long as the copying takes.

        It must not be running. With the primary away, a copy that exists is taken as it is: it can answer reads.
        Raises `PostgresUnusable` when there is none and none can be made, and rather than delete what may be the only
        copy of something: a standby that was promoted, or that is of another cluster than the primary now is.
        """
        if self.initialised() and self.can_follow() is not False:
            return
        self._refuse_to_delete_what_is_no_copy()
        self._require_slot()
        self._copy()

    def can_follow(self) -> bool | None:
        """Whether the primary still holds all the log that this standby lacks; None while the primary does not answer."""
        try:
            return self._slot_status() not in (None, "lost")
        except PostgresUnusable:
            return None

    def remove(self) -> None:
        """Drop its slot, so that no log is held back for it, and delete its data. It must not be running."""
        self._on_primary(
            "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = %s",
            self.slot,
        )
        shutil.rmtree(self.root, ignore_errors=True)

    def wait_until_caught_up(self, seconds: float = 60.0) -> bool:
        """Block until it has replayed what the primary had written when this was called; False if that takes longer."""
        wanted = self._on_primary("SELECT pg_current_wal_lsn()::text")
        until = time.monotonic() + seconds
        with _connected(self.dsn(), self.name) as connection:
            while True:
                row = connection.execute("SELECT pg_last_wal_replay_lsn() >= %s::pg_lsn", [wanted]).fetchone()
                if row is not None and row[0]:
                    return True
                if time.monotonic() > until:
                    return False
                time.sleep(CAUGHT_UP_POLL_S)

    def all_settings(self) -> dict[str, str]:
        following = {
            "primary_conninfo": self._conninfo(),
            "primary_slot_name": self.slot,
            "hot_standby": "on",
            "hot_standby_feedback": "on",
            # What the primary may clean up must not depend on where a new logical slot of ours was ten seconds ago.
            "wal_receiver_status_interval": "1s",
            "wal_retrieve_retry_interval": "500ms",
        }
        return super().all_settings() | self.primary.settings | self.settings | following

    def command(self) -> list[str]:
        self._write_passfile()
        return super().command()

    # --- Making it -----------------------------------------------------------------------------------------------

    def _copy(self) -> None:
        """All of it or none of it. Marked as a standby before it has its name, so that it can never be a primary."""
        self.root.mkdir(parents=True, exist_ok=True, mode=0o700)
        half_made = self.root / "data.new"
        shutil.rmtree(half_made, ignore_errors=True)
        self._run_basebackup(half_made)
        (half_made / "standby.signal").touch(mode=0o600)
        shutil.rmtree(self.data, ignore_errors=True)
        half_made.rename(self.data)

    def _run_basebackup(self, target: Path) -> None:
        where = ["--host", str(self.primary.socket_directory), "--port", str(PORT), "--username", USER]
        how = ["--no-password", "--checkpoint=fast", "--wal-method=stream", "--slot", self.slot]
        made = subprocess.run(  # noqa: S603
            [*as_nobody(), str(binaries() / "pg_basebackup"), "--pgdata", str(target), *where, *how],
            env={**os.environ, "PGPASSFILE": str(self._write_passfile())},
            capture_output=True,
            text=True,
            check=False,
        )
        if made.returncode != 0:
            raise PostgresUnusable(
                f"the copy of {self.primary.name} for {self.name} failed: {made.stderr.strip()}"
            )

    def _refuse_to_delete_what_is_no_copy(self) -> None:
        if not self.initialised():
            return
        if not (self.data / "standby.signal").exists():
            raise PostgresUnusable(f"{self.data} is a standby no more, it was promoted: move it elsewhere")
        ours, theirs = self._system_identifier(), self._on_primary(
            "SELECT system_identifier::text FROM pg_control_system()"
        )
        if ours != theirs:
            raise PostgresUnusable(
                f"{self.data} is a copy of the cluster {ours}, and {self.primary.name} is now {theirs}:"
                " if the primary was lost, that copy may be all there is; move it elsewhere"
            )

    def _system_identifier(self) -> str:
        said = subprocess.run(  # noqa: S603
            [str(binaries() / "pg_controldata"), str(self.data)],
            env={**os.environ, "LC_ALL": "C"},
            capture_output=True,
            text=True,
            check=False,
        )
        found = re.search(r"system identifier:\s*(\d+)", said.stdout)
        return found[1] if found else "unknown"

    # --- The primary ---------------------------------------------------------------------------------------------

    def _require_slot(self) -> None:
        if self._slot_status() == "lost":
            self._on_primary("SELECT pg_drop_replication_slot(%s)", self.slot)
        if self._slot_status() is None:
            self._on_primary(
                "SELECT slot_name::text FROM pg_create_physical_replication_slot(%s, true)", self.slot
            )

    def _slot_status(self) -> str | None:
        """`wal_status` of its slot, None when there is no such slot."""
        return self._on_primary(
            "SELECT coalesce(wal_status, '') FROM pg_replication_slots WHERE slot_name = %s", self.slot
        )

    def _on_primary(self, statement: str, *values: str) -> str | None:
        """The first column of the first row of a statement on the primary, as text."""
        import psycopg

        try:
            with _connected(self.primary.dsn(), self.primary.name) as connection:
                row = connection.execute(statement.encode(), values).fetchone()
        except psycopg.Error as error:
            raise PostgresUnusable(
                f"{self.primary.name} refuses {self.name}: {str(error).strip()}"
            ) from error
        return None if row is None else str(row[0])

    def _conninfo(self) -> str:
        said = {
            "host": str(self.primary.socket_directory),
            "port": str(PORT),
            "user": USER,
            "passfile": str(self._passfile),
            "application_name": self.name,
        }
        return " ".join(f"{key}={_quoted(value)}" for key, value in said.items())

    @property
    def _passfile(self) -> Path:
        return self.root / "passfile"

    def _write_passfile(self) -> Path:
        """By a file, since a command line can be read by everybody."""
        self.root.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._passfile.touch(mode=0o600)
        password = re.sub(r"([\\:])", r"\\\1", self.password_file.read_text().strip())
        self._passfile.write_text(f"*:*:*:{USER}:{password}\n")
        return self._passfile


def _connected(dsn: str, name: str) -> psycopg.Connection:
    import psycopg

    try:
        return psycopg.connect(dsn, autocommit=True, connect_timeout=5)
    except psycopg.OperationalError as error:
        raise PostgresUnusable(f"{name} does not answer: {str(error).strip()}") from error


def _quoted(value: str) -> str:
    return "'" + re.sub(r"(['\\])", r"\\\1", value) + "'"
