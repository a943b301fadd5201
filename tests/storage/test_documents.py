"""FindDocuments over stored rows, under a Scope."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.codec.ebxml import splice
from gateway.errors import TooManyResults
from gateway.model.caller import UNRESTRICTED, Scope
from gateway.model.document import APPROVED, DEPRECATED, ON_DEMAND, CodeFilter, DocumentQuery
from gateway.model.identity import PatientId
from gateway.storage.opening import Storage
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
