"""The registry as a conformance kit meets it: every attribute left out once, every format broken once, element orders, and
what no registry may take. Each refusal has its code, stores nothing, and is valid by the schema."""

import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from lxml import etree

from gateway import ihe
from gateway.codec import ebxml, soap
from gateway.codec.ebxml_packages import (
    CODE_LIST,
    CONTENT_TYPE,
    FOLDER_PATIENT,
    FOLDER_UNIQUE_ID,
    SET_PATIENT,
    SET_SOURCE,
    SET_UNIQUE_ID,
)
from gateway.codec.ebxml_parts import AUTHOR, CODED_ATTRIBUTES, PATIENT_ID, UNIQUE_ID
from gateway.ihe import iti41, iti42
from gateway.model.document import HAS_MEMBER, ON_DEMAND
from tests.oracle.xsd import errors_of
from tests.registry_parts import Registry, document, folder, link, member, provided, registry, simple
from tests.xds_parts import CALLER, error_codes

RIM = f"{{{ebxml.RIM}}}"
DOCUMENT, SET, FOLDER = "Document1", "SubmissionSet01", "Folder1"
REGISTER, PROVIDE = iti42.TRANSACTION, iti41.TRANSACTION


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """No test of this module that is to be refused may leave anything, so that they share one."""
    with registry(tmp_path_factory.mktemp("kit")) as made:
        yield made


def whole(node: Registry, number: int = 1) -> etree._Element:
    """A document in a folder, in one submission."""
    p = node.patient
    more = (
        folder(p, uniqueId=f"1.2.6.{number}"), member(FOLDER, ""), link(HAS_MEMBER, FOLDER, DOCUMENT, id_="fd"),
        member("fd", ""),
    )  # fmt: skip
    entry = document(p, uniqueId=f"1.2.3.{number}")
    return etree.fromstring(simple(p, entry, number=number, more=more))


def wire(request: etree._Element) -> bytes:
    return etree.tostring(request)


def slot(of: str, name: str) -> str:
    return f"//*[@id='{of}']/rim:Slot[@name='{name}']"


def coded(of: str, scheme: str) -> str:
    return f"//*[@id='{of}']/rim:Classification[@classificationScheme='{scheme}']"


def identifier(of: str, scheme: str) -> str:
    return f"//*[@id='{of}']/rim:ExternalIdentifier[@identificationScheme='{scheme}']"


def drop(request: etree._Element, path: str) -> None:
    """Takes away the elements, or attribute, an XPath names; there has to be one."""
    at, _, attribute = path.partition("/@")
    found = cast(list[etree._Element], request.xpath(at, namespaces={"rim": ebxml.RIM}))
    assert found, path
    for element in found:
        parent = element.getparent()
        if attribute:
            del element.attrib[attribute]
        elif parent is not None:
            parent.remove(element)


_DOCUMENT_SLOTS = ("creationTime", "languageCode", "sourcePatientId", "hash", "size", "repositoryUniqueId")
_OPTIONAL_CODES = ("eventCodeList",)
REQUIRED = {
    **{f"DocumentEntry.{name}": slot(DOCUMENT, name) for name in _DOCUMENT_SLOTS},
    **{
        f"DocumentEntry.{name}": coded(DOCUMENT, scheme)
        for name, scheme in CODED_ATTRIBUTES.items()
        if name not in _OPTIONAL_CODES
    },
    "DocumentEntry.patientId": identifier(DOCUMENT, PATIENT_ID),
    "DocumentEntry.uniqueId": identifier(DOCUMENT, UNIQUE_ID),
    "DocumentEntry.mimeType": f"//*[@id='{DOCUMENT}']/@mimeType",
    "DocumentEntry.objectType": f"//*[@id='{DOCUMENT}']/@objectType",
    "DocumentEntry.id": f"//*[@id='{DOCUMENT}']/@id",
    "SubmissionSet.submissionTime": slot(SET, "submissionTime"),
    "SubmissionSet.contentTypeCode": coded(SET, CONTENT_TYPE),
    "SubmissionSet.patientId": identifier(SET, SET_PATIENT),
    "SubmissionSet.uniqueId": identifier(SET, SET_UNIQUE_ID),
    "SubmissionSet.sourceId": identifier(SET, SET_SOURCE),
    "SubmissionSet, its class": f"//*[@id='{SET}']/rim:Classification[@classificationNode]",
    "Folder.codeList": coded(FOLDER, CODE_LIST),
    "Folder.patientId": identifier(FOLDER, FOLDER_PATIENT),
    "Folder.uniqueId": identifier(FOLDER, FOLDER_UNIQUE_ID),
    "Folder, its class": f"//*[@id='{FOLDER}']/rim:Classification[@classificationNode]",
    "Association.associationType": "//*[@id='fd']/@associationType",
    "Association.sourceObject": "//*[@id='fd']/@sourceObject",
    "Association.targetObject": "//*[@id='fd']/@targetObject",
    "SubmissionSetStatus": "//rim:Association/rim:Slot[@name='SubmissionSetStatus']",
    "HasMember of the document": f"//rim:Association[@sourceObject='{SET}'][@targetObject='{DOCUMENT}']",
    "HasMember of the folder": f"//rim:Association[@sourceObject='{SET}'][@targetObject='{FOLDER}']",
    "codingScheme": f"{coded(DOCUMENT, CODED_ATTRIBUTES['classCode'])}/rim:Slot",
    "nodeRepresentation": f"{coded(DOCUMENT, CODED_ATTRIBUTES['typeCode'])}/@nodeRepresentation",
    "value of an identifier": f"{identifier(DOCUMENT, UNIQUE_ID)}/@value",
}
"""What a submission cannot be without (ITI TF-3: tables 4.2.3.2-1, 4.2.3.3-1, 4.2.3.4-1)."""
OPTIONAL = {
    "serviceStartTime": slot(DOCUMENT, "serviceStartTime"),
    "sourcePatientInfo": slot(DOCUMENT, "sourcePatientInfo"),
    "legalAuthenticator": slot(DOCUMENT, "legalAuthenticator"),
    "referenceIdList": slot(DOCUMENT, "urn:ihe:iti:xds:2013:referenceIdList"),
    "extra": slot(DOCUMENT, "urn:example:extra"),
    "author": coded(DOCUMENT, AUTHOR),
    "eventCodeList": coded(DOCUMENT, CODED_ATTRIBUTES["eventCodeList"]),
    "title": f"//*[@id='{DOCUMENT}']/rim:Name",
    "comments": f"//*[@id='{DOCUMENT}']/rim:Description",
    "intendedRecipient": slot(SET, "intendedRecipient"),
    "title of the set": f"//*[@id='{SET}']/rim:Name",
    "lastUpdateTime": slot(FOLDER, "lastUpdateTime"),
    "ids of parts": "//rim:ExternalIdentifier/@id",
    "registryObject": "//rim:ExternalIdentifier/@registryObject",
    "classifiedObject": "//rim:ExtrinsicObject/rim:Classification/@classifiedObject",
}


def refused(node: Registry, request: bytes, shared: Path) -> list[str]:
    """The codes of a refusal that left no trace but its audit record."""
    before = node.counts()
    answer = node.answer(REGISTER, request)
    assert answer.get("status") == ebxml.FAILURE and errors_of(shared, answer) == []
    assert node.counts() == before
    return error_codes(answer)


@pytest.mark.parametrize("name", REQUIRED)
def test_each_required_attribute_left_out(node: Registry, name: str, shared: Path) -> None:
    request = whole(node, 900)
    drop(request, REQUIRED[name])
    assert set(refused(node, wire(request), shared)) == {"XDSRegistryMetadataError"}


@pytest.mark.parametrize("name", OPTIONAL)
def test_each_optional_attribute_left_out(node: Registry, name: str) -> None:
    request = whole(node, number := 1000 + list(OPTIONAL).index(name))
    drop(request, OPTIONAL[name])
    assert node.codes(REGISTER, wire(request)) == []
    assert node.status(f"1.2.3.{number}") == ["Approved"]


LONG = "1." + "2" * 62
BROKEN_DOCUMENTS: dict[str, list[Any]] = {
    "uniqueId": [
        "1.02.3", "3.1.2", "1.2.", "1.2.3^", "1.2.3^12345678901234567", "1.2.3^a b", "1.2.3^a^b", "1.2.3^../x",
        f"{LONG}.{LONG}^x", "urn:oid:", "urn:uuid:1234", "a.b", "1.2.3\u0663",
    ],
    "mimeType": ["text", "text/", "/plain", "text/plain; charset=utf-8", "text /plain", "a/b/c"],
    "hash": ["da39a3ee", "g" * 40, "0" * 39, "0" * 41],
    "creationTime": [
        "2026010", "20260230", "20261301", "2026010125", "202601012460", "20260101000061", "20260101000000.1",
        "2026-01-01", "20260101+0900", "0",
    ],
    "serviceStartTime": ["2026010", "yesterday"],
    "serviceStopTime": ["20260100"],
    "languageCode": ["日本語", "ja_JP", "-", "japaneselang"],
    "patientId": [
        "1", "1^^^1.2.3", "^^^&1.2.3&ISO", "1^^^&&ISO", "1^^^&1.2.3&DNS", "1^^^&abc&ISO", "1^^^ns&1.2.3&ISO",
        "1^^^&1.2.3&ISO^PI",
    ],
    "sourcePatientId": ["1", "^^^&1.2.3&ISO"],
    "sourcePatientInfo": [("Taro",), ("PID-5|a", "OBX-5|b")],
    "repositoryUniqueId": ["repository", f"1.{'2' * 63}", "1.2..3"],
    "documentAvailability": ["Online"],
    "title": ["x" * 129],
    "objectType": ["", ON_DEMAND, "urn:uuid:00000000-0000-0000-0000-000000000000"],
}  # fmt: skip
_CASES = [(name, value) for name, values in BROKEN_DOCUMENTS.items() for value in values]


@pytest.mark.parametrize(("name", "value"), _CASES)
def test_each_format_broken(node: Registry, name: str, value: object, shared: Path) -> None:
    changes: dict[str, Any] = {"uniqueId": "1.2.3.901", name: value}
    request = simple(node.patient, document(node.patient, **changes), number=901)
    assert refused(node, request, shared) == ["XDSRegistryMetadataError"]


@pytest.mark.parametrize(
    "unique_id",
    ["1.2.3.902.1", "1.2.3.902^ext", "1.2.3.902^1234567890123456", "2.25.329800735698586629295641978511506172918",
     "urn:oid:1.2.3.902.2", "urn:uuid:0c8a3e52-9d1c-4e57-9f63-0d5e7c1b2a01"],
)  # fmt: skip
def test_each_form_of_a_unique_id(node: Registry, unique_id: str) -> None:
    made = document(node.patient, uniqueId=unique_id)
    number = 2000 + len(unique_id)
    assert node.codes(REGISTER, simple(node.patient, made, number=number)) == []
    assert node.status(unique_id) == ["Approved"]


@pytest.mark.parametrize("order", ["as written", "backwards", "associations last"])
def test_any_order_of_objects(node: Registry, order: str) -> None:
    request = whole(node, number := 3000 + len(order))
    objects = request[0]
    parts = list(objects)
    if order == "backwards":
        parts.reverse()
    elif order == "associations last":
        parts.sort(key=lambda one: one.tag == f"{RIM}Association")
    objects[:] = parts
    assert node.codes(REGISTER, wire(request)) == []
    held = {one.targetObject for one in node.links(f"1.2.6.{number}")}
    assert node.one(f"1.2.3.{number}").entryUUID in held


def test_all_that_is_missing_is_said_at_once(node: Registry) -> None:
    request = whole(node, 903)
    for name in ("DocumentEntry.creationTime", "DocumentEntry.classCode", "DocumentEntry.sourcePatientId"):
        drop(request, REQUIRED[name])
    answer = node.answer(REGISTER, wire(request))
    said = " ".join(one.get("codeContext", "") for one in answer.iter(f"{{{ebxml.RS}}}RegistryError"))
    assert all(name in said for name in ("creationTime", "classCode", "sourcePatientId"))


# -- what no registry may take -----------------------------------------------------------------------------------------

SECRET = "root:x:0:0"
DTD = '<!DOCTYPE e [<!ENTITY x SYSTEM "file:///etc/passwd">{}]>'
BOMB = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))


def envelope(node: Registry) -> str:
    data = soap.request(REGISTER.action, "urn:uuid:1", "http://127.0.0.1/", wire(whole(node, 904)))
    text = data.decode()
    return text[text.index("?>") + 2 :] if text.startswith("<?xml") else text


HOSTILE: dict[str, Callable[[str], str]] = {
    "a DOCTYPE": lambda text: "<!DOCTYPE e>" + text,
    "an external entity": lambda text: DTD.format("") + text.replace("A folder", "&x;"),
    "entities of entities": lambda text: DTD.format('<!ENTITY l0 "ha">' + BOMB) + text.replace("A folder", "&l9;"),
    "an external DTD": lambda text: '<!DOCTYPE e SYSTEM "http://127.0.0.1:9/x.dtd">' + text,
    "deep nesting": lambda text: text.replace("<rim:Name>", "<rim:Name>" + "<a>" * 5000 + "</a>" * 5000, 1),
    "a foreign rim": lambda text: text.replace("xsd:rim:3.0", "xsd:rim:2.1"),
    "a foreign lcm": lambda text: text.replace("xsd:lcm:3.0", "xsd:lcm:2.1"),
    "a foreign envelope": lambda text: text.replace("2003/05/soap-envelope", "2099/05/soap-envelope"),
    "cut short": lambda text: text[: len(text) // 2],
    "two roots": lambda text: text + text,
    "a NUL": lambda text: text.replace("A folder", "A\x00folder"),
    "no body": lambda text: text[: text.index("<lcm:")] + text[text.index("</lcm:SubmitObjectsRequest>") + 27 :],
    "an unknown action": lambda text: text.replace(REGISTER.action, "urn:ihe:iti:2007:Nothing"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_is_no_message_is_a_fault(node: Registry, name: str, shared: Path) -> None:
    edited = HOSTILE[name](envelope(node))
    before = node.counts()
    response = ihe.dispatch(REGISTER.path, soap.MEDIA_TYPE, io.BytesIO(edited.encode()), node.services, CALLER)
    answer = b"".join(response.body)
    assert response.status in (400, 413, 500) and b"Fault" in answer
    assert SECRET not in answer.decode() and len(answer) < 10_000
    assert node.counts() == before


@pytest.mark.parametrize(
    ("media", "data"),
    [
        ('multipart/related; type="application/xop+xml"; start="<a>"; boundary="B"', b"--OTHER\r\n\r\nx\r\n--OTHER--"),
        ('multipart/related; type="application/xop+xml"; boundary="B"', b"--B\r\n" + b"h: v\r\n" * 100 + b"\r\nx\r\n--B--"),
        ('multipart/related; type="application/xop+xml"; boundary="B"', b"--B\r\nh: " + b"v" * 100_000 + b"\r\n\r\nx\r\n--B--"),
        ('multipart/related; type="application/xop+xml"; boundary="B"', b"--B\r\n\r\nx\r\n" * 1000 + b"--B--"),
        ('multipart/related; type="application/xop+xml"; boundary="B"', b"--B\r\n\r\nnever ends"),
        ('multipart/related; type="application/xop+xml"; boundary=""', b"----"),
        ('multipart/related; type="application/xop+xml"', b"--B\r\n\r\nx\r\n--B--"),
        ("text/plain", b"hello"),
        ("", b""),
    ],
    ids=["boundary", "headers", "long header", "parts", "open", "empty boundary", "no boundary", "text", "nothing"],
)  # fmt: skip
def test_packages_that_are_none_are_a_clean_fault(node: Registry, media: str, data: bytes) -> None:
    before = node.counts()
    response = ihe.dispatch(PROVIDE.path, media, io.BytesIO(data), node.services, CALLER)
    assert response.status in (400, 413, 415, 500) and b"Fault" in b"".join(response.body)
    assert node.counts() == before


@pytest.mark.parametrize(
    "href", ["file:///etc/passwd", "http://127.0.0.1:9/x", "cid:", "cid:Document1", "", "cid:..%2F..%2Fetc%2Fpasswd"]
)
def test_an_include_leads_nowhere_but_into_the_message(node: Registry, href: str) -> None:
    metadata = simple(node.patient, document(node.patient, uniqueId="1.2.3.905"), number=905)
    sent = provided(metadata, (DOCUMENT, None)).replace(b"cid:Document1%40test", href.encode())
    before = node.counts()
    response = node.send(PROVIDE, sent, [("other@test", b"hello")])
    assert response.status == 500 and b"soap:Sender" in b"".join(response.body)
    assert node.counts() == before
