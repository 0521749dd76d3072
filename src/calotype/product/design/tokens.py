"""The tokens and icons that there are, read from the files that browsers get: the page cannot say anything else."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from importlib.resources import files

import msgspec

STATIC = files("calotype.web").joinpath("static/web")


class Token(msgspec.Struct, frozen=True):
    name: str
    value: str


class Group(msgspec.Struct, frozen=True):
    """Tokens of one kind: `kind` says how the page draws them."""

    kind: str
    title: str
    tokens: list[Token]


KINDS = (
    ("colour", "Colours", r"^(light-dark|rgb)\("),
    ("height", "Height above the page", r"^0 "),
    ("ease", "How something moves", r"cubic-bezier|linear\(|^\.\d+s$"),
    ("type", "Type", r"clamp\(.*rem|^\d+(\.\d+)?rem$"),
    ("font", "Fonts", r"serif"),
    ("length", "Lengths", r"^\d+px$"),
)
"""By what a value looks like, the first that fits; a test asserts that each token fits one."""


@lru_cache(maxsize=1)
def tokens() -> list[Token]:
    """Of the first `:root` in the layer `tokens`, in their order."""
    css = STATIC.joinpath("look.css").read_text(encoding="utf-8")
    layer = css.partition("@layer tokens {")[2]
    root = re.sub(r"/\*.*?\*/", "", layer.partition("\n  }")[0], flags=re.DOTALL)
    found = re.findall(r"--([\w-]+):\s*([^;]+);", root)
    return [Token(name, re.sub(r"\s+", " ", value).strip()) for name, value in found]


def groups() -> list[Group]:
    kinds = {token.name: _kind(token) for token in tokens()}
    return [
        Group(kind, title, [token for token in tokens() if kinds[token.name] == kind])
        for kind, title, _ in KINDS
    ]


def _kind(token: Token) -> str:
    fits: Iterable[str] = (kind for kind, _, looks in KINDS if re.search(looks, token.value))
    return next(iter(fits), "")


@lru_cache(maxsize=1)
def icons() -> list[str]:
    sprite = STATIC.joinpath("icons.svg").read_text(encoding="utf-8")
    return re.findall(r'<symbol id="([^"]+)"', sprite)
