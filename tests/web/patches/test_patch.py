"""What a patch is, and that each is still needed."""

from __future__ import annotations

import inspect
import sys
import time
from collections.abc import Callable
from statistics import median

import pytest
from django.conf import settings
from django.template import Context
from django.urls import resolve, reverse
from django.utils import translation
from django.utils.formats import localize
from django.utils.html import conditional_escape
from django.utils.safestring import mark_safe

from calotype.web.patches import PATCHES, Code, Patch, apply, possible
from calotype.web.patches.patch import Changed

BY_NAME = {patch.name: patch for patch in PATCHES}
ROUNDS, TIMES = 15, 300
LESS = 0.9
"""A patched look-up costs at most so much of Django's."""


@pytest.mark.parametrize("patch", PATCHES, ids=BY_NAME)
def test_django_still_has_what_the_patch_was_written_for(patch: Patch) -> None:
    """If not: read what it has now. Either the patch is needless, or it and its digest need to follow."""
    assert patch.as_read


@pytest.mark.parametrize("patch", PATCHES, ids=BY_NAME)
def test_undo_leaves_everything_as_django_has_it(patch: Patch) -> None:
    patch.apply()
    patch.apply()
    assert patch.applied
    assert all(place.current is place.ours for place in patch.places)
    patch.undo()
    patch.undo()
    assert not patch.applied
    assert all(place.current is place.theirs for place in patch.places)


@pytest.mark.parametrize("patch", PATCHES, ids=BY_NAME)
def test_a_patch_says_what_it_replaces_and_why_that_is_safe(patch: Patch) -> None:
    assert patch.replaces.startswith(("django.", "asgiref."))
    assert len(inspect.cleandoc(patch.safe_because)) > 50


def test_all_patches_are_possible() -> None:
    names = ["settings", "locals", "resolve", "reverse", "escaping", "numbers", "contexts"]
    assert list(BY_NAME) == names == list(WORK)


def test_a_patch_of_something_that_is_gone_is_left_out(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr("asgiref.local._DefaultLocal")
    monkeypatch.delitem(sys.modules, "calotype.web.patches.context_locals")
    assert list(possible(("context_locals", "numbers"))) == [BY_NAME["numbers"]]
    assert "the patches 'context_locals' are left out" in caplog.text


def test_code_that_would_mean_something_else_where_it_runs_is_refused() -> None:
    other = object()
    with pytest.raises(Changed, match="BY_NAME is something else"):
        Code(conditional_escape, lambda text: BY_NAME)
    with pytest.raises(Changed, match="closes over"):
        Code(conditional_escape, lambda text: other)
    assert conditional_escape("<") == "&lt;"


def test_a_patch_of_something_that_has_changed_is_left_out(caplog: pytest.LogCaptureFixture) -> None:
    known = BY_NAME["settings"]
    known.undo()
    outdated = Patch("settings", known.replaces, known.safe_because, known.read, "0" * 16, known.places)
    apply([outdated])
    assert not outdated.applied
    assert "the patch 'settings' is left out" in caplog.text
    apply([known])
    assert known.applied


CONTEXT = Context({"me": 1})
for _number in range(6):
    CONTEXT.push({f"more{_number}": _number})

WORK: dict[str, Callable[[], object]] = {
    "settings": lambda: settings.USE_TZ,
    "locals": translation.get_language,
    "resolve": lambda: resolve("/api/v1/timelines/home"),
    "reverse": lambda: reverse("post", args=[237577825031292942]),
    "escaping": lambda: (conditional_escape("words & words"), mark_safe("<b>")),
    "numbers": lambda: localize(1234),
    "contexts": lambda: "me" in CONTEXT,
}
"""What each makes faster."""


@pytest.mark.parametrize("patch", PATCHES, ids=BY_NAME)
def test_django_still_takes_longer(patch: Patch) -> None:
    """If not: the patch is needless."""
    do = WORK[patch.name]
    costs: dict[bool, list[int]] = {True: [], False: []}
    with translation.override("en"):
        for _ in range(ROUNDS):
            for patched in (True, False):
                patch.apply() if patched else patch.undo()
                do()
                before = time.thread_time_ns()
                for _ in range(TIMES):
                    do()
                costs[patched].append(time.thread_time_ns() - before)
    assert median(costs[True]) < LESS * median(costs[False])
