"""Persons and organisations that messages mention: Patient, Practitioner, Organization."""

from functools import lru_cache
from typing import Any

from gateway.codec.er7 import Message, Segment
from gateway.model.identity import PatientId, PersonKey
from gateway.model.outcome import Issue
from gateway.translate.context import Context
from gateway.translate.datatypes import (
    Fragment,
    address_of,
    bad_field,
    clean,
    coded,
    component,
    contact_points,
    human_name,
)
from gateway.translate.ids import local_system, resource_id
from gateway.translate.rules import NULL, SegmentRules, converter, place

CORE = "http://jpfhir.jp/fhir/core/StructureDefinition/"
EXTENSION = "http://jpfhir.jp/fhir/core/Extension/StructureDefinition/"
INSTITUTION = "http://jpfhir.jp/fhir/core/IdSystem/insurance-medical-institution-no"
INSURER = "http://jpfhir.jp/fhir/core/mhlw/IdSystem/InsurerNumber"
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


def local_number(pid: Segment) -> str:
    """The facility's own patient number: PID-3.1 of the first repetition without an assigning authority, else of the
    first repetition (SS-MIX2 writes `id^^^^PI` or the bare id)."""
    return _local_number(pid[3])


@lru_cache(maxsize=4096)
def _local_number(raw: str) -> str:
    repetitions = [r.split("^") for r in raw.split("~")]
    bare = [r for r in repetitions if len(r) < 4 or not r[3]]
    chosen = (bare or repetitions)[0][0]
    return "" if chosen == NULL else clean(chosen)


@converter(1, 4, 5, repeats=True)
def patient_identifiers(raw: str, fields: list[str], segment: Segment, context: Context) -> list[Fragment]:
    """PID-3 -> Patient.identifier: the facility's number under the JP Core patient-number system, shared ids
    (医療等ID ...) under their authority."""
    found = []
    local = local_number(segment)
    for repetition in raw.split("~"):
        parts = repetition.split("^")
        value = clean(parts[0]) if parts[0] != NULL else ""
        if not value:
            continue
        oid = authority_oid(parts[3] if len(parts) > 3 else "", context)
        authority = context.facilities.find(oid) if oid else context.facility
        if oid is None or authority is None:
            system = f"urn:oid:{oid}" if oid else local_system(context.facility.oid, f"authority/{parts[3]}")
        else:
            system = authority.patient_system
        identifier: Fragment = {"system": system, "value": value}
        if value == local and authority is context.facility:
            coding = {"system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": "MR"}
            identifier = {"type": {"coding": [coding]}, **identifier}
        found.append(identifier)
    return found


def authority_oid(hd: str, context: Context) -> str | None:
    """OID of an assigning authority HD (namespace&oid&ISO): "" when not given, None when it cannot be known."""
    namespace, oid, kind = ([clean(p) for p in hd.split("&")] + ["", "", ""])[:3]
    if kind == "ISO" and oid:
        known = context.facilities.find(oid)
        return known.oid if known else oid
    if not namespace:
        return ""
    known = context.facilities.find(namespace)
    return known.oid if known else None


def person_key(pid: Segment, insured: list[str], context: Context) -> PersonKey:
    """What this message says about who its patient is."""
    ids = [PatientId(local_number(pid), context.facility.oid)]
    for repetition in pid[3].split("~"):
        parts = repetition.split("^")
        oid = authority_oid(parts[3], context) if len(parts) > 3 else ""
        value = clean(parts[0])
        if oid and value and value != NULL and oid != context.facility.oid:
            ids.append(PatientId(value, oid))
    if context.facilities.insurer:
        ids += [PatientId(number, context.facilities.insurer) for number in insured]
    return PersonKey(tuple(dict.fromkeys(ids)), component(pid[7], 1)[:8], component(pid[8], 1))


@converter(1)
def gender(raw: str, fields: list[str], segment: Segment, context: Context) -> str | None:
    """PID-8. A value that is a date instead of a sex is a shifted segment; it must not become `unknown`."""
    code = component(raw, 1)
    from_table = _GENDER.get(code)
    if from_table is None:
        bad_field(raw, fields, segment, context, "code-unknown", "the code is not in the table administrative-gender")
    return from_table


_GENDER = {"M": "male", "F": "female", "O": "other", "U": "unknown", "A": "other", "N": "unknown"}


@converter(1)
def deceased(raw: str, fields: list[str], segment: Segment, context: Context) -> bool | None:
    """PID-30 Y/N. The date of PID-29, when given, says more and is taken instead."""
    code = component(raw, 1)
    if code not in ("Y", "N"):
        bad_field(raw, fields, segment, context, "code-unknown", "table 0136 knows Y and N")
        return None
    return None if segment[29] and code == "Y" else code == "Y"


def add_contact(segment: Segment, context: Context, patient: Fragment, rules: SegmentRules) -> None:
    """NK1 -> Patient.contact, or nothing when the next of kin is the patient himself (SEL)."""
    contact: Fragment = {}
    rules.apply(segment, {"Contact": contact}, context)
    if contact:
        patient.setdefault("contact", []).append(contact)


@converter(1, 2, 3, 6, 7, 8)
def contact_name(raw: str, fields: list[str], segment: Segment, context: Context) -> Fragment | None:
    """NK1-2: Contact.name is one name; the kanji one, and the others are kept beside it as residue."""
    repetitions = [name for part in segment[2].split("~") if (name := human_name(part))]
    return repetitions[0] if repetitions else None


@converter(1, 2, 3, 4, 5, 6, 9)
def relationship(raw: str, fields: list[str], segment: Segment, context: Context) -> Fragment | None:
    """NK1-3. LENIENT: one storage generator writes a bare code (`SEL`), which is one of table 0063."""
    return coded(raw if "^" in raw else f"{raw}^^HL70063", context.facility.oid).concept


@converter(1, 2, 3, 4, 5, 6, 7, 8)
def contact_address(raw: str, fields: list[str], segment: Segment, context: Context) -> Fragment | None:
    """NK1-4: Contact.address is one address."""
    address = address_of(raw)
    return {"address": address} if address else None


@converter(1, 2, 3, 4, 5, 6, 7, 8, 12, repeats=True)
def work_contact_points(raw: str, fields: list[str], segment: Segment, context: Context) -> list[Fragment]:
    """NK1-6 is the business telephone, also when XTN.2 does not say so."""
    return [{"use": "work"} | point for point in contact_points(raw, fields, segment, context)]


@converter(1, 2)
def organization_name(raw: str, fields: list[str], segment: Segment, context: Context) -> str | None:
    """XON: the name; component 2 only says what kind of name it is."""
    return component(raw, 1) or None


@converter(2, 4)
def disability(raw: str, fields: list[str], segment: Segment, context: Context) -> Fragment | None:
    """DB1-4 (table 0334 of DB1-2 = PT: the patient) -> extension patient-disability."""
    code = component(raw, 1)
    if code not in ("Y", "N") or component(segment[2], 1) != "PT":
        bad_field(raw, fields, segment, context, "code-unknown", "DB1-4 is Y or N, for DB1-2 = PT")
        return None
    coding = {"system": "http://terminology.hl7.org/CodeSystem/v2-0136", "code": code}
    return {"url": DISABILITY, "valueCodeableConcept": {"coding": [coding]}}


# -- Practitioner -----------------------------------------------------------------------------------------------------


def practitioner(raw: str, context: Context) -> Fragment | None:
    """XCN -> reference to a Practitioner, which joins the message's resources once. None when nobody is named."""
    first = raw.split("~", 1)[0]
    if not first.strip("^ ") or first == NULL:
        return None
    staff_oid = f"1{context.facility.institution}" if context.facility.institution else ""
    system = (
        f"urn:oid:1.2.392.100495.20.3.41.{staff_oid}" if staff_oid else local_system(context.facility.oid, "staff")
    )
    made = _practitioner(raw, context.facility.oid, system)
    if made is None:
        return None
    person, words = made
    context.add(person)
    reference: Fragment = {"reference": f"Practitioner/{person['id']}"}
    if words:
        reference["display"] = words
    return reference


@lru_cache(maxsize=16384)
def _practitioner(raw: str, facility: str, system: str) -> tuple[dict[str, Any], str] | None:
    """LENIENT: some systems write the doctor's whole name into XCN.2; it is kept as family and text, not split."""
    names, number = [], ""
    for repetition in raw.split("~"):
        parts = [clean(p) if p != NULL else "" for p in repetition.split("^")]
        parts += [""] * (15 - len(parts))
        number = number or parts[0]
        # XCN.10 is the name type and XCN.15 the representation code, where XPN has 7 and 8.
        xpn = "^".join((parts[1], parts[2], parts[3], "", "", "", parts[9], parts[14]))
        if name := human_name(xpn):
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


@converter(1, 2, 3, 4, 10, 15, repeats=True)
def practitioner_reference(raw: str, fields: list[str], segment: Segment, context: Context) -> Fragment | None:
    return practitioner(raw, context)


# -- Organization -----------------------------------------------------------------------------------------------------


def facility_organization(segment: Segment, context: Context) -> None:
    """ORC-21 name, ORC-22 address, ORC-23 telephone of the ordering facility -> Organization."""
    name = component(segment[21], 1)
    if not name:
        return
    made = _organization(name, segment[22], segment[23], context.facility.oid, context.facility.institution)
    context.add(made)


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


def department(raw: str, context: Context) -> Fragment | None:
    """A department code (user table 0069) -> CodeableConcept under the SS-MIX2 department system."""
    return coded(raw if "^" in raw else f"{raw}^^HL70069", context.facility.oid).concept


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


def find_patient(message: Message) -> tuple[Segment | None, Issue | None]:
    """The one PID of the message, or why there is none to work with."""
    found = message.all("PID")
    if not found:
        return None, Issue("error", "no-patient", "PID", "the message has no PID segment")
    if len(found) > 1:
        return None, Issue("error", "several-patients", "PID[2]", "the message has more than one PID segment")
    if not local_number(found[0]):
        return None, Issue("error", "no-patient", place(found[0], 3), "PID-3 holds no patient number")
    return found[0], None


