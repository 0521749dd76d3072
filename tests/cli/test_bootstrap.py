"""`./calotype`, the shell script: which Python it finds, what it installs and when, and that it breaks nothing.

The checkouts here have locks that name no package, so that nothing is downloaded, and a command line that only says
how it was started.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SYSTEM_PATH = "/usr/local/bin:/usr/bin:/bin"
SAYS = "import sys; print('started', *sys.argv[1:], 'on', '%d.%d' % sys.version_info[:2])\n"


class Checkout:
    """A copy of the bootstrap with empty locks, in a directory with a space in its name."""

    def __init__(self, root: Path) -> None:
        self.root = root
        package = root / "src" / "calotype" / "cli"
        package.mkdir(parents=True)
        (package / "__main__.py").write_text(SAYS)
        for lock in ("requirements.lock", "requirements-dev.lock", "requirements-bench.lock"):
            (root / lock).write_text(f"# {lock}: nothing\n")
        shutil.copy2(ROOT / "calotype", root / "calotype")

    def lend_uv(self) -> None:
        uv = ROOT / ".tools" / "uv" / "bin" / "uv"
        found = str(uv) if uv.exists() else shutil.which("uv")
        if found is None:
            pytest.skip("there is no uv to lend: run these tests by ./calotype test")
        (self.root / ".tools" / "uv" / "bin").mkdir(parents=True)
        (self.root / ".tools" / "uv" / "bin" / "uv").symlink_to(found)

    def start(self, *arguments: str, path: str = "", **environment: str) -> subprocess.Popen[str]:
        """As under `env -i`: nothing of this machine's environment but a PATH and an empty home."""
        home = self.root.parent / "home"
        home.mkdir(exist_ok=True)
        return subprocess.Popen(
            [str(self.root / "calotype"), *arguments],
            env={"HOME": str(home), "PATH": f"{path}:{SYSTEM_PATH}" if path else SYSTEM_PATH, **environment},
            cwd="/",
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def __call__(
        self, *arguments: str, path: str = "", **environment: str
    ) -> subprocess.CompletedProcess[str]:
        process = self.start(*arguments, path=path, **environment)
        out, err = process.communicate(timeout=120)
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path / "a checkout")


@pytest.fixture
def ready(checkout: Checkout) -> Checkout:
    """With uv, and bound to the Python of this run."""
    checkout.lend_uv()
    return checkout


def interpreter() -> str:
    return str(Path(sys.base_prefix) / "bin" / f"python{sys.version_info[0]}.{sys.version_info[1]}")


def fake(path: Path, script: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


def claims(path: Path, minor: int, micro: int = 99) -> Path:
    """A program that says it is CPython 3.minor.micro."""
    return fake(path, f"echo {minor} {micro}")


# --- Finding a Python --------------------------------------------------------------------------------------------------


def test_the_script_is_plain_sh() -> None:
    for shell in ("sh", "dash"):
        if shutil.which(shell):
            subprocess.run([shell, "-n", str(ROOT / "calotype")], check=True)


def test_a_shim_that_does_not_run_is_no_python_but_the_versions_beside_it_are(
    checkout: Checkout, tmp_path: Path
) -> None:
    pyenv = tmp_path / "py env"
    for name in ("python3.14", "python3.13", "python3.12", "python3", "python"):
        fake(pyenv / "shims" / name, "echo 'pyenv: command not found' >&2; exit 127")
    claims(pyenv / "versions" / "3.12.1" / "bin" / "python", 12)
    newest = claims(pyenv / "versions" / "3.14.2" / "bin" / "python", 14)
    found = checkout("--which-python", path=str(pyenv / "shims"))
    assert found.stdout == f"{newest}\n"
    assert f"{pyenv}/shims/python3.14: not a CPython 3 that runs" in found.stderr


@pytest.mark.parametrize("variable", ["PYENV_ROOT", "HOME"])
def test_a_pyenv_without_shims_on_path_is_found(checkout: Checkout, tmp_path: Path, variable: str) -> None:
    root = tmp_path / "p" / (".pyenv" if variable == "HOME" else "anything")
    newest = claims(root / "versions" / "3.14.9" / "bin" / "python", 14)
    value = root.parent if variable == "HOME" else root
    assert checkout("--which-python", **{variable: str(value)}).stdout == f"{newest}\n"


def test_the_newest_wins_wherever_it_is_but_not_one_that_is_too_new_or_too_old(
    checkout: Checkout, tmp_path: Path
) -> None:
    claims(tmp_path / "a" / "python3", 15)
    claims(tmp_path / "a" / "python", 11)
    claims(tmp_path / "b" / "python3.14", 14, 98)
    newest = claims(tmp_path / "c" / "python", 14, 99)
    path = ":".join(str(tmp_path / name) for name in "abc")
    assert checkout("--which-python", path=path).stdout == f"{newest}\n"


def test_a_certain_version_can_be_asked_for(checkout: Checkout, tmp_path: Path) -> None:
    claims(tmp_path / "a" / "python3.14", 14)
    twelve = claims(tmp_path / "a" / "python3.12", 12)
    assert checkout("--which-python", "3.12", path=str(tmp_path / "a")).stdout == f"{twelve}\n"
    assert checkout("--which-python", "3.4").returncode == 1


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ("/no/such/python", "which is not there"),
        ("/bin/true", "does not run as a CPython 3"),
        ("3.4", "no such Python is here"),
    ],
)
def test_an_unusable_override_is_said(checkout: Checkout, value: str, sentence: str) -> None:
    refused = checkout("status", CALOTYPE_PYTHON=value)
    assert refused.returncode == 1
    assert sentence in refused.stderr


# --- Installing --------------------------------------------------------------------------------------------------------


@pytest.mark.clock
def test_the_first_start_makes_the_environment_and_later_ones_are_quick(ready: Checkout) -> None:
    first = ready("status", "--json", CALOTYPE_PYTHON=interpreter())
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    assert first.stdout == f"started status --json on {version}\n", first.stderr
    assert "installing 0 packages (requirements.lock)" in first.stderr
    begun = time.monotonic()
    again = ready("status")
    assert time.monotonic() - begun < 0.5  # most of it is Python's own start
    assert (again.stdout, again.stderr) == (f"started status on {version}\n", "")


def test_no_command_installs_again_what_a_larger_lock_has_brought(ready: Checkout) -> None:
    assert "requirements-dev.lock" in ready("test", CALOTYPE_PYTHON=interpreter()).stderr
    assert ready("up").stderr == ""
    assert ready("check").stderr == ""
    assert "requirements-bench.lock" in ready("bench").stderr
    assert ready("test").stderr == ""


def test_a_changed_lock_is_installed(ready: Checkout) -> None:
    ready("up", CALOTYPE_PYTHON=interpreter())
    (ready.root / "requirements.lock").write_text("# changed\n")
    assert "installing" in ready("up").stderr
    assert ready("up").stderr == ""


def test_a_failed_installation_leaves_no_stamp(ready: Checkout) -> None:
    lock = ready.root / "requirements.lock"
    lock.write_text(f"absent @ file:///no/such.whl --hash=sha256:{'0' * 64}\n")
    for _ in range(2):
        failed = ready("up", CALOTYPE_PYTHON=interpreter())
        assert failed.returncode == 1
        assert "the packages could not be installed" in failed.stderr
        assert "started" not in failed.stdout
    assert not (ready.root / ".tools" / "lock").exists()
    lock.write_text("# mended\n")
    assert ready("up").returncode == 0


def test_an_environment_whose_python_is_gone_is_made_anew(ready: Checkout) -> None:
    ready("up", CALOTYPE_PYTHON=interpreter())
    python = ready.root / ".venv" / "bin" / "python"
    python.unlink()
    python.symlink_to("/no/such/python")
    again = ready("up", CALOTYPE_PYTHON=interpreter())
    assert again.returncode == 0
    assert "making the environment" in again.stderr


def test_a_directory_that_is_no_environment_is_left_alone(ready: Checkout, tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "file").touch()
    refused = ready("up", CALOTYPE_VENV=str(precious), CALOTYPE_PYTHON=interpreter())
    assert refused.returncode == 1
    assert "is not a virtual environment" in refused.stderr
    assert (precious / "file").exists()


def test_a_second_environment_lives_beside_the_first(ready: Checkout, tmp_path: Path) -> None:
    second = tmp_path / "second venv"
    assert ready("test", CALOTYPE_VENV=str(second), CALOTYPE_PYTHON=interpreter()).returncode == 0
    assert (second / "pyvenv.cfg").exists()
    assert not (ready.root / ".venv").exists()


def test_another_python_than_that_of_the_environment_is_refused(ready: Checkout, tmp_path: Path) -> None:
    ready("up", CALOTYPE_PYTHON=interpreter())
    other = claims(tmp_path / "python", 12 if sys.version_info[1] != 12 else 13)
    refused = ready("up", CALOTYPE_PYTHON=str(other))
    assert refused.returncode == 1
    assert "CALOTYPE_VENV" in refused.stderr


def test_first_starts_at_once_do_not_disturb_each_other(ready: Checkout) -> None:
    starts = [ready.start("up", CALOTYPE_PYTHON=interpreter()) for _ in range(8)]
    said = [start.communicate(timeout=120) for start in starts]
    assert [start.returncode for start in starts] == [0] * 8, said
    assert sum("making the environment" in err for _, err in said) == 1


def test_the_lock_of_a_start_that_was_killed_is_taken_over(ready: Checkout) -> None:
    lock = ready.root / ".tools" / "lock"
    lock.mkdir()
    (lock / "owner").write_text(f"{os.getpid()} 1\n")  # our number, but started at another time
    starts = [ready.start("up", CALOTYPE_PYTHON=interpreter()) for _ in range(3)]
    assert [start.wait(60) for start in starts] == [0, 0, 0]
    for start in starts:
        start.communicate()
    assert not lock.exists()


def test_an_interrupted_start_releases_its_lock(ready: Checkout) -> None:
    (ready.root / ".tools" / "uv" / "bin" / "uv").unlink()
    fake(ready.root / ".tools" / "uv" / "bin" / "uv", "case $1 in --version) exit 0 ;; esac; exec sleep 2")
    start = ready.start("up", CALOTYPE_PYTHON=interpreter())
    lock = ready.root / ".tools" / "lock"
    while not (lock / "owner").exists():
        time.sleep(0.01)
    start.send_signal(signal.SIGTERM)
    start.communicate(timeout=20)
    assert start.returncode == 143
    assert not lock.exists()


def test_a_link_to_the_script_finds_its_checkout(ready: Checkout, tmp_path: Path) -> None:
    ready("up", CALOTYPE_PYTHON=interpreter())
    link = tmp_path / "bin" / "calotype"
    link.parent.mkdir()
    link.symlink_to("../a checkout/calotype")
    ran = subprocess.run(
        [str(link), "status"], env={"PATH": SYSTEM_PATH}, capture_output=True, text=True, check=False
    )
    assert ran.stdout.startswith("started status")


@pytest.fixture
def others_checkout() -> Iterator[Checkout]:
    """A checkout that everybody may read; pytest's own directories are closed to other users."""
    with tempfile.TemporaryDirectory(prefix="calotype ") as directory:
        Path(directory).chmod(0o755)
        yield Checkout(Path(directory) / "checkout")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as another user")
def test_who_may_not_write_in_the_checkout_is_told(others_checkout: Checkout) -> None:
    ran = subprocess.run(
        [str(others_checkout.root / "calotype"), "up"],
        user=65534,
        env={"PATH": SYSTEM_PATH, "HOME": "/nonexistent"},
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 1
    assert f"calotype: cannot write in {others_checkout.root}" in ran.stderr
    assert ran.stderr.count("\n") == 1
