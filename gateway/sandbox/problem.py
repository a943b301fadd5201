"""PPR-01 problems (病名), PPR^ZD1: PRB, ZPR, ORC per disease name (JAHIS disease names; HL7 v2.5 chapter 12)."""

from random import Random
from typing import NamedTuple

from gateway.sandbox.segments import Chart, Moment, Place, day, msh, orc, segment
from gateway.sandbox.tables import Problem

Segments = list[str]

_SUSPECTED_SHARE = 0.15
_RESOLVED_SHARE = 0.2


class Entry(NamedTuple):
    """One disease name of one patient."""

    problem: Problem
    instance: str
    """PRB-4, unique in the hospital."""
    onset: int
    """Day number."""
    resolved: int | None
    suspected: bool


def draw(rng: Random, chart: Chart, instance: str, first_day: int) -> tuple[Entry, ...]:
    """The person's problems, all of them from before `first_day`, the day the hospital first wrote them down."""
    entries = []
    for count, problem in enumerate(chart.person.problems, start=1):
        onset = max(0, first_day - 20 - int(rng.random() * 380))
        resolved = onset + int(rng.random() * (first_day - onset)) if rng.random() < _RESOLVED_SHARE else None
        entries.append(Entry(problem, f"{instance[:12]}{count:03d}", onset, resolved, rng.random() < _SUSPECTED_SHARE))
    return tuple(entries)


def render(chart: Chart, place: Place, entries: tuple[Entry, ...], made: Moment, control_id: str) -> Segments:
    segments = [msh(chart.facility, made, "PPR^ZD1^PPR_ZD1", control_id), chart.pid]
    for entry in entries:
        problem = entry.problem
        name = f"{problem.code}^{problem.name}^MDCDX2"
        resolved = day(entry.resolved) if entry.resolved is not None else ""
        segments.append(
            segment(
                "PRB",
                {
                    1: "AD",
                    2: made.seconds,
                    3: name,
                    4: entry.instance,
                    7: day(entry.onset),
                    9: resolved,
                    10: f"{problem.icd10}^^I10^O^外来時^JHSD0004^2013",
                    13: "1^疑い^JHSD0005" if entry.suspected else "",
                    14: "F^全快^HL70241" if resolved else "N^回復せず^HL70241",
                    16: day(entry.onset),
                },
            )
        )
        suffix = "8002^の疑い^MDCDX2" if entry.suspected else ""
        exchange = f"{problem.exchange}^{problem.name}^MDCDX2" if problem.exchange else ""
        segments.append(f"ZPR||{name}|{suffix}||{exchange}".rstrip("|"))
        segments.append(orc(chart, place, "NW", entry.instance, "", "", "", made.seconds))
    return segments
