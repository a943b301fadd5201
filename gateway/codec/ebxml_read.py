"""ebXML as others send it: questions we are asked, and the answers to questions we ask (ITI TF-2: 3.18, 3.43).

Everything is read by namespace and local name; slot names are trimmed, because one published client sends them with a
blank at the end.
"""

import re
from base64 import b64decode
from binascii import Error as Base64Error
from typing import Final, NamedTuple

from lxml import etree

from gateway.codec import ebxml, ebxml_parts, mtom, xml
from gateway.codec.ebxml import QUERY, RIM, RS, XDS, RegistryError
from gateway.errors import BadInput, InvalidParameter, LimitExceeded
from gateway.model.code import Code
from gateway.model.document import Association, Author, DocumentEntry

MAX_REQUESTED: Final = 1000
"""Documents asked for in one Retrieve Document Set."""
MAX_VALUES: Final = 1000
"""Values in one slot of a query."""


class Slot(NamedTuple):
    """One rim:Slot of a stored query, its values decoded. Two slots of one name stay two: that means AND."""

    name: str
    values: tuple[str, ...]


class AdhocQuery(NamedTuple):
    """query:AdhocQueryRequest (ITI TF-2: 3.18.4.1.2)."""

    id: str
    home: str
    returnType: str
    slots: tuple[Slot, ...]


class DocumentRequest(NamedTuple):
    """One xds:DocumentRequest of a Retrieve Document Set (ITI TF-2: 3.43.4.1.2)."""

    homeCommunityId: str
    repositoryUniqueId: str
    documentUniqueId: str


# -- questions ---------------------------------------------------------------------------------------------------


def read_query(body: etree._Element) -> AdhocQuery:
    """Raises BadInput when the element is no AdhocQueryRequest, InvalidParameter for a value that cannot be read."""
    if body.tag != f"{{{QUERY}}}AdhocQueryRequest":
        raise BadInput("the body is not query:AdhocQueryRequest")
    option, query = body.find(f"{{{QUERY}}}ResponseOption"), body.find(f"{{{RIM}}}AdhocQuery")
    if query is None:
        raise BadInput("query:AdhocQueryRequest without rim:AdhocQuery")
    return_type = "RegistryObject" if option is None else _attribute(option, "returnType", "RegistryObject")
    slots = []
    for slot in query.findall(f"{{{RIM}}}Slot"):
        name = _attribute(slot, "name")
        values = [value for text in _values(slot) for value in parse_value(text)]
        if len(values) > MAX_VALUES:
            raise LimitExceeded(f"a query slot with more than {MAX_VALUES} values")
        slots.append(Slot(name, tuple(values)))
    return AdhocQuery(_attribute(query, "id"), _attribute(query, "home"), return_type, tuple(slots))


_PLAIN = re.compile(r"(?:'([^']*)'|\('([^']*)'\))")
"""By far the commonest: one value without a quote inside."""
_LITERAL = re.compile(r"\s*(?:'((?:[^']|'')*)'|([^'\s,()]+))\s*(,|$)")


def parse_value(text: str) -> list[str]:
    """One rim:Value of a stored query (ITI TF-2: 3.18.4.1.2.3.5): 'a', 123, ('a','b') with '' for a quote inside.

    LENIENT: text without quotes is taken as it stands (IPF's own sample sends times so), and a single value may stand
    in a list. Raises InvalidParameter when quotes or brackets do not close.
    """
    text = text.strip()
    if plain := _PLAIN.fullmatch(text):
        return [plain[plain.lastindex or 1]]
    listed = text.startswith("(")
    if listed:
        if not text.endswith(")"):
            raise InvalidParameter("a query value opens a list and does not close it")
        text = text[1:-1].strip()
        if not text:
            return []
    values: list[str] = []
    at, more = 0, ","
    while more == ",":
        found = _LITERAL.match(text, at)
        if not found or (values and not listed):
            if not listed and "'" not in text:
                return [text]
            raise InvalidParameter("a query value is not 'text', a number, or a list of these")
        quoted, bare, more = found.groups()
        values.append(bare if quoted is None else quoted.replace("''", "'"))
        at = found.end()
    return values


def read_retrieve(body: etree._Element) -> tuple[DocumentRequest, ...]:
    """The documents a RetrieveDocumentSetRequest asks for, in its order. Raises BadInput, LimitExceeded."""
    if body.tag != f"{{{XDS}}}RetrieveDocumentSetRequest":
        raise BadInput("the body is not xds:RetrieveDocumentSetRequest")
    wanted = tuple(
        DocumentRequest(
            _child(request, "HomeCommunityId"),
            _child(request, "RepositoryUniqueId"),
            _child(request, "DocumentUniqueId"),
        )
        for request in body.findall(f"{{{XDS}}}DocumentRequest")
    )
    if not wanted:
        raise BadInput("xds:RetrieveDocumentSetRequest without a DocumentRequest")
    if len(wanted) > MAX_REQUESTED:
        raise LimitExceeded(f"more than {MAX_REQUESTED} documents asked for at once")
    return wanted


# -- answers -----------------------------------------------------------------------------------------------------


class ObjectRef(NamedTuple):
    id: str
    home: str


class QueryAnswer(NamedTuple):
    """query:AdhocQueryResponse of a peer. An entry's missing attributes are empty, never guessed."""

    status: str
    errors: tuple[RegistryError, ...]
    entries: tuple[DocumentEntry, ...]
    associations: tuple[Association, ...]
    references: tuple[ObjectRef, ...]


class RetrievedDocument(NamedTuple):
    """xds:DocumentResponse of a peer; its bytes are in the part `cid`, or inline when `cid` is empty."""

    homeCommunityId: str
    repositoryUniqueId: str
    documentUniqueId: str
    mimeType: str
    cid: str
    inline: bytes


class RetrieveAnswer(NamedTuple):
    status: str
    errors: tuple[RegistryError, ...]
    documents: tuple[RetrievedDocument, ...]


def read_query_answer(body: etree._Element) -> QueryAnswer:
    """Raises BadInput when the element is no AdhocQueryResponse."""
    if body.tag != f"{{{QUERY}}}AdhocQueryResponse":
        raise BadInput("the answer is not query:AdhocQueryResponse")
    objects = body.find(f"{{{RIM}}}RegistryObjectList")
    entries: list[DocumentEntry] = []
    associations: list[Association] = []
    references: list[ObjectRef] = []
    for item in () if objects is None else objects:
        if item.tag == f"{{{RIM}}}ExtrinsicObject":
            entries.append(read_extrinsic(item))
        elif item.tag == f"{{{RIM}}}Association":
            associations.append(_association(item))
        elif item.tag == f"{{{RIM}}}ObjectRef":
            references.append(ObjectRef(_attribute(item, "id"), _attribute(item, "home")))
    return QueryAnswer(
        _attribute(body, "status"), _errors(body), tuple(entries), tuple(associations), tuple(references)
    )


def read_retrieve_answer(body: etree._Element) -> RetrieveAnswer:
    """Raises BadInput when the element is no RetrieveDocumentSetResponse or a document is not base64."""
    response = body.find(f"{{{RS}}}RegistryResponse")
    if body.tag != f"{{{XDS}}}RetrieveDocumentSetResponse" or response is None:
        raise BadInput("the answer is not xds:RetrieveDocumentSetResponse")
    documents = tuple(_retrieved(item) for item in body.findall(f"{{{XDS}}}DocumentResponse"))
    return RetrieveAnswer(_attribute(response, "status"), _errors(response), documents)


def _retrieved(item: etree._Element) -> RetrievedDocument:
    document = item.find(f"{{{XDS}}}Document")
    include = None if document is None else document.find(f"{{{mtom.XOP}}}Include")
    inline = b""
    if include is None:
        try:
            inline = b64decode("".join(xml.text_of(document).split()), validate=True)
        except (Base64Error, ValueError):
            raise BadInput("a document in the answer is not base64") from None
    return RetrievedDocument(
        _child(item, "HomeCommunityId"),
        _child(item, "RepositoryUniqueId"),
        _child(item, "DocumentUniqueId"),
        _child(item, "mimeType"),
        "" if include is None else mtom.content_id(_attribute(include, "href")),
        inline,
    )


def _errors(response: etree._Element) -> tuple[RegistryError, ...]:
    return tuple(
        RegistryError(
            _attribute(error, "errorCode"),
            _attribute(error, "codeContext"),
            _attribute(error, "severity", ebxml.ERROR),
            _attribute(error, "location"),
        )
        for error in response.iterfind(f"{{{RS}}}RegistryErrorList/{{{RS}}}RegistryError")
    )


def _association(item: etree._Element) -> Association:
    return Association(
        _attribute(item, "id"),
        _attribute(item, "associationType"),
        _attribute(item, "sourceObject"),
        _attribute(item, "targetObject"),
        _attribute(item, "status"),
    )


def read_extrinsic(item: etree._Element) -> DocumentEntry:
    """A rim:ExtrinsicObject as values. `blob` stays empty: it is our own address and never on the wire."""
    slots = {_attribute(slot, "name"): tuple(_values(slot)) for slot in item.findall(f"{{{RIM}}}Slot")}
    classifications: dict[str, list[etree._Element]] = {}
    for node in item.findall(f"{{{RIM}}}Classification"):
        classifications.setdefault(_attribute(node, "classificationScheme"), []).append(node)
    coded = {
        name: tuple(map(_code, classifications.get(scheme, ())))
        for name, scheme in ebxml_parts.CODED_ATTRIBUTES.items()
    }
    identifiers = {
        _attribute(node, "identificationScheme"): _attribute(node, "value")
        for node in item.findall(f"{{{RIM}}}ExternalIdentifier")
    }
    version = item.find(f"{{{RIM}}}VersionInfo")
    version_name = "1" if version is None else _attribute(version, "versionName", "1")

    def slot(name: str) -> str:
        return slots.get(name, ("",))[0] if slots.get(name) else ""

    def code(name: str) -> Code:
        return coded[name][0] if coded[name] else Code("", "")

    return DocumentEntry(
        entryUUID=_attribute(item, "id"),
        uniqueId=identifiers.get(ebxml_parts.UNIQUE_ID, ""),
        patientId=identifiers.get(ebxml_parts.PATIENT_ID, ""),
        sourcePatientId=slot("sourcePatientId"),
        mimeType=_attribute(item, "mimeType"),
        classCode=code("classCode"),
        typeCode=code("typeCode"),
        formatCode=code("formatCode"),
        healthcareFacilityTypeCode=code("healthcareFacilityTypeCode"),
        practiceSettingCode=code("practiceSettingCode"),
        confidentialityCode=coded["confidentialityCode"],
        creationTime=slot("creationTime"),
        languageCode=slot("languageCode"),
        repositoryUniqueId=slot("repositoryUniqueId"),
        hash=slot("hash").lower(),
        size=_number(slot("size")),
        blob="",
        title=_name(item),
        serviceStartTime=slot("serviceStartTime"),
        serviceStopTime=slot("serviceStopTime"),
        sourcePatientInfo=slots.get("sourcePatientInfo", ()),
        author=tuple(map(_author, classifications.get(ebxml_parts.AUTHOR, ()))),
        eventCodeList=coded["eventCodeList"],
        availabilityStatus=_attribute(item, "status"),
        objectType=_attribute(item, "objectType"),
        homeCommunityId=_attribute(item, "home"),
        version=_number(version_name) or 1,
        URI=slot("URI"),
    )


def _code(node: etree._Element) -> Code:
    scheme = next((values for name, values in _slots(node) if name == "codingScheme"), ())
    return Code(_attribute(node, "nodeRepresentation"), scheme[0] if scheme else "", _name(node))


def _author(node: etree._Element) -> Author:
    slots = dict(_slots(node))
    person = slots.get("authorPerson", ())
    return Author(
        person[0] if person else "",
        slots.get("authorInstitution", ()),
        slots.get("authorRole", ()),
        slots.get("authorSpecialty", ()),
    )


def _slots(node: etree._Element) -> list[tuple[str, tuple[str, ...]]]:
    return [(_attribute(slot, "name"), tuple(_values(slot))) for slot in node.findall(f"{{{RIM}}}Slot")]


def _name(node: etree._Element) -> str:
    text = node.find(f"{{{RIM}}}Name/{{{RIM}}}LocalizedString")
    return "" if text is None else _attribute(text, "value")


def _values(slot: etree._Element) -> list[str]:
    return [xml.text_of(value) for value in slot.iterfind(f"{{{RIM}}}ValueList/{{{RIM}}}Value")]


def _child(item: etree._Element, name: str) -> str:
    return xml.text_of(item.find(f"{{{XDS}}}{name}"))


def _attribute(item: etree._Element, name: str, default: str = "") -> str:
    return str(item.get(name, default)).strip()


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 18 else 0


def read_stored(stored: bytes, *, home: str, patient_id: str, status: str) -> DocumentEntry:
    """The values of a stored entry, read back from the bytes `ebxml.render_extrinsic` made of it."""
    fragment = ebxml.splice(stored, home=home, patient_id=patient_id, status=status)
    wrapped = b'<rim:RegistryObjectList xmlns:rim="%s">%s</rim:RegistryObjectList>' % (RIM.encode(), fragment)
    return read_extrinsic(xml.parse(wrapped, xml.REQUEST)[0])
