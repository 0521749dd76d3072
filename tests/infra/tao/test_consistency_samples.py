"""What the checker takes from a log, which of it it looks at and when, and how it counts: without any server."""

from __future__ import annotations

from calotype.infra.invalidation import Batch, Change, Lsn, Operation, key_space
from calotype.infra.tao import records_of
from calotype.infra.tao.consistency import UNTOLD, GraphLog, Inconsistency, Report
from calotype.infra.tao.consistency.assembly import Assembly
from calotype.infra.tao.consistency.judging import Subject
from calotype.infra.tao.consistency.kinds import EDGES, LISTS, LONG_LISTS, OBJECTS
from calotype.infra.tao.consistency.sampling import Agenda, Reservoir, Sample


def row(relation: str, operation: Operation = Operation.UPDATE, **columns: int) -> Change:
    return Change(operation, f"calotype.{relation}", {name: str(value) for name, value in columns.items()})


def test_the_keys_of_what_was_written_are_those_that_the_consumer_outdates() -> None:
    changes = [
        row("objects", id=7, version=3),
        row("objects", Operation.DELETE, id=8),
        row("associations", id1=1, atype=2, id2=3, version=5),
        row("association_counts", id1=1, atype=2, version=5),
    ]
    made = key_space("pg-1", "abc")
    ours = {(s.kind.key(made.encode(), s.k), known) for s, known in GraphLog.written(None, changes)}  # type: ignore[arg-type]  # needs no server
    assert ours == {record for change in changes for record in records_of(change, made)}


def test_a_deleted_edge_has_the_version_that_its_list_got_in_the_same_transaction() -> None:
    deleted = row("associations", Operation.DELETE, id1=1, atype=2, id2=3)
    listed = row("association_counts", id1=1, atype=2, version=6)
    fresh = row("association_counts", Operation.INSERT, id1=1, atype=9, version=0)
    written = dict(GraphLog.written(None, [fresh, deleted, listed]))  # type: ignore[arg-type]  # needs no server
    assert written == {
        Subject(EDGES, (1, 2, 3)): 6,
        Subject(LISTS, (1, 2)): 6,
        Subject(LONG_LISTS, (1, 2)): 6,
    }
    assert dict(GraphLog.written(None, [deleted])) == {Subject(EDGES, (1, 2, 3)): UNTOLD}  # type: ignore[arg-type]


def test_rows_keep_the_time_of_their_own_transaction() -> None:
    one, two, three = (row("objects", id=n, version=1) for n in (1, 2, 3))
    batch = Batch(Lsn(9), [one, two, three], committed_ms=10, begins=[(0, 10), (1, 20), (3, 30)])
    assert list(Assembly().transactions(batch)) == [(10, [one]), (20, [two, three])]
    assert list(Assembly().transactions(Batch(Lsn(9)))) == []


def test_a_transaction_that_comes_in_parts_is_put_together() -> None:
    one, two, three, four = (row("objects", id=n, version=1) for n in (1, 2, 3, 4))
    assembly = Assembly()
    begun = Batch(Lsn(0), [one, two], committed_ms=10, begins=[(0, 10), (1, 20)], whole=False)
    assert list(assembly.transactions(begun)) == [(10, [one])]
    assert list(assembly.transactions(Batch(Lsn(0), [three], committed_ms=20, whole=False))) == []
    assert list(assembly.transactions(Batch(Lsn(8), committed_ms=20))) == [(20, [two, three])]
    last = Batch(Lsn(9), [four], committed_ms=30, begins=[(0, 30)])
    assert list(assembly.transactions(last)) == [(30, [four])]


def sample(number: int, since: float = 0.0) -> Sample:
    return Sample(Subject(OBJECTS, number), 1, since, None)


def test_a_reservoir_keeps_so_many_of_all_with_the_same_chance() -> None:
    reservoir = Reservoir(10)
    kept = [0] * 40
    for _ in range(1_000):
        for number in range(40):
            reservoir.add(sample(number, since=-number))
        taken = reservoir.take()
        assert len(taken) == 10
        assert taken == sorted(taken, key=lambda one: one.since)
        for one in taken:
            assert isinstance(one.subject.k, int)
            kept[one.subject.k] += 1
    assert all(150 < times < 350 for times in kept)
    assert reservoir.take() == []


def test_each_sample_is_due_once_at_each_scale_that_ends_in_time() -> None:
    agenda = Agenda([1, 60], ends_at=70)
    early, late = sample(1, since=5), sample(2, since=20)
    agenda.add([early, late])
    assert agenda.due(5.9) == []
    assert agenda.due(6) == [(1, [early])]
    assert agenda.due(1_000) == [(1, [late]), (60, [early])]
    assert agenda.due(1_000) == []


def inconsistency(after_s: float) -> Inconsistency:
    return Inconsistency(
        "pg-1", "a", "object", "object 1", "o", "older version", after_s, after_s, 2, 1, 2, 0, 0
    )


def test_nines_are_a_lower_bound_where_nothing_is_stale_and_unknown_where_nothing_was_compared() -> None:
    report = Report([1, 60, 300])
    report.scales[1].checked = 1_000
    report.scales[60].checked = 1_000
    for _ in range(10):
        report.found(inconsistency(60))
    summary = report.summary()
    assert [scale["nines"] for scale in summary.scales] == [3, 2, None]
    assert (summary.checked, len(summary.inconsistencies)) == (2_000, 10)


def test_what_is_stale_at_the_longest_scale_lasts() -> None:
    report = Report([1, 60, 300])
    report.found(inconsistency(1))
    assert report.lasting(), "no longer scale was checked"
    report.scales[60].checked = 5
    assert not report.lasting()
    report.found(inconsistency(60))
    assert report.lasting()
    report.scales[300].checked = 5
    assert not report.lasting(), "it has healed by then"
