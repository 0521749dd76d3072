"""Keys are spread evenly, alike in every process, and move only to or from the server that joined or left."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter

import pytest

from calotype.infra.cache import rendezvous
from calotype.infra.cache.rendezvous import Rendezvous

NAMES = [f"10.0.0.{number}:11211" for number in range(1, 9)]
KEYS = [b"o:k3:%d" % number for number in range(40_000)]
"""Neighbours differ in one digit, as ids do."""


@pytest.mark.parametrize("amount", range(2, 9))
def test_the_spread_is_within_a_few_percent_of_even(amount: int) -> None:
    places = Rendezvous(NAMES[:amount])
    shares = Counter(places.place(key) for key in KEYS)
    even = len(KEYS) / amount
    assert all(abs(shares[at] / even - 1) < 0.05 for at in range(amount)), shares


def test_every_process_places_alike() -> None:
    program = (
        "from calotype.infra.cache.rendezvous import Rendezvous\n"
        f"places = Rendezvous({NAMES[:5]!r})\n"
        "print([places.place(b'key-%d' % number) for number in range(50)])"
    )
    run = subprocess.run(
        [sys.executable, "-c", program],
        env={"PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
    )
    places = Rendezvous(NAMES[:5])
    assert run.stdout.strip() == str([places.place(b"key-%d" % number) for number in range(50)])


def test_only_the_share_of_a_server_that_leaves_moves() -> None:
    before, after = Rendezvous(NAMES[:5]), Rendezvous(NAMES[:2] + NAMES[3:5])
    names_after = NAMES[:2] + NAMES[3:5]
    for key in KEYS[:5_000]:
        old = NAMES[before.place(key)]
        if old != NAMES[2]:
            assert names_after[after.place(key)] == old


def test_a_server_that_joins_takes_its_share_and_nothing_else_moves() -> None:
    before, after = Rendezvous(NAMES[:4]), Rendezvous(NAMES[:5])
    moved = [key for key in KEYS[:5_000] if before.place(key) != after.place(key)]
    assert {after.place(key) for key in moved} == {4}
    assert 0.17 < len(moved) / 5_000 < 0.23


def test_the_order_of_names_does_not_matter() -> None:
    forth, back = Rendezvous(NAMES), Rendezvous(NAMES[::-1])
    assert all(NAMES[forth.place(key)] == NAMES[::-1][back.place(key)] for key in KEYS[:1_000])


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rendezvous, "REMEMBERED", 100)
    places = Rendezvous(NAMES)
    first = [places.place(key) for key in KEYS[:1_000]]
    assert len(places._places) <= 100
    assert [places.place(key) for key in KEYS[:1_000]] == first
