"""An ASGI application that is wrapped: what its requests did, however they ended."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from calotype.efficiency import dynostats
from calotype.efficiency.dynostats import OBSERVED, MeteredASGI, Record
from calotype.efficiency.dynostats.asgi import Application, Message, Receive, Scope, Send
from calotype.efficiency.meter import CURRENT, Figures, calling, detach
from tests.efficiency.burning import MS, burn, burnt
from tests.efficiency.dynostats.kept import Kept, recorder


@pytest.fixture
def sink() -> Kept:
    return Kept()


@pytest.fixture
def by(sink: Kept) -> Iterator[dynostats.Recorder]:
    made = recorder(sink)
    yield made
    made.meter.uninstall()


async def ask(application: Application, by: dynostats.Recorder, body: bytes = b"") -> list[Message]:
    """What is sent in answer to one request, in a task of its own as servers do it."""
    sent: list[Message] = []
    pieces = [{"type": "http.request", "body": body[:2], "more_body": True}]
    pieces += [{"type": "http.request", "body": body[2:], "more_body": False}]

    async def receive() -> Message:
        return pieces.pop(0)

    async def send(message: Message) -> None:
        sent.append(message)

    scope: Scope = {"type": "http", "method": "POST", "path": "/secret/1/"}
    await asyncio.create_task(MeteredASGI(application, by)(scope, receive, send))
    return sent


async def answer(send: Send, status: int = 200, *parts: bytes) -> None:
    await send({"type": "http.response.start", "status": status, "headers": []})
    for part in parts[:-1]:
        await send({"type": "http.response.body", "body": part, "more_body": True})
    await send({"type": "http.response.body", "body": parts[-1] if parts else b""})


def only(sink: Kept) -> tuple[Record, Figures]:
    (record,) = sink.records
    assert record.figures is not None
    return record, record.figures


async def test_a_request_is_recorded_with_what_everybody_said_of_it(
    sink: Kept, by: dynostats.Recorder
) -> None:
    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        while (await receive())["more_body"]:
            pass
        dynostats.endpoint("photo")
        dynostats.person(7)
        dynostats.gate("new_feed")
        with calling("postgresql"):
            await asyncio.sleep(0.002)
        burn(5)
        await answer(send, 201, b"four", b"two")
        burn(3, "after")

    assert len(await ask(application, by, b"twelve bytes")) == 3
    record, figures = only(sink)
    assert (record.endpoint, record.method, record.status, record.gates) == (
        "photo",
        "POST",
        201,
        ("new_feed",),
    )
    assert (record.bytes_in, record.bytes_out) == (12, 7)
    assert figures.cpu == pytest.approx(burnt(), rel=0.1)
    assert figures.after_cpu == pytest.approx(burnt("after"), rel=0.1)
    calls = figures.calls["postgresql"]
    assert calls.times == 1
    assert calls.took_ns > 1.5 * MS
    assert OBSERVED.get() is None
    assert CURRENT.get() is None
    assert "secret" not in repr(sink.entries)


async def test_a_view_that_raises_is_an_error_with_its_class_and_its_cost(
    sink: Kept, by: dynostats.Recorder
) -> None:
    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        burn(5)
        raise LookupError("with something personal in it")

    with pytest.raises(LookupError):
        await ask(application, by)
    record, figures = only(sink)
    assert (record.status, record.reason, record.error) == (0, "error", "LookupError")
    assert figures.cpu == pytest.approx(burnt(), rel=0.1)
    assert "personal" not in repr(sink.entries)


async def test_a_view_that_is_cancelled_is_recorded(sink: Kept, by: dynostats.Recorder) -> None:
    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        burn(5)
        await asyncio.sleep(60)

    task = asyncio.create_task(ask(application, by))
    await asyncio.sleep(0.02)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    record, figures = only(sink)
    assert (record.reason, record.error) == ("error", "CancelledError")
    assert figures.cpu == pytest.approx(burnt(), rel=0.1)


async def test_a_view_that_never_awaits_is_recorded(sink: Kept, by: dynostats.Recorder) -> None:
    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        burn(5)

    await ask(application, by)
    record, figures = only(sink)
    assert record.status == 0
    assert figures.steps == 1
    assert figures.cpu == pytest.approx(burnt(), rel=0.1)


async def test_a_stream_is_one_request_as_long_as_it_lasts(sink: Kept, by: dynostats.Recorder) -> None:
    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(20):
            burn(0.5)
            await send({"type": "http.response.body", "body": b"x" * 100, "more_body": True})
            await asyncio.sleep(0.001)
        await send({"type": "http.response.body", "body": b""})

    await ask(application, by)
    record, figures = only(sink)
    assert record.bytes_out == 2_000
    assert figures.cpu == pytest.approx(burnt(), rel=0.2)
    assert figures.io_wait_ns > 10 * MS


async def test_a_loop_is_given_back_when_nobody_on_it_is_metered(sink: Kept) -> None:
    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        attached.append("call_soon" in vars(asyncio.get_running_loop()))
        await answer(send)

    attached: list[bool] = []
    by = recorder(sink, dynostats.Sampling(one_in=2, meter="sampled"))
    detach(asyncio.get_running_loop())  # from the meter of another test
    for _ in range(40):
        await ask(application, by)
    metered = [entry.figures is not None for entry in sink.records]
    assert len(metered) == sum(attached), "those that are sampled are metered, and recorded"
    assert 0 < sum(attached) < 40
    by.meter.uninstall()


async def test_other_protocols_pass_through(sink: Kept, by: dynostats.Recorder) -> None:
    seen: list[str] = []

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope["type"])

    async def nothing() -> Message:
        return {}

    async def ignored(message: Message) -> None:
        pass

    await MeteredASGI(application, by)({"type": "lifespan"}, nothing, ignored)
    assert seen == ["lifespan"]
    assert sink.entries == []
