"""The registry's entries as this node's own DocumentReferences, for every face that shows them: MHD (ITI-65, 66, 67) and the
federated questions."""

from collections.abc import Sequence
from functools import cache

from gateway.codec.ebxml_read import read_object
from gateway.model.caller import Scope
from gateway.model.document import DocumentEntry, StoredEntry
from gateway.model.identity import PatientId
from gateway.services.documents import DocumentServices
from gateway.services.persons.patients import patient_id as logical_id
from gateway.translate.document_reference import OID, RELATES, Json, Place, Relation, document_reference


def entry_of(row: StoredEntry, services: DocumentServices) -> DocumentEntry:
    found = read_object(row, services.home)
    assert isinstance(found, DocumentEntry), "asked for documents alone"
    return found


def shown(rows: Sequence[StoredEntry], base: str, services: DocumentServices, scope: Scope) -> list[Json]:
    """The entries as DocumentReferences, with the associations that start at each. `base`: URL of the FHIR base."""
    uuids = tuple(row.entryUUID for row in rows)
    relations: dict[str, list[Relation]] = {}
    for one in services.documents.associations(uuids, scope) if uuids else ():
        if one.associationType in RELATES:
            relations.setdefault(one.sourceObject, []).append(Relation(one.associationType, one.targetObject))

    @cache  # many documents of one patient and one source
    def there(patient_cx: str, source_cx: str) -> Place:
        return place(services, base, patient_cx, source_cx, scope)

    made = []
    for row in rows:
        entry = entry_of(row, services)
        where = there(row.patientId, entry.sourcePatientId)
        made.append(document_reference(entry, where, relations.get(row.entryUUID, ())))
    return made


def place(services: DocumentServices, base: str, patient_cx: str, source_cx: str, scope: Scope) -> Place:
    """Where an entry of this patient is shown. The Patient is the record at the source's own facility where that is one
    of ours, else the person's first; the affinity domain's id stands beside it."""
    try:
        own = PatientId.parse(patient_cx)
    except ValueError:
        return Place(base, services.home, {})
    eid = services.identities.enterprise_id(own, scope)
    known = services.identities.patients(eid, scope) if eid else ()
    subject: Json = {"identifier": {"system": OID + own.authority, "value": own.value}}
    try:
        wanted = logical_id(PatientId.parse(source_cx))
    except ValueError:
        wanted = ""
    if known:
        subject = {"reference": f"Patient/{wanted if wanted in known else known[0]}", **subject}
    return Place(base, services.home, subject)
