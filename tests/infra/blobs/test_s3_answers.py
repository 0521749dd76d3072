"""What an S3 server may answer that versitygw never does: Amazon's own words, said by a stand-in."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from calotype.infra.blobs import BlobsUnavailable, Bucket, S3Blobs, multipart
from tests.ports import free_ports

JPEG = "image/jpeg"
LARGE = bytes(multipart.ABOVE_BYTES + 1)

BEGUN = (200, "<InitiateMultipartUploadResult><UploadId>up-1</UploadId></InitiateMultipartUploadResult>")
DONE = (200, "")
CONFLICT = (409, "<Error><Code>ConditionalRequestConflict</Code><Message>In conflict</Message></Error>")
SLOW_DOWN = (503, "<Error><Code>SlowDown</Code><Message>Reduce your request rate</Message></Error>")
FAILED_LATE = (200, "  \n<Error><Code>InternalError</Code><Message>Please try again</Message></Error>")

Answers = dict[str, list[tuple[int, str]]]


class StandIn:
    """Answers a request by the first pattern that is in its line: each answer once, the last one for ever."""

    def __init__(self, answers: Answers) -> None:
        self.seen: list[str] = []
        stand_in = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                line = f"{self.command} {self.path}"
                stand_in.seen.append(line)
                ready = next(ready for pattern, ready in answers.items() if pattern in line)
                status, text = ready.pop(0) if len(ready) > 1 else ready[0]
                self.send_response(status)
                self.send_header("ETag", '"tag"')
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text.encode())

            do_GET = do_PUT = do_POST = do_DELETE = answer

            def log_message(self, format: str, *args: object) -> None:
                pass

        (port,) = free_ports(1)
        self.server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01}).start()
        self.store = S3Blobs(Bucket(f"http://127.0.0.1:{port}", "bucket", "us-east-1", "key", "secret"))

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


NewStandIn = Callable[[Answers], StandIn]


@pytest.fixture
def stand_in() -> Iterator[NewStandIn]:
    made: list[StandIn] = []

    def make(answers: Answers) -> StandIn:
        made.append(StandIn(answers))
        return made[-1]

    yield make
    for one in made:
        one.close()


async def test_a_put_that_met_another_request_to_its_key_is_asked_again(stand_in: NewStandIn) -> None:
    s3 = stand_in({"PUT": [CONFLICT, CONFLICT, DONE]})
    await s3.store.put("a.jpg", b"1", JPEG)
    assert s3.seen == ["PUT /bucket/a.jpg"] * 3


async def test_a_put_that_meets_others_for_ever_is_unavailable_not_taken(stand_in: NewStandIn) -> None:
    s3 = stand_in({"PUT": [CONFLICT]})
    with pytest.raises(BlobsUnavailable, match="another request to this key"):
        await s3.store.put("a.jpg", b"1", JPEG)


async def test_a_put_in_doubt_is_asked_once(stand_in: NewStandIn) -> None:
    """After a repetition, "it exists" could mean that the first one had arrived."""
    s3 = stand_in({"PUT": [SLOW_DOWN]})
    with pytest.raises(BlobsUnavailable, match="says 503 SlowDown: Reduce your request rate"):
        await s3.store.put("a.jpg", b"1", JPEG)
    assert s3.seen == ["PUT /bucket/a.jpg"]


async def test_a_read_is_asked_again(stand_in: NewStandIn) -> None:
    s3 = stand_in({"GET": [SLOW_DOWN, (200, "bytes")]})
    assert await s3.store.get("a.jpg") == b"bytes"


async def test_a_part_is_sent_again_and_the_completion_is_not(stand_in: NewStandIn) -> None:
    answers: Answers = {"uploads=": [BEGUN], "PUT": [SLOW_DOWN, DONE], "POST": [SLOW_DOWN], "DELETE": [DONE]}
    s3 = stand_in(answers)
    with pytest.raises(BlobsUnavailable, match="SlowDown"):
        await s3.store.put("a.jpg", LARGE, JPEG)
    part = "PUT /bucket/a.jpg?partNumber={}&uploadId=up-1"
    assert s3.seen[1:5] == [part.format(number) for number in (1, 1, 2, 3)]
    assert s3.seen[5:] == ["POST /bucket/a.jpg?uploadId=up-1", "DELETE /bucket/a.jpg?uploadId=up-1"]


async def test_an_error_after_a_200_is_no_blob(stand_in: NewStandIn) -> None:
    """Amazon says 200 before it completes an upload, because that may take minutes."""
    s3 = stand_in({"uploads=": [BEGUN], "PUT": [DONE], "POST": [FAILED_LATE], "DELETE": [DONE]})
    with pytest.raises(BlobsUnavailable, match="says 200 InternalError: Please try again"):
        await s3.store.put("a.jpg", LARGE, JPEG)
    assert s3.seen[-1] == "DELETE /bucket/a.jpg?uploadId=up-1"


async def test_what_is_no_s3_server_is_said(stand_in: NewStandIn) -> None:
    s3 = stand_in({"POST": [(200, "hello")]})
    with pytest.raises(BlobsUnavailable, match="names no upload"):
        await s3.store.put("a.jpg", LARGE, JPEG)
