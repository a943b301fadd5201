"""Persons and organisations that messages mention: Patient, Practitioner, Organization."""

import re
from functools import lru_cache
from typing import Any

from gateway.codec.er7 import Segment
from gateway.model.outcome import Unmapped
from gateway.translate import times
from gateway.translate.context import Context
from gateway.translate.datatypes import (
    Fragment,
    bad_field,
    component,
    concept_of,
    cwe_rest,
    keep_all,
)
from gateway.translate.ids import local_system, resource_id
from gateway.translate.leavings import NULL, all_but, keep, place, spare
from gateway.translate.names import address_of, contact_points, human_name, xad_rest, xpn_rest, xtn_rest
from gateway.translate.rules import SegmentRules, aim, converter, mark, table

CORE = "http://jpfhir.jp/fhir/core/StructureDefinition/"
EXTENSION = "http://jpfhir.jp/fhir/core/Extension/StructureDefinition/"
INSTITUTION = "http://jpfhir.jp/fhir/core/IdSystem/insurance-medical-institution-no"
INSURER = "http://jpfhir.jp/fhir/core/mhlw/IdSystem/InsurerNumber"
SELF = "SEL"
"""Table 0063: the person named is the patient."""
MOTHERS_MAIDEN_NAME = "http://hl7.org/fhir/StructureDefinition/patient-mothersMaidenName"
DISABILITY = "http://hl7.org/fhir/StructureDefinition/patient-disability"


def resource(type_: str, id_: str, profile: str = "") -> dict[str, Any]:
    """The head of a resource; meta always stands third (storage splices the version in) and is never empty."""
    url = CORE + profile if profile else f"http://hl7.org/fhir/StructureDefinition/{type_}"
    return {"resourceType": type_, "id": id_, "meta": {"profile": [url]}}


# -- Patient ----------------------------------------------------------------------------------------------------------


def start_patient(pid: Segment, context: Context, local: str) -> Fragment:
    """The Patient of the message, with its facility number as the first identifier."""
    context.patient = context.id("Patient", local)
    patient = resource("Patient", context.patient, "JP_Patient")
    return context.add(patient)


@converter(1)
def gender(raw: str, fields: list[str], segment: Segment, context: Context) -> str | None:
    """PID-8. A value that is a date instead of a sex is a shifted segment; it must not become `unknown`."""
    found = table("administrative-gender").get(component(raw, 1).strip(" "))
    if found is None:
        bad_field(raw, segment, context, "code-unknown", "the code is not in the table administrative-gender")
    return found


def _maiden_rest(repetition: str) -> tuple[tuple[int, str], ...]:
    """What `mothers_maiden_name` leaves: the words are all there is room for, and that they are of a maiden name is said."""
    return ((0, repetition),) if human_name(repetition) is None else _BEYOND_WORDS(repetition)


_BEYOND_WORDS = all_but(1, 2, 3, words=((7, frozenset({"M"})),))


@converter(rest=_maiden_rest)
def mothers_maiden_name(raw: str, fields: list[str], segment: Segment, context: Context) -> Fragment | None:
    """PID-6 -> extension patient-mothersMaidenName, which is one text."""
    name = human_name(raw)
    if name is None:
        return None
    return {"url": MOTHERS_MAIDEN_NAME, "valueString": name["text"]}


@converter(1)
def multiple_birth(raw: str, fields: list[str], segment: Segment, context: Context) -> bool | None:
    """PID-24 Y/N. A birth order in PID-25 says more and stands instead."""
    code = component(raw, 1)
    if code not in ("Y", "N"):
        bad_field(raw, segment, context, "code-unknown", "table 0136 knows Y and N")
        return None
    if code == "N" or _ORDER.fullmatch(component(segment[25], 1)) is None:
        return code == "Y"
    context.unmapped.append(Unmapped(place(segment, 24), "PID-25 says which, and with that also that"))
    return None


@converter(1)
def birth_order(raw: str, fields: list[str], segment: Segment, context: Context) -> int | None:
    """PID-25. Senders that fill it with 1 for an only child say so in PID-24; then it is residue."""
    order = component(raw, 1)
    if _ORDER.fullmatch(order) is None:
        bad_field(raw, segment, context, "not-a-number", "not the number of a child of one birth")
        return None
    if component(segment[24], 1) == "N":
        context.keep(place(segment, context.at), raw)
        return None
    return int(order)


_ORDER = re.compile(r"[1-9][0-9]?")


@converter(1)
def deceased(raw: str, fields: list[str], segment: Segment, context: Context) -> bool | None:
    """PID-30 Y/N. A time in PID-29 says more and stands instead: FHIR has room for one of them."""
    code = component(raw, 1)
    if code not in ("Y", "N"):
        bad_field(raw, segment, context, "code-unknown", "table 0136 knows Y and N")
        return None
    if times.fhir_datetime(component(segment[29], 1), context.zone) is None:
        return code == "Y"
    if code == "N":
        bad_field(raw, segment, context, "deceased-conflict", "PID-29 has a time of death and PID-30 says alive")
    else:
        context.unmapped.append(Unmapped(place(segment, 30), "PID-29 says when, and with that also that"))
    return None


def add_next_of_kin(
    segment: Segment, context: Context, patient: Fragment, contact_rules: SegmentRules, own_rules: SegmentRules
) -> None:
    """NK1 -> Patient.contact. SS-MIX2 sends the patient himself there too (SEL, 本人): he is not his own contact, and his
    addresses and telephones, often those of his work, are the Patient's, each said once."""
    made: Fragment = {}
    since = mark(context)
    if component(segment[3], 1) != SELF:
        contact_rules.apply(segment, {"Contact": made}, context)
        aim(context, since, "Contact/", f"Patient/{patient['id']}.contact")
        if made:
            patient.setdefault("contact", []).append(made)
        return
    own_rules.apply(segment, {"Patient": made}, context)
    aim(context, since, "Patient/.", f"Patient/{patient['id']}.")
    for key, entries in made.items():
        known = patient.get(key, [])
        if fresh := [entry for entry in entries if not any(_tells(one, entry, key) for one in known)]:
            patient[key] = [*known, *fresh]


def _tells(known: Fragment, entry: Fragment, key: str) -> bool:
    """Whether an entry of the Patient says all that another one does; a name is told by its text."""
    if key == "name":
        return bool(known["text"] == entry["text"])
    return all(known.get(name) == value for name, value in entry.items())


@converter(rest=xpn_rest)
def contact_name(raw: str, fields: list[str], segment: Segment, context: Context) -> Fragment | None:
    """NK1-2: Contact.name is one name; the first, and the others are residue."""
    return human_name(raw)


@converter(rest=cwe_rest)
def relationship(raw: str, fields: list[str], segment: Segment, context: Context) -> Fragment | None:
    """NK1-3. LENIENT: one storage generator writes a bare code (`SEL`), which is one of table 0063."""
    return concept_of(raw if "^" in raw else f"{raw}^^HL70063", segment, context)


@converter(rest=xad_rest)
def contact_address(raw: str, fields: list[str], segment: Segment, context: Context) -> Fragment | None:
    """NK1-4: Contact.address is one address."""
    address = address_of(raw)
    return {"address": address} if address else None


@converter(repeats=True, rest=xtn_rest)
def work_contact_points(raw: str, fields: list[str], segment: Segment, context: Context) -> list[Fragment]:
    """NK1-6 is the business telephone, also when XTN.2 does not say so."""
    return [{"use": "work"} | point for point in contact_points(raw, fields, segment, context)]


@converter(1)
def organization_name(raw: str, fields: list[str], segment: Segment, context: Context) -> str | None:
    """XON: the name; component 2 only says what kind of name it is."""
    return component(raw, 1) or None


@converter(1)
def disability(raw: str, fields: list[str], segment: Segment, context: Context) -> Fragment | None:
    """DB1-4 (table 0334 of DB1-2 = PT: the patient) -> extension patient-disability."""
    code = component(raw, 1)
    if code not in ("Y", "N") or component(segment[2], 1) != "PT":
        bad_field(raw, segment, context, "code-unknown", "DB1-4 is Y or N, for DB1-2 = PT")
        keep(segment, 2, context)
        return None
    spare(segment, 2, all_but(1), context)
    coding = {"system": "http://terminology.hl7.org/CodeSystem/v2-0136", "code": code}
    return {"url": DISABILITY, "valueCodeableConcept": {"coding": [coding]}}


# -- Practitioner -----------------------------------------------------------------------------------------------------


def practitioner(raw: str, context: Context) -> Fragment | None:
    """XCN -> reference to a Practitioner, which joins the message's resources once. None when nobody is named."""
    staff_oid = f"1{context.facility.institution}" if context.facility.institution else ""
    system = f"urn:oid:1.2.392.100495.20.3.41.{staff_oid}" if staff_oid else local_system(context.facility.oid, "staff")
    made = _practitioner(raw, context.facility.oid, system)
    if made is None:
        return None
    person, words = made
    known = context.add(person)
    if known is not person and known != person:
        # One number, named in kanji here and in kana there: the person of this message has both names.
        names = known.get("name", [])
        names = [*names, *(name for name in person.get("name", ()) if name not in names)]
        context.resources["Practitioner", known["id"]] = {**known, "name": names}
    reference: Fragment = {"reference": f"Practitioner/{person['id']}"}
    if words:
        reference["display"] = words
    return reference


@lru_cache(maxsize=4096)
def _practitioner(raw: str, facility: str, system: str) -> tuple[dict[str, Any], str] | None:
    """LENIENT: some systems write the doctor's whole name into XCN.2; it is kept as family and text, not split."""
    names, number = [], ""
    for repetition in raw.split("~"):
        number = number or component(repetition, 1)
        if name := human_name(_name_of(repetition)):
            names.append(name)
    if not number and not names:
        return None
    key = (number,) if number else ("name", names[0]["text"])
    person = resource("Practitioner", resource_id(facility, "Practitioner", *key), "JP_Practitioner")
    if number:
        person["identifier"] = [{"system": system, "value": number}]
    if names:
        person["name"] = names
    return person, names[0]["text"] if names else ""


def _name_of(repetition: str) -> str:
    """The XPN inside an XCN: XCN.10 is the name type and XCN.15 the representation code, where XPN has 7 and 8."""
    parts = repetition.split("^")
    parts += [""] * (15 - len(parts))
    return "^".join((*parts[1:4], "", "", "", parts[9], parts[14]))


@lru_cache(maxsize=4096)
def xcn_rest(repetition: str) -> tuple[tuple[int, str], ...]:
    """What `practitioner` leaves of one repetition, by its components of XCN."""
    left = _BEYOND_XCN(repetition)
    if human_name(_name_of(repetition)) is None:
        return left + tuple(pair for pair in _XCN_CODES(repetition) if pair[0] in (10, 15))
    return left + tuple((_XCN_PLACE[n], value) for n, value in xpn_rest(_name_of(repetition)))


_BEYOND_XCN = all_but(1, 2, 3, 4, 10, 15)
_XCN_CODES = all_but()
_XCN_PLACE = {1: 2, 2: 3, 3: 4, 7: 10, 8: 15}


@converter(repeats=True, rest=xcn_rest)
def practitioner_reference(raw: str, fields: list[str], segment: Segment, context: Context) -> Fragment | None:
    """Of one person; further ones, for whom the element has no room, are residue."""
    first, *others = persons(raw)
    for other in others:
        context.keep(place(segment, context.at), other)
    return practitioner(first, context)


@lru_cache(maxsize=4096)
def persons(raw: str) -> tuple[str, ...]:
    """The persons of a repeating XCN, each with his repetitions: one number, or none after one, is one person's name in
    several scripts; another number is another person, and so is a second name in the same script (XCN.15)."""
    found: list[tuple[str, list[str]]] = []
    for repetition in raw.split("~"):
        number, script = component(repetition, 1), component(repetition, 15)
        if not found or (number and found[-1][0] and number != found[-1][0]):
            found.append((number, [repetition]))
        elif not number and script and script in {component(one, 15) for one in found[-1][1]}:
            found.append(("", [repetition]))
        else:
            found[-1][1].append(repetition)
            found[-1] = (found[-1][0] or number, found[-1][1])
    return tuple("~".join(repetitions) for _, repetitions in found)


# -- Organization -----------------------------------------------------------------------------------------------------


@converter(1)
def facility_organization(raw: str, fields: list[str], segment: Segment, context: Context) -> Fragment | None:
    """ORC-21 name, ORC-22 address, ORC-23 telephone of the ordering facility -> Organization. A message comes from
    one facility; another name in a later order is residue."""
    name = component(raw, 1)
    address, telecom = ("" if segment[n] == NULL else segment[n] for n in (22, 23))
    if not name:
        keep_all(segment, context, 22, 23)
        return None
    made = _organization(name, address, telecom, context.facility.oid, context.facility.institution)
    if (first := context.add(made)) is not made and first != made:
        keep_all(segment, context, 21, 22, 23)
        return None
    spare(segment, 22, xad_rest, context, repeats=True)
    spare(segment, 23, xtn_rest, context, repeats=True)
    return made


@lru_cache(maxsize=4096)
def _organization(name: str, address: str, telecom: str, facility: str, institution: str) -> dict[str, Any]:
    organization = resource("Organization", resource_id(facility, "Organization", "facility"), "JP_Organization")
    if institution:
        organization["identifier"] = [{"system": INSTITUTION, "value": institution}]
    organization["name"] = name
    points = contact_points(telecom, [], Segment("ORC", [], 1, 0, 0), _NO_CONTEXT) if telecom else []
    if points:
        organization["telecom"] = points
    places = [place for part in address.split("~") if (place := address_of(part))]
    if places:
        # Organization.address.use may not be "home" (org-2).
        organization["address"] = [{k: v for k, v in one.items() if v != "home"} for one in places]
    return organization


_NO_CONTEXT: Any = None


@converter(rest=cwe_rest)
def department_code(raw: str, fields: list[str], segment: Segment, context: Context) -> Fragment | None:
    """A department code (user table 0069) -> CodeableConcept under the SS-MIX2 department system."""
    return concept_of(raw if "^" in raw else f"{raw}^^HL70069", segment, context)


def insurer_organization(number: str, name: str, context: Context) -> Fragment:
    """The insurer of a Coverage; an insurer is the same on every node, so its id has no facility."""
    payor = resource("Organization", resource_id("", "Organization", "insurer", number or name), "JP_Organization")
    if number:
        payor["identifier"] = [{"system": INSURER, "value": number}]
    if name:
        payor["name"] = name
    context.add(payor)
    reference: Fragment = {"reference": f"Organization/{payor['id']}"}
    if name:
        reference["display"] = name
    return reference
