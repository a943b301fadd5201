"""Patient <-> Demographics: what matching, search and the faces know of a person (JP Core 1.2.0 JP_Patient). Pure."""

import re
from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any, Final

from gateway.model.identity import Authority, PatientId
from gateway.model.person import Demographics, NameKind, PersonAddress, PersonName
from gateway.translate.ids import resource_id
from gateway.translate.names import REPRESENTATION
from gateway.translate.patient_ids import ACCOUNT, MOTHERS_IDENTIFIER
from gateway.translate.people import resource
from gateway.translate.rules import table

MOTHERS_MAIDEN_NAME: Final = "http://hl7.org/fhir/StructureDefinition/patient-mothersMaidenName"
_KINDS: Final[Mapping[str, NameKind]] = {"IDE": "kanji", "SYL": "kana", "ABC": "romaji"}
_CODES: Final = {kind: code for code, kind in _KINDS.items()}
_SEXES: Final = {"male": "M", "female": "F", "other": "O", "unknown": "U"}
_USES: Final = frozenset({"usual", "official", "temp", "nickname", "anonymous", "old", "maiden"})
_ADDRESS_USES: Final = frozenset({"home", "work", "temp", "old", "billing"})
_MAIL: Final = re.compile(r"[^@\s]+@[^@\s]+")


def patient_id(own: PatientId) -> str:
    """Logical id of the Patient of a record: the same as messages of that facility give it."""
    return resource_id(own.authority, "Patient", own.value)


def demographics_of(patient: Mapping[str, Any]) -> Demographics:
    """What a Patient says about its person."""
    maiden = next(
        (one.get("valueString", "") for one in patient.get("extension", ()) if one.get("url") == MOTHERS_MAIDEN_NAME),
        "",
    )
    order = patient.get("multipleBirthInteger")
    dead = patient.get("deceasedBoolean")
    return Demographics(
        names=tuple(_name(one) for one in patient.get("name", ())),
        birth_date=patient.get("birthDate", "").replace("-", ""),
        sex=_SEXES.get(patient.get("gender", ""), ""),
        addresses=tuple(_address(one) for one in patient.get("address", ())),
        telecoms=tuple(one["value"] for one in patient.get("telecom", ()) if one.get("value")),
        mothers_maiden_name=PersonName(text=maiden) if maiden else None,
        birth_order=order,
        multiple_birth=True if order is not None else patient.get("multipleBirthBoolean"),
        deceased=True if patient.get("deceasedDateTime") else dead,
        accounts=_numbers(patient, ACCOUNT),
        mothers_ids=_numbers(patient, MOTHERS_IDENTIFIER),
    )


def _numbers(patient: Mapping[str, Any], url: str) -> tuple[str, ...]:
    """Extensions with an Identifier, as `value` or CX."""
    found = []
    for one in patient.get("extension", ()):
        if one.get("url") == url and (value := one.get("valueIdentifier", {}).get("value")):
            system = one["valueIdentifier"].get("system", "")
            oid = system.removeprefix("urn:oid:")
            found.append(str(PatientId(value, oid)) if system.startswith("urn:oid:") else value)
    return tuple(dict.fromkeys(found))


def _number_extension(url: str, number: str) -> dict[str, Any]:
    """The other way round."""
    value, _, authority = number.partition("^^^&")
    system = {"system": f"urn:oid:{authority.removesuffix('&ISO')}"} if authority else {}
    return {"url": url, "valueIdentifier": {**system, "value": value}}


def _name(one: Mapping[str, Any]) -> PersonName:
    code = next((e.get("valueCode", "") for e in one.get("extension", ()) if e.get("url") == REPRESENTATION), "")
    return PersonName(
        one.get("family", ""),
        " ".join(one.get("given", ())),
        one.get("text", ""),
        _KINDS.get(code, ""),
        one.get("use", "official"),
    )


def _address(one: Mapping[str, Any]) -> PersonAddress:
    return PersonAddress(
        one.get("postalCode", ""),
        one.get("state", ""),
        one.get("city", ""),
        " ".join(one.get("line", ())),
        one.get("text", ""),
        one.get("country", ""),
        one.get("use", ""),
    )


def patient_of(
    ids: Iterable[PatientId], known: Demographics | None, authorities: Mapping[str, Authority]
) -> dict[str, Any]:
    """A JP_Patient of a feed. A birth date that is no date is left out, and so is what nobody said."""
    own, *others = ids
    made = resource("Patient", patient_id(own), "JP_Patient")
    if known and (extensions := _extensions(known)):
        made["extension"] = extensions
    first: dict[str, Any] = identifier(own, authorities)
    if authorities.get(own.authority, Authority(own.authority)).kind == "facility":
        coding = {"system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": "MR"}
        first = {"type": {"coding": [coding]}, **first}
    made["identifier"] = [first, *(identifier(one, authorities) for one in others)]
    if known is None:
        return made
    elements: dict[str, Any] = {
        "name": [_fhir_name(one) for one in known.names if _text(one)],
        "telecom": [{"system": "email" if _MAIL.fullmatch(one) else "phone", "value": one} for one in known.telecoms],
        "gender": table("administrative-gender").get(known.sex),
        "birthDate": _birth_date(known.birth_date),
        "address": [made_one for one in known.addresses if (made_one := _fhir_address(one))],
    }
    made.update({key: value for key, value in elements.items() if value})
    if known.deceased is not None:
        made["deceasedBoolean"] = known.deceased
    if known.birth_order is not None:
        made["multipleBirthInteger"] = known.birth_order
    elif known.multiple_birth is not None:
        made["multipleBirthBoolean"] = known.multiple_birth
    return made


def _extensions(known: Demographics) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    if known.mothers_maiden_name and (words := _text(known.mothers_maiden_name)):
        found.append({"url": MOTHERS_MAIDEN_NAME, "valueString": words})
    found += [_number_extension(ACCOUNT, one) for one in known.accounts]
    found += [_number_extension(MOTHERS_IDENTIFIER, one) for one in known.mothers_ids]
    return found


def identifier(id_: PatientId, authorities: Mapping[str, Authority]) -> dict[str, Any]:
    authority = authorities.get(id_.authority) or Authority(id_.authority)
    return {"system": authority.patient_system, "value": id_.value}


def _text(name: PersonName) -> str:
    return name.text or f"{name.family} {name.given}".strip()


def _fhir_name(name: PersonName) -> dict[str, Any]:
    made: dict[str, Any] = {}
    if name.kind:
        made["extension"] = [{"url": REPRESENTATION, "valueCode": _CODES[name.kind]}]
    if name.use in _USES:
        made["use"] = name.use
    made["text"] = _text(name)
    if name.family:
        made["family"] = name.family
    if name.given:
        made["given"] = [name.given]
    return made


def _fhir_address(one: PersonAddress) -> dict[str, Any]:
    words = one.text or "".join(part for part in (one.state, one.city, one.line) if part)
    country = table("country").get(one.country, one.country)
    made = {
        "use": one.use if one.use in _ADDRESS_USES else "",
        "text": words,
        "line": [one.line] if one.line else [],
        "city": one.city,
        "state": one.state,
        "postalCode": one.postal_code,
        "country": country,
    }
    made = {key: value for key, value in made.items() if value}
    return made if made.keys() - {"use"} else {}


def _birth_date(digits: str) -> str:
    if not digits.isascii() or not digits.isdigit() or len(digits) not in (4, 6, 8):
        return ""
    try:
        date(int(digits[:4]), int(digits[4:6] or 1), int(digits[6:8] or 1))
    except ValueError:
        return ""
    return "-".join(part for part in (digits[:4], digits[4:6], digits[6:8]) if part)
