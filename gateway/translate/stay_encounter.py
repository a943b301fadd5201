"""One inpatient stay (入院) -> one Encounter: its status and the earlier ones, its period, places and doctors.

What an event adds is fixed by its kind (SS-MIX2 data type); events are taken in the order admission, movements by
time, discharge. An event that was taken back adds nothing unless it is all that is known of the stay. Plans (ADT-21, 41,
51) show while they are plans: a fulfilled one leaves its status in statusHistory, and its message in the Provenance.
"""

from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from gateway.model.outcome import StayEvent
from gateway.translate import times
from gateway.translate.assembling import merge
from gateway.translate.datatypes import absent
from gateway.translate.ids import resource_id
from gateway.translate.people import resource
from gateway.translate.rules import table

PLAN, ADMISSION, DISCHARGE = "ADT-21", "ADT-22", "ADT-52"
DOCTOR, LEAVE, RETURN, TRANSFER = "ADT-01", "ADT-31", "ADT-32", "ADT-42"

CLASS = {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "IMP"}
OWN = frozenset({"period", "location", "participant", "class", "serviceType"})
"""Elements with rules of their own; what other elements say is joined."""

Fragment = dict[str, Any]


@dataclass
class Act:
    """One event with all messages that tell of it."""

    event: StayEvent
    """The newest of them; of a cancelled event with a message of its own, the event and not the cancel."""
    messages: list[StayEvent]
    cancelled: bool = False
    undone: str = ""
    """Source time of the cancel."""

    def __post_init__(self) -> None:
        self.undone = self.event.source_time if self.cancelled else ""

    @property
    def kind(self) -> str:
        return self.event.data_type

    def add(self, event: StayEvent) -> None:
        """A newer message of the same event: it speaks."""
        self.messages.append(event)
        self.event, self.cancelled = event, event.cancelled
        self.__post_init__()

    def undo(self, cancel: "Act") -> None:
        """Taken back by a message that does not carry the same time."""
        self.messages += cancel.messages
        self.cancelled, self.undone = True, cancel.event.source_time


@dataclass
class Stay:
    start: str
    """When the patient was admitted (FHIR dateTime), also when only later events say so; "" when nobody does."""
    acts: list[Act] = field(default_factory=list)
    begin: str = ""
    """What `start` covers, in UTC."""
    until: str = ""

    def __post_init__(self) -> None:
        if self.start:
            self.begin, self.until = times.utc_range(self.start)

    @property
    def admission(self) -> Act | None:
        return next((act for act in self.acts if act.kind == ADMISSION), None)


def encounter(stay: Stay) -> dict[str, Any]:
    acts = sorted(stay.acts, key=_place_in_stay)
    made = resource("Encounter", _id(stay, acts), "JP_Encounter")
    steps = _steps(acts)
    made["status"] = steps[-1][0]
    if history := _history(steps):
        made["statusHistory"] = history
    told = [act for act in acts if not act.cancelled] or acts[:1]
    for act in told:
        fragment = act.event.fragment
        merge(made, {key: value for key, value in fragment.items() if key not in OWN})
        for key in ("class", "serviceType"):
            # A plan for later says where the patient will be, not where he is.
            if key in fragment and not (key in made and act.kind in ("ADT-41", "ADT-51")):
                made[key] = fragment[key]
    if people := _participants(told):
        made["participant"] = people
    if period := _period(stay, told):
        made["period"] = period
    if places := _Places(told).made():
        made["location"] = places
    made.setdefault("class", CLASS)
    made["subject"] = {"reference": f"Patient/{acts[0].event.patient}"}
    return made


def _place_in_stay(act: Act) -> tuple[int, str, str, str]:
    rank = {PLAN: 0, ADMISSION: 1, DISCHARGE: 3}.get(act.kind, 2)
    at = act.event.occurred_at
    return (rank, times.utc_range(at)[0] if at else "~", act.kind, act.event.source)


def _id(stay: Stay, acts: list[Act]) -> str:
    """Of the plan, which comes first in life, else of the admission, known or only named; else of the first event."""
    first = acts[0].event
    kind, at = first.data_type, first.occurred_at
    if stay.start and kind != PLAN:
        kind, at = ADMISSION, stay.start
    # The patient's logical id already holds the facility; the time is compared in UTC.
    return resource_id(
        "", "Encounter", first.patient, "stay", kind, times.utc_range(at)[0] if at else f"?{first.source}"
    )


# -- status -----------------------------------------------------------------------------------------------------------


def _steps(acts: list[Act]) -> list[tuple[str, str]]:
    """The statuses of a stay one after the other, with the time each began ("" when unknown); the last one holds."""
    changes, alone = table("stay-status"), table("stay-status-alone")
    steps: list[tuple[str, str]] = []
    for act in acts:
        status = changes.get(_key(act))
        if status is None or (steps and steps[-1][0] == status):
            continue
        # A plan begins when it is made, not when it is for; a cancel carries the time of what it takes back.
        known = act.kind in (LEAVE, RETURN) or not (act.cancelled or act.kind == PLAN)
        steps.append((status, act.event.occurred_at if known else ""))
        if act.kind == ADMISSION and act.cancelled:
            return steps  # nothing that comes after an admission that never was changes that
    return steps or [(alone[_key(acts[0])], "")]


def _key(act: Act) -> str:
    return act.kind + (".DEL" if act.cancelled else "")


def _history(steps: list[tuple[str, str]]) -> list[Fragment]:
    """Encounter.statusHistory: the statuses before the present one. Its period is mandatory."""
    return [
        {"status": status, "period": _span(start, end) or absent()} for (status, start), (_, end) in pairwise(steps)
    ]


def _span(start: str, end: str) -> Fragment:
    """A period that does not end before it begins (FHIR per-1)."""
    if start and end and times.utc_range(end)[1] <= times.utc_range(start)[0]:
        end = ""
    return {key: value for key, value in (("start", start), ("end", end)) if value}


def _period(stay: Stay, acts: list[Act]) -> Fragment:
    """From admission to discharge; of a stay that is only planned, as planned."""
    told = [act.event.fragment.get("period", {}) for act in acts]
    if all(act.kind == PLAN for act in acts):
        return dict(told[0])
    told = [period for act, period in zip(acts, told, strict=True) if act.kind != PLAN]
    end = next((period["end"] for period in reversed(told) if "end" in period), "")
    return _span(stay.start, end)


# -- doctors ----------------------------------------------------------------------------------------------------------


def _participants(acts: list[Act]) -> list[Fragment]:
    """Who is said twice stands once; a change of the attending doctor (担当医の変更) ends the time of the one before."""
    made: list[Fragment] = []
    for act in acts:
        change = act.kind == DOCTOR and not act.cancelled
        for person in act.event.fragment.get("participant", ()):
            same = [one for one in made if _who(one) == _who(person)]
            if any(not (change and "end" in one.get("period", ())) for one in same):
                continue
            if change:
                at = act.event.occurred_at
                made = [_until(one, at) if one["type"] == person["type"] else one for one in made]
                made.append(_with_period(person, {"start": at} if at else {}))
            else:
                made.append(person)
    return made


def _who(person: Fragment) -> tuple[Any, Any]:
    return person.get("type"), person["individual"].get("reference")


def _with_period(entry: Fragment, period: Fragment) -> Fragment:
    """`period` stands before what an entry points to, as in the order of R4."""
    before = {key: value for key, value in entry.items() if key not in ("period", "individual")}
    after = {key: entry[key] for key in ("individual",) if key in entry}
    return {**before, **({"period": period} if period else {}), **after}


def _until(entry: Fragment, at: str) -> Fragment:
    period = entry.get("period", {})
    return entry if "end" in period else _with_period(entry, _span(period.get("start", ""), at))


# -- places -----------------------------------------------------------------------------------------------------------


class _Places:
    """Encounter.location of a stay, event by event. Each event brings entries with a status (mappings/tables/
    stay-location-status.csv): a planned place, the place where the patient is, a place that was left."""

    def __init__(self, acts: list[Act]) -> None:
        self._entries: list[tuple[str, Fragment]] = []
        """Data type of the event that brought it, and the entry."""
        for act in acts:
            self._take(act)
        self._done = {act.kind for act in acts if act.kind in (ADMISSION, DISCHARGE)}

    def made(self) -> list[Fragment]:
        """Plans that are fulfilled are out: that of the admission once there is one, all at the discharge."""
        return [
            entry
            for kind, entry in self._entries
            if entry["status"] != "planned" or not (DISCHARGE in self._done or (kind == PLAN and self._done))
        ]

    def _take(self, act: Act) -> None:
        at = act.event.occurred_at if not act.cancelled else ""
        entries = [
            {**entry, "status": entry.get("status", "active")} for entry in act.event.fragment.get("location", [])
        ]
        here = [_where(entry) for entry in entries if entry["status"] == "active"]
        if act.kind in (TRANSFER, RETURN) and here and not act.cancelled:
            self._leave(at, lambda kind, entry: kind != LEAVE and _where(entry) not in here)
        if act.kind == RETURN and not act.cancelled:
            self._leave(at, lambda kind, entry: kind == LEAVE)
        if act.kind == DISCHARGE and not act.cancelled:
            self._leave(at, lambda kind, entry: True)
        for entry in entries:
            self._add(act, entry)

    def _add(self, act: Act, entry: Fragment) -> None:
        where, status = _where(entry), entry["status"]
        if status == "active" and act.kind != LEAVE:
            # A planned transfer to this place has happened.
            self._entries = [e for e in self._entries if not (e[1]["status"] == "planned" and _where(e[1]) == where)]
        same = [kind for kind, one in self._entries if _where(one) == where and one["status"] == status]
        if status == "planned" or act.kind == LEAVE or not [kind for kind in same if kind != LEAVE]:
            self._entries.append((act.kind, entry))

    def _leave(self, at: str, which: Any) -> None:
        """The places the patient is no longer at."""
        for n, (kind, entry) in enumerate(self._entries):
            if entry["status"] == "active" and which(kind, entry):
                start = entry.get("period", {}).get("start", "")
                period = _span(start, at)
                rest = {key: value for key, value in entry.items() if key != "period"}
                self._entries[n] = (kind, {**rest, "status": "completed", **({"period": period} if period else {})})


def _where(entry: Fragment) -> Any:
    return entry["location"].get("identifier", {}).get("value")
