"""Segments keep what was put down through kills, torn frames, full disks and rotation, and never make anybody wait."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import duckdb
import pytest

from calotype.efficiency.dynostats import Identity, Record, Segments, read
from calotype.efficiency.dynostats.segments import QUEUE, SUFFIX, mend, prune, segments, whole_frames
from tests.running_site import SOURCE


def record(number: int, endpoint: str = "feed") -> Record:
    return Record(
        at=1_700_000_000 + number,
        identity=Identity(release="abc", host="host", worker="1"),
        endpoint=endpoint,
        method="GET",
        status=200,
        reason="sampled",
        weight=1,
        wall_ns=number,
        bytes_in=0,
        bytes_out=10,
    )


def numbers(directory: Path) -> list[int]:
    return [entry.wall_ns for entry in read(directory) if isinstance(entry, Record)]


def write(directory: Path, first: int, count: int) -> None:
    sink = Segments(directory)
    for number in range(first, first + count):
        sink.put(record(number))
    sink.close()
    assert sink.dropped == 0


def test_what_was_put_down_is_read_in_its_order(tmp_path: Path) -> None:
    write(tmp_path, 0, 500)
    write(tmp_path, 500, 500)
    assert sorted(numbers(tmp_path)) == list(range(1_000))
    assert next(iter(read(tmp_path))) == record(0)
    assert list(read(tmp_path, since=time.time() + 60)) == []


def test_a_torn_frame_hides_only_itself_and_is_cut_off_by_the_next_writer(tmp_path: Path) -> None:
    write(tmp_path, 0, 100)
    write(tmp_path, 100, 100)
    first, second = segments(tmp_path)
    whole = first.read_bytes()
    for left in (1, 5, len(second.read_bytes()) - 1):
        first.write_bytes(whole + second.read_bytes()[:left])
        assert numbers(tmp_path) == list(range(200))
        mend(tmp_path)
        assert first.read_bytes() == whole
    first.write_bytes(b"\x00" * 100)
    assert numbers(tmp_path) == list(range(100, 200))


def test_a_record_that_is_no_text_is_dropped_alone(tmp_path: Path) -> None:
    sink = Segments(tmp_path)
    for entry in (record(1), record(2, endpoint="half a pair: \ud83d"), record(3)):
        sink.put(entry)
    sink.close()
    assert numbers(tmp_path) == [1, 3]
    assert sink.dropped == 1


def test_a_file_that_is_being_written_is_not_mended(tmp_path: Path) -> None:
    sink = Segments(tmp_path)
    sink.put(record(1))
    while not segments(tmp_path) or not segments(tmp_path)[0].stat().st_size:
        time.sleep(0.01)
    (path,) = segments(tmp_path)
    with path.open("ab") as file:
        file.write(b"torn")
    size = path.stat().st_size
    mend(tmp_path)
    assert path.stat().st_size == size
    sink.close()


WRITES_UNTIL_KILLED = """
import sys
from pathlib import Path
sys.path[:0] = sys.argv[2:]
from calotype.efficiency.dynostats import Segments
from tests.efficiency.dynostats.test_segments import record
sink, number = Segments(Path(sys.argv[1])), 0
while True:
    if len(sink._waiting) < 500:
        sink.put(record(number))
        number += 1
"""


@pytest.mark.fault
def test_a_writer_killed_in_the_middle_leaves_all_records_up_to_some_moment(tmp_path: Path) -> None:
    root = Path(__file__).parents[3]
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITES_UNTIL_KILLED, str(tmp_path), str(SOURCE), str(root)]
    )
    until = time.monotonic() + 30
    while len(numbers(tmp_path)) < 1_000:
        assert time.monotonic() < until
        time.sleep(0.05)
    writer.send_signal(signal.SIGKILL)
    writer.wait()
    kept = numbers(tmp_path)
    assert kept == list(range(len(kept)))
    write(tmp_path, len(kept), 10)
    assert numbers(tmp_path) == list(range(len(kept) + 10))


FILLS = """
import json, resource, signal, sys
from pathlib import Path
sys.path[:0] = sys.argv[2:]
from calotype.efficiency.dynostats import Segments
from tests.efficiency.dynostats.test_segments import record
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
sink = Segments(Path(sys.argv[1]))
def put(first, count):
    for number in range(first, first + count):
        sink.put(record(number, endpoint=str(number ** 9)))
    while sink._waiting:
        pass
put(0, 100)
while not any(path.stat().st_size for path in Path(sys.argv[1]).iterdir()):
    pass
size = max(path.stat().st_size for path in Path(sys.argv[1]).iterdir())
resource.setrlimit(resource.RLIMIT_FSIZE, (size + 50, resource.RLIM_INFINITY))
put(100, 200)
while sink.dropped < 200:
    pass
full = sink.dropped
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
put(300, 100)
sink.close()
print(json.dumps([full, sink.dropped]))
"""


@pytest.mark.fault
def test_a_disk_that_takes_no_more_costs_those_records_and_says_how_many(tmp_path: Path) -> None:
    """The kernel refuses to let the file grow, in the middle of a frame, as it does when the disk is full."""
    root = Path(__file__).parents[3]
    ran = subprocess.run(
        [sys.executable, "-c", FILLS, str(tmp_path), str(SOURCE), str(root)],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert json.loads(ran.stdout) == [200, 200]
    assert "200 records are dropped" in ran.stderr
    assert numbers(tmp_path) == [*range(100), *range(300, 400)]
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == resource.RLIM_INFINITY


def test_a_directory_that_cannot_be_made_raises_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    sink = Segments(tmp_path / "file" / "directory")
    sink.put(record(1))
    sink.close()
    assert sink.dropped == 1


def test_files_are_rotated_and_the_oldest_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("calotype.efficiency.dynostats.segments.WRITE_EVERY_S", 0.001)
    sink = Segments(tmp_path, segment_bytes=2_000, total_bytes=20_000)
    for number in range(2_000):
        sink.put(record(number, endpoint=str(pow(3, number, 10**40))))
        while not number % 20 and sink._waiting:
            time.sleep(0.0005)
    sink.close()
    paths = segments(tmp_path)
    assert len(paths) > 4
    assert sum(path.stat().st_size for path in paths) <= 20_000 + 4_000
    kept = numbers(tmp_path)
    assert kept == list(range(kept[0], 2_000))
    prune(tmp_path, 0)
    assert segments(tmp_path) == []


def test_more_than_the_queue_holds_is_dropped_and_counted(tmp_path: Path) -> None:
    sink = Segments(tmp_path)
    for number in range(QUEUE + 5):  # sooner than its thread looks for the first time
        sink.put(record(number))
    assert sink.dropped == 5
    sink.close()
    assert numbers(tmp_path) == list(range(QUEUE))


def test_a_child_of_fork_writes_a_file_of_its_own(tmp_path: Path) -> None:
    script = """
import os, sys
from pathlib import Path
sys.path[:0] = sys.argv[2:]
from calotype.efficiency.dynostats import Segments
from tests.efficiency.dynostats.test_segments import record
sink = Segments(Path(sys.argv[1]))
children = []
for number in (1, 2):
    if not (child := os.fork()):
        sink.put(record(number))
        sink.close()
        os._exit(0)
    children.append(child)
for child in children:
    os.waitpid(child, 0)
sink.put(record(0))
sink.close()
"""
    root = Path(__file__).parents[3]
    subprocess.run([sys.executable, "-c", script, str(tmp_path), str(SOURCE), str(root)], check=True)
    assert len(segments(tmp_path)) == 3
    assert sorted(numbers(tmp_path)) == [0, 1, 2]


def test_what_is_first_put_down_as_the_interpreter_ends_is_written(tmp_path: Path) -> None:
    """Python 3.12 begins no thread any longer then."""
    script = """
import atexit, sys
from pathlib import Path
sys.path[:0] = sys.argv[2:]
from calotype.efficiency.dynostats import Segments
from tests.efficiency.dynostats.test_segments import record
sink = Segments(Path(sys.argv[1]))
atexit.register(sink.close)
atexit.register(sink.put, record(7))
"""
    root = Path(__file__).parents[3]
    subprocess.run([sys.executable, "-c", script, str(tmp_path), str(SOURCE), str(root)], check=True)
    assert numbers(tmp_path) == [7]


def test_duckdb_reads_them_as_they_are(tmp_path: Path) -> None:
    write(tmp_path, 0, 100)
    write(tmp_path, 100, 50)
    rows = duckdb.execute(
        f"select endpoint, count(*), max(wall_ns) from read_json('{tmp_path}/*{SUFFIX}', union_by_name = true)"
        " where type = 'request' group by all"
    ).fetchall()
    assert rows == [("feed", 150, 149)]


def test_what_another_release_has_written_and_nobody_understands_is_left_out(tmp_path: Path) -> None:
    write(tmp_path, 0, 10)
    (path,) = segments(tmp_path)
    zstd = sys.modules["calotype.efficiency.dynostats.segments"].zstd
    path.write_bytes(path.read_bytes() + zstd.compress(b'{"type":"other"}\n{"type":"request"}\nno json\n'))
    assert len(list(whole_frames(path.read_bytes()))) == 2
    assert numbers(tmp_path) == list(range(10))
    assert os.access(path, os.R_OK)
