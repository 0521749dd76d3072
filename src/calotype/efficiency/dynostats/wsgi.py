"""A WSGI application that is metered and recorded. Each request has its thread, so this is for servers with threads or
processes (gunicorn, uWSGI, mod_wsgi); greenlets interleave in one thread and cannot be told apart."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

from calotype.efficiency.dynostats.observation import OBSERVED, Observation
from calotype.efficiency.dynostats.recorder import Recorder

Environ = dict[str, Any]
StartResponse = Callable[..., Any]
Application = Callable[[Environ, StartResponse], Iterable[bytes]]


class MeteredWSGI:
    """Around an application, outside of everything else of it."""

    def __init__(self, application: Application, recorder: Recorder) -> None:
        self._application, self._recorder = application, recorder
        recorder.meter.install()

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        observed = self._recorder.begin(environ["REQUEST_METHOD"])
        length = environ.get("CONTENT_LENGTH", "")
        observed.bytes_in = int(length) if length.isdigit() else 0

        def observing(status: str, *rest: Any) -> Any:
            observed.answering(int(status[:3]))
            return start_response(status, *rest)

        try:
            with serving(self._recorder, observed):
                parts = self._application(environ, observing)
        except BaseException:
            self._recorder.end(observed)
            raise
        sendfile = environ.get("wsgi.file_wrapper")
        if isinstance(sendfile, type) and isinstance(parts, sendfile):  # the server wants it as it is
            self._recorder.end(observed)
            return parts
        return _Answer(parts, self._recorder, observed)


class Parts:
    """An answer, piece by piece: the making of each is charged, and what the server does in between is not."""

    def __init__(self, parts: Iterable[bytes], recorder: Recorder, observed: Observation) -> None:
        self._parts, self._recorder, self._observed = parts, recorder, observed
        with serving(recorder, observed):
            self._iterator = iter(parts)

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        with serving(self._recorder, self._observed):
            part = next(self._iterator)
        self._observed.bytes_out += len(part)
        return part


class _Answer(Parts):
    """Closed by the server when it is sent, or nobody waits for it any longer."""

    def close(self) -> None:
        observed = self._observed
        try:
            if (close := getattr(self._parts, "close", None)) is not None:
                with serving(self._recorder, observed):
                    if observed.account is not None:
                        self._recorder.meter.answered(observed.account)
                    close()
        finally:
            self._recorder.end(observed)


@contextmanager
def serving(recorder: Recorder, observed: Observation) -> Iterator[None]:
    """Charge and name what this thread does inside."""
    token = OBSERVED.set(observed)
    account = observed.account
    try:
        with nullcontext() if account is None else recorder.meter.thread(account):
            yield
    except StopIteration:
        raise
    except BaseException as error:
        observed.error = type(error).__name__
        raise
    finally:
        OBSERVED.reset(token)
