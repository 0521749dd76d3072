"""The command line with small stand-ins for `prepare`, the relay, the workers, the invalidators and the web server.

PostgreSQL and memcached are the real ones.

Run as a program: `python tests/cli/stand_in.py up ...`. The stand-in web server answers /healthz and, with a POST to
/crash, ends; `STAND_IN_PREPARE_STATUS` is the exit status of the stand-in for `prepare`.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from calotype.cli import site_processes
from calotype.cli.child_process import ChildSpec
from calotype.cli.forked import ForkServer
from calotype.cli.main import main
from calotype.config.site import Site

WEB = """
import http.server, os, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/healthz" else 404)
        self.end_headers()
        self.wfile.write(b'{"ok": true}')
    def do_POST(self):
        os._exit(9)
http.server.ThreadingHTTPServer((os.environ["CALOTYPE_HOST"], int(os.environ["CALOTYPE_PORT"])), Handler).serve_forever()
"""

PREPARE = """
import os, pathlib, sys
print("prepared", sys.argv[1], flush=True)
if sys.argv[1] == "--demo":
    pathlib.Path(os.environ["CALOTYPE_DATA"], "run", "demo").touch()
sys.exit(int(os.environ.get("STAND_IN_PREPARE_STATUS", "0")))
"""

RELAY = """
import signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
print("relaying", flush=True)
while True:
    time.sleep(60)
"""

WORKER = """
import signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
print("working on", sys.argv[1], flush=True)
while True:
    time.sleep(60)
"""

INVALIDATOR = """
import os, signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
print("following", sys.argv[1], "in region", os.environ["CALOTYPE_REGION"], flush=True)
while True:
    time.sleep(60)
"""

_real_web = site_processes.web


def _python(name: str, program: str, told: Mapping[str, str], *arguments: str) -> ChildSpec:
    prefix = site_processes.dying_with_us(signal.SIGTERM)
    return ChildSpec(name, [*prefix, sys.executable, "-P", "-c", program, *arguments], told)


def _prepare(told: Mapping[str, str], forks: ForkServer | None = None, *, demo: bool) -> ChildSpec:
    return _python("prepare", PREPARE, told, "--demo" if demo else "--no-demo")


def _relay(told: Mapping[str, str], forks: ForkServer | None = None) -> ChildSpec:
    return _python("relay", RELAY, told)


def _worker(queue: str, told: Mapping[str, str], forks: ForkServer | None = None) -> ChildSpec:
    return _python(f"worker-{queue}", WORKER, told, queue)


def _invalidator(log: str, name: str, told: Mapping[str, str], forks: ForkServer | None = None) -> ChildSpec:
    return _python(name, INVALIDATOR, told, log)


def _web(
    site: Site, told: Mapping[str, str], forks: ForkServer | None = None, name: str = "web"
) -> ChildSpec:
    return replace(_real_web(site, told, None, name), command=_python(name, WEB, told).command)


if __name__ == "__main__":
    site_processes.OURSELVES = (sys.executable, str(Path(__file__).resolve()))
    site_processes.prepare = _prepare
    site_processes.relay = _relay
    site_processes.worker = _worker
    site_processes.invalidator = _invalidator
    site_processes.web = _web
    main()
