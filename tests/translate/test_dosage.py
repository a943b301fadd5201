"""gateway/translate/dosage.py: usages, doses, days and routes."""

from decimal import Decimal
from typing import Any

import pytest

from tests.translate.messages import codes, only, places, read, residue

USAGE = "http://jami.jp/CodeSystem/MedicationUsage"
SUPPLEMENT = "http://jami.jp/CodeSystem/MedicationUsageAdditional"
AFTER_MEALS = "1013044400000000&内服・経口・１日３回朝昼夕食後&JAMISDP01"
EXTENSION = "http://jpfhir.jp/fhir/core/Extension/StructureDefinition/"
ORC = "ORC|NW|1||1|||||20240601"


def segment(name: str, fields: dict[str, str], **defaults: str) -> str:
    numbered = {int(key[1:]): value for key, value in (defaults | fields).items()}
    return "|".join([name, *(numbered.get(n, "") for n in range(1, max(numbered) + 1))])


def rxe(**fields: str) -> str:
    return segment("RXE", fields, f2="103831601^薬^HOT9", f3="1", f5="TAB^錠^MR9P")


def tq1(**fields: str) -> str:
    return segment("TQ1", fields, f1="1")


def oral(*segments: str) -> Any:
    return read("OMP-01", ORC, *segments)


def injection(*segments: str) -> Any:
    return read("OMP-02", ORC, *segments)


def dosage(converted: Any) -> dict[str, Any]:
    (found,) = only(converted, "MedicationRequest")["dosageInstruction"]
    return dict(found)


# -- how much ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "text", "left"),
    [
        ({"f3": "1.50"}, "1回1.50錠", {}),
        ({"f3": "1", "f4": "1.0"}, "1回1錠", {}),
        ({"f3": "1", "f5": "錠"}, "1回1錠", {}),
        ({"f3": "1", "f5": ""}, "1回1", {}),
        ({"f3": "1", "f4": "2"}, "1回1～2錠", {"RXE[1]-5.1": "TAB", "RXE[1]-5.3": "MR9P"}),
        ({"f3": "1", "f4": "2^x"}, "1回1～2錠", {"RXE[1]-4.2": "x", "RXE[1]-5.1": "TAB", "RXE[1]-5.3": "MR9P"}),
        ({"f3": "1/2"}, "1回1/2錠", {"RXE[1]-5.1": "TAB", "RXE[1]-5.3": "MR9P"}),
        ({"f3": "1/2", "f4": "多め"}, "1回1/2～多め錠", {"RXE[1]-5.1": "TAB", "RXE[1]-5.3": "MR9P"}),
        ({"f3": "1/2", "f4": "1/2"}, "1回1/2錠", {"RXE[1]-5.1": "TAB", "RXE[1]-5.3": "MR9P"}),
        ({"f3": "^x"}, None, {"RXE[1]-3.2": "x", "RXE[1]-5": "TAB^錠^MR9P"}),
        ({"f3": "-1"}, "1回-1錠", {"RXE[1]-5.1": "TAB", "RXE[1]-5.3": "MR9P"}),
        ({"f3": "0"}, "1回0錠", {}),
        ({"f3": "1", "f6": "TAB^錠剤^MR9P", "f25": "60", "f26": "MG^mg^MR9P"}, "1回1錠 規格60mg 錠剤", {}),
        ({"f3": '""', "f5": '""'}, None, {}),
        ({"f3": '""'}, None, {"RXE[1]-5": "TAB^錠^MR9P"}),
        ({"f3": "", "f4": "2"}, None, {"RXE[1]-4": "2", "RXE[1]-5": "TAB^錠^MR9P"}),
    ],
)
def test_a_dose_in_words_and_number(fields: dict[str, str], text: str | None, left: dict[str, str]) -> None:
    converted = oral(rxe(**fields))
    if text is None:
        assert "dosageInstruction" not in only(converted, "MedicationRequest")
    else:
        assert dosage(converted)["text"] == text
    assert residue(converted) == left


def test_an_uneven_dose_is_never_the_least_one() -> None:
    converted = oral(rxe(f3="1", f4="2"))
    assert "doseAndRate" not in dosage(converted)
    assert places(converted, "uneven-dose") == ["RXE[1]-4"]


@pytest.mark.parametrize(
    ("unit", "coded"), [("TAB^錠^MR9P", True), ("TAB&錠&MR9P", True), ("C^カプセル^99Z", True), ("錠", False)]
)
def test_a_dose_needs_a_coded_unit_to_be_a_quantity(unit: str, coded: bool) -> None:
    converted = oral(rxe(f3="2", f5=unit))
    assert ("doseAndRate" in dosage(converted)) is coded
    assert ("unit-uncoded" in codes(converted)) is not coded


def test_the_daily_dose_is_a_ratio_over_one_day() -> None:
    (part,) = dosage(oral(rxe(f19="3.0^TAB&錠&MR9P")))["doseAndRate"]
    assert part["rateRatio"]["numerator"]["value"] == Decimal("3.0")
    assert part["rateRatio"]["denominator"] == {
        "value": 1,
        "unit": "日",
        "system": "http://unitsofmeasure.org",
        "code": "d",
    }
    assert part["doseQuantity"]["code"] == "TAB"


@pytest.mark.parametrize(
    ("sent", "words", "left"),
    [
        ("3^&錠", "1日3錠", {}),
        ("3", "1日3", {}),
        ("3^TAB&錠", "1日3錠", {"RXE[1]-19.2": "TAB"}),
        ("三^TAB&錠&MR9P", None, {"RXE[1]-19": "三^TAB&錠&MR9P"}),
        ("3^TAB&錠&MR9P^x", None, {"RXE[1]-19.3": "x"}),
    ],
)
def test_a_daily_dose_without_a_coded_unit_is_kept_in_words(sent: str, words: str | None, left: dict[str, str]) -> None:
    converted = oral(rxe(f19=sent))
    assert dosage(converted)["text"].split() == [*([words] if words else []), "1回1錠"]
    assert residue(converted) == left


@pytest.mark.parametrize(
    ("rate", "unit", "expected", "left"),
    [
        (
            "102",
            "ml/hr^ミリリッター／時間^ISO+",
            {
                "value": Decimal(102),
                "unit": "ミリリッター／時間",
                "system": "http://unitsofmeasure.org",
                "code": "mL/h",
            },
            {},
        ),
        (
            "102",
            "mL/h",
            {"value": Decimal(102), "unit": "mL/h", "system": "http://unitsofmeasure.org", "code": "mL/h"},
            {},
        ),
        ("102", "", {"value": Decimal(102)}, {}),
        *(
            (
                "3",
                sent,
                {"value": Decimal(3), "unit": words, "system": "http://unitsofmeasure.org", "code": code},
                {},
            )
            for sent, words, code in (
                ("ug/kg/min^γ^ISO+", "γ", "ug/kg/min"),
                ("滴/分", "滴/分", "[drp]/min"),
                ("μg／時", "μg／時", "ug/h"),
                ("U/hr", "U/hr", "U/h"),
            )
        ),
        ("速く", "mL/h", None, {"RXE[1]-23": "速く", "RXE[1]-24": "mL/h"}),
    ],
)
def test_the_rate_of_an_infusion(rate: str, unit: str, expected: dict[str, Any] | None, left: dict[str, str]) -> None:
    converted = injection(rxe(f2="00^一般^99I02", f3="", f5="", f23=rate, f24=unit))
    request = only(converted, "MedicationRequest")
    rates = [part["rateQuantity"] for one in request.get("dosageInstruction", ()) for part in one["doseAndRate"]]
    assert rates == ([expected] if expected else [])
    assert residue(converted) == left


# -- when -------------------------------------------------------------------------------------------------------------


def test_a_rate_without_a_unit_says_so() -> None:
    converted = injection(rxe(f2="00^一般^99I02", f3="", f5="", f23="102"))
    assert dosage(converted)["text"] == "速度102"
    assert places(converted, "unit-uncoded") == ["RXE[1]-23"]


def test_a_usage_code_with_its_words() -> None:
    made = dosage(oral(rxe(), tq1(f3=AFTER_MEALS)))
    assert made["timing"]["code"] == {
        "coding": [{"system": USAGE, "code": "1013044400000000", "display": "内服・経口・１日３回朝昼夕食後"}],
        "text": "内服・経口・１日３回朝昼夕食後",
    }
    assert made["timing"]["repeat"] == {"frequency": 3, "period": 1, "periodUnit": "d", "when": ["PCM", "PCD", "PCV"]}
    assert made["text"] == "内服・経口・１日３回朝昼夕食後 1回1錠"


def test_code_and_words_in_conflict_are_both_kept_and_nothing_is_derived() -> None:
    converted = oral(rxe(), tq1(f3="1011040000000000&内服・経口・１日１回朝食後&JAMISDP01"))
    made = dosage(converted)
    assert "repeat" not in made["timing"]
    assert made["timing"]["code"]["coding"][0]["code"] == "1011040000000000"
    assert "朝食後" in made["text"]
    assert places(converted, "usage-conflict") == ["TQ1[1]-3"]


@pytest.mark.parametrize(
    ("sent", "issue"),
    [
        ("1013044400000ZZZ&毎食後&JAMISDP01", "usage-incomplete"),
        ("9993044400000000&毎食後&JAMISDP01", "usage-undecoded"),
        ("毎食後&毎食後&JAMISDP01", "code-label-mismatch"),
        ("12&毎食後&99USE", None),
    ],
)
def test_a_usage_that_cannot_be_read_is_kept(sent: str, issue: str | None) -> None:
    converted = oral(rxe(), tq1(f3=sent))
    made = dosage(converted)
    assert made["timing"]["code"]["text"] == "毎食後"
    assert made["timing"]["code"]["coding"][0]["code"] == sent.split("&")[0]
    assert [code for code in codes(converted) if code.startswith(("usage", "code-label"))] == ([issue] if issue else [])


def test_words_alone_are_a_usage() -> None:
    assert dosage(oral(rxe(), tq1(f3="&毎食後")))["timing"] == {"code": {"text": "毎食後"}}


@pytest.mark.parametrize(
    ("segments"),
    [
        (rxe(), tq1(f3="1012040400000000&朝夕食後&JAMISDP01~I1100000&隔日&JAMISDP01")),
        (rxe(f7="I1100000^隔日^JAMISDP01"), tq1(f3="1012040400000000&朝夕食後&JAMISDP01")),
    ],
)
def test_every_other_day_in_tq1_or_rxe_changes_the_timing(segments: tuple[str, ...]) -> None:
    made = dosage(oral(*segments))
    assert made["timing"]["repeat"] == {"frequency": 2, "period": 2, "periodUnit": "d", "when": ["PCM", "PCV"]}
    (instruction,) = made["additionalInstruction"]
    assert instruction["coding"] == [{"system": SUPPLEMENT, "code": "I1100000", "display": "隔日"}]


def test_an_unknown_supplement_leaves_no_timing() -> None:
    made = dosage(oral(rxe(), tq1(f3="1012040400000000&朝夕食後&JAMISDP01~X1100000&何か&JAMISDP01")))
    assert "repeat" not in made["timing"]


def test_instructions_to_the_dispenser_go_to_the_supply() -> None:
    converted = oral(rxe(f7="S^粉砕^JHSP0002~V11NNNNN^１回目^JAMISDP01~1^何回目から^JHSP0005"))
    made = only(converted, "MedicationRequest")
    (extension,) = made["dispenseRequest"]["extension"]
    assert extension["url"] == EXTENSION + "JP_MedicationRequest_DispenseRequest_InstructionForDispense"
    assert extension["valueCodeableConcept"]["text"] == "粉砕"
    assert [i["text"] for i in made["dosageInstruction"][0]["additionalInstruction"]] == ["１回目", "何回目から"]
    assert residue(converted) == {"RXE[1]-5.1": "TAB", "RXE[1]-5.3": "MR9P"}  # an uneven dose stands in words


@pytest.mark.parametrize(
    ("segments", "expected"),
    [
        ((rxe(f27="22^頓服^JHSP0003"),), True),
        ((rxe(f27="21^内服^JHSP0003"),), None),
        ((rxe(f27="22^二十二^99X"),), None),
        ((rxe(), tq1(f3="1050110000000000&内服・経口・疼痛時&JAMISDP01")), True),
    ],
)
def test_as_needed(segments: tuple[str, ...], expected: bool | None) -> None:
    assert dosage(oral(*segments)).get("asNeededBoolean") is expected


@pytest.mark.parametrize("sent", ["5^d", "5^D", "5^D&日&ISO+", "5.0^d"])
def test_days_of_intake(sent: str) -> None:
    converted = oral(rxe(), tq1(f6=sent))
    (extension,) = dosage(converted)["extension"]
    assert extension["url"] == EXTENSION + "JP_MedicationDosage_UsageDuration"
    supply = only(converted, "MedicationRequest")["dispenseRequest"]["expectedSupplyDuration"]
    assert extension["valueDuration"] == supply
    assert supply["value"] == Decimal(sent.split("^")[0])
    assert dosage(converted)["text"].endswith(f"{sent.split('^')[0]}日分")
    assert residue(converted) == {}


@pytest.mark.parametrize(
    ("sent", "words"),
    [("5^h", " 期間5h"), ("五^d", " 期間五d"), ("5", " 期間5"), ("1^mo&月&ISO+", " 期間1月"), ("^d", "")],
)
def test_a_duration_of_no_days_is_residue_and_words(sent: str, words: str) -> None:
    converted = oral(rxe(), tq1(f6=sent))
    assert "dispenseRequest" not in only(converted, "MedicationRequest")
    assert dosage(converted)["text"] == f"1回1錠{words}"
    assert residue(converted) == {"TQ1[1]-6": sent}
    assert places(converted, "not-a-number") == ["TQ1[1]-6"]


def test_other_parts_of_a_duration_are_residue() -> None:
    assert residue(oral(rxe(), tq1(f6="5^d&単位&99X^x"))) == {"TQ1[1]-6.2": "単位 99X", "TQ1[1]-6.3": "x"}


@pytest.mark.parametrize(
    ("start", "end", "period", "left"),
    [
        ("20240601", "", {"start": "2024-06-01"}, {}),
        ("2024060100", "20240605", {"start": "2024-06-01T00:00:00+09:00", "end": "2024-06-05"}, {}),
        ("20240605", "20240601", {"start": "2024-06-05"}, {"TQ1[1]-8": "20240601"}),
        ("x", "20240601", None, {"TQ1[1]-7": "x", "TQ1[1]-8": "20240601"}),
        (
            "20240601^D",
            "20240602^D",
            {"start": "2024-06-01", "end": "2024-06-02"},
            {"TQ1[1]-7.2": "D", "TQ1[1]-8.2": "D"},
        ),
        ("", "20240601", None, {"TQ1[1]-8": "20240601"}),
    ],
)
def test_period_of_use(start: str, end: str, period: dict[str, str] | None, left: dict[str, str]) -> None:
    converted = oral(rxe(), tq1(f7=start, f8=end))
    extensions = dosage(converted).get("extension", [])
    assert [e["valuePeriod"] for e in extensions] == ([period] if period else [])
    assert residue(converted) == left


def test_the_period_of_an_injection_bounds_its_timing() -> None:
    made = dosage(injection(rxe(), tq1(f7="202406010800", f8="202406011300")))
    assert made["timing"]["repeat"]["boundsPeriod"] == {
        "start": "2024-06-01T08:00:00+09:00",
        "end": "2024-06-01T13:00:00+09:00",
    }


@pytest.mark.parametrize(("sent", "priority"), [("S", "stat"), ("A", "asap"), ("R", "routine"), ("Q", None)])
def test_priority(sent: str, priority: str | None) -> None:
    converted = oral(rxe(), tq1(f9=sent))
    assert only(converted, "MedicationRequest").get("priority") == priority
    assert residue(converted) == ({} if priority else {"TQ1[1]-9": "Q"})


def test_occasions_and_words_for_the_patient() -> None:
    converted = oral(rxe(), tq1(f11="痛い時に", f14="6"))
    made = only(converted, "MedicationRequest")
    (extension,) = made["dispenseRequest"]["extension"]
    assert (extension["url"], extension["valueInteger"]) == (
        EXTENSION + "JP_MedicationRequest_DispenseRequest_ExpectedRepeatCount",
        6,
    )
    assert dosage(converted)["patientInstruction"] == "痛い時に"
    assert dosage(converted)["text"].endswith("6回分")


@pytest.mark.parametrize("sent", ["x", "1234567", "²", "-1"])
def test_occasions_that_are_no_count_are_residue(sent: str) -> None:
    converted = read("OMP-01", ORC, rxe(), tq1(f14=sent), encoding="utf-8")
    assert residue(converted) == {"TQ1[1]-14": sent}


@pytest.mark.parametrize(
    ("sent", "left"),
    [
        (f"{AFTER_MEALS}^3", {"TQ1[1]-3.2": "3"}),
        ("&&JAMISDP01", {"TQ1[1]-3.1": "JAMISDP01"}),
        ("1&a&99X&&b&99Y", {"TQ1[1]-3.1": "99Y"}),
    ],
)
def test_what_a_usage_has_no_room_for_is_residue(sent: str, left: dict[str, str]) -> None:
    assert residue(oral(rxe(), tq1(f3=sent))) == left


# -- by which way -----------------------------------------------------------------------------------------------------


def test_route_site_device_method_and_line() -> None:
    converted = injection(
        rxe(), "RXR|IV^静脈内^HL70162|77L^左足^JAMISDP01|IVP^点滴ポンプ^HL70164^x|IVPB^側管^HL70165|01^主管^99LN"
    )
    made = dosage(converted)
    assert made["route"]["coding"][0]["code"] == "IV"
    assert made["site"]["coding"][0]["system"] == "http://jami.jp/CodeSystem/MedicationBodySiteExternal"
    assert made["method"]["text"] == "側管"
    device, line = made["extension"]
    assert device["valueReference"]["display"] == "点滴ポンプ"
    assert line["valueCodeableConcept"]["text"] == "主管"
    assert residue(converted) == {"RXR[1]-3.4": "x"}


def test_how_long_an_administration_takes_stands_in_the_text() -> None:
    assert (
        dosage(injection(rxe(f3="100", f5="ML^mL^MR9P"), "TQ1|1" + "|" * 12 + "1.5^hr"))["text"] == "1回100mL 1.5時間で"
    )


def test_main_and_side_line_are_both_there() -> None:
    converted = injection(rxe(), "RXR|IV^静脈内^HL70162||||MAIN^主管^99LN~SUB^側管^99LN")
    assert [one["valueCodeableConcept"]["text"] for one in dosage(converted)["extension"]] == ["主管", "側管"]
    assert residue(converted) == {}


def test_without_usage_and_dose_the_route_is_the_text() -> None:
    assert dosage(oral(rxe(f3=""), "RXR|PO^口^HL70162"))["text"] == "口"


def test_a_comment_of_an_injection_is_an_instruction() -> None:
    converted = injection(rxe(f7="^５時間一定速度で^99IC6"))
    assert dosage(converted)["additionalInstruction"] == [{"text": "５時間一定速度で"}]
    assert residue(converted) == {"RXE[1]-7.3": "99IC6"}


@pytest.mark.parametrize(
    ("sent", "code", "number"),
    [("1/2", "not-a-number", False), ("-1", "amount-not-positive", False), ("0", "amount-not-positive", True)],
)
def test_a_dose_that_is_no_amount_is_reported(sent: str, code: str, number: bool) -> None:
    converted = oral(rxe(f3=sent))
    assert places(converted, code) == ["RXE[1]-3"]
    assert ("doseAndRate" in dosage(converted)) is number


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({"f5": "TAB^錠^MR9P"}, "1"),
        ({"f5": "ML^mL^MR9P"}, "1"),
        ({"f5": "MG^mg^MR9P", "f6": "PWD^散剤^MR9P", "f2": "1^薬１０倍散^99X"}, "2"),
        ({"f5": "MG^mg^MR9P", "f6": "PWD^散剤^MR9P"}, None),
        ({"f5": "G^g^MR9P", "f6": "PWD^散剤^MR9P", "f2": "1^薬１０倍散^99X"}, None),
        ({"f5": "G^g^MR9P", "f25": "100", "f26": "MG^mg^MR9P"}, "2"),
        ({"f5": "UNT^単位^MR9P"}, None),
        ({"f5": "TAB^錠^99U"}, None),
    ],
)
def test_whether_a_dose_weighs_the_product_or_the_substance(fields: dict[str, str], kind: str | None) -> None:
    (part,) = dosage(oral(rxe(f3="50", **fields)))["doseAndRate"]
    assert (part["type"]["coding"][0]["code"] if "type" in part else None) == kind


@pytest.mark.parametrize(
    ("fields", "rate", "left"),
    [
        ({"f22": "H1", "f23": "102", "f24": "ml/hr^mL/h^ISO+"}, ("rateQuantity", "102", "mL/h"), {}),
        ({"f22": "H2", "f23": "102", "f24": "ml/hr"}, ("rateQuantity", "102", "mL/h"), {"RXE[1]-22": "H2"}),
        ({"f22": "H1", "f23": "2", "f24": "ML^mL^MR9P"}, ("rateRatio", "2", "h"), {}),
        ({"f22": "H8"}, ("rateRatio", "500", "h"), {}),
        ({"f22": "M30"}, ("rateRatio", "500", "min"), {}),
        ({"f22": "L1"}, None, {"RXE[1]-22": "L1"}),
        ({"f22": "毎時"}, None, {"RXE[1]-22": "毎時"}),
        ({"f23": "102ml/hr"}, ("rateQuantity", "102", "mL/h"), {}),
        ({"f23": "１０２ｍｌ／ｈｒ"}, ("rateQuantity", "102", "mL/h"), {}),
        ({"f23": "全開"}, None, {"RXE[1]-23": "全開"}),
        ({"f23": "-5", "f24": "ml/hr"}, None, {"RXE[1]-23": "-5", "RXE[1]-24": "ml/hr"}),
    ],
)
def test_rates_in_all_ways_they_are_sent(
    fields: dict[str, str], rate: tuple[str, str, str] | None, left: dict[str, str]
) -> None:
    converted = injection(rxe(f2="00^一般^99I02", f3="500", f5="ML^mL^MR9P", **fields))
    (part,) = dosage(converted)["doseAndRate"]
    if rate is None:
        assert not {"rateQuantity", "rateRatio"} & part.keys()
    else:
        name, value, unit = rate
        amount = part[name] if name == "rateQuantity" else part[name]["numerator"]
        assert (amount["value"], (amount if name == "rateQuantity" else part[name]["denominator"])["code"]) == (
            Decimal(value),
            unit,
        )
    assert residue(converted) == left


@pytest.mark.parametrize(
    ("sent", "method"), [("21^内服^JHSP0003", "21"), ("23^外用^JHSP0003", "23"), ("24^自己注射^JHSP0003", "24")]
)
def test_the_give_instruction_is_the_method_unless_rxr_says_one(sent: str, method: str) -> None:
    assert dosage(oral(rxe(f27=sent)))["method"]["coding"][0]["code"] == method
    both = dosage(oral(rxe(f27=sent), "RXR|PO^口^HL70162|||10^経口^JAMISDP01"))
    assert both["method"]["coding"][0]["system"] == "http://jami.jp/CodeSystem/MedicationMethodDetailUsage"
    assert both["additionalInstruction"][0]["coding"][0]["code"] == method


def test_the_side_of_a_site_is_a_body_structure() -> None:
    converted = injection(rxe(), "RXR|IM^筋肉内^HL70162|ARM^腕^HL70550||||L^左^HL70495")
    made = only(converted, "MedicationRequest")
    structure = next(one for one in made["contained"] if one["resourceType"] == "BodyStructure")
    assert structure["location"]["coding"][0]["code"] == "ARM"
    assert structure["locationQualifier"][0]["coding"][0] == {
        "system": "http://terminology.hl7.org/CodeSystem/v2-0495",
        "code": "L",
    }
    site = made["dosageInstruction"][0]["site"]
    assert site["text"] == "腕 左" and site["extension"][0]["valueReference"] == {"reference": "#site"}
    assert residue(converted) == {}
