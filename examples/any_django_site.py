"""A Django site that knows what its requests cost. It takes only `calotype.efficiency`, and is no part of Calotype.

    gunicorn --chdir examples any_django_site:wsgi --workers 2 --threads 4
    uvicorn --app-dir examples any_django_site:asgi --workers 2

Open http://127.0.0.1:8000/ a few times, then see `python examples/any_django_site.py`.
"""

import asyncio
import os
import time
from pathlib import Path

import django
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.urls import path

HERE = Path(os.environ.get("ANY_SITE_DATA", "any-site-data"))

settings.configure(
    ROOT_URLCONF=__name__,
    SECRET_KEY="not one for a site that others reach",
    ALLOWED_HOSTS=["127.0.0.1", "localhost"],
    MIDDLEWARE=["calotype.efficiency.dynostats.django.Dynostats"],
    DYNOSTATS={"directory": HERE / "dynostats", "release": "example"},
)
django.setup()

from django.core.asgi import get_asgi_application  # noqa: E402
from django.core.wsgi import get_wsgi_application  # noqa: E402

from calotype.efficiency.dynostats import Tick, read  # noqa: E402
from calotype.efficiency.dynostats.exposition import exposition  # noqa: E402


def busy(request: HttpRequest) -> HttpResponse:
    until = time.thread_time_ns() + 5_000_000
    while time.thread_time_ns() < until:
        pass
    return HttpResponse("This took 5 ms of CPU.\n")


async def patient(request: HttpRequest) -> HttpResponse:
    await asyncio.sleep(0.05)
    return HttpResponse("This took 50 ms, and hardly any CPU.\n")


urlpatterns = [
    path("", busy, name="busy"),
    path("patient/", patient, name="patient"),
    path("metrics", exposition, name="metrics"),  # for Prometheus
]
wsgi, asgi = get_wsgi_application(), get_asgi_application()

if __name__ == "__main__":
    for tick in (entry for entry in read(HERE / "dynostats") if isinstance(entry, Tick)):
        for name, totals in tick.endpoints.items():
            print(f"{name}: {totals.requests} requests, {totals.cpu.mean / 1e6:.2f} ms of CPU each")
