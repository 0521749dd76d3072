"""Cases that take turns, and what each operation of them costs."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from calotype.cli.bars import Bar

type Case = Callable[[], Awaitable[None]]


@dataclass(frozen=True)
class Cost:
    """Of one operation, in microseconds."""

    client_us: float
    server_us: float
    wall_us: float

    @property
    def both_us(self) -> float:
        return self.client_us + self.server_us


async def in_turn(
    cases: Mapping[str, Case], operations: int, server_cpu_s: Callable[[], float], rounds: int, times: int = 1
) -> dict[str, list[Cost]]:
    """Run each case `times` times a round, one after the other, round after round: the costs of one of the `operations`
    that a case does. All have run once before anything is measured."""
    costs: dict[str, list[Cost]] = {name: [] for name in cases}
    for case in cases.values():
        await case()
    with Bar("rounds") as bar:
        for number in range(rounds):
            for name, case in cases.items():
                costs[name].append(await _cost(case, operations, server_cpu_s, times))
            bar.update(number + 1, rounds)
    return costs


async def _cost(case: Case, operations: int, server_cpu_s: Callable[[], float], times: int) -> Cost:
    def now() -> tuple[float, float, float]:
        return time.process_time(), server_cpu_s(), time.perf_counter()

    before = now()
    for _ in range(times):
        await case()
    spent = [(end - start) * 1e6 / (times * operations) for start, end in zip(before, now(), strict=True)]
    return Cost(*spent)


def typical(costs: Sequence[Cost], figure: Callable[[Cost], float]) -> float:
    return median(map(figure, costs))
