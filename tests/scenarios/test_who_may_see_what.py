"""Who sees what in Japanese practice: 主治医, 薬剤師, 事務, 救急, 本人, 産業医・保険者. Over the faces, consents as persons give them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.codec import ebxml
from tests.policy_parts import ARC, CLINIC, HOSPITAL, PHARMACY, Region, caller, cx, logical, patient, region
from tests.xds_parts import request

ONE, TWO, THREE = patient("1"), patient("2"), patient("3")
PERMIT = {"type": "permit"}


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Region]:
    with region(tmp_path) as made:
        yield made


def about(type_: str, id_: Any = ONE) -> str:
    return f"/{type_}?patient.identifier={cx(id_)}"


def names(ids: set[str]) -> set[str]:
    return {one.partition("-")[0] for one in ids}


def test_the_doctor_in_charge_sees_nothing_before_consent_and_the_whole_record_after_it(node: Region) -> None:
    """主治医"""
    doctor = caller()
    assert node.ids(doctor, about("Observation")) == set()
    assert node.ids(doctor, about("Patient").replace("patient.", "")) == {logical(ONE)}
    node.consent(ONE, PERMIT)
    assert names(node.ids(doctor, about("Observation"))) == {"lab", "oldlab", "hiv", "bp"}
    assert node.ids(doctor, about("Condition")) == set()  # labelled V: above the doctor's ceiling
    assert node.ids(doctor, about("Observation", TWO)) == set()


def test_the_pharmacist_sees_medication_and_laboratory_alone(node: Region) -> None:
    """薬剤師"""
    node.consent(ONE, PERMIT)
    pharmacist = caller("PHARMACIST", organization=f"urn:oid:{PHARMACY}")
    assert names(node.ids(pharmacist, about("Observation"))) == {"lab", "oldlab"}  # `hiv` is labelled R
    assert names(node.ids(pharmacist, about("MedicationRequest"))) == {"rx"}
    assert node.fhir(pharmacist, about("Condition"))[0] == 403
    assert node.fhir(pharmacist, f"/Observation/bp-1-{HOSPITAL[-1]}")[0] == 404
    included = node.fhir(pharmacist, about("MedicationRequest") + "&_include=MedicationRequest:patient")[1]
    assert {entry["resource"]["resourceType"] for entry in included["entry"]} == {"MedicationRequest", "Patient"}
    found = node.soap(pharmacist, "/xds/registry", find_documents())
    assert found.count(b"<rim:ExtrinsicObject ") == 4  # of twelve: two of the prescription at each facility


def test_the_clerk_sees_who_somebody_is_and_the_insurance(node: Region) -> None:
    """事務"""
    node.consent(ONE, PERMIT)
    clerk = caller("CLERK", "OPERATIONS")
    assert node.fhir(clerk, about("Observation"))[0] == 403
    assert names(node.ids(clerk, about("Coverage"))) == {"insured"}
    assert node.fhir(clerk, f"/Patient/{logical(ONE)}")[0] == 200


def test_an_emergency_without_a_declaration_is_an_ordinary_access(node: Region) -> None:
    """救急"""
    assert node.ids(caller(purpose="EMERGENCY"), about("Observation")) == set()


def test_a_declared_emergency_opens_one_record_for_an_hour(node: Region) -> None:
    """救急"""
    doctor = caller(purpose="EMERGENCY")
    status, said = declare(node, doctor)
    assert status == 201, said
    btg = said["parameter"][0]["valueString"]
    in_emergency = caller(purpose="EMERGENCY", break_glass=btg)
    assert names(node.ids(in_emergency, about("Observation"))) == {"lab", "hiv", "bp"}  # of the last year
    assert names(node.ids(in_emergency, about("AllergyIntolerance"))) == {"allergy"}
    assert node.ids(in_emergency, about("Observation", TWO)) == set()
    assert node.fhir(in_emergency, about("Coverage"))[0] == 403  # not of the emergency data set
    assert node.fhir(caller(user="another", purpose="EMERGENCY", break_glass=btg), about("Observation"))[0] == 403
    assert node.fhir(caller(break_glass=btg), about("Observation"))[0] == 403
    node.watch.passes(minutes=61)
    assert node.fhir(in_emergency, about("Observation"))[0] == 403
    reads = [one.record for one in node.records() if one.record.break_glass == btg]
    assert len(reads) == 7 and sorted({one.detail for one in reads}) == [
        "GET 200", "GET 403 denied break-glass", "GET 403 denied break-glass-over", "GET 403 denied purpose",
        "GET 403 denied type",
    ]  # fmt: skip


def test_an_emergency_does_not_open_what_the_person_closed(node: Region) -> None:
    node.consent(ONE, None, policy=[{"uri": "https://profiles.ihe.net/ITI/PCF/Policy-deny"}])
    status, said = declare(node, caller(purpose="EMERGENCY"))
    assert status == 404, said  # hidden is absent
    node.watch.passes(minutes=1)
    node.consent(ONE, None, policy=[{"uri": "https://profiles.ihe.net/ITI/PCF/Policy-break-glass-only"}])
    doctor = caller(purpose="EMERGENCY", authenticated=node.watch.now.isoformat())
    assert node.ids(doctor, about("Observation")) == set()
    status, said = declare(node, doctor)
    assert status == 201, said
    in_emergency = caller(purpose="EMERGENCY", break_glass=said["parameter"][0]["valueString"])
    assert names(node.ids(in_emergency, about("Observation"))) == {"lab", "hiv", "bp"}


@pytest.mark.parametrize(
    ("who", "more", "status"),
    [
        (caller(purpose="TREATMENT"), {}, 403),
        (caller("PHARMACIST", "EMERGENCY"), {}, 403),
        (caller(purpose="EMERGENCY", authenticated=""), {}, 403),
        (caller(purpose="EMERGENCY", authenticated="2026-04-01T02:00:00+00:00"), {}, 403),
        (caller(purpose="EMERGENCY"), {"text": "急 患"}, 400),
        (caller(purpose="EMERGENCY"), {"reason": ""}, 400),
        (caller(purpose="EMERGENCY"), {"patient": None}, 400),
    ],
)
def test_an_emergency_needs_all_of_it(node: Region, who: Any, more: dict[str, Any], status: int) -> None:
    assert declare(node, who, **more)[0] == status
    assert node.parts.emergencies.listed("open", 10) == []


def test_persons_see_their_own_record_whatever_they_consented_to(node: Region) -> None:
    """本人"""
    node.consent(ONE, {"type": "deny"})
    own = caller("PATIENT", "REQUEST", patient=str(ONE), user="p1")
    assert names(node.ids(own, "/Condition")) == {"secret"}
    assert node.ids(own, about("Observation", TWO)) == set()
    assert node.fhir(own, f"/Patient/{logical(TWO)}")[0] == 404
    assert node.ids(caller("PATIENT", "REQUEST"), "/Observation") == set()


def test_company_doctor_and_insurer_see_their_part_of_those_they_know(node: Region) -> None:
    """産業医・保険者"""
    for id_ in (ONE, TWO):
        node.consent(id_, PERMIT)
    company = caller("COMPANY-DOCTOR", "OPERATIONS", organization=f"urn:oid:{CLINIC}")
    assert names(node.ids(company, about("Observation"))) == {"bp"}
    assert node.ids(company, about("Observation", TWO)) == set()  # not known at the clinic
    insurer = caller("INSURER", "PAYMENT", organization=f"urn:oid:{HOSPITAL}")
    assert names(node.ids(insurer, about("Coverage", TWO))) == {"insured"}
    assert node.fhir(insurer, about("Observation"))[0] == 403
    assert node.ids(caller("INSURER", "PAYMENT", organization=f"urn:oid:{ARC}.99"), about("Coverage", TWO)) == set()


def test_a_dissent_hides_the_person_on_every_face(node: Region) -> None:
    node.consent(TWO, {"type": "deny"})
    doctor = caller()
    assert node.fhir(doctor, f"/Patient/{logical(TWO)}")[0] == 404
    assert logical(TWO) not in node.ids(doctor, "/Patient")
    pix = node.fhir(doctor, f"/Patient/$ihe-pix?sourceIdentifier={cx(TWO)}")
    assert pix[0] == 404
    assert b"<rim:ExtrinsicObject" not in node.soap(doctor, "/xds/registry", find_documents(TWO))
    assert node.fhir(doctor, f"/Patient/$ihe-pix?sourceIdentifier={cx(ONE)}")[0] == 200


def test_withdrawal_works_at_the_next_question(node: Region) -> None:
    id_ = node.consent(ONE, PERMIT)
    assert node.ids(caller(), about("Observation"))
    desk = caller("DESK", "OPERATIONS")
    status, kept = node.fhir(desk, f"/Consent/{id_}")
    assert (status, kept["meta"]["versionId"]) == (200, "1")
    stale = node.fhir(desk, f"/Consent/{id_}", "PUT", {**kept, "status": "inactive"}, **{"if-match": 'W/"7"'})
    assert stale[0] == 409
    assert node.fhir(desk, f"/Consent/{id_}", "PUT", {**kept, "status": "inactive"})[0] == 200
    assert node.ids(caller(), about("Observation")) == set()
    assert len(node.fhir(desk, f"/Consent/{id_}/_history")[1]["entry"]) == 2
    assert node.fhir(desk, f"/Consent/{id_}", "DELETE")[0] == 405
    assert node.fhir(caller(), f"/Consent/{id_}")[0] == 403  # `*` is the record of a person, not what was consented
    assert node.fhir(caller("PHARMACIST"), f"/Consent/{id_}")[0] == 403


def test_a_page_cannot_be_carried_on_by_somebody_else_and_counts_betray_nothing(node: Region) -> None:
    node.consent(ONE, PERMIT)
    status, bundle = node.fhir(caller(), "/Observation?_count=2")
    assert status == 200 and bundle["total"] == 8
    onward = next(one["url"] for one in bundle["link"] if one["relation"] == "next").removeprefix("http://h/fhir")
    assert node.fhir(caller(user="another"), onward)[0] == 400
    assert node.fhir(caller("PHARMACIST"), "/Observation?_summary=count")[1]["total"] == 4


def declare(node: Region, who: Any, **more: Any) -> tuple[int, dict[str, Any]]:
    given = {"patient": str(ONE), "reason": "LIFE", "text": "意識不明で搬送、既往歴を確認する必要がある", **more}
    return node.fhir(who, "/$break-glass", "POST", given)


def find_documents(id_: Any = ONE) -> bytes:
    slots = (
        ("$XDSDocumentEntryPatientId", f"'{id_}'".replace("&", "&amp;")),
        ("$XDSDocumentEntryStatus", "('urn:oasis:names:tc:ebxml-regrep:StatusType:Approved')"),
    )
    body = "".join(
        f'<Slot xmlns="{ebxml.RIM}" name="{name}"><ValueList><Value>{value}</Value></ValueList></Slot>'
        for name, value in slots
    )
    query = (
        f'<q:AdhocQueryRequest xmlns:q="{ebxml.QUERY}"><q:ResponseOption returnComposedObjects="true"'
        f' returnType="LeafClass"/><AdhocQuery xmlns="{ebxml.RIM}"'
        f' id="urn:uuid:14d4debf-8f97-4251-9a74-a90016b0af0d">{body}</AdhocQuery></q:AdhocQueryRequest>'
    )
    return request("urn:ihe:iti:2007:RegistryStoredQuery", query.encode())
