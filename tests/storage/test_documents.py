"""FindDocuments over stored rows, under a Scope."""

import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.codec.ebxml import splice
from gateway.codec.ebxml_packages import render_object
from gateway.errors import TooManyResults
from gateway.model.caller import UNRESTRICTED, Scope
from gateway.model.document import APPROVED, DEPRECATED, ON_DEMAND, CodeFilter, DocumentQuery
from gateway.model.identity import PatientId
from gateway.model.ingest import KeptObject
from gateway.ports import RegistryWork
from gateway.storage.opening import Storage
from tests.registry_parts import document
from tests.storage.making import DOMAIN, HOSPITAL, message, outcome, record, storage

pytestmark = pytest.mark.usefixtures("each_engine")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Storage]:
    with storage(tmp_path) as made:
        made.keeping.keep([outcome(message("a", 0, "old")), outcome(message("b", 5, "new"))], record)
        yield made


@pytest.fixture
def query(store: Storage) -> DocumentQuery:
    eid = store.identities.enterprise_id(PatientId("1", HOSPITAL), UNRESTRICTED)
    assert eid is not None
    return DocumentQuery(eid, (APPROVED,))


def name(text: str) -> str:
    return f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_OID, text)}"


def count(store: Storage, query: DocumentQuery, scope: Scope = UNRESTRICTED) -> int:
    return len(store.documents.find(query, scope))


def test_newest_first_then_by_entry_uuid(store: Storage, query: DocumentQuery) -> None:
    found = store.documents.find(query, UNRESTRICTED)
    assert len(found) == 4
    new = {entry.blob for entry in found[:2]}
    assert store.blobs.open(min(new)).read() in (b"bundle new 20260101000500000", b"original new")
    assert found[0].entryUUID < found[1].entryUUID


def test_the_answer_names_the_person_and_its_xml_can_be_finished(store: Storage, query: DocumentQuery) -> None:
    entry = store.documents.find(query, UNRESTRICTED)[0]
    assert entry.patientId == f"{query.patient}^^^&{DOMAIN}&ISO"
    xml = splice(entry.xml, home="urn:oid:1.2", patient_id=entry.patientId, status=entry.availabilityStatus)
    assert entry.patientId.replace("&", "&amp;").encode() in xml


@pytest.mark.parametrize(
    ("change", "hits"),
    [
        ({"status": (DEPRECATED,)}, 0),
        ({"status": (APPROVED, DEPRECATED)}, 4),
        ({"objectType": (ON_DEMAND,)}, 0),
        ({"classCode": CodeFilter((("class", "urn:c"),))}, 4),
        ({"classCode": CodeFilter((("class", ""),))}, 4),
        ({"classCode": CodeFilter((("class", "urn:other"),))}, 0),
        ({"formatCode": CodeFilter((("bundle", "urn:f"),))}, 2),
        ({"formatCode": CodeFilter((("bundle", "urn:f"), ("original", "urn:f")))}, 4),
        ({"confidentialityCode": (CodeFilter((("N", ""),)),)}, 4),
        ({"confidentialityCode": (CodeFilter((("N", ""),)), CodeFilter((("R", ""),)))}, 0),
        ({"eventCodeList": (CodeFilter((("event", "urn:e"),)),)}, 4),
        ({"eventCodeList": (CodeFilter((("other", "urn:e"),)),)}, 0),
        ({"creationTime": ("20260101000500", "")}, 2),
        ({"creationTime": ("", "20260101000500")}, 2),
        ({"creationTime": ("2026", "2027")}, 4),
        ({"creationTime": ("20260101", "202601010005")}, 2),
        ({"serviceStartTime": ("1900", "")}, 0),
        ({"authorPerson": ("%",)}, 0),
    ],
)
def test_parameters(store: Storage, query: DocumentQuery, change: dict[str, object], hits: int) -> None:
    assert count(store, replace(query, **change)) == hits  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("change", "hits"),
    [
        ({"serviceStopTime": ("2026", "")}, ["both"]),
        ({"serviceStopTime": ("2026", ""), "openPeriod": True}, ["both", "no end"]),
        ({"serviceStartTime": ("", "2026")}, []),
        ({"serviceStartTime": ("", "2026"), "openPeriod": True}, ["no start"]),
        ({"serviceStopTime": ("", "2027"), "openPeriod": True}, ["both", "no start"]),
        ({"serviceStartTime": ("2026", ""), "serviceStopTime": ("", "2027"), "openPeriod": True}, ["both"]),
    ],
)
def test_an_open_end_of_a_period(
    store: Storage, query: DocumentQuery, change: dict[str, object], hits: list[str]
) -> None:
    """ "no time" is in none: it has no period at all."""
    times = {"both": ("2026", "202612"), "no end": ("2026", ""), "no start": ("", "2020"), "no time": ("", "")}
    patient = PatientId(query.patient, DOMAIN)
    made = [
        document(
            str(patient), n, entryUUID=name(title), title=title, serviceStartTime=start, serviceStopTime=stop, blob=""
        )
        for n, (title, (start, stop)) in enumerate(times.items())
    ]

    def keep(work: RegistryWork) -> None:
        person = work.person(patient, None)
        assert person is not None
        for one in made:
            work.add(KeptObject.of("", one, render_object(one)), APPROVED, person)

    store.registering.run(keep)
    wanted = replace(query, typeCode=CodeFilter((("type", "urn:t"),)), **change)  # type: ignore[arg-type]
    titles = {name(title): title for title in times}
    found = store.documents.find(wanted, UNRESTRICTED)
    assert sorted(titles[one.entryUUID] for one in found if one.entryUUID in titles) == hits


def test_one_more_than_the_limit_is_too_many(store: Storage, query: DocumentQuery) -> None:
    assert count(store, replace(query, limit=4)) == 4
    with pytest.raises(TooManyResults):
        count(store, replace(query, limit=3))


@pytest.mark.parametrize(
    "scope",
    [
        Scope(frozenset({"somebody else"}), None),
        Scope(None, frozenset({"R"})),
        Scope(None, None, frozenset({HOSPITAL})),
        Scope(frozenset(), None),
    ],
)
def test_what_the_scope_hides_is_not_there(store: Storage, query: DocumentQuery, scope: Scope) -> None:
    found = store.documents.find(query, UNRESTRICTED)
    uuids, unique = tuple(one.entryUUID for one in found), tuple(one.uniqueId for one in found)
    assert count(store, query, scope) == 0
    assert store.documents.by_entry_uuid(uuids, scope) == []
    assert store.documents.by_unique_id(unique, scope) == []
    assert store.documents.associations(uuids, scope) == []
    # A limit that only hidden documents exceed says nothing about them.
    assert count(store, replace(query, limit=1), scope) == 0


def test_a_scope_of_the_person_shows_all(store: Storage, query: DocumentQuery) -> None:
    assert count(store, query, Scope(frozenset({query.patient}), frozenset({"N"}))) == 4


def test_ids_are_answered_in_the_order_asked_and_unknown_ones_left_out(store: Storage, query: DocumentQuery) -> None:
    found = store.documents.find(query, UNRESTRICTED)
    asked = (found[2].entryUUID, "urn:uuid:none", found[0].entryUUID)
    assert store.documents.by_entry_uuid(asked, UNRESTRICTED) == [found[2], found[0]]
    assert store.documents.by_unique_id((found[1].uniqueId,), UNRESTRICTED) == [found[1]]
