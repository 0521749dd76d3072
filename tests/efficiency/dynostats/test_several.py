"""Several sinks are one."""

from __future__ import annotations

from calotype.efficiency.dynostats import Several
from tests.efficiency.dynostats.kept import Kept
from tests.efficiency.dynostats.test_segments import record


def test_all_get_everything_and_what_each_drops_is_counted() -> None:
    kept = [Kept(), Kept()]
    sink = Several(kept)
    sink.put(record(1))
    assert [each.entries for each in kept] == [[record(1)]] * 2
    kept[0].dropped, kept[1].dropped = 2, 3
    assert sink.dropped == 5
    sink.close()
    assert all(each.closed for each in kept)


def test_none_at_all_is_a_sink_too() -> None:
    sink = Several([])
    sink.put(record(1))
    sink.close()
    assert sink.dropped == 0
