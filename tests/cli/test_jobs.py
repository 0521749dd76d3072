"""`calotype jobs`, and the broker that `up` is told to use; see `stand_in` for what runs."""

from __future__ import annotations

import json
import re
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from calotype.config.site import read
from calotype.infra.jobs import Call
from calotype.infra.jobs.broker import Broker, install_broker
from calotype.infra.jobs.failures import Failures
from tests.cli.command_line import CommandLine
from tests.infra.jobs.jobs_program import Say, says
from tests.rabbitmq import running_rabbitmq


@pytest.fixture(scope="module")
def site() -> Iterator[CommandLine]:
    with tempfile.TemporaryDirectory(prefix="calotype-jobs-") as directory:
        command = CommandLine(Path(directory) / "data")
        up = command.up("--no-demo")
        assert up.returncode == 0, up.stdout + up.stderr
        install_broker(dsn(command))
        yield command
        assert command("down").returncode == 0


def dsn(site: CommandLine) -> str:
    return read(site.places.data).control_dsn


def given_up(site: CommandLine, what: str) -> Call:
    call = says(Say(what))
    Failures(dsn(site)).record(call, f"LookupError: no {what}", "Traceback\n  the last line", None)
    return call


def test_what_waits_and_what_failed_is_listed(site: CommandLine) -> None:
    assert site("jobs", "list").stdout.splitlines() == [
        "interactive  0 waiting, 0 taken; 0 ever sent",
        "bulk         0 waiting, 0 taken; 0 ever sent",
        "no job has failed",
    ]
    call = given_up(site, "bread")
    again = says(Say("tea"))
    began = time.monotonic()
    Failures(dsn(site)).record(again, "OSError: away", "", 100)
    listed = site("jobs", "list")
    assert listed.returncode == 1
    assert f"{call.id}  test.say" in listed.stdout
    assert "LookupError: no bread" in listed.stdout
    wait = re.search(r"again in (\d+) s", listed.stdout)
    assert wait
    assert 99 - (time.monotonic() - began) < int(wait[1]) <= 100
    found = json.loads(site("jobs", "list", "--json").stdout)
    assert [one["id"] for one in found["failed"]] == [call.id, again.id]
    assert found["queues"][0] == {
        "queue": "interactive",
        "waiting": 0,
        "running": 0,
        "oldest_s": None,
        "total": 0,
    }
    shown = site("jobs", "show", call.id).stdout
    assert shown.endswith("Traceback\n  the last line\n")
    assert '{"what": "bread"}' in shown


def test_a_job_that_was_given_up_is_tried_again_or_dropped(site: CommandLine) -> None:
    one, two = given_up(site, "one"), given_up(site, "two")
    assert site("jobs", "retry", one.id).stdout == "1 job will be tried again\n"
    assert not Failures(dsn(site)).one(one.id).dead
    assert site("jobs", "drop", two.id, one.id).stdout == "2 jobs forgotten\n"
    absent = site("jobs", "drop", two.id)
    assert (absent.returncode, absent.stdout) == (1, "")
    assert "0 of 1 jobs forgotten" in absent.stderr
    given_up(site, "three")
    assert "forgotten" in site("jobs", "drop", "--dead").stdout
    nothing = site("jobs", "retry")
    assert nothing.returncode == 2
    assert "name the jobs by their ids" in nothing.stderr


def test_a_broker_that_does_not_answer_is_not_taken(site: CommandLine) -> None:
    site("down")
    refused = site.up("--broker", "amqp://nobody:x@127.0.0.1:9/")
    assert refused.returncode == 1
    assert "the queues cannot be looked at" in refused.stdout + refused.stderr
    assert read(site.places.data).broker == ""
    assert site.up().returncode == 0


@pytest.mark.rabbitmq
def test_a_broker_is_changed_when_nothing_waits_with_the_one_before(
    site: CommandLine, short_directory: Path
) -> None:
    with running_rabbitmq(short_directory) as rabbitmq:
        embedded = Broker(dsn(site))
        embedded.send(says(Say("waits")))
        embedded.close()
        site("down")
        refused = site.up("--broker", rabbitmq.url)
        assert refused.returncode == 1
        assert "1 jobs wait with the broker of before" in refused.stdout + refused.stderr
        assert site.up().returncode == 0
        empty(dsn(site))
        site("down")
        assert site.up("--broker", rabbitmq.url).returncode == 0
        assert read(site.places.data).broker == rabbitmq.url
        assert site("jobs", "list").stdout.startswith("interactive  0 waiting\nbulk         0 waiting\n")
        site("down")
        assert site.up(CALOTYPE_BROKER="embedded").returncode == 0
        assert read(site.places.data).broker == ""


def empty(database: str) -> None:
    with psycopg.connect(database) as connection:
        connection.execute("delete from pgmq.q_interactive")
