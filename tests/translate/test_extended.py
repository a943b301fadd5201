"""Documents of the extended storage: what a content folder's files become."""

import base64
import hashlib
from typing import Any

import pytest

from gateway.codec.ssmix2 import extended_type
from gateway.model.code import Code
from gateway.profiles.validator import Validator
from gateway.translate.affinity_domain import folder_codes
from gateway.translate.converted import Converted
from gateway.translate.sources import choose, read_file
from tests.codec.test_cda import CDA
from tests.translate.messages import FACILITIES, OID, codes, er7, only

NUMBER = "0000012345"
TYPE = "^（経過記録）^^11506-3^経過記録^LN"
FOLDER = f"{NUMBER}_20240601_{TYPE}_000000000000777_20240601120000123_01_1"
ROOT = f"1310000001/000/001/{NUMBER}/20240601"
PDF = b"%PDF-1.7 report"


def at(file: str = "report.pdf", data: bytes = PDF, folder: str = FOLDER, type_: str = TYPE) -> Converted:
    (made,) = read_file(data, f"/storage/{ROOT}/{type_}/{folder}/{file}", FACILITIES)
    return made


def reference(one: Converted) -> dict[str, Any]:
    return only(one, "DocumentReference")


def test_a_file_becomes_a_reference_a_number_and_a_provenance() -> None:
    one = at()
    assert one.error is None and one.rejected is None and one.source == "ss-mix2-document"
    assert one.key == (NUMBER, "20240601", TYPE, "000000000000777/report.pdf")
    assert (one.facility, one.version_time, one.flag) == (OID, "20240601120000123", "1")
    assert {r["resourceType"] for r in one.resources} == {"Patient", "DocumentReference", "Provenance"}
    patient = only(one, "Patient")
    assert [i["value"] for i in patient["identifier"]] == [NUMBER]
    assert not {"name", "birthDate", "gender"} & patient.keys()


def test_the_reference_says_what_the_folder_says() -> None:
    made = reference(at())
    assert made["status"] == "current"
    assert made["type"] == {"coding": [{"system": "http://loinc.org", "code": "11506-3"}], "text": "（経過記録）"}
    assert made["category"] == [{"coding": [{"system": "http://loinc.org", "code": "11506-3"}], "text": "経過記録"}]
    assert made["date"] == "2024-06-01T12:00:00.123+09:00"
    assert made["context"]["period"] == {"start": "2024-06-01", "end": "2024-06-01"}
    assert made["context"]["practiceSetting"]["coding"][0]["code"] == "01"
    (content,) = made["content"]
    attachment = content["attachment"]
    assert attachment["contentType"] == "application/pdf" and attachment["size"] == len(PDF)
    assert base64.b64decode(attachment["hash"]) == hashlib.sha1(PDF).digest()
    assert attachment["title"] == "report.pdf" and "url" not in attachment and "data" not in attachment


def test_the_resources_are_valid() -> None:
    check = Validator.default().check
    for one in (at(), at("x.xml", CDA.encode()), at("x.bin", b"")):
        for made in one.resources:
            assert [f for f in check(made) if f.severity in ("error", "fatal")] == []


def test_files_of_one_folder_are_documents_of_their_own_with_one_identifier() -> None:
    first, second = at("a.pdf"), at("b.pdf")
    assert reference(first)["id"] != reference(second)["id"]
    shared = [reference(one)["identifier"][1] for one in (first, second)]
    assert shared[0] == shared[1] and shared[0]["value"].endswith("_000000000000777")


def test_the_version_changes_no_id_and_neither_does_the_flag() -> None:
    newer = FOLDER.replace("20240601120000123_01_1", "20240602090000000_02_2")
    one, other = at(), at(folder=newer, data=PDF + b"2")
    assert one.key == other.key and reference(one)["id"] == reference(other)["id"]
    assert other.flag == "2" and other.version_time == "20240602090000000"
    assert reference(one)["masterIdentifier"] != reference(other)["masterIdentifier"]


def test_a_file_named_after_its_folder_is_the_same_document_in_every_version() -> None:
    newer = FOLDER.replace("20240601120000123_01_1", "20240602090000000_01_1")
    assert at(f"{FOLDER}.xml", CDA.encode()).key == at(f"{newer}.xml", CDA.encode(), newer).key


@pytest.mark.parametrize(
    ("file", "part"),
    [
        (FOLDER, "file"),
        (f"{FOLDER[:-1]}2", "file"),
        (f"{FOLDER[:-1]}0.xml", "xml"),
        (f"{FOLDER}_2.xml", "2.xml"),
        ("20240601120000123_report.pdf", "report.pdf"),
        ("2024.pdf", "2024.pdf"),
    ],
)
def test_what_a_file_name_repeats_of_its_folder_is_not_part_of_the_key(file: str, part: str) -> None:
    assert at(file).key[3] == f"000000000000777/{part}"


def test_folders_below_the_content_folder_belong_to_it() -> None:
    one = at("images/1.jpg", b"\xff\xd8\xff\xe0")
    assert one.key[3] == "000000000000777/images/1.jpg" and one.facility == OID


@pytest.mark.parametrize("order", ["777", "000000000000777", "0000000000777"])
def test_padding_of_the_key_does_not_matter(order: str) -> None:
    assert at(folder=FOLDER.replace("000000000000777", order)).key[3] == "000000000000777/report.pdf"


def test_a_name_of_six_parts_without_department() -> None:
    one = at(folder=FOLDER.replace("_01_1", "_1"))
    assert one.key == at().key and "practiceSetting" not in reference(one)["context"]


def test_a_single_file_with_the_name_of_a_document_and_an_extension() -> None:
    path = f"/storage/{ROOT}/{TYPE}/{FOLDER}.pdf"
    (one,) = read_file(PDF, path, FACILITIES)
    assert one.error is None and one.key[3] == "000000000000777/pdf" and one.flag == "1"


@pytest.mark.parametrize(
    ("type_", "coding", "text"),
    [
        ("^（サマリ）^^18842-5^退院時サマリー^LN", [("http://loinc.org", "18842-5")], "（サマリ）"),
        ("^^^57133-1^^LN", [("http://loinc.org", "57133-1")], "診療情報提供書"),
        ("^^^34133-9^Summary^LN", [("http://loinc.org", "34133-9")], "Summary"),
        ("D1^看護記録^99ABC", [(f"https://musubi.invalid/{OID}/document-type/99ABC", "D1")], "看護記録"),
        (
            "D1^看護記録^99ABC^34112-3^入院^LN",
            [("http://loinc.org", "34112-3"), (f"https://musubi.invalid/{OID}/document-type/99ABC", "D1")],
            "看護記録",
        ),
        ("^手書き^^^^", [], "手書き"),
    ],
)
def test_types_as_their_folders_name_them(type_: str, coding: list[tuple[str, str]], text: str) -> None:
    made = reference(at(folder=FOLDER.replace(TYPE, type_), type_=type_))["type"]
    assert [(one["system"], one["code"]) for one in made.get("coding", [])] == coding
    assert made["text"] == text


def test_a_folder_name_that_shortens_the_type_is_no_conflict() -> None:
    one = at(folder=FOLDER.replace(TYPE, "11506-3"))
    assert one.data_type == TYPE and "path-conflict" not in codes(one)
    assert "path-conflict" in codes(at(folder=FOLDER.replace(TYPE, "99999-9")))


def test_a_cda_of_another_patient_is_quarantined() -> None:
    assert at("x.xml", CDA.encode()).rejected is None
    wrong = at("x.xml", CDA.replace(NUMBER, "0000099999").encode())
    assert wrong.rejected is not None and wrong.rejected.code == "patient-mismatch"
    assert "99999" not in wrong.rejected.text


@pytest.mark.parametrize(
    "data",
    [
        CDA.replace(f'extension="{NUMBER}"', "").replace('extension="M-1"', ""),
        CDA.partition("<recordTarget>")[0],
        CDA.replace("<Clin", "<!DOCTYPE x><Clin", 1),
    ],
)
def test_a_cda_that_does_not_say_whose_it_is_is_kept_and_told_of(data: str) -> None:
    one = at("x.xml", data.encode())
    assert one.rejected is None and "cda-patient-unknown" in codes(one)


def test_the_title_of_a_cda_is_its_own() -> None:
    content = reference(at("x.xml", CDA.encode()))["content"][0]
    assert content["attachment"]["title"] == "退院時サマリー"
    assert content["attachment"]["creation"] == "2024-06-01T12:00:00+09:00"
    assert content["format"]["code"] == "hl7-cda-r2"


@pytest.mark.parametrize(
    ("file", "data", "code"),
    [("a.jpg", PDF, "mime-conflict"), ("a.pdf", b"", "empty-document")],
)
def test_odd_files_are_kept_and_told_of(file: str, data: bytes, code: str) -> None:
    one = at(file, data)
    assert one.rejected is None and code in codes(one)


def test_the_message_of_a_content_folder_has_the_folder_s_key() -> None:
    type_ = "L-OBSERVATIONS^OBSERVATIONS^99ZL01"
    folder = FOLDER.replace(TYPE, type_)
    message = er7("ORU^R30", "OBR|1|||x", pid=f"PID|1||{NUMBER}^^^^PI")
    one = at("main_document.hl7", message, folder, type_)
    assert one.source == "ss-mix2" and one.document is None
    assert one.key == (NUMBER, "20240601", type_, "000000000000777") and one.data_type == type_
    assert (one.flag, one.version_time) == ("1", "20240601120000123")
    other = at("other.hl7", message, folder, type_)
    assert other.key[3] == "000000000000777/other.hl7"


def test_a_broken_message_of_a_content_folder_is_no_document() -> None:
    one = at("main_document.hl7", b"")
    assert one.error is not None and one.error.code == "not-hl7"


def test_a_document_outside_any_content_folder_is_none() -> None:
    assert choose(PDF, "/storage/letter.pdf").name == "ss-mix2"
    (one,) = read_file(PDF, "/storage/letter.pdf", FACILITIES, source="ss-mix2-document")
    assert one.error is not None and one.error.code == "not-a-document"


def test_codes_of_the_registry() -> None:
    def said(type_: str) -> tuple[Code, Code, str]:
        return folder_codes(extended_type(type_))

    loinc = "2.16.840.1.113883.6.1"
    assert said(TYPE) == (Code("11506-3", loinc, "経過記録"), Code("11506-3", loinc, "経過記録"), "（経過記録）")
    class_code, type_code, title = said("D1^看護記録^99ABC")
    assert (class_code.code, type_code, title) == ("other", Code("D1", "99ABC", "看護記録"), "看護記録")
    assert said("^^^^^")[2] == "診療情報"
