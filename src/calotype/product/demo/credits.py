"""The demo photographs and whose they are."""

from __future__ import annotations

from functools import lru_cache
from importlib import resources
from importlib.resources.abc import Traversable

import msgspec

FOLDER = resources.files("calotype.product.demo").joinpath("photos")


class Credit(msgspec.Struct, frozen=True):
    file: str
    author: str
    licence: str
    source: str
    width: int
    height: int
    alt: str
    changed: str = ""
    title: str = ""

    @property
    def name(self) -> str:
        return self.file.removesuffix(".jpg")

    @property
    def path(self) -> Traversable:
        return FOLDER.joinpath(self.file)


@lru_cache(maxsize=1)
def credits() -> dict[str, Credit]:
    """By name, without the ending."""
    found = msgspec.json.decode(FOLDER.joinpath("credits.json").read_bytes(), type=list[Credit])
    return {credit.name: credit for credit in found}
