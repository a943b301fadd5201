"""The stored queries this node answers, and how one is answered. ITI-18 and ITI-38 ask the same ones, ITI-51 those about
many patients. To add one: a StoredQuery in the module of what it leads to."""

from typing import Final

from gateway.codec.ebxml_read import AdhocQuery
from gateway.errors import InvalidParameter, MissingHomeCommunity, ParameterNumber, UnknownPatient, UnknownQuery
from gateway.ihe import _queries_documents, _queries_folders, _queries_many, _queries_sets, _stored_query
from gateway.ihe._soap import Audited, Result
from gateway.ihe._stored_query import Asked, StoredQuery
from gateway.model.caller import Scope
from gateway.model.identity import PatientId
from gateway.services.documents import DocumentServices, check_home

STORED_QUERIES: Final[dict[str, StoredQuery]] = {
    one.id: one for one in (*_queries_documents.QUERIES, *_queries_sets.QUERIES, *_queries_folders.QUERIES)
}
MULTI_PATIENT: Final[dict[str, StoredQuery]] = {one.id: one for one in _queries_many.QUERIES}

_RETURN_TYPES: Final = ("LeafClass", "ObjectRef")
_PATIENT_NAMES: Final = frozenset(
    {"$XDSDocumentEntryPatientId", "$XDSSubmissionSetPatientId", "$XDSFolderPatientId", "$patientId"}
)


def run(
    table: dict[str, StoredQuery],
    query: AdhocQuery,
    services: DocumentServices,
    scope: Scope,
    *,
    home_required: bool = False,
    unknown_patient_is_error: bool = False,
) -> Result:
    """Answers a query of `table`. `home_required`: a query by ids has to name the community (ITI TF-2: 3.38)."""
    if query.returnType not in _RETURN_TYPES:
        # LeafClassWithRepositoryItem brings the documents along and belongs to Cross Gateway Fetch (ITI-63).
        raise InvalidParameter(f"returnType has to be {' or '.join(_RETURN_TYPES)}")
    stored = table.get(query.id)
    if stored is None:
        raise UnknownQuery(f"the stored query {query.id[:64]} is not answered here")
    home = query.home or _home(query)
    if home_required and not stored.by_patient and not home:
        raise MissingHomeCommunity("a query by ids has to name homeCommunityId")
    check_home(services, home, required=False)
    given = _stored_query.read(stored, query)
    found = stored.answer(Asked(given, query.returnType == "ObjectRef", services, scope))
    if not found.known and unknown_patient_is_error:
        raise UnknownPatient("the patient id is not known here")
    return Result((), (*found.objects, *found.associations), found.patient)


def _home(query: AdhocQuery) -> str:
    values = [value for slot in query.slots if slot.name == "$homeCommunityId" for value in slot.values]
    if len(values) > 1:
        raise ParameterNumber("$homeCommunityId has more than one value")
    return values[0] if values else ""


def audited(query: AdhocQuery) -> Audited:
    """The patient who was asked about, where it is one, and the id of the query."""
    values = [value for slot in query.slots if slot.name in _PATIENT_NAMES for value in slot.values]
    try:
        patient = str(PatientId.parse(values[0])) if len(values) == 1 else ""
    except ValueError:
        patient = ""
    return Audited(patient, query.id[:64])
