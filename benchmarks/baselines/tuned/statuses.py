"""Rows of the database as the dictionaries of a Mastodon status."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from html import escape
from typing import Any


def status(row: Sequence[Any], origin: str) -> dict[str, Any]:
    """What is the same for everybody who sees a photo; `row` has `views.FIELDS`."""
    id_, created, caption = row[:3]
    url = f"{origin}/p/{id_}/"
    return {
        "id": str(id_),
        "created_at": timestamp(created),
        "uri": url,
        "url": url,
        "account": _account(row[11:16], origin),
        "content": f"<p>{escape(caption)}</p>",
        "media_attachments": [_attachment(id_, row[3:9], origin)],
        "sensitive": False,
        "spoiler_text": "",
        "visibility": "public",
        "reblogs_count": 0,
        "reblogged": False,
        "in_reply_to_id": None,
        "in_reply_to_account_id": None,
        "reblog": None,
        "language": None,
        "mentions": (),
        "tags": (),
        "emojis": (),
    }


def comment(id_: int, created: datetime, username: str, text: str) -> dict[str, Any]:
    return {
        "id": str(id_),
        "created_at": timestamp(created),
        "username": username,
        "content": f"<p>{escape(text)}</p>",
    }


def timestamp(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds")[:23] + "Z"


def _account(row: Sequence[Any], origin: str) -> dict[str, Any]:
    id_, username, name, bio, joined = row
    return {
        "id": str(id_),
        "username": username,
        "acct": username,
        "display_name": name,
        "note": f"<p>{escape(bio)}</p>",
        "url": f"{origin}/@{username}/",
        "avatar": "",
        "avatar_static": "",
        "created_at": timestamp(joined),
        "locked": False,
        "bot": False,
    }


def _attachment(photo: int, row: Sequence[Any], origin: str) -> dict[str, Any]:
    picture, width, height, widths, blurhash, alt = row
    small = next((each for each in widths if each >= 640), widths[-1])
    address = f"{origin}/media/{photo}/{picture}"
    return {
        "id": str(picture),
        "url": f"{address}/{widths[-1]}.jpeg",
        "preview_url": f"{address}/{small}.jpeg",
        "description": alt or None,
        "blurhash": blurhash,
        "meta": {"original": _size(width, height, widths[-1]), "small": _size(width, height, small)},
        "type": "image",
        "remote_url": None,
    }


def _size(full_width: int, full_height: int, width: int) -> dict[str, Any]:
    height = max(1, round(full_height * width / full_width))
    return {"width": width, "height": height, "size": f"{width}x{height}", "aspect": round(width / height, 4)}
