"""What an author did to a photograph: the numbers that the editor in the browser (`static/photos/editor/recipe.js`) made a
rendition with. The server stores them and hands them back; it never renders by them, but lets nothing else in.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from django.utils.translation import gettext as _

from calotype.std.errors import Unprocessable

RECIPE_BYTES = 4_000
SMALLEST = 0.05
"""A crop has at least this part of the frame, each way."""
ROUNDING = 1e-4

Part = Annotated[float, msgspec.Meta(ge=0, le=1)]
Extent = Annotated[float, msgspec.Meta(ge=SMALLEST - ROUNDING, le=1)]
Signed = Annotated[float, msgspec.Meta(ge=-100, le=100)]
Percent = Annotated[float, msgspec.Meta(ge=0, le=100)]

FilterId = Literal[
    "",
    "calotype",
    "cyanotype",
    "albumen",
    "ambrotype",
    "platinum",
    "collodion",
    "vandyke",
    "autochrome",
    "carbro",
    "bichromate",
    "heliochrome",
    "opaltype",
]


class RecipeInvalid(Unprocessable):
    code = "recipe_invalid"


class EditRecipe(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Version 1. See the module in the browser for what each number does, and in which order."""

    v: Literal[1]
    turn: Literal[0, 1, 2, 3] = 0
    flip: bool = False
    straighten: Annotated[float, msgspec.Meta(ge=-45, le=45)] = 0
    crop: tuple[Part, Part, Extent, Extent] = (0, 0, 1, 1)
    """Left, top, width and height, in parts of the frame."""
    aspect: Literal["free", "1:1", "4:5", "16:9"] = "free"
    exposure: Signed = 0
    contrast: Signed = 0
    warmth: Signed = 0
    saturation: Signed = 0
    vignette: Percent = 0
    filter: FilterId = ""
    strength: Percent = 100

    def __post_init__(self) -> None:
        left, top, width, height = self.crop
        if left + width > 1 + ROUNDING or top + height > 1 + ROUNDING:
            raise ValueError("the crop is partly outside of the frame")

    @property
    def is_plain(self) -> bool:
        """Whether it leaves the photograph as it is."""
        strength = self.strength if self.filter else 100
        return msgspec.structs.replace(self, aspect="free", strength=strength) == EditRecipe(1)


def read(data: bytes) -> EditRecipe:
    """A recipe as a browser sends it. Raises `RecipeInvalid`."""
    if len(data) > RECIPE_BYTES:
        raise RecipeInvalid(
            _("The recipe has %(given)d bytes; the limit is %(limit)d.")
            % {"given": len(data), "limit": RECIPE_BYTES}
        )
    try:
        return msgspec.json.decode(data, type=EditRecipe)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise RecipeInvalid(
            _("The recipe of this edit cannot be read: %(error)s.") % {"error": error}
        ) from error


def written(recipe: EditRecipe) -> str:
    """As it stands in a photograph: one writing for each recipe."""
    return msgspec.json.encode(recipe).decode()
