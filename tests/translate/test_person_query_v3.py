"""Parameters of a v3 demographics query: what they ask, and what cannot be asked. The answers: tests/ihe/test_iti47.py."""

import pytest
from lxml import etree

from gateway.errors import InvalidParameter
from gateway.model.identity import PatientId
from gateway.model.person import PersonQuery
from gateway.translate.person_query_v3 import BadParameter, criteria, minimum_degree, scoping, scoping_places, wanted
from tests.v3_parts import MEDICAL, TOKYO, name_value, parameter


def parsed(*parameters: str) -> etree._Element:
    return etree.fromstring(f'<parameterList xmlns="urn:hl7-org:v3">{"".join(parameters)}</parameterList>')


def asked(*parameters: str) -> tuple[PersonQuery, ...]:
    return criteria(parsed(*parameters)).queries


def test_values_are_alternatives_and_parameters_are_joined() -> None:
    names = parameter("livingSubjectName", name_value("結城"), name_value("髙橋", "花"))
    born = parameter("livingSubjectBirthTime", '<value value="1984"/>', '<value value="198502"/>')
    assert asked(born, names) == (
        PersonQuery(family=("結城",), birth_date="1984"),
        PersonQuery(family=("髙橋",), given=("花",), birth_date="1984"),
        PersonQuery(family=("結城",), birth_date="198502"),
        PersonQuery(family=("髙橋",), given=("花",), birth_date="198502"),
    )


def test_a_parameter_that_says_nothing_asks_nothing() -> None:
    nothing = parameter("livingSubjectName", '<value nullFlavor="UNK"/>', "<value/>")
    assert asked(nothing, parameter("livingSubjectBirthTime", '<value nullFlavor="NI"/>')) == (PersonQuery(),)
    assert asked() == (PersonQuery(),)
    assert criteria(None).queries == (PersonQuery(),)


def test_two_parameters_that_contradict_each_other() -> None:
    cities = [parameter("patientAddress", f"<value><city>{city}</city></value>") for city in ("港区", "北区")]
    with pytest.raises(InvalidParameter):
        asked(*cities)
    assert asked(cities[0], cities[0]) == (PersonQuery(city="港区"),)


def test_an_address_in_parts_and_in_one() -> None:
    parts = (
        "<value><streetAddressLine>1-1</streetAddressLine><city>港区</city><state>東京都</state>"
        "<postalCode>100</postalCode><country>JP</country></value>"
    )
    assert asked(parameter("patientAddress", parts)) == (
        PersonQuery(line="1-1", city="港区", state="東京都", postal_code="100", country="JP"),
    )
    assert asked(parameter("patientAddress", "<value>東京都港区</value>")) == (PersonQuery(address="東京都港区"),)


def test_ids_and_domains() -> None:
    ids = parameter("livingSubjectId", f'<value root="{TOKYO}" extension="1"/>', f'<value root="{MEDICAL}"/>')
    domain = parameter("otherIDsScopingOrganization", f'<value root="{TOKYO}"/>', f'<value root="{MEDICAL}"/>')
    assert asked(ids, domain) == (
        PersonQuery(ids=(PatientId("1", TOKYO), PatientId("", MEDICAL)), domains=(TOKYO, MEDICAL)),
    )
    assert scoping(parsed(domain)) == [TOKYO, MEDICAL]
    assert scoping_places(parsed(domain)) == [f"otherIDsScopingOrganization[1]/value[{n}]" for n in (1, 2)]


@pytest.mark.parametrize("value", ['<value value="x"/>', '<value><low value="198"/></value>', '<value value="20"/>'])
def test_a_time_that_is_none_is_named(value: str) -> None:
    with pytest.raises(BadParameter) as caught:
        asked(parameter("livingSubjectBirthTime", '<value value="1984"/>', value))
    assert caught.value.location == "livingSubjectBirthTime[1]/value[2]"


@pytest.mark.parametrize(("value", "found"), [("80", 80), ("0", 0), ("100", 100)])
def test_a_degree(value: str, found: int) -> None:
    query = '<q xmlns="urn:hl7-org:v3"><matchCriterionList><minimumDegreeMatch><value value="{}"/>' + (
        "</minimumDegreeMatch></matchCriterionList></q>"
    )
    assert minimum_degree(etree.fromstring(query.format(value))) == found
    with pytest.raises(BadParameter):
        minimum_degree(etree.fromstring(query.format(f"-{value}")))


def test_facts_to_match_by() -> None:
    found = wanted(
        parsed(
            parameter("livingSubjectAdministrativeGender", '<value code="F"/>'),
            parameter("livingSubjectBirthTime", '<value value="19840203"/>'),
            parameter("livingSubjectId", f'<value root="{TOKYO}" extension="1"/>', f'<value root="{TOKYO}"/>'),
            parameter("livingSubjectName", name_value("結城", "花子"), name_value("ユウキ", "ハナコ", use="SYL")),
            parameter("livingSubjectBirthPlaceName", "<value>東京</value>"),
        )
    )
    assert (found.named, found.born, found.ids) == (True, True, (PatientId("1", TOKYO),))
    assert [one.kind for one in found.demographics.names] == ["", "kana"]
    assert found.given == {"livingSubjectAdministrativeGender", "livingSubjectBirthTime", "livingSubjectName"}
