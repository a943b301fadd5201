"""gateway/profiles/xml_format.py: FHIR in XML, both ways."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from gateway.codec import fhir
from gateway.errors import BadInput
from gateway.profiles.validator import Validator
from gateway.profiles.xml_format import FhirXml

GOLDENS = sorted((Path(__file__).parents[1] / "golden").glob("*/*/bundle.json"))
XML = FhirXml(Validator.default().tables)

PATIENT: dict[str, Any] = {
    "resourceType": "Patient",
    "id": "a",
    "meta": {"profile": ["http://jpfhir.jp/fhir/core/StructureDefinition/JP_Patient"]},
    "text": {"status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml"><p>架空 &amp; 太郎</p></div>'},
    "extension": [{"url": "http://example.org/e", "valueDecimal": Decimal("1.50")}],
    "identifier": [{"system": "urn:oid:1.2.3", "value": "0001"}],
    "active": True,
    "name": [{"id": "n", "use": "official", "family": "架空", "given": ["太郎", "二"]}],
    "_birthDate": {"extension": [{"url": "http://example.org/absent", "valueCode": "unknown"}]},
    "multipleBirthInteger": 2,
    "contained": [{"resourceType": "Organization", "id": "o", "name": "<病院>"}],
}


def canonical(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: canonical(inner) for key, inner in sorted(value.items())}
    return [canonical(inner) for inner in value] if isinstance(value, list) else (type(value).__name__, str(value))


def test_a_patient_as_the_standard_writes_it() -> None:
    text = XML.render(PATIENT).decode()
    assert text.startswith(
        '<?xml version="1.0" encoding="UTF-8"?><Patient xmlns="http://hl7.org/fhir"><id value="a"/><meta>'
    )
    assert '<extension url="http://example.org/e"><valueDecimal value="1.50"/></extension>' in text
    assert (
        '<name id="n"><use value="official"/><family value="架空"/><given value="太郎"/><given value="二"/></name>'
        in text
    )
    assert (
        '<birthDate><extension url="http://example.org/absent"><valueCode value="unknown"/></extension></birthDate>'
        in text
    )
    assert '<contained><Organization><id value="o"/><name value="&lt;病院&gt;"/></Organization></contained>' in text


def test_elements_stand_in_the_order_of_the_type() -> None:
    root = etree.fromstring(XML.render(PATIENT))
    assert [etree.QName(child).localname for child in root] == [
        "id", "meta", "text", "contained", "extension", "identifier", "active", "name", "birthDate", "multipleBirthInteger",
    ]  # fmt: skip


def test_it_comes_back_the_same() -> None:
    assert canonical(XML.parse(XML.render(PATIENT))) == canonical(PATIENT)


@pytest.mark.parametrize("file", GOLDENS, ids=lambda file: f"{file.parent.parent.name}/{file.parent.name}")
def test_every_golden_comes_back_the_same(file: Path) -> None:
    bundle = fhir.parse(file.read_bytes())
    assert canonical(XML.parse(XML.render(bundle))) == canonical(bundle)


@pytest.mark.parametrize(
    "text",
    [
        "<Patient/>",
        '<Patient xmlns="http://hl7.org/fhir"><nome value="x"/></Patient>',
        '<Patient xmlns="http://hl7.org/fhir"><active value="yes"/></Patient>',
        '<Patient xmlns="http://hl7.org/fhir"><active/></Patient>',
        '<Patient xmlns="http://hl7.org/fhir"><gender value="male"/><gender value="male"/></Patient>',
        '<Patient xmlns="http://hl7.org/fhir">text</Patient>',
        '<Patient xmlns="http://hl7.org/fhir" status="x"/>',
        '<Patient xmlns="http://hl7.org/fhir"><multipleBirthInteger value="1.5"/></Patient>',
        '<HumanName xmlns="http://hl7.org/fhir"><family value="x"/></HumanName>',
        '<Bundle xmlns="http://hl7.org/fhir"><entry><resource/></entry></Bundle>',
        '<!DOCTYPE Patient [<!ENTITY e "x">]><Patient xmlns="http://hl7.org/fhir"><id value="&e;"/></Patient>',
        "not xml",
        "",
    ],
)
def test_what_is_no_fhir_is_refused_without_repeating_it(text: str) -> None:
    with pytest.raises(BadInput) as caught:
        XML.parse(text.encode())
    assert "nome" not in str(caught.value) and "yes" not in str(caught.value)


def test_an_element_that_fhir_does_not_have_is_not_written() -> None:
    with pytest.raises(BadInput):
        XML.render({"resourceType": "Patient", "nome": "x"})


def test_comments_and_blanks_mean_nothing() -> None:
    text = '<Patient xmlns="http://hl7.org/fhir">\n  <!-- c --><id value="a"/>\n</Patient>'
    assert XML.parse(text.encode()) == {"resourceType": "Patient", "id": "a"}


def test_values_and_extensions_of_a_list_keep_their_places() -> None:
    aside = {"extension": [{"url": "u", "valueString": "x"}]}
    name = {"given": ["a", None, "c"], "_given": [None, aside, None]}
    patient = {"resourceType": "Patient", "name": [name]}
    assert canonical(XML.parse(XML.render(patient))) == canonical(patient)


@given(st.binary(max_size=200))
def test_arbitrary_bytes_are_read_or_refused(data: bytes) -> None:
    for one in (data, b'<Patient xmlns="http://hl7.org/fhir">' + data + b"</Patient>"):
        try:
            XML.parse(one)
        except BadInput as error:
            assert str(error)
