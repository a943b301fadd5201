"""A DocumentEntry as DocumentReference: what stands in it, which profile it declares, and the forms of its ids."""

from dataclasses import replace
from typing import Any

import pytest

from gateway.model.code import Code
from gateway.model.document import APND, DEPRECATED, HAS_MEMBER, RPLC, Author, DocumentEntry
from gateway.translate.document_reference import (
    Place,
    Relation,
    document_reference,
    entry_uuid,
    unique_id_of,
    unique_identifier,
)

ID = "00000000-0000-4000-8000-00000000000a"
CODE = Code("57133-1", "2.16.840.1.113883.6.1", "x")
PLACE = Place("http://a/fhir", "urn:oid:1.2", {"reference": "Patient/p"})
ENTRY = DocumentEntry(
    entryUUID=f"urn:uuid:{ID}", uniqueId="1.2.9", patientId="1^^^&1.2&ISO", sourcePatientId="7^^^&1.3&ISO",
    mimeType="application/pdf", classCode=CODE, typeCode=CODE, formatCode=CODE, healthcareFacilityTypeCode=CODE,
    practiceSettingCode=CODE, confidentialityCode=(Code("N", "2.16.840.1.113883.5.25", "n"),),
    creationTime="20260102030405", languageCode="ja-JP", repositoryUniqueId="1.2.3",
    hash="da39a3ee5e6b4b0d3255bfef95601890afd80709", size=12, blob="", title="t", author=(Author(person="1^山田"),),
)  # fmt: skip


def shown(**more: Any) -> dict[str, Any]:
    return document_reference(replace(ENTRY, **more), PLACE)


def test_a_whole_entry() -> None:
    made = shown()
    assert made["id"] == ID and made["status"] == "current" and made["subject"] == PLACE.subject
    assert made["meta"]["profile"] == [
        "https://profiles.ihe.net/ITI/MHD/StructureDefinition/IHE.MHD.Comprehensive.DocumentReference"
    ]
    attachment = made["content"][0]["attachment"]
    assert attachment["hash"] == "2jmj7l5rSw0yVb/vlWAYkK/YBwk=" and attachment["size"] == 12
    assert attachment["contentType"] == "application/pdf" and attachment["language"] == "ja-JP"
    assert made["type"]["coding"][0] == {"system": "http://loinc.org", "code": "57133-1", "display": "x"}


@pytest.mark.parametrize("gone", ["typeCode", "formatCode", "practiceSettingCode", "healthcareFacilityTypeCode"])
def test_an_entry_that_says_too_little_is_a_minimal_one(gone: str) -> None:
    made = shown(**{gone: Code("", "", "")})
    assert made["meta"]["profile"][0].endswith("IHE.MHD.Minimal.DocumentReference")


def test_what_is_not_known_is_absent() -> None:
    made = shown(author=(), creationTime="", title="", size=-1, hash="")
    assert not {"author", "date", "relatesTo", "authenticator"} & set(made)
    assert not {"title", "creation"} & set(made["content"][0]["attachment"])


def test_relations() -> None:
    relations = [Relation(RPLC, "urn:uuid:o"), Relation(APND, "urn:uuid:p"), Relation(RPLC, "urn:uuid:q")]
    made = document_reference(replace(ENTRY, availabilityStatus=DEPRECATED), PLACE, relations)
    assert made["status"] == "superseded"
    assert [(one["code"], one["target"]["reference"]) for one in made["relatesTo"]] == [
        ("replaces", "DocumentReference/o"), ("appends", "DocumentReference/p"), ("replaces", "DocumentReference/q"),
    ]  # fmt: skip
    assert HAS_MEMBER not in str(made)


@pytest.mark.parametrize("unique_id", ["1.2.9", "1.2.9^12"])
def test_a_unique_id_comes_back(unique_id: str) -> None:
    assert unique_id_of(unique_identifier(unique_id)) == unique_id


@pytest.mark.parametrize("identifier", [{}, {"system": "http://x", "value": "1"}, {"value": "1"}])
def test_an_identifier_that_xds_has_no_form_for(identifier: dict[str, str]) -> None:
    assert unique_id_of(identifier) == ""


@pytest.mark.parametrize(("id_", "uuid"), [(ID, f"urn:uuid:{ID}"), (ID.replace("-", ""), ""), ("x", ""), ("", "")])
def test_a_logical_id(id_: str, uuid: str) -> None:
    assert entry_uuid(id_) == uuid
