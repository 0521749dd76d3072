"""Numbers in templates."""

from __future__ import annotations

from decimal import Decimal
from functools import partial

import pytest
from django.test import override_settings
from django.utils import translation
from django.utils.formats import localize

from calotype.web.patches.numbers import NUMBERS
from tests.web.patches.both_ways import both, outcome

VALUES = [0, 7, -7, 1234567, 10**30, True, 1.5, 1e20, Decimal("1234.50"), -0.0, float("inf")]


@pytest.mark.parametrize("grouped", [False, True])
@pytest.mark.parametrize("language", ["en", "de", "fr", "ar", None])
def test_numbers_are_written_as_django_writes_them(language: str | None, grouped: bool) -> None:
    def written() -> list[object]:
        with translation.override(language), override_settings(USE_THOUSAND_SEPARATOR=grouped):
            return [outcome(partial(localize, n, use)) for n in VALUES for use in (None, True, False)]

    theirs, ours = both(NUMBERS, written)
    assert theirs == ours
