"""What of others is shipped is what was written down."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import calotype

STATIC = Path(calotype.__file__).parent / "web/static"
RECORD = (STATIC / "web/VENDORED.md").read_text(encoding="utf-8")


def recorded() -> dict[str, str]:
    """SHA-256 by path under static/, from the tables of what is shipped."""
    tables = re.findall(r"\| shipped \| SHA-256 \|\n\|---\|---\|\n((?:\|.*\n)+)", RECORD)
    return dict(re.findall(r"\| (\S+) \| `([0-9a-f]{64})` \|", "".join(tables)))


def test_each_vendored_file_has_the_hash_that_is_written_down() -> None:
    found = {path: hashlib.sha256((STATIC / path).read_bytes()).hexdigest() for path in recorded()}
    assert found == recorded()


def test_nothing_lies_among_the_vendored_that_is_not_written_down() -> None:
    shipped = {f"vendor/{path.name}" for path in (STATIC / "vendor").iterdir()}
    assert shipped | {"web/icons.svg"} == set(recorded())


def test_each_package_has_its_version_hash_and_licence() -> None:
    packages = re.findall(
        r"From the npm package `(\S+)` ([\d.]+) \(sha512 `[\w+/]{86}==`\), by `scripts/vendor.py`", RECORD
    )
    assert {name for name, _ in packages} == {"lucide-static", "htmx.org"}
    assert RECORD.count("\nIts licence:\n") == len(packages)


def test_each_icon_of_the_sprite_is_a_file_of_the_package() -> None:
    sprite = (STATIC / "web/icons.svg").read_text(encoding="utf-8")
    drawn = re.findall(r'<symbol id="([^"]+)"', sprite)
    assert drawn == sorted(set(drawn))
    assert [f"icons/{name}.svg" for name in drawn] == re.findall(
        r"\| (icons/\S+) \| web/icons.svg \|", RECORD
    )
