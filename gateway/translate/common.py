"""What every message structure does: head, patient, Provenance, and the counting of what nobody reads."""

from typing import Any

from gateway.codec.er7 import Message, Segment
from gateway.codec.ssmix2 import padded
from gateway.model.outcome import Unmapped
from gateway.translate import patient_ids, times  # noqa: F401 - patient_ids registers the converter of PID-3
from gateway.translate.context import Context
from gateway.translate.datatypes import Fragment, absent, bad_date, component, plain
from gateway.translate.ids import local_system
from gateway.translate.leavings import keep, place, residue_of
from gateway.translate.people import resource, start_patient
from gateway.translate.rules import SegmentRules, converter

Key = tuple[str, str, str, str]
"""patient, care date, data type, order number"""

SOURCE = "ss-mix2"
SHA256 = "urn:oid:2.16.840.1.101.3.4.2.1"
"""OID of the SHA-256 algorithm (NIST): the system of hashes given as identifiers."""

ORDER_NUMBER = "http://jpfhir.jp/fhir/core/IdSystem/resourceInstance-identifier"


def order_number(orc: Segment | None, obr: Segment | None) -> str:
    """The number an order is known by: the placer's (ORC-2, OBR-2), else the filler's (ORC-3, OBR-3), else test and time;
    "" when none is there."""
    for segment, number in ((orc, 2), (obr, 2), (orc, 3), (obr, 3)):
        if segment is not None and component(segment[number], 1):
            return component(segment[number], 1)
    if obr is not None and obr[4] and obr[7]:
        return f"{component(obr[4], 1)}@{component(obr[7], 1)}"
    return ""


def order_key(orc: Segment | None, obr: Segment | None, day: str, whole: Key) -> Key:
    """The key of one order in a message that is no storage file. It may hold several orders and bring any of them again
    alone, so each goes by its own number and the day of its own specimen or examination (`day`, a TS or "");
    `whole` is the message's key."""
    patient, care_date, data_type, order_no = whole
    if orc is None and obr is None:
        return whole
    own, on = order_number(orc, obr), times.fhir_date(day) if day else None
    return (patient, on.replace("-", "") if on else care_date, data_type, padded(own) if own else order_no)


class _Compiled(dict[str, SegmentRules]):
    """Compiled when first asked for: by then all converters are registered, and the overlay of the process is known."""

    def __init__(self, resources: dict[str, tuple[str, ...]]) -> None:
        super().__init__()
        self._resources = resources

    def __missing__(self, name: str) -> SegmentRules:
        made = self[name] = SegmentRules(SOURCE, name, *self._resources[name])
        return made


class Rules:
    """The rows of one message structure, by segment name; compiled at first use."""

    def __init__(self, **segments: tuple[str, ...]) -> None:
        self.resources = segments
        self._segments = _Compiled(segments)

    def compile(self) -> None:
        """Now. Raises ValueError or ConfigurationError for a row that names what does not exist."""
        for name in self.resources:
            self._segments[name]

    def __getitem__(self, name: str) -> SegmentRules:
        return self._segments[name]

    def __contains__(self, name: str) -> bool:
        return name in self.resources


HEAD = {"MSH": ("Provenance",), "PID": ("Patient",)}
"""Segments that every structure reads alike."""


def start(message: Message, pid: Segment, number: str, rules: Rules, context: Context) -> Fragment:
    """Translates PID and returns the Patient."""
    patient = start_patient(pid, context, number)
    rules["PID"].apply(pid, {"Patient": patient}, context)
    return patient


def leave(segments: list[Segment], rules: Rules, context: Context) -> None:
    """Segments the structure has no place for: deliberately unmapped where the rows say so, else residue."""
    for segment in segments:
        if segment.name == "PV1" and "PV1" in rules:
            rules["PV1"].apply(segment, {}, context)
        else:
            residue_of(segment, context)


def settle_period(target: Fragment, segment: Segment, end_field: int, context: Context) -> None:
    """FHIR per-1: a period does not end before it begins. Of one that does, the end is residue and not in the output."""
    period = target.get("period", {})
    if "start" in period and "end" in period and reversed_period(period["start"], period["end"]):
        context.issue("warning", "period-reversed", place(segment, end_field), "the end lies before the beginning")
        keep(segment, end_field, context)
        del period["end"]


def reversed_period(start: str, end: str) -> bool:
    """Whether all of `end` lies before all of `start` (FHIR dates or times, of any precision)."""
    return times.utc_range(end)[1] <= times.utc_range(start)[0]


# -- Provenance -------------------------------------------------------------------------------------------------------


@converter(1)
def recorded(raw: str, fields: list[str], segment: Segment, context: Context) -> str | None:
    """MSH-7 as instant. A time without seconds is no instant and is not padded; Provenance says it is unknown."""
    sent = component(raw, 1)
    found = times.fhir_instant(sent, context.zone)
    if found is None and times.fhir_datetime(sent, context.zone) is None:
        bad_date(raw, segment, context)
    elif found is None:
        context.issue("information", "time-imprecise", place(segment, 7), "MSH-7 has no seconds")
        context.unmapped.append(Unmapped(place(segment, 7), "too imprecise for Provenance.recorded"))
    return found


@converter(1)
def control_id(raw: str, fields: list[str], segment: Segment, context: Context) -> Fragment | None:
    value = component(raw, 1)
    system = local_system(context.facility.oid, "message-control-id")
    return {"role": "source", "what": {"identifier": {"system": system, "value": value}}} if value else None


def provenance(message: Message, rules: Rules, context: Context, sha256: str, file: str) -> dict[str, Any]:
    """Provenance of one message, without `target`: who sent it, when, its control id, file name and hash."""
    made = resource("Provenance", context.id("Provenance", *context.key, sha256))
    made["target"] = []
    msh = message.first("MSH")
    if msh is not None:
        rules["MSH"].apply(msh, {"Provenance": made}, context)
    if "recorded" not in made:
        made["_recorded"] = absent()
    organization = ("Organization", context.id("Organization", "facility"))
    if organization in context.resources:
        who: Fragment = {"reference": f"Organization/{organization[1]}"}
    else:
        who = {"identifier": {"system": "urn:ietf:rfc:3986", "value": context.facility.patient_system}}
    made["agent"] = [{"who": who}]
    what = [{"system": SHA256, "value": sha256}]
    if file:
        what.append({"system": local_system(context.facility.oid, "file"), "value": file})
    made.setdefault("entity", []).extend({"role": "source", "what": {"identifier": i}} for i in what)
    return made


# -- small converters that several structures use ---------------------------------------------------------------------


@converter(repeats=True)
def annotation(raw: str, fields: list[str], segment: Segment, context: Context) -> list[Fragment]:
    """Free text -> Annotation, one a repetition."""
    return [{"text": words} for part in raw.split("~") if (words := plain(part))]
