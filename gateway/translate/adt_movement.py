"""Events of inpatient stays (入院): ADT-01, 21, 22, 31, 32, 41, 42, 51, 52 and their cancels -> StayEvent.

SS-MIX2 1.2, HL7 v2.5 3.3; CC0 table Segment_ADT_XX_PV1_to_Encounter. A message tells one event; stay.py makes the
Encounter of all of them. The time of an event is PV1-44 (admission), PV1-45 (discharge), PV2-8 or PV2-9 (plans) and EVN-6
(the others); a cancel carries that of the event it takes back, which finds the event and says nothing of its own.
"""

from typing import Any

from gateway.codec.er7 import Message, Segment
from gateway.model.outcome import StayEvent, Unmapped
from gateway.translate import times
from gateway.translate.adt import cancels, visit_segments
from gateway.translate.common import HEAD, Rules, settle_period
from gateway.translate.context import Context
from gateway.translate.datatypes import Fragment, absent, component
from gateway.translate.leavings import NULL, keep, place
from gateway.translate.rules import aim, mark, table
from gateway.translate.stay import project

RULES = Rules(**HEAD, EVN=("Movement",), PV1=("Encounter", "Movement"), PV2=("Movement",), DB1=("Patient",))

PLANNED = {"ADT-21": ("start", 8), "ADT-41": ("start", 8), "ADT-51": ("end", 9)}
"""Data types of plans -> end of the planned period that is the event's time, and its field of PV2."""

FIELDS = {
    "ADT-22": "PV1[1]-44",
    "ADT-52": "PV1[1]-45",
    "ADT-21": "PV2[1]-8",
    "ADT-41": "PV2[1]-8",
    "ADT-51": "PV2[1]-9",
}
"""Where the time of an event is expected, for the issue when it is not there; of the others it is EVN-6."""

TAKEN_BACK = "time of the event that is taken back: it finds that event"
SAME = "says what another field says"


def translate(message: Message, context: Context) -> None:
    since = mark(context)
    encounter: Fragment = {}
    told: Fragment = {}
    segments = visit_segments(
        message, context, RULES, {"Encounter": encounter, "Movement": told, "Patient": context.person}
    )
    if "PV1" in segments:
        settle_period(encounter, segments["PV1"], 45, context)
    cancelled = cancels(message)
    reading = _Reading(context, encounter, told, segments, cancelled)
    occurred = reading.occurred()
    if not occurred:
        where = FIELDS.get(context.data_type, "EVN[1]-6")
        context.issue("warning", "no-event-time", where, "the event has no time; it joins others only by PV1-44")
    admitted = encounter.get("period", {}).get("start", "") if context.data_type != "ADT-21" else ""
    named = told.get("period", {}).get("start", "") if context.data_type == "ADT-22" else ""
    event = StayEvent(
        patient=context.patient,
        data_type=context.data_type,
        occurred_at=occurred,
        source_time=context.version_time,
        source=context.source,
        cancelled=cancelled,
        fragment=(fragment := reading.fragment(occurred)),
        admitted_at=admitted,
        planned_at=named,
        recorded_at=recorded(segments, context),
    )
    reading.leave_unused(fragment)
    if context.lineage is not None:
        made = f"Encounter/{project([event])[0]['id']}."
        for name, element in _ELEMENTS.items():
            aim(context, since, f"Movement/.{name}", made + element)
        aim(context, since, "Movement/.", made)
        aim(context, since, "Encounter/.", made)
    context.events.append(event)


def recorded(segments: dict[str, Segment], context: Context) -> str:
    """EVN-2 as FHIR dateTime, or "": it says which stay a plan was typed in, and is no fact about the stay."""
    evn = segments.get("EVN")
    return (times.fhir_datetime(component(evn[2], 1), context.zone) if evn else "") or ""


_ELEMENTS = {"prior": "location", "pending": "location", "planned": "location.period"}
"""Elements for the lineage of what rows call by names of their own."""


_TIMES = {
    ("PV2", 8): ("period", "start"),
    ("PV2", 9): ("period", "end"),
    ("PV2", 47): ("location", "period", "end"),
    ("EVN", 3): ("planned",),
    ("EVN", 6): ("location", "period", "start"),
}
"""(segment, field) -> where the rows put its time."""


class _Reading:
    """What one message says about a stay, field by field; what its event has no use for is residue."""

    def __init__(
        self, context: Context, encounter: Fragment, told: Fragment, segments: dict[str, Segment], cancelled: bool
    ) -> None:
        self.context, self.encounter, self.told, self.cancelled = context, encounter, told, cancelled
        self.segments = segments
        self.kind = context.data_type
        self.used: set[tuple[str, int]] = set()
        """(segment, field) of what went into the event."""
        self.settled: set[tuple[str, int]] = set()
        """The same of what could not, and was left there and then."""

    def occurred(self) -> str:
        """Time of the event, also from the field that other senders use for it: EVN-6 for an admission or a discharge,
        EVN-3 for a plan, PV2-47 for a return that is taken back (SS-MIX2: care date of ADT^A53)."""
        if self.kind in ("ADT-22", "ADT-52"):
            end = "start" if self.kind == "ADT-22" else "end"
            found = self.encounter.get("period", {}).get(end, "")
            return found or self._moved()
        if self.kind in PLANNED:
            end, number = PLANNED[self.kind]
            if found := self.told.get("period", {}).get(end, ""):
                self.used.add(("PV2", number))
                return str(found)
            if found := self.told.get("planned", ""):
                self.used.add(("EVN", 3))
                return str(found)
            if self.kind == "ADT-21" and (found := self.encounter.get("period", {}).get("start", "")):
                self.used.add(("PV1", 44))
                return str(found)
            return self._moved()
        if not (found := self._moved()) and self.kind == "ADT-32" and self.cancelled:
            return str(self.told.get("location", {}).get("period", {}).get("end", ""))
        return found

    def _moved(self) -> str:
        if found := self.told.get("location", {}).get("period", {}).get("start", ""):
            self.used.add(("EVN", 6))
        return str(found)

    def fragment(self, occurred: str) -> Fragment:
        """Encounter elements the event sets."""
        made = {key: value for key, value in self.encounter.items() if key not in ("location", "period")}
        period = dict(self.encounter.get("period", {}))
        if self.kind == "ADT-52" and self.cancelled and made.pop("hospitalization", None):
            self._unmapped("PV1", 36, "how the discharge that is taken back ended")
        if self.kind == "ADT-52" and self.cancelled and period.pop("end", ""):
            self._unmapped("PV1", 45, TAKEN_BACK)
        elif self.kind == "ADT-52" and occurred:
            period["end"] = occurred
        if self.kind == "ADT-21":
            period = {"start": occurred} if occurred else {}
            if end := self.told.get("period", {}).get("end", ""):
                period["end"] = end
                self._settle(period, 9)
        if period:
            made["period"] = period
        if places := self._places(occurred):
            made["location"] = places
        return made

    def _places(self, occurred: str) -> list[Fragment]:
        """Encounter.location: where the patient is, was, or is to be (CC0 table ...EncounterLocationStatus)."""
        status = table("stay-location-status")[self.kind + (".DEL" if self.cancelled else "")]
        here = self.encounter.get("location", [])
        entries: list[Fragment] = []
        if not self.cancelled and self.kind == "ADT-42" and "prior" in self.told:
            self.used.add(("PV1", 6))
            entries.append(_entry(self.told["prior"], "completed", {"end": occurred}))
        if self.kind == "ADT-41" and "pending" in self.told:
            status = "active"  # PV2-1 is the place to come, so PV1-3 is where the patient is
        pending = self.told.get("pending") if self.kind in PLANNED and not self.cancelled else None
        if pending is not None:
            self.used.add(("PV2", 1))
        entries += [_entry(entry, status, self._stay_there(occurred, status)) for entry in here]
        if pending is not None and not any(entry["location"] == pending["location"] for entry in here):
            start = {"start": occurred} if self.kind != "ADT-51" else {}
            entries.append(_entry(pending, "planned", start))
        away = self.kind == "ADT-31" or (self.kind == "ADT-32" and self.cancelled)
        if away and not here and any((span := self._stay_there(occurred, status)).values()):
            entries.append(_entry({"location": absent()}, status, span))
        return entries

    def _stay_there(self, occurred: str, status: str) -> Fragment:
        """Encounter.location.period of PV1-3."""
        back = self.told.get("location", {}).get("period", {}).get("end", "")
        match self.kind:
            case "ADT-31" | "ADT-32" if self.kind == "ADT-31" or self.cancelled:
                start = "" if self.cancelled else occurred
                if not back or (self.kind == "ADT-31" and self.cancelled):
                    return {"start": start}
                period = {"start": start, "end": back} if start else {"end": back}
                self._settle(period, 47)
                return period
            case "ADT-51" if not self.cancelled:
                return {"end": occurred}
            case "ADT-52" if not self.cancelled:
                return {"end": occurred}
            case "ADT-22" | "ADT-21":
                return {"start": occurred}
            case "ADT-32" | "ADT-42" if not self.cancelled:
                return {"start": occurred}
            case "ADT-41" if status == "planned" and not self.cancelled:
                return {"start": occurred}
        return {}

    def _settle(self, period: Fragment, number: int) -> None:
        """A planned end out of PV2; one before the beginning is out of the period and residue already."""
        self.used.add(("PV2", number))
        settle_period({"period": period}, self.segments["PV2"], number, self.context)
        if "end" not in period:
            self.settled.add(("PV2", number))

    def leave_unused(self, fragment: Fragment) -> None:
        """Times and places that the event has no use for: residue, or said to be another's."""
        if not (self.kind == "ADT-01" and "participant" in fragment):
            shown = repr(fragment)
            self.used = {key for key in self.used if key[0] == "PV1" or self._value(key) in shown}
        if self.kind == "ADT-21":
            for number in {44, 45} - {number for name, number in self.used if name == "PV1"}:
                self._keep("PV1", number)
        said = {self._value(key) for key in self.used}
        said |= set(self.encounter.get("period", {}).values())
        finding = self._finding()
        for key in _TIMES:
            value = self._value(key)
            if not value or key in self.settled or (key in self.used and not (self.cancelled and key in finding)):
                continue
            if self.cancelled and key in finding:
                self._unmapped(*key, TAKEN_BACK)
            elif key == ("PV2", 8) and self.kind == "ADT-22":
                self._unmapped(
                    *key, "time the admission was planned for: it finds the plan that this admission fulfils"
                )
            elif value in said:
                self._unmapped(*key, SAME)
            else:
                self._keep(*key)
        for key, name in ((("PV1", 6), "prior"), (("PV2", 1), "pending")):
            if name in self.told and key not in self.used:
                self._keep(*key)

    def _value(self, key: tuple[str, int]) -> str:
        """The time that stands in a field, or ""."""
        found: Any = self.told
        for name in _TIMES.get(key, ("",)):
            found = found.get(name, {})
        return str(found or "")

    def _keep(self, segment: str, number: int) -> None:
        if segment in self.segments:
            keep(self.segments[segment], number, self.context)

    def _finding(self) -> set[tuple[str, int]]:
        """Fields that only find the event a cancel takes back."""
        if self.kind in ("ADT-21", "ADT-22"):
            return set()  # a cancelled admission or plan still says when it would have been
        fields = {("EVN", 6), ("EVN", 3)}
        return fields | ({("PV2", PLANNED[self.kind][1])} if self.kind in PLANNED else set())

    def _unmapped(self, segment: str, number: int, reason: str) -> None:
        raw = self.segments[segment][number]
        if raw and raw != NULL:
            self.context.unmapped.append(Unmapped(place(self.segments[segment], number), reason))


def _entry(entry: Fragment, status: str, period: Fragment) -> Fragment:
    """One Encounter.location, its elements in the order of R4."""
    told = {key: value for key, value in period.items() if value}
    return {"location": entry["location"], "status": status, **({"period": told} if told else {})}
