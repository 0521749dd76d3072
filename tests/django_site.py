"""Django, set up once a test process for a site whose databases are on this process's clusters.

Settings are read when Django is first imported, which is before any server runs. So the clusters' passwords are chosen
here, and the fixtures initialise the clusters with them.
"""

from __future__ import annotations

import os
import secrets
from functools import cache
from pathlib import Path

from django.contrib.auth.hashers import Argon2PasswordHasher

from calotype.config.site import Site, Web, save
from calotype.infra.engines.postgres import Cluster
from tests.site import CLUSTERS, root


def data() -> Path:
    return root() / "data"


@cache
def set_up() -> None:
    """Write the site's file and set Django up from it."""
    clusters = [Cluster(name, root() / name) for name in CLUSTERS]
    for cluster in clusters:
        cluster.root.mkdir(mode=0o700)
        (cluster.root / "password").write_text(secrets.token_urlsafe(24))
    configuration = Site(
        secret_key=secrets.token_urlsafe(48),
        servers={cluster.name: cluster.dsn("shards") for cluster in clusters},
        databases={"default": clusters[0].dsn("main"), "sessions": clusters[-1].dsn("sessions")},
        web=Web(allowed_hosts=("testserver",)),
    )
    save(data(), configuration)
    os.environ["CALOTYPE_DATA"] = str(data())
    os.environ["DJANGO_SETTINGS_MODULE"] = "calotype.config.settings"
    import django
    from django.conf import settings

    settings.PASSWORD_HASHERS = ["tests.django_site.QuickArgon2"]
    django.setup(set_prefix=False)


class QuickArgon2(Argon2PasswordHasher):
    """The site's own hasher, at a hundredth of its cost: tests sign up hundreds of people."""

    time_cost = 1
    memory_cost = 64
    parallelism = 1
