"""What was gathered as CDA Release 2 with a narrative body (HL7 CDA R2 4.2, 4.3): header, and one section each with its
text. Entries stay in the FHIR form; what a section says is in both the same lines. Pure."""

import re
import uuid
from typing import Any, Final

from gateway.codec.xml import escape
from gateway.services.ondemand.bundle import line_of
from gateway.services.ondemand.gathering import Gathered
from gateway.services.ondemand.kinds import LOINC

_GENDERS: Final = {"male": "M", "female": "F", "other": "UN"}
_CONFIDENTIALITY: Final = "2.16.840.1.113883.5.25"
_GENDER: Final = "2.16.840.1.113883.5.1"


def document(gathered: Gathered, author: str, root: str, number: uuid.UUID) -> bytes:
    """`author`: name of the node; `root`: OID of its repository; `number`: of this content."""
    when, kind, patient = _time(gathered.date), gathered.kind, gathered.patients[0]
    device = (
        f'<assignedAuthor><id root="{escape(root)}"/><assignedAuthoringDevice><softwareName>{escape(author)}'
        "</softwareName></assignedAuthoringDevice></assignedAuthor>"
    )
    sections = "".join(
        f'<component><section><code code="{section.loinc}" codeSystem="{LOINC}" codeSystemName="LOINC"'
        f' displayName="{escape(section.display)}"/><title>{escape(section.title)}</title>'
        f"<text>{_text(rows)}</text></section></component>"
        for section, rows in gathered.sections
    )
    return (
        '<?xml version="1.0" encoding="UTF-8"?>'
        '<ClinicalDocument xmlns="urn:hl7-org:v3" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">'
        f'<typeId root="2.16.840.1.113883.1.3" extension="POCD_HD000040"/><id root="{str(number).upper()}"/>'
        f'<code code="{kind.loinc}" codeSystem="{LOINC}" codeSystemName="LOINC" displayName="{escape(kind.display)}"/>'
        f'<title>{escape(kind.title)}</title><effectiveTime value="{when}"/>'
        f'<confidentialityCode code="N" codeSystem="{_CONFIDENTIALITY}"/><languageCode code="ja-JP"/>'
        f"<recordTarget><patientRole>{_ids(gathered)}{_person(patient)}</patientRole></recordTarget>"
        f'<author><time value="{when}"/>{device}</author>'
        "<custodian><assignedCustodian><representedCustodianOrganization>"
        f'<id root="{escape(root)}"/><name>{escape(author)}</name>'
        "</representedCustodianOrganization></assignedCustodian></custodian>"
        f"<component><structuredBody>{sections}</structuredBody></component></ClinicalDocument>"
    ).encode()


def _text(rows: tuple[dict[str, Any], ...]) -> str:
    if not rows:
        return "<paragraph>登録された情報なし / Nothing is stored</paragraph>"
    return "<list>" + "".join(f"<item>{escape(line_of(one))}</item>" for one in rows) + "</list>"


def _ids(gathered: Gathered) -> str:
    """Ids with an OID; CDA knows no other root. At least one id is required, and null when there is none."""
    found = dict.fromkeys(
        (str(one["system"]).removeprefix("urn:oid:"), str(one["value"]))
        for patient in gathered.patients
        for one in patient.get("identifier", ())
        if str(one.get("system", "")).startswith("urn:oid:") and one.get("value")
    )
    made = "".join(f'<id root="{escape(root)}" extension="{escape(value)}"/>' for root, value in found)
    return made or '<id nullFlavor="NI"/>'


def _person(patient: dict[str, Any]) -> str:
    names = "".join(_name(name) for name in patient.get("name", ()))
    gender = _GENDERS.get(str(patient.get("gender", "")))
    coded = f'<administrativeGenderCode code="{gender}" codeSystem="{_GENDER}"/>' if gender else ""
    birth = re.sub("[^0-9]", "", str(patient.get("birthDate", "")))
    born = f'<birthTime value="{birth}"/>' if birth else ""
    return f"<patient>{names}{coded}{born}</patient>"


def _name(name: dict[str, Any]) -> str:
    parts = f"<family>{escape(str(name['family']))}</family>" if name.get("family") else ""
    parts += "".join(f"<given>{escape(str(given))}</given>" for given in name.get("given", ()))
    return f"<name>{parts or escape(str(name.get('text', '')))}</name>"


def _time(instant: str) -> str:
    """FHIR instant in UTC -> TS of the same moment."""
    return re.sub("[^0-9]", "", instant[:19]) + "+0000"
