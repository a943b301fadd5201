"""What the registry objects of XDS.b are made of (ITI TF-3: 4.2.3, ebRIM 3.0): slots, classifications, identifiers.

An object is rendered once, when it is stored, and joined into answers as bytes. Four of its facts may change or depend
on who asks, so a mark stands in their place that `ebxml.splice` fills in when we answer:

    \\x01  the attribute ` home="..."`       XCA answers name the community
    \\x02  the patient id of the affinity domain   changes when two persons turn out to be one
    \\x03  the availability status           changes when a newer version replaces the document
    \\x04  lastUpdateTime of a Folder        changes with its members

The marks are characters that XML 1.0 forbids and `escape` never lets through, so no content can look like one.
Fragments use the prefix `rim:` and declare nothing: the answer around them does.
"""

from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Final

from gateway.codec.xml import escape
from gateway.model.code import Code
from gateway.model.document import Author

HOME_MARK: Final = "\x01"
PATIENT_MARK: Final = "\x02"
STATUS_MARK: Final = "\x03"
TIME_MARK: Final = "\x04"

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
REFERENCE_IDS: Final = "urn:ihe:iti:xds:2013:referenceIdList"
LIMITED_DOCUMENT: Final = "urn:uuid:ab9b591b-83ab-4d03-8f5d-f93b1fb92e85"
"""Classification node of a DocumentEntry with limited metadata (ITI TF-3: 4.2.3.1.5)."""

MAX_VALUE: Final = 256
"""Characters of one slot value (rim:LongName)."""

OBJECT: Final = "urn:oasis:names:tc:ebxml-regrep:ObjectType:RegistryObject:"


def child_ids(entry_uuid: str) -> Callable[[int], str]:
    """Ids for the parts of one object: its own UUID with the first 32 bits xored by the part's place.

    Name-based UUIDs are hash bits all through, so this collides no more than hashing each part would, at a tenth
    of the price; entries are rendered at the rate files are ingested.
    """
    prefix, first = entry_uuid[:9], entry_uuid[9:17]
    if prefix != "urn:uuid:" or len(entry_uuid) != 45:
        raise ValueError("entryUUID is not urn:uuid: and a UUID")
    low, rest = int(first, 16), escape(entry_uuid[17:])
    return lambda place: f"urn:uuid:{low ^ place:08x}{rest}"


def slot(name: str, values: Iterable[str]) -> str:
    values = tuple(values)
    if max(map(len, values), default=0) > MAX_VALUE:
        raise ValueError(f"{name}: a slot value holds {MAX_VALUE} characters at most")
    inside = "".join([f"<rim:Value>{escape(value)}</rim:Value>" for value in values])
    return f'<rim:Slot name="{escape(name)}"><rim:ValueList>{inside}</rim:ValueList></rim:Slot>'


def author_node(scheme: str, author: Author, owner: str, own_id: str) -> str:
    slots = (
        ("authorPerson", (author.person,) if author.person else ()),
        ("authorInstitution", author.institution),
        ("authorRole", author.role),
        ("authorSpecialty", author.specialty),
        ("authorTelecommunication", author.telecommunication),
    )
    inside = "".join(slot(name, values) for name, values in slots if values)
    return (
        f'<rim:Classification id="{own_id}" classificationScheme="{scheme}" classifiedObject="{owner}"'
        f' nodeRepresentation="" objectType="{OBJECT}Classification">{inside}</rim:Classification>'
    )


def classification(scheme: str, code: Code, owner: str, own_id: str) -> str:
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
        f'nodeRepresentation="{escape(code.code)}" objectType="{OBJECT}Classification">'
        f"{slot('codingScheme', (code.scheme,))}{name}</rim:Classification>"
    )
    return f'classificationScheme="{scheme}"', tail


def identifier(scheme: str, name: str, value: str, owner: str, own_id: str) -> str:
    return (
        f'<rim:ExternalIdentifier id="{own_id}" registryObject="{owner}" identificationScheme="{scheme}"'
        f' value="{value}" objectType="{OBJECT}ExternalIdentifier">'
        f'<rim:Name><rim:LocalizedString charset="UTF-8" value="{name}"/></rim:Name></rim:ExternalIdentifier>'
    )


def class_node(node: str, owner: str, own_id: str) -> str:
    """A classification by node: what a package is, or that metadata are limited."""
    return (
        f'<rim:Classification id="{own_id}" classifiedObject="{owner}" classificationNode="{node}"'
        f' objectType="{OBJECT}Classification"/>'
    )


def named(element: str, text: str, language: str = "") -> str:
    """rim:Name or rim:Description; nothing for an empty text."""
    if not text:
        return ""
    tongue = f' xml:lang="{escape(language)}"' if language else ""
    return f'<rim:{element}><rim:LocalizedString{tongue} charset="UTF-8" value="{escape(text)}"/></rim:{element}>'


def single(value: str) -> tuple[str, ...]:
    """The values of a slot that has at most one."""
    return (value,) if value else ()
