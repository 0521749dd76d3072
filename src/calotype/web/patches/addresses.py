"""From a path to its view, and back."""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable
from typing import Any, NamedTuple
from urllib.parse import quote

from django.urls import ResolverMatch, URLResolver
from django.urls.resolvers import RoutePattern
from django.utils.http import RFC3986_SUBDELIMS, escape_leading_slashes
from django.utils.translation import get_language

from calotype.web.patches.patch import Attribute, Patch

SAFE = RFC3986_SUBDELIMS + "/~:@"
PLAIN = re.compile(rf"[A-Za-z0-9_.\-{re.escape(SAFE)}]*").fullmatch
"""What `quote` leaves alone."""

ROUTES_KEPT = 1_000

_resolve = URLResolver.resolve
_reverse = URLResolver._reverse_with_prefix  # type: ignore[attr-defined]  # not in its stubs


class Form(NamedTuple):
    """One way to write the address of a view with so many arguments."""

    template: str
    parameters: tuple[tuple[str, Callable[[Any], str]], ...]
    """Name, and what makes text of its argument."""
    pattern: re.Pattern[str]


def reverse(self: URLResolver, lookup_view: Hashable, _prefix: str, *args: object, **kwargs: object) -> str:
    if not kwargs:
        for form in _forms(self, lookup_view, _prefix, len(args)):
            if (path := _written(form, args)) is not None:
                return escape_leading_slashes(path if PLAIN(path) else quote(path, safe=SAFE))
    written: str = _reverse(self, lookup_view, _prefix, *args, **kwargs)
    return written


def _written(form: Form, args: tuple[object, ...]) -> str | None:
    """The path, or None if these arguments do not fit."""
    try:
        texts = {name: text(argument) for (name, text), argument in zip(form.parameters, args, strict=True)}
    except ValueError:
        return None
    path = form.template % texts
    return path if form.pattern.search(path) else None


def _forms(resolver: URLResolver, lookup_view: Hashable, prefix: str, arguments: int) -> tuple[Form, ...]:
    """In Django's order. As many are kept as there are views: none for a name that there is not."""
    kept: dict[Hashable, tuple[Form, ...]] = vars(resolver).setdefault("_calotype_forms", {})
    key = (lookup_view, prefix, arguments, get_language())
    found = kept.get(key)
    if found is None:
        found = tuple(_made(resolver, lookup_view, prefix, arguments))
        if found:
            kept[key] = found
    return found


def _made(resolver: URLResolver, lookup_view: Hashable, prefix: str, arguments: int) -> list[Form]:
    return [
        Form(
            prefix.replace("%", "%%") + result,
            tuple((name, converters[name].to_url if name in converters else str) for name in params),
            re.compile(f"^{re.escape(prefix)}{pattern}"),
        )
        for possibility, pattern, _, converters in resolver.reverse_dict.getlist(lookup_view)
        for result, params in possibility
        if len(params) == arguments
    ]


REVERSE = Patch(
    name="reverse",
    replaces="django.urls.resolvers.URLResolver._reverse_with_prefix",
    safe_because="""
    The same patterns are tried in the same order with the same converters, and what is written must match; the
    pattern's expression is compiled once instead of being put together at each call, and a path of plain characters is
    not quoted. What does not fit and what has named arguments is Django's. It is kept by
    language, script prefix and the resolver object, which `override_settings(ROOT_URLCONF=...)` makes anew.
    """,
    read=(_reverse, URLResolver._populate, escape_leading_slashes),
    digest="fe495fcabffac1b2",
    places=(Attribute(URLResolver, "_reverse_with_prefix", reverse),),
)


def resolve(self: URLResolver, path: str) -> ResolverMatch:
    if isinstance(
        self.pattern, RoutePattern
    ):  # of an `include`; the whole path is the root's, which begins with "^/"
        return _resolve(self, path)
    kept: dict[tuple[str, str | None], ResolverMatch] = vars(self).setdefault("_calotype_routes", {})
    key = (str(path), get_language())
    found = kept.get(key)
    if found is None:
        found = _resolve(self, path)
        if found.args or vars(found)["captured_kwargs"]:
            return found
        if len(kept) >= ROUTES_KEPT:
            kept.clear()
        kept[key] = found
    return _copy(found)


def _copy(match: ResolverMatch) -> ResolverMatch:
    """With arguments of its own: a middleware may change them."""
    copy = ResolverMatch.__new__(ResolverMatch)
    vars(copy).update(vars(match), kwargs=dict(match.kwargs), captured_kwargs={})
    return copy


RESOLVE = Patch(
    name="resolve",
    replaces="django.urls.resolvers.URLResolver.resolve",
    safe_because="""
    What a path without arguments leads to depends on the path and the language alone. It is kept in the resolver
    object, which `override_settings(ROOT_URLCONF=...)` makes anew, at most 1,000 paths; paths with arguments and paths
    that lead nowhere are not kept. Each request gets a match of its own.
    """,
    read=(_resolve, ResolverMatch.__init__),
    digest="835edaa00c3e7595",
    places=(Attribute(URLResolver, "resolve", resolve),),
)

PATCHES = (RESOLVE, REVERSE)
