"""What templates need to draw a page: icons, times, numbers, and which sizes of a photograph to ask for."""

from __future__ import annotations

import re
import secrets
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache, lru_cache
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

from django import template
from django.template import Context
from django.templatetags.static import static
from django.utils import timezone
from django.utils.formats import date_format, number_format
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import get_language, gettext, pgettext

from calotype.web.languages import Language, offered
from calotype.web.offline import worker_path
from calotype.web.pages import origin_of
from calotype.web.static_files import collected

register = template.Library()

MINUTE_S, HOUR_S, DAY_S = 60, 3_600, 86_400
DAYS_COUNTED = 7
"""After this many days a date says more than how long ago it was."""

GRID_CELL = (("(min-width: 1160px)", "332px"), ("(min-width: 720px)", "31vw"), ("", "33vw"))
"""How wide a square of a profile's grid is, by layout: see `.grid` in look.css."""

ICONS_KEPT = 256
"""More than the sprite has: each is put together once."""

FRAMES = ((4, 5), (1, 1), (5, 4), (4, 3), (3, 2), (16, 9))
"""Shapes that the frame of several photos may have, width by height: `.as-4-5` and so on in look.css."""


class Sized(Protocol):
    @property
    def width(self) -> int: ...
    @property
    def height(self) -> int: ...


@register.simple_tag
def icon(name: str) -> SafeString:
    """An icon of the sprite. It says nothing by itself: what it stands in needs a name."""
    return _drawn(static("web/icons.svg"), name)


@lru_cache(ICONS_KEPT)
def _drawn(sprite: str, name: str) -> SafeString:
    return format_html(
        '<svg class="icon" viewBox="0 0 24 24" aria-hidden="true"><use href="{}#{}"/></svg>', sprite, name
    )


@register.simple_tag(takes_context=True)
def module(context: Context, path: str) -> SafeString:
    """An ES module of ours, by its path under static/, with all that it imports: a browser would find these one after another.

    What several modules of a page import is named once.
    """
    named: set[str] = context.dicts[0].setdefault(
        "_modules", set()
    )  # the whole page's, in whatever block this stands
    imports = [address for address in collected().imports(path) if address not in named]
    named.update(imports)
    return format_html(
        '{}<script type="module" src="{}"></script>',
        format_html_join("", '<link rel="modulepreload" href="{}">', zip(imports)),
        static(path),
    )


@register.simple_tag
def service_worker() -> str:
    """Where the service worker is; empty if the site has none."""
    return worker_path()


@register.simple_tag
def catalogue() -> SafeString:
    """Where modules find their words in the language of the page (`web/words.js`); nothing where those are English."""
    path = f"web/words/{get_language()}.json"
    if get_language() not in _translated():
        return SafeString("")
    return format_html('<link data-words rel="preload" as="fetch" crossorigin href="{}">', static(path))


@cache
def _translated() -> frozenset[str]:
    """The languages that modules have a catalogue of."""
    return frozenset(path.stem for path in (Path(__file__).parent.parent / "static/web/words").glob("*.json"))


@register.simple_tag
def languages() -> list[Language]:
    """The languages that one may choose, each by its own name."""
    return offered()


@register.simple_tag(takes_context=True)
def here(context: Context, fragment: str = "", number: object = "") -> str:
    """The path of this page, with a fragment such as `post-17`: where a form should lead back to."""
    request = context.get("request")
    path = request.get_full_path() if request else "/"
    return f"{path}#{fragment}{number}" if fragment else path


@register.simple_tag
def once() -> SafeString:
    """A hidden field with a new key: however often this form is sent, it counts once."""
    return format_html('<input type="hidden" name="key" value="{}">', secrets.token_urlsafe(12))


@register.simple_tag(takes_context=True)
def origin(context: Context) -> str:
    """Scheme and host of the site: what is read elsewhere needs whole addresses."""
    request = context.get("request")
    return origin_of(request) if request else ""


@register.simple_tag(takes_context=True)
def current(context: Context, path: str) -> SafeString | str:
    """The attribute that marks the link to this page among others."""
    request = context.get("request")
    return SafeString('aria-current="page"') if request and request.path == path else ""


@register.filter
def ago(at: datetime) -> SafeString:
    """When something happened, short, with the full time for whoever points at it: 5m, 2h, 3d, 12 Mar, 12 Mar 2024."""
    local = timezone.localtime(at)
    return format_html(
        '<time datetime="{}" title="{}">{}</time>',
        at.astimezone(UTC).isoformat(timespec="seconds"),
        f"{date_format(local, pgettext('date format', 'j F Y, H:i'))} {local.tzname()}",
        how_long(at, timezone.now()),
    )


def how_long(at: datetime, now: datetime) -> str:
    seconds = (now - at).total_seconds()
    if seconds < MINUTE_S:
        return gettext("now")
    if seconds < HOUR_S:
        return pgettext("minutes ago", "%(n)dm") % {"n": seconds // MINUTE_S}
    if seconds < DAY_S:
        return pgettext("hours ago", "%(n)dh") % {"n": seconds // HOUR_S}
    if seconds < DAYS_COUNTED * DAY_S:
        return pgettext("days ago", "%(n)dd") % {"n": seconds // DAY_S}
    local = timezone.localtime(at)
    this_year = local.year == timezone.localtime(now).year
    return date_format(
        local, pgettext("date format", "j M") if this_year else pgettext("date format", "j M Y")
    )


@register.filter
def count(number: int) -> str:
    """A number as people read it: 1,204 in full, then 12.3K, 4.5M."""
    if number < 10_000:
        return number_format(number, use_l10n=True, force_grouping=True)
    if number < 1_000_000:
        return pgettext("thousands", "%(n)sK") % {"n": _in_tenths(number, 1_000)}
    return pgettext("millions", "%(n)sM") % {"n": _in_tenths(number, 1_000_000)}


def _in_tenths(number: int, size: int) -> str:
    """How many times a size, cut and not rounded: 999,999 is not yet a million."""
    tenths = number * 10 // size
    return number_format(tenths / 10, 1 if tenths < 1_000 and tenths % 10 else 0)


@register.filter
def host(url: str) -> str:
    """A web address as it is shown: without the scheme, and without a slash at its end."""
    parts = urlsplit(url)
    return re.sub(r"^www\.", "", parts.netloc) + parts.path.rstrip("/")


@register.filter
def frame(photos: Sequence[Sized]) -> str:
    """The class of the frame that shows these photos one beside another: the shape nearest to the tallest of them."""
    narrowest = min(photo.width / photo.height for photo in photos)
    width, height = min(FRAMES, key=lambda shape: abs(shape[0] / shape[1] - narrowest))
    return f"as-{width}-{height}"


@register.filter
def cell_sizes(photo: Sized) -> str:
    """`sizes` of a photo that fills a square of the grid: as wide as it is when its shorter side fits."""
    stretch = max(1.0, photo.width / photo.height)
    return ", ".join(f"{query} calc({stretch:.2f} * {width})".strip() for query, width in GRID_CELL)
