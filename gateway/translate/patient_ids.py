"""PID-3: which of the numbers of a message is the facility's own, and whose the others are (HL7 v2.5 2.A.14 CX, 3.4.2.3).

A message may carry its patient's number of the facility beside shared ids (医療等ID, 被保険者番号), numbers of other
facilities and the affinity domain's id, in any order.
"""

import re
from functools import lru_cache
from typing import Final

from gateway.codec.er7 import Message, Segment
from gateway.model.identity import Authority, PatientId, PersonKey
from gateway.model.outcome import Issue
from gateway.translate.context import Context, Facilities
from gateway.translate.datatypes import Fragment, component, plain
from gateway.translate.ids import local_system
from gateway.translate.leavings import all_but, place
from gateway.translate.rules import converter

SHARED: Final = frozenset({"medical-id", "insurer"})
"""Kinds of authorities whose ids hold across facilities: they are never a facility's own patient number."""


def local_number(pid: Segment, facility: Authority, facilities: Facilities) -> str:
    """The facility's own patient number: PID-3.1 of the repetition whose authority is the facility; else of the first
    without an authority (SS-MIX2 writes `id^^^^PI` or the bare id); else of the first that may be its under a name
    nobody told us, or another facility's where the caller says the message is this one's. Never a shared id."""
    return _local_number(pid[3], facility.oid, facilities)


@lru_cache(maxsize=1024)
def _local_number(raw: str, facility: str, facilities: Facilities) -> str:
    """Asked for several times a message, and a patient's messages follow each other."""
    found = own_repetition(raw, facility, facilities)
    return plain(raw.split("~")[found].split("^", 1)[0]).strip(" ") if found >= 0 else ""


def own_repetition(raw: str, facility: str, facilities: Facilities) -> int:
    """Which repetition of PID-3 holds `local_number` of a facility (its OID), from 0; -1: none."""
    if "~" not in raw and raw.count("^") < 3:
        return 0
    places: dict[int, int] = {}
    for n, repetition in enumerate(raw.split("~")):
        parts = repetition.split("^")
        if not plain(parts[0]):
            continue
        hd = parts[3] if len(parts) > 3 else ""
        oid = known_oid(hd, facilities)
        authority = facilities.find(oid) if oid else None
        if oid == facility:
            order = 0
        elif oid == "":
            order = 1
        elif authority is None:
            order = 2
        elif authority.kind in SHARED:
            continue
        else:
            order = 3 if authority.kind == "facility" else 4
        places.setdefault(order, n)
    return places[min(places)] if places else -1


def home_of(pid: Segment, facility: Authority, facilities: Facilities) -> Authority:
    """The facility whose patient number PID-3 gives where it gives none of `facility`, nor one without an authority:
    the first that is known; else `facility`."""
    found = own_repetition(pid[3], facility.oid, facilities)
    if found < 0:
        return facility
    parts = pid[3].split("~")[found].split("^")
    oid = known_oid(parts[3], facilities) if len(parts) > 3 else ""
    return (facilities.find(oid) if oid else None) or facility


def _identifier_rest(repetition: str) -> tuple[tuple[int, str], ...]:
    """What `patient_identifiers` leaves: everything of a repetition without a number, else all but number and HD."""
    return _BEYOND_NUMBER(repetition) if component(repetition, 1) else all_but()(repetition)


_BEYOND_NUMBER = all_but(1, 4)


@converter(repeats=True, rest=_identifier_rest)
def patient_identifiers(raw: str, fields: list[str], segment: Segment, context: Context) -> list[Fragment]:
    """PID-3 -> Patient.identifier: the facility's number under the JP Core patient-number system, shared ids
    (医療等ID ...) under their authority."""
    found = []
    local = local_number(segment, context.facility, context.facilities)
    for repetition in raw.split("~"):
        parts = repetition.split("^")
        value = plain(parts[0]).strip(" ")
        if not value:
            continue
        hd = parts[3] if len(parts) > 3 else ""
        oid = authority_oid(hd, context)
        authority = context.facilities.find(oid) if oid else context.facility
        if oid is None or authority is None:
            system = f"urn:oid:{oid}" if oid else local_system(context.facility.oid, f"authority/{hd}")
        else:
            system = authority.patient_system
        identifier: Fragment = {"system": system, "value": value}
        if value == local and authority is context.facility:
            coding = {"system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": "MR"}
            identifier = {"type": {"coding": [coding]}, **identifier}
        if oid and (name := _unknown_name(hd, oid, segment, context)):
            identifier["assigner"] = {"display": name}
        found.append(identifier)
    return found


ACCOUNT: Final = "https://musubi.invalid/StructureDefinition/patient-accountNumber"
MOTHERS_IDENTIFIER: Final = "https://musubi.invalid/StructureDefinition/patient-mothersIdentifier"


@converter(repeats=True, rest=_identifier_rest)
def account_number(raw: str, fields: list[str], segment: Segment, context: Context) -> list[Fragment]:
    """PID-18: the account (a bill, a stay), by which ITI-21 may ask."""
    return _others(raw, ACCOUNT, context)


@converter(repeats=True, rest=_identifier_rest)
def mothers_identifiers(raw: str, fields: list[str], segment: Segment, context: Context) -> list[Fragment]:
    """PID-21: the mother's numbers, of a newborn."""
    return _others(raw, MOTHERS_IDENTIFIER, context)


def _others(raw: str, url: str, context: Context) -> list[Fragment]:
    """Numbers beside the patient's own: extensions with an Identifier, under its authority where that can be known."""
    found: list[Fragment] = []
    for repetition in raw.split("~"):
        parts = repetition.split("^")
        value = plain(parts[0]).strip(" ")
        if value:
            oid = authority_oid(parts[3] if len(parts) > 3 else "", context)
            system = {"system": f"urn:oid:{oid}"} if oid else {}
            found.append({"url": url, "valueIdentifier": {**system, "value": value}})
    return found


def _unknown_name(hd: str, oid: str, segment: Segment, context: Context) -> str:
    """The namespace of an HD whose OID was used, when we do not know the authority under that name. What of the HD
    decided nothing is residue."""
    namespace, *others = hd.split("&")
    if others[:2] != [] and authority_oid("&".join(("", *others)), context) == oid:
        others = others[2:]
        known = context.facilities.find(plain(namespace)) if namespace else None
        namespace = "" if known is not None and known.oid == oid else plain(namespace)
    else:
        namespace = ""
    for other in others:
        if plain(other):
            context.keep(place(segment, context.at, 4), other)
    return namespace


def authority_oid(hd: str, context: Context) -> str | None:
    return known_oid(hd, context.facilities)


@lru_cache(maxsize=1024)
def known_oid(hd: str, facilities: Facilities) -> str | None:
    """OID of an assigning authority HD (namespace&oid&ISO): "" when not given, None when it cannot be known."""
    if not hd:
        return ""
    namespace, oid, kind = ([plain(p) for p in hd.split("&")] + ["", "", ""])[:3]
    if kind == "ISO" and _OID.fullmatch(oid):
        known = facilities.find(oid)
        return known.oid if known else oid
    if not (namespace or oid or kind):
        return ""
    known = facilities.find(namespace) if namespace else None
    return known.oid if known else None


_OID = re.compile(r"[0-2](\.(0|[1-9][0-9]*))+")


def person_key(pid: Segment, insured: list[str], context: Context) -> PersonKey:
    """What this message says about who its patient is."""
    ids = _numbers(pid[3], context.facility.oid, context.facilities)
    if insured and context.facilities.insurer:
        more = (PatientId(number, context.facilities.insurer) for number in insured)
        ids = tuple(dict.fromkeys((*ids, *more)))
    return PersonKey(ids, component(pid[7], 1)[:8], component(pid[8], 1))


@lru_cache(maxsize=1024)
def _numbers(raw: str, facility: str, facilities: Facilities) -> tuple[PatientId, ...]:
    """The numbers in PID-3 whose authority is known, the facility's own first, each once."""
    ids = [PatientId(_local_number(raw, facility, facilities), facility)]
    for repetition in raw.split("~"):
        parts = repetition.split("^")
        oid = known_oid(parts[3], facilities) if len(parts) > 3 else ""
        value = plain(parts[0])
        if oid and value and oid != facility:
            ids.append(PatientId(value, oid))
    return tuple(dict.fromkeys(ids))


def find_patient(message: Message, facility: Authority, facilities: Facilities) -> tuple[Segment | None, Issue | None]:
    """The one PID of the message, or why there is none to work with."""
    found = message.all("PID")
    if not found:
        return None, Issue("error", "no-patient", "PID", "the message has no PID segment")
    if len(found) > 1:
        return None, Issue("error", "several-patients", "PID[2]", "the message has more than one PID segment")
    if not local_number(found[0], facility, facilities):
        return None, Issue("error", "no-patient", place(found[0], 3), "PID-3 holds no patient number")
    return found[0], None
