"""`calotype jobs`: what waits, what failed, and what to do about it."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import UTC, datetime

import click
import msgspec

from calotype.cli.options import data_option
from calotype.cli.places import Places
from calotype.config.jobs import broker, failures
from calotype.config.site import read
from calotype.infra.jobs.engine import QueueDepth
from calotype.infra.jobs.failures import Failure, JobMissing

SOME_DEAD = 1


class Listing(msgspec.Struct):
    """What `list --json` prints. Times are ISO 8601."""

    queues: list[QueueDepth]
    failed: list[Failure]


@click.group()
def jobs() -> None:
    """Background jobs: the queues, jobs that failed and are tried again, and jobs that were given up."""


@jobs.command("list")
@data_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def list_(places: Places, as_json: bool) -> None:
    """The queues, and the jobs that failed: those that were given up first.

    Exit status: 0 none was given up, 1 some were.

    \b
    Examples:
      ./calotype jobs list
      ./calotype jobs list --json | jq '.failed[].error'
    """
    site = read(places.data)
    sender = broker(site)
    listing = Listing(sender.depths(), failures(site).all())
    click.echo(msgspec.json.encode(listing).decode() if as_json else "\n".join(_text(listing)))
    sys.exit(SOME_DEAD if any(failure.dead for failure in listing.failed) else 0)


@jobs.command()
@data_option
@click.argument("id", metavar="ID")
def show(places: Places, id: str) -> None:
    """All that is known of one failed job, its traceback included."""
    failure = failures(read(places.data)).one(id)
    click.echo(f"{_line(failure)}\narguments: {failure.arguments}\n\n{failure.traceback.rstrip()}")


@jobs.command()
@data_option
@click.argument("ids", nargs=-1, metavar="[ID]...")
@click.option("--dead", is_flag=True, help="All that were given up.")
def retry(places: Places, ids: Sequence[str], dead: bool) -> None:
    """Try failed jobs again at once, with all their attempts before them.

    \b
    Examples:
      ./calotype jobs retry 5f0c2f7e1ab04d9c8e7a61d2
      ./calotype jobs retry --dead
    """
    _require(ids, dead)
    done = failures(read(places.data)).retry(ids, all_dead=dead)
    _say(done, ids, "will be tried again")


@jobs.command()
@data_option
@click.argument("ids", nargs=-1, metavar="[ID]...")
@click.option("--dead", is_flag=True, help="All that were given up.")
def drop(places: Places, ids: Sequence[str], dead: bool) -> None:
    """Forget failed jobs for good: what they were to do will not be done.

    \b
    Examples:
      ./calotype jobs drop 5f0c2f7e1ab04d9c8e7a61d2
      ./calotype jobs drop --dead
    """
    _require(ids, dead)
    done = failures(read(places.data)).drop(ids, all_dead=dead)
    _say(done, ids, "forgotten")


def _require(ids: Sequence[str], dead: bool) -> None:
    if not ids and not dead:
        raise click.UsageError(
            "name the jobs by their ids (`calotype jobs list`), or say --dead for all that were given up"
        )


def _say(done: int, ids: Sequence[str], what: str) -> None:
    if done < len(ids):
        raise JobMissing(
            f"{done} of {len(ids)} jobs {what}; the others are not there, or running just now (`calotype jobs list`)"
        )
    click.echo(f"{done} jobs {what}" if done != 1 else f"1 job {what}")


def _text(listing: Listing) -> list[str]:
    lines = [_queue(queue) for queue in listing.queues]
    dead = [failure for failure in listing.failed if failure.dead]
    again = [failure for failure in listing.failed if not failure.dead]
    if dead:
        lines += [
            "",
            f"{len(dead)} given up (`calotype jobs show ID` has the traceback; retry or drop them):",
        ]
        lines += map(_line, dead)
    if again:
        lines += ["", f"{len(again)} failed and tried again:"]
        lines += map(_line, again)
    return lines if listing.failed else [*lines, "no job has failed"]


def _queue(queue: QueueDepth) -> str:
    oldest = "" if queue.oldest_s is None else f", the oldest since {queue.oldest_s:,.0f} s"
    taken = "" if queue.running is None else f", {queue.running:,} taken"
    total = "" if queue.total is None else f"; {queue.total:,} ever sent"
    return f"{queue.queue:12} {queue.waiting:,} waiting{taken}{oldest}{total}"


def _line(failure: Failure) -> str:
    return f"  {failure.id}  {failure.job:20} {failure.attempts} attempts, {_next(failure)}  {failure.error}"


def _next(failure: Failure) -> str:
    if failure.due is None:
        return f"given up {failure.last_failed:%Y-%m-%d %H:%M}"
    if failure.sent:
        return "running or about to"
    return f"again in {max((failure.due - datetime.now(UTC)).total_seconds(), 0):,.0f} s"
