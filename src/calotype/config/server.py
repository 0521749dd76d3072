"""The web server: Granian, its workers forked from a process that has loaded the application.

What a worker does not change it shares with the others, and one that is started again need not load anything. Run as
`python -m calotype.config.server`; address, number of workers and places are those of the site (`config.site`).

Granian takes multiprocessing's start method for its workers. By itself it forks, or spawns on Python 3.14, a process that
has loaded nothing.
"""

from __future__ import annotations

import gc
import logging
import multiprocessing
import sys
from pathlib import Path
from typing import Any

from granian import Granian
from granian.constants import HTTPModes, Interfaces, Loops

from calotype.std.forking import hindrance

log = logging.getLogger(__name__)

WORKERS_END_WITHIN_S = 10
"""Less than the supervisor's own patience, so that Granian ends its workers itself."""

WORKERS_LOAD_WITHIN_S = 8.0
"""After a reload an old worker serves so much longer: what replaces it loads everything anew, on a busy machine in more
than the 3.5 s that Granian would wait."""


def application() -> Any:
    """Loads it, unless this process or the one that it was forked from has."""
    from calotype.config import asgi

    return asgi.application


def preload() -> None:
    """Load all that the first requests would: middleware, addresses, templates, translations. Opens nothing."""
    application()
    from django.conf import settings
    from django.template import engines
    from django.urls import get_resolver
    from django.utils import translation
    from django.utils.module_loading import import_string

    for path in settings.LEAN_MIDDLEWARE:
        import_string(path)
    for code, _ in settings.LANGUAGES:
        with translation.override(code):
            translation.gettext("Home")
            assert get_resolver().reverse_dict
    for engine in engines.all():
        for directory in engine.template_dirs:
            for template in sorted(Path(directory).rglob("*.html")):
                engine.get_template(str(template.relative_to(directory)))


def start_method() -> str:
    """`fork`, with everything loaded, where that is safe; else `spawn`, with nothing loaded.

    What starts a thread one day by being imported, or opens something, costs memory, not correctness.
    """
    if sys.platform != "linux":  # elsewhere the system's own libraries start threads
        return "spawn"
    why_not = hindrance(preload)
    if why_not:
        log.warning("workers share nothing: loading the site %s", why_not)
        return "spawn"
    return "fork"


def serve() -> None:
    """Until SIGINT or SIGTERM. SIGHUP replaces the workers one by one by processes that load everything anew."""
    multiprocessing.set_start_method(start_method())
    from django.conf import settings

    web = settings.SITE.web
    server = Granian(
        "calotype.config.asgi:application",
        address=web.host,
        port=web.port,
        interface=Interfaces.ASGI,
        workers=web.workers,
        runtime_threads=1,
        loop=Loops.uvloop,
        http=HTTPModes.http1,
        websockets=False,
        backlog=2048,
        log_access=False,  # the application writes its own
        respawn_failed_workers=True,  # without closing the port
        workers_kill_timeout=WORKERS_END_WITHIN_S,
        respawn_interval=WORKERS_LOAD_WITHIN_S,
    )
    server.on_startup(_freeze)
    server.on_reload(_load_anew)
    server.serve(target_loader=application, wrap_loader=False)


def _freeze() -> None:
    """No collection in a worker touches, and so copies, what it has from here."""
    gc.collect()
    gc.freeze()


def _load_anew() -> None:
    """New code or configuration is in files, not in this process. Until the server is started again workers share nothing."""
    multiprocessing.set_start_method("spawn", force=True)


if __name__ == "__main__":
    serve()
