"""Every stored query of the table over a real database: what it answers, what its parameters do, what it refuses. Each
answer is judged by the OASIS schema."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.codec import ebxml
from gateway.ihe import iti18, iti51
from gateway.ihe._stored_queries import MULTI_PATIENT, STORED_QUERIES
from gateway.ihe._stored_query import CODINGS, StoredQuery
from gateway.model.caller import Scope
from gateway.model.document import (
    APPROVED,
    DEPRECATED,
    HAS_MEMBER,
    IS_SNAPSHOT_OF,
    OFFLINE,
    ON_DEMAND,
    ONLINE,
    RPLC,
    STABLE,
)
from tests.ihe.registry_parts import CONFIDENTIALITY, A, B, Registry, Slots, names, number, registry, unique
from tests.oracle.xsd import errors_of
from tests.storage.making import HOSPITAL
from tests.xds_parts import error_codes

D, S, F = "$XDSDocumentEntry", "$XDSSubmissionSet", "$XDSFolder"
IDS = {one.name: one.id for one in (*STORED_QUERIES.values(), *MULTI_PATIENT.values())}
BOTH = (APPROVED, DEPRECATED)
LEVEL_2 = ("$MetadataLevel", ("2",), False)


@pytest.fixture(scope="module")
def held(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    with registry(tmp_path_factory.mktemp("registry")) as made:
        yield made


def documents_of(*more: tuple[str, tuple[str, ...], bool], status: tuple[str, ...] = (APPROVED,)) -> Slots:
    return [(f"{D}PatientId", (str(A),), False), (f"{D}Status", status, True), *more]


def sets_of(*more: tuple[str, tuple[str, ...], bool]) -> Slots:
    return [(f"{S}PatientId", (str(A),), False), (f"{S}Status", (APPROVED,), True), *more]


def folders_of(*more: tuple[str, tuple[str, ...], bool]) -> Slots:
    return [(f"{F}PatientId", (str(A),), False), (f"{F}Status", (APPROVED,), True), *more]


def all_of(*more: tuple[str, tuple[str, ...], bool], status: tuple[str, ...] = (APPROVED,)) -> Slots:
    statuses = [(f"{what}Status", status, True) for what in (D, S, F)]
    return [("$patientId", (str(A),), False), *statuses, *more]


def listed(name: str, *values: str) -> tuple[str, tuple[str, ...], bool]:
    return (name, values, True)


def one(name: str, value: str) -> tuple[str, tuple[str, ...], bool]:
    return (name, (value,), False)


def uuids(name: str, *of: str) -> tuple[str, tuple[str, ...], bool]:
    return (name, tuple(map(number, of)), True)


CASES: list[tuple[str, Slots, str]] = [
    # -- FindDocuments
    ("FindDocuments", documents_of(), "file file D4 D3b D2"),
    ("FindDocuments", documents_of(status=(DEPRECATED,)), "D3 D1"),
    ("FindDocuments", documents_of(listed(f"{D}Type", ON_DEMAND)), "O1"),
    ("FindDocuments", documents_of(listed(f"{D}Type", ON_DEMAND, STABLE)), "file file D4 D3b D2 O1"),
    ("FindDocuments", documents_of(listed(f"{D}ClassCode", "b^^urn:c")), "D2"),
    ("FindDocuments", documents_of(listed(f"{D}ClassCode", "b^^urn:other")), ""),
    ("FindDocuments", documents_of(listed(f"{D}ClassCode", "a^^urn:c", "b^^urn:c")), "D4 D3b D2"),
    ("FindDocuments", documents_of(listed(f"{D}TypeCode", "t^^urn:t")), "D4 D3b D2"),
    ("FindDocuments", documents_of(listed(f"{D}FormatCode", "f-b^^urn:f")), "D2"),
    ("FindDocuments", documents_of(listed(f"{D}PracticeSettingCode", "p^^urn:p")), "D4 D3b D2"),
    ("FindDocuments", documents_of(listed(f"{D}HealthcareFacilityTypeCode", "h^^urn:h")), "D4 D3b D2"),
    ("FindDocuments", documents_of(listed(f"{D}EventCodeList", "e1^^urn:e", "none^^urn:e"), status=BOTH), "D1"),
    (
        "FindDocuments",
        documents_of(listed(f"{D}EventCodeList", "e1^^urn:e"), listed(f"{D}EventCodeList", "e2^^urn:e"), status=BOTH),
        "D1",
    ),
    (
        "FindDocuments",
        documents_of(listed(f"{D}EventCodeList", "e1^^urn:e"), listed(f"{D}EventCodeList", "e3^^urn:e"), status=BOTH),
        "",
    ),
    ("FindDocuments", documents_of(listed(f"{D}ConfidentialityCode", f"R^^{CONFIDENTIALITY}")), "D2"),
    ("FindDocuments", documents_of(one(f"{D}CreationTimeFrom", "20210101")), "file file D4 D3b"),
    ("FindDocuments", documents_of(one(f"{D}CreationTimeTo", "20210101")), "D2"),
    ("FindDocuments", documents_of(one(f"{D}CreationTimeFrom", "2020"), one(f"{D}CreationTimeTo", "2021")), "D2"),
    ("FindDocuments", documents_of(one(f"{D}ServiceStartTimeFrom", "20201230")), "D4"),
    ("FindDocuments", documents_of(one(f"{D}ServiceStartTimeTo", "20201230")), ""),
    ("FindDocuments", documents_of(one(f"{D}ServiceStopTimeFrom", "20210102")), ""),
    ("FindDocuments", documents_of(one(f"{D}ServiceStopTimeTo", "2900")), "D4"),
    ("FindDocuments", documents_of(listed(f"{D}AuthorPerson", "%sato%")), "D4 D3b D2"),
    ("FindDocuments", documents_of(listed(f"{D}AuthorPerson", "D_^Sato^Ichiro")), "D4 D3b D2"),
    ("FindDocuments", documents_of(listed(f"{D}AuthorPerson", "D4%", "D2%")), "D4 D2"),
    ("FindDocuments", documents_of(listed(f"{D}DocumentAvailability", ONLINE)), "file file D4 D3b D2"),
    ("FindDocuments", documents_of(listed(f"{D}DocumentAvailability", OFFLINE)), ""),
    ("FindDocuments", documents_of(one("$NoSuchParameter", "x")), "file file D4 D3b D2"),
    # -- by reference, by title
    (
        "FindDocumentsByReferenceId",
        documents_of(listed(f"{D}ReferenceIdList", "ref-D2^^^&1.2.3&ISO^urn:ihe:iti:xds:2013:order")),
        "D2",
    ),
    (
        "FindDocumentsByReferenceId",
        documents_of(
            listed(f"{D}ReferenceIdList", "ref-D2^^^&1.2.3&ISO^urn:ihe:iti:xds:2013:order", "other"),
            listed(f"{D}ReferenceIdList", "ref-D4^^^&1.2.3&ISO^urn:ihe:iti:xds:2013:order"),
        ),
        "",
    ),
    ("FindDocumentsByTitle", documents_of(listed(f"{D}Title", "title of %")), "D4 D2"),
    # -- documents by id
    ("GetDocuments", [uuids(f"{D}EntryUUID", "D2", "D1", "none")], "D2 D1"),
    ("GetDocuments", [listed(f"{D}UniqueId", unique("D3"))], "D3 D3b"),
    ("GetDocuments", [listed(f"{D}UniqueId", unique("D3")), one("$MetadataLevel", "1")], "D3b"),
    ("GetDocuments", [listed(f"{D}UniqueId", unique("D3")), LEVEL_2], "D3 D3b"),
    ("GetDocuments", [uuids(f"{D}LogicalID", "D3")], "D3 D3b"),
    ("GetDocuments", [uuids(f"{D}EntryUUID", "S1")], ""),
    (
        "GetDocumentsAndAssociations",
        [uuids(f"{D}EntryUUID", "D1")],
        "D1 d3-d1 f1-d1 s1-d1",
    ),
    ("GetDocumentsAndAssociations", [listed(f"{D}UniqueId", unique("D2"))], "D2 s1-d2"),
    ("GetDocumentsAndAssociations", [uuids(f"{D}EntryUUID", "D2"), LEVEL_2], "D2 old s1-d2"),
    (
        "GetDocumentsAndAssociations",
        [uuids(f"{D}EntryUUID", "D2"), listed("$XDSAssociationStatus", DEPRECATED), LEVEL_2],
        "D2 old",
    ),
    ("GetRelatedDocuments", [one(f"{D}EntryUUID", number("D1")), listed("$AssociationTypes", RPLC)], "D1 D3 d3-d1"),
    ("GetRelatedDocuments", [one(f"{D}UniqueId", unique("D1")), listed("$AssociationTypes", RPLC)], "D1 D3 d3-d1"),
    ("GetRelatedDocuments", [one(f"{D}EntryUUID", number("D2")), listed("$AssociationTypes", RPLC)], ""),
    ("GetRelatedDocuments", [one(f"{D}EntryUUID", number("D1")), listed("$AssociationTypes", HAS_MEMBER)], ""),
    ("GetRelatedDocuments", [one(f"{D}EntryUUID", number("D4")), listed("$AssociationTypes", IS_SNAPSHOT_OF)], ""),
    (
        "GetRelatedDocuments",
        [
            one(f"{D}EntryUUID", number("D4")),
            listed("$AssociationTypes", IS_SNAPSHOT_OF, RPLC),
            listed(f"{D}Type", ON_DEMAND, STABLE),
        ],
        "D4 O1 d4-o1",
    ),
    # -- submission sets
    ("FindSubmissionSets", sets_of(), "set S2 S1"),
    ("FindSubmissionSets", sets_of(listed(f"{S}SourceId", "1.2.3.5", "1.1")), "S2"),
    ("FindSubmissionSets", sets_of(listed(f"{S}ContentType", "c1^^urn:k")), "S1"),
    ("FindSubmissionSets", sets_of(one(f"{S}AuthorPerson", "%Suzuki%")), "S2 S1"),
    ("FindSubmissionSets", sets_of(one(f"{S}SubmissionTimeFrom", "202101020000")), "set S2"),
    ("FindSubmissionSets", sets_of(one(f"{S}SubmissionTimeTo", "20210102")), "S1"),
    ("GetSubmissionSets", [uuids("$uuid", "D1", "F1")], "S1 s1-d1 s1-f1"),
    ("GetSubmissionSets", [uuids("$uuid", "none")], ""),
    (
        "GetSubmissionSetAndContents",
        [one(f"{S}EntryUUID", number("S1"))],
        "S1 D1 D2 F1 f1-d1 s1-(f1-d1) s1-d1 s1-d2 s1-f1",
    ),
    ("GetSubmissionSetAndContents", [one(f"{S}UniqueId", unique("S2"))], "S2 D3 D4 s2-d3 s2-d4"),
    (
        "GetSubmissionSetAndContents",
        [one(f"{S}EntryUUID", number("S1")), listed(f"{D}FormatCode", "f-b^^urn:f")],
        "S1 D2 F1 s1-d2 s1-f1",
    ),
    (
        "GetSubmissionSetAndContents",
        [one(f"{S}EntryUUID", number("S1")), listed(f"{D}ConfidentialityCode", f"N^^{CONFIDENTIALITY}")],
        "S1 D1 F1 f1-d1 s1-(f1-d1) s1-d1 s1-f1",
    ),
    ("GetSubmissionSetAndContents", [one(f"{S}EntryUUID", number("none"))], ""),
    (
        "GetSubmissionSetAndContents",
        [one(f"{S}EntryUUID", number("S2")), listed(f"{D}Type", ON_DEMAND)],
        "S2",
    ),
    # -- folders
    ("FindFolders", folders_of(), "F1"),
    ("FindFolders", folders_of(listed(f"{F}CodeList", "x^^urn:x"), listed(f"{F}CodeList", "y^^urn:x")), "F1"),
    ("FindFolders", folders_of(listed(f"{F}CodeList", "x^^urn:x"), listed(f"{F}CodeList", "z^^urn:x")), ""),
    ("FindFolders", folders_of(one(f"{F}LastUpdateTimeFrom", "20200103000000")), "F1"),
    ("FindFolders", folders_of(one(f"{F}LastUpdateTimeTo", "20200103000000")), ""),
    ("GetFolders", [uuids(f"{F}EntryUUID", "F1")], "F1"),
    ("GetFolders", [listed(f"{F}UniqueId", unique("F1"), "1.2")], "F1"),
    ("GetFolders", [uuids(f"{F}LogicalID", "F1")], "F1"),
    ("GetFolderAndContents", [one(f"{F}EntryUUID", number("F1"))], "F1 D1 f1-d1"),
    ("GetFolderAndContents", [one(f"{F}UniqueId", unique("F1")), LEVEL_2], "F1 D1 D2 f1-d1 old"),
    ("GetFolderAndContents", [one(f"{F}UniqueId", unique("F1")), listed(f"{D}FormatCode", "f-b^^urn:f")], "F1"),
    (
        "GetFolderAndContents",
        [one(f"{F}UniqueId", unique("F1")), listed(f"{D}ConfidentialityCode", f"R^^{CONFIDENTIALITY}")],
        "F1",
    ),
    ("GetFolderAndContents", [one(f"{F}EntryUUID", number("F1")), listed(f"{D}Type", ON_DEMAND)], "F1"),
    ("GetFoldersForDocument", [one(f"{D}EntryUUID", number("D1"))], "F1"),
    ("GetFoldersForDocument", [one(f"{D}UniqueId", unique("D2"))], ""),
    # -- associations, everything
    ("GetAssociations", [uuids("$uuid", "D1")], "d3-d1 f1-d1 s1-d1"),
    ("GetAssociations", [uuids("$uuid", "f1-d1")], "s1-(f1-d1)"),
    (
        "GetAll",
        all_of(),
        "set S2 S1 F1 file file D4 D3b D2 s1-d2 s1-f1 s2-d4 tie tie tie",
    ),
    (
        "GetAll",
        all_of(listed(f"{D}FormatCode", "f-a^^urn:f"), status=(DEPRECATED,)),
        "D3 D1 d3-d1",
    ),
    ("GetAll", all_of(listed(f"{D}Type", ON_DEMAND)), "set S2 S1 F1 O1 s1-f1"),
    (
        "GetAll",
        all_of(listed(f"{D}ConfidentialityCode", f"R^^{CONFIDENTIALITY}")),
        "set S2 S1 F1 D2 s1-d2 s1-f1",
    ),
]


def expected(text: str) -> list[str]:
    return sorted(text.split())


@pytest.mark.parametrize(("query", "slots", "answer"), CASES)
def test_what_a_query_answers(held: Registry, query: str, slots: Slots, answer: str) -> None:
    body = held.ask(IDS[query], slots)
    assert (body.get("status"), error_codes(body)) == (ebxml.SUCCESS, [])
    assert sorted(names(body)) == expected(answer)
    references = held.ask(IDS[query], slots, "ObjectRef")
    assert [one.get("id") for one in references.iter(f"{{{ebxml.RIM}}}ObjectRef")] == [one.get("id") for one in body[0]]


@pytest.mark.parametrize(("query", "slots", "answer"), CASES)
@pytest.mark.parametrize("return_type", ["LeafClass", "ObjectRef"])
def test_the_schema_finds_it_valid(
    held: Registry, query: str, slots: Slots, answer: str, return_type: str, shared: Path
) -> None:
    assert errors_of(shared, held.ask(IDS[query], slots, return_type)) == []


def test_found_documents_are_the_newest_first(held: Registry) -> None:
    body = held.ask(IDS["FindDocuments"], documents_of(listed(f"{D}TypeCode", "t^^urn:t")))
    assert names(body) == ["D4", "D3b", "D2"]


def test_every_query_of_the_table_is_tried() -> None:
    tried = {query for query, _, _ in CASES} | {query for query, _, _ in MANY}
    assert tried == set(IDS)


KIN = {"FindDocumentsByReferenceId", "FindDocumentsByTitle", *(stored.name for stored in MULTI_PATIENT.values())}
"""Their parameters are those of FindDocuments and FindFolders, and one of their own."""
EVERYWHERE = {"$MetadataLevel", "$XDSAssociationStatus"}


@pytest.mark.parametrize(
    "stored", [one for one in STORED_QUERIES.values() if one.name not in KIN], ids=lambda one: one.name
)
def test_every_parameter_of_the_table_is_tried(stored: StoredQuery) -> None:
    given = {name for query, slots, _ in CASES for name, _, _ in slots if query == stored.name}
    assert set(stored.named) - given <= EVERYWHERE


# -- what is refused ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stored", [*STORED_QUERIES.values(), *MULTI_PATIENT.values()], ids=lambda one: one.name)
def test_a_query_without_parameters_misses_some(held: Registry, stored: StoredQuery) -> None:
    transaction = iti51.TRANSACTION if stored.id in MULTI_PATIENT else iti18.TRANSACTION
    body = held.ask(stored.id, [], action=transaction.action)
    assert (body.get("status"), error_codes(body)) == (ebxml.FAILURE, ["XDSStoredQueryMissingParam"])


@pytest.mark.parametrize(
    ("query", "slots"),
    [
        ("GetDocuments", [uuids(f"{D}EntryUUID", "D1"), listed(f"{D}UniqueId", "1.2")]),
        ("GetFolders", [uuids(f"{F}EntryUUID", "F1"), uuids(f"{F}LogicalID", "F1")]),
        ("GetSubmissionSetAndContents", [uuids(f"{S}EntryUUID", "S1"), listed(f"{S}UniqueId", "1.2")]),
        ("GetSubmissionSetAndContents", [uuids(f"{S}EntryUUID", "S1", "S2")]),
        ("GetFolderAndContents", [uuids(f"{F}EntryUUID", "F1", "F2")]),
        ("GetFoldersForDocument", [uuids(f"{D}EntryUUID", "D1", "D2")]),
        ("GetRelatedDocuments", [uuids(f"{D}EntryUUID", "D1", "D2"), listed("$AssociationTypes", RPLC)]),
        ("GetAssociations", [uuids("$uuid", "D1"), uuids("$uuid", "D2")]),
        ("FindSubmissionSets", sets_of(listed(f"{S}AuthorPerson", "a", "b"))),
        ("FindSubmissionSets", sets_of(listed(f"{S}ContentType", "a^^b"), listed(f"{S}ContentType", "c^^d"))),
        ("FindFolders", folders_of(listed(f"{F}LastUpdateTimeFrom", "2020", "2021"))),
        ("GetAll", all_of(listed(f"{D}FormatCode", "a^^b"), listed(f"{D}FormatCode", "c^^d"))),
        ("FindDocuments", [*documents_of(), LEVEL_2, LEVEL_2]),
    ],
)
def test_too_many_of_a_parameter(held: Registry, query: str, slots: Slots) -> None:
    body = held.ask(IDS[query], slots)
    assert (body.get("status"), error_codes(body), names(body)) == (ebxml.FAILURE, ["XDSStoredQueryParamNumber"], [])


@pytest.mark.parametrize(
    ("query", "slots"),
    [
        ("FindDocumentsByTitle", documents_of(listed(f"{D}Title", "%"), listed(f"{D}AuthorInstitution", "x"))),
        ("FindSubmissionSets", sets_of(listed(f"{S}ContentType", "no scheme^"))),
        ("FindFolders", folders_of(one(f"{F}LastUpdateTimeFrom", "yesterday"))),
        ("GetAll", [*all_of()[1:], one("$patientId", "no CX")]),
        ("GetDocuments", [uuids(f"{D}EntryUUID", "D1"), one("$MetadataLevel", "3")]),
        ("GetAssociations", [uuids("$uuid", "D1"), listed("$XDSAssociationStatus", "urn:none")]),
    ],
)
def test_a_value_that_cannot_be_read(held: Registry, query: str, slots: Slots) -> None:
    body = held.ask(IDS[query], slots)
    assert (body.get("status"), error_codes(body), names(body)) == (ebxml.FAILURE, ["XDSRegistryError"], [])


@pytest.mark.parametrize(
    ("query", "slots"),
    [
        ("GetDocuments", [uuids(f"{D}EntryUUID", "D1", "E1")]),
        ("GetDocumentsAndAssociations", [uuids(f"{D}EntryUUID", "D1", "E1")]),
        ("GetSubmissionSets", [uuids("$uuid", "D1", "E1")]),
    ],
)
def test_objects_of_two_people_are_given_as_references_only(held: Registry, query: str, slots: Slots) -> None:
    body = held.ask(IDS[query], slots)
    assert (body.get("status"), error_codes(body), names(body)) == (ebxml.FAILURE, ["XDSResultNotSinglePatient"], [])
    assert len(names(held.ask(IDS[query], slots, "ObjectRef"))) >= 2


@pytest.mark.parametrize(
    ("query", "slots"),
    [("FindDocuments", documents_of()), ("GetAll", all_of()), ("GetDocuments", [uuids(f"{D}EntryUUID", "D1", "D2")])],
)
def test_too_many_results_give_none(held: Registry, query: str, slots: Slots) -> None:
    services = held.services
    try:
        held.services = replace(services, max_results=1)
        body = held.ask(IDS[query], slots)
        assert (error_codes(body), names(body)) == (["XDSTooManyResults"], [])
        # Ten times as many are given as references.
        if query != "GetAll":
            assert error_codes(held.ask(IDS[query], slots, "ObjectRef")) == []
    finally:
        held.services = services


def test_an_unknown_patient_is_success_and_empty(held: Registry) -> None:
    for query, name, status in (
        ("FindDocuments", f"{D}PatientId", f"{D}Status"),
        ("FindSubmissionSets", f"{S}PatientId", f"{S}Status"),
        ("FindFolders", f"{F}PatientId", f"{F}Status"),
    ):
        body = held.ask(IDS[query], [one(name, f"nobody^^^&{HOSPITAL}&ISO"), listed(status, APPROVED)])
        assert (body.get("status"), names(body), error_codes(body)) == (ebxml.SUCCESS, [], [])


# -- scope -------------------------------------------------------------------------------------------------------


def test_what_the_scope_hides_is_in_no_answer(held: Registry) -> None:
    try:
        held.scope = Scope(None, frozenset({"N"}))
        for query, slots, _ in CASES:
            hidden = {"D2", "s1-d2", "old"} & set(names(held.ask(IDS[query], slots)))
            assert not hidden, query
        held.scope = Scope(None, frozenset({"R"}))
        # A set or folder is seen when one of its documents is.
        assert names(held.ask(IDS["FindSubmissionSets"], sets_of())) == ["S1"]
        assert names(held.ask(IDS["FindFolders"], folders_of())) == ["F1"]
        held.scope = Scope(None, frozenset({"V"}))
        assert names(held.ask(IDS["FindSubmissionSets"], sets_of())) == []
        assert names(held.ask(IDS["FindFolders"], folders_of())) == []
        for scope in (Scope(frozenset(), None), Scope(None, None, frozenset({HOSPITAL}))):
            held.scope = scope
            for query, slots, _ in CASES:
                assert names(held.ask(IDS[query], slots)) == [], query
    finally:
        held.scope = Scope(None, None)


# -- many patients (ITI-51) --------------------------------------------------------------------------------------

_STATUS = listed(f"{D}Status", APPROVED)
MANY: list[tuple[str, Slots, str]] = [
    ("FindDocumentsForMultiplePatients", [listed(f"{D}PatientId", str(A), str(B)), _STATUS,
                                          listed(f"{D}ClassCode", "b^^urn:c")], "D2 E1"),
    ("FindDocumentsForMultiplePatients", [listed(f"{D}ClassCode", "b^^urn:c"), _STATUS], "D2 E1"),
    ("FindDocumentsForMultiplePatients", [listed(f"{D}PatientId", str(B)), _STATUS], "E1 file file"),
    ("FindDocumentsForMultiplePatients", [listed(f"{D}PatientId", "x^^^&1.2&ISO"), _STATUS], ""),
    ("FindFoldersForMultiplePatients", [listed(f"{F}PatientId", str(A), str(B)), listed(f"{F}Status", APPROVED)], "F1"),
    ("FindFoldersForMultiplePatients", [listed(f"{F}CodeList", "x^^urn:x"), listed(f"{F}Status", APPROVED)], "F1"),
    ("FindDocumentsByReferenceIdForMultiplePatients", [
        listed(f"{D}ReferenceIdList", "ref-D2^^^&1.2.3&ISO^urn:ihe:iti:xds:2013:order"), _STATUS], "D2"),
]  # fmt: skip


@pytest.mark.parametrize(("query", "slots", "answer"), MANY)
def test_many_patients(held: Registry, query: str, slots: Slots, answer: str) -> None:
    body = held.ask(IDS[query], slots, action=iti51.TRANSACTION.action)
    assert (body.get("status"), error_codes(body)) == (ebxml.SUCCESS, [])
    assert sorted(names(body)) == expected(answer)


def test_the_schema_finds_answers_about_many_valid(held: Registry, shared: Path) -> None:
    for query, slots, _ in MANY:
        assert errors_of(shared, held.ask(IDS[query], slots, action=iti51.TRANSACTION.action)) == []


def test_each_transaction_has_its_own_queries(held: Registry) -> None:
    single, many = IDS["FindDocuments"], IDS["FindDocumentsForMultiplePatients"]
    assert error_codes(held.ask(many, [])) == ["XDSUnknownStoredQuery"]
    assert error_codes(held.ask(single, [], action=iti51.TRANSACTION.action)) == ["XDSUnknownStoredQuery"]


# -- documentation -----------------------------------------------------------------------------------------------

PAGE = Path(__file__).resolve().parents[2] / "docs" / "stored-queries.md"


def _short(name: str) -> str:
    for long, short in (("XDSDocumentEntry", "DE "), ("XDSSubmissionSet", "SS "), ("XDSFolder", "F ")):
        name = name.replace(long, short)
    return f"`{name.removeprefix('$')}`"


def table() -> str:
    """The table of docs/stored-queries.md."""
    rows = ["", "| query | transaction, section | parameters |", "|---|---|---|"]
    for number_, queries in (("ITI-18, 38", STORED_QUERIES), ("ITI-51", MULTI_PATIENT)):
        for stored in queries.values():
            parameters = [f"{_short(p.name)} {CODINGS[p.read]} {p.number}" for p in stored.parameters]
            for word, some in (("One of", stored.one_of), ("Any of", stored.any_of)):
                if some:
                    parameters.append(f"*{word}* {', '.join(map(_short, some))}")
            where = f"{number_}; {stored.section}"
            rows.append(f"| {stored.name} `{stored.id}` | {where} | {'; '.join(parameters)} |")
    return "\n".join((*rows, "", ""))


def test_the_page_says_what_the_table_says(update_golden: bool) -> None:
    text = PAGE.read_text("utf-8")
    begin, end = text.index("<!-- made from"), text.index("<!-- end -->")
    begin = text.index("\n", begin)
    if update_golden:
        PAGE.write_text(text[:begin] + table() + text[end:], "utf-8")
        text, end = (page := PAGE.read_text("utf-8")), page.index("<!-- end -->")
    assert text[begin:end] == table()
