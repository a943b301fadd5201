"""SubmissionSet and Folder as List: what stands in them, and what is absent because the registry does not know it."""

import pytest

from gateway.model.code import Code
from gateway.model.document import APPROVED, DEPRECATED, Author, Folder, SubmissionSet
from gateway.translate.document_list import (
    AUTHOR_ORGANIZATION,
    DESIGNATION,
    RECIPIENT,
    SOURCE_ID,
    folder_list,
    submission_list,
)
from gateway.translate.document_reference import Place

ID = "00000000-0000-4000-8000-00000000000a"
PLACE = Place("http://a/fhir", "urn:oid:1.2", {"reference": "Patient/p"})
SET = SubmissionSet(
    entryUUID=f"urn:uuid:{ID}", uniqueId="1.2.9", patientId="1^^^&1.2&ISO", sourceId="1.2.3",
    submissionTime="20260102030405", contentTypeCode=Code("57133-1", "2.16.840.1.113883.6.1", "x"),
    author=(Author(person="1^山田"), Author(person="2^川田")), title="t", comments="c",
    intendedRecipient=("病院^^^^^^^^^1.2.3|9^佐藤|^^Internet^a@b", "||"),
)  # fmt: skip


def urls(made: dict[str, list[dict[str, str]]]) -> list[str]:
    return [one["url"] for one in made["extension"]]


def test_a_submission_set() -> None:
    made = submission_list(SET, PLACE, ["urn:uuid:d"], ["urn:uuid:f"])
    assert made["id"] == ID and made["status"] == "current" and made["date"] == "2026-01-02T03:04:05+00:00"
    assert made["meta"]["profile"][0].endswith("IHE.MHD.Comprehensive.SubmissionSet")
    assert {DESIGNATION, SOURCE_ID, RECIPIENT} <= set(urls(made)) and urls(made).count(RECIPIENT) == 1
    assert [one["item"]["reference"] for one in made["entry"]] == ["DocumentReference/d", "List/f"]
    assert len(made["contained"]) == 3  # two authors, one recipient; R4 refers to the first author
    assert list(made)[:4] == ["resourceType", "id", "meta", "contained"]


def test_what_is_not_known_is_absent() -> None:
    bare = SubmissionSet(
        entryUUID=f"urn:uuid:{ID}", uniqueId="1.2.9", patientId="", sourceId="1.2.3", submissionTime="",
        contentTypeCode=Code("", "", ""), availabilityStatus=DEPRECATED,
    )  # fmt: skip
    made = submission_list(bare, Place("http://a", "", {}))
    assert made["status"] == "retired" and made["meta"]["profile"][0].endswith("Minimal.SubmissionSet")
    assert not {"subject", "date", "source", "entry", "contained", "title", "note"} & set(made)


def test_an_organization_as_author() -> None:
    only = SubmissionSet(
        entryUUID=f"urn:uuid:{ID}", uniqueId="1", patientId="", sourceId="1.2", submissionTime="",
        contentTypeCode=Code("", "", ""), author=(Author(institution=("病院",)),),
    )  # fmt: skip
    assert submission_list(only, PLACE)["source"]["extension"][0]["url"] == AUTHOR_ORGANIZATION


@pytest.mark.parametrize(("title", "level"), [("t", "Comprehensive"), ("", "Minimal")])
def test_a_folder(title: str, level: str) -> None:
    one = Folder(
        entryUUID=f"urn:uuid:{ID}", uniqueId="1.2.9", patientId="1^^^&1.2&ISO", title=title,
        codeList=(Code("a", "1.2.3", "A"), Code("b", "1.2.3", "B")), availabilityStatus=APPROVED,
    )  # fmt: skip
    made = folder_list(one, PLACE, ["urn:uuid:d"])
    assert made["meta"]["profile"][0].endswith(f"{level}.Folder") and urls(made).count(DESIGNATION) == 2
    assert made["code"]["coding"][0]["code"] == "folder" and len(made["entry"]) == 1
