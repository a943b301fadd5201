"""Provide Document Bundles as a Document Source would write them, for tests of ITI-65."""

import hashlib
from base64 import b64encode
from typing import Any

from tests.mhd_parts import FACILITY, TARO

PROFILE = "https://profiles.ihe.net/ITI/MHD/StructureDefinition/IHE.MHD.{}.ProvideBundle"
EXTENSION = "https://profiles.ihe.net/ITI/MHD/StructureDefinition/ihe-"
SET, DOCUMENT, BINARY, FOLDER = (f"urn:uuid:aaaaaaaa-bbbb-4ccc-8ddd-00000000000{n}" for n in range(1, 5))
LOINC, LOCAL = "http://loinc.org", "urn:oid:1.2.392.200119.99999.10"
ARC = "1.2.392.200119.99999.77"
PDF = b"%PDF-1.4\nhello\n"
Json = dict[str, Any]
SUBJECT = {"identifier": {"system": f"urn:oid:{FACILITY}", "value": TARO}}


def code(value: str, system: str = LOINC, display: str = "") -> Json:
    return {"coding": [{"system": system, "code": value, **({"display": display} if display else {})}]}


def binary(content: bytes = PDF, mime: str = "application/pdf") -> Json:
    return {"resourceType": "Binary", "contentType": mime, "data": b64encode(content).decode()}


def reference(
    number: int = 1, data: bytes = PDF, mime: str = "application/pdf", url: str = BINARY, **more: Any
) -> Json:
    """Comprehensive; an element given as None is left out."""
    made: Json = {
        "resourceType": "DocumentReference",
        "contained": [
            {
                "resourceType": "Practitioner",
                "id": "doctor",
                "identifier": [{"system": f"urn:oid:{FACILITY}.9", "value": "D1"}],
                "name": [{"family": "医師", "given": ["太郎"]}],
            },
            {
                "resourceType": "Patient",
                "id": "source",
                "identifier": [{"system": f"urn:oid:{FACILITY}", "value": TARO}],
                "name": [{"family": "見本", "given": ["結子"]}],
                "gender": "female",
                "birthDate": "1970-04-05",
            },
        ],
        "masterIdentifier": {"use": "usual", "system": "urn:ietf:rfc:3986", "value": f"urn:oid:{ARC}.1.{number}"},
        "status": "current",
        "type": code("57133-1", display="診療情報提供書"),
        "category": [code("57133-1", display="診療情報提供書")],
        "subject": SUBJECT,
        "author": [{"reference": "#doctor"}],
        "description": "紹介",
        "securityLabel": [code("N", "http://terminology.hl7.org/CodeSystem/v3-Confidentiality")],
        "content": [
            {
                "attachment": {
                    "contentType": mime,
                    "language": "ja-JP",
                    "url": url,
                    "size": len(data),
                    "hash": b64encode(hashlib.sha1(data).digest()).decode(),
                    "title": "紹介状",
                    "creation": "2026-01-02T10:00:00+09:00",
                },
                "format": {"system": f"{LOCAL}.3", "code": "ss-mix2-extended-file"},
            }
        ],
        "context": {
            "event": [code("referral", f"{LOCAL}.6")],
            "period": {"start": "2026-01-02", "end": "2026-01-02"},
            "facilityType": code("medical-institution", f"{LOCAL}.4"),
            "practiceSetting": code("01", "http://jami.jp/SS-MIX2/CodeSystem/ClinicalDepartment"),
            "sourcePatientInfo": {"reference": "#source"},
        },
    }
    return changed(made, more)


def submission_set(number: int = 1, *items: str, **more: Any) -> Json:
    made: Json = {
        "resourceType": "List",
        "extension": [
            {"url": f"{EXTENSION}sourceId", "valueIdentifier": {"value": f"urn:oid:{ARC}"}},
            {"url": f"{EXTENSION}designationType", "valueCodeableConcept": code("57133-1")},
        ],
        "identifier": [
            {"use": "official", "system": "urn:ietf:rfc:3986", "value": f"urn:uuid:11111111-2222-4333-8444-{number:012d}"},
            {"use": "usual", "system": "urn:ietf:rfc:3986", "value": f"urn:oid:{ARC}.2.{number}"},
        ],
        "status": "current",
        "mode": "working",
        "title": "紹介",
        "code": code("submissionset", "https://profiles.ihe.net/ITI/MHD/CodeSystem/MHDlistTypes"),
        "subject": SUBJECT,
        "date": "2026-01-02T10:05:00+09:00",
        "entry": [{"item": {"reference": one}} for one in items or (DOCUMENT,)],
    }  # fmt: skip
    return changed(made, more)


def folder(number: int = 1, *items: str, **more: Any) -> Json:
    made: Json = {
        "resourceType": "List",
        "extension": [{"url": f"{EXTENSION}designationType", "valueCodeableConcept": code("57133-1")}],
        "identifier": [{"use": "usual", "system": "urn:ietf:rfc:3986", "value": f"urn:oid:{ARC}.3.{number}"}],
        "status": "current",
        "mode": "working",
        "title": "紹介の書類",
        "code": code("folder", "https://profiles.ihe.net/ITI/MHD/CodeSystem/MHDlistTypes"),
        "subject": SUBJECT,
        "entry": [{"item": {"reference": one}} for one in items or (DOCUMENT,)],
    }
    return changed(made, more)


def changed(made: Json, more: Json) -> Json:
    return {name: value for name, value in {**made, **more}.items() if value is not None}


def entry(url: str, resource: Json, method: str = "POST") -> Json:
    return {"fullUrl": url, "resource": resource, "request": {"method": method, "url": resource["resourceType"]}}


def bundle(*entries: Json, level: str = "Comprehensive", **more: Any) -> Json:
    """With no entries: one document."""
    made: Json = {
        "resourceType": "Bundle",
        "meta": {"profile": [PROFILE.format(level)]},
        "type": "transaction",
        "entry": list(entries) or [entry(SET, submission_set()), entry(DOCUMENT, reference()), entry(BINARY, binary())],
    }
    return changed(made, more)
