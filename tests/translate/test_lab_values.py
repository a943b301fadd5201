"""gateway/translate/lab_values.py and numeric_text.py: every row of JAHIS laboratory sections 3 and 4."""

import gzip
import json
import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import mapping_files
from gateway.translate.lab_values import (
    DATA_ABSENT_REASON,
    GENDER,
    INTERPRETATION,
    UCUM,
    Unit,
    interpretation,
    observation_value,
    quantity,
    reference_range,
    unit,
)

TERMINOLOGY = Path(__file__).parents[2] / ".." / "shared" / "fhir" / "r4" / "r4-terminology.json.gz"
MG_DL = Unit("mg/dL", "mg/dL")


@pytest.mark.parametrize("through_st", [False, True])
@pytest.mark.parametrize(
    ("text", "comparator", "digits", "changed"),
    [
        ("7.2", "", "7.2", False),
        ("7.20", "", "7.20", False),
        (".50", "", "0.50", True),
        ("0", "", "0", False),
        ("-14", "", "-14", False),
        ("−14", "", "-14", True),
        ("１２．３", "", "12.3", True),
        ("<0.1", "<", "0.1", False),
        ("< 0.1", "<", "0.1", True),
        ("＜0.1", "<", "0.1", True),
        ("0.1未満", "<", "0.1", True),
        ("0.1ミマン", "<", "0.1", True),
        ("0.1ﾐﾏﾝ", "<", "0.1", True),
        ("L0.1", "<", "0.1", True),
        ("0.1>", "<", "0.1", True),
        (">100", ">", "100", False),
        ("> 100", ">", "100", True),
        ("U100", ">", "100", True),
        ("100超過", ">", "100", True),
        ("100<", ">", "100", True),
        ("≦400", "<=", "400", True),
        ("<=400", "<=", "400", False),
        ("=<400", "<=", "400", True),
        ("400以下", "<=", "400", True),
        ("400イカ", "<=", "400", True),
        ("400ｲｶ", "<=", "400", True),
        ("↓400", "<=", "400", True),
        ("400≧", "<=", "400", True),
        ("≧200", ">=", "200", True),
        (">=200", ">=", "200", False),
        ("=>200", ">=", "200", True),
        ("200以上", ">=", "200", True),
        ("200～", ">=", "200", True),
        ("200〜", ">=", "200", True),
        ("↑200", ">=", "200", True),
        ("200≦", ">=", "200", True),
        ("50×10^2", "", "5000", True),
        ("1.3E+2", "", "130", True),
        ("1.30E-2", "", "0.0130", True),
        ("10**2", "", "100", True),
        ("<1.0×10^3", "<", "1000", True),
        ("100〈", ">", "100", True),
        ("〉100", ">", "100", True),
        ("200↑", ">=", "200", True),
        ("400↓", "<=", "400", True),
        ("< =400", "<=", "400", True),
        ("＜＝400", "<=", "400", True),
        ("100 超過", ">", "100", True),
    ],
)
def test_numbers(text: str, comparator: str, digits: str, changed: bool, through_st: bool) -> None:
    value = observation_value("ST", text, "mg/dL^mg/dL^99XYZ") if through_st else quantity(text, MG_DL)
    assert value is not None
    fragment = {"value": Decimal(digits)} | ({"comparator": comparator} if comparator else {})
    assert value.element == "valueQuantity"
    assert value.fhir == fragment | {"unit": "mg/dL", "system": UCUM, "code": "mg/dL"}
    assert str(value.fhir["value"]) == digits, "the digits, not only the number"
    assert (value.original, value.changed, value.issues) == (text, changed, ())


@pytest.mark.parametrize(
    "text",
    ["-", "(-)", "－", "陰性", "インセイ", "検出せず", "+", "陽性", "検出", "±", "+-", "+/-", "少数", "1+", "(2+)", "++", "３＋",
     "2.3(±)", "3+(300)", "40%(1+)", "(2+)60%", "52/3", "15/200", " 3 +", "  -", "1,234", "+1", "10²", "①", "½", "007",
     "０１", "01-05", "12-3", "1-4-7", "2:30", "1:0", "1:64以上", "<5以下", "<", "L", "L-5", "U1-RNP", "5-", "~5", "1E5",
     "10*2", "1.3E+99", "1234567890123456789", "A^B", "5^-^9", "Escherichia coli", "常在菌のみ", "1 234", "٣", "NaN",
     "Infinity", "1_000", "0x1F"],
)  # fmt: skip
def test_what_is_not_surely_a_number_stays_text(text: str) -> None:
    value = observation_value("ST", text, "")
    assert value is not None
    assert (value.element, value.fhir, value.original) == ("valueString", text, text)
    assert not value.changed


def test_comparator_and_number_divided_by_a_caret() -> None:
    value = observation_value("ST", "<^0.1", "")
    assert value is not None
    assert value.fhir == {"value": Decimal("0.1"), "comparator": "<"}
    assert value.original == "<^0.1"


@pytest.mark.parametrize(
    ("text", "low", "high", "changed"),
    [("1-4", "1", "4", False), ("0.5～2", "0.5", "2", True), ("≧10＜20", "10", "20", True), ("-5-5", "-5", "5", False),
     ("10-19", "10", "19", False), ("1.0 - 1.50", "1.0", "1.50", True), ("10以上20未満", "10", "20", True),
     ("0.5～2未満", "0.5", "2", True), ("0.5-<2.0", "0.5", "2.0", True)],
)  # fmt: skip
def test_ranges(text: str, low: str, high: str, changed: bool) -> None:
    value = quantity(text, Unit("/HPF", "/[HPF]"))
    words = {"unit": "/HPF", "system": UCUM, "code": "/[HPF]"}
    assert value.element == "valueRange"
    assert value.fhir == {"low": {"value": Decimal(low)} | words, "high": {"value": Decimal(high)} | words}
    assert [str(value.fhir[end]["value"]) for end in ("low", "high")] == [low, high]
    assert (value.changed, value.original) == (changed, text)


@pytest.mark.parametrize(
    ("kind", "raw", "changed"),
    [("ST", "1:128", False), ("ST", "１：１２８", True), ("SN", "^1^:^128", False), ("ST", "^1^:^128", False)],
)
def test_titres(kind: str, raw: str, changed: bool) -> None:
    value = observation_value(kind, raw, "")
    assert value is not None
    assert value.element == "valueRatio"
    assert value.fhir == {"numerator": {"value": Decimal(1)}, "denominator": {"value": Decimal(128)}}
    assert (value.original, value.changed) == (raw, changed)


def test_count_per_count_needs_to_be_known() -> None:
    assert quantity("52/3", None).element == "valueString"
    value = quantity("52/3", None, counts=True)
    assert value.fhir == {"numerator": {"value": Decimal(52)}, "denominator": {"value": Decimal(3)}}
    assert not value.changed
    assert quantity("2.0/300", None, counts=True).fhir["numerator"] == {"value": Decimal("2.0")}
    assert quantity("5/0", None, counts=True).element == "valueString"


@pytest.mark.parametrize(
    ("text", "code"), [("測定不能", "error"), ("検体不足", "not-performed"), ("未検査", "not-performed")]
)
def test_words_in_place_of_a_result(text: str, code: str) -> None:
    value = observation_value("ST", text, "")
    assert value is not None
    assert value.element == "dataAbsentReason"
    assert value.fhir == {"coding": [{"system": DATA_ABSENT_REASON, "code": code}], "text": text}


def test_blank_is_unknown_for_quantity_and_nothing_for_obx() -> None:
    assert quantity("", None).fhir == {"coding": [{"system": DATA_ABSENT_REASON, "code": "unknown"}]}
    for raw in ("", '""', "  ", "\u3000", "^^", "^&"):
        for kind in ("NM", "ST", "SN", "TX", "CWE", "DT", "XYZ", ""):
            assert observation_value(kind, raw, "mg") is None


@pytest.mark.parametrize(
    ("raw", "element", "fhir", "codes"),
    [
        ("7.20", "valueQuantity", {"value": Decimal("7.20")}, []),
        ("+5", "valueQuantity", {"value": Decimal("5")}, []),
        ("5.", "valueQuantity", {"value": Decimal("5")}, []),
        ("007", "valueQuantity", {"value": Decimal("7")}, []),
        ("ccc", "valueString", "ccc", ["not-a-number"]),
        ("1,234", "valueString", "1,234", ["not-a-number"]),
        ("１２", "valueQuantity", {"value": Decimal("12")}, ["not-a-number"]),
        ("<0.5", "valueQuantity", {"value": Decimal("0.5"), "comparator": "<"}, ["not-a-number"]),
        ("1-4", "valueRange", {"low": {"value": Decimal(1)}, "high": {"value": Decimal(4)}}, ["not-a-number"]),
        ("12345678901234567890", "valueString", "12345678901234567890", ["not-a-number"]),
    ],
)
def test_nm(raw: str, element: str, fhir: Any, codes: list[str]) -> None:
    value = observation_value("NM", raw, "")
    assert value is not None
    assert (value.element, value.fhir) == (element, fhir)
    assert [code for _, code, _ in value.issues] == codes
    assert value.changed == (raw in ("+5", "5.", "007", "１２"))


@pytest.mark.parametrize(
    ("raw", "element", "fhir", "codes"),
    [
        (">^100", "valueQuantity", {"value": Decimal(100), "comparator": ">"}, []),
        ("=^100", "valueQuantity", {"value": Decimal(100)}, []),
        ("^0^-^1", "valueRange", {"low": {"value": Decimal(0)}, "high": {"value": Decimal(1)}}, []),
        ("^52^/^3", "valueRatio", {"numerator": {"value": Decimal(52)}, "denominator": {"value": Decimal(3)}}, []),
        ("^2^+", "valueString", "2+", []),
        ("^^-", "valueString", "-", []),
        ("^^+", "valueString", "+", []),
        ("^^+-", "valueString", "+-", []),
        (">^3^+", "valueString", ">3+", []),
        ("^^:^64", "valueString", "^^:^64", ["not-a-structured-number"]),
        ("<>^5", "valueString", "<>^5", ["not-a-structured-number"]),
        ("^9^-^1", "valueString", "^9^-^1", ["not-a-structured-number"]),
        ("^abc", "valueString", "^abc", ["not-a-structured-number"]),
        (">^5^-^9", "valueString", ">^5^-^9", ["not-a-structured-number"]),
        ("5", "valueQuantity", {"value": Decimal(5)}, []),
        ("陰性", "valueString", "陰性", []),
    ],
)
def test_sn(raw: str, element: str, fhir: Any, codes: list[str]) -> None:
    value = observation_value("SN", raw, "")
    assert value is not None
    assert (value.element, value.fhir, value.original) == (element, fhir, raw)
    assert [code for _, code, _ in value.issues] == codes


@pytest.mark.parametrize(
    ("kind", "raw", "element", "fhir", "changed"),
    [
        ("DT", "20110701", "valueDateTime", "2011-07-01", False),
        ("DT", "2011", "valueDateTime", "2011", False),
        ("TS", "20110701123456+0900", "valueDateTime", "2011-07-01T12:34:56+09:00", False),
        ("TS", "20110701123456.25", "valueDateTime", "2011-07-01T12:34:56.25+09:00", False),
        ("TS", "2011070112", "valueDateTime", "2011-07-01T12:00:00+09:00", True),
        ("DTM", "201107011234", "valueDateTime", "2011-07-01T12:34:00+09:00", True),
        ("TM", "1234", "valueTime", "12:34:00", True),
        ("TM", "123456.5", "valueTime", "12:34:56.5", False),
        ("TS", "20111301", "valueString", "20111301", False),
        ("DT", "昨日", "valueString", "昨日", False),
        ("TM", "2460", "valueString", "2460", False),
        ("TM", "1234+0900", "valueString", "1234+0900", False),
    ],
)
def test_times(kind: str, raw: str, element: str, fhir: str, changed: bool) -> None:
    value = observation_value(kind, raw, "")
    assert value is not None
    assert (value.element, value.fhir, value.original, value.changed) == (element, fhir, raw, changed)
    assert [code for _, code, _ in value.issues] == (["not-a-time"] if element == "valueString" else [])


def test_other_types() -> None:
    coded = observation_value("CWE", "A^A^JSHR002", "")
    assert coded == ("valueCodeableConcept", None, "A^A^JSHR002", (), False)
    for kind, element, issue in (
        ("XCN", "valueString", "value-type-unknown"), ("ED", "", "value-type-not-text"), ("", "valueString", "value-type-missing"),
    ):  # fmt: skip
        value = observation_value(kind, "x^y", "")
        assert value is not None
        assert (value.element, [code for _, code, _ in value.issues]) == (element, [issue])
    for kind in ("TX", "FT"):
        value = observation_value(kind, "5", "")
        assert value is not None
        assert (value.element, value.fhir) == ("valueString", "5")


def test_escapes_and_control_characters() -> None:
    value = observation_value("TX", "a\\.br\\b\\T\\c", "")
    assert value is not None
    assert value.fhir == "a\nb&c"
    assert observation_value("ST", "50×10\\S\\2", "") == quantity("50×10^2", None)
    value = observation_value("ST", "a\x1bb\x7f\ud800", "")
    assert value is not None
    assert value.fhir == value.original == "a␛b␡\ufffd"
    assert value.changed
    assert [code for _, code, _ in value.issues] == ["control-character"]


def test_a_unit_beside_a_text_is_reported() -> None:
    value = observation_value("ST", "(-)", "mg/dL")
    assert value is not None
    assert [code for _, code, _ in value.issues] == ["unit-without-number"]


@given(
    st.sampled_from(["NM", "ST", "SN", "TX", "TS", "TM", "DT", "", "ZZ"]), st.text(max_size=80), st.text(max_size=20)
)
def test_any_text_keeps_its_original_and_is_fit_for_fhir(kind: str, raw: str, obx6: str) -> None:
    value = observation_value(kind, raw, obx6)
    if value is None:
        assert not raw.strip(" \u3000^&") or raw == '""'
        return
    assert value.original
    assert not re.search(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]", value.original)
    if value.element == "valueString" and not value.changed and "\\" not in raw and "^" not in raw:
        assert value.fhir == raw
    for _, _, text in value.issues:
        assert text.isascii(), "an issue names the rule and never the value"


@given(st.decimals(allow_nan=False, allow_infinity=False, places=3, min_value=-9999999, max_value=9999999))
def test_numbers_keep_every_digit(number: Decimal) -> None:
    sent = format(number, "f")
    value = observation_value("NM", sent, "")
    assert value is not None
    assert format(value.fhir["value"], "f") == sent
    assert not value.changed


def test_numbers_as_sent_survive_sn_spacing() -> None:
    """NHO writes an SN into an ST with blanks for the carets; the text keeps its leading blanks."""
    value = observation_value("ST", " 3 +", "")
    assert value is not None
    assert value.fhir == " 3 +"
    value = observation_value("ST", "< 2", "")
    assert value is not None
    assert value.fhir == {"value": Decimal(2), "comparator": "<"}
    assert value.changed


@pytest.mark.parametrize(
    ("obx6", "text", "code"),
    [
        ("mg/dL^mg/dL^99XYZ", "mg/dL", "mg/dL"),
        ("g/dl^g/dl^99XYZ", "g/dl", "g/dL"),
        ("ug/mL^μg/mL^ISO+", "μg/mL", "ug/mL"),
        ("ug/mL^µg/mL", "µg/mL", "ug/mL"),
        ("mg/dL", "mg/dL", "mg/dL"),
        ("ｍｇ／ｄＬ", "ｍｇ／ｄＬ", "mg/dL"),
        ("％", "％", "%"),
        (".10*4/uL", ".10*4/uL", "10*4/uL"),
        ("×10^3/μL", "×10^3/μL", "10*3/uL"),
        ("mL/min/1.73m^2", "mL/min/1.73m^2", "mL/min/{1.73_m2}"),
        ("kg/m^2", "kg/m^2", "kg/m2"),
        ("cm^2^99X", "2", ""),
        ("10^4/uL", "10^4/uL", "10*4/uL"),
        ("10^4/uL^L", "4/uL", ""),
        ("x10E3/uL", "x10E3/uL", "10*3/uL"),
        ("10*4/uL^10*4/uL^99XYZ", "10*4/uL", "10*4/uL"),
        ("/(hpf)", "/(hpf)", "/[HPF]"),
        ("/HPF^/HPF^99XYZ", "/HPF", "/[HPF]"),
        ("cel", "cel", "Cel"),
        ("permil", "permil", "[ppth]"),
        ("pcs", "pcs", "{cells}"),
        ("mEq/L^mEq/L^99XYZ", "mEq/L", "meq/L"),
        ("IU/L", "IU/L", "[IU]/L"),
        ("U/L^U/L^99XYZ", "U/L", "U/L"),
        ("msec", "msec", "ms"),
        ("001^mg/dL^99XYZ", "mg/dL", "mg/dL"),
        ("g^個^99XYZ", "個", ""),
        ("mg^g^ISO+", "g", ""),
        ("01^数^99XYZ^mg^mg^ISO+", "数", "mg"),
        ("個/HFP", "個/HFP", ""),
        ("/HPL", "/HPL", ""),
        ("mOms/L", "mOms/L", ""),
        ("MG/DL", "MG/DL", ""),
        ("ddd", "ddd", ""),
        ("", "", ""),
        ('""', "", ""),
    ],
)
def test_units(obx6: str, text: str, code: str) -> None:
    assert unit(obx6) == Unit(text, code)


@pytest.mark.parametrize(
    ("obx7", "low", "high"),
    [
        ("6.70-8.3", "6.70", "8.3"),
        ("<85", None, "85"),
        ("<=0.14", None, "0.14"),
        ("0.14以下", None, "0.14"),
        ("40以上", "40", None),
        ("3.5～5.0", "3.5", "5.0"),
        ("～5.0", None, "5.0"),
        ("3.5～", "3.5", None),
        ("～x", None, None),
        ("5.0↓", None, "5.0"),
        ("-10--2", "-10", "-2"),
        ("10以上20未満", "10", "20"),
        ("-5-5", "-5", "5"),
        ("1.2-2.0 mg/dL", "1.2", "2.0"),
        ("(-)", None, None),
        ("eee", None, None),
        ("8-3", None, None),
        ("7", None, None),
        ("陰性", None, None),
        ("M:13.1-16.6 F:適宜", None, None),
        ("M:13.1-16.6 M:12.1-14.6", None, None),
    ],
)
def test_reference_ranges(obx7: str, low: str | None, high: str | None) -> None:
    ranges, issues = reference_range(obx7, MG_DL)
    words = {"unit": "mg/dL", "system": UCUM, "code": "mg/dL"}
    expected: dict[str, Any] = {}
    if low is not None:
        expected["low"] = {"value": Decimal(low)} | words
    if high is not None:
        expected["high"] = {"value": Decimal(high)} | words
    assert ranges == [expected | {"text": obx7}]
    assert [code for _, code, _ in issues] == (["range-reversed"] if obx7 == "8-3" else [])


@pytest.mark.parametrize(
    "obx7",
    [
        "M:13.1-16.6 F:12.1-14.6",
        "男:13.1-16.6、女:12.1-14.6",
        "男性：13.1-16.6/女性：12.1-14.6",
        "(M)13.1-16.6(F)12.1-14.6",
        "男 13.1～16.6 女 12.1～14.6",
        "M:13.1-16.6F:12.1-14.6",
        "M:13.1-16.6~F:12.1-14.6",
    ],
)
def test_reference_range_by_sex(obx7: str) -> None:
    ranges, issues = reference_range(obx7, None)
    assert issues == ()
    assert [entry["appliesTo"][0]["coding"] for entry in ranges] == [
        [{"system": GENDER, "code": "male"}],
        [{"system": GENDER, "code": "female"}],
    ]
    assert [(entry["low"]["value"], entry["high"]["value"]) for entry in ranges] == [
        (Decimal("13.1"), Decimal("16.6")),
        (Decimal("12.1"), Decimal("14.6")),
    ]
    assert all(entry["text"] in obx7 for entry in ranges)


def test_no_reference_range() -> None:
    for obx7 in ("", '""', "  "):
        assert reference_range(obx7, MG_DL) == ([], ())


@pytest.mark.parametrize("flag", ["L", "H", "LL", "HH", "<", ">", "N", "A", "AA", "U", "D", "B", "W", "S", "R", "I"])
def test_flags_of_table_0078(flag: str) -> None:
    concept, issues = interpretation(flag)
    assert concept is not None
    assert (concept["coding"][0]["system"], concept["coding"][0]["code"]) == (INTERPRETATION, flag)
    assert "text" not in concept
    assert issues == ()


def test_flags_that_say_more_keep_their_words() -> None:
    for flag in ("MS", "VS"):
        concept, _ = interpretation(flag)
        assert concept is not None
        assert (concept["coding"][0]["code"], concept["text"]) == ("S", flag)
    concept, _ = interpretation("H^高値^HL70078")
    assert concept is not None
    assert (concept["coding"][0]["code"], concept["text"]) == ("H", "高値")


def test_unknown_flags_are_text_with_an_issue() -> None:
    concept, issues = interpretation("fff")
    assert concept == {"text": "fff"}
    assert [code for _, code, _ in issues] == ["code-unknown"]
    for nothing in ("", '""', " ", "^^"):
        assert interpretation(nothing) == (None, ())


# ---------------------------------------------------------------------------------- the tables against the standard


@pytest.fixture(scope="module")
def terminology() -> dict[str, dict[str, Any]]:
    if not TERMINOLOGY.exists():
        pytest.skip("the shared FHIR packages are not here")
    found = json.loads(gzip.decompress(TERMINOLOGY.read_bytes()))
    found = found if isinstance(found, list) else found.get("entry") or list(found.values())
    resources = [entry.get("resource", entry) for entry in found if isinstance(entry, dict)]
    return {f"{entry.get('resourceType')} {entry.get('url')}": entry for entry in resources}


def _codes(concepts: list[dict[str, Any]]) -> dict[str, str]:
    out: dict[str, str] = {}
    for concept in concepts:
        out[concept["code"]] = concept.get("display", "")
        out |= _codes(concept.get("concept", []))
    return out


def test_every_ucum_target_is_common_or_well_formed(terminology: dict[str, dict[str, Any]]) -> None:
    compose = terminology["ValueSet http://hl7.org/fhir/ValueSet/ucum-common"]["compose"]
    common = {concept["code"] for include in compose["include"] for concept in include.get("concept", [])}
    targets = {row["target"] for row in mapping_files.read_csv(mapping_files.path("tables", "ucum-units.csv"))}
    # Powers of ten on a volume: UCUM has them, the list of common units only has some.
    others = {"10*4/mL", "10*4/mm3", "10*5/mL", "mmol/mL"}
    # Prefixes and quotients of units that stand there: radiation (線量), echocardiography.
    others |= {"mGy", "cGy", "mGy.cm", "mSv", "uSv", "kV", "mA.s", "cm/s", "mm/s", "L/min/m2"}
    assert targets - common == others


def test_flag_displays_are_those_of_the_code_system(terminology: dict[str, dict[str, Any]]) -> None:
    system = _codes(terminology[f"CodeSystem {INTERPRETATION}"]["concept"])
    for row in mapping_files.read_csv(mapping_files.path("tables", "observation-interpretation.csv")):
        assert system[row["target"]] == row["display"]


def test_absent_reasons_are_in_the_code_system(terminology: dict[str, dict[str, Any]]) -> None:
    system = _codes(terminology[f"CodeSystem {DATA_ABSENT_REASON}"]["concept"])
    rows = list(mapping_files.read_csv(mapping_files.path("tables", "no-result-words.csv")))
    assert rows
    assert all(row["target"] in system for row in rows)
