"""Take the icons that the pages use from Lucide: one sprite, with its version, licence and hashes written down beside it.

    python scripts/vendor_icons.py

Needs npm. The package is checked against the hash below before anything of it is used, so a run gives the same bytes
everywhere; to take a newer Lucide, change both.
"""

from __future__ import annotations

import base64
import hashlib
import re
import subprocess
import tarfile
import tempfile
from pathlib import Path

VERSION = "1.62.0"
SHA512 = "WBZA/m2PvkFpMGHDtsBck5P2A9G4ehLlYu4GwwICcmEm1BvYVgj00lCDxKRWLlbMlOibLaiwdQ88G5pHkSWgwA=="
ICONS = (
    "at-sign",
    "bell",
    "chevron-left",
    "chevron-right",
    "circle-check",
    "compass",
    "ellipsis",
    "hash",
    "heart",
    "house",
    "image-off",
    "image-plus",
    "images",
    "lock",
    "log-out",
    "maximize",
    "message-circle",
    "pencil",
    "settings",
    "square-plus",
    "trash-2",
    "triangle-alert",
    "user-plus",
    "users",
    "wifi-off",
)

STATIC = Path(__file__).parent.parent / "src/calotype/web/static/web"
SPRITE = STATIC / "icons.svg"
RECORD = STATIC / "VENDORED.md"
BY_HAND = "<!-- written by hand from here -->"
"""What stands below this line in the record is kept."""


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        package = _download(Path(folder))
        licence, drawings = _contents(package)
    SPRITE.write_text(_sprite(drawings), encoding="utf-8")
    RECORD.write_text(_record(licence, drawings), encoding="utf-8")


def _download(folder: Path) -> bytes:
    command = ["npm", "pack", f"lucide-static@{VERSION}", "--silent", "--pack-destination", str(folder)]
    subprocess.run(command, check=True, capture_output=True)  # noqa: S603  # fixed words, no input
    package = next(folder.glob("*.tgz")).read_bytes()
    found = base64.b64encode(hashlib.sha512(package).digest()).decode()
    if found != SHA512:
        raise SystemExit(f"lucide-static {VERSION} has the hash {found}, and not {SHA512}")
    return package


def _contents(package: bytes) -> tuple[str, dict[str, str]]:
    """The licence, and each icon as its file has it."""
    with tempfile.TemporaryFile() as file:
        file.write(package)
        file.seek(0)
        with tarfile.open(fileobj=file) as archive:
            return (
                _member(archive, "package/LICENSE"),
                {name: _member(archive, f"package/icons/{name}.svg") for name in ICONS},
            )


def _member(archive: tarfile.TarFile, path: str) -> str:
    file = archive.extractfile(path)
    assert file is not None, path
    return file.read().decode()


def _sprite(drawings: dict[str, str]) -> str:
    """One `<symbol>` an icon, without colours or widths: look.css gives them."""
    symbols = "\n".join(
        f'<symbol id="{name}" viewBox="0 0 24 24">{_shapes(svg)}</symbol>' for name, svg in drawings.items()
    )
    head = f"<!-- Lucide {VERSION}, ISC and MIT: see VENDORED.md. Made by scripts/vendor_icons.py. -->"
    return f'{head}\n<svg xmlns="http://www.w3.org/2000/svg">\n{symbols}\n</svg>\n'


def _shapes(svg: str) -> str:
    inner = re.search(r"<svg[^>]*>(.*)</svg>", svg, re.DOTALL)
    assert inner is not None
    return "".join(line.strip() for line in inner[1].splitlines())


def _record(licence: str, drawings: dict[str, str]) -> str:
    hashes = "\n".join(f"| {name} | `{_sha256(svg)}` |" for name, svg in drawings.items())
    kept = RECORD.read_text(encoding="utf-8").partition(BY_HAND)[2] if RECORD.exists() else "\n"
    quoted = "\n".join(f"    {line}".rstrip() for line in licence.strip().splitlines())
    return f"""# What here comes from elsewhere

## icons.svg: Lucide {VERSION}

From the npm package `lucide-static` {VERSION} (sha512 `{SHA512}`), by `scripts/vendor_icons.py`.
SHA-256 of each file of the package, and of the sprite made of them:

| file | SHA-256 |
|---|---|
{hashes}
| icons.svg | `{_sha256(_sprite(drawings))}` |

Its licence:

{quoted}

{BY_HAND}{kept}"""


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


if __name__ == "__main__":
    main()
