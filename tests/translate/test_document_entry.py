"""Two entries and one association of a file: same facts, same bytes; codes from the tables; times in UTC."""

import hashlib
import uuid
from dataclasses import replace

import pytest

from gateway.codec import ebxml
from gateway.errors import BadInput
from gateway.model.code import Code
from gateway.model.document import RPLC, XFRM, Author
from gateway.model.identity import PatientId
from gateway.translate.document_entry import (
    DocumentSource,
    association_id,
    authors,
    entries,
    service_period,
)
from gateway.translate.xds_people import source_patient_info

FACILITY = "1.2.392.200119.99999.2"
SOURCE = DocumentSource(
    facility=FACILITY,
    key=("0001000052", "20111220", "OML-11", "000000011000354"),
    data_type="OML-11",
    timestamp="20111220073059123",
    message_time="2011-12-20T10:00:00+09:00",
    bundle=b'{"resourceType":"Bundle"}',
    original=b"MSH|^~\\&|",
    patient_id=PatientId("0001000052", FACILITY),
    department="01",
    service_start="2011-12-20",
    service_stop="2011-12-20T23:30:00+09:00",
)
LOINC = "2.16.840.1.113883.6.1"


def test_the_two_documents_and_their_association() -> None:
    bundle, original, xfrm = entries(SOURCE, repository="1.2.3")
    assert (bundle.mimeType, original.mimeType) == ("application/fhir+json", "application/hl7-v2")
    assert (xfrm.associationType, xfrm.sourceObject, xfrm.targetObject) == (XFRM, bundle.entryUUID, original.entryUUID)
    for entry, content in ((bundle, SOURCE.bundle), (original, SOURCE.original)):
        assert entry.hash == hashlib.sha1(content).hexdigest()
        assert entry.blob == hashlib.sha256(content).hexdigest()
        assert entry.size == len(content)
        assert entry.uniqueId == f"2.25.{uuid.UUID(entry.entryUUID).int}"
        assert (entry.repositoryUniqueId, entry.languageCode, entry.patientId) == ("1.2.3", "ja-JP", "")
        assert entry.sourcePatientId == f"0001000052^^^&{FACILITY}&ISO"
        assert len(entry.uniqueId) <= 64


def test_times_are_utc_and_a_day_stays_a_day() -> None:
    bundle, _, _ = entries(SOURCE, repository="1.2.3")
    assert bundle.creationTime == "20111219223059"
    assert (bundle.serviceStartTime, bundle.serviceStopTime) == ("20111220", "20111220143000")


def test_without_a_file_timestamp_the_message_time_counts() -> None:
    bundle, _, _ = entries(replace(SOURCE, timestamp=""), repository="1.2.3")
    assert bundle.creationTime == "20111220010000"
    with pytest.raises(BadInput):
        entries(replace(SOURCE, timestamp="", message_time=""), repository="1.2.3")


def test_same_facts_same_ids() -> None:
    assert entries(SOURCE, repository="1.2.3") == entries(replace(SOURCE), repository="1.2.3")


@pytest.mark.parametrize(
    "change",
    [
        {"facility": "1.2.9"},
        {"key": ("1", "20111220", "OML-11", "2")},
        {"timestamp": "20111220073059124"},
        {"bundle": b"{}", "original": b"MSH"},
    ],
)
def test_another_fact_another_id(change: dict[str, object]) -> None:
    before, after = entries(SOURCE, repository="1.2.3"), entries(replace(SOURCE, **change), repository="1.2.3")
    assert before[0].entryUUID != after[0].entryUUID
    assert before[1].entryUUID != after[1].entryUUID
    assert before[2].entryUUID != after[2].entryUUID


def test_a_new_translation_of_the_same_message_is_another_document_only_where_bytes_differ() -> None:
    before, after = entries(SOURCE, repository="1.2.3"), entries(replace(SOURCE, bundle=b"{}"), repository="1.2.3")
    assert before[0].uniqueId != after[0].uniqueId
    assert before[1] == after[1]


def test_association_ids_depend_on_type_and_direction() -> None:
    ids = {
        association_id(RPLC, "urn:uuid:a", "urn:uuid:b"),
        association_id(RPLC, "urn:uuid:b", "urn:uuid:a"),
        association_id(XFRM, "urn:uuid:a", "urn:uuid:b"),
    }
    assert len(ids) == 3
    assert all(id_.startswith("urn:uuid:") for id_ in ids)


# -- codes -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data_type", "type_code", "title"),
    [
        ("OML-11", Code("11502-2", LOINC, "検体検査報告書"), "検体検査結果"),
        ("OMP-01", Code("57833-6", LOINC, "処方箋"), "処方オーダ"),
        ("ADT-00", Code("ADT-00", "1.2.392.200119.99999.10.2", "患者基本情報"), "患者基本情報"),
        ("XYZ-99", Code("other", "1.2.392.200119.99999.10.2", "その他"), "診療情報"),
    ],
)
def test_type_and_title_by_data_type(data_type: str, type_code: Code, title: str) -> None:
    entry, _, _ = entries(replace(SOURCE, data_type=data_type), repository="1.2.3")
    assert (entry.typeCode, entry.title) == (type_code, title)


def test_the_data_type_itself_can_be_asked_for() -> None:
    assert [code.code for code in entries(SOURCE, repository="1.2.3")[0].eventCodeList] == ["OML-11"]
    assert entries(replace(SOURCE, data_type="XYZ-99"), repository="1.2.3")[0].eventCodeList == ()


@pytest.mark.parametrize(
    ("department", "code"),
    [
        ("01", Code("01", "urn:oid:1.2.392.200250.2.2.2")),
        ("-", Code("unknown", "1.2.392.200119.99999.10.5", "診療科不明")),
        ("", Code("unknown", "1.2.392.200119.99999.10.5", "診療科不明")),
    ],
)
def test_practice_setting_is_the_department_or_says_unknown(department: str, code: Code) -> None:
    assert entries(replace(SOURCE, department=department), repository="1.2.3")[0].practiceSettingCode == code


# -- from resources ----------------------------------------------------------------------------------------------


def test_the_service_period_spans_all_dates() -> None:
    resources = [
        {"resourceType": "Patient", "birthDate": "1950-01-01"},
        {"resourceType": "Observation", "effectiveDateTime": "2011-12-20T10:00:00+09:00"},
        {"resourceType": "DiagnosticReport", "effectivePeriod": {"start": "2011-12-19", "end": "2011-12-20T01:30:00Z"}},
        {"resourceType": "MedicationRequest", "authoredOn": "2011-12-20"},
        {"resourceType": "Encounter", "period": {"start": "2011-12-21T00:00:00+09:00"}},
        {"resourceType": "Provenance", "recorded": "2030-01-01T00:00:00Z"},
    ]
    assert service_period(resources) == ("2011-12-19", "2011-12-20")
    assert service_period(resources[:2]) == ("2011-12-20T10:00:00+09:00",) * 2
    assert service_period(resources[:1]) == ("", "")


def test_source_patient_info_from_a_patient() -> None:
    patient = {
        "name": [
            {"text": "結び　太郎", "family": "結び", "given": ["太郎", "二"]},
            {"text": "ムスビ タロウ"},
            {},
        ],
        "birthDate": "1950-02-03",
        "gender": "male",
        "address": [
            {"text": "東京都|千代田区", "postalCode": "100-0001", "country": "JP"},
            {"line": ["1-1", "2"], "city": "A"},
        ],
    }
    assert source_patient_info(PatientId("1", "1.2"), patient) == (
        "PID-3|1^^^&1.2&ISO",
        "PID-5|結び^太郎^二",
        "PID-5|ムスビ タロウ",
        "PID-7|19500203",
        "PID-8|M",
        "PID-11|東京都\\F\\千代田区^^^^100-0001^JP",
        "PID-11|1-1 2^^A",
    )
    assert source_patient_info(PatientId("1", "1.2"), None) == ("PID-3|1^^^&1.2&ISO",)
    assert source_patient_info(PatientId("1", "1.2"), {}) == ("PID-3|1^^^&1.2&ISO",)


def test_a_value_that_ebrim_cannot_carry_is_left_out_whole() -> None:
    patient = {"address": [{"text": "あ" * 300}], "gender": "female"}
    info = source_patient_info(PatientId("1", "1.2"), patient)
    assert info == ("PID-3|1^^^&1.2&ISO", "PID-8|F")
    source = replace(SOURCE, source_patient_info=info, author=(Author("1^鈴木"),))
    assert b"\xe9\x88\xb4" in ebxml.render_extrinsic(entries(source, repository="1.2.3")[0])


# -- authors -----------------------------------------------------------------------------------------------------


def doctor(id_: str = "d1", **more: object) -> dict[str, object]:
    identifier = {"system": "urn:oid:1.2.392.100495.20.3.41.11310000001", "value": "607"}
    name = {"family": "医師", "given": ["一郎"], "text": "医師 一郎"}
    return {"resourceType": "Practitioner", "id": id_, "identifier": [identifier], "name": [name], **more}


def test_the_doctor_who_ordered_is_the_author_of_the_order() -> None:
    order = {"resourceType": "MedicationRequest", "requester": {"reference": "Practitioner/d1"}}
    assert authors([doctor(), order, order], "東京総合病院", "1.2.3") == (
        Author("607^医師^一郎^^^^^^&1.2.392.100495.20.3.41.11310000001&ISO", ("東京総合病院^^^^^^^^^1.2.3",)),
    )


@pytest.mark.parametrize(
    ("more", "xcn"),
    [
        ({"identifier": []}, "医師^一郎"),
        ({"name": []}, "607^^^^^^^^&1.2.392.100495.20.3.41.11310000001&ISO"),
        (
            {"name": [{"text": "医師^一郎"}], "identifier": [{"system": "https://x.invalid/staff", "value": "6"}]},
            "6^医師\\S\\一郎",
        ),
        ({"name": [{"text": "長" * 300}]}, ""),
    ],
)
def test_what_is_known_of_a_doctor(more: dict[str, object], xcn: str) -> None:
    order = {"resourceType": "ServiceRequest", "requester": {"reference": "Practitioner/d1"}}
    found = authors([order, doctor(**more)], "", "1.2.3")
    assert [one.person.lstrip("^") for one in found] == ([xcn] if xcn else [])


def test_who_ordered_a_test_did_not_write_its_result() -> None:
    result = [
        {"resourceType": "Observation", "performer": [{"reference": "Practitioner/d1"}]},
        {"resourceType": "Encounter", "participant": [{"individual": {"reference": "Practitioner/d1"}}]},
    ]
    assert authors([doctor(), *result], "", "1.2.3") == ()
    assert authors([doctor(), *result], "病院", "1.2.3") == (Author(institution=("病院^^^^^^^^^1.2.3",)),)
    report = {"resourceType": "DiagnosticReport", "resultsInterpreter": [{"reference": "Practitioner/d1"}]}
    assert authors([doctor(), report], "", "1.2.3")[0].person.startswith("607^")
    assert authors([{"resourceType": "ServiceRequest", "requester": {"display": "x"}}], "", "1.2.3") == ()


def test_what_is_labelled_in_the_bundle_labels_its_documents() -> None:
    label = b'{"meta":{"security":[{"system":"http://terminology.hl7.org/CodeSystem/v3-Confidentiality","code":"V"}]}}'
    plain, original, _ = entries(SOURCE, repository="1.2")
    assert {plain.confidentialityCode[0].code, original.confidentialityCode[0].code} == {"N"}
    hidden, source, _ = entries(replace(SOURCE, bundle=label), repository="1.2")
    assert {hidden.confidentialityCode[0].code, source.confidentialityCode[0].code} == {"V"}
