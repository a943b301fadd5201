"""ebXML as XDS.b writes it (ITI TF-3: 4.2; ebRIM 3.0, ebRS 3.0): metadata and answers from string templates.

A DocumentEntry is rendered once, when it is stored, and joined into answers as bytes. Three of its facts may change
or depend on who asks, so `render_extrinsic` leaves a mark in their place and `splice` fills it in when we answer:

    \x01  the attribute ` home="..."`       XCA answers name the community
    \x02  the patient id of the affinity domain   changes when two persons turn out to be one
    \x03  the availability status           changes when a newer version replaces the document

The marks are characters that XML 1.0 forbids and `escape` never lets through, so no content can look like one.
Fragments use the prefix `rim:` and declare nothing: the answer around them does (`adhoc_query_response`).
"""

from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Final, NamedTuple

from gateway.codec.xml import escape
from gateway.model.code import Code
from gateway.model.document import Association, Author, DocumentEntry

RIM: Final = "urn:oasis:names:tc:ebxml-regrep:xsd:rim:3.0"
RS: Final = "urn:oasis:names:tc:ebxml-regrep:xsd:rs:3.0"
QUERY: Final = "urn:oasis:names:tc:ebxml-regrep:xsd:query:3.0"
XDS: Final = "urn:ihe:iti:xds-b:2007"

SUCCESS: Final = "urn:oasis:names:tc:ebxml-regrep:ResponseStatusType:Success"
FAILURE: Final = "urn:oasis:names:tc:ebxml-regrep:ResponseStatusType:Failure"
PARTIAL_SUCCESS: Final = "urn:ihe:iti:2007:ResponseStatusType:PartialSuccess"
ERROR: Final = "urn:oasis:names:tc:ebxml-regrep:ErrorSeverityType:Error"
WARNING: Final = "urn:oasis:names:tc:ebxml-regrep:ErrorSeverityType:Warning"

CODED_ATTRIBUTES: Final = {
    "classCode": "urn:uuid:41a5887f-8865-4c09-adf7-e362475b143a",
    "typeCode": "urn:uuid:f0306f51-975f-434e-a61c-c59651d33983",
    "formatCode": "urn:uuid:a09d5840-386c-46f2-b5ad-9c3699a4309d",
    "healthcareFacilityTypeCode": "urn:uuid:f33fb8ac-18af-42cc-ae0e-ed0b0bdb91e1",
    "practiceSettingCode": "urn:uuid:cccf5598-8b07-4b77-a05e-ae952c785ead",
    "confidentialityCode": "urn:uuid:f4f85eac-e6cb-4883-b524-f2705394840f",
    "eventCodeList": "urn:uuid:2c6b8cb7-8b2a-4051-b291-b1ae6a575ef4",
}
"""Attribute -> classification scheme (ITI TF-3: 4.2.5.2)."""
AUTHOR: Final = "urn:uuid:93606bcf-9494-43ec-9b4e-a7748d1a838d"
PATIENT_ID: Final = "urn:uuid:58a6f841-87b3-4a3e-92fd-a8ffeff98427"
UNIQUE_ID: Final = "urn:uuid:2e82c1f6-a085-4c72-9da3-8640a32e42ab"

MAX_VALUE: Final = 256
"""Characters of one slot value (rim:LongName)."""

_OBJECT: Final = "urn:oasis:names:tc:ebxml-regrep:ObjectType:RegistryObject:"
_HOME, _PATIENT, _STATUS = b"\x01", b"\x02", b"\x03"


class RegistryError(NamedTuple):
    """One rs:RegistryError (ITI TF-3: 4.2.4). `location` names the community an error came from."""

    code: str
    context: str
    severity: str = ERROR
    location: str = ""


# -- metadata ----------------------------------------------------------------------------------------------------


def render_extrinsic(entry: DocumentEntry) -> bytes:
    """The rim:ExtrinsicObject of one document with marks (see the top) for home, patient id and status.

    Ids of the parts follow from entryUUID, so the same entry is the same bytes anywhere. `entryUUID` has to be
    `urn:uuid:` and a UUID. Raises ValueError otherwise, or for a value longer than ebRIM can carry.
    """
    child = _child_ids(entry.entryUUID)
    owner = escape(entry.entryUUID)
    parts = [
        f'<rim:ExtrinsicObject id="{owner}"\x01 lid="{owner}" objectType="{escape(entry.objectType)}"'
        f' mimeType="{escape(entry.mimeType)}" status="\x03">',
        *(_slot(name, values) for name, values in _slots(entry) if values),
        f'<rim:Name><rim:LocalizedString xml:lang="{escape(entry.languageCode)}" charset="UTF-8"'
        f' value="{escape(entry.title)}"/></rim:Name>'
        if entry.title
        else "",
        f'<rim:VersionInfo versionName="{entry.version}"/>',
    ]
    for author in entry.author:
        parts.append(_author(author, owner, child(len(parts))))
    for name, scheme in CODED_ATTRIBUTES.items():
        value: Code | tuple[Code, ...] = getattr(entry, name)
        for code in value if isinstance(value, tuple) else (value,):
            parts.append(_classification(scheme, code, owner, child(len(parts))))
    parts.append(_identifier(PATIENT_ID, "XDSDocumentEntry.patientId", "\x02", owner, child(len(parts))))
    parts.append(_identifier(UNIQUE_ID, "XDSDocumentEntry.uniqueId", escape(entry.uniqueId), owner, child(len(parts))))
    parts.append("</rim:ExtrinsicObject>")
    return "".join(parts).encode()


def splice(xml: bytes, *, home: str, patient_id: str, status: str) -> bytes:
    """Fills the three marks. `home` is homeCommunityId (`urn:oid:...`) or empty, `patient_id` a CX."""
    attribute = b' home="%s"' % _bytes(home) if home else b""
    return xml.replace(_HOME, attribute, 1).replace(_PATIENT, _bytes(patient_id), 1).replace(_STATUS, _bytes(status), 1)


def splice_all(entries: Iterable[tuple[bytes, str, str]], *, home: str) -> list[bytes]:
    """`splice` for a whole answer: (stored bytes, CX, status) of each -> pieces to be joined, each byte copied once."""
    attribute = b' home="%s"' % _bytes(home) if home else b""
    pieces: list[bytes] = []
    for xml, patient_id, status in entries:
        # In this order render_extrinsic writes them: two at the beginning, one near the end.
        first, second, last = xml.find(_HOME), xml.find(_STATUS), xml.rfind(_PATIENT)
        pieces += (xml[:first], attribute, xml[first + 1 : second], _bytes(status), xml[second + 1 : last])
        pieces += (_bytes(patient_id), xml[last + 1 :])
    return pieces


@lru_cache(maxsize=1024)
def _bytes(text: str) -> bytes:
    """Escaped; one answer splices the same three texts into each of its entries."""
    return escape(text).encode()


def render_association(association: Association, *, home: str = "") -> bytes:
    """A rim:Association (ITI TF-3: 4.2.2); `home` as in `splice`."""
    owner = escape(association.entryUUID)
    return (
        f'<rim:Association id="{owner}"{_home(home)} lid="{owner}" objectType="{_OBJECT}Association"'
        f' status="{escape(association.availabilityStatus)}" associationType="{escape(association.associationType)}"'
        f' sourceObject="{escape(association.sourceObject)}" targetObject="{escape(association.targetObject)}">'
        '<rim:VersionInfo versionName="1"/></rim:Association>'
    ).encode()


def render_object_ref(entry_uuid: str, *, home: str = "") -> bytes:
    return f'<rim:ObjectRef id="{escape(entry_uuid)}"{_home(home)}/>'.encode()


def _home(home: str) -> str:
    return f' home="{escape(home)}"' if home else ""


def _child_ids(entry_uuid: str) -> Callable[[int], str]:
    """Ids for the parts of one object: its own UUID with the first 32 bits xored by the part's place.

    Name-based UUIDs are hash bits all through, so this collides no more than hashing each part would, at a tenth
    of the price; entries are rendered at the rate files are ingested.
    """
    prefix, first = entry_uuid[:9], entry_uuid[9:17]
    if prefix != "urn:uuid:" or len(entry_uuid) != 45:
        raise ValueError("entryUUID is not urn:uuid: and a UUID")
    low, rest = int(first, 16), escape(entry_uuid[17:])
    return lambda place: f"urn:uuid:{low ^ place:08x}{rest}"


def _slots(entry: DocumentEntry) -> tuple[tuple[str, tuple[str, ...]], ...]:
    def one(value: str) -> tuple[str, ...]:
        return (value,) if value else ()

    return (
        ("creationTime", one(entry.creationTime)),
        ("hash", one(entry.hash)),
        ("languageCode", one(entry.languageCode)),
        ("repositoryUniqueId", one(entry.repositoryUniqueId)),
        ("serviceStartTime", one(entry.serviceStartTime)),
        ("serviceStopTime", one(entry.serviceStopTime)),
        ("size", (str(entry.size),)),
        ("sourcePatientId", one(entry.sourcePatientId)),
        ("sourcePatientInfo", entry.sourcePatientInfo),
        ("URI", one(entry.URI)),
    )


def _slot(name: str, values: tuple[str, ...]) -> str:
    if max(map(len, values), default=0) > MAX_VALUE:
        raise ValueError(f"{name}: a slot value holds {MAX_VALUE} characters at most")
    inside = "".join([f"<rim:Value>{escape(value)}</rim:Value>" for value in values])
    return f'<rim:Slot name="{name}"><rim:ValueList>{inside}</rim:ValueList></rim:Slot>'


def _author(author: Author, owner: str, own_id: str) -> str:
    slots = (
        ("authorPerson", (author.person,) if author.person else ()),
        ("authorInstitution", author.institution),
        ("authorRole", author.role),
        ("authorSpecialty", author.specialty),
    )
    inside = "".join(_slot(name, values) for name, values in slots if values)
    return (
        f'<rim:Classification id="{own_id}" classificationScheme="{AUTHOR}" classifiedObject="{owner}"'
        f' nodeRepresentation="" objectType="{_OBJECT}Classification">{inside}</rim:Classification>'
    )


def _classification(scheme: str, code: Code, owner: str, own_id: str) -> str:
    head, tail = _coded(scheme, code)
    return f'<rim:Classification id="{own_id}" {head} classifiedObject="{owner}" {tail}'


@lru_cache(maxsize=1024)
def _coded(scheme: str, code: Code) -> tuple[str, str]:
    """What stands before and after classifiedObject: the same few codes come back in every entry."""
    name = (
        f'<rim:Name><rim:LocalizedString charset="UTF-8" value="{escape(code.display)}"/></rim:Name>'
        if code.display
        else ""
    )
    tail = (
        f'nodeRepresentation="{escape(code.code)}" objectType="{_OBJECT}Classification">'
        f"{_slot('codingScheme', (code.scheme,))}{name}</rim:Classification>"
    )
    return f'classificationScheme="{scheme}"', tail


def _identifier(scheme: str, name: str, value: str, owner: str, own_id: str) -> str:
    return (
        f'<rim:ExternalIdentifier id="{own_id}" registryObject="{owner}" identificationScheme="{scheme}"'
        f' value="{value}" objectType="{_OBJECT}ExternalIdentifier">'
        f'<rim:Name><rim:LocalizedString charset="UTF-8" value="{name}"/></rim:Name></rim:ExternalIdentifier>'
    )


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
    head = (
        f'<query:AdhocQueryResponse xmlns:query="{QUERY}" xmlns:rim="{RIM}" status="{status}">'
        f"{registry_error_list(errors)}<rim:RegistryObjectList>"
    )
    return b"".join((head.encode(), *objects, b"</rim:RegistryObjectList></query:AdhocQueryResponse>"))


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
    return _slot(name, tuple(texts or quoted))


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
