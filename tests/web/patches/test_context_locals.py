"""Languages, and what else is kept for a task."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from asgiref.local import Local
from asgiref.sync import sync_to_async
from django.conf import settings
from django.utils import translation


async def test_a_language_holds_in_its_task_and_in_those_that_it_starts(either: None) -> None:
    async def child() -> str | None:
        inherited = translation.get_language()
        translation.activate("de")
        return inherited

    with translation.override("fr"):
        assert await asyncio.create_task(child()) == "fr"
        assert translation.get_language() == "fr"
        assert await child() == "fr"
        assert translation.get_language() == "de"
        with translation.override(None, deactivate=True):
            assert translation.get_language() is None
        assert translation.get_language() == settings.LANGUAGE_CODE


async def test_a_language_goes_into_threads_by_asgiref_alone(either: None) -> None:
    with translation.override("fr"):
        assert await sync_to_async(translation.get_language)() == "fr"
        assert await asyncio.to_thread(translation.get_language) == "en"


def test_an_attribute_that_is_not_there_is_missed(either: None) -> None:
    local: Any = Local()
    with pytest.raises(AttributeError):
        local.value  # noqa: B018
    local.value = None
    assert local.value is None
    local.other = 2
    del local.value
    assert (getattr(local, "value", 0), local.other) == (0, 2)
    with pytest.raises(AttributeError):
        del local.value
