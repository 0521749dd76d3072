"""Escaping, and marking as safe: some 2,000 times a page of the feed."""

from __future__ import annotations

import html
from collections.abc import Callable
from typing import Any

from django.utils.functional import Promise, keep_lazy
from django.utils.html import conditional_escape, escape
from django.utils.safestring import SafeData, SafeString, mark_safe

from calotype.web.patches.patch import Code, Patch


def escaped(text: Any) -> Any:
    kind = type(text)
    if kind is SafeString:
        return text
    if kind is str:
        return SafeString(html.escape(text))
    if isinstance(text, Promise):
        text = str(text)
    if hasattr(text, "__html__"):
        return text.__html__()
    return escape(text)


def keeping_lazy(func: Callable[..., Any], lazy_func: Callable[..., Any]) -> Callable[..., Any]:
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        for arg in args:
            if isinstance(arg, Promise):
                return lazy_func(*args, **kwargs)
        for arg in kwargs.values():
            if isinstance(arg, Promise):
                return lazy_func(*args, **kwargs)
        return func(*args, **kwargs)

    return wrapper


_wrapper = keeping_lazy(escape, escape)

ESCAPING = Patch(
    name="escaping",
    replaces="django.utils.html.conditional_escape, and the wrapper that keep_lazy puts around escape and mark_safe",
    safe_because="""
    Exactly `str` and exactly `SafeString` are answered at once, by what Django comes to for them: `html.escape`, and
    the string itself. Everything else, lazy strings and objects with `__html__` among them, goes Django's way. The
    wrapper asks the same of each argument, in a loop instead of a generator.
    """,
    read=(conditional_escape, escape, mark_safe, keep_lazy, SafeData.__html__),
    digest="c23744c996978acf",
    places=(Code(conditional_escape, escaped), Code(escape, _wrapper), Code(mark_safe, _wrapper)),
)

PATCHES = (ESCAPING,)
