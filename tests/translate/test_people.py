"""gateway/translate/people.py: Patient, Practitioner, Organization."""

from typing import Any

import pytest

from gateway.model.identity import Authority, PatientId
from gateway.translate.context import Facilities
from tests.translate.messages import (
    HOSPITAL,
    INSTITUTION,
    INSURER,
    MEDICAL_ID,
    OID,
    codes,
    every,
    only,
    places,
    read,
    residue,
    sources,
    unmapped,
)

NUMBERS = f"urn:oid:1.2.392.100495.20.3.51.1{INSTITUTION}"
STAFF = f"urn:oid:1.2.392.100495.20.3.41.1{INSTITUTION}"


def pid(**fields: str) -> str:
    """PID from `f3=...`; the number and nothing else by default."""
    numbered = {3: "0000012345", **{int(name[1:]): value for name, value in fields.items()}}
    return "|".join(["PID", *(numbered.get(n, "") for n in range(1, max(numbered) + 1))])


def patient(**fields: str) -> dict[str, Any]:
    return only(read("ADT-12", pid=pid(**fields)), "Patient")


# -- PID-3 ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "sent", ["0000012345", "0000012345^^^^PI", "0000012345^^^TOKYO-HP^PI", f"0000012345^^^&{OID}&ISO"]
)
def test_the_facilitys_number_is_the_medical_record_number(sent: str) -> None:
    identifier = {
        "type": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": "MR"}]},
        "system": NUMBERS,
        "value": "0000012345",
    }
    assert patient(f3=sent)["identifier"] == [identifier]


@pytest.mark.parametrize(
    ("authority", "system", "shared", "assigner", "left"),
    [
        (f"MEDICAL-ID&{MEDICAL_ID}&ISO", f"urn:oid:{MEDICAL_ID}", MEDICAL_ID, None, {}),
        ("MEDICAL-ID", f"urn:oid:{MEDICAL_ID}", MEDICAL_ID, None, {}),
        (f"&{MEDICAL_ID}&ISO", f"urn:oid:{MEDICAL_ID}", MEDICAL_ID, None, {}),
        (f"OTHER-NAME&{MEDICAL_ID}&ISO", f"urn:oid:{MEDICAL_ID}", MEDICAL_ID, "OTHER-NAME", {}),
        ("REGION&1.2.3.4&ISO", "urn:oid:1.2.3.4", "1.2.3.4", "REGION", {}),
        ("REGION", f"https://musubi.invalid/{OID}/authority/REGION", None, None, {}),
        ("REGION&x&L", f"https://musubi.invalid/{OID}/authority/REGION&x&L", None, None, {}),
        ("MEDICAL-ID&x&L", f"urn:oid:{MEDICAL_ID}", MEDICAL_ID, None, {"PID[1]-3.4": "x L"}),
    ],
)
def test_a_shared_id_stands_under_its_authority(
    authority: str, system: str, shared: str | None, assigner: str | None, left: dict[str, str]
) -> None:
    converted = read("ADT-12", pid=pid(f3=f"0000012345^^^^PI~9900000000000017^^^{authority}^JHN"))
    first, second = only(converted, "Patient")["identifier"]
    assert first["system"] == NUMBERS
    expected: dict[str, Any] = {"system": system, "value": "9900000000000017"}
    if assigner:
        expected["assigner"] = {"display": assigner}
    assert second == expected
    ids = converted.translated.person.ids
    assert ids == (PatientId("0000012345", OID), *([PatientId("9900000000000017", shared)] if shared else []))
    assert residue(converted) == left
    assert "PID[1]-3.5" in unmapped(converted)


def test_the_local_number_is_the_one_without_an_authority_wherever_it_stands() -> None:
    converted = read("ADT-12", pid=pid(f3="99^^^MEDICAL-ID~0000012345^^^^PI"))
    assert converted.patient_id == PatientId("0000012345", OID)
    assert "patient-mismatch" not in codes(converted)


def test_a_repetition_without_a_number_is_residue() -> None:
    converted = read("ADT-12", pid=pid(f3="0000012345^^^^PI~^^^MEDICAL-ID"))
    assert len(only(converted, "Patient")["identifier"]) == 1
    assert residue(converted) == {"PID[1]-3.4": "MEDICAL-ID"}


@pytest.mark.parametrize("number", ["", '""', "   ", "^^^^PI"])
def test_no_patient_number_rejects_the_message(number: str) -> None:
    converted = read("ADT-12", pid=pid(f3=number))
    assert converted.error is not None and converted.error.code == "no-patient"
    assert converted.resources == ()


def test_two_patients_in_a_message_reject_it() -> None:
    converted = read("ADT-12", pid(f3="0000012345"))
    assert converted.error is not None and converted.error.code == "several-patients"


def test_another_number_than_that_of_the_file_is_quarantine() -> None:
    converted = read("ADT-12", pid=pid(f3="9999999999"))
    assert converted.rejected is not None and converted.rejected.code == "patient-mismatch"
    assert places(converted, "patient-mismatch") == ["PID[1]-3"]


def test_a_facility_without_institution_number_has_a_system_all_the_same() -> None:
    facilities = Facilities([Authority("1.2.3", "TOKYO-HP")])
    converted = read("ADT-12", facilities=facilities)
    assert only(converted, "Patient")["identifier"][0]["system"] == "urn:oid:1.2.3"


# -- the rest of PID --------------------------------------------------------------------------------------------------


def test_kanji_kana_and_romaji_are_one_name_each() -> None:
    names = patient(f5="見本^結子^^^^^L^I~ミホン^ユイコ^^^^^L^P~Mihon^Yuiko^^^^^L^A")["name"]
    assert [name["extension"][0]["valueCode"] for name in names] == ["IDE", "SYL", "ABC"]
    assert [name["text"] for name in names] == ["見本 結子", "ミホン ユイコ", "Mihon Yuiko"]


@pytest.mark.parametrize(
    ("sent", "gender"),
    [
        ("M", "male"),
        ("F", "female"),
        ("O", "other"),
        ("U", "unknown"),
        ("A", "other"),
        ("N", "unknown"),
        ("F^女", "female"),
    ],
)
def test_gender(sent: str, gender: str) -> None:
    assert patient(f8=sent)["gender"] == gender


def test_shifted_fields_are_reported_and_never_become_a_gender() -> None:
    converted = read("ADT-12", pid=pid(f7="M", f8="19470515"))
    made = only(converted, "Patient")
    assert "gender" not in made and "birthDate" not in made
    assert places(converted, "code-unknown") == ["PID[1]-8"]
    assert places(converted, "bad-date") == ["PID[1]-7"]
    assert residue(converted) == {"PID[1]-7": "M", "PID[1]-8": "19470515"}


@pytest.mark.parametrize(
    ("when", "indicator", "expected"),
    [
        ("20240510093000", "Y", {"deceasedDateTime": "2024-05-10T09:30:00+09:00"}),
        ("20240510", "", {"deceasedDateTime": "2024-05-10"}),
        ("", "Y", {"deceasedBoolean": True}),
        ("", "N", {"deceasedBoolean": False}),
        ("00000000", "Y", {"deceasedBoolean": True}),
        ('""', "Y", {"deceasedBoolean": True}),
        ("20240510", "N", {"deceasedDateTime": "2024-05-10"}),
        ("", "X", {}),
    ],
)
def test_death_is_said_once_and_never_lost(when: str, indicator: str, expected: dict[str, Any]) -> None:
    made = patient(f29=when, f30=indicator)
    assert {key: value for key, value in made.items() if key.startswith("deceased")} == expected


def test_alive_with_a_time_of_death_is_a_conflict() -> None:
    converted = read("ADT-12", pid=pid(f29="20240510", f30="N"))
    assert places(converted, "deceased-conflict") == ["PID[1]-30"]
    assert residue(converted) == {"PID[1]-30": "N"}


def test_the_indicator_beside_a_time_of_death_is_accounted_for() -> None:
    assert "PID[1]-30" in unmapped(read("ADT-12", pid=pid(f29="20240510", f30="Y")))


def test_fields_of_pid_no_row_takes_are_residue() -> None:
    converted = read("ADT-12", pid=pid(f2="old", f10="2106-3", f19="123"))
    assert residue(converted) == {"PID[1]-2": "old", "PID[1]-10": "2106-3", "PID[1]-19": "123"}


# -- next of kin ------------------------------------------------------------------------------------------------------


def test_next_of_kin() -> None:
    converted = read(
        "ADT-00",
        "NK1|1|見本^太郎^^^^^L^I~ミホン^タロウ^^^^^L^P|SPO^夫^HL70063|^^^^^JPN^H^架空区|^PRN^PH^^^^^^^^^03-1|03-2|||||||架空商事^L",
    )
    (contact,) = only(converted, "Patient")["contact"]
    assert contact["name"]["text"] == "見本 太郎"
    assert contact["relationship"] == [
        {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0063", "code": "SPO"}], "text": "夫"}
    ]
    assert contact["address"]["text"] == "架空区"
    assert [(point["value"], point.get("use")) for point in contact["telecom"]] == [("03-1", "home"), ("03-2", "work")]
    assert contact["organization"] == {"display": "架空商事"}
    assert residue(converted) == {"NK1[1]-2": "ミホン^タロウ^^^^^L^P"}
    assert "NK1[1]-13.2" in unmapped(converted)
    patient_id = only(converted, "Patient")["id"]
    assert {entry.target for entry in converted.translated.lineage if entry.source.startswith("NK1")} == {
        f"Patient/{patient_id}.contact.{rest}"
        for rest in ("name", "relationship[]", ".", "telecom[]", "organization.display")
    }


def test_a_bare_relationship_code_is_one_of_table_0063() -> None:
    (contact,) = only(read("ADT-00", "NK1|1||SPO"), "Patient")["contact"]
    assert contact == {
        "relationship": [{"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0063", "code": "SPO"}]}]
    }


@pytest.mark.parametrize("code", ["SEL", "SEL^本人^HL70063"])
def test_the_patient_himself_is_no_contact_and_his_work_is_his(code: str) -> None:
    nk1 = (
        f"NK1|1|見本^結子^^^^^L^I|{code}|^^^^1050003^JPN^B^東京都港区架空町１|^PRN^PH^^^^^^^^^03-1|"
        "^WPN^PH^^^^^^^^^03-2|||||||架空商事^D"
    )
    own = pid(f5="見本^結子^^^^^L^I", f11="^^^^1000001^JPN^H^東京都", f13="^PRN^PH^^^^^^^^^03-1")
    converted = read("ADT-00", nk1, pid=own)
    patient = only(converted, "Patient")
    assert "contact" not in patient
    assert [name["text"] for name in patient["name"]] == ["見本 結子"]
    assert [(one["use"], one["text"]) for one in patient["address"]] == [
        ("home", "東京都"), ("work", "東京都港区架空町１"),
    ]  # fmt: skip
    assert [(one["use"], one["value"]) for one in patient["telecom"]] == [("home", "03-1"), ("work", "03-2")]
    assert residue(converted) == {"NK1[1]-13": "架空商事^D"}
    assert "NK1[1]-3" in unmapped(converted)
    assert {"NK1[1]-2", "NK1[1]-4", "NK1[1]-5", "NK1[1]-6"} <= sources(converted)


def test_an_unknown_relationship_is_a_local_code_with_an_issue() -> None:
    converted = read("ADT-00", "NK1|1||ZZ^妻^HL70063")
    (contact,) = only(converted, "Patient")["contact"]
    assert contact["relationship"][0]["coding"][0]["system"].startswith("https://musubi.invalid/")
    assert places(converted, "code-label-mismatch") == ["NK1[1]-3"]


def test_a_next_of_kin_without_content_is_no_contact() -> None:
    assert "contact" not in only(read("ADT-00", "NK1|1"), "Patient")


@pytest.mark.parametrize(("db1", "value"), [("DB1|1|PT||Y", "Y"), ("DB1|1|PT||N", "N")])
def test_a_disability_is_an_extension(db1: str, value: str) -> None:
    (extension,) = only(read("ADT-00", db1), "Patient")["extension"]
    assert extension["url"] == "http://hl7.org/fhir/StructureDefinition/patient-disability"
    assert extension["valueCodeableConcept"]["coding"][0]["code"] == value


@pytest.mark.parametrize("data_type", ["ADT-12", "ADT-22"])
def test_a_disability_is_told_with_a_visit_too(data_type: str) -> None:
    converted = read(data_type, "PV1|1|I", "DB1|1|PT||Y")
    (extension,) = only(converted, "Patient")["extension"]
    assert extension["valueCodeableConcept"]["coding"][0]["code"] == "Y" and residue(converted) == {}


@pytest.mark.parametrize(
    ("db1", "left"), [("DB1|1|GT||Y", {"4": "Y", "2": "GT"}), ("DB1|1|PT||?", {"4": "?", "2": "PT"})]
)
def test_a_disability_of_another_person_or_of_no_meaning_is_residue(db1: str, left: dict[str, str]) -> None:
    converted = read("ADT-00", db1)
    assert "extension" not in only(converted, "Patient")
    assert residue(converted) == {f"DB1[1]-{n}": value for n, value in left.items()}


# -- practitioners ----------------------------------------------------------------------------------------------------


def attending(xcn: str) -> Any:
    return read("ADT-12", f"PV1|1|O|||||{xcn}")


def test_a_doctor_is_a_practitioner_under_the_facilitys_staff_system() -> None:
    converted = attending("110^医師^一郎^^^^^^^L^^^^^I~110^イシ^イチロウ^^^^^^^L^^^^^P")
    doctor = only(converted, "Practitioner")
    assert doctor["identifier"] == [{"system": STAFF, "value": "110"}]
    assert [name["text"] for name in doctor["name"]] == ["医師 一郎", "イシ イチロウ"]
    (participant,) = only(converted, "Encounter")["participant"]
    assert participant["individual"] == {"reference": f"Practitioner/{doctor['id']}", "display": "医師 一郎"}
    assert residue(converted) == {}


def test_a_whole_name_in_xcn_2_is_kept_whole() -> None:
    (name,) = only(attending("607^医師一郎^^^^^^^^L"), "Practitioner")["name"]
    assert (name["text"], name["family"], "given" in name) == ("医師一郎", "医師一郎", False)


def test_a_doctor_without_a_number_is_known_by_name_and_one_without_a_name_by_number() -> None:
    assert "identifier" not in only(attending("^医師^一郎"), "Practitioner")
    number = only(attending("110"), "Practitioner")
    assert "name" not in number and number["identifier"][0]["value"] == "110"
    again = only(attending("110^医師"), "Practitioner")
    assert number["id"] == again["id"]


def test_a_doctor_named_only_in_a_later_repetition_is_found() -> None:
    assert only(attending("~110^医師^一郎"), "Practitioner")["name"][0]["text"] == "医師 一郎"


@pytest.mark.parametrize(
    ("xcn", "names"),
    [
        ("110^医師^一郎~111^別人^二郎", [["医師 一郎"], ["別人 二郎"]]),
        (
            "110^医師^一郎^^^^^^^L^^^^^I~110^イシ^イチロウ^^^^^^^L^^^^^P~111^別人^^^^^^^^L^^^^^I",
            [["医師 一郎", "イシ イチロウ"], ["別人"]],
        ),
        ("110^医師^一郎~^イシ^イチロウ", [["医師 一郎", "イシ イチロウ"]]),
        ("^医師^^^^^^^^L^^^^^I~^別人^^^^^^^^L^^^^^I", [["医師"], ["別人"]]),
    ],
)
def test_two_doctors_of_one_field_are_two_persons(xcn: str, names: list[list[str]]) -> None:
    """A name of the second must not become one of the first."""
    converted = attending(xcn)
    assert [[name["text"] for name in one["name"]] for one in every(converted, "Practitioner")] == names
    assert len(only(converted, "Encounter")["participant"]) == len(names) and residue(converted) == {}


def test_a_second_doctor_where_there_is_room_for_one_is_residue() -> None:
    segments = ("ORC|NW|1||1|||||20240601|||110^医師^一郎~111^別人^二郎", "RXE||620000001^薬^HOT9|1||TAB")
    converted = read("OMP-01", *segments)
    assert residue(converted)["ORC[1]-12"] == "111^別人^二郎"
    assert [[name["text"] for name in one["name"]] for one in every(converted, "Practitioner")] == [["医師 一郎"]]


@pytest.mark.parametrize("xcn", ["^^^^^^^^^L^^^^^I", '""', "^"])
def test_nobody_named_is_no_practitioner(xcn: str) -> None:
    assert every(attending(xcn), "Practitioner") == []


@pytest.mark.parametrize(
    ("xcn", "left"),
    [
        ("110^医師^一郎^^^Dr.^^^院内^L", {"6": "Dr.", "9": "院内"}),
        ("110^医師^一郎^^^^^^^Q^^^^^Z", {"10": "Q", "15": "Z"}),
        ("110^^^^^^^^^L", {"10": "L"}),
    ],
)
def test_what_a_practitioner_has_no_room_for_is_residue(xcn: str, left: dict[str, str]) -> None:
    assert residue(attending(xcn)) == {f"PV1[1]-7.{n}": value for n, value in left.items()}


def test_one_doctor_named_twice_is_one_resource_with_both_names() -> None:
    converted = read("ADT-12", "PV1|1|O|||||110^医師^一郎||||||||||110^イシ^イチロウ^^^^^^^^^^^^P")
    doctor = only(converted, "Practitioner")
    assert [name["text"] for name in doctor["name"]] == ["医師 一郎", "イシ イチロウ"]
    roles = [p["type"][0]["coding"][0]["code"] for p in only(converted, "Encounter")["participant"]]
    assert roles == ["ATND", "ADM"]


def test_a_department_code_gets_the_ss_mix2_system() -> None:
    for sent in ("01", "01^内科^HL70069"):
        service = only(read("ADT-12", f"PV1|1|O||||||||{sent}"), "Encounter")
        assert service["serviceType"]["coding"][0] | {"display": ""} == {
            "system": "http://jami.jp/SS-MIX2/CodeSystem/ClinicalDepartment", "code": "01", "display": "",
        }  # fmt: skip


# -- organizations ----------------------------------------------------------------------------------------------------

ORC = "ORC|NW|1||1|||||20240601||||||||||||"
RXE = "RXE||103831601^薬^HOT9|1||TAB^錠^MR9P"


def test_the_ordering_facility_is_an_organization_with_the_institution_number() -> None:
    converted = read("OMP-01", f"{ORC}登呂病院|^^^^422-8033^JPN^H^静岡市|^^^^^^^^^^^054-1", RXE)
    organization = only(converted, "Organization")
    assert organization["name"] == "登呂病院"
    assert organization["identifier"][0]["value"] == INSTITUTION
    assert organization["telecom"] == [{"system": "phone", "value": "054-1"}]
    assert organization["address"] == [{"text": "静岡市", "postalCode": "422-8033", "country": "JP"}]
    agent = only(converted, "Provenance")["agent"]
    assert agent == [{"who": {"reference": f"Organization/{organization['id']}"}}]
    assert {e.target for e in converted.translated.lineage if e.source in ("ORC[1]-21", "ORC[1]-22", "ORC[1]-23")} == {
        f"Organization/{organization['id']}"
    }


def test_another_facility_name_in_a_later_order_is_residue() -> None:
    converted = read("OMP-01", f"{ORC}登呂病院", RXE, f"{ORC}別の病院|^^^^1|03", RXE)
    assert only(converted, "Organization")["name"] == "登呂病院"
    assert residue(converted) == {"ORC[2]-21": "別の病院", "ORC[2]-22": "^^^^1", "ORC[2]-23": "03"}


def test_the_same_facility_in_every_order_is_said_once() -> None:
    converted = read("OMP-01", f"{ORC}登呂病院|^^^^1|03", RXE, f"{ORC}登呂病院|^^^^1|03", RXE)
    assert len(every(converted, "Organization")) == 1
    assert residue(converted) == {}


def test_an_address_without_a_name_is_no_organization() -> None:
    converted = read("OMP-01", f"{ORC}|^^^^1|03", RXE)
    assert every(converted, "Organization") == []
    assert residue(converted) == {"ORC[1]-22": "^^^^1", "ORC[1]-23": "03"}


def test_the_agent_is_the_facility_when_no_organization_is_told() -> None:
    (agent,) = only(read("ADT-12"), "Provenance")["agent"]
    assert agent["who"]["identifier"]["value"] == HOSPITAL.patient_system


def test_an_insured_person_id_joins_the_exact_cross_reference() -> None:
    converted = read("ADT-00", "IN1|1|67^国保^JHSD0001|130012|||||||１２ａ~56~01")
    assert converted.translated.person.ids[1:] == (PatientId("00130012:12A:56:01", INSURER),)


@pytest.mark.parametrize("field", [10, 12])
def test_what_an_order_says_of_its_people_beyond_number_and_name_is_residue(field: int) -> None:
    people = {field: "110^医師^一郎^^^Dr.^^^院内^Q"}
    orc = "|".join(["ORC", "NW", "1", "", "1", *(people.get(n, "") for n in range(5, 13))])
    assert residue(read("OMP-01", orc, RXE)) == {
        f"ORC[1]-{field}.6": "Dr.", f"ORC[1]-{field}.9": "院内", f"ORC[1]-{field}.10": "Q",
    }  # fmt: skip
