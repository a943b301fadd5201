"""A person in HL7 v3 (PRPA_MT201301UV02, 201302, 201303, 201310) <-> Demographics, and the ids beside them. Pure.

Reading is tolerant: elements of all these models are looked for, whichever message they came in. What v3 cannot say is
left out when writing; nothing is made up (an unknown sex is a nullFlavor).
"""

from typing import Final
from urllib.parse import quote, unquote

from lxml import etree

from gateway.codec.hl7v3 import II, V3, attribute, digits, find, find_all, ii, ii_of, text
from gateway.codec.xml import escape
from gateway.model.identity import PatientId
from gateway.model.person import Demographics, NameKind, PersonAddress, PersonName
from gateway.translate.rules import table

GENDER: Final = "2.16.840.1.113883.5.1"
_KINDS: Final[dict[str, NameKind]] = {"IDE": "kanji", "SYL": "kana", "ABC": "romaji"}
"""EntityNameUse names the representation as well (NameRepresentationUse)."""
_REPRESENTATIONS: Final = {kind: use for use, kind in _KINDS.items()}
_MOTHER: Final = "MTH"
_STREET: Final = frozenset(
    [
        "streetAddressLine",
        "streetName",
        "streetNameBase",
        "streetNameType",
        "houseNumber",
        "houseNumberNumeric",
        "direction",
        "additionalLocator",
        "unitID",
        "unitType",
        "buildingNumberSuffix",
        "deliveryAddressLine",
    ]
)

# -- reading -----------------------------------------------------------------------------------------------------


def patient_ids(patient: etree._Element | None) -> tuple[II, ...]:
    """Ids of a patient role in their order, then those of its OtherIDs; the same one once."""
    found = [ii_of(one) for one in find_all(patient, "id")]
    found += [ii_of(one) for one in find_all(patient, "patientPerson/asOtherIDs/id")]
    return tuple(dict.fromkeys(found))


def demographics_of(patient: etree._Element | None) -> Demographics:
    """Raises nothing: what cannot be read is as if it had not been said."""
    person = find(patient, "patientPerson")
    mothers = [
        name_of(name)
        for relation in find_all(person, "personalRelationship")
        if attribute(relation, "code", "code") == _MOTHER
        for name in find_all(relation, "relationshipHolder1/name")
    ]
    died = attribute(person, "value", "deceasedTime")
    order = attribute(person, "value", "multipleBirthOrderNumber")
    addresses = [address_of(one) for one in (*find_all(person, "addr"), *find_all(patient, "addr"))]
    telecoms = [telecom_of(one) for one in (*find_all(person, "telecom"), *find_all(patient, "telecom"))]
    return Demographics(
        names=tuple(name for one in find_all(person, "name") for name in names_of(one)),
        birth_date=birth_date(attribute(person, "value", "birthTime")),
        sex=sex_of(find(person, "administrativeGenderCode")),
        addresses=tuple(dict.fromkeys(one for one in addresses if one is not None)),
        telecoms=tuple(dict.fromkeys(one for one in telecoms if one)),
        mothers_maiden_name=next((name for name in mothers if name is not None), None),
        birth_order=int(order) if order.isascii() and order.isdigit() and len(order) < 4 else None,
        multiple_birth=_flag(attribute(person, "value", "multipleBirthInd")),
        deceased=True if digits(died) else _flag(attribute(person, "value", "deceasedInd")),
    )


def birth_date(time: str) -> str:
    """YYYY, YYYYMM or YYYYMMDD of a TS."""
    found = digits(time)[:8]
    return found


def sex_of(code: etree._Element | None) -> str:
    """Table 0001; empty when nothing is said or it is no code of AdministrativeGender."""
    if attribute(code, "nullFlavor") == "UNK":
        return "U"
    return table("v3-gender").get(attribute(code, "code"), "")


def _flag(value: str) -> bool | None:
    return {"true": True, "1": True, "false": False, "0": False}.get(value)


def names_of(element: etree._Element) -> list[PersonName]:
    """The names of a PN: its own and, where it has a family name at birth (旧姓) beside the present one, that too."""
    found = name_of(element)
    if found is None:
        return []
    born = _part(element, "family", birth=True)
    if not born or found.use == "maiden":
        return [found]
    return [found, PersonName(born, found.given, "", found.kind, "maiden")]


def name_of(element: etree._Element) -> PersonName | None:
    """A PN (or EN); None when it is empty or a nullFlavor. A family name at birth (qualifier BR) counts only where
    there is no other."""
    if attribute(element, "nullFlavor"):
        return None
    family, given = _part(element, "family", birth=False), _part(element, "given")
    born = "" if family else _part(element, "family", birth=True)
    family = family or born
    parts = [child for child in element if isinstance(child.tag, str) and not _is(child, "validTime")]
    mixed = " ".join((str(element.text or "") + "".join(str(child.tail or "") for child in element)).split())
    if not (family or given):
        # Parts that are neither (a prefix without a name) still are the sender's text.
        mixed = mixed or " ".join(text(part) for part in parts)
    if not (family or given or mixed):
        return None
    uses = attribute(element, "use").split()
    use = next((table("v3-name-use")[one] for one in uses if one in table("v3-name-use")), "official")
    if born:
        use = "maiden"
    elif _over(find(element, "validTime")):
        use = "old"
    kind: NameKind = next((_KINDS[one] for one in uses if one in _KINDS), "")
    return PersonName(family, given, "" if family or given else mixed, kind, use)


def _part(element: etree._Element, name: str, birth: bool | None = None) -> str:
    """The parts of that name; `birth`: only those that have, or have not, the qualifier BR."""
    parts = find_all(element, name)
    if birth is not None:
        parts = [part for part in parts if ("BR" in attribute(part, "qualifier").split()) is birth]
    return " ".join(found for part in parts if (found := text(part)))


def _is(element: etree._Element, name: str) -> bool:
    return str(element.tag) == f"{{{V3}}}{name}"


def _over(valid: etree._Element | None) -> bool:
    """Whether the time a name was valid has an end."""
    high = find(valid, "high")
    return high is not None and attribute(high, "nullFlavor") not in ("NA", "PINF")


def address_of(element: etree._Element) -> PersonAddress | None:
    if attribute(element, "nullFlavor"):
        return None
    parts: dict[str, list[str]] = {}
    for child in element:
        if isinstance(child.tag, str) and (found := text(child)):
            parts.setdefault(str(child.tag).rpartition("}")[2], []).append(found)
    mixed = " ".join((str(element.text or "") + "".join(str(child.tail or "") for child in element)).split())
    line = " ".join(found for name, given in parts.items() if name in _STREET for found in given)
    uses = attribute(element, "use").split()
    address = PersonAddress(
        postal_code="".join(parts.get("postalCode", ())),
        state="".join(parts.get("state", ())),
        city=" ".join([*parts.get("county", ()), *parts.get("city", ())]),
        line=line,
        text=mixed,
        country="".join(parts.get("country", ())),
        use=next((table("v3-address-use")[one] for one in uses if one in table("v3-address-use")), ""),
    )
    return address if any(address[:6]) else None


def telecom_of(element: etree._Element) -> str:
    """The number or address of a TEL without its scheme."""
    value = attribute(element, "value")
    scheme, colon, rest = value.partition(":")
    if colon and scheme.lower() in ("tel", "mailto", "fax"):
        value = rest
    return unquote(value)


# -- writing -----------------------------------------------------------------------------------------------------


def name(value: PersonName, element: str = "name") -> str:
    uses = [table("v3-name-use-written").get(value.use, ""), _REPRESENTATIONS.get(value.kind, "")]
    use = " ".join(one for one in uses if one)
    shown = f' use="{use}"' if use else ""
    qualifier = ' qualifier="BR"' if value.use == "maiden" else ""
    if value.family or value.given:
        inside = f"<family{qualifier}>{escape(value.family)}</family>" if value.family else ""
        inside += f"<given>{escape(value.given)}</given>" if value.given else ""
    else:
        # A former name without parts keeps its mark only as a part.
        inside = f"<family{qualifier}>{escape(value.text)}</family>" if qualifier else escape(value.text)
    if value.use == "old":
        inside += '<validTime><high nullFlavor="UNK"/></validTime>'
    return f"<{element}{shown}>{inside}</{element}>"


def address(value: PersonAddress, element: str = "addr") -> str:
    use = table("v3-address-use-written").get(value.use, "")
    parts = [
        ("streetAddressLine", value.line),
        ("city", value.city),
        ("state", value.state),
        ("postalCode", value.postal_code),
        ("country", value.country),
    ]
    inside = "".join(f"<{part}>{escape(given)}</{part}>" for part, given in parts if given)
    if not (value.line or value.city):
        inside = escape(value.text) + inside  # beside its parts the whole text would say everything twice
    shown = f' use="{use}"' if use else ""
    return f"<{element}{shown}>{inside}</{element}>"


def telecom(value: str, element: str = "telecom") -> str:
    if "://" in value:
        return f'<{element} value="{escape(value)}"/>'
    scheme = "mailto:" if "@" in value else "tel:"
    return f'<{element} value="{escape(scheme + quote(value, safe="+-.@*#()_"))}"/>'


def gender(sex: str, element: str = "administrativeGenderCode") -> str:
    if code := table("v3-gender-written").get(sex):
        return f'<{element} code="{code}" codeSystem="{GENDER}"/>'
    return f'<{element} nullFlavor="UNK"/>' if sex else ""


def other_ids(ids: tuple[II, ...]) -> str:
    """OtherIDs, one an authority. An id without extension is one we cannot give (ITI TF-2: 3.47.4.2.3, case 2)."""
    shown = []
    for root in dict.fromkeys(one.root for one in ids):
        given = "".join(ii(one) if one.extension else '<id nullFlavor="NA"/>' for one in ids if one.root == root)
        shown.append(
            f'<asOtherIDs classCode="PAT">{given}<scopingOrganization classCode="ORG" determinerCode="INSTANCE">'
            f"{ii(II(root))}</scopingOrganization></asOtherIDs>"
        )
    return "".join(shown)


def person(found: Demographics, others: tuple[II, ...] = ()) -> str:
    """patientPerson, elements in the order of PRPA_MT201310UV02.Person."""
    names = "".join(map(name, found.names)) or '<name nullFlavor="NI"/>'
    mother = ""
    if found.mothers_maiden_name is not None:
        mother = (
            '<personalRelationship classCode="PRS"><code code="MTH" codeSystem="2.16.840.1.113883.5.111"/>'
            '<relationshipHolder1 classCode="PSN" determinerCode="INSTANCE">'
            f"{name(found.mothers_maiden_name)}</relationshipHolder1></personalRelationship>"
        )
    return (
        f'<patientPerson classCode="PSN" determinerCode="INSTANCE">{names}'
        + "".join(map(telecom, found.telecoms))
        + gender(found.sex)
        + (f'<birthTime value="{found.birth_date}"/>' if found.birth_date else "")
        + _boolean("deceasedInd", found.deceased)
        + _boolean("multipleBirthInd", found.multiple_birth)
        + (f'<multipleBirthOrderNumber value="{found.birth_order}"/>' if found.birth_order is not None else "")
        + "".join(map(address, found.addresses))
        + f"{other_ids(others)}{mother}</patientPerson>"
    )


def _boolean(element: str, value: bool | None) -> str:
    return "" if value is None else f'<{element} value="{"true" if value else "false"}"/>'


def role(ids: tuple[II, ...], inside: str, active: bool = True, degree: int | None = None) -> str:
    """A patient role around `inside`, a rendered patientPerson; with `degree` also how well it matches (0 to 100)."""
    match = ""
    if degree is not None:
        match = (
            '<subjectOf1 typeCode="SBJ"><queryMatchObservation classCode="COND" moodCode="EVN"><code code="IHE_PDQ"/>'
            f'<value xsi:type="INT" value="{degree}"/></queryMatchObservation></subjectOf1>'
        )
    status = "active" if active else "inactive"
    return f'<patient classCode="PAT">{"".join(map(ii, ids))}<statusCode code="{status}"/>{inside}{match}</patient>'


NAMELESS: Final = '<patientPerson classCode="PSN" determinerCode="INSTANCE"><name nullFlavor="NA"/></patientPerson>'
"""Where only ids are answered (ITI TF-2: 3.45.4.2.2)."""


def patient_id(value: II) -> PatientId:
    return PatientId(value.extension, value.root)
