"""The site's file."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from calotype.config.site import FILE, ConfigInvalid, Site, Web, load, save

SITE = Site(
    secret_key="secret",
    servers={"pg-1": "postgresql:///shards"},
    databases={"default": "postgresql:///main", "sessions": "postgresql:///sessions"},
    web=Web(port=8123),
)


def test_a_site_is_read_as_it_was_written_and_only_its_owner_can(tmp_path: Path) -> None:
    save(tmp_path, SITE)
    assert load(tmp_path) == SITE
    assert stat.S_IMODE((tmp_path / FILE).stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("not toml [", "calotype.toml"),
        ("secret_key = 1", "secret_key"),
        ('secret_key = "x"\nunknown = 1\n[servers]\n[databases]\n', "unknown"),
        ('secret_key = "x"\n[servers]\na = "b"\n[databases]\ndefault = "d"\n', "sessions"),
        ('secret_key = "x"\n[servers]\n[databases]\ndefault = "d"\nsessions = "s"\n', "server"),
        (
            'secret_key = "x"\nlogical_shards = 9000\n[servers]\na = "b"\n[databases]\ndefault = "d"\nsessions = "s"\n',
            "8192",
        ),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_with_what_is_wrong(
    text: str, said: str, tmp_path: Path
) -> None:
    (tmp_path / FILE).write_text(text)
    with pytest.raises(ConfigInvalid, match=said):
        load(tmp_path)


def test_a_missing_file_says_how_to_make_it(tmp_path: Path) -> None:
    with pytest.raises(ConfigInvalid, match="calotype up"):
        load(tmp_path)
