"""gateway/translate/jahistc: what each record becomes."""

from decimal import Decimal

import pytest
from hypothesis import given, settings

from gateway.codec.jahistc import Notebook, parse, render
from gateway.model.identity import Authority, PatientId
from gateway.translate.context import Facilities
from gateway.translate.jahistc.layout import notebooks_of
from gateway.translate.jahistc.source import read_file, read_parts
from tests.translate.jahistc.notebooks import HEADS, PATIENT, converted, data, dispensed, notebooks, of

USAGE = "301,1,【分３　毎食後】,14,日分,1,1,,1"


def test_the_patient() -> None:
    [patient] = of(converted(), "Patient")
    assert [(n["extension"][0]["valueCode"], n["text"]) for n in patient["name"]] == [
        ("IDE", "試験 太郎"),
        ("SYL", "シケン タロウ"),
    ]
    assert (patient["gender"], patient["birthDate"]) == ("male", "1970-01-02")
    assert patient["address"] == [{"text": "東京都千代田区試験町1-1", "postalCode": "100-0001"}]
    assert patient["contact"][0]["telecom"][0]["value"] == "試験 花子 090-0000-0000"


def test_a_name_without_a_blank_is_not_cut() -> None:
    [patient] = of(converted(patient="1,試験太郎,1,S450102"), "Patient")
    assert "family" not in patient["name"][0]
    assert patient["name"][0]["text"] == "試験太郎"


def test_an_unknown_sex_stays_unknown() -> None:
    one = converted(patient="1,試験 太郎,3,S450102")
    assert "gender" not in of(one, "Patient")[0]
    assert [issue.code for issue in one.translated.issues] == ["no-patient", "code-unknown"]


def test_weight_keeps_its_digits_and_blood_its_words() -> None:
    weight, blood = of(converted(), "Observation")
    assert weight["valueQuantity"]["value"] == Decimal("63.70")
    assert str(weight["valueQuantity"]["value"]) == "63.70"
    assert (blood["valueString"], blood["status"]) == ("Ａ＋", "unknown")


@pytest.mark.parametrize(
    ("form", "dose", "count", "total", "days", "rate", "single"),
    [
        ("1", "3", "14", "42", "14", "3", None),
        ("6", "7.5", "10", "75.0", "10", "7.5", None),
        ("7", "0.5", "3", "1.5", "3", "0.5", None),
        ("3", "2", "10", "20", None, None, "2"),
        ("2", "5", "1", "5", None, None, None),
        ("4", "3", "1", "3", None, None, None),
        ("5", "14", "1", "14", None, None, None),
        ("9", "1", "1", "1", None, None, None),
        ("10", "1", "1", "1", None, None, None),
    ],
)
def test_what_a_dose_means_depends_on_the_form(
    form: str, dose: str, count: str, total: str, days: str | None, rate: str | None, single: str | None
) -> None:
    one = dispensed(f"201,1,薬,{dose},錠,1,,1", f"301,1,用法,{count},単位,{form},1,,1")
    assert str(one["quantity"]["value"]) == total
    assert one["quantity"]["unit"] == "錠"
    assert str(one.get("daysSupply", {}).get("value")) == str(days)
    amount = one["dosageInstruction"][0].get("doseAndRate", [{}])[0]
    assert str(amount.get("rateRatio", {}).get("numerator", {}).get("value")) == str(rate)
    assert str(amount.get("doseQuantity", {}).get("value")) == str(single)
    assert one["dosageInstruction"][0].get("asNeededBoolean", False) is (form == "3")


@pytest.mark.parametrize(
    "lines",
    [
        ("201,1,薬,適量,g,1,,1", "301,1,塗布,1,調剤,5,1,,1"),
        ("201,1,薬,3,錠,1,,1", "301,1,用法,,日分,1,1,,1"),
        ("201,1,薬,3,錠,1,,1", "301,1,用法,14,日分,,1,,1"),
        ("201,1,薬,3,錠,1,,1",),
    ],
)
def test_a_sum_that_cannot_be_made_is_absent(lines: tuple[str, ...]) -> None:
    one = dispensed(*lines)
    assert "value" not in one["quantity"]
    assert one["quantity"]["_value"]["extension"][0]["valueCode"] == "unknown"


def test_who_dispensed_and_who_prescribed() -> None:
    one = dispensed("201,1,薬,3,錠,1,,1", USAGE)
    assert one["whenHandedOver"] == "2025-06-10"
    assert [actor["actor"]["reference"].split("/")[0] for actor in one["performer"]] == ["Practitioner", "Organization"]
    role, request = one["contained"]
    assert role["specialty"] == [{"text": "内科"}]
    assert request["requester"] == {"reference": "#prescriber"}
    assert one["authorizingPrescription"] == [{"reference": "#prescription"}]


def test_each_prescriber_has_the_drugs_that_follow() -> None:
    one = converted("5,20250610,1", *HEADS, "201,1,薬Ａ,1,錠,1,,1", "55,別の 医師,眼科,1", "201,2,薬Ｂ,1,錠,1,,1")
    specialties = [d["contained"][0]["specialty"][0]["text"] for d in of(one, "MedicationDispense")]
    assert specialties == ["内科", "眼科"]


def test_an_institution_is_known_by_its_ten_digits_on_every_node() -> None:
    one, two = converted("5,20250610,1", HEADS[0]), converted("5,20250701,1", HEADS[0], patient="1,別 人,2,S600101")
    assert of(one, "Organization") == of(two, "Organization")
    assert of(one, "Organization")[0]["identifier"][0]["value"] == "1349900001"


@pytest.mark.parametrize(
    ("kind", "code", "system"),
    [
        ("4", "1234567F1234", "http://capstandard.jp/iyaku.info/CodeSystem/YJ-code"),
        ("6", "123456789", "http://medis.or.jp/CodeSystem/master-HOT9"),
        ("6", "1234567", "http://medis.or.jp/CodeSystem/master-HOT7"),
        ("6", "1234567890123", "http://medis.or.jp/CodeSystem/master-HOT13"),
        ("2", "620000001", "https://musubi.invalid/CodeSystem/receipt-drug-code"),
        ("7", "1234567F1ZZZ", "http://jpfhir.jp/fhir/core/mhlw/CodeSystem/MedicationGeneralOrderCode"),
    ],
)
def test_kinds_of_drug_codes(kind: str, code: str, system: str) -> None:
    one = dispensed(f"201,1,薬,3,錠,{kind},{code},1", USAGE)
    assert one["medicationCodeableConcept"] == {"coding": [{"system": system, "code": code}], "text": "薬"}


def test_a_code_that_is_not_of_its_kind_is_kept_under_a_local_system_and_reported() -> None:
    one = converted("5,20250610,1", "201,1,薬,3,錠,4,123,1", USAGE)
    [coding] = of(one, "MedicationDispense")[0]["medicationCodeableConcept"]["coding"]
    assert coding["code"] == "123" and coding["system"].startswith("https://musubi.invalid/")
    assert "code-label-mismatch" in [issue.code for issue in one.translated.issues]


def test_the_standard_usage_code_is_decoded_and_a_conflict_is_not() -> None:
    good = dispensed("201,1,薬,3,錠,1,,1", "301,1,１日３回毎食後,14,日分,1,2,1013044400000000,1")
    assert good["dosageInstruction"][0]["timing"]["repeat"]["frequency"] == 3
    one = converted("5,20250610,1", "201,1,薬,1,錠,1,,1", "301,1,１日１回朝食後,14,日分,1,2,1011040000000000,1")
    [dosage] = of(one, "MedicationDispense")[0]["dosageInstruction"]
    assert "repeat" not in dosage["timing"]
    assert dosage["timing"]["code"]["coding"][0]["code"] == "1011040000000000"
    assert [issue.code for issue in one.translated.issues if issue.code.startswith("usage")] == ["usage-conflict"]


def test_what_stands_beside_a_drug_belongs_to_the_drug_before_it() -> None:
    one = converted(
        "5,20250610,1", "201,1,薬Ａ,3,錠,1,,1", "281,1,一包化,1", "201,1,薬Ｂ,3,錠,1,,1", "291,1,眠気に注意,1",
        USAGE, "311,1,食後すぐ,1", "391,1,水で,1", "401,相談,1",
    )  # fmt: skip
    first, second = (d["dosageInstruction"][0] for d in of(one, "MedicationDispense"))
    assert [c["text"] for c in first["additionalInstruction"]] == ["一包化", "食後すぐ"]
    assert [c["text"] for c in second["additionalInstruction"]] == ["食後すぐ"]
    assert (first["patientInstruction"], second["patientInstruction"]) == ("水で\n相談", "眠気に注意\n水で\n相談")


def test_notes_of_the_patient() -> None:
    one = converted("2,1,卵,1", "2,2,抗菌薬（発疹）,2", "2,3,喘息,2", "2,9,妊娠中,2")
    allergy, adverse = of(one, "AllergyIntolerance")
    assert ("type" in allergy, adverse["type"], adverse["note"]) == (False, "intolerance", [{"text": "副作用"}])
    assert of(one, "Condition")[0]["code"] == {"text": "喘息"}
    assert of(one, "Observation")[-1]["valueString"] == "妊娠中"


def test_drugs_bought_with_their_ingredients() -> None:
    one = converted(
        "3,かぜ薬,R070501,R070503,2,1,4900000000001", "31,1,成分Ａ,2,X1,2", "31,1,成分Ｂ,1,,2", "3,湿布,,,2"
    )
    with_parts, without = of(one, "MedicationStatement")
    drug = with_parts["contained"][0]
    assert [part["itemCodeableConcept"]["text"] for part in drug["ingredient"]] == ["成分Ａ", "成分Ｂ"]
    assert with_parts["effectivePeriod"] == {"start": "2025-05-01", "end": "2025-05-03"}
    assert with_parts["informationSource"]["reference"].startswith("Patient/")
    assert without["medicationCodeableConcept"] == {"text": "湿布"}


def test_words_of_the_patient_and_of_institutions() -> None:
    one = converted(
        "4,健診,R070420,2",
        "5,20250610,1",
        HEADS[0],
        "411,副作用あり,30,1",
        "421,3錠残,1",
        "501,備考,1",
        "601,忘れた,R070620",
    )
    found = {c["category"][0]["coding"][0]["code"]: c for c in of(one, "Communication")}
    assert set(found) == {"4", "411", "421", "501", "601"}
    assert found["601"]["sender"]["reference"].startswith("Patient/")
    assert found["601"]["sent"] == "2025-06-20"
    assert found["411"]["sent"] == "2025-06-10"
    assert found["411"]["reasonCode"][0]["coding"][0]["code"] == "30"
    assert [o["valueString"] for o in of(one, "Observation") if o["code"]["text"] == "残薬"] == ["3錠残"]


def test_the_family_pharmacist() -> None:
    one = converted("701,試験 薬子,試験薬局,03-0000-0002,R070101,,1")
    [participant] = of(one, "CareTeam")[0]["participant"]
    assert participant["period"] == {"start": "2025-01-01"}
    assert participant["member"]["reference"].startswith("Practitioner/")
    assert participant["onBehalfOf"]["reference"].startswith("Organization/")


def test_provenance_says_who_wrote_what() -> None:
    one = converted("2,2,発疹,2", "5,20250610,1", HEADS[0], "201,1,薬,1,錠,1,,1", USAGE.replace("14", "7"))
    by = {p["agent"][0].get("role", [{}])[0].get("coding", [{}])[0].get("code"): p for p in of(one, "Provenance")}
    assert by["2"]["agent"][0]["who"]["reference"].startswith("Patient/")
    assert [t["reference"].split("/")[0] for t in by["1"]["target"]] == ["MedicationDispense"]
    assert by[None]["agent"][0]["who"]["reference"].startswith("Organization/")


def test_ids_depend_on_content_and_not_on_the_place_in_the_file() -> None:
    def ids(*lines: str) -> set[str]:
        return {r["id"] for r in converted(*lines).resources if r["resourceType"] != "Provenance"}

    one = ids("4,メモ,20250610,1", "5,20250610,1", *HEADS, "201,1,薬,3,錠,1,,1", USAGE)
    other = ids("2,1,卵,1", "4,別,20250610,1", "4,メモ,20250610,1", "5,20250610,1", *HEADS, "201,1,薬,3,錠,1,,1", USAGE)
    assert one < other


def test_two_equal_drugs_stay_two() -> None:
    one = converted("5,20250610,1", "201,1,薬,1,錠,1,,1", "201,1,薬,1,錠,1,,1", USAGE)
    assert len({d["id"] for d in of(one, "MedicationDispense")}) == 2


def test_the_person_is_whom_the_caller_names() -> None:
    hospital = Authority("1.2.392.200119.99999.2", "TOKYO-HP", institution="1311234567")
    owner = PatientId("0001", hospital.oid)
    [one] = read_file(data("5,20250610,1"), "x.csv", Facilities([hospital], owner))
    assert one.patient_id == owner
    assert one.translated.person is not None and one.translated.person.ids == (owner,)
    [patient] = of(one, "Patient")
    assert patient["identifier"] == [{"system": "urn:oid:1.2.392.100495.20.3.51.11311234567", "value": "0001"}]


def test_without_a_name_for_the_person_nobody_is_registered() -> None:
    one = converted()
    assert one.patient_id is None and one.translated.person is None


def test_a_part_alone_is_refused_and_all_parts_are_one_document() -> None:
    first = data("5,20250610,1", "201,1,薬Ａ,1,錠,1,,1", "911,1,2,1")
    second = data("5,20250610,1", "201,2,薬Ｂ,1,錠,1,,1", "911,1,2,2")
    [alone] = read_file(first, "a.csv", Facilities())
    assert alone.error is not None and alone.error.text == "part 2 of 2 missing"
    whole = read_parts([second, first], "a.csv", Facilities())
    assert [d["medicationCodeableConcept"]["text"] for d in of(whole, "MedicationDispense")] == ["薬Ａ", "薬Ｂ"]
    assert b"911" not in whole.original


def test_a_refused_notebook_still_has_its_document() -> None:
    one = converted(patient="1,試験 太郎,1,S651302")
    assert one.error is not None
    assert (one.error.where, one.error.text) == ("line 2, column 4", "record 1 item 3: no such date")
    bundle = one.to_bundle("transaction")
    assert [entry["resource"]["resourceType"] for entry in bundle["entry"]] == ["OperationOutcome"]


def test_lineage_names_line_and_column() -> None:
    one = converted("5,20250610,1", "201,1,薬,3,錠,1,,1", USAGE, explain=True)
    found = {(row.source, row.target.split(".", 1)[1]) for row in one.translated.lineage}
    assert (["line 4, column 3", "201.name)"][0], "medicationCodeableConcept") in found
    assert ("line 2, column 4", "birthDate") in found
    assert PATIENT.split(",")[1] not in str(found)


# -- what became of everything ----------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(notebooks())
def test_every_valued_item_is_in_the_lineage_or_in_the_residue(notebook: Notebook) -> None:
    written = render(notebook.records, version=notebook.version, direction=notebook.direction).data
    [made] = read_file(written, "x.csv", Facilities(), explain=True)
    told = {row.source for row in made.translated.lineage}
    left = {row.where.rpartition(", record ")[0] for row in made.translated.residue}
    for record in parse(written).records:
        for column, value in enumerate(record.items, start=2):
            if value.strip(" 　"):
                assert f"line {record.line}, column {column}" in told or f"line {record.line}" in left, record


def test_what_no_resource_says_is_residue() -> None:
    made = converted("31,9,みなしご,1", "999,なに", "4,メモ,,1,後,に", "5,20250610")
    assert [(row.where, row.value) for row in made.translated.residue] == [
        ("line 3, record 31", "9,みなしご,1"),
        ("line 4, record 999", "なに"),
        ("line 5, record 4", "後,に"),
    ]


def test_the_lineage_of_a_dose_names_its_columns() -> None:
    usage = "301,1,【分３　毎食後】,14,日分,1,2,1013044400000000,1"
    made = converted("5,20250610,1", *HEADS, "201,1,薬Ａ,3,錠,1,,1", usage, "391,1,水で,1", explain=True)
    found = {(row.target.partition(".")[2], row.source) for row in made.translated.lineage}
    assert {
        ("quantity", "line 8, column 4"),
        ("daysSupply", "line 9, column 4"),
        ("dosageInstruction[0].doseAndRate", "line 8, column 4"),
        ("dosageInstruction[0].text", "line 9, column 3"),
        ("dosageInstruction[0].timing", "line 9, column 8"),
        ("dosageInstruction[0].patientInstruction", "line 10, column 3"),
        ("agent", "line 8, column 8"),
    } <= found


@pytest.mark.parametrize(
    ("lines", "adrift"),
    [
        (("281,1,つぶす", "201,1,薬,1,錠,1", USAGE), "line 5, record 281"),
        (("201,1,薬,1,錠,1", USAGE, "301,2,【頭痛時】,3,回分,3,1"), "line 7, record 301"),
        (("201,1,薬,1,錠,1", USAGE, USAGE.replace("14", "7")), "line 7, record 301"),
        (("11,別の薬局,13,4,9900009", "201,1,薬,1,錠,1", USAGE), "line 5, record 11"),
    ],
)
def test_what_belongs_to_nothing_in_its_block_is_said_and_kept(lines: tuple[str, ...], adrift: str) -> None:
    made = converted("5,20250610", "11,試験薬局,13,4,9900001", *lines)
    assert [row.where for row in made.translated.residue] == [adrift]
    assert [issue.where for issue in made.translated.issues if issue.code == "record-order"] == [
        adrift.partition(",")[0]
    ]
    assert [one.records for one in notebooks_of(made.resources)] and [
        r.text().rstrip(",") for r in notebooks_of(made.resources)[0].records
    ] == [r.text().rstrip(",") for r in parse(made.original).records]
