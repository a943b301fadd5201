"""What every message structure does: head, patient, Provenance, and the counting of what nobody reads."""

from typing import Any

from gateway.codec.er7 import Message, Segment
from gateway.model.outcome import Unmapped
from gateway.translate import times
from gateway.translate.context import Context
from gateway.translate.datatypes import Fragment, absent, component, plain
from gateway.translate.ids import local_system
from gateway.translate.leavings import keep, place, residue_of
from gateway.translate.people import resource, start_patient
from gateway.translate.rules import SegmentRules, converter

SOURCE = "ss-mix2"
SHA256 = "urn:oid:2.16.840.1.101.3.4.2.1"
"""OID of the SHA-256 algorithm (NIST): the system of hashes given as identifiers."""

ORDER_NUMBER = "http://jpfhir.jp/fhir/core/IdSystem/resourceInstance-identifier"


class Rules:
    """The rows of one message structure, by segment name. `compile` runs once, when all converters are registered."""

    def __init__(self, **segments: tuple[str, ...]) -> None:
        self.resources = segments
        self.segments: dict[str, SegmentRules] = {}

    def compile(self) -> None:
        """Raises ValueError or KeyError for a row that names what does not exist: a broken table stops the start."""
        for name, resources in self.resources.items():
            self.segments[name] = SegmentRules(SOURCE, name, *resources)

    def __getitem__(self, name: str) -> SegmentRules:
        return self.segments[name]

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
    found = times.fhir_instant(component(raw, 1), context.zone)
    if found is None:
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
