"""No middleware, no session table: who asks is in a signed cookie."""

from benchmarks.baselines.settings import *  # noqa: F403

ROOT_URLCONF = "benchmarks.baselines.tuned.urls"
MIDDLEWARE: list[str] = []
