"""Inpatient stays (入院): which of a patient's ADT events belong to one stay. Pure, and independent of order.

There is no visit number in SS-MIX2, so events join by patient and time:
* two messages of one kind and time are one event, and the newest of them speaks; a cancel (取消) undoes the event of its
  kind and time, also when one of the two times is less precise, or the discharge of the PV1-44 it names;
* an event that says when the patient was admitted (PV1-44) belongs to that stay, whether the admission is known or not;
* a discharge without PV1-44 closes the latest admission that is not after it and not yet closed; another event belongs
  to the stay it falls into; a stay of which only later events are known has no beginning until its admission arrives;
* an admission fulfils the plan (ADT-21) it names in PV2-8, else the plan of its day, else the nearest of a week.
What a stay becomes is made in stay_encounter.py.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date
from operator import itemgetter
from typing import Any

from gateway.model.outcome import StayEvent
from gateway.translate import times
from gateway.translate.stay_encounter import ADMISSION, DISCHARGE, PLAN, Act, Stay, encounter

EARLIEST, LATEST = "", "~"
"""Before and after every time of `times.utc_range`."""

PLAN_DAYS = 7
"""How far an admission may be from the day it was planned for, when neither message names the other."""

FORESEEN = ("ADT-41", "ADT-51")
"""Plans inside a stay: their own time may lie after its end, so the time of typing says which stay."""


def project(events: Sequence[StayEvent]) -> list[dict[str, Any]]:
    """Encounters of one patient with the Provenance of each event, complete with ids."""
    made: list[dict[str, Any]] = []
    becomes: dict[str, str] = {}
    for stay in _stays(_acts(events)):
        resource = encounter(stay)
        made.append(resource)
        becomes |= {event.source: resource["id"] for act in stay.acts for event in act.messages}
    for event in sorted(events, key=_order):
        if event.provenance:
            # Two messages of one event (a resend under another key) tell of the same Encounter.
            target = {"reference": f"Encounter/{becomes[event.source]}"}
            others = event.provenance.get("target", [])
            made.append(event.provenance | {"target": [target, *others]})
    return made


def unmatched(events: Sequence[StayEvent]) -> list[StayEvent]:
    """Cancels that find no event to take back, in event order. They still stand in the projection. In a storage this is
    the usual thing: the cancel has the key of its event and supersedes it."""
    if not any(event.cancelled for event in events):
        return []
    acts = (act for stay in _stays(_acts(events)) for act in stay.acts)
    return sorted((act.event for act in acts if all(event.cancelled for event in act.messages)), key=_order)


# -- messages -> events -----------------------------------------------------------------------------------------------


def _when(event: StayEvent) -> str:
    return times.utc_range(event.occurred_at)[0] if event.occurred_at else f"?{event.source}"


def _order(event: StayEvent) -> tuple[str, str, str, bool, str]:
    return (_when(event), event.data_type, *_version(event))


def _version(event: StayEvent) -> tuple[str, bool, str]:
    """A cancel comes after what was written in the same moment."""
    return (event.source_time, event.cancelled, event.source)


def _acts(events: Sequence[StayEvent]) -> list[Act]:
    """The events in order, each with all messages that tell of it."""
    found: dict[tuple[str, str], Act] = {}
    for event in sorted(events, key=_order):
        key = (event.data_type, _when(event))
        if key in found:
            found[key].add(event)
        else:
            found[key] = Act(event, [event], event.cancelled)
    acts = list(found.values())
    for act in [act for act in acts if all(event.cancelled for event in act.messages)]:
        others = [other for other in acts if other is not act and _undoes(act.event, other)]
        if others:
            target = max(others, key=lambda other: (_when(other.event), _version(other.event)))
            target.undo(act)
            acts.remove(act)
    return acts


def _undoes(cancel: StayEvent, act: Act) -> bool:
    """Whether a cancel takes an event of another written time back: the two times overlap, or the cancel has none and
    names the same admission."""
    event = act.event
    if act.cancelled or event.data_type != cancel.data_type or event.source_time > cancel.source_time:
        return False
    if cancel.occurred_at:
        return bool(event.occurred_at) and _overlap(event.occurred_at, cancel.occurred_at)
    return bool(cancel.admitted_at and event.admitted_at) and _overlap(event.admitted_at, cancel.admitted_at)


def _overlap(one: str, other: str) -> bool:
    first, second = times.utc_range(one), times.utc_range(other)
    return first[0] < second[1] and second[0] < first[1]


# -- events -> stays --------------------------------------------------------------------------------------------------


def _stays(acts: list[Act]) -> list[Stay]:
    stays = [Stay(act.event.occurred_at, [act]) for act in acts if act.kind == ADMISSION]
    plans = [act for act in acts if act.kind == PLAN]
    rest = [act for act in acts if act.kind not in (ADMISSION, PLAN)]
    inside = [act for act in rest if not _outpatient(act)]
    known = {stay.begin: stay for stay in stays if stay.start}
    for act in inside:
        if act.event.admitted_at:
            _named(act, known, stays)
    free = [act for act in inside if not act.event.admitted_at]
    open_ = sorted((stay for stay in stays if stay.start and not _closed(stay)), key=_begin)
    for act in free:
        if act.kind == DISCHARGE:
            stay = _discharge(act, open_)
            if stay is None:
                stays.append(Stay("", [act]))
            else:
                stay.acts.append(act)
    begun = sorted((stay for stay in stays if stay.start), key=_begin)
    ends = {id(stay): _end(stay) for stay in stays}
    ended = sorted(((ends[id(stay)], stay) for stay in stays if not stay.start), key=itemgetter(0))
    lost = _Lost(sorted({stay.begin for stay in begun} | set(ends.values())))
    for act in free:
        if act.kind != DISCHARGE:
            around = _around(act, begun, ends, ended)
            if around is None:
                lost.add(act)
            else:
                around.acts.append(act)
    stays += lost.made
    for stay in stays:
        _undo_within(stay)
    _plans(plans, stays)
    stays += [Stay("", [act]) for act in rest if _outpatient(act)]
    return sorted(stays, key=lambda stay: _order(stay.acts[0].event))


def _undo_within(stay: Stay) -> None:
    """A cancel that names its stay and no time takes back the latest event of its kind there."""
    for act in [act for act in stay.acts if act.cancelled and not act.event.occurred_at]:
        others = [other for other in stay.acts if other.kind == act.kind and not other.cancelled]
        others = [other for other in others if other.event.source_time <= act.event.source_time]
        if others:
            max(others, key=lambda other: _order(other.event)).undo(act)
            stay.acts.remove(act)


def _outpatient(act: Act) -> bool:
    """A change of doctor of an outpatient is no event of a stay."""
    return bool(act.event.fragment.get("class", {}).get("code") == "AMB")


def _named(act: Act, known: dict[str, Stay], stays: list[Stay]) -> None:
    """Into the stay that began at PV1-44, which may not have been told itself. `known`: stays by their beginning."""
    at = act.event.admitted_at
    begin, until = times.utc_range(at)
    stay = known.get(begin)
    if stay is None:
        near = [other for other in known.values() if other.begin < until and begin < other.until]
        stay = max(near, key=_begin, default=None)
    if stay is None:
        stay = known[begin] = Stay(at)
        stays.append(stay)
    stay.acts.append(act)


def _begin(stay: Stay) -> str:
    return stay.begin


def _closed(stay: Stay) -> bool:
    return any(act.kind == DISCHARGE and not act.cancelled for act in stay.acts)


def _discharge(act: Act, open_: list[Stay]) -> Stay | None:
    """The latest uncancelled stay that began at or before a discharge and that none has closed; it is open no longer.
    `open_`: such stays by their beginning."""
    if not act.event.occurred_at:
        return None
    until = times.utc_range(act.event.occurred_at)[1]
    for n in reversed(range(bisect_right(open_, until, key=_begin))):
        if _takes(open_[n], act.event):
            return open_[n] if act.cancelled else open_.pop(n)
    return None


def _takes(stay: Stay, event: StayEvent) -> bool:
    """A stay whose admission was taken back takes only what was written before that."""
    admission = stay.admission
    return admission is None or not admission.cancelled or event.source_time < admission.undone


def _around(act: Act, begun: list[Stay], ends: dict[int, str], spans: list[tuple[str, Stay]]) -> Stay | None:
    """The latest stay that is open at the time of an event; else the one whose known end comes next after it.

    `begun`: stays of known beginning, in its order; `ends`: the end of each, by id(); `spans`: (end, stay) of those of
    which only the end is known, in its order.
    """
    at = _moment(act.event)
    if not at:
        return None
    begin, until = times.utc_range(at)
    first = bisect_left(begun, until, key=_begin)
    for stay in reversed(begun[:first]):
        if ends[id(stay)] > begin and _takes(stay, act.event):
            return stay
    n = bisect_right(spans, begin, key=itemgetter(0))
    if n == len(spans) or spans[n][0] == LATEST:
        return None
    end, stay = spans[n]
    between = bisect_right(begun, begin, key=_begin) < bisect_left(begun, end, key=_begin)
    return None if between else stay


def _moment(event: StayEvent) -> str:
    return (event.recorded_at or event.occurred_at) if event.data_type in FORESEEN else event.occurred_at


def _end(stay: Stay) -> str:
    """UTC end of the discharge; LATEST while there is none."""
    ends = [act for act in stay.acts if act.kind == DISCHARGE and not act.cancelled]
    told = [times.utc_range(act.event.occurred_at)[1] for act in ends if act.event.occurred_at]
    return max(told, default=EARLIEST if ends else LATEST)


@dataclass
class _Lost:
    """Events of stays of which neither admission nor discharge is known: those that no such event parts are one stay."""

    borders: list[str]
    """Beginnings and ends of the known stays, sorted."""
    made: list[Stay] = field(default_factory=list)

    def add(self, act: Act) -> None:
        """To be called in event order."""
        at = _moment(act.event)
        last = _moment(self.made[-1].acts[-1].event) if self.made else ""
        if at and last and not self._parted(times.utc_range(last)[0], times.utc_range(at)[0]):
            self.made[-1].acts.append(act)
        else:
            self.made.append(Stay("", [act]))

    def _parted(self, since: str, until: str) -> bool:
        low, high = min(since, until), max(since, until)
        return bisect_right(self.borders, low) < bisect_right(self.borders, high)


# -- plans ------------------------------------------------------------------------------------------------------------


def _plans(plans: Iterable[Act], stays: list[Stay]) -> None:
    """Each plan to the stay that fulfils it, the surest pairs first; the others are stays of their own."""
    plans = list(plans)
    pairs = [
        (*rank, _when(plan.event), stay.begin, n, m)
        for n, plan in enumerate(plans)
        for m, stay in enumerate(stays)
        if not plan.cancelled and (rank := _fits(plan, stay)) is not None
    ]
    taken: set[int] = set()
    given: set[int] = set()
    for *_, n, m in sorted(pairs):
        if n not in taken and m not in given:
            taken.add(n)
            given.add(m)
            stays[m].acts.insert(0, plans[n])
    stays += [Stay("", [plan]) for n, plan in enumerate(plans) if n not in taken]


def _fits(plan: Act, stay: Stay) -> tuple[bool, bool, int] | None:
    """How well an admission fits a plan, smaller is better: a cancelled admission last, one that names the plan first,
    then by days between them. None when it does not."""
    if not stay.start or not plan.event.occurred_at:
        return None
    admission = stay.admission
    names = admission.event.planned_at if admission is not None else ""
    named = bool(names) and times.utc_range(names)[0] == times.utc_range(plan.event.occurred_at)[0]
    days = _days_between(plan.event.occurred_at, stay.start)
    if not named and (days is None or days > PLAN_DAYS):
        return None
    return (admission is not None and admission.cancelled, not named, days or 0)


def _days_between(one: str, other: str) -> int | None:
    """On the sender's own calendar; None for times less precise than a day."""
    if min(len(one), len(other)) < 10:
        return None
    return abs((date.fromisoformat(one[:10]) - date.fromisoformat(other[:10])).days)
