"""ITI-18 Registry Stored Query (ITI TF-2: 3.18): FindDocuments and GetDocuments.

The reading of parameters is shared with ITI-38 (Cross Gateway Query), which asks the same questions of a community.
"""

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from lxml import etree

from gateway.codec import ebxml, ebxml_read
from gateway.codec.ebxml_read import AdhocQuery
from gateway.errors import (
    InvalidParameter,
    MissingHomeCommunity,
    MissingParameter,
    NotSinglePatient,
    ParameterNumber,
    UnknownPatient,
    UnknownQuery,
)
from gateway.ihe._soap import Audited, Payload, Result, Transaction, registry_error
from gateway.model.caller import Caller, Scope
from gateway.model.document import (
    APPROVED,
    DEPRECATED,
    ON_DEMAND,
    STABLE,
    CodeFilter,
    DocumentQuery,
    StoredEntry,
)
from gateway.model.identity import PatientId
from gateway.services.documents import DocumentServices, check_home, patient_of
from gateway.translate.times import fhir_datetime

FIND_DOCUMENTS: Final = "urn:uuid:14d4debf-8f97-4251-9a74-a90016b0af0d"
GET_DOCUMENTS: Final = "urn:uuid:5c4f972b-d56b-40ac-a5fc-c8ca9b40b9d4"

NOT_ANSWERED: Final = {
    "urn:uuid:f26abbcb-ac74-4422-8a30-edb644bbc1a9": "FindSubmissionSets",
    "urn:uuid:958f3006-baad-4929-a4de-ff1114824431": "FindFolders",
    "urn:uuid:10b545ea-725c-446d-9b95-8aeb444eddf3": "GetAll",
    "urn:uuid:5737b14c-8a1a-4539-b659-e03a34a5e1e4": "GetFolders",
    "urn:uuid:a7ae438b-4bc2-4642-93e9-be891f7bb155": "GetAssociations",
    "urn:uuid:bab9529a-4a10-40b3-a01f-f68a615d247a": "GetDocumentsAndAssociations",
    "urn:uuid:51224314-5390-4169-9b91-b1980040715a": "GetSubmissionSets",
    "urn:uuid:e8e3cb2c-e39c-46b9-99e4-c12f57260b83": "GetSubmissionSetAndContents",
    "urn:uuid:b909a503-523d-4517-8acf-8e5834dfc4c7": "GetFolderAndContents",
    "urn:uuid:10cae35a-c7f9-4cf5-b61e-fc3278ffb578": "GetFoldersForDocument",
    "urn:uuid:d90e5407-b356-4d91-a89f-873917b4b0e6": "GetRelatedDocuments",
    "urn:uuid:12941a89-e02e-4be5-967c-ce4bfc8fe492": "FindDocumentsByReferenceId",
}
"""Stored queries of the standard that this registry does not answer, so that the refusal can name them."""

ONLINE: Final = "urn:ihe:iti:2010:DocumentAvailability:Online"
OFFLINE: Final = "urn:ihe:iti:2010:DocumentAvailability:Offline"

_PREFIX: Final = "$XDSDocumentEntry"
_DTM = re.compile(r"[0-9]{4}(?:[0-9]{2}){0,5}", re.ASCII)
_OID = re.compile(r"(?:urn:oid:)?([0-2](?:\.(?:0|[1-9][0-9]*))+)", re.ASCII)
_FIRST: Final = "00000101000000"
"""What a DTM of less precision is filled up with."""


class Parameters:
    """The slots of one query with the standard's rules on how many (ITI TF-2: 3.18.4.1.2.3.5)."""

    def __init__(self, query: AdhocQuery) -> None:
        self._slots: dict[str, list[tuple[str, ...]]] = {}
        for slot in query.slots:
            self._slots.setdefault(slot.name, []).append(slot.values)

    def all(self, name: str, *, required: bool = False) -> tuple[str, ...]:
        """Values ORed. Raises ParameterNumber when the slot stands twice, MissingParameter."""
        slots = self._slots.get(name, [])
        if len(slots) > 1:
            raise ParameterNumber(f"{name} stands in more than one slot")
        values = slots[0] if slots else ()
        if required and not values:
            raise MissingParameter(f"{name} is required")
        return values

    def one(self, name: str, *, required: bool = False) -> str:
        values = self.all(name, required=required)
        if len(values) > 1:
            raise ParameterNumber(f"{name} has more than one value")
        return values[0] if values else ""

    def anded(self, name: str) -> list[tuple[str, ...]]:
        """One tuple of ORed values for each slot of the name."""
        return [values for values in self._slots.get(name, []) if values]


# -- parse -------------------------------------------------------------------------------------------------------


def parse(body: etree._Element) -> AdhocQuery:
    """Raises BadInput (not an AdhocQueryRequest), InvalidParameter."""
    return ebxml_read.read_query(body)


# -- handle ------------------------------------------------------------------------------------------------------


def handle(query: AdhocQuery, services: DocumentServices, caller: Caller, scope: Scope) -> Result:
    """An unknown patient is Success with nothing found: a registry may not tell whom it knows."""
    return run(query, services, scope, home_required=False, unknown_patient_is_error=False)


def run(
    query: AdhocQuery,
    services: DocumentServices,
    scope: Scope,
    *,
    home_required: bool,
    unknown_patient_is_error: bool,
) -> Result:
    """Answers the query. `home_required`: an id-based query has to name the community (ITI TF-2: 3.38)."""
    if query.returnType not in ("LeafClass", "ObjectRef"):
        raise InvalidParameter("returnType has to be LeafClass or ObjectRef")
    answer = _ANSWERED.get(query.id)
    if answer is None:
        name = NOT_ANSWERED.get(query.id, "an unknown stored query")
        raise UnknownQuery(f"{name} ({query.id[:64]}) is not answered here")
    parameters = Parameters(query)
    home = query.home or parameters.one("$homeCommunityId")
    if home_required and query.id != FIND_DOCUMENTS and not home:
        raise MissingHomeCommunity("a query by ids has to name homeCommunityId")
    check_home(services, home, required=False)
    found, patient = answer(query, parameters, services, scope)
    if found is None:
        if unknown_patient_is_error:
            raise UnknownPatient("the patient id is not known here")
        found = ()
    return Result((), tuple(found), patient)


_Found = tuple[tuple[StoredEntry, ...] | None, str]
"""Hits (None: the patient is not known), and the CX that was asked about."""


def find_documents(query: AdhocQuery, parameters: Parameters, services: DocumentServices, scope: Scope) -> _Found:
    """FindDocuments (ITI TF-2: 3.18.4.1.2.3.7.1).

    LENIENT: the patient may be named by any id the exact cross-reference knows, not only by that of the affinity
    domain: who has a hospital's number at hand can ask with it.
    """
    patient = patient_of(parameters.one(f"{_PREFIX}PatientId", required=True))
    wanted = document_query(parameters, "", services.max_results)
    enterprise_id = services.identities.enterprise_id(patient, scope)
    if enterprise_id is None:
        return None, str(patient)
    if not _may_be_online(parameters):
        return (), str(patient)
    return tuple(services.documents.find(replace(wanted, patient=enterprise_id), scope)), str(patient)


def get_documents(query: AdhocQuery, parameters: Parameters, services: DocumentServices, scope: Scope) -> _Found:
    """GetDocuments (ITI TF-2: 3.18.4.1.2.3.7.5): exactly one of three kinds of id.

    Every entry of this registry is version 1 of itself, so LogicalID and EntryUUID are the same number.
    """
    names = [f"{_PREFIX}{kind}" for kind in ("EntryUUID", "UniqueId", "LogicalID")]
    given = {name: values for name in names if (values := parameters.all(name))}
    if not given:
        raise MissingParameter(f"one of {', '.join(names)} is required")
    if len(given) > 1:
        raise ParameterNumber(f"only one of {', '.join(names)} may be given")
    ((name, values),) = given.items()
    ids = tuple(dict.fromkeys(values))
    read = services.documents.by_unique_id if name.endswith("UniqueId") else services.documents.by_entry_uuid
    found = tuple(read(ids, scope))
    patients = {entry.patientId for entry in found}
    if query.returnType == "LeafClass" and len(patients) > 1:
        raise NotSinglePatient("the documents belong to more than one patient; ask for ObjectRef")
    return found, found[0].patientId if len(patients) == 1 else ""


_ANSWERED: Final[dict[str, Callable[[AdhocQuery, Parameters, DocumentServices, Scope], _Found]]] = {
    FIND_DOCUMENTS: find_documents,
    GET_DOCUMENTS: get_documents,
}


def document_query(parameters: Parameters, enterprise_id: str, limit: int) -> DocumentQuery:
    """All FindDocuments parameters but the patient, read and checked."""

    def codes(name: str) -> CodeFilter | None:
        values = parameters.all(f"{_PREFIX}{name}")
        return _code_filter(f"{_PREFIX}{name}", values) if values else None

    def anded(name: str) -> tuple[CodeFilter, ...]:
        full = f"{_PREFIX}{name}"
        return tuple(_code_filter(full, values) for values in parameters.anded(full))

    status = parameters.all(f"{_PREFIX}Status", required=True)
    _check_among(f"{_PREFIX}Status", status, (APPROVED, DEPRECATED))
    types = parameters.all(f"{_PREFIX}Type") or (STABLE,)
    _check_among(f"{_PREFIX}Type", types, (STABLE, ON_DEMAND))
    return DocumentQuery(
        patient=enterprise_id,
        status=status,
        classCode=codes("ClassCode"),
        typeCode=codes("TypeCode"),
        formatCode=codes("FormatCode"),
        practiceSettingCode=codes("PracticeSettingCode"),
        healthcareFacilityTypeCode=codes("HealthcareFacilityTypeCode"),
        confidentialityCode=anded("ConfidentialityCode"),
        eventCodeList=anded("EventCodeList"),
        creationTime=_range(parameters, "CreationTime"),
        serviceStartTime=_range(parameters, "ServiceStartTime"),
        serviceStopTime=_range(parameters, "ServiceStopTime"),
        authorPerson=parameters.all(f"{_PREFIX}AuthorPerson"),
        objectType=types,
        limit=limit,
    )


def _check_among(name: str, values: tuple[str, ...], allowed: tuple[str, ...]) -> None:
    if not set(values) <= set(allowed):
        raise InvalidParameter(f"{name} has a value other than {' and '.join(allowed)}")


def _code_filter(name: str, values: tuple[str, ...]) -> CodeFilter:
    """`code^^scheme` (ITI TF-2: 3.18.4.1.2.3.4). LENIENT: a code alone, the form of 2006, is a code of any scheme.

    An OID is looked for with and without `urn:oid:`, since both are written for the same scheme.
    """
    pairs: list[tuple[str, str]] = []
    for value in values:
        parts = value.split("^")
        if not parts[0] or len(parts) == 2 or len(parts) > 3:
            raise InvalidParameter(f"{name} has a value that is not code^^scheme")
        scheme = parts[2] if len(parts) == 3 else ""
        oid = _OID.fullmatch(scheme)
        pairs += [(parts[0], oid[1]), (parts[0], f"urn:oid:{oid[1]}")] if oid else [(parts[0], scheme)]
    return CodeFilter(tuple(dict.fromkeys(pairs)))


def _range(parameters: Parameters, name: str) -> tuple[str, str]:
    """(From, To) as DTM of 14 digits, empty where not given."""
    ends = []
    for end in ("From", "To"):
        full = f"{_PREFIX}{name}{end}"
        value = parameters.one(full)
        if value and (not _DTM.fullmatch(value) or fhir_datetime(value) is None):
            raise InvalidParameter(f"{full} is not a time YYYY[MM[DD[hh[mm[ss]]]]]")
        ends.append(value + _FIRST[len(value) :] if value else "")
    return ends[0], ends[1]


def _may_be_online(parameters: Parameters) -> bool:
    """$XDSDocumentEntryDocumentAvailability: every document here is online."""
    name = f"{_PREFIX}DocumentAvailability"
    values = parameters.all(name)
    _check_among(name, values, (ONLINE, OFFLINE))
    return not values or ONLINE in values


# -- render ------------------------------------------------------------------------------------------------------


def render(query: AdhocQuery | None, result: Result, services: DocumentServices) -> Payload:
    """query:AdhocQueryResponse of stored bytes, each object with the home community (ITI TF-2: 3.18.4.1.3.3)."""
    home = services.home
    if query is not None and query.returnType == "ObjectRef":
        objects = [ebxml.render_object_ref(entry.entryUUID, home=home) for entry in result.found]
    else:
        wanted = ((entry.xml, entry.patientId, entry.availabilityStatus) for entry in result.found)
        objects = ebxml.splice_all(wanted, home=home)
    status = ebxml.status_of(result.errors, bool(objects))
    return Payload(ebxml.adhoc_query_response(status, result.errors, objects))


def audit(query: AdhocQuery) -> Audited:
    values = [slot.values[0] for slot in query.slots if slot.name == f"{_PREFIX}PatientId" and slot.values]
    try:
        patient = str(PatientId.parse(values[0])) if values else ""
    except ValueError:
        patient = ""
    return Audited(patient, query.id[:64])


TRANSACTION = Transaction(
    number="ITI-18",
    section="ITI TF-2: 3.18",
    name="Registry Stored Query",
    action="urn:ihe:iti:2007:RegistryStoredQuery",
    actors=("Document Consumer", "Document Registry"),
    path="/xds/registry",
    elements=(f"{{{ebxml.QUERY}}}AdhocQueryRequest", f"{{{ebxml.QUERY}}}AdhocQueryResponse"),
    mtom=False,
    event=("110112", "E"),
    parse=parse,
    handle=handle,
    render=render,
    refuse=registry_error,
    audit=audit,
)
