"""The command line. Commands are imported when they are used, so that `status` does not pay for Django."""

from __future__ import annotations

import os
import sys
from importlib import import_module
from typing import NamedTuple, NoReturn

import click

from calotype.cli.places import checkout
from calotype.std.errors import CalotypeError


class Entry(NamedTuple):
    target: str
    """`module:attribute` of the click command."""
    summary: str
    """What `--help` of the group says, so that it need not import every command."""


COMMANDS = {
    "up": Entry("calotype.cli.up:up", "Start the site and keep it running."),
    "down": Entry("calotype.cli.down:down", "Stop the site and wait until all of it has ended."),
    "status": Entry("calotype.cli.status:status", "What is running, where, and whether it is healthy."),
    "doctor": Entry("calotype.cli.doctor:doctor", "What this machine has for a site, and what it lacks."),
    "logs": Entry("calotype.cli.logs:logs", "Print or follow the logs of its processes."),
    "demo": Entry("calotype.cli.demo:demo", "Add people and photos to try a site at size."),
    "load": Entry(
        "calotype.cli.load.command:load", "Use a running site as people do, and check what they see."
    ),
    "shards": Entry(
        "calotype.cli.shards:shards", "Logical shards: where they live; migrate them, add new ones."
    ),
    "graph": Entry(
        "calotype.cli.graph:graph", "Objects and associations: prove that nothing is half or miscounted."
    ),
    "consistency": Entry(
        "calotype.cli.consistency:consistency", "Compare what the regions' caches hold with the primaries."
    ),
    "admin": Entry("calotype.cli.admin:admin", "Say who may use the admin under /admin/."),
    "bench": Entry("calotype.cli.bench:bench", "Measure every claim of the README, beside its baseline."),
    "capacity": Entry(
        "calotype.cli.capacity.command:capacity", "What a site of any size needs: servers, on paper."
    ),
    "profile": Entry("calotype.cli.profile:profile", "Where requests spend their CPU, time and memory."),
    "check": Entry("calotype.cli.check:check", "Format, lint, types and import contracts."),
    "test": Entry("calotype.cli.test:test", "Everything that must pass: check, then all tests."),
    "prepare": Entry("calotype.cli.prepare:prepare", "Migrate, collect static files (`up` runs it)."),
    "invalidator": Entry(
        "calotype.cli.invalidator:invalidator", "Outdate a region's cache by a commit log (`up` runs them)."
    ),
    "engines": Entry("calotype.cli.engines:engines", "Start and stop Cassandra or S3 beside the site."),
    "jobs": Entry("calotype.cli.jobs:jobs", "Background jobs: what waits, what failed, try it again."),
    "worker": Entry("calotype.cli.worker:worker", "Run background jobs of a queue (`up` runs one of each)."),
    "relay": Entry("calotype.cli.relay:relay", "Deliver the outboxes of all shards (`up` runs it)."),
}

HELP = """\
Calotype: a photo network that starts with one command.

\b
  ./calotype up              start the site; Ctrl-C stops all of it
  ./calotype up --detach     the same, in the background
  ./calotype status          what runs, and whether it is healthy
  ./calotype logs web -f     follow what one process says
  ./calotype down            stop it

\b
Everything a site has lies in one data directory: its file calotype.toml,
PostgreSQL, photos, logs. Copy that directory while the site is down, and you
have copied the site.

\b
Environment, each the same as the option of `up`:
  CALOTYPE_DATA       the data directory (default: var beside this program)
  CALOTYPE_PORT       port of the web server (default: 8000)
  CALOTYPE_HOST       address it binds to (default: 127.0.0.1)
  CALOTYPE_WORKERS    web processes (default: one fewer than the cores)
  CALOTYPE_POSTGRES   DSNs of existing servers, separated by spaces
  CALOTYPE_BROKER     amqp:// of RabbitMQ, for background jobs (kept)
  CALOTYPE_TIMELINES  postgres or cassandra, for the feeds (kept)
  CALOTYPE_BLOBS      local or s3, for the photographs (first start)
  CALOTYPE_REGIONS    how many regions this machine plays, 1 or 2 (kept)
\b
And of the program that starts this one:
  CALOTYPE_PYTHON     the interpreter: a path, a command, or a version
  CALOTYPE_VENV       where the virtual environment lives
"""


class LazyGroup(click.Group):
    """A group whose commands are named by `COMMANDS` and imported on use."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        entry = COMMANDS.get(cmd_name)
        if entry is None:
            return None
        module, _, attribute = entry.target.partition(":")
        command = getattr(import_module(module), attribute)
        assert isinstance(command, click.Command), entry.target
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.summary) for name, entry in COMMANDS.items()])


@click.group(
    cls=LazyGroup,
    help=HELP,
    epilog="`./calotype COMMAND --help` says more about each.",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(package_name=None, version="0.1.0", prog_name="calotype")
def cli() -> None:
    """See `HELP`."""


def main() -> NoReturn:
    """Run one command. A `CalotypeError` is one sentence on standard error and exit status 1."""
    os.environ.setdefault("CALOTYPE_DATA", str(checkout() / "var"))
    try:
        cli(prog_name="calotype")
    except CalotypeError as error:
        click.echo(f"calotype: {error.message}", err=True)
    sys.exit(1)
