"""Registry objects as others send them and as they are stored: rim elements -> values (ITI TF-3: 4.2.3).

Two ways to read. Of a peer's answer we take what is there (`strict=False`). Of what somebody submits, a cardinality
that is not the standard's is MetadataError, because what is dropped here would be dropped for ever. What is missing is
empty in the value; whether it may be is the registry's to say (services/registry/checks.py).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from lxml import etree

from gateway.codec import ebxml_packages, ebxml_parts, xml
from gateway.codec.ebxml import DOCUMENTATION, RIM
from gateway.errors import LimitExceeded, MetadataError
from gateway.model.code import Code
from gateway.model.document import (
    FOLDER,
    SUBMISSION_SET,
    Association,
    Author,
    DocumentEntry,
    Folder,
    NamedValues,
    SubmissionSet,
)

NO_SIZE: Final = -1
"""`size` of an entry that says none."""
MAX_SLOTS: Final = 256
MAX_SLOT_VALUES: Final = 1000

_DOCUMENT_SLOTS: Final = frozenset(
    {
        "creationTime", "hash", "languageCode", "repositoryUniqueId", "serviceStartTime", "serviceStopTime", "size",
        "sourcePatientId", "sourcePatientInfo", "URI", "legalAuthenticator", "documentAvailability",
        ebxml_parts.REFERENCE_IDS,
    }
)  # fmt: skip
_SET_SLOTS: Final = frozenset({"submissionTime", "intendedRecipient", "homeCommunityId"})
_AUTHOR_SLOTS: Final = (
    "authorPerson", "authorInstitution", "authorRole", "authorSpecialty", "authorTelecommunication"
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Read:
    """How one element is read, and what was in it that has no place."""

    strict: bool = False
    unsaved: list[str] = field(default_factory=list)
    """Names of slots and schemes that are left out, for the warning XDSExtraMetadataNotSaved."""


@dataclass(frozen=True, slots=True)
class _Parts:
    """An element taken apart."""

    item: etree._Element
    read: Read
    slots: Mapping[str, tuple[str, ...]]
    classifications: Mapping[str, Sequence[etree._Element]]
    nodes: frozenset[str]
    """classificationNode of classifications without a scheme."""
    identifiers: Mapping[str, str]

    def one(self, name: str) -> str:
        values = self.slots.get(name, ())
        if self.read.strict and len(values) > 1:
            raise MetadataError(f"{name} has more than one value")
        return values[0] if values else ""

    def codes(self, scheme: str) -> tuple[Code, ...]:
        return tuple(_code(node, self.read) for node in self.classifications.get(scheme, ()))

    def code(self, name: str, scheme: str) -> Code:
        found = self.codes(scheme)
        if self.read.strict and len(found) > 1:
            raise MetadataError(f"{name} stands more than once")
        return found[0] if found else Code("", "")

    def authors(self, scheme: str) -> tuple[Author, ...]:
        return tuple(_author(node, self.read) for node in self.classifications.get(scheme, ()))

    def extra(self, known: frozenset[str]) -> NamedValues:
        """Slots of other specifications have a URN as their name; what has not is no metadata of anybody."""
        found = []
        for name, values in self.slots.items():
            if name in known:
                continue
            if name.startswith("urn:") and values:
                found.append((name, values))
            else:
                self.read.unsaved.append(name)
        return tuple(found)

    def passed_over(self, known: Sequence[str]) -> None:
        self.read.unsaved.extend(scheme for scheme in self.classifications if scheme not in known)


def object_id(item: etree._Element) -> str:
    return _attribute(item, "id")


def read_document(item: etree._Element, read: Read, beside: Sequence[etree._Element] = ()) -> DocumentEntry:
    """A rim:ExtrinsicObject; `beside`: classifications of it that stand beside it. `blob` stays empty: it is our own
    address and never on the wire."""
    parts = _parts(item, read, beside)
    scheme = ebxml_parts.CODED_ATTRIBUTES
    parts.passed_over((*scheme.values(), ebxml_parts.AUTHOR))
    size = parts.one("size")
    return DocumentEntry(
        entryUUID=object_id(item),
        uniqueId=parts.identifiers.get(ebxml_parts.UNIQUE_ID, ""),
        patientId=parts.identifiers.get(ebxml_parts.PATIENT_ID, ""),
        sourcePatientId=parts.one("sourcePatientId"),
        mimeType=_attribute(item, "mimeType"),
        classCode=parts.code("classCode", scheme["classCode"]),
        typeCode=parts.code("typeCode", scheme["typeCode"]),
        formatCode=parts.code("formatCode", scheme["formatCode"]),
        healthcareFacilityTypeCode=parts.code("healthcareFacilityTypeCode", scheme["healthcareFacilityTypeCode"]),
        practiceSettingCode=parts.code("practiceSettingCode", scheme["practiceSettingCode"]),
        confidentialityCode=parts.codes(scheme["confidentialityCode"]),
        creationTime=parts.one("creationTime"),
        languageCode=parts.one("languageCode"),
        repositoryUniqueId=parts.one("repositoryUniqueId"),
        hash=parts.one("hash").lower(),
        size=_size(size, read),
        blob="",
        title=_text(item, "Name"),
        serviceStartTime=parts.one("serviceStartTime"),
        serviceStopTime=parts.one("serviceStopTime"),
        sourcePatientInfo=parts.slots.get("sourcePatientInfo", ()),
        author=parts.authors(ebxml_parts.AUTHOR),
        eventCodeList=parts.codes(scheme["eventCodeList"]),
        availabilityStatus=_attribute(item, "status"),
        objectType=_attribute(item, "objectType"),
        homeCommunityId=_attribute(item, "home"),
        version=_version(item),
        URI="".join(parts.slots.get("URI", ())),
        comments=_text(item, "Description"),
        legalAuthenticator=parts.one("legalAuthenticator"),
        referenceIdList=parts.slots.get(ebxml_parts.REFERENCE_IDS, ()),
        documentAvailability=parts.one("documentAvailability"),
        logicalID=_logical_id(item),
        limitedMetadata=ebxml_parts.LIMITED_DOCUMENT in parts.nodes,
        extra=parts.extra(_DOCUMENT_SLOTS),
    )


def read_package(
    item: etree._Element, read: Read, beside: Sequence[etree._Element] = ()
) -> SubmissionSet | Folder | None:
    """A rim:RegistryPackage by its class node; None for one that is neither. Raises MetadataError for one that is
    both."""
    parts = _parts(item, read, beside)
    kinds = parts.nodes & {SUBMISSION_SET, FOLDER}
    if len(kinds) > 1:
        raise MetadataError("a RegistryPackage is classified as SubmissionSet and as Folder")
    if not kinds:
        return None
    return _submission_set(item, parts) if SUBMISSION_SET in kinds else _folder(item, parts)


def _submission_set(item: etree._Element, parts: _Parts) -> SubmissionSet:
    parts.passed_over((ebxml_packages.CONTENT_TYPE, ebxml_packages.SET_AUTHOR))
    return SubmissionSet(
        entryUUID=object_id(item),
        uniqueId=parts.identifiers.get(ebxml_packages.SET_UNIQUE_ID, ""),
        patientId=parts.identifiers.get(ebxml_packages.SET_PATIENT, ""),
        sourceId=parts.identifiers.get(ebxml_packages.SET_SOURCE, ""),
        submissionTime=parts.one("submissionTime"),
        contentTypeCode=parts.code("contentTypeCode", ebxml_packages.CONTENT_TYPE),
        author=parts.authors(ebxml_packages.SET_AUTHOR),
        title=_text(item, "Name"),
        comments=_text(item, "Description"),
        intendedRecipient=parts.slots.get("intendedRecipient", ()),
        availabilityStatus=_attribute(item, "status"),
        homeCommunityId=parts.one("homeCommunityId"),
        logicalID=_logical_id(item),
        version=_version(item),
        limitedMetadata=ebxml_packages.LIMITED_SET in parts.nodes,
        extra=parts.extra(_SET_SLOTS),
    )


def _folder(item: etree._Element, parts: _Parts) -> Folder:
    parts.passed_over((ebxml_packages.CODE_LIST,))
    return Folder(
        entryUUID=object_id(item),
        uniqueId=parts.identifiers.get(ebxml_packages.FOLDER_UNIQUE_ID, ""),
        patientId=parts.identifiers.get(ebxml_packages.FOLDER_PATIENT, ""),
        codeList=parts.codes(ebxml_packages.CODE_LIST),
        lastUpdateTime=parts.one("lastUpdateTime"),
        title=_text(item, "Name"),
        comments=_text(item, "Description"),
        availabilityStatus=_attribute(item, "status"),
        logicalID=_logical_id(item),
        version=_version(item),
        limitedMetadata=ebxml_packages.LIMITED_FOLDER in parts.nodes,
        extra=parts.extra(frozenset({"lastUpdateTime"})),
    )


def read_association(item: etree._Element, read: Read, beside: Sequence[etree._Element] = ()) -> Association:
    parts = _parts(item, read, beside)
    meanings = parts.codes(DOCUMENTATION)
    if read.strict and len(meanings) > 1:
        raise MetadataError("an Association has more than one classification that documents it")
    parts.passed_over((DOCUMENTATION,))
    return Association(
        entryUUID=object_id(item),
        associationType=_attribute(item, "associationType"),
        sourceObject=_attribute(item, "sourceObject"),
        targetObject=_attribute(item, "targetObject"),
        availabilityStatus=_attribute(item, "status"),
        logicalID=_logical_id(item),
        version=_version(item),
        documentation=meanings[0] if meanings else None,
        slots=tuple((name, values) for name, values in parts.slots.items() if values),
    )


def _parts(item: etree._Element, read: Read, beside: Sequence[etree._Element]) -> _Parts:
    classifications: dict[str, list[etree._Element]] = {}
    nodes: set[str] = set()
    owner = object_id(item)
    for node in (*item.findall(f"{{{RIM}}}Classification"), *beside):
        classified = _attribute(node, "classifiedObject", owner)
        if read.strict and classified != owner:
            raise MetadataError("a Classification inside an object classifies another one")
        if scheme := _attribute(node, "classificationScheme"):
            classifications.setdefault(scheme, []).append(node)
        else:
            nodes.add(_attribute(node, "classificationNode"))
    identifiers: dict[str, str] = {}
    for node in item.findall(f"{{{RIM}}}ExternalIdentifier"):
        scheme, value = _attribute(node, "identificationScheme"), _attribute(node, "value")
        if read.strict and _attribute(node, "registryObject", owner) != owner:
            raise MetadataError("an ExternalIdentifier inside an object identifies another one")
        if identifiers.setdefault(scheme, value) != value or (read.strict and list(identifiers).count(scheme) > 1):
            raise MetadataError("an object has one kind of ExternalIdentifier twice")
    return _Parts(item, read, _slots(item, read), classifications, frozenset(nodes), identifiers)


def _slots(item: etree._Element, read: Read) -> dict[str, tuple[str, ...]]:
    slots: dict[str, tuple[str, ...]] = {}
    found = item.findall(f"{{{RIM}}}Slot")
    if len(found) > MAX_SLOTS:
        raise LimitExceeded(f"an object with more than {MAX_SLOTS} slots")
    for slot in found:
        name = _attribute(slot, "name")
        values = tuple(xml.text_of(value) for value in slot.iterfind(f"{{{RIM}}}ValueList/{{{RIM}}}Value"))
        if len(values) > MAX_SLOT_VALUES:
            raise LimitExceeded(f"a slot with more than {MAX_SLOT_VALUES} values")
        if read.strict and (name in slots or not name):
            raise MetadataError("an object has one slot twice, or one without a name")
        if read.strict and any(len(value) > ebxml_parts.MAX_VALUE for value in values):
            raise MetadataError(f"a slot value is longer than {ebxml_parts.MAX_VALUE} characters")
        slots[name] = values
    return slots


def _code(node: etree._Element, read: Read) -> Code:
    scheme = _slots(node, read).get("codingScheme", ())
    code = Code(_attribute(node, "nodeRepresentation"), scheme[0] if scheme else "", _text(node, "Name"))
    if read.strict and (not code.code or len(scheme) != 1 or not code.scheme):
        raise MetadataError("a coded attribute without nodeRepresentation or without one codingScheme")
    return code


def _author(node: etree._Element, read: Read) -> Author:
    slots = _slots(node, read)
    person, *others = (slots.get(name, ()) for name in _AUTHOR_SLOTS)
    if read.strict and len(person) > 1:
        raise MetadataError("an author with more than one authorPerson")
    if read.strict and not any((person, *others)):
        raise MetadataError("an author without any of its slots")
    read.unsaved.extend(name for name in slots if name not in _AUTHOR_SLOTS)
    return Author(person[0] if person else "", *others)


def _size(text: str, read: Read) -> int:
    if text.isascii() and text.isdigit() and len(text) <= 18:
        return int(text)
    if text and read.strict:
        raise MetadataError("size is not a number of bytes")
    return NO_SIZE if read.strict else 0


def _logical_id(item: etree._Element) -> str:
    """Empty in a first version, whose `lid` is its `id` or not there."""
    lid = _attribute(item, "lid")
    return "" if lid == object_id(item) else lid


def _version(item: etree._Element) -> int:
    info = item.find(f"{{{RIM}}}VersionInfo")
    text = "" if info is None else _attribute(info, "versionName")
    return int(text) if text.isascii() and text.isdigit() and int(text[:9]) > 0 and len(text) <= 9 else 1


def _text(item: etree._Element, name: str) -> str:
    text = item.find(f"{{{RIM}}}{name}/{{{RIM}}}LocalizedString")
    return "" if text is None else str(text.get("value", ""))


def _attribute(item: etree._Element, name: str, default: str = "") -> str:
    return str(item.get(name, default)).strip()
