"""`calotype admin`: who may use Django's admin."""

from __future__ import annotations

import os

import click

from calotype.cli.options import data_option
from calotype.cli.places import Places
from calotype.std.errors import NotFound


@click.command()
@data_option
@click.argument("username")
@click.option("--remove", is_flag=True, help="Take the right away again.")
def admin(places: Places, username: str, remove: bool) -> None:
    """Let somebody who has signed up use the admin under /admin/.

    \b
    calotype admin jan
    calotype admin jan --remove
    calotype admin jan --data /srv/calotype
    """
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "calotype.config.settings")
    import django

    django.setup(set_prefix=False)
    from calotype.product.accounts.models import Account
    from calotype.product.accounts.names import canonical

    rights = not remove
    changed = Account.objects.filter(username=canonical(username)).update(
        is_staff=rights, is_superuser=rights
    )
    if not changed:
        raise NotFound(f"nobody is called @{username} here: they sign up first")
    print(f"@{username} may {'no longer ' if remove else ''}use /admin/")
