"""Take what of others is shipped: Lucide's icons as one sprite, and htmx. Versions, licences and hashes are written down beside it.

    python scripts/vendor.py

Needs npm. Each package is checked against the hash below before anything of it is used, so a run gives the same bytes
everywhere; to take a newer version, change both. `tests/web/test_vendored.py` compares what is shipped with what is
written down.
"""

from __future__ import annotations

import base64
import hashlib
import re
import subprocess
import tarfile
import tempfile
from collections.abc import Callable, Sequence
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

ICONS = (
    "aperture",
    "arrow-down",
    "arrow-left",
    "arrow-right",
    "arrow-up",
    "at-sign",
    "ban",
    "bell",
    "bookmark",
    "camera",
    "check",
    "chevron-down",
    "chevron-left",
    "chevron-right",
    "chevron-up",
    "circle-alert",
    "circle-check",
    "clock",
    "cloud-off",
    "compass",
    "contrast",
    "copy",
    "crop",
    "download",
    "droplet",
    "ellipsis",
    "external-link",
    "eye",
    "eye-off",
    "flip-horizontal",
    "flip-vertical",
    "grip-vertical",
    "hash",
    "heart",
    "house",
    "image-off",
    "image-plus",
    "images",
    "info",
    "keyboard",
    "languages",
    "link",
    "loader-circle",
    "lock",
    "log-out",
    "maximize",
    "menu",
    "message-circle",
    "minimize",
    "minus",
    "moon",
    "palette",
    "pause",
    "pencil",
    "play",
    "plus",
    "redo-2",
    "refresh-cw",
    "rotate-ccw",
    "rotate-cw",
    "search",
    "settings",
    "share-2",
    "sliders-horizontal",
    "sparkles",
    "square-plus",
    "sun",
    "sun-moon",
    "thermometer",
    "trash-2",
    "triangle-alert",
    "undo-2",
    "upload",
    "user-minus",
    "user-plus",
    "users",
    "wifi-off",
    "x",
    "zoom-in",
    "zoom-out",
)

STATIC = Path(__file__).parent.parent / "src/calotype/web/static"
RECORD = STATIC / "web/VENDORED.md"
BY_HAND = "<!-- written by hand from here -->"
"""What stands below this line in the record is kept."""

Read = Callable[[str], bytes]
"""A file of a package, by its path in it."""


class Package(NamedTuple):
    """A package of npm, by the SHA-512 of its archive in base64, as npm writes it."""

    name: str
    version: str
    sha512: str
    title: str
    licence: str


class Shipped(NamedTuple):
    """A file as it is shipped, by its path under static/, and what it was made of: SHA-256 by path in the package."""

    path: str
    content: bytes
    made_of: dict[str, str]


LUCIDE = Package(
    "lucide-static",
    "1.62.0",
    "WBZA/m2PvkFpMGHDtsBck5P2A9G4ehLlYu4GwwICcmEm1BvYVgj00lCDxKRWLlbMlOibLaiwdQ88G5pHkSWgwA==",
    "Lucide",
    "ISC and MIT",
)
HTMX = Package(
    "htmx.org",
    "4.0.1",
    "oF7JgXhDW9UXCy/k1ZYFUQgzu/rm19ORWPSPNL91vPluB2PB9+MV55tyQdH/w7o2EAbTYUG5SDW1R60mdkdqGg==",
    "htmx",
    "0BSD",
)


def main() -> None:
    sections = []
    for package, made in ((LUCIDE, sprite), (HTMX, modules)):
        read = _download(package)
        shipped = made(read)
        for file in shipped:
            target = STATIC / file.path
            target.parent.mkdir(exist_ok=True)
            target.write_bytes(file.content)
        sections.append(_section(package, read("LICENSE").decode(), shipped))
    kept = RECORD.read_text(encoding="utf-8").partition(BY_HAND)[2] if RECORD.exists() else "\n"
    RECORD.write_text(_record(sections, kept), encoding="utf-8")


def sprite(read: Read) -> list[Shipped]:
    """One `<symbol>` an icon, without colours or widths: look.css gives them."""
    files = {name: read(f"icons/{name}.svg") for name in ICONS}
    symbols = "\n".join(
        f'<symbol id="{name}" viewBox="0 0 24 24">{_shapes(svg.decode())}</symbol>'
        for name, svg in files.items()
    )
    head = f"<!-- Lucide {LUCIDE.version}, {LUCIDE.licence}: see VENDORED.md. Made by scripts/vendor.py. -->"
    text = f'{head}\n<svg xmlns="http://www.w3.org/2000/svg">\n{symbols}\n</svg>\n'
    made_of = {f"icons/{name}.svg": _sha256(svg) for name, svg in files.items()}
    return [Shipped("web/icons.svg", text.encode(), made_of)]


def modules(read: Read) -> list[Shipped]:
    """htmx as an ES module with its types, unchanged."""
    taken = {"vendor/htmx.js": "dist/htmx.esm.min.js", "vendor/htmx.d.ts": "dist/htmx.d.ts"}
    return [Shipped(path, read(source), {source: _sha256(read(source))}) for path, source in taken.items()]


def _download(package: Package) -> Read:
    with tempfile.TemporaryDirectory() as folder:
        wanted = f"{package.name}@{package.version}"
        command = ["npm", "pack", wanted, "--silent", "--pack-destination", folder]
        subprocess.run(command, check=True, capture_output=True)  # noqa: S603  # fixed words, no input
        content = next(Path(folder).glob("*.tgz")).read_bytes()
    found = base64.b64encode(hashlib.sha512(content).digest()).decode()
    if found != package.sha512:
        raise SystemExit(f"{wanted} has the hash {found}, and not {package.sha512}")
    with tarfile.open(fileobj=BytesIO(content)) as archive:
        files = {each.name: file.read() for each in archive if (file := archive.extractfile(each))}
    return lambda path: files[f"package/{path}"]


def _shapes(svg: str) -> str:
    inner = re.search(r"<svg[^>]*>(.*)</svg>", svg, re.DOTALL)
    assert inner is not None
    return "".join(line.strip() for line in inner[1].splitlines())


def _record(sections: Sequence[str], kept: str) -> str:
    rule = "Each file of this folder's parent that is named here has the SHA-256 that stands beside it."
    return "\n\n".join(("# What here comes from elsewhere", rule, *sections, BY_HAND)) + kept


def _section(package: Package, licence: str, shipped: Sequence[Shipped]) -> str:
    files = "\n".join(f"| {file.path} | `{_sha256(file.content)}` |" for file in shipped)
    parts = "\n".join(
        f"| {path} | {file.path} | `{digest}` |" for file in shipped for path, digest in file.made_of.items()
    )
    quoted = "\n".join(f"    {line}".rstrip() for line in licence.strip().splitlines())
    return f"""## {package.title} {package.version}, {package.licence}

From the npm package `{package.name}` {package.version} (sha512 `{package.sha512}`), by `scripts/vendor.py`.

| shipped | SHA-256 |
|---|---|
{files}

| in the package | is in | SHA-256 |
|---|---|---|
{parts}

Its licence:

{quoted}"""


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


if __name__ == "__main__":
    main()
