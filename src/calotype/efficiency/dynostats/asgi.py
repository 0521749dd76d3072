"""An ASGI application that is metered and recorded."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any

from calotype.efficiency.dynostats.observation import OBSERVED, Observation
from calotype.efficiency.dynostats.recorder import Recorder

Scope = dict[str, Any]
Message = Mapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Coroutine[Any, Any, None]]


class MeteredASGI:
    """Around an application, outside of everything else of it."""

    def __init__(self, application: Application, recorder: Recorder) -> None:
        self._application, self._recorder = application, recorder
        recorder.meter.install()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._application(scope, receive, send)
            return
        recorder = self._recorder
        observed = recorder.begin(scope["method"])
        token = OBSERVED.set(observed)
        served = self._application(scope, _receiving(receive, observed), self._sending(send, observed))
        try:
            await running(recorder, observed, served)
        except BaseException as error:
            observed.error = type(error).__name__
            raise
        finally:
            OBSERVED.reset(token)
            recorder.end(observed)

    def _sending(self, send: Send, observed: Observation) -> Send:
        account, answered = observed.account, self._recorder.meter.answered

        async def observing(message: Message) -> None:
            await send(message)
            if message["type"] == "http.response.start":
                observed.answering(message["status"])
            elif message["type"] == "http.response.body":
                observed.bytes_out += len(message.get("body", b""))
                if account is not None and not message.get("more_body", False):
                    answered(account)

        return observing


async def running[T](recorder: Recorder, observed: Observation, coroutine: Coroutine[Any, Any, T]) -> T:
    """Await what serves the request, and charge it, if it is metered."""
    if observed.account is None:
        return await coroutine
    return await recorder.meter.run(observed.account, coroutine)


def _receiving(receive: Receive, observed: Observation) -> Receive:
    async def observing() -> Message:
        message = await receive()
        if message["type"] == "http.request":
            observed.bytes_in += len(message.get("body", b""))
        return message

    return observing
