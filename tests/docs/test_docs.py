"""The docs against the code: what exists is documented, what is documented exists."""

from __future__ import annotations

import importlib
import pkgutil
import re
from pathlib import Path

import click
import msgspec
import pytest

import calotype
from calotype.cli.main import COMMANDS
from calotype.config import site
from calotype.std.errors import CalotypeError
from tests import django_site

ROOT = Path(__file__).parent.parent.parent
PAGES = [
    ROOT / "README.md",
    ROOT / "ARCHITECTURE.md",
    ROOT / "CONTRIBUTING.md",
    *sorted((ROOT / "docs").glob("*.md")),
]
ALL = "\n".join(page.read_text() for page in PAGES)


def error_codes() -> set[str]:
    """The codes that a client of the site can meet; the command line shows sentences without codes."""
    django_site.set_up()
    for module in pkgutil.walk_packages(calotype.__path__, "calotype."):
        if "migrations" not in module.name and not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    found: set[str] = set()
    waiting = [CalotypeError]
    while waiting:
        error = waiting.pop()
        waiting += error.__subclasses__()
        if error.__module__.startswith(
            ("calotype.infra.", "calotype.web.", "calotype.product.", "calotype.std.")
        ):
            found.add(error.code)
    return found


def test_every_error_code_is_documented() -> None:
    assert {code for code in error_codes() if f"`{code}`" not in ALL} == set()


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_and_option_has_help(name: str) -> None:
    module, _, attribute = COMMANDS[name].target.partition(":")
    command = getattr(importlib.import_module(module), attribute)
    assert isinstance(command, click.Command)
    assert command.help, f"{name} has no help"
    assert f"calotype {name}" in ALL, f"`calotype {name}` is on no page"


def test_every_setting_of_the_site_is_documented() -> None:
    page = (ROOT / "docs" / "running.md").read_text()
    for struct in (site.Site, site.Web, site.S3, site.Email, site.Feed, site.Region, site.Dynostats):
        for field in msgspec.structs.fields(struct):
            assert field.name in page, f"docs/running.md does not mention {field.name}"


def test_links_between_pages_lead_somewhere() -> None:
    for page in PAGES:
        for target in re.findall(r"\]\((?!https?:|#)([^)#\s]+)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_files_that_pages_and_comments_name_exist() -> None:
    named = set(re.findall(r"docs/[a-z_]+\.md", ALL))
    for path in (ROOT / "src").rglob("*.py"):
        named |= set(re.findall(r"docs/[a-z_]+\.md", path.read_text()))
    assert {name for name in named if not (ROOT / name).exists()} == set()


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= 120
