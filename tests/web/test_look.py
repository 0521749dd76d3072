"""What templates draw with."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import pytest

import calotype
from calotype.web.templatetags import look

PACKAGE = Path(calotype.__file__).parent
TEMPLATES = sorted(PACKAGE.rglob("templates/**/*.html"))
NOON = datetime(2026, 3, 12, 12, tzinfo=UTC)


class Photo(NamedTuple):
    width: int
    height: int


@pytest.mark.parametrize(
    ("before", "shown"),
    [
        (timedelta(seconds=59), "now"),
        (timedelta(minutes=1), "1m"),
        (timedelta(minutes=59, seconds=59), "59m"),
        (timedelta(hours=23), "23h"),
        (timedelta(days=6, hours=23), "6d"),
        (timedelta(days=7), "5 Mar"),
        (timedelta(days=400), "5 Feb 2025"),
        (-timedelta(seconds=5), "now"),
    ],
)
def test_a_time_is_short_and_becomes_a_date_after_a_week(before: timedelta, shown: str) -> None:
    assert look.how_long(NOON - before, NOON) == shown


def test_a_time_carries_its_exact_moment() -> None:
    drawn = look.ago(NOON)
    assert 'datetime="2026-03-12T12:00:00+00:00"' in drawn
    assert 'title="12 March 2026, 12:00 UTC"' in drawn


@pytest.mark.parametrize(
    ("number", "shown"),
    [
        (0, "0"),
        (999, "999"),
        (1_204, "1,204"),
        (9_999, "9,999"),
        (10_000, "10K"),
        (12_345, "12.3K"),
        (999_999, "999K"),
        (1_000_000, "1M"),
        (4_560_000, "4.5M"),
    ],
)
def test_a_number_is_never_shown_as_more_than_it_is(number: int, shown: str) -> None:
    assert look.count(number) == shown


@pytest.mark.parametrize(
    ("photos", "frame"),
    [
        ([Photo(4, 3), Photo(2, 3)], "as-4-5"),
        ([Photo(3, 2), Photo(1, 1)], "as-1-1"),
        ([Photo(4, 3)], "as-4-3"),
        ([Photo(5, 1), Photo(3, 1)], "as-16-9"),
        ([Photo(1, 20)], "as-4-5"),
    ],
)
def test_the_frame_of_several_photos_suits_the_tallest(photos: Sequence[Photo], frame: str) -> None:
    assert look.frame(photos) == frame


def test_every_frame_has_a_rule_in_the_stylesheet() -> None:
    css = (PACKAGE / "web/static/web/look.css").read_text(encoding="utf-8")
    for width, height in look.FRAMES:
        assert f".as-{width}-{height} " in css


def test_a_photo_in_the_grid_is_asked_for_as_wide_as_it_is_behind_its_square() -> None:
    assert look.cell_sizes(Photo(300, 200)).endswith("calc(1.50 * 33vw)")
    assert look.cell_sizes(Photo(200, 300)).startswith("(min-width: 1160px) calc(1.00 * 332px)")


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://lindqvist.example", "lindqvist.example"),
        ("https://www.example.org/prints/", "example.org/prints"),
    ],
)
def test_a_website_is_shown_without_its_scheme(url: str, shown: str) -> None:
    assert look.host(url) == shown


def test_every_icon_that_a_template_or_a_module_draws_is_in_the_sprite() -> None:
    sprite = (PACKAGE / "web/static/web/icons.svg").read_text(encoding="utf-8")
    there = set(re.findall(r'<symbol id="([^"]+)"', sprite))
    templates = [path.read_text(encoding="utf-8") for path in TEMPLATES]
    drawn = {name for text in templates for name in re.findall(r'\{% icon "([^"]+)"', text)}
    modules = [path.read_text(encoding="utf-8") for path in PACKAGE.rglob("static/**/*.js")]
    made = {name for text in modules for name in re.findall(r'\bicon(?:Button\(|\(|: )"([a-z0-9-]+)"', text)}
    assert drawn
    assert made
    assert drawn | made <= there


def test_no_template_carries_what_the_content_security_policy_refuses() -> None:
    for path in TEMPLATES:
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"<script(?![^>]*\ssrc=)|<style|\sstyle=|\son[a-z]+=|javascript:", text), path


CSS = (PACKAGE / "web/static/web/look.css").read_text(encoding="utf-8")


def colours(theme: str) -> dict[str, str]:
    """The hexadecimal colours among the tokens, as a theme has them."""
    pairs = re.findall(r"--([\w-]+): light-dark\((#\w{6}), (#\w{6})\)", CSS)
    return {name: light if theme == "light" else dark for name, light, dark in pairs}


def contrast(one: str, other: str) -> float:
    """https://www.w3.org/TR/WCAG22/#dfn-contrast-ratio"""
    lighter, darker = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("ground", ["paper", "raised", "sunken"])
@pytest.mark.parametrize(
    ("drawn", "least"),
    [("ink", 7), ("muted", 4.5), ("sepia", 4.5), ("heart", 4.5), ("good", 4.5), ("edge", 3)],
)
def test_what_is_drawn_stands_out_from_its_ground(theme: str, ground: str, drawn: str, least: float) -> None:
    assert contrast(colours(theme)[drawn], colours(theme)[ground]) >= least


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize(
    ("drawn", "ground"),
    [("on-sepia", "sepia"), ("on-sepia", "sepia-over"), ("sepia-on-ink", "ink"), ("paper", "heart")],
)
def test_words_stand_out_from_a_coloured_ground(theme: str, drawn: str, ground: str) -> None:
    assert contrast(colours(theme)[drawn], colours(theme)[ground]) >= 4.5


def test_every_token_that_is_used_is_there() -> None:
    used = set(re.findall(r"var\(--([\w-]+)\)", CSS))
    declared = set(re.findall(r"--([\w-]+):", CSS))
    assert used <= declared


def test_nothing_moves_but_for_whoever_has_not_asked_for_rest() -> None:
    restful = CSS.partition("@media (prefers-reduced-motion: no-preference)")[0]
    moving = re.findall(r"^.*\b(?:transition|animation|scroll-behavior):.*$", restful, re.MULTILINE)
    assert [line.strip() for line in moving] == [
        ".dots:where(:dir(ltr)) a::before { animation: shown linear both; }"
    ]
