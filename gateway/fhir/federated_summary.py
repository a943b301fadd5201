"""Patient/x/$summary over all communities: a document Bundle in the shape of the International Patient Summary (HL7 IPS
1.1): what was found, by section, each entry with its community; who was silent stands in the text of the document."""

from typing import Any, Final, NamedTuple
from uuid import UUID, uuid5

from gateway.codec import fhir
from gateway.services.federation.facts import Fact
from gateway.services.federation.outcomes import Outcome

_DOCUMENT: Final = UUID("1d4f6d0e-5e1c-5b39-9f43-0b0f5d7a8c21")
_LOINC: Final = "http://loinc.org"


class Section(NamedTuple):
    code: str
    title: str
    types: tuple[str, ...]


SECTIONS: Final = (
    Section("48765-2", "アレルギー Allergies and intolerances", ("AllergyIntolerance",)),
    Section("10160-0", "処方 Medication", ("MedicationRequest", "MedicationStatement", "MedicationAdministration")),
    Section("11450-4", "病名 Problems", ("Condition",)),
    Section("11369-6", "予防接種 Immunizations", ("Immunization",)),
    Section("30954-2", "検査結果 Results", ("Observation", "DiagnosticReport")),
    Section("47519-4", "処置 Procedures", ("Procedure",)),
)
TYPES: Final = tuple(type_ for section in SECTIONS for type_ in section.types)


def summary(
    facts: list[tuple[Fact, str]], patient: tuple[dict[str, Any], str], outcomes: list[Outcome], now: str, author: str
) -> dict[str, Any]:
    """`facts`: with their fullUrls; `patient`: the Patient and its fullUrl; `now`: instant; `author`: our own name."""
    whole = [one for one in outcomes if one.answered and not one.alarms]
    silent = [f"{one.name or one.community}: {one.outcome}" for one in outcomes if one not in whole]
    words = (
        "すべての地域が回答 All communities answered."
        if not silent
        else f"回答なし・不完全 Not whole: {', '.join(silent)}."
    )
    number = str(uuid5(_DOCUMENT, "|".join([now, *(url for _, url in facts)])))
    composition = {
        "resourceType": "Composition",
        "id": number,
        "text": _narrative(words),
        "status": "final" if not silent else "preliminary",
        "type": {"coding": [{"system": _LOINC, "code": "60591-5", "display": "Patient summary Document"}]},
        "subject": {"reference": patient[1]},
        "date": now,
        "author": [{"display": author}],
        "title": "患者サマリー Patient summary",
        "section": [_section(one, facts) for one in SECTIONS],
    }
    entries = [
        {"fullUrl": f"urn:uuid:{number}", "resource": composition},
        {"fullUrl": patient[1], "resource": patient[0]},
        *({"fullUrl": url, "resource": fact.tagged()} for fact, url in facts),
    ]
    return {
        "resourceType": "Bundle",
        "identifier": {"system": "urn:ietf:rfc:3986", "value": f"urn:uuid:{number}"},
        "type": "document",
        "timestamp": now,
        "entry": entries,
    }


def _section(section: Section, facts: list[tuple[Fact, str]]) -> dict[str, Any]:
    urls = [url for fact, url in facts if fact.resource.type in section.types]
    made: dict[str, Any] = {
        "title": section.title,
        "code": {"coding": [{"system": _LOINC, "code": section.code}]},
        "text": _narrative(f"{section.title}: {len(urls)}"),
    }
    if urls:
        made["entry"] = [{"reference": url} for url in urls]
    else:
        # That nothing was found is not that there is nothing.
        system = "http://terminology.hl7.org/CodeSystem/list-empty-reason"
        made["emptyReason"] = {"coding": [{"system": system, "code": "unavailable", "display": "Unavailable"}]}
    return made


def _narrative(words: str) -> dict[str, str]:
    shown = fhir.text(words).replace("&", "&amp;").replace("<", "&lt;")
    return {"status": "generated", "div": f'<div xmlns="http://www.w3.org/1999/xhtml">{shown}</div>'}
