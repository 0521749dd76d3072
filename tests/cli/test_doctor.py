"""`calotype doctor` says what is there and why something is not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from calotype.cli.doctor import doctor
from calotype.efficiency.meter import available


def test_it_says_which_counters_work_and_why_others_do_not(tmp_path: Path) -> None:
    ran = CliRunner().invoke(doctor, ["--data", str(tmp_path), "--json"])
    assert ran.exit_code == 0
    counters = {one["name"]: one for one in json.loads(ran.output) if one["topic"] == "CPU counters"}
    for one in available():
        told = counters[f"{one.name} ({one.unit})"]
        assert told["ok"] == (one.refusal is None)
        assert one.refusal is None or told["detail"] == one.refusal
    assert sum("are metered in it" in one["detail"] for one in counters.values()) == 1


def test_a_machine_without_anything_but_python_can_run_a_site(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    ran = CliRunner().invoke(doctor, ["--data", str(tmp_path / "new" / "data")])
    assert ran.exit_code == 0
    assert "memcached" in ran.output
    assert "the site runs without a cache" in ran.output
    assert not (tmp_path / "new").exists()


def test_a_data_directory_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    data = tmp_path / "file" / "data"
    ran = CliRunner().invoke(doctor, ["--data", str(data)])
    assert ran.exit_code == 1
    assert f"{data}: cannot be written" in ran.output
    assert "MISSING" in ran.output
