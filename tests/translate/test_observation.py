"""gateway/translate/observation.py: OBX -> Observation."""

from decimal import Decimal
from typing import Any

import pytest

from tests.translate.messages import codes, every, only, places, read, residue, unmapped

AST = "3B035000002327201^ＡＳＴ（ＧＯＴ）^JC10"


def obx(**fields: str) -> str:
    """A final NM result of AST; `f5=...` sets or replaces fields."""
    numbered = {1: "1", 2: "NM", 3: AST, 5: "13", 11: "F"}
    numbered |= {int(name[1:]): value for name, value in fields.items()}
    return "|".join(["OBX", *(numbered.get(n, "") for n in range(1, max(numbered) + 1))])


def lab(*segments: str) -> Any:
    return read("OML-11", "SPM|1|S1||023^血清^JC10|||||||||||||20240601", "OBR|1|1||E^検査^99O", *segments)


def result(**fields: str) -> dict[str, Any]:
    return only(lab(obx(**fields)), "Observation")


def test_a_number_keeps_its_digits_and_its_unit() -> None:
    made = result(f5="6.00", f6="g/dL^g/dL^99XYZ")
    assert made["valueQuantity"] == {
        "value": Decimal("6.00"), "unit": "g/dL", "system": "http://unitsofmeasure.org", "code": "g/dL",
    }  # fmt: skip


def test_the_table_of_a_unit_is_left_out_on_purpose_and_a_code_of_its_own_is_residue() -> None:
    converted = lab(obx(f6="71^g/dL^99XYZ"))
    assert "OBX[1]-6.3" in unmapped(converted)
    assert residue(converted) == {"OBX[1]-6.1": "71"}


@pytest.mark.parametrize(
    ("value_type", "sent", "element", "value"),
    [
        ("ST", "(-)", "valueString", "(-)"),
        ("ST", "<0.5", "valueQuantity", {"value": Decimal("0.5"), "comparator": "<"}),
        ("CWE", "A^A型^JSHR002", "valueCodeableConcept", "A型"),
        ("TX", "一行目~二行目", "valueString", "一行目~二行目"),
        ("NM", "測定中", "valueString", "測定中"),
    ],
)
def test_a_laboratory_value_is_a_quantity_a_code_or_words(value_type: str, sent: str, element: str, value: Any) -> None:
    made = result(f2=value_type, f5=sent)
    found = made[element]
    assert (found.get("text", found) if isinstance(found, dict) else found) == value
    assert [key for key in made if key.startswith("value")] == [element]


NUMBERS = {"numerator": {"value": Decimal(1)}, "denominator": {"value": Decimal(64)}}


@pytest.mark.parametrize(
    ("value_type", "sent", "element", "value"),
    [
        ("SN", "^1^:^64", "valueRatio", NUMBERS),
        ("ST", "1:64", "valueRatio", NUMBERS),
        ("ST", "1-4", "valueRange", {"low": {"value": Decimal(1)}, "high": {"value": Decimal(4)}}),
        ("DT", "20240601", "valueDateTime", "2024-06-01"),
        ("TS", "202406010830", "valueDateTime", "2024-06-01T08:30:00+09:00"),
        ("TM", "0830", "valueTime", "08:30:00"),
    ],
)
def test_a_range_a_ratio_or_a_time_has_its_element_and_claims_no_laboratory_profile(
    value_type: str, sent: str, element: str, value: Any
) -> None:
    made = result(f2=value_type, f5=sent)
    assert made[element] == value
    assert [key for key in made if key.startswith("value")] == [element]
    assert made["meta"]["profile"][0].endswith("/JP_Observation_Common")


def test_a_padded_time_keeps_what_was_sent() -> None:
    made = result(f2="TS", f5="2024060108")
    assert made["_valueDateTime"]["extension"][0]["valueString"] == "2024060108"
    assert "_valueDateTime" not in result(f2="DT", f5="20240601")


def test_a_count_in_a_count_is_a_ratio_only_for_tests_that_count() -> None:
    cells = result(f2="ST", f3="1C030000004192001^髄液細胞数^JC10", f5="52/3")
    assert cells["valueRatio"]["denominator"] == {"value": Decimal(3)}
    assert result(f2="ST", f5="52/3")["valueString"] == "52/3"


def test_outside_the_laboratory_ranges_and_times_keep_their_elements() -> None:
    made = only(read("ADT-00", obx(f2="TS", f3="1^日^99X", f5="20240601^D")), "Observation")
    assert made["valueDateTime"] == "2024-06-01"
    made = only(read("ADT-00", obx(f2="ST", f3="1^幅^99X", f5="1-4", f6="cm")), "Observation")
    assert (made["valueRange"]["low"]["value"], made["valueRange"]["high"]["unit"]) == (Decimal(1), "cm")


def test_a_parsed_text_keeps_the_original_beside_it() -> None:
    (extension,) = result(f2="ST", f5="0.5未満")["valueQuantity"]["extension"]
    assert extension["url"].endswith("/originalText")
    assert extension["valueString"] == "0.5未満"


def test_several_values_are_components_with_the_code_of_the_test() -> None:
    made = result(f2="ST", f5="1+~2+~")
    assert [part["valueString"] for part in made["component"]] == ["1+", "2+"]
    assert all(part["code"] == made["code"] for part in made["component"])
    assert not any(key.startswith("value") for key in made)  # obs-7


def test_several_values_one_of_which_is_none() -> None:
    made = result(f2="ST", f5="検体不足~7.2")
    first, second = made["component"]
    assert first["dataAbsentReason"]["coding"][0]["system"].endswith("/data-absent-reason")
    assert second["valueQuantity"]["value"] == Decimal("7.2")
    assert made["note"] == [{"text": "検体不足"}]


def test_no_result_words_are_a_reason_and_a_note() -> None:
    made = result(f2="ST", f5="測定不能")
    assert made["note"] == [{"text": "測定不能"}]
    assert "dataAbsentReason" in made and "valueString" not in made


@pytest.mark.parametrize(
    ("fields", "left"),
    [
        ({"f2": "ED", "f5": "^AP^OS^Base64^QUJD"}, {"OBX[1]-5.3": "OS"}),
        ({"f2": "ED", "f5": "^AP^PDF^Base64^Q_JD"}, {"OBX[1]-2": "ED", "OBX[1]-5": "^AP^PDF^Base64^Q_JD"}),
        ({"f2": "ZRD", "f5": "a^b"}, {"OBX[1]-2": "ZRD"}),
        ({"f2": "ST", "f5": "(-)", "f6": "mg/dL"}, {"OBX[1]-6": "mg/dL"}),
        ({"f5": "", "f6": "mg/dL"}, {"OBX[1]-6": "mg/dL"}),
        ({"f5": "", "f6": "mg/dL", "f7": "1-2"}, {}),
        ({"f5": "", "f6": "mg/dL", "f7": "(-)"}, {"OBX[1]-6": "mg/dL"}),
        ({"f2": "ST", "f5": "a~b", "f6": "mg/dL"}, {"OBX[1]-6": "mg/dL"}),
        ({"f2": "CWE", "f5": "A^A型^JSHR^^^^^8"}, {"OBX[1]-5.8": "8"}),
        ({"f2": "ST", "f5": "\\.br\\", "f6": "mg"}, {"OBX[1]-2": "ST", "OBX[1]-6": "mg"}),
        ({"f9": "0.5", "f13": "x"}, {"OBX[1]-9": "0.5", "OBX[1]-13": "x"}),
    ],
)
def test_what_a_result_cannot_show_is_residue(fields: dict[str, str], left: dict[str, str]) -> None:
    assert residue(lab(obx(**fields))) == left


def test_the_type_of_a_result_without_value_is_left_out_on_purpose() -> None:
    assert "OBX[1]-2" in unmapped(lab(obx(f5="")))


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        ("F", "final"),
        ("P", "preliminary"),
        ("C", "corrected"),
        ("X", "cancelled"),
        ("D", "entered-in-error"),
        ("I", "registered"),
    ],
)
def test_status(sent: str, status: str) -> None:
    assert result(f11=sent)["status"] == status


def test_a_missing_status_is_unknown_and_never_final() -> None:
    converted = lab(obx(f11=""))
    assert only(converted, "Observation")["status"] == "unknown"
    assert places(converted, "no-status")[0] == "OBX[1]-11"


@pytest.mark.parametrize("sent", ["Z", "final", "Z~F"])
def test_an_unknown_status_is_unknown_with_an_issue(sent: str) -> None:
    converted = lab(obx(f11=sent))
    assert only(converted, "Observation")["status"] == "unknown"
    assert places(converted, "code-unknown") == ["OBX[1]-11"]


def test_a_cancelled_result_without_value_was_not_performed() -> None:
    made = result(f5="", f11="X")
    assert made["dataAbsentReason"]["coding"][0]["code"] == "not-performed"
    assert "dataAbsentReason" not in result(f11="X")


def test_a_test_without_a_code_is_said_to_be_absent() -> None:
    converted = lab(obx(f3=""))
    made = only(converted, "Observation")
    assert made["code"] == {
        "extension": [{"url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason", "valueCode": "unknown"}]
    }
    assert "no-test-code" in codes(converted)
    assert made["meta"]["profile"][0].endswith("/JP_Observation_Common")


@pytest.mark.parametrize(
    ("code", "profile"),
    [
        (AST, "JP_Observation_LabResult"),
        ("3B035000002327201^^JC10", "JP_Observation_Common"),
        ("^ＡＳＴ", "JP_Observation_Common"),
    ],
)
def test_only_a_coded_test_with_words_claims_the_laboratory_profile(code: str, profile: str) -> None:
    assert result(f3=code)["meta"]["profile"][0].endswith(f"/{profile}")


def test_a_short_jlac10_code_stays_local() -> None:
    converted = lab(obx(f3="2B0300000022311^ＰＴ^JC10"))
    (coding,) = only(converted, "Observation")["code"]["coding"]
    assert coding["system"].endswith("/CodeSystem/JC10")
    assert places(converted, "code-label-mismatch") == ["OBX[1]-3"]


def test_identity_is_the_test_and_its_group_and_not_the_position() -> None:
    first = obx(f1="1")
    other = obx(f1="2", f3="3C015000002327101^ＣＲＥ^JC10")
    again = obx(f1="1", f4="1")
    ids = [made["id"] for made in every(lab(first, other, again, first), "Observation")]
    assert len(set(ids)) == 4
    turned = [made["id"] for made in every(lab(again, first, first, other), "Observation")]
    assert set(ids) == set(turned)


def test_reference_range_and_interpretation() -> None:
    made = result(f6="U/L", f7="13-30", f8="H~A")
    (reference,) = made["referenceRange"]
    assert (reference["low"]["value"], reference["high"]["value"], reference["text"]) == (
        Decimal(13),
        Decimal(30),
        "13-30",
    )
    assert [flag["coding"][0]["code"] for flag in made["interpretation"]] == ["H", "A"]


@pytest.mark.parametrize(
    ("sent", "left"),
    [("H^High^HL70078", {}), ("H^High^99X", {"OBX[1]-8.3": "99X"}), ("Q^変", {"OBX[1]-8.1": "Q"}), ("Q", {})],
)
def test_a_flag_of_no_table_is_kept_whole(sent: str, left: dict[str, str]) -> None:
    assert residue(lab(obx(f8=sent))) == left


def test_words_in_place_of_a_cancelled_result_are_the_reason() -> None:
    made = result(f2="ST", f5="溶血のため", f11="X")
    assert made["dataAbsentReason"]["text"] == "溶血のため"
    assert made["note"] == [{"text": "溶血のため"}]
    assert not any(key.startswith("value") for key in made)
    assert result(f11="X")["valueQuantity"]["value"] == Decimal(13)


@pytest.mark.parametrize("sent", ["O", "N", "I"])
def test_a_test_that_is_only_known_has_no_value(sent: str) -> None:
    made = result(f5="", f11=sent)
    assert made["status"] == "registered"
    assert not any(key.startswith(("value", "dataAbsent")) for key in made)


@pytest.mark.parametrize(
    "sent", ["1A0100000001901", "3B035-0000-023-272-01", "3b035000002327201", "3B0350000023272012"]
)
def test_a_jlac10_code_of_another_form_is_the_facilitys_own_and_reported(sent: str) -> None:
    converted = lab(obx(f3=f"{sent}^項目^JC10^10207^ＧＯＴ^99X03"))
    made = only(converted, "Observation")
    first, second = made["code"]["coding"]
    assert (first["code"], first["system"].endswith("/CodeSystem/JC10")) == (sent, True)
    assert second["code"] == "10207"
    assert places(converted, "code-label-mismatch") == ["OBX[1]-3"]


def test_a_coded_result_keeps_both_triplets() -> None:
    made = result(f2="CWE", f5="1+^弱陽性^99Q^POS^陽性^99R")
    assert [coding["code"] for coding in made["valueCodeableConcept"]["coding"]] == ["1+", "POS"]
    assert [coding["display"] for coding in made["valueCodeableConcept"]["coding"]] == ["弱陽性", "陽性"]
    assert made["valueCodeableConcept"]["text"] == "弱陽性"


def test_delimiters_nobody_escaped_in_unit_and_range() -> None:
    converted = lab(obx(f6="×10^3/μL", f7="3.5~5.0"))
    made = only(converted, "Observation")
    assert made["valueQuantity"]["code"] == "10*3/uL"
    assert made["referenceRange"][0]["high"]["value"] == Decimal("5.0")
    assert residue(converted) == {}


def test_a_code_of_no_system_is_shown_as_words() -> None:
    assert result(f2="CWE", f5="陽性")["valueCodeableConcept"] == {"coding": [{"code": "陽性"}], "text": "陽性"}
    assert "text" not in result(f2="CWE", f5="1^^99L")["valueCodeableConcept"]


def test_the_laboratory_that_did_it_is_a_performer() -> None:
    converted = lab(obx(f23="架空検査センター^L"))
    assert only(converted, "Observation")["performer"] == [{"display": "架空検査センター"}]
    assert residue(converted) == {"OBX[1]-23.2": "L"}


def test_laboratory_person_method_and_device() -> None:
    converted = lab(obx(f15="01^検査部^99L", f16="110^医師^一郎", f17="M^酵素法^99M", f18="機器1^x"))
    made = only(converted, "Observation")
    laboratory, person = made["performer"]
    assert laboratory["display"] == "検査部"
    assert laboratory["identifier"]["value"] == "01"
    assert person["reference"] == f"Practitioner/{only(converted, 'Practitioner')['id']}"
    assert made["method"]["text"] == "酵素法"
    assert made["device"] == {"identifier": {"value": "機器1"}}
    assert residue(converted) == {"OBX[1]-18.2": "x"}


@pytest.mark.parametrize("sent", ["^^99L", "^", '""'])
def test_a_laboratory_without_code_and_name_is_none(sent: str) -> None:
    assert "performer" not in result(f15=sent)


def test_its_own_time_wins() -> None:
    assert result(f14="202406010830")["effectiveDateTime"] == "2024-06-01T08:30:00+09:00"


def test_nothing_of_one_message_comes_to_stand_in_another() -> None:
    """Equal segments of two patients may be converted once; what hangs on them is each message's own."""
    same = obx(f2="ST", f5="測定不能", f8="Q")
    for _ in range(2):
        first = only(read("OML-11", "SPM|1|S1", "OBR|1|1", same, "NTE|1|L|甲の所見", explain=False), "Observation")
        second = only(read("OML-11", "SPM|1|S1", "OBR|1|1", same, "NTE|1|L|乙の所見", explain=False), "Observation")
        third = only(read("OML-11", "SPM|1|S1", "OBR|1|1", same, explain=False), "Observation")
        assert [note["text"] for note in first["note"]] == ["測定不能", "甲の所見"]
        assert [note["text"] for note in second["note"]] == ["測定不能", "乙の所見"]
        assert [note["text"] for note in third["note"]] == ["測定不能"]


def test_equal_segments_of_one_message_are_reported_each_at_its_own_place() -> None:
    bad = obx(f5="x", f6="mg", f11="Z")
    converted = read("OML-11", "SPM|1|S1", "OBR|1|1", bad, bad, explain=False)
    assert places(converted, "not-a-number") == ["OBX[1]-5", "OBX[2]-5"]
    assert places(converted, "code-unknown") == ["OBX[1]-11", "OBX[2]-11"]
    assert residue(converted) == {"OBX[1]-6": "mg", "OBX[1]-11": "Z", "OBX[2]-6": "mg", "OBX[2]-11": "Z"}
