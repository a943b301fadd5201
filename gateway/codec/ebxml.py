"""ebXML as XDS.b writes it (ITI TF-3: 4.2; ebRIM 3.0, ebRS 3.0): metadata and answers from string templates.

An object is rendered once, when it is stored, and joined into answers as bytes; marks stand for what changes
(codec/ebxml_parts.py). Packages (SubmissionSet, Folder) are in codec/ebxml_packages.py.
"""

from collections.abc import Iterable
from functools import lru_cache
from typing import Final, NamedTuple

from gateway.codec.ebxml_parts import (
    AUTHOR,
    CODED_ATTRIBUTES,
    HOME_MARK,
    LIMITED_DOCUMENT,
    MAX_VALUE,
    OBJECT,
    PATIENT_ID,
    PATIENT_MARK,
    REFERENCE_IDS,
    STATUS_MARK,
    TIME_MARK,
    UNIQUE_ID,
    author_node,
    child_ids,
    class_node,
    classification,
    identifier,
    named,
    single,
    slot,
)
from gateway.codec.xml import escape
from gateway.model.code import Code
from gateway.model.document import FOLDER, ON_DEMAND, Association, DocumentEntry, Shown, StoredEntry

RIM: Final = "urn:oasis:names:tc:ebxml-regrep:xsd:rim:3.0"
RS: Final = "urn:oasis:names:tc:ebxml-regrep:xsd:rs:3.0"
QUERY: Final = "urn:oasis:names:tc:ebxml-regrep:xsd:query:3.0"
XDS: Final = "urn:ihe:iti:xds-b:2007"

SUCCESS: Final = "urn:oasis:names:tc:ebxml-regrep:ResponseStatusType:Success"
FAILURE: Final = "urn:oasis:names:tc:ebxml-regrep:ResponseStatusType:Failure"
PARTIAL_SUCCESS: Final = "urn:ihe:iti:2007:ResponseStatusType:PartialSuccess"
ERROR: Final = "urn:oasis:names:tc:ebxml-regrep:ErrorSeverityType:Error"
WARNING: Final = "urn:oasis:names:tc:ebxml-regrep:ErrorSeverityType:Warning"

DOCUMENTATION: Final = "urn:uuid:abd807a3-4432-4053-87b4-fd82c643d1f3"
"""Classification scheme of what an association means."""


_HOME, _PATIENT, _STATUS, _TIME = (mark.encode() for mark in (HOME_MARK, PATIENT_MARK, STATUS_MARK, TIME_MARK))


class RegistryError(NamedTuple):
    """One rs:RegistryError (ITI TF-3: 4.2.4). `location` names the community an error came from."""

    code: str
    context: str
    severity: str = ERROR
    location: str = ""


# -- metadata ----------------------------------------------------------------------------------------------------


def render_extrinsic(entry: DocumentEntry) -> bytes:
    """The rim:ExtrinsicObject of one document with marks (codec/ebxml_parts.py) for home, patient id and status.

    Ids of the parts follow from entryUUID, so the same entry is the same bytes anywhere. `entryUUID` has to be
    `urn:uuid:` and a UUID. Raises ValueError otherwise, or for a value longer than ebRIM can carry.
    """
    child = child_ids(entry.entryUUID)
    owner = escape(entry.entryUUID)
    parts = [
        f'<rim:ExtrinsicObject id="{owner}"{HOME_MARK} lid="{escape(entry.logicalID) or owner}"'
        f' objectType="{escape(entry.objectType)}" mimeType="{escape(entry.mimeType)}" status="{STATUS_MARK}">',
        *(slot(name, values) for name, values in _slots(entry) if values),
        named("Name", entry.title, entry.languageCode),
        named("Description", entry.comments, entry.languageCode),
        f'<rim:VersionInfo versionName="{entry.version}"/>',
    ]
    for author in entry.author:
        parts.append(author_node(AUTHOR, author, owner, child(len(parts))))
    for name, scheme in CODED_ATTRIBUTES.items():
        value: Code | tuple[Code, ...] = getattr(entry, name)
        for code in value if isinstance(value, tuple) else (value,):
            if code.code or not entry.limitedMetadata:
                parts.append(classification(scheme, code, owner, child(len(parts))))
    if entry.limitedMetadata:
        parts.append(class_node(LIMITED_DOCUMENT, owner, child(len(parts))))
    parts.append(identifier(PATIENT_ID, "XDSDocumentEntry.patientId", PATIENT_MARK, owner, child(len(parts))))
    parts.append(identifier(UNIQUE_ID, "XDSDocumentEntry.uniqueId", escape(entry.uniqueId), owner, child(len(parts))))
    parts.append("</rim:ExtrinsicObject>")
    return "".join(parts).encode()


def splice(xml: bytes, *, home: str, patient_id: str, status: str, time: str = "") -> bytes:
    """Fills the marks. `home` is homeCommunityId (`urn:oid:...`) or empty, `patient_id` a CX, `time` the lastUpdateTime
    of a Folder."""
    attribute = b' home="%s"' % _bytes(home) if home else b""
    xml = xml.replace(_HOME, attribute, 1).replace(_PATIENT, _bytes(patient_id), 1).replace(_STATUS, _bytes(status), 1)
    return xml.replace(_TIME, _bytes(time), 1) if time else xml


def complete(stored: StoredEntry | Shown, home: str) -> bytes:
    """A stored object as an answer shows it."""
    time = stored.time if stored.objectType == FOLDER else ""
    return splice(stored.xml, home=home, patient_id=stored.patientId, status=stored.availabilityStatus, time=time)


def complete_all(found: Iterable[StoredEntry | Shown | Association], home: str) -> list[bytes]:
    """`complete`, or `render_association`, for a whole answer: pieces to be joined, each stored byte copied once."""
    attribute = b' home="%s"' % _bytes(home) if home else b""
    pieces: list[bytes] = []
    for one in found:
        if isinstance(one, Association):
            pieces.append(render_association(one, home=home))
        elif one.objectType == FOLDER:
            pieces.append(complete(one, home))
        else:
            # In this order they are written: two at the beginning, one near the end.
            xml = one.xml
            first, second, last = xml.find(_HOME), xml.find(_STATUS), xml.rfind(_PATIENT)
            status, patient = _bytes(one.availabilityStatus), _bytes(one.patientId)
            pieces += (xml[:first], attribute, xml[first + 1 : second], status, xml[second + 1 : last], patient)
            pieces.append(xml[last + 1 :])
    return pieces


@lru_cache(maxsize=1024)
def _bytes(text: str) -> bytes:
    """Escaped; one answer splices the same three texts into each of its entries."""
    return escape(text).encode()


def render_association(association: Association, *, home: str = "") -> bytes:
    """A rim:Association (ITI TF-3: 4.2.2); `home` as in `splice`."""
    owner = escape(association.entryUUID)
    slots = "".join(slot(name, values) for name, values in association.slots)
    meaning = association.documentation
    documentation = ""
    if meaning is not None:
        documentation = classification(DOCUMENTATION, meaning, owner, child_ids(association.entryUUID)(1))
    return (
        f'<rim:Association id="{owner}"{_home(home)} lid="{escape(association.logicalID) or owner}"'
        f' objectType="{OBJECT}Association" status="{escape(association.availabilityStatus)}"'
        f' associationType="{escape(association.associationType)}" sourceObject="{escape(association.sourceObject)}"'
        f' targetObject="{escape(association.targetObject)}">{slots}'
        f'<rim:VersionInfo versionName="{association.version}"/>{documentation}</rim:Association>'
    ).encode()


def render_object_ref(entry_uuid: str, *, home: str = "") -> bytes:
    return f'<rim:ObjectRef id="{escape(entry_uuid)}"{_home(home)}/>'.encode()


def _home(home: str) -> str:
    return f' home="{escape(home)}"' if home else ""


def _slots(entry: DocumentEntry) -> tuple[tuple[str, tuple[str, ...]], ...]:
    return (
        ("creationTime", single(entry.creationTime)),
        ("hash", single(entry.hash)),
        ("languageCode", single(entry.languageCode)),
        ("repositoryUniqueId", single(entry.repositoryUniqueId)),
        ("serviceStartTime", single(entry.serviceStartTime)),
        ("serviceStopTime", single(entry.serviceStopTime)),
        ("size", (str(entry.size),) if entry.hash or not _is_on_demand(entry) else ()),
        ("sourcePatientId", single(entry.sourcePatientId)),
        ("sourcePatientInfo", entry.sourcePatientInfo),
        ("URI", single(entry.URI)),
        ("legalAuthenticator", single(entry.legalAuthenticator)),
        (REFERENCE_IDS, entry.referenceIdList),
        ("documentAvailability", single(entry.documentAvailability)),
        *entry.extra,
    )


def _is_on_demand(entry: DocumentEntry) -> bool:
    """Such an entry has no bytes of its own to measure (ITI TF-3: table 4.2.3.2-1)."""
    return entry.objectType == ON_DEMAND


# -- answers -----------------------------------------------------------------------------------------------------


def status_of(errors: Iterable[RegistryError], any_result: bool) -> str:
    """ITI TF-3: 4.2.4.2. Warnings alone leave Success; errors with something returned are PartialSuccess."""
    if all(error.severity == WARNING for error in errors):
        return SUCCESS
    return PARTIAL_SUCCESS if any_result else FAILURE


def registry_error_list(errors: tuple[RegistryError, ...]) -> str:
    """rs:RegistryErrorList, or nothing when there are no errors. The prefix rs: is declared on the element."""
    if not errors:
        return ""
    highest = ERROR if any(error.severity == ERROR for error in errors) else WARNING
    inside = "".join(
        f'<rs:RegistryError errorCode="{escape(error.code)}" codeContext="{escape(error.context)}"'
        f' severity="{escape(error.severity)}"'
        + (f' location="{escape(error.location)}"/>' if error.location else "/>")
        for error in errors
    )
    return f'<rs:RegistryErrorList xmlns:rs="{RS}" highestSeverity="{highest}">{inside}</rs:RegistryErrorList>'


def adhoc_query_response(status: str, errors: tuple[RegistryError, ...], objects: Iterable[bytes]) -> bytes:
    """query:AdhocQueryResponse around rendered objects; the list is there even when it is empty."""
    return b"".join(adhoc_query_pieces(status, errors, objects))


def adhoc_query_pieces(status: str, errors: tuple[RegistryError, ...], objects: Iterable[bytes]) -> list[bytes]:
    """`adhoc_query_response` before it is joined."""
    head = (
        f'<query:AdhocQueryResponse xmlns:query="{QUERY}" xmlns:rim="{RIM}" status="{status}">'
        f"{registry_error_list(errors)}<rim:RegistryObjectList>"
    )
    return [head.encode(), *objects, b"</rim:RegistryObjectList></query:AdhocQueryResponse>"]


class DocumentResponse(NamedTuple):
    """One xds:DocumentResponse whose bytes stand in the MIME part `cid`."""

    homeCommunityId: str
    repositoryUniqueId: str
    documentUniqueId: str
    mimeType: str
    cid: str


def retrieve_response(status: str, errors: tuple[RegistryError, ...], documents: Iterable[DocumentResponse]) -> bytes:
    """xds:RetrieveDocumentSetResponse (ITI TF-2: 3.43.5) with an xop:Include for each document."""
    inside = "".join(
        "<xds:DocumentResponse>"
        + (f"<xds:HomeCommunityId>{escape(d.homeCommunityId)}</xds:HomeCommunityId>" if d.homeCommunityId else "")
        + f"<xds:RepositoryUniqueId>{escape(d.repositoryUniqueId)}</xds:RepositoryUniqueId>"
        f"<xds:DocumentUniqueId>{escape(d.documentUniqueId)}</xds:DocumentUniqueId>"
        f"<xds:mimeType>{escape(d.mimeType)}</xds:mimeType>"
        f'<xds:Document><xop:Include xmlns:xop="http://www.w3.org/2004/08/xop/include" href="cid:{escape(d.cid)}"/>'
        "</xds:Document></xds:DocumentResponse>"
        for d in documents
    )
    return (
        f'<xds:RetrieveDocumentSetResponse xmlns:xds="{XDS}">'
        f'<rs:RegistryResponse xmlns:rs="{RS}" status="{status}">{registry_error_list(errors)}</rs:RegistryResponse>'
        f"{inside}</xds:RetrieveDocumentSetResponse>"
    ).encode()


# -- questions ---------------------------------------------------------------------------------------------------


def adhoc_query_request(
    query_id: str, home: str, return_type: str, slots: Iterable[tuple[str, tuple[str, ...], bool]]
) -> bytes:
    """query:AdhocQueryRequest. A slot is (name, values, listed): listed values stand as ('a','b'), one as 'a'."""
    inside = "".join(_query_slot(name, values, listed) for name, values, listed in slots)
    return (
        f'<query:AdhocQueryRequest xmlns:query="{QUERY}" xmlns:rim="{RIM}">'
        f'<query:ResponseOption returnType="{return_type}" returnComposedObjects="true"/>'
        f'<rim:AdhocQuery id="{escape(query_id)}"{_home(home)}>{inside}</rim:AdhocQuery></query:AdhocQueryRequest>'
    ).encode()


def _query_slot(name: str, values: tuple[str, ...], listed: bool) -> str:
    """A list longer than one rim:Value can hold goes on in the next: values of a slot are ORed all together."""
    quoted = ["'" + value.replace("'", "''") + "'" for value in values]
    texts = []
    while listed and quoted:
        take = 1
        while take < len(quoted) and len(",".join(quoted[: take + 1])) + 2 <= MAX_VALUE:
            take += 1
        texts.append(f"({','.join(quoted[:take])})")
        del quoted[:take]
    return slot(name, texts or quoted)


def retrieve_request(documents: Iterable[tuple[str, str, str]]) -> bytes:
    """xds:RetrieveDocumentSetRequest of (homeCommunityId, repositoryUniqueId, documentUniqueId)."""
    inside = "".join(
        "<xds:DocumentRequest>"
        + (f"<xds:HomeCommunityId>{escape(home)}</xds:HomeCommunityId>" if home else "")
        + f"<xds:RepositoryUniqueId>{escape(repository)}</xds:RepositoryUniqueId>"
        f"<xds:DocumentUniqueId>{escape(unique_id)}</xds:DocumentUniqueId></xds:DocumentRequest>"
        for home, repository, unique_id in documents
    )
    return (f'<xds:RetrieveDocumentSetRequest xmlns:xds="{XDS}">{inside}</xds:RetrieveDocumentSetRequest>').encode()
