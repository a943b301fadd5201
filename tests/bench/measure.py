"""How the benchmarks measure: the best of several runs, against a floor measured in the same process and minute.

The best run is the one least disturbed by the neighbours. A ratio to a floor says the same on any machine; an absolute
number says something about this one only.
"""

import platform
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter, process_time
from typing import Any


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the report. `value` is compared with `limit`; without a limit it is information."""

    name: str
    value: float
    unit: str
    limit: float | None = None
    at_least: bool = False
    """True: the value has to reach the limit; False: it must not pass it."""
    note: str = ""
    """What was measured: absolute numbers, sizes, the floor."""

    @property
    def target(self) -> str:
        return "" if self.limit is None else f"{'>=' if self.at_least else '<='} {_short(self.limit)}"

    @property
    def verdict(self) -> str:
        """PASS, short of target, or empty for information."""
        if self.limit is None:
            return ""
        met = self.value >= self.limit if self.at_least else self.value <= self.limit
        return "PASS" if met else "short of target"

    def as_dict(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "value": round(self.value, 4),
            "unit": self.unit,
            "target": self.target,
            "verdict": self.verdict,
            "note": self.note,
        }

    @property
    def shown(self) -> str:
        return f"{_short(self.value)} {self.unit}".strip()


def _short(number: float) -> str:
    return f"{number:,.0f}" if abs(number) >= 100 or number == int(number) else f"{number:.2f}"


@dataclass(frozen=True, slots=True)
class Spent:
    """Seconds of one call."""

    wall: float
    cpu: float
    """Of this process alone, all threads."""


def once(call: Callable[[], object]) -> Spent:
    wall, cpu = perf_counter(), process_time()
    call()
    return Spent(perf_counter() - wall, process_time() - cpu)


def best_of(call: Callable[[], object], runs: int = 5, loops: int = 1) -> Spent:
    """The best wall and the best CPU seconds of one call, over `runs` times `loops` calls."""

    def several() -> None:
        for _ in range(loops):
            call()

    spent = [once(several) for _ in range(runs)]
    return Spent(min(one.wall for one in spent) / loops, min(one.cpu for one in spent) / loops)


def side_by_side(one: Callable[[], object], other: Callable[[], object], runs: int, loops: int) -> tuple[Spent, Spent]:
    """Two calls in turns, so that a neighbour who comes and goes disturbs both: the best of each."""
    first, second = [], []
    for _ in range(runs):
        first.append(best_of(one, 1, loops))
        second.append(best_of(other, 1, loops))
    return (
        Spent(min(s.wall for s in first), min(s.cpu for s in first)),
        Spent(min(s.wall for s in second), min(s.cpu for s in second)),
    )


def machine() -> str:
    """CPU model, number of cores and Python: what the absolute numbers belong to."""
    return f"{_cpu()}, {platform.system()} {platform.machine()}, Python {sys.version.split()[0]}"


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or "unknown CPU"
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{models[0]} x {len(models)}" if models else "unknown CPU"
