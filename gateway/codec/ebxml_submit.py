"""lcm:SubmitObjectsRequest, RemoveObjectsRequest and the ways they are wrapped (ITI TF-2: 3.41, 3.42, 3.57, 3.61, 3.62,
3.86, 3.92): metadata as submitted -> values; the answer rs:RegistryResponse.

Objects come in any order and refer to each other by symbolic ids, which stay as they are here.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from lxml import etree

from gateway.codec.ebxml import RIM, RS, XDS, RegistryError, registry_error_list
from gateway.codec.ebxml_objects import Read, object_id, read_association, read_document, read_package
from gateway.errors import BadInput, LimitExceeded, MetadataError
from gateway.model.document import Association, DocumentEntry, Folder, SubmissionSet

LCM: Final = "urn:oasis:names:tc:ebxml-regrep:xsd:lcm:3.0"
RMD: Final = "urn:ihe:iti:rmd:2017"
RMU: Final = "urn:ihe:iti:rmu:2018"
SUBMIT: Final = f"{{{LCM}}}SubmitObjectsRequest"

MAX_OBJECTS: Final = 10_000
"""Objects and associations of one submission."""


@dataclass(frozen=True, slots=True)
class Metadata:
    """What one SubmitObjectsRequest holds."""

    submissionSets: tuple[SubmissionSet, ...] = ()
    documents: tuple[DocumentEntry, ...] = ()
    folders: tuple[Folder, ...] = ()
    associations: tuple[Association, ...] = ()
    unsaved: tuple[str, ...] = ()
    """Names of slots and schemes that have no place here: XDSExtraMetadataNotSaved."""


def read_submit(body: etree._Element) -> Metadata:
    """Raises BadInput when the element is no SubmitObjectsRequest, MetadataError, LimitExceeded."""
    objects = body.find(f"{{{RIM}}}RegistryObjectList") if body.tag == SUBMIT else None
    if objects is None:
        raise BadInput("the body is not lcm:SubmitObjectsRequest with a rim:RegistryObjectList")
    if len(objects) > MAX_OBJECTS:
        raise LimitExceeded(f"more than {MAX_OBJECTS} objects in one submission")
    beside: dict[str, list[etree._Element]] = {}
    for node in objects.findall(f"{{{RIM}}}Classification"):
        beside.setdefault(str(node.get("classifiedObject", "")).strip(), []).append(node)
    read = Read(strict=True)
    sets: list[SubmissionSet] = []
    documents: list[DocumentEntry] = []
    folders: list[Folder] = []
    associations: list[Association] = []
    for item in objects:
        mine = beside.pop(object_id(item), []) if isinstance(item.tag, str) else []
        match item.tag:
            case "{urn:oasis:names:tc:ebxml-regrep:xsd:rim:3.0}ExtrinsicObject":
                documents.append(read_document(item, read, mine))
            case "{urn:oasis:names:tc:ebxml-regrep:xsd:rim:3.0}RegistryPackage":
                package = read_package(item, read, mine)
                if package is None:
                    raise MetadataError("a RegistryPackage is classified neither as SubmissionSet nor as Folder")
                (sets if isinstance(package, SubmissionSet) else folders).append(package)  # type: ignore[arg-type]
            case "{urn:oasis:names:tc:ebxml-regrep:xsd:rim:3.0}Association":
                associations.append(read_association(item, read, mine))
    if beside:
        raise MetadataError("a Classification classifies an object that is not in the submission")
    unsaved = tuple(dict.fromkeys(read.unsaved))
    return Metadata(tuple(sets), tuple(documents), tuple(folders), tuple(associations), unsaved)


def read_wrapped(body: etree._Element, wrapper: str) -> Metadata:
    """A SubmitObjectsRequest bare or inside `wrapper` ({namespace}local). Raises as `read_submit`."""
    inside = body.find(SUBMIT) if body.tag == wrapper else body
    if inside is None:
        raise BadInput("the body holds no lcm:SubmitObjectsRequest")
    return read_submit(inside)


def read_remove_objects(body: etree._Element) -> tuple[str, ...]:
    """Ids of a lcm:RemoveObjectsRequest (ITI-62), each once. Raises BadInput, LimitExceeded."""
    if body.tag != f"{{{LCM}}}RemoveObjectsRequest":
        raise BadInput("the body is not lcm:RemoveObjectsRequest")
    ids = [object_id(item) for item in body.findall(f"{{{RIM}}}ObjectRefList/{{{RIM}}}ObjectRef")]
    if not ids or not all(ids):
        raise BadInput("lcm:RemoveObjectsRequest without rim:ObjectRef or with one without an id")
    if len(ids) > MAX_OBJECTS:
        raise LimitExceeded(f"more than {MAX_OBJECTS} objects to remove")
    return tuple(dict.fromkeys(ids))


def registry_response(status: str, errors: tuple[RegistryError, ...]) -> bytes:
    """rs:RegistryResponse (ITI TF-3: 4.2.4)."""
    return (
        f'<rs:RegistryResponse xmlns:rs="{RS}" status="{status}">{registry_error_list(errors)}</rs:RegistryResponse>'
    ).encode()


# -- as a client and for tests -----------------------------------------------------------------------------------


def submit_request(objects: Iterable[bytes]) -> bytes:
    """lcm:SubmitObjectsRequest around rendered objects (prefix rim:)."""
    return b"".join(
        (
            f'<lcm:SubmitObjectsRequest xmlns:lcm="{LCM}" xmlns:rim="{RIM}"><rim:RegistryObjectList>'.encode(),
            *objects,
            b"</rim:RegistryObjectList></lcm:SubmitObjectsRequest>",
        )
    )


PROVIDE: Final = f"{{{XDS}}}ProvideAndRegisterDocumentSetRequest"
