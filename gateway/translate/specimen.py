"""Specimens (検体): SPM, the specimen source in OBR-15 of older messages, or the material part of a JLAC10 code.

HL7 v2.5 7.4.3 (SPM), 7.4.1.15 (OBR-15); JAHIS laboratory; JP_Specimen_Common.
"""

from functools import lru_cache
from typing import Any, NamedTuple

from gateway.codec.er7 import Segment
from gateway.translate import times
from gateway.translate.common import reversed_period
from gateway.translate.context import Context
from gateway.translate.datatypes import (
    Fragment,
    as_code,
    bad_date,
    bad_field,
    coded,
    component,
    cwe_rest,
    plain,
)
from gateway.translate.ids import local_system
from gateway.translate.leavings import NULL, all_but, place
from gateway.translate.observation import JLAC10
from gateway.translate.people import resource
from gateway.translate.rules import SegmentRules, converter

MATERIAL = "https://musubi.invalid/CodeSystem/JLAC10-material"
"""The material part of JLAC10 (characters 10 to 12) has no published system of its own; the 17-character system would
be wrong for it."""


class Taken(NamedTuple):
    """A specimen of the message: id of its resource, "" when there is none, and the key its results are known by."""

    id: str
    key: str


NONE = Taken("", "")


def add_specimen(segment: Segment, context: Context, rules: SegmentRules) -> Taken:
    """SPM -> Specimen. Without a number in SPM-2 it is known by the order and SPM-1 (JAHIS laboratory, section 2)."""
    key = component(segment[2], 1) or component(segment[2], 2) or f"SPM-1={segment[1]}"
    if not context.filed and key.startswith("SPM-1="):
        # Another message of the order may count from 1 again, with another material.
        key += f"|{component(segment[4], 1)}"
    key += context.nth("SPM", context.key[3], key)
    specimen = resource("Specimen", context.id("Specimen", *context.key, key), "JP_Specimen_Common")
    rules.apply(segment, {"Specimen": specimen}, context)
    if "identifier" not in specimen and plain(segment[1]):
        system = local_system(context.facility.oid, "order-and-specimen")
        specimen["identifier"] = [{"system": system, "value": f"{context.key[3]}_{plain(segment[1])}"}]
    specimen["subject"] = context.subject()
    context.add(specimen)
    return Taken(specimen["id"], key)


def from_source(obr: Segment, context: Context) -> Taken:
    """OBR-15, where no SPM stands: material, or its words, and the site it was taken from."""
    parts = obr[15].split("~", 1)[0].split("^")
    material = _triplet(parts[0])
    concept = _material(material, context.facility.oid)
    if concept is None:
        return NONE
    key = f"OBR-15={material}"
    specimen = resource("Specimen", context.id("Specimen", *context.key, key), "JP_Specimen_Common")
    specimen["type"] = concept
    specimen["subject"] = context.subject()
    site = coded(_triplet(parts[3]), context.facility.oid).concept if len(parts) > 3 else None
    if site is not None:
        specimen["collection"] = {"bodySite": site}
    context.add(specimen)
    return Taken(specimen["id"], key)


def _triplet(part: str) -> str:
    return "^".join(part.split("&"))


def source_rest(repetition: str) -> tuple[tuple[int, str], ...]:
    """What `from_source` leaves of OBR-15 (SPS, HL7 v2.3.1 2.8.39)."""
    left = _BEYOND_SOURCE(repetition)
    for number, part in enumerate(repetition.split("^")[:4], start=1):
        if number in (1, 4):
            left += tuple((number, value) for _, value in cwe_rest(_triplet(part)))
    return left


_BEYOND_SOURCE = all_but(1, 4)


def when_taken(specimen: Taken, report: Fragment, context: Context) -> Fragment:
    """effective[x] of results that say no time in OBX-14: when the specimen was taken, else the time of `report`."""
    collection = context.resources[("Specimen", specimen.id)].get("collection", {}) if specimen.id else {}
    for prefix, source in (("collected", collection), ("effective", report)):
        for kind in ("DateTime", "Period"):
            if prefix + kind in source:
                return {f"effective{kind}": source[prefix + kind]}
    return {}


def from_test_code(result: Fragment, obx: Segment, context: Context) -> None:
    """Without SPM the material is still said by characters 10 to 12 of a 17-character JLAC10 code."""
    material = next((c["code"][9:12] for c in result["code"].get("coding", ()) if c.get("system") == JLAC10), "")
    if not material:
        return
    specimen = _material_specimen(context.id("Specimen", *context.key, "JLAC10", material), material)
    context.add({**specimen, "subject": context.subject()})
    result["specimen"] = {"reference": f"Specimen/{specimen['id']}"}
    context.issue(
        "information", "specimen-from-code", place(obx, 3), "no SPM: the specimen is the material in the code"
    )


@lru_cache(maxsize=4096)
def _material_specimen(id_: str, material: str) -> dict[str, Any]:
    specimen = resource("Specimen", id_, "JP_Specimen_Common")
    specimen["type"] = {"coding": [{"system": MATERIAL, "code": material}]}
    return specimen


# -- converters -------------------------------------------------------------------------------------------------------


@converter(1, 2)
def collected(raw: str, fields: list[str], segment: Segment, context: Context) -> Fragment | None:
    """SPM-17 is a date range (DR): one time, or a period."""
    parts = list(raw.split("^")[:2])
    found = [times.fhir_datetime(p, context.zone) if p and p != NULL else None for p in parts]
    for part, when in zip(parts, found, strict=True):
        if part and part != NULL and when is None:
            bad_date(raw, segment, context)
            return None
    if len(found) == 2 and found[0] and found[1] and reversed_period(found[0], found[1]):
        bad_field(raw, segment, context, "period-reversed", "the end lies before the beginning")
        found.pop()
    if len(found) == 2 and found[0] and found[1] and found[0] != found[1]:
        return {"collection": {"collectedPeriod": {"start": found[0], "end": found[1]}}}
    if len(found) == 2 and found[1] and not found[0]:
        return {"collection": {"collectedPeriod": {"end": found[1]}}}
    return {"collection": {"collectedDateTime": found[0]}} if found[0] else None


@converter(rest=cwe_rest)
def material(raw: str, fields: list[str], segment: Segment, context: Context) -> Fragment | None:
    """SPM-4: the label JC10 means the 3-character material part there, not the whole test code."""
    return _material(raw, context.facility.oid)


@lru_cache(maxsize=4096)
def _material(raw: str, facility: str) -> Fragment | None:
    concept = coded(raw, facility).concept
    parts = raw.split("^")
    codes = {
        as_code(plain(parts[at]))
        for at in (0, 3)
        if len(parts) > at + 2 and parts[at + 2] in ("JC10", "JLAC10") and len(parts[at].strip()) == 3
    }
    if concept is None or not codes or "coding" not in concept:
        return concept
    labels = {local_system(facility, f"CodeSystem/{label}") for label in ("JC10", "JLAC10")}
    own = [{**c, "system": MATERIAL} for c in concept["coding"] if c["code"] in codes and c.get("system") in labels]
    others = [c for c in concept["coding"] if not (c["code"] in codes and c.get("system") in labels)]
    return {**concept, "coding": own + others}


def _eip_rest(repetition: str) -> tuple[tuple[int, str], ...]:
    """What `specimen_number` leaves: the authorities of the two numbers, and components an EIP has not."""
    others = tuple(
        (number, other)
        for number, part in enumerate(repetition.split("^")[:2], start=1)
        for other in part.split("&")[1:]
        if plain(other)
    )
    return others + _BEYOND_EIP(repetition)


_BEYOND_EIP = all_but(1, 2)


@converter(rest=_eip_rest)
def specimen_number(raw: str, fields: list[str], segment: Segment, context: Context) -> list[Fragment]:
    """SPM-2 EIP: placer and filler number of the specimen."""
    numbers = [plain(part.split("&", 1)[0]) for part in raw.split("^")[:2]]
    system = local_system(context.facility.oid, "specimen-number")
    return [{"system": system, "value": number} for number in dict.fromkeys(numbers) if number]
