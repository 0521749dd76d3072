"""`settings.NAME`, which pages ask for forty times and more."""

from __future__ import annotations

from django.conf import LazySettings
from django.utils.functional import LazyObject

from calotype.web.patches.patch import Attribute, Patch

SETTINGS = Patch(
    name="settings",
    replaces="django.conf.LazySettings.__getattribute__, inherited from LazyObject",
    safe_because="""
    Django keeps what was looked up as an attribute of `settings`, and its `__setattr__` and `__delattr__` forget it:
    one setting when it is set or deleted, all when `_wrapped` is, as `override_settings` and `configure` do. All of
    that stays. What goes is the question, at each look-up, whether the attribute is a special method of the proxy
    (0.5 us): that matters only to somebody who reads `settings.__len__` or its like by name, and now finds a method.
    """,
    read=(
        LazyObject.__getattribute__,
        LazySettings.__getattr__,
        LazySettings.__setattr__,
        LazySettings.__delattr__,
        LazySettings.configure,
    ),
    digest="0eea82280e9ca61a",
    places=(Attribute(LazySettings, "__getattribute__", object.__getattribute__),),
)

PATCHES = (SETTINGS,)
