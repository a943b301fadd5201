"""One system, three names: OID, urn:oid and FHIR URI; and schemes that are none of them."""

import pytest

from gateway.model.code import Code
from gateway.translate import code_system
from gateway.translate.code_system import code_of, codes_of, coding, scheme_of, schemes_of, system_of

LOINC = "2.16.840.1.113883.6.1"
DEPARTMENTS = "1.2.392.200250.2.2.2"


@pytest.mark.parametrize(
    ("scheme", "system"),
    [
        (LOINC, "http://loinc.org"),
        (f"urn:oid:{LOINC}", "http://loinc.org"),
        ("2.16.840.1.113883.5.25", "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"),
        ("1.3.6.1.4.1.19376.1.2.3", "http://ihe.net/fhir/ihe.formatcode.fhir/CodeSystem/formatcode"),
        (f"urn:oid:{DEPARTMENTS}", "http://jami.jp/SS-MIX2/CodeSystem/ClinicalDepartment"),
        ("1.2.392.200119.99999.10.1", "urn:oid:1.2.392.200119.99999.10.1"),
        ("http://hospital.example/codes", "http://hospital.example/codes"),
        ("Connect-a-thon classCodes", "urn:x-musubi:coding-scheme:Connect-a-thon%20classCodes"),
        ("", ""),
    ],
)
def test_a_scheme_and_its_system_lead_to_each_other(scheme: str, system: str) -> None:
    assert system_of(scheme) == system
    assert scheme_of(system) == scheme.removeprefix("urn:oid:")


def test_every_oid_of_the_table_comes_back() -> None:
    for oid, url in code_system._urls().items():
        assert system_of(oid) == url
        assert system_of(scheme_of(url)) == url


def test_a_query_asks_for_every_form() -> None:
    assert schemes_of("http://loinc.org") == (LOINC, f"urn:oid:{LOINC}", "http://loinc.org")
    assert schemes_of(f"urn:oid:{LOINC}") == schemes_of("http://loinc.org")
    assert schemes_of("http://hospital.example/codes") == ("http://hospital.example/codes",)


def test_codings_there_and_back() -> None:
    code = Code("11502-2", LOINC, "検査結果")
    assert coding(code) == {"system": "http://loinc.org", "code": "11502-2", "display": "検査結果"}
    assert code_of(coding(code)) == code
    assert codes_of({"coding": [{"system": "http://loinc.org", "code": "11502-2"}], "text": "検査結果"}) == (code,)
    assert coding(Code("a", "")) == {"code": "a"}


def test_a_text_alone_is_no_code() -> None:
    assert codes_of({"text": "検査結果"}) == () == codes_of({"coding": [{"display": "検査結果"}]})
