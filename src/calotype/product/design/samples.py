"""What the components are shown with: people and photographs of the demo, and names that are hard on a layout.

Each theme has ids of its own, since both stand on one page. Its words are English, as those of all pages for staff.
"""

from __future__ import annotations

from typing import Any

import msgspec
from django import forms
from django.template.loader import get_template
from django.urls import reverse
from django.utils import timezone

from calotype.infra.tao import Node
from calotype.product.accounts.forms import PlainForm
from calotype.product.accounts.queries import PersonCard
from calotype.product.accounts.types import AccountId
from calotype.product.comments.queries import Said
from calotype.product.demo.credits import credits
from calotype.product.demo.people import PEOPLE
from calotype.product.design.tokens import groups, icons
from calotype.product.feed.types import Item
from calotype.product.feed.views import shown as shown_post
from calotype.product.notifications.types import Kind, Note
from calotype.product.notifications.views import shown as shown_note
from calotype.product.photos.queries import PhotoView, photo_view
from calotype.product.photos.types import Photo, Post
from calotype.product.profiles.grid import Cell

THEMES = ("light", "dark")

SAMPLES = (
    ("brand", "Wordmark and mark"),
    ("tokens", "Tokens"),
    ("icons", "Icons"),
    ("words", "Words"),
    ("buttons", "Buttons"),
    ("fields", "Fields"),
    ("choices", "Choices"),
    ("pills", "Pills, keys, tabs"),
    ("progress", "Progress"),
    ("menu", "Menu"),
    ("dialogs", "Dialogs"),
    ("toasts", "Toasts and notes"),
    ("people", "People"),
    ("post", "Post"),
    ("comments", "Comments"),
    ("grid", "Grid"),
    ("notes", "What happened"),
    ("loading", "While something is on its way"),
    ("empty", "Empty places and the end of a list"),
    ("trouble", "Failed and offline"),
    ("error", "A page that failed"),
)
"""`design/samples/<name>.html`, and its title."""

BLURHASH = "LEHV6nWB2yk8pyo0adR*.7kCMdnj"
PHOTOS = ("honey-bee", "fig", "bridge", "dragonfly", "coffee", "spaniels")
LONG_NAME = "A name as long as the fifty letters it may have is"
LONG_WORD = "a_name_without_any_gap_in_it_30"


class SampleForm(PlainForm):
    title = forms.CharField(label="Title", help_text="Up to 50 letters.", initial="Dandelions")
    words = forms.CharField(label="Words", widget=forms.Textarea(attrs={"rows": 3}))
    wanted = forms.BooleanField(label="Tell me when somebody answers", initial=True, required=False)


class Message(msgspec.Struct, frozen=True):
    level_tag: str
    text: str

    def __str__(self) -> str:
        return self.text


def sections() -> list[dict[str, str]]:
    """Each sample with the template that draws it, as its source says."""
    return [
        {
            "name": name,
            "title": title,
            "template": f"design/samples/{name}.html",
            "source": _source(f"design/samples/{name}.html"),
        }
        for name, title in SAMPLES
    ]


def _source(name: str) -> str:
    template: Any = get_template(name)
    source: str = template.template.source
    return source.strip()


def context(theme: str) -> dict[str, Any]:
    """What samples may name. `at` makes ids of this theme."""
    at = THEMES.index(theme) + 1
    people = _people(at)
    item = _item(at, people)
    form = SampleForm(auto_id=f"{theme}-%s")
    refused = SampleForm({"title": "Dandelions", "words": ""}, auto_id=f"{theme}-refused-%s")
    refused.add_error(None, "This could not be saved.")
    return {
        "theme": theme,
        "at": at,
        "me": people[0],
        "people": people,
        "person": people[1],
        "item": item,
        "several": _item(at + 10, people, several=True),
        "cells": _cells(at, people),
        "notes": _notes(at, people),
        "form": form,
        "refused": refused,
        "messages": [Message("success", "Saved."), Message("error", "That did not work.")],
        "groups": groups(),
        "icons": icons(),
    }


def _people(at: int) -> list[PersonCard]:
    names = [(person.username, person.name) for person in PEOPLE[:3]]
    names += [(LONG_WORD, LONG_NAME), ("from_the_right", "اسم يُكتب من اليمين")]
    return [
        PersonCard(
            id=AccountId(at * 100 + number),
            username=username,
            name=name,
            url=f"/@{username}/",
            avatar="",
            initial=name[:1].upper(),
            hue=number * 3 % 8,
            bio="Lines about oneself, of which a list of people shows the first two.",
        )
        for number, (username, name) in enumerate(names)
    ]


def _photo(number: int) -> PhotoView:
    """One of the demo, by the address that the page of its makers has."""
    credit = credits()[PHOTOS[number]]
    photo = Photo(number, credit.width, credit.height, BLURHASH, [320], credit.alt)
    url = reverse("demo_photo", args=[credit.name])
    return msgspec.structs.replace(
        photo_view(number, photo), src=url, jpeg=f"{url} {credit.width}w", webp="", square=url, full=url
    )


def _post(id_: int, author: PersonCard, photos: int) -> Node[Post]:
    made = [Photo(number, 4, 3, BLURHASH, [320]) for number in range(photos)]
    caption = "Late in the year for her, and she does not mind. #garden"
    now = _now_ms()
    return Node(id_, 1, now, now, Post(author.id, made, caption, at=now - 3_600_000))


def _item(id_: int, people: list[PersonCard], *, several: bool = False) -> dict[str, Any]:
    text = "Contemplative, as ever. How long did you wait for it?"
    said = [Said(id_ * 100 + number, people[number + 2], text, {}, _now_ms() - 60_000) for number in range(2)]
    author = people[1 + id_ % 2]
    node = _post(id_, author, 3 if several else 1)
    item = shown_post(Item(node, author, likes=1_204, liked=several, comments=12, said=said))
    return {**item, "photos": [_photo(number) for number in range(3)] if several else [_photo(0)]}


def _cells(at: int, people: list[PersonCard]) -> list[Cell]:
    return [Cell(at * 100 + n, _photo(n), 1 + n % 2 * 2, people[1]) for n in range(len(PHOTOS))]


def _notes(at: int, people: list[PersonCard]) -> list[dict[str, Any]]:
    post = _post(at, people[0], 1)
    notes = [
        Note(Kind.LIKE, 1, people[1:], 14, post, "", _now_ms(), unread=True),
        Note(Kind.COMMENT, 2, people[3:4], 1, post, "Where was this?", _now_ms() - 3_600_000, unread=False),
        Note(Kind.FOLLOW, 3, people[4:], 1, None, "", _now_ms() - 90_000_000, unread=False),
    ]
    return [{**shown_note(note), "photo": _photo(1) if note.post else None} for note in notes]


def _now_ms() -> int:
    return int(timezone.now().timestamp() * 1000)
