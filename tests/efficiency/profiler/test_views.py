"""The dearest functions, differences, flame graphs."""

from __future__ import annotations

import pytest
from hypothesis import given

from calotype.efficiency.profiler import (
    Box,
    Profile,
    ProfilesDiffer,
    difference,
    flame,
    hottest,
)
from calotype.efficiency.profiler.profile import totals
from tests.efficiency.profiler.profiles import Nested, made
from tests.efficiency.profiler.test_profile import profiles

FEED: Nested = {
    "feed": (1, 10, {"photo": (4, 40, {"likes": (4, 100, {})}), "likes": (1, 25, {})}),
    "close": (1, 5, {}),
}


def test_hottest_functions_by_self_and_by_total() -> None:
    profile = made(FEED, requests=2)
    assert [(each.function.name, each.own) for each in hottest(profile, "self")] == [
        ("likes", 62.5),
        ("photo", 20),
        ("feed", 5),
        ("close", 2.5),
    ]
    assert [(each.function.name, each.total, each.calls) for each in hottest(profile, "total")] == [
        ("feed", 87.5, 0.5),
        ("photo", 70, 2),
        ("likes", 62.5, 2.5),
        ("close", 2.5, 0.5),
    ]


def test_a_recursion_is_in_the_total_once() -> None:
    recursive = made({"a": (1, 1, {"b": (1, 2, {"a": (1, 4, {"b": (1, 8, {})})})})})
    assert {each.function.name: (each.own, each.total) for each in hottest(recursive)} == {
        "a": (5, 15),
        "b": (10, 14),
    }


@given(profiles)
def test_no_function_costs_more_than_the_request_and_all_of_them_as_much(profile: Profile) -> None:
    hot = hottest(profile, "self")
    assert sum(each.own for each in hot) * profile.requests == pytest.approx(profile.amount)
    assert all(each.own <= each.total <= profile.amount / profile.requests for each in hot)


def test_a_difference_is_of_one_request_by_function_and_by_path() -> None:
    before = made(FEED, requests=1)
    after = made({"feed": (10, 100, {"photo": (40, 400, {"likes": (40, 3_000, {})})})}, requests=10)
    found = difference(before, after)
    assert [(each.name, each.own_before, each.own_after) for each in found.functions] == [
        (("m:likes",), 125, 300),
        (("m:close",), 5, 0),
        (("(request)",), 0, 0),
        (("m:feed",), 10, 10),
        (("m:photo",), 40, 40),
    ]
    assert [(each.name[1:], each.own_after - each.own_before) for each in found.paths][:3] == [
        (("m:feed", "m:photo", "m:likes"), 200),
        (("m:feed", "m:likes"), -25),
        (("m:close",), -5),
    ]
    (feed,) = [each for each in found.functions if each.name == ("m:feed",)]
    assert (feed.total_before, feed.total_after) == (175, 350)


def test_a_function_that_moved_within_its_file_is_the_same() -> None:
    before = made({"a": (1, 5, {})})
    moved = made({"a": (1, 5, {})})
    functions = tuple(
        type(each)(each.module, each.name, "/elsewhere/" + each.file, each.line + 3)
        for each in moved.functions
    )
    changes = difference(
        before,
        Profile(
            **{field: getattr(moved, field) for field in Profile.__struct_fields__} | {"functions": functions}
        ),
    )
    assert all(each.own_before == each.own_after for each in (*changes.functions, *changes.paths))


def test_profiles_of_other_clocks_are_not_compared() -> None:
    with pytest.raises(ProfilesDiffer):
        difference(made({}), made({}, clock="wall"))


def test_boxes_of_a_flame_graph_lie_in_each_other() -> None:
    boxes = flame(made(FEED))
    assert [(box.name, box.value, box.depth) for box in boxes] == [
        ("(request)", 180, 0),
        ("m:feed", 175, 1),
        ("m:photo", 140, 2),
        ("m:likes", 100, 3),
        ("m:likes", 25, 2),
        ("m:close", 5, 1),
    ]
    assert [box.left * 180 for box in boxes] == pytest.approx([0, 0, 0, 0, 140, 175])
    assert boxes[1].where == "/m.py:7"


def test_boxes_too_narrow_to_see_are_left_out() -> None:
    profile = made({"a": (1, 10_000, {"b": (1, 5, {})})})
    assert [box.name for box in flame(profile)] == ["(request)", "m:a"]
    assert [box.name for box in flame(profile, 0)] == ["(request)", "m:a", "m:b"]


@given(profiles)
def test_siblings_do_not_overlap_and_lie_in_their_caller(profile: Profile) -> None:
    open_: list[Box] = []
    for box in flame(profile, 0):
        del open_[box.depth :]
        if open_:
            assert box.left >= open_[-1].left - 1e-9
            assert box.left + box.share <= open_[-1].left + open_[-1].share + 1e-9
        open_.append(box)
    assert len(flame(profile, 0)) == len(totals(profile.paths))
