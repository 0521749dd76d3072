"""Large blobs on S3: sent in parts, and create-only all the same. Blocking: `S3Blobs` runs it in threads of its own.

obstore cannot do it. With `mode="create"` it sends one request, whatever the size; its multipart upload takes no condition, so
it would replace what is there; and one that is cancelled leaves its parts, which cost their room for ever and appear in no
listing of blobs. S3 itself can: `If-None-Match: *` with the request that completes an upload makes it lose to any blob that has the key by
then, whether that came in one piece or in parts, and nobody sees a part before. Measured with versitygw 1.8, which looks again under
a lock of the key just before it links the whole file.

An upload that fails is aborted, in a few seconds of its own, past the deadline too. If the server is gone as well, its parts stay
until somebody removes the blobs below a prefix of its key (`abort_below`); photos have an outbox row for that before their first byte is sent.
"""

from __future__ import annotations

import html
import logging
import re
import threading

from calotype.infra.blobs.s3_client import Bucket, Connection, Refused, tolerated

PART_BYTES = 8 * 1024 * 1024
ABOVE_BYTES = 2 * PART_BYTES
"""What is no larger is sent in one piece: to begin and to complete an upload are two requests more."""
assert PART_BYTES >= 5 * 1024 * 1024  # S3 takes no smaller part, but for the last
assert 10_000 * PART_BYTES >= 64 * 1024**3  # nor more than 10,000 of them

PART_ATTEMPTS = 2
"""To send a part again does no harm: the second replaces the first. To begin or to complete an upload again would."""

ABORT_S = 5.0

_UPLOAD = re.compile(r"<UploadId>(.*?)</UploadId>")
_LISTED = re.compile(r"<Upload>.*?</Upload>", re.DOTALL)
_KEY = re.compile(r"<Key>(.*?)</Key>")

log = logging.getLogger(__name__)


def create(bucket: Bucket, key: str, data: bytes, content_type: str, given_up: threading.Event) -> None:
    """Store it; whole when it returns. Whoever does not wait for it any longer sets `given_up`: then it is aborted.

    Raises `Refused` (412 if the key is taken), `TimeoutError`, `OSError`; then there are no parts of it.
    """
    with Connection(bucket) as connection:
        said, _ = connection.ask("POST", key, {"uploads": ""}, headers={"content-type": content_type})
        upload = _upload_in(said.decode())
        try:
            tags = [
                _send(connection, key, upload, number, memoryview(data)[start : start + PART_BYTES], given_up)
                for number, start in enumerate(range(0, len(data), PART_BYTES), 1)
            ]
            _stop_if(given_up)
            connection.ask("POST", key, {"uploadId": upload}, _completion(tags), {"if-none-match": "*"})
        except BaseException:
            _abort(bucket, key, upload)
            raise


def abort_below(bucket: Bucket, prefix: str) -> None:
    """Remove the parts of all uploads that have begun below `prefix`, a directory, and not ended. Raises as `create`."""
    with Connection(bucket) as connection:
        while True:
            said, _ = connection.ask("GET", query={"uploads": "", "prefix": f"{prefix}/"})
            begun = _LISTED.findall(said.decode())
            for one in begun:
                found = _KEY.search(one)
                if found is not None:
                    _abort_on(connection, html.unescape(found[1]), _upload_in(one))
            if not begun:
                return


def _send(
    connection: Connection, key: str, upload: str, number: int, part: memoryview, given_up: threading.Event
) -> str:
    """Send one part; its tag, by which the completion names it."""
    query = {"partNumber": str(number), "uploadId": upload}
    for attempt in range(1, PART_ATTEMPTS + 1):
        _stop_if(given_up)
        try:
            _, headers = connection.ask("PUT", key, query, part)
            return headers["etag"]
        except (ConnectionError, Refused) as error:
            lasting = isinstance(error, Refused) and error.refusal.status < 500
            if lasting or attempt == PART_ATTEMPTS:
                raise
    raise AssertionError("the last attempt returns or raises")


def _stop_if(given_up: threading.Event) -> None:
    if given_up.is_set():
        raise TimeoutError


def _completion(tags: list[str]) -> bytes:
    parts = "".join(
        f"<Part><PartNumber>{number}</PartNumber><ETag>{html.escape(tag)}</ETag></Part>"
        for number, tag in enumerate(tags, 1)
    )
    return f"<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>".encode()


def _abort(bucket: Bucket, key: str, upload: str) -> None:
    try:
        with Connection(bucket) as connection:  # a new one: the other may wait for an answer that never comes
            _abort_on(connection, key, upload)
    except (OSError, Refused) as error:
        log.warning("blobs: cannot abort the upload of %s, its parts stay: %s", key, error)


def _abort_on(connection: Connection, key: str, upload: str) -> None:
    with tolerated("NoSuchUpload"):  # it was completed after all, or somebody else aborted it
        connection.ask("DELETE", key, {"uploadId": upload}, within_s=ABORT_S)


def _upload_in(said: str) -> str:
    found = _UPLOAD.search(said)
    if found is None:
        raise ConnectionError("the answer to the beginning of an upload names no upload")
    return html.unescape(found[1])
