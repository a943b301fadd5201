"""People and institutions of XDS metadata as FHIR resources, and back: XCN (author, legal authenticator), XON
(institution), XTN, and the PID fields of sourcePatientInfo (ITI TF-3: 4.2.3.1.4, 4.2.3.1.7).

FHIR resources made here are contained ones: no meta, and an id that their owner gives. A value that ebRIM cannot carry
(256 characters) becomes "": half a name is worse than none, and the document itself holds it whole.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from gateway.codec.ebxml_parts import MAX_VALUE
from gateway.codec.er7 import unescape
from gateway.model.document import Author
from gateway.model.identity import PatientId
from gateway.translate.times import fhir_date

Json = dict[str, Any]

_GENDER: Final = {"male": "M", "female": "F", "other": "O", "unknown": "U"}
"""administrative-gender <-> HL7 table 0001, which PID-8 of sourcePatientInfo is written in."""
_SEX: Final = {code: word for word, code in _GENDER.items()} | {"A": "other", "N": "other"}
_OID: Final = "urn:oid:"

# -- FHIR -> XDS -----------------------------------------------------------------------------------------------------


def xcn_of(doctor: Mapping[str, Any]) -> str:
    """XCN of a Practitioner, a Patient or a RelatedPerson: id, family, given, and the OID of the ids (component 9)."""
    identifier: Json = next(iter(doctor.get("identifier", ())), {})
    name: Json = next(iter(doctor.get("name", ())), {})
    system = identifier.get("system", "")
    authority = f"&{system.removeprefix(_OID)}&ISO" if system.startswith(_OID) else ""
    family = name.get("family", "") or name.get("text", "")
    xcn = components((identifier.get("value", ""), family, " ".join(name.get("given", ()))))
    if xcn and identifier.get("value") and authority:
        xcn += "^" * (8 - xcn.count("^")) + authority
    return _carried(xcn)


def xon_of(organization: Mapping[str, Any]) -> str:
    """XON of an Organization: name (1), and its id (10) with the authority (6) unless the id is an OID itself."""
    name = hl7(organization.get("name", ""))
    identifier: Json = next(iter(organization.get("identifier", ())), {})
    system, value = identifier.get("system", ""), identifier.get("value", "")
    if not value:
        return _carried(name)
    if value.startswith(_OID):
        return _carried(f"{name}^^^^^^^^^{value.removeprefix(_OID)}")
    authority = f"&{system.removeprefix(_OID)}&ISO" if system.startswith(_OID) else ""
    return _carried(f"{name}^^^^^{authority}^^^^{hl7(value)}")


def xtn_of(point: Mapping[str, Any]) -> str:
    """XTN of a ContactPoint: an email in component 4, another as the words of component 12."""
    value = hl7(str(point.get("value", "")))
    if not value:
        return ""
    return _carried(f"^^Internet^{value}" if point.get("system") == "email" else f"^^PH^^^^^^^^^{value}")


def source_patient_info(patient_id: PatientId | None, patient: Mapping[str, Any] | None) -> tuple[str, ...]:
    """Slot values `PID-3|..` to `PID-11|..` (ITI TF-3: 4.2.3.2.24) from a Patient; a PID-5 repetition for each name."""
    values = [f"PID-3|{patient_id}"] if patient_id is not None else []
    if patient is not None:
        values += [f"PID-5|{name}" for name in map(xpn_of, patient.get("name", ())) if name]
        if birth := patient.get("birthDate", ""):
            values.append(f"PID-7|{birth.replace('-', '')}")
        if gender := _GENDER.get(patient.get("gender", "")):
            values.append(f"PID-8|{gender}")
        values += [f"PID-11|{address}" for address in map(_xad_of, patient.get("address", ())) if address]
    return tuple(value for value in values if len(value) <= MAX_VALUE)


def xpn_of(name: Mapping[str, Any]) -> str:
    family, given = name.get("family", ""), name.get("given", ())
    return components((family, *given[:1], " ".join(given[1:]))) if family or given else hl7(name.get("text", ""))


def _xad_of(address: Mapping[str, Any]) -> str:
    lines = address.get("line", ())
    street = " ".join(lines) if lines else address.get("text", "")
    return components(
        (street, "", address.get("city", ""), address.get("state", ""), address.get("postalCode", ""),
         address.get("country", ""))
    )  # fmt: skip


def hl7(text: str) -> str:
    """Delimiters of HL7 v2 inside a component, escaped (v2.5 2.7)."""
    return (
        text.replace("\\", "\\E\\")
        .replace("|", "\\F\\")
        .replace("^", "\\S\\")
        .replace("&", "\\T\\")
        .replace("~", "\\R\\")
    )


def components(values: Sequence[str]) -> str:
    return "^".join(map(hl7, values)).rstrip("^")


def _carried(value: str) -> str:
    return value if len(value) <= MAX_VALUE else ""


# -- XDS -> FHIR -----------------------------------------------------------------------------------------------------


def practitioner(xcn: str) -> Json:
    """Practitioner of an XCN; {} when it says nothing. LENIENT: a name alone, as many sources write, is a name."""
    parts = _Parts(xcn)
    made: Json = {"resourceType": "Practitioner"}
    if value := parts(1):
        made["identifier"] = [_identifier(value, xcn.split("^")[8:9])]
    name = {"family": parts(2), "given": [one for one in (parts(3), parts(4)) if one]}
    name |= {"suffix": [parts(5)] if parts(5) else [], "prefix": [parts(6)] if parts(6) else []}
    if shown := {key: value for key, value in name.items() if value}:
        made["name"] = [shown]
    return made if len(made) > 1 else {}


def organization(xon: str) -> Json:
    """Organization of an XON; {} when it says nothing."""
    parts = _Parts(xon)
    made: Json = {"resourceType": "Organization"}
    if value := parts(10):
        oid = all(part.isdigit() for part in value.split(".")) and "." in value
        found = {"system": "urn:ietf:rfc:3986", "value": _OID + value} if oid else None
        made["identifier"] = [found or _identifier(value, xon.split("^")[5:6])]
    if name := parts(1):
        made["name"] = name
    return made if len(made) > 1 else {}


def telecom(xtns: Iterable[str]) -> list[Json]:
    found = []
    for xtn in xtns:
        parts = _Parts(xtn)
        if email := parts(4):
            found.append({"system": "email", "value": email})
        elif number := parts(12) or parts(1) or "".join(filter(None, (parts(5), parts(6), parts(7)))):
            found.append({"system": "phone", "value": number})
    return found


def source_patient(source_id: str, infos: Sequence[str]) -> Json:
    """Patient as the source knew it at the time of the document, of sourcePatientId and sourcePatientInfo; {} without
    either."""
    made: Json = {"resourceType": "Patient"}
    fields = _fields(infos)
    ids = [value for repeated in fields.get("PID-3", ()) for value in repeated.split("~")]
    identifiers = [found for cx in dict.fromkeys((source_id, *ids)) if (found := cx_identifier(cx))]
    if identifiers:
        made["identifier"] = identifiers
    names = [found for value in fields.get("PID-5", ()) for one in value.split("~") if (found := _name(one))]
    if names:
        made["name"] = names
    if sex := _SEX.get(next(iter(fields.get("PID-8", ())), "").upper()):
        made["gender"] = sex
    if birth := fhir_date(next(iter(fields.get("PID-7", ())), "")):
        made["birthDate"] = birth
    addresses = [found for value in fields.get("PID-11", ()) for one in value.split("~") if (found := _address(one))]
    if addresses:
        made["address"] = addresses
    return made if len(made) > 1 else {}


def cx_identifier(cx: str) -> Json:
    """Identifier of a CX (or CXi); {} when it has no id. The type of a CXi is its component 5."""
    parts = cx.split("^")
    if not parts[0]:
        return {}
    made = _identifier(unescape(parts[0]), parts[3:4])
    return {"type": {"text": parts[4]}, **made} if len(parts) > 4 and parts[4] else made


def source_cx(patient: Mapping[str, Any]) -> PatientId | None:
    """The first identifier of a Patient that has an OID for its system, as a CX."""
    for one in patient.get("identifier", ()):
        system, value = str(one.get("system", "")), str(one.get("value", ""))
        if system.startswith(_OID) and value and "^" not in value:
            return PatientId(value, system.removeprefix(_OID))
    return None


def _fields(infos: Iterable[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for info in infos:
        name, _, value = info.partition("|")
        if value:
            found.setdefault(name.strip(), []).append(value)
    return found


def _name(xpn: str) -> Json:
    parts = _Parts(xpn)
    made: Json = {"family": parts(1), "given": [one for one in (parts(2), parts(3)) if one]}
    return {key: value for key, value in made.items() if value}


def _address(xad: str) -> Json:
    parts = _Parts(xad)
    made: Json = {
        "line": [one for one in (parts(1), parts(2)) if one],
        "city": parts(3),
        "state": parts(4),
        "postalCode": parts(5),
        "country": parts(6),
    }
    return {key: value for key, value in made.items() if value}


def _identifier(value: str, authority: Sequence[str]) -> Json:
    """`authority`: the HD component, when there is one."""
    hd = authority[0].split("&") if authority else []
    oid = hd[1] if len(hd) == 3 and hd[2] == "ISO" else ""
    return {"system": _OID + oid, "value": value} if oid else {"value": value}


class _Parts:
    """Components of an HL7 value by number from 1, unescaped, "" where there is none."""

    def __init__(self, value: str) -> None:
        self._parts = value.split("^")

    def __call__(self, number: int) -> str:
        part = self._parts[number - 1] if number <= len(self._parts) else ""
        return unescape(part.split("&")[0]).strip()


# -- authors ---------------------------------------------------------------------------------------------------------


def author_resources(author: Author, key: str) -> Iterator[Json]:
    """The contained resources of one author; the first is the one to refer to. One that has a role, a specialty or an
    institution beside the person is a PractitionerRole (MHD 3:4.5.1.1)."""
    person = practitioner(author.person)
    institutions = [found for xon in author.institution if (found := organization(xon))]
    contact = telecom(author.telecommunication)
    if not person and len(institutions) == 1 and not (author.role or author.specialty):
        yield {**institutions[0], "id": key} | ({"telecom": contact} if contact else {})
        return
    if person and not institutions and not (author.role or author.specialty):
        yield {**person, "id": key} | ({"telecom": contact} if contact else {})
        return
    role: Json = {"resourceType": "PractitionerRole", "id": key}
    parts: list[Json] = []
    if person:
        parts.append({**person, "id": f"{key}-person"})
        role["practitioner"] = {"reference": f"#{key}-person"}
    if institutions:
        parts.append({**institutions[0], "id": f"{key}-institution"})
        role["organization"] = {"reference": f"#{key}-institution"}
    if author.role:
        role["code"] = [{"text": word} for word in author.role]
    if author.specialty:
        role["specialty"] = [{"text": word} for word in author.specialty]
    if contact:
        role["telecom"] = contact
    if len(role) > 2:
        yield role
        yield from parts


def author_of(resource: Mapping[str, Any], others: Mapping[str, Mapping[str, Any]]) -> Author | None:
    """The Author that a referenced resource is; `others`: reference -> resource, of what it may refer to. None when it
    says nothing that XDS could hold."""
    type_ = resource.get("resourceType")
    contact = tuple(filter(None, map(xtn_of, resource.get("telecom", ()))))
    if type_ == "Organization":
        made = Author(institution=_said(xon_of(resource)), telecommunication=contact)
    elif type_ == "PractitionerRole":
        person = others.get(resource.get("practitioner", {}).get("reference", ""), {})
        institution = others.get(resource.get("organization", {}).get("reference", ""), {})
        made = Author(
            xcn_of(person),
            _said(xon_of(institution)),
            tuple(filter(None, map(_words, resource.get("code", ())))),
            tuple(filter(None, map(_words, resource.get("specialty", ())))),
            contact or tuple(filter(None, map(xtn_of, person.get("telecom", ())))),
        )
    else:
        made = Author(xcn_of(resource), telecommunication=contact)
    return made if made != Author(telecommunication=made.telecommunication) else None


def _said(value: str) -> tuple[str, ...]:
    return (value,) if value.strip("^") else ()


def _words(concept: Mapping[str, Any]) -> str:
    """A role or specialty as XDS carries it: a code with its scheme (CE), else the words."""
    for one in concept.get("coding", ()):
        if one.get("code"):
            system = str(one.get("system", "")).removeprefix(_OID)
            return _carried(
                f"{hl7(one['code'])}^{hl7(one.get('display', ''))}^{system}" if system else hl7(one["code"])
            )
    return _carried(hl7(concept.get("text", "")))
