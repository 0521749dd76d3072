from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from calotype.cli import state
from calotype.cli.places import Places
from calotype.cli.process import Process, ourselves


@pytest.fixture
def places(tmp_path: Path) -> Places:
    made = Places(tmp_path)
    made.make()
    return made


def example() -> state.State:
    child = state.ChildState("web", "running", Process(7, "8"), restarts=2, since=1.5, stop_signal=15)
    return state.State(ourselves(), "http://127.0.0.1:8000", "running", 1.0, [child])


def test_what_is_written_is_read(places: Places) -> None:
    state.write(places, example())
    assert state.read(places) == example()
    assert [path.name for path in places.run.iterdir()] == ["state.json"]


def test_the_state_of_an_earlier_release_is_read(places: Places) -> None:
    earlier = msgspec.to_builtins(example())
    del earlier["regions"]
    places.state.write_bytes(msgspec.json.encode(earlier))
    assert state.read(places) == example()


def test_no_state_and_a_damaged_one_are_none(places: Places) -> None:
    assert state.read(places) is None
    places.state.write_text("{")
    assert state.read(places) is None


def test_one_supervisor_a_data_directory(places: Places) -> None:
    lock = state.take_lock(places)
    assert lock is not None
    assert state.supervisor(places) == ourselves()
    program = (
        "import sys; from pathlib import Path; from calotype.cli import state; from calotype.cli.places import Places\n"
        "sys.exit(0 if state.take_lock(Places(Path(sys.argv[1]))) is None else 1)"
    )
    environment = {"PYTHONPATH": str(Path(__file__).parents[2] / "src")}
    other = [sys.executable, "-c", program, str(places.data)]
    assert subprocess.run(other, env=environment, check=False).returncode == 0
    lock.close()
    assert subprocess.run(other, env=environment, check=False).returncode == 1


def test_a_supervisor_that_was_killed_is_none(places: Places) -> None:
    places.lock.write_text('{"pid": 1, "started": "never"}')
    assert state.supervisor(places) is None


def test_a_shorter_identity_replaces_a_longer_one(places: Places) -> None:
    places.lock.write_text('{"pid": 4194304, "started": "' + "9" * 200 + '"}')
    with state.take_lock(places) or pytest.fail("locked"):
        assert state.supervisor(places) == ourselves()
