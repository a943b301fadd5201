"""The same story on each database: submitted, changed, found, hidden by a dissent, the trail whole."""

from pathlib import Path

import pytest

from gateway.codec import ebxml
from gateway.codec.ebxml import RIM
from gateway.ihe import iti18, iti41, iti57
from gateway.model.audit import AuditRecord
from gateway.model.caller import ConsentView, Scope
from gateway.model.consent import Consent, Rule
from gateway.model.document import APPROVED
from gateway.model.identity import PatientId
from tests.ihe.test_iti57 import new_version
from tests.registry_parts import document, provided, registry, simple

pytestmark = pytest.mark.usefixtures("each_engine")


def test_submitted_changed_and_found(tmp_path: Path) -> None:
    with registry(tmp_path) as node:
        content = b"x" * 100_000
        made = document(node.patient, 1, content)
        sent = provided(simple(node.patient, made), (made.entryUUID, None))
        assert node.codes(iti41.TRANSACTION, sent, (f"{made.entryUUID}@test", content)) == []
        assert node.codes(iti57.TRANSACTION, new_version(node, title="renamed", content=content)) == []
        slots = [
            ("$XDSDocumentEntryPatientId", (node.patient,), False),
            ("$XDSDocumentEntryStatus", (APPROVED,), True),
        ]
        asked = ebxml.adhoc_query_request(iti18.FIND_DOCUMENTS, "", "LeafClass", slots)
        answered = node.answer(iti18.TRANSACTION, asked)
        titles = [
            one.get("value")
            for one in answered.iterfind(f".//{{{RIM}}}ExtrinsicObject/{{{RIM}}}Name/{{{RIM}}}LocalizedString")
        ]
        assert "renamed" in titles
        with node.store.blobs.open(node.one("1.2.3.1").blob) as stored:
            assert stored.read() == content
        assert node.store.trail.size() >= 5 and list(node.store.trail.broken()) == []


def test_a_dissent_hides_the_documents_of_one_person(tmp_path: Path) -> None:
    view = ConsentView(True, frozenset({"TREATMENT"}), "1.2", frozenset(), "2026-04-01T00:00:00.000Z")
    scope = Scope(None, None, consent=view)
    with registry(tmp_path) as node:
        mine = node.rows("SELECT \"entryUUID\" FROM registry_object WHERE kind = 'original' ORDER BY n")
        uuids = tuple(str(row[0]) for row in mine)
        assert len(node.store.documents.by_entry_uuid(uuids, scope)) == 2
        said = Consent("c1", 1, True, "privacy", node.patient, "2026-01-01", (), (Rule(0, True),), b"{}")
        node.store.consents.put(said, AuditRecord("110112", "consent", "C", 0, "desk"))
        eid = PatientId.parse(node.patient).value
        assert node.store.consents.rules([eid])[eid][0].deny is True
        assert len(node.store.documents.by_entry_uuid(uuids, scope)) == 1
        assert list(node.store.trail.broken()) == []
