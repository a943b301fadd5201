"""ITI-47: every parameter, the cases of ITI TF-2: 3.47.4.2.3, continuation and cancel."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from lxml import etree

from gateway.model.person import PersonName
from tests.v3_parts import (
    MEDICAL,
    OSAKA,
    TARO,
    TOKYO,
    UNKNOWN,
    V3Node,
    code,
    continuation,
    details,
    ids_of,
    make_v3_node,
    name_value,
    parameter,
    path_of,
    pdq_query,
    quantities,
    response_code,
    subjects,
    tid,
)

ACTION = "urn:hl7-org:v3:PRPA_IN201305UV02"
CONTINUE = "urn:hl7-org:v3:QUQI_IN000003UV01_Continue"
CANCEL = "urn:hl7-org:v3:QUQI_IN000003UV01_Cancel"
BASE = "/PRPA_IN201305UV02/controlActProcess/queryByParameter/parameterList"
HANAKO = replace(TARO, names=(PersonName("結城", "花子"),), sex="F", birth_date="19900101", telecoms=())


@pytest.fixture
def node() -> V3Node:
    node = make_v3_node()
    node.persons.put("e1", TARO, tid("T1"))
    node.persons.links[tid("O1", OSAKA)] = "e1"
    node.persons.put("e2", HANAKO, tid("T2"))
    return node


def ask(node: V3Node, *parameters: str, **changes: Any) -> etree._Element:
    return node.ask("/pdqv3", ACTION, pdq_query(*parameters, **changes))


def hits(answer: etree._Element) -> list[str]:
    return [ids_of(one)[0][1] for one in subjects(answer)]


def asks(name: str, *values: str) -> str:
    return parameter(name, *values)


NAME = asks("livingSubjectName", name_value("結城"))


@pytest.mark.parametrize(
    ("parameters", "found"),
    [
        ([NAME], ["T1", "T2"]),
        ([asks("livingSubjectName", name_value("結城", "太郎"))], ["T1"]),
        ([asks("livingSubjectName", name_value("結*"))], ["T1", "T2"]),
        ([asks("livingSubjectName", name_value("結", use="SRCH"))], ["T1", "T2"]),
        ([asks("livingSubjectName", name_value("結"))], []),
        ([asks("livingSubjectName", "<value>結城 花子</value>")], ["T2"]),
        ([asks("livingSubjectName", name_value("ユウキ", "タロウ"))], ["T1"]),
        ([asks("livingSubjectName", name_value("結城", "太郎"), name_value("結城", "花子"))], ["T1", "T2"]),
        ([NAME, asks("livingSubjectName", name_value("ユウキ"))], ["T1"]),
        ([asks("livingSubjectBirthTime", '<value value="19840203"/>')], ["T1"]),
        ([asks("livingSubjectBirthTime", '<value value="1984"/>')], ["T1"]),
        ([asks("livingSubjectBirthTime", '<value value="19840203120000+0900"/>')], ["T1"]),
        ([asks("livingSubjectBirthTime", '<value><low value="1985"/><high value="19991231"/></value>')], ["T2"]),
        ([asks("livingSubjectAdministrativeGender", '<value code="F"/>'), NAME], ["T2"]),
        ([asks("livingSubjectId", f'<value root="{TOKYO}" extension="T1"/>')], ["T1", "O1"]),
        ([asks("livingSubjectId", f'<value root="{OSAKA}"/>')], ["T1", "O1"]),
        ([asks("livingSubjectId", f'<value root="{UNKNOWN}" extension="T1"/>')], []),
        (
            [
                asks("livingSubjectId", f'<value root="{TOKYO}" extension="T1"/>'),
                asks("livingSubjectId", f'<value root="{OSAKA}" extension="O1"/>'),
            ],
            ["T1", "O1"],
        ),
        (
            [
                asks("livingSubjectId", f'<value root="{TOKYO}" extension="T1"/>'),
                asks("livingSubjectId", f'<value root="{OSAKA}" extension="O9"/>'),
            ],
            [],
        ),
        ([NAME, asks("patientAddress", "<value><postalCode>1000001</postalCode></value>")], ["T1", "T2"]),
        ([asks("patientAddress", "<value><city>千代田区</city><state>大阪府</state></value>")], []),
        ([asks("patientTelecom", '<value value="tel:03-1234-5678"/>')], ["T1"]),
        ([asks("mothersMaidenName", name_value("佐藤"))], ["T1", "T2"]),
        ([asks("livingSubjectName", name_value("無い"))], []),
    ],
)
def test_every_parameter(node: V3Node, parameters: list[str], found: list[str]) -> None:
    answer = ask(node, *parameters)
    assert (code(answer), details(answer)) == ("AA", [])
    assert (sorted(hits(answer)), response_code(answer)) == (sorted(found), "OK" if found else "NF")
    assert quantities(answer) == (len(found), len(found), 0)


def test_a_hit_in_full(node: V3Node) -> None:
    (patient,) = subjects(ask(node, asks("livingSubjectName", name_value("結城", "太郎"))))
    person = patient.find(path_of("patientPerson"))
    assert person is not None
    shown = [
        (one.get("use"), one.findtext(path_of("family")), one.findtext(path_of("given")))
        for one in person.findall(path_of("name"))
    ]
    assert shown == [("L IDE", "結城", "太郎"), ("L SYL", "ユウキ", "タロウ")]
    assert [one.get("value") for one in person.findall(path_of("telecom"))] == [
        "tel:03-1234-5678",
        "mailto:taro@example.jp",
    ]
    assert person.find(path_of("administrativeGenderCode")).get("code") == "M"  # type: ignore[union-attr]
    assert person.find(path_of("birthTime")).get("value") == "19840203"  # type: ignore[union-attr]
    assert person.findtext(path_of("addr/postalCode")) == "1000001"
    assert person.findtext(path_of("personalRelationship/relationshipHolder1/name/family")) == "佐藤"
    assert ids_of(person, "asOtherIDs/id") == [(OSAKA, "O1")]
    degree = patient.find(path_of("subjectOf1/queryMatchObservation/value"))
    assert degree is not None
    assert degree.get("value") == "100"


def test_the_asked_domains_are_answered_and_a_missing_id_is_null(node: V3Node) -> None:
    scoping = asks("otherIDsScopingOrganization", f'<value root="{TOKYO}"/>', f'<value root="{MEDICAL}"/>')
    (patient,) = subjects(ask(node, asks("livingSubjectName", name_value("結城", "太郎")), scoping))
    assert ids_of(patient) == [(TOKYO, "T1")]
    others = patient.findall(path_of("patientPerson/asOtherIDs"))
    assert [ids_of(one, "scopingOrganization/id")[0][0] for one in others] == [MEDICAL]
    assert others[0].find(path_of("id")).get("nullFlavor") == "NA"  # type: ignore[union-attr]


def test_unknown_domains_are_named_each(node: V3Node) -> None:
    scoping = asks("otherIDsScopingOrganization", f'<value root="{UNKNOWN}"/>')
    known = asks("otherIDsScopingOrganization", f'<value root="{OSAKA}"/>')
    answer = ask(node, NAME, known, scoping)
    assert (code(answer), response_code(answer), subjects(answer)) == ("AE", "AE", [])
    assert details(answer) == [("E", "204", [f"{BASE}/otherIDsScopingOrganization[2]/value/@root"])]


@pytest.mark.parametrize(
    ("parameters", "number", "location"),
    [
        ([], "101", BASE),
        ([asks("otherIDsScopingOrganization", f'<value root="{OSAKA}"/>')], "101", BASE),
        ([asks("livingSubjectBirthTime", '<value value="1984-02"/>')], None, ""),
        ([asks("livingSubjectBirthTime", '<value value="198"/>')], "102", f"{BASE}/livingSubjectBirthTime[1]/value"),
        (
            [asks("livingSubjectAdministrativeGender", '<value code="Z"/>')],
            "103",
            f"{BASE}/livingSubjectAdministrativeGender[1]/value/@code",
        ),
        ([asks("livingSubjectId", '<value extension="T1"/>')], "101", f"{BASE}/livingSubjectId[1]/value/@root"),
        (
            [asks("livingSubjectBirthPlaceName", "<value>東京</value>")],
            "103",
            f"{BASE}/livingSubjectBirthPlaceName[1]",
        ),
    ],
)
def test_parameters_that_cannot_be_answered(node: V3Node, parameters: list[str], number: Any, location: str) -> None:
    response = node.send("/pdqv3", ACTION, pdq_query(*parameters))
    found = etree.fromstring(b"".join(response.body))[1][0]
    if number is None:  # 1984-02 is a time zone away from 1984
        assert code(found) == "AA"
        return
    assert (code(found), response_code(found), details(found)) == ("AE", "AE", [("E", number, [location])])


def test_nobody_here_has_a_principal_care_provider(node: V3Node) -> None:
    answer = ask(node, NAME, parameter("principalCareProviderId", '<value root="1.2.3" extension="dr"/>'))
    assert (code(answer), response_code(answer), subjects(answer)) == ("AA", "NF", [])
    assert [(one[0], one[1]) for one in details(answer)] == [("W", "0")]


def test_too_many_alternatives(node: V3Node) -> None:
    names = [asks("livingSubjectName", *(name_value(f"名{n}") for n in range(17)))]
    assert [one[1] for one in details(ask(node, *names))] == ["102"]


@pytest.mark.parametrize(("degree", "found"), [(0, 2), (90, 1), (96, 0)])
def test_hits_below_the_minimum_are_left_out(node: V3Node, degree: int, found: int, monkeypatch: Any) -> None:
    scores = {"T1": "0.95", "T2": "0.5"}
    real = node.persons.search

    def scored(query: Any, scope: Any) -> Any:
        page = real(query, scope)
        records = tuple(replace(one, score=Decimal(scores[one.id.value])) for one in page.records)
        return replace(page, records=records)

    monkeypatch.setattr(node.persons, "search", scored)
    answer = ask(node, NAME, asks("otherIDsScopingOrganization", f'<value root="{TOKYO}"/>'), degree=degree)
    assert len(subjects(answer)) == found
    assert response_code(answer) == ("OK" if found else "NF")


def test_a_degree_over_a_hundred_is_refused(node: V3Node) -> None:
    answer = ask(node, NAME, degree=101)
    place = "/PRPA_IN201305UV02/controlActProcess/queryByParameter/matchCriterionList/minimumDegreeMatch/value"
    assert details(answer) == [("E", "102", [place])]


# -- continuation ------------------------------------------------------------------------------------------------


@pytest.fixture
def many(node: V3Node) -> V3Node:
    for number in range(5):
        node.persons.put(f"m{number}", replace(HANAKO, names=(PersonName("山田", "花"),)), tid(f"Y{number}"))
    return node


YAMADA = asks("livingSubjectName", name_value("山田"))


def test_a_question_in_parts(many: V3Node) -> None:
    first = ask(many, YAMADA, quantity=2)
    assert (hits(first), quantities(first)) == (["Y0", "Y1"], (5, 2, 3))
    second = many.ask("/pdqv3", CONTINUE, continuation())
    assert (hits(second), quantities(second), code(second), response_code(second)) == (
        ["Y2", "Y3"],
        (5, 2, 1),
        "AA",
        "OK",
    )
    assert second.find(path_of("controlActProcess/queryByParameter/queryId")).get("extension") == "q1"  # type: ignore[union-attr]
    last = many.ask("/pdqv3", CONTINUE, continuation())
    assert (hits(last), quantities(last)) == (["Y4"], (5, 1, 0))
    over = many.ask("/pdqv3", CONTINUE, continuation())
    assert (hits(over), quantities(over), response_code(over)) == ([], (5, 0, 0), "NF")


def test_a_part_is_asked_for_again_by_its_number(many: V3Node) -> None:
    ask(many, YAMADA, quantity=2)
    assert hits(many.ask("/pdqv3", CONTINUE, continuation(start=1, quantity=3))) == ["Y0", "Y1", "Y2"]
    assert hits(many.ask("/pdqv3", CONTINUE, continuation(start=5))) == ["Y4"]


def test_joined_answers_have_parts_too(many: V3Node) -> None:
    two = asks("livingSubjectName", name_value("山田"), name_value("結城"))
    first = ask(many, two, quantity=4)
    assert quantities(first) == (7, 4, 3)
    second = many.ask("/pdqv3", CONTINUE, continuation(quantity=10))
    assert len(set(hits(first) + hits(second))) == 7


@pytest.mark.parametrize("element", ["QUQI_IN000003UV01_Cancel", "QUQI_IN000003UV01"])
def test_cancel_ends_it(many: V3Node, element: str) -> None:
    ask(many, YAMADA, quantity=2)
    answer = many.ask("/pdqv3", CANCEL, continuation(element))
    assert (etree.QName(answer).localname, code(answer)) == ("MCCI_IN000002UV01", "CA")
    gone = many.ask("/pdqv3", CONTINUE, continuation())
    assert (code(gone), response_code(gone)) == ("AE", "AE")
    assert details(gone) == [("E", "204", ["/QUQI_IN000003UV01/controlActProcess/queryContinuation/queryId"])]
    assert code(many.ask("/pdqv3", CANCEL, continuation(element))) == "CE"


def test_only_who_asked_may_go_on(many: V3Node) -> None:
    ask(many, YAMADA, quantity=2)
    stranger = continuation().replace(b'extension="HIS"', b'extension="OTHER"')
    assert code(many.ask("/pdqv3", CONTINUE, stranger)) == "AE"


def test_what_is_remembered_is_bounded(many: V3Node) -> None:
    for number in range(5):
        many.ask(
            "/pdqv3",
            ACTION,
            pdq_query(YAMADA, quantity=2).replace(b'extension="q1"', f'extension="q{number}"'.encode()),
        )
    assert len(many.services.continuations) == 3


def test_a_quantity_that_is_no_number_is_a_fault(node: V3Node) -> None:
    body = pdq_query(NAME, quantity=2).replace(b'initialQuantity value="2"', b'initialQuantity value="-2"')
    assert node.send("/pdqv3", ACTION, body).status == 500


def test_the_audit_record_holds_no_values(node: V3Node) -> None:
    ask(node, NAME)
    (record,) = node.audit.records
    assert (record.event, record.transaction, record.object, record.detail) == ("110112", "ITI-47", "q1", "2 found")
