"""ebXML as others send it: questions we are asked, and the answers to questions we ask (ITI TF-2: 3.18, 3.43).

Everything is read by namespace and local name; slot names are trimmed, because one published client sends them with a
blank at the end.
"""

import re
from base64 import b64decode
from binascii import Error as Base64Error
from dataclasses import replace
from typing import Final, NamedTuple

from lxml import etree

from gateway.codec import ebxml, ebxml_objects, mtom, xml
from gateway.codec.ebxml import QUERY, RIM, RS, XDS, RegistryError
from gateway.codec.ebxml_objects import Read
from gateway.errors import BadInput, InvalidParameter, LimitExceeded
from gateway.model.document import (
    FOLDER,
    SUBMISSION_SET,
    Association,
    DocumentEntry,
    RegistryObject,
    StoredEntry,
)

_OPTION: Final = f"{{{QUERY}}}ResponseOption"
_QUERY: Final = f"{{{RIM}}}AdhocQuery"
_SLOT: Final = f"{{{RIM}}}Slot"
_VALUE_LIST: Final = f"{{{RIM}}}ValueList"
_VALUE: Final = f"{{{RIM}}}Value"

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
    option = query = None
    for child in body:
        if child.tag == _OPTION and option is None:
            option = child
        elif child.tag == _QUERY and query is None:
            query = child
    if query is None:
        raise BadInput("query:AdhocQueryRequest without rim:AdhocQuery")
    return_type = "RegistryObject" if option is None else _attribute(option, "returnType", "RegistryObject")
    return AdhocQuery(_attribute(query, "id"), _attribute(query, "home"), return_type, read_slots(query))


def read_slots(query: etree._Element) -> tuple[Slot, ...]:
    """The slots of a rim:AdhocQuery, which is a question or the filter of a subscription."""
    slots = []
    for slot in query:
        if slot.tag != _SLOT:
            continue
        name = _attribute(slot, "name")
        values = [value for text in _values(slot) for value in parse_value(text)]
        if len(values) > MAX_VALUES:
            raise LimitExceeded(f"a query slot with more than {MAX_VALUES} values")
        slots.append(Slot(name, tuple(values)))
    return tuple(slots)


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
    return read_requests(body, f"{{{XDS}}}RetrieveDocumentSetRequest")


def read_requests(body: etree._Element, name: str) -> tuple[DocumentRequest, ...]:
    """The same of any element that holds xds:DocumentRequest."""
    local = name.rpartition("}")[2]
    if body.tag != name:
        raise BadInput(f"the body is not {local}")
    wanted = tuple(
        DocumentRequest(
            _child(request, "HomeCommunityId"),
            _child(request, "RepositoryUniqueId"),
            _child(request, "DocumentUniqueId"),
        )
        for request in body.findall(f"{{{XDS}}}DocumentRequest")
    )
    if not wanted:
        raise BadInput(f"{local} without a DocumentRequest")
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
            associations.append(ebxml_objects.read_association(item, Read()))
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


def read_extrinsic(item: etree._Element) -> DocumentEntry:
    """A rim:ExtrinsicObject as values. `blob` stays empty: it is our own address and never on the wire."""
    return ebxml_objects.read_document(item, Read())


def _values(slot: etree._Element) -> list[str]:
    # By hand: a path costs more than what it finds, and an answer of 100 entries has thousands of values.
    return [xml.text_of(value) for held in slot if held.tag == _VALUE_LIST for value in held if value.tag == _VALUE]


def _child(item: etree._Element, name: str) -> str:
    return xml.text_of(item.find(f"{{{XDS}}}{name}"))


def _attribute(item: etree._Element, name: str, default: str = "") -> str:
    return str(item.get(name, default)).strip()


def read_stored(stored: bytes, *, home: str, patient_id: str, status: str) -> DocumentEntry:
    """The values of a stored entry, read back from the bytes `ebxml.render_extrinsic` made of it."""
    fragment = ebxml.splice(stored, home=home, patient_id=patient_id, status=status)
    wrapped = b'<rim:RegistryObjectList xmlns:rim="%s">%s</rim:RegistryObjectList>' % (RIM.encode(), fragment)
    return read_extrinsic(xml.parse(wrapped, xml.REQUEST)[0])


def read_object(stored: StoredEntry, home: str = "") -> RegistryObject:
    """A stored DocumentEntry, SubmissionSet or Folder as values; `blob` and `logicalID` are those of its row."""
    wrapped = b'<rim:RegistryObjectList xmlns:rim="%s">%s</rim:RegistryObjectList>' % (
        RIM.encode(),
        ebxml.complete(stored, home),
    )
    item = xml.parse(wrapped, xml.ANSWER)[0]
    if stored.objectType in (SUBMISSION_SET, FOLDER):
        package = ebxml_objects.read_package(item, Read())
        if package is None:
            raise BadInput("a stored package without its class node")
        return replace(package, logicalID=stored.logicalID)
    return replace(read_extrinsic(item), blob=stored.blob, logicalID=stored.logicalID)
