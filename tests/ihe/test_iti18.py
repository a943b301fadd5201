"""ITI-18 from bytes to bytes, over ports in memory; every answer is also judged by the OASIS schema."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from gateway.codec import ebxml, ebxml_parts
from gateway.errors import TooManyResults
from gateway.ihe import iti18
from gateway.model.document import APPROVED, DEPRECATED, OFFLINE, ON_DEMAND, STABLE, DocumentQuery
from tests.oracle.xsd import errors_of
from tests.xds_parts import (
    EID,
    FACILITY,
    HOME,
    PATIENT,
    RIM,
    Node,
    answer_body,
    error_codes,
    make_node,
    package,
    request,
    stored,
)

P = "$XDSDocumentEntry"
ACTION = iti18.TRANSACTION.action
FIND = iti18.FIND_DOCUMENTS
GET = iti18.GET_DOCUMENTS
Slots = list[tuple[str, tuple[str, ...], bool]]

PATIENT_SLOT = (f"{P}PatientId", (str(PATIENT),), False)
STATUS_SLOT = (f"{P}Status", (APPROVED,), True)


def ask(node: Node, slots: Slots, query: str = FIND, return_type: str = "LeafClass", home: str = "") -> etree._Element:
    return node.ask("/xds/registry", ACTION, ebxml.adhoc_query_request(query, home, return_type, slots))


def ids(body: etree._Element) -> list[str]:
    return [str(item.get("id")) for item in body.findall(f"{RIM}RegistryObjectList/*")]


def asked(node: Node) -> DocumentQuery:
    query = node.documents.asked[-1][0]
    assert isinstance(query, DocumentQuery)
    return query


def test_find_documents_gives_whole_entries_of_the_patient() -> None:
    node = make_node()
    body = ask(node, [PATIENT_SLOT, STATUS_SLOT])
    assert body.get("status") == ebxml.SUCCESS
    assert ids(body) == [node.bundle.entryUUID, node.original.entryUUID]
    entry = body.find(f"{RIM}RegistryObjectList/{RIM}ExtrinsicObject")
    assert entry is not None
    assert (entry.get("home"), entry.get("lid"), entry.get("status")) == (HOME, node.bundle.entryUUID, APPROVED)
    patient = entry.find(f"{RIM}ExternalIdentifier[@identificationScheme='{ebxml_parts.PATIENT_ID}']")
    assert patient is not None
    assert patient.get("value") == str(PATIENT)


def test_object_refs_carry_the_home_community() -> None:
    node = make_node()
    body = ask(node, [PATIENT_SLOT, STATUS_SLOT], return_type="ObjectRef")
    refs = body.findall(f"{RIM}RegistryObjectList/{RIM}ObjectRef")
    assert [(ref.get("id"), ref.get("home")) for ref in refs] == [
        (node.bundle.entryUUID, HOME),
        (node.original.entryUUID, HOME),
    ]


def test_a_deprecated_entry_says_so() -> None:
    node = make_node()
    node.documents.rows[1] = node.documents.rows[1]._replace(availabilityStatus=DEPRECATED)
    body = ask(node, [PATIENT_SLOT, (f"{P}Status", (DEPRECATED,), True)])
    (entry,) = body.findall(f"{RIM}RegistryObjectList/{RIM}ExtrinsicObject")
    assert entry.get("status") == DEPRECATED


def test_unknown_patient_is_success_with_an_empty_list() -> None:
    body = ask(make_node(), [(f"{P}PatientId", (f"nobody' or '1'='1^^^&{FACILITY}&ISO",), False), STATUS_SLOT])
    assert (body.get("status"), ids(body), error_codes(body)) == (ebxml.SUCCESS, [], [])
    assert body.find(f"{RIM}RegistryObjectList") is not None


def test_every_parameter_reaches_the_registry() -> None:
    node = make_node()
    slots: Slots = [
        PATIENT_SLOT,
        (f"{P}Status", (APPROVED, DEPRECATED), True),
        (f"{P}ClassCode", ("11502-2^^2.16.840.1.113883.6.1", "x"), True),
        (f"{P}TypeCode", ("t^^urn:other",), True),
        (f"{P}FormatCode", ("f^^urn:other",), True),
        (f"{P}PracticeSettingCode", ("01^^urn:oid:1.2.392.200250.2.2.2",), True),
        (f"{P}HealthcareFacilityTypeCode", ("h^^s",), True),
        (f"{P}ConfidentialityCode", ("N^^c", "R^^c"), True),
        (f"{P}ConfidentialityCode", ("V^^c",), True),
        (f"{P}EventCodeList", ("OML-11^^e",), True),
        (f"{P}CreationTimeFrom", ("2011",), False),
        (f"{P}CreationTimeTo", ("20120101",), False),
        (f"{P}ServiceStartTimeFrom", ("201112",), False),
        (f"{P}ServiceStopTimeTo", ("20111221101112",), False),
        (f"{P}AuthorPerson", ("%鈴木%", "a_b"), True),
        (f"{P}Type", (STABLE, ON_DEMAND), True),
        ("$MetadataLevel", ("1",), False),
    ]
    assert error_codes(ask(node, slots)) == []
    query = asked(node)
    assert query.patient == EID
    assert query.status == (APPROVED, DEPRECATED)
    assert query.classCode is not None
    assert query.classCode.values == (
        ("11502-2", "2.16.840.1.113883.6.1"),
        ("11502-2", "urn:oid:2.16.840.1.113883.6.1"),
        ("x", ""),
    )
    assert query.typeCode is not None
    assert query.typeCode.values == (("t", "urn:other"),)
    assert query.formatCode is not None
    assert query.practiceSettingCode is not None
    assert ("01", "urn:oid:1.2.392.200250.2.2.2") in query.practiceSettingCode.values
    assert query.healthcareFacilityTypeCode is not None
    assert [code.values for code in query.confidentialityCode] == [(("N", "c"), ("R", "c")), (("V", "c"),)]
    assert [code.values for code in query.eventCodeList] == [(("OML-11", "e"),)]
    assert query.creationTime == ("20110101000000", "20120101000000")
    assert query.serviceStartTime == ("20111201000000", "")
    assert query.serviceStopTime == ("", "20111221101112")
    assert query.authorPerson == ("%鈴木%", "a_b")
    assert query.objectType == (STABLE, ON_DEMAND)


def test_without_a_type_only_stable_documents_are_asked_for() -> None:
    node = make_node()
    ask(node, [PATIENT_SLOT, STATUS_SLOT])
    assert asked(node).objectType == (STABLE,)


def test_availability_is_asked_for() -> None:
    node = make_node()
    assert error_codes(ask(node, [PATIENT_SLOT, STATUS_SLOT, (f"{P}DocumentAvailability", (OFFLINE,), True)])) == []
    assert asked(node).availability == (OFFLINE,)


@pytest.mark.parametrize(
    ("slots", "code"),
    [
        ([STATUS_SLOT], "XDSStoredQueryMissingParam"),
        ([PATIENT_SLOT], "XDSStoredQueryMissingParam"),
        ([PATIENT_SLOT, (f"{P}Status", (), True)], "XDSStoredQueryMissingParam"),
        ([PATIENT_SLOT, PATIENT_SLOT, STATUS_SLOT], "XDSStoredQueryParamNumber"),
        ([(f"{P}PatientId", (str(PATIENT), "b^^^&1.2&ISO"), True), STATUS_SLOT], "XDSStoredQueryParamNumber"),
        ([PATIENT_SLOT, STATUS_SLOT, STATUS_SLOT], "XDSStoredQueryParamNumber"),
        (
            [PATIENT_SLOT, STATUS_SLOT, (f"{P}ClassCode", ("a",), True), (f"{P}ClassCode", ("b",), True)],
            "XDSStoredQueryParamNumber",
        ),
        ([PATIENT_SLOT, STATUS_SLOT, (f"{P}CreationTimeFrom", ("2011", "2012"), True)], "XDSStoredQueryParamNumber"),
        ([PATIENT_SLOT, (f"{P}Status", ("Approved",), True)], "XDSRegistryError"),
        ([PATIENT_SLOT, STATUS_SLOT, (f"{P}Type", ("urn:uuid:none",), True)], "XDSRegistryError"),
        ([PATIENT_SLOT, STATUS_SLOT, (f"{P}CreationTimeFrom", ("2011-12-20",), False)], "XDSRegistryError"),
        ([PATIENT_SLOT, STATUS_SLOT, (f"{P}CreationTimeFrom", ("20111340",), False)], "XDSRegistryError"),
        ([PATIENT_SLOT, STATUS_SLOT, (f"{P}CreationTimeFrom", ("２０１１",), False)], "XDSRegistryError"),
        ([PATIENT_SLOT, STATUS_SLOT, (f"{P}ClassCode", ("a^b",), True)], "XDSRegistryError"),
        ([PATIENT_SLOT, STATUS_SLOT, (f"{P}ClassCode", ("^^s",), True)], "XDSRegistryError"),
        ([(f"{P}PatientId", ("12345",), False), STATUS_SLOT], "XDSRegistryError"),
    ],
)
def test_a_wrong_parameter_is_an_error_and_nothing_is_found(slots: Slots, code: str) -> None:
    node = make_node()
    body = ask(node, slots)
    assert (body.get("status"), error_codes(body), ids(body)) == (ebxml.FAILURE, [code], [])
    assert node.audit.records[-1].outcome == 8


def test_an_error_text_does_not_repeat_the_patient_id() -> None:
    body = ask(make_node(), [(f"{P}PatientId", ("secret-number",), False), STATUS_SLOT])
    assert b"secret-number" not in etree.tostring(body)


def test_an_unknown_stored_query_is_refused() -> None:
    body = ask(make_node(), [], query="urn:uuid:00000000-0000-0000-0000-000000000000")
    assert error_codes(body) == ["XDSUnknownStoredQuery"]


@pytest.mark.parametrize("return_type", ["RegistryObject", "LeafClassWithRepositoryItem"])
def test_only_leaf_class_and_object_ref_are_answered(return_type: str) -> None:
    assert error_codes(ask(make_node(), [PATIENT_SLOT, STATUS_SLOT], return_type=return_type)) == ["XDSRegistryError"]


def test_too_many_results_give_none() -> None:
    node = make_node().with_parts(max_results=1)
    body = ask(node, [PATIENT_SLOT, STATUS_SLOT])
    assert (error_codes(body), ids(body)) == (["XDSTooManyResults"], [])
    assert asked(node).limit == 1


def test_an_error_of_ours_is_a_registry_error_without_its_text() -> None:
    node = make_node()
    node.documents.error = RuntimeError("taro yamada")
    body = ask(node, [PATIENT_SLOT, STATUS_SLOT])
    assert error_codes(body) == ["XDSRegistryError"]
    assert b"taro" not in etree.tostring(body)
    assert node.audit.records[-1].outcome == 12


def test_too_many_results_is_what_the_registry_raises() -> None:
    node = make_node()
    node.documents.error = TooManyResults("1001")
    assert error_codes(ask(node, [PATIENT_SLOT, STATUS_SLOT])) == ["XDSTooManyResults"]


@pytest.mark.parametrize("kind", ["EntryUUID", "LogicalID", "UniqueId"])
def test_get_documents_by_each_kind_of_id(kind: str) -> None:
    node = make_node()
    value = node.original.uniqueId if kind == "UniqueId" else node.original.entryUUID
    body = ask(node, [(f"{P}{kind}", (value, "urn:uuid:unknown"), True)], query=GET)
    assert (body.get("status"), ids(body)) == (ebxml.SUCCESS, [node.original.entryUUID])


def test_get_documents_wants_exactly_one_kind_of_id() -> None:
    node = make_node()
    assert error_codes(ask(node, [], query=GET)) == ["XDSStoredQueryMissingParam"]
    both: Slots = [(f"{P}EntryUUID", ("urn:uuid:a",), True), (f"{P}UniqueId", ("1.2",), True)]
    assert error_codes(ask(node, both, query=GET)) == ["XDSStoredQueryParamNumber"]


def test_two_patients_are_refused_as_entries_and_allowed_as_references() -> None:
    node = make_node()
    node.documents.rows[1] = stored(node.original, "e2")
    slots: Slots = [(f"{P}EntryUUID", (node.bundle.entryUUID, node.original.entryUUID), True)]
    body = ask(node, slots, query=GET)
    assert (error_codes(body), ids(body)) == (["XDSResultNotSinglePatient"], [])
    assert len(ids(ask(node, slots, query=GET, return_type="ObjectRef"))) == 2


def test_a_foreign_home_is_refused_and_ours_is_not() -> None:
    node = make_node()
    slots: Slots = [(f"{P}EntryUUID", (node.bundle.entryUUID,), True)]
    assert error_codes(ask(node, slots, query=GET, home="urn:oid:1.2.3")) == ["XDSUnknownCommunity"]
    assert error_codes(ask(node, slots, query=GET, home=HOME)) == []
    foreign: Slots = [*slots, ("$homeCommunityId", ("urn:oid:1.2.3",), False)]
    assert error_codes(ask(node, foreign, query=GET)) == ["XDSUnknownCommunity"]


def test_an_mtom_package_is_understood_and_answered_plainly() -> None:
    node = make_node()
    envelope = request(ACTION, ebxml.adhoc_query_request(FIND, "", "ObjectRef", [PATIENT_SLOT, STATUS_SLOT]))
    response = node.send("/xds/registry", *package(envelope, ACTION))
    assert response.status == 200
    assert len(ids(answer_body(response))) == 2


def test_the_audit_record_names_query_and_patient_before_the_answer() -> None:
    node = make_node()
    ask(node, [PATIENT_SLOT, STATUS_SLOT])
    (record,) = node.audit.records
    assert (record.event, record.transaction, record.action, record.outcome) == ("110112", "ITI-18", "E", 0)
    assert (record.patient, record.object, record.actor) == (str(PATIENT), FIND, "tester")


def test_no_answer_without_an_audit_record() -> None:
    node = make_node()
    node.audit.fails = True
    body = ebxml.adhoc_query_request(FIND, "", "LeafClass", [PATIENT_SLOT, STATUS_SLOT])
    response = node.send("/xds/registry", request(ACTION, body))
    assert response.status == 500
    assert b"ExtrinsicObject" not in b"".join(response.body)


@given(st.lists(st.text(max_size=40), max_size=4), st.sampled_from([FIND, GET]))
def test_no_text_in_a_parameter_breaks_the_answer(values: list[str], query: str) -> None:
    slots: Slots = [(f"{P}PatientId", tuple(values), True), STATUS_SLOT, (f"{P}UniqueId", tuple(values), True)]
    body = ask(make_node(), slots, query=query)
    assert body.get("status") in (ebxml.SUCCESS, ebxml.FAILURE)


VALID: list[tuple[Slots, str, str]] = [
    ([PATIENT_SLOT, STATUS_SLOT], FIND, "LeafClass"),
    ([PATIENT_SLOT, STATUS_SLOT], FIND, "ObjectRef"),
    ([(f"{P}PatientId", ("nobody^^^&1.2&ISO",), False), STATUS_SLOT], FIND, "LeafClass"),
    ([STATUS_SLOT], FIND, "LeafClass"),
    ([], GET, "LeafClass"),
    ([], "urn:uuid:none", "ObjectRef"),
]


@pytest.mark.parametrize(("slots", "query", "return_type"), VALID)
def test_the_schema_finds_every_kind_of_answer_valid(slots: Slots, query: str, return_type: str, shared: Path) -> None:
    assert errors_of(shared, ask(make_node(), slots, query, return_type)) == []
