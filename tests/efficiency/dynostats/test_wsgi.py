"""A WSGI application that is wrapped, by a server with threads."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator
from wsgiref.util import FileWrapper

import pytest

from calotype.efficiency import dynostats
from calotype.efficiency.dynostats import MeteredWSGI
from calotype.efficiency.dynostats.wsgi import Application, Environ, StartResponse
from tests.efficiency.burning import MS, burn, burnt
from tests.efficiency.dynostats.kept import Kept, recorder
from tests.efficiency.dynostats.test_asgi import only

ENVIRON = {"REQUEST_METHOD": "PUT", "CONTENT_LENGTH": "5", "PATH_INFO": "/secret/"}


@pytest.fixture
def sink() -> Kept:
    return Kept()


@pytest.fixture
def by(sink: Kept) -> Iterator[dynostats.Recorder]:
    made = recorder(sink)
    yield made
    made.meter.uninstall()


def ask(application: Application, by: dynostats.Recorder, **environ: object) -> bytes:
    parts = MeteredWSGI(application, by)({**ENVIRON, **environ}, lambda status, headers: None)
    try:
        return b"".join(parts)
    finally:
        if (close := getattr(parts, "close", None)) is not None:
            close()


def test_a_request_is_charged_with_its_view_its_stream_and_its_end(
    sink: Kept, by: dynostats.Recorder
) -> None:
    class Parts:
        def __iter__(self) -> Iterator[bytes]:
            for _ in range(3):
                burn(2)
                yield b"part"

        def close(self) -> None:
            burn(4, "after")

    def application(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        dynostats.endpoint("export")
        burn(4)
        start_response("206 Partial Content", [])
        return Parts()

    assert ask(application, by) == b"partpartpart"
    record, figures = only(sink)
    assert (record.endpoint, record.method, record.status) == ("export", "PUT", 206)
    assert (record.bytes_in, record.bytes_out) == (5, 12)
    assert figures.cpu == pytest.approx(burnt(), rel=0.1)
    assert figures.after_cpu == pytest.approx(burnt("after"), rel=0.1)


def test_what_the_server_does_between_parts_is_not_the_requests(sink: Kept, by: dynostats.Recorder) -> None:
    def application(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", [])
        return iter([b"a", b"b"])

    parts = MeteredWSGI(application, by)(dict(ENVIRON), lambda status, headers: None)
    for _ in parts:
        burn(5)
    parts.close()  # type: ignore[attr-defined]  # as servers do
    assert only(sink)[1].cpu < MS


def test_an_application_that_raises_is_an_error(sink: Kept, by: dynostats.Recorder) -> None:
    def at_once(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        raise LookupError

    def later(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", [])
        yield b"part"
        raise LookupError

    for application in (at_once, later):
        with pytest.raises(LookupError):
            ask(application, by)
    assert [(record.status, record.error) for record in sink.records] == [
        (0, "LookupError"),
        (200, "LookupError"),
    ]


def test_a_file_is_left_to_the_server(sink: Kept, by: dynostats.Recorder) -> None:
    class File:
        def read(self, size: int = -1) -> bytes:
            return b""

    def application(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", [])
        made: Iterable[bytes] = environ["wsgi.file_wrapper"](File())
        return made

    environ = {**ENVIRON, "wsgi.file_wrapper": FileWrapper}
    assert isinstance(MeteredWSGI(application, by)(environ, lambda status, headers: None), FileWrapper)
    assert only(sink)[0].status == 200


def test_threads_are_charged_each_for_their_own(sink: Kept, by: dynostats.Recorder) -> None:
    def application(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        dynostats.endpoint(environ["endpoint"])
        burn(int(environ["endpoint"]), environ["endpoint"])
        time.sleep(0.01)
        start_response("200 OK", [])
        return [b""]

    threads = [
        threading.Thread(target=ask, args=(application, by), kwargs={"endpoint": str(10 * n)})
        for n in range(1, 6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for record in sink.records:
        assert record.figures is not None
        assert record.figures.cpu == pytest.approx(burnt(record.endpoint), rel=0.1)
