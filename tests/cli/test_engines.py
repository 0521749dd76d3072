"""`calotype engines`, and a site that uses what it runs: Cassandra for timelines, S3 for photographs."""

from __future__ import annotations

import http.client
import io
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from PIL import Image

from calotype.cli.load.browser import Browser, Reply
from tests.cli.command_line import CommandLine
from tests.ports import free_ports
from tests.running_site import RunningSite, running_site

pytestmark = [pytest.mark.cassandra, pytest.mark.s3, pytest.mark.fault]

PASSWORD = "long enough to be one"
SLOWEST_S = 4.0
"""For a page while an engine has just gone: its patience of a second, on two busy cores."""


class Person:
    def __init__(self, site: RunningSite, name: str) -> None:
        self.name = name
        self.browser = Browser(site.url)
        answer = self.browser.post(
            "/sign-up/", username=name, email=f"{name}@mail.example", password=PASSWORD
        )
        assert answer.status == 303, answer.text
        self.browser.take_token()

    def post(self) -> tuple[int, str]:
        """One small photo through the form; status and, where it was posted, the post's id."""
        picture = io.BytesIO()
        Image.new("RGB", (60, 40), "tomato").save(picture, "PNG")
        fields = {"csrfmiddlewaretoken": self.browser._token, "caption": ""}
        parts = [
            f'--edge\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
            for name, value in fields.items()
        ]
        parts.append(
            b'--edge\r\nContent-Disposition: form-data; name="photos"; filename="a.png"\r\n'
            b"Content-Type: image/png\r\n\r\n" + picture.getvalue() + b"\r\n--edge--\r\n"
        )
        address = urlsplit(self.browser.origins[0])
        connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=30)
        cookies = "; ".join(f"{name}={value}" for name, value in self.browser.cookies.items())
        headers = {
            "Content-Type": "multipart/form-data; boundary=edge",
            "Cookie": cookies,
            "Accept": "application/json",
        }
        connection.request("POST", "/new/", b"".join(parts), headers)
        answer = connection.getresponse()
        body = json.loads(answer.read())
        connection.close()
        return answer.status, str(body["posts"][0]) if answer.status == 201 else ""

    def feed(self) -> list[str]:
        began = time.monotonic()
        answer = self.browser.get("/api/v1/timelines/home")
        assert answer.status == 200, answer.text
        assert time.monotonic() - began < SLOWEST_S
        return [status["id"] for status in json.loads(answer.text)]


def health(site: RunningSite) -> tuple[int, dict[str, object]]:
    with Browser(site.url) as browser:
        answer: Reply = browser.get("/healthz")
    return answer.status, json.loads(answer.text)


def eventually(condition: Callable[[], bool], seconds: float = 40) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.2)


@pytest.fixture
def site(short_directory: Path) -> Iterator[RunningSite]:
    data = short_directory / "engines"
    command = RunningSite(data, 0)
    *cassandra, s3 = free_ports(4)
    for engine, at in (("cassandra", cassandra[0]), ("s3", s3)):
        started = command.calotype("engines", "start", engine, "--port", str(at), check=False)
        assert started.returncode == 0, started.stdout + started.stderr
    try:
        with running_site(data, "--timelines", "cassandra", "--blobs", "s3", "--no-demo") as running:
            yield running
    finally:
        for engine in ("cassandra", "s3"):
            command.calotype("engines", "stop", engine, check=False)


def test_a_site_uses_the_engines_beside_it_and_goes_on_while_they_are_away(site: RunningSite) -> None:
    listed = site.calotype("engines", "list").stdout
    assert "cassandra: running at 127.0.0.1 port" in listed
    assert "s3: running at http://127.0.0.1" in listed
    names = [child["name"] for child in site.status()["children"]]
    assert not {"cassandra-1", "s3"} & set(names)
    again = site.calotype("engines", "start", "cassandra", check=False)
    assert (again.returncode, "runs already at" in again.stderr) == (1, True)

    author, reader = Person(site, "author"), Person(site, "reader")
    reader.feed()  # has a timeline made
    assert reader.browser.post("/@author/follow/").status == 303
    status, first = author.post()
    assert status == 201
    eventually(lambda: reader.feed() == [first])
    assert list((site.data / "engines/s3/objects/calotype/photos").iterdir())
    assert not (site.data / "blobs").exists()

    site.calotype("engines", "stop", "cassandra")
    status, second = author.post()
    assert status == 201
    assert reader.feed() == [second, first]
    eventually(lambda: health(site)[1]["status"] == "degraded")
    code, told = health(site)
    engines = told["engines"]
    assert isinstance(engines, dict)
    assert (code, engines["timelines"], engines["blobs"]) == (200, "down", "up")
    site.calotype("engines", "start", "cassandra")
    eventually(lambda: health(site)[1]["status"] == "ok")
    eventually(lambda: reader.feed() == [second, first])

    site.calotype("engines", "stop", "s3")
    assert author.post()[0] == 503
    assert reader.feed() == [second, first]
    assert health(site)[0] == 503
    site.calotype("engines", "start", "s3")
    eventually(lambda: health(site)[0] == 200)
    assert author.post()[0] == 201


def test_photographs_do_not_move_to_another_engine_by_an_option(tmp_path: Path) -> None:
    command = CommandLine(tmp_path / "site")
    assert command.up().returncode == 0
    command("down")
    refused = command.up("--blobs", "s3")
    assert refused.returncode == 1
    assert "would not move them" in refused.stdout + refused.stderr
