"""Whole numbers in templates: ids and counts, 350 a page of the feed."""

from __future__ import annotations

from decimal import Decimal

from django.conf import settings
from django.utils import formats, numberformat
from django.utils.safestring import SafeString

from calotype.web.patches.patch import Attribute, Patch

_theirs = formats.number_format


def number_format(
    value: Decimal | float | str,
    decimal_pos: int | None = None,
    use_l10n: bool | None = None,
    force_grouping: bool = False,
) -> str:
    if type(value) is int and not (decimal_pos or force_grouping or settings.USE_THOUSAND_SEPARATOR):
        return SafeString(value)
    return _theirs(value, decimal_pos, use_l10n, force_grouping)


NUMBERS = Patch(
    name="numbers",
    replaces="django.utils.formats.number_format, as `localize` calls it",
    safe_because="""
    A whole number without grouping and decimals is written the same in every language: Django asks for three formats
    of the current one and then uses none of them. Whoever wants them grouped, by the setting or by the call, gets
    Django's.
    """,
    read=(formats.number_format, formats.localize, numberformat.format),
    digest="c21461f4877d718e",
    places=(Attribute(formats, "number_format", number_format),),
)

PATCHES = (NUMBERS,)
