"""Who may use the admin is said by a command, of the site that it is told."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

from calotype.product.accounts.models import Account
from calotype.web.orm import in_thread
from tests import django_site
from tests.running_site import SOURCE
from tests.web_fixtures import Someone


async def calotype(elsewhere: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Where the environment names another site."""
    command = [sys.executable, "-P", "-m", "calotype.cli", *words]
    environment = os.environ | {"CALOTYPE_DATA": str(elsewhere), "PYTHONPATH": str(SOURCE)}
    return await asyncio.to_thread(
        subprocess.run, command, capture_output=True, text=True, env=environment, check=False, timeout=60
    )


def rights(of: Someone) -> tuple[bool, bool]:
    account = Account.objects.get(id=of.id)
    return account.is_staff, account.is_superuser


async def test_the_right_is_given_and_taken_on_the_site_that_is_named(ann: Someone, tmp_path: Path) -> None:
    here = ("--data", str(django_site.data()))
    given = await calotype(tmp_path, "admin", ann.username.upper(), *here)
    assert (given.returncode, given.stdout) == (0, f"@{ann.username.upper()} may use /admin/\n"), given.stderr
    assert await in_thread(rights, ann) == (True, True)

    taken = await calotype(tmp_path, "admin", *here, ann.username, "--remove")
    assert (taken.returncode, taken.stdout) == (0, f"@{ann.username} may no longer use /admin/\n")
    assert await in_thread(rights, ann) == (False, False)


async def test_nobody_of_that_name_is_said(ann: Someone, tmp_path: Path) -> None:
    said = await calotype(tmp_path, "admin", "nobody-of-that-name", "--data", str(django_site.data()))
    assert said.returncode == 1
    assert said.stderr == "calotype: nobody is called @nobody-of-that-name here: they sign up first\n"


async def test_a_site_that_is_not_there_is_named(ann: Someone, tmp_path: Path) -> None:
    before = await in_thread(rights, ann)
    said = await calotype(tmp_path, "admin", ann.username, "--data", str(tmp_path / "absent"))
    assert said.returncode == 1
    assert said.stderr.startswith(f"calotype: {tmp_path}/absent/calotype.toml is not there")
    assert said.stderr.count("\n") == 1
    assert await in_thread(rights, ann) == before
