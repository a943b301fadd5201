"""Three communities: a submission sent from one to another, found there by every stored query, and the same set over XDS,
MHD and federated FHIR; answers that come later from a responding gateway."""

import io
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from lxml import etree

from gateway import app
from gateway.codec import ebxml, mtom, soap
from gateway.ihe import iti38, iti39, iti41
from gateway.ihe._later import Deliveries
from gateway.model.caller import UNRESTRICTED
from gateway.model.document import HAS_MEMBER
from gateway.model.identity import PatientId
from gateway.sandbox.stub_community import Reply, serve, write
from gateway.serve.http import create_app
from tests.federation_parts import (
    ARC,
    MEDICAL_ID,
    NAGASAKI,
    OSAKA,
    TOKYO,
    Member,
    find_documents,
    region,
    retrieve,
    stored_query,
)
from tests.registry_parts import body, document, folder, link, member, provided, submission_set
from tests.scenarios.test_three_communities import PATIENT, Browser, ask, matches

LETTER = b"a letter of referral"
STATUS = ("urn:oasis:names:tc:ebxml-regrep:StatusType:Approved",)
UNIQUE, SET, FOLDER = "1.2.3.77", "1.2.4.77", "1.2.6.77"


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Member]]:
    with region(tmp_path_factory.mktemp("region"), ("xcpd", "xca"), federation={"deadline_s": 5}) as members:
        yield members


@pytest.fixture(scope="module")
def sent(three: dict[str, Member]) -> Any:
    """The answer to a submission for 大阪 that was given to 東京."""
    return provide(three["東京"], letter(three["大阪"], OSAKA))


def own_id(node: Member, domain: str) -> str:
    eid = node.parts.identities.enterprise_id(MEDICAL_ID, UNRESTRICTED)
    assert eid
    return str(PatientId(eid, domain))


def letter(node: Member, home: str, number: int = 77) -> bytes:
    """The SubmissionSet, its Folder and its DocumentEntry, with the patient's id at `node`."""
    patient = own_id(node, node.settings.community.affinity_domain)
    made = document(patient, number, content=LETTER, repositoryUniqueId="", extra=())
    objects = [made, folder(patient, number), submission_set(patient, number, homeCommunityId=home)]
    inside = f"Document{number}"
    links = [
        member(inside),
        member(f"Folder{number}", ""),
        link(HAS_MEMBER, f"Folder{number}", inside, id_="as-in-folder"),
    ]
    links.append(link(HAS_MEMBER, "SubmissionSet01", "as-in-folder", id_="as-of-as"))
    return provided(body(*links, *objects), (inside, None))


def provide(node: Member, request: bytes, number: int = 77) -> Any:
    envelope = soap.request(
        iti41.TRANSACTION.action, "urn:uuid:00000000-0000-0000-0000-00000000bbbb", node.url, request
    )
    part = mtom.OutPart(f"Document{number}@test", "text/plain", (LETTER,))
    data = b"".join(mtom.write("B", "root@test", envelope, [part]))
    kind = mtom.content_type("B", "root@test", iti41.TRANSACTION.action)
    answer = Browser(node.url).post("/xca/initiating", data, kind)
    assert answer.status_code == 200, answer.data
    errors = [
        (one.get("errorCode"), one.get("location")) for one in _xml(answer.data).iter(f"{{{ebxml.RS}}}RegistryError")
    ]
    (response,) = _xml(answer.data).iter(f"{{{ebxml.RS}}}RegistryResponse")
    return response.get("status").rpartition(":")[2], errors


def _xml(data: bytes) -> Any:

    return etree.fromstring(data)


def test_a_submission_goes_to_the_community_it_names(three: dict[str, Member], sent: Any) -> None:
    assert sent == ("Success", [])
    assert [len(node.parts.registry.by_unique_id((UNIQUE,), UNRESTRICTED)) for node in three.values()] == [0, 1, 0]
    found = find_documents(Browser(three["長崎"].url))
    assert (found.status, found.homes[found.ids.index(UNIQUE)]) == ("Success", OSAKA)
    fetched = retrieve(Browser(three["長崎"].url), (OSAKA, f"{ARC}.20.2", UNIQUE))
    assert (fetched.status, fetched.documents) == ("Success", [LETTER])


def test_submissions_for_nobody_and_for_a_community_that_is_not_there(three: dict[str, Member], sent: Any) -> None:
    unknown = provide(three["東京"], letter(three["大阪"], "urn:oid:1.2.3.4"))
    assert (unknown[0], [code for code, _ in unknown[1]]) == ("Failure", ["XDSUnknownCommunity"])
    nobody = provide(three["東京"], letter(three["大阪"], ""))
    assert (nobody[0], [code for code, _ in nobody[1]]) == ("Failure", ["XDSMissingHomeCommunityId"])
    stranger = provide(three["東京"], letter(three["大阪"], NAGASAKI))  # an id of 大阪 means nothing in 長崎
    assert stranger == ("Failure", [("XDSUnknownPatientId", NAGASAKI)])
    assert provide(three["東京"], letter(three["東京"], TOKYO, 78), 78) == ("Success", []), "our own registry"


D, S, F = "$XDSDocumentEntry", "$XDSSubmissionSet", "$XDSFolder"
BY_PATIENT = {
    "FindDocuments": ("14d4debf-8f97-4251-9a74-a90016b0af0d", f"{D}PatientId", [(f"{D}Status", STATUS, True)]),
    "FindDocumentsByReferenceId": (
        "12941a89-e02e-4be5-967c-ce4bfc8fe492", f"{D}PatientId",
        [(f"{D}Status", STATUS, True),
         (f"{D}ReferenceIdList", ("R1^^^&1.2.3&ISO^urn:ihe:iti:xds:2013:order",), True)],
    ),
    "FindSubmissionSets": ("f26abbcb-ac74-4422-8a30-edb644bbc1a9", f"{S}PatientId", [(f"{S}Status", STATUS, True)]),
    "FindFolders": ("958f3006-baad-4929-a4de-ff1114824431", f"{F}PatientId", [(f"{F}Status", STATUS, True)]),
    "GetAll": (
        "10b545ea-725c-446d-9b95-8aeb444eddf3", "$patientId",
        [(f"{D}Status", STATUS, True), (f"{S}Status", STATUS, True), (f"{F}Status", STATUS, True)],
    ),
}  # fmt: skip
BY_ID = {
    "GetDocuments": ("5c4f972b-d56b-40ac-a5fc-c8ca9b40b9d4", f"{D}UniqueId", UNIQUE, True),
    "GetFolders": ("5737b14c-8a1a-4539-b659-e03a34a5e1e4", f"{F}UniqueId", FOLDER, True),
    "GetAssociations": ("a7ae438b-4bc2-4642-93e9-be891f7bb155", "$uuid", "", True),
    "GetDocumentsAndAssociations": ("bab9529a-4a10-40b3-a01f-f68a615d247a", f"{D}UniqueId", UNIQUE, True),
    "GetSubmissionSets": ("51224314-5390-4169-9b91-b1980040715a", "$uuid", "", True),
    "GetSubmissionSetAndContents": ("e8e3cb2c-e39c-46b9-99e4-c12f57260b83", f"{S}UniqueId", SET, False),
    "GetFolderAndContents": ("b909a503-523d-4517-8acf-8e5834dfc4c7", f"{F}UniqueId", FOLDER, False),
    "GetFoldersForDocument": ("10cae35a-c7f9-4cf5-b61e-fc3278ffb578", f"{D}UniqueId", UNIQUE, False),
}  # fmt: skip


@pytest.mark.parametrize("name", BY_PATIENT)
@pytest.mark.parametrize("return_type", ["LeafClass", "ObjectRef"])
def test_queries_about_a_patient_ask_everybody(
    three: dict[str, Member], sent: Any, name: str, return_type: str
) -> None:
    query, patient, slots = BY_PATIENT[name]
    asked = [(patient, (str(MEDICAL_ID),), False), *slots]
    found = stored_query(Browser(three["長崎"].url), f"urn:uuid:{query}", asked, return_type=return_type)
    assert (found.status, found.errors) == ("Success", [])
    assert OSAKA in found.homes and set(found.homes) <= {TOKYO, OSAKA, NAGASAKI}, "every object says where it is"
    if return_type == "LeafClass":
        stored = three["大阪"].parts.registry.by_unique_id((UNIQUE, SET, FOLDER), UNRESTRICTED)
        assert {UNIQUE, *(one.entryUUID for one in stored)} & set(found.ids)


@pytest.mark.parametrize("name", BY_ID)
def test_queries_by_id_go_to_the_community_they_name(three: dict[str, Member], sent: Any, name: str) -> None:
    query, parameter, value, many = BY_ID[name]
    entry = three["大阪"].parts.registry.by_unique_id((UNIQUE,), UNRESTRICTED)[0].entryUUID
    asked = [(parameter, (value or entry,), many)]
    browser = Browser(three["長崎"].url)
    found = stored_query(browser, f"urn:uuid:{query}", asked, OSAKA)
    assert (found.status, found.errors) == ("Success", []) and found.homes
    assert set(found.homes) == {OSAKA}
    nobody = stored_query(browser, f"urn:uuid:{query}", asked)
    assert [code for code, _ in nobody.errors] == ["XDSMissingHomeCommunityId"]
    unknown = stored_query(browser, f"urn:uuid:{query}", asked, "urn:oid:1.2.3.4")
    assert [code for code, _ in unknown.errors] == ["XDSUnknownCommunity"]


def test_the_same_set_over_xds_mhd_and_fhir(three: dict[str, Member], sent: Any) -> None:
    xds = find_documents(Browser(three["長崎"].url))
    federated = ask(three["長崎"], "/fhir/DocumentReference", status="current", _count="1000", **PATIENT)

    def stable(bundle: dict[str, Any]) -> list[str]:
        return sorted(
            one["masterIdentifier"]["value"].removeprefix("urn:oid:")
            for one in matches(bundle)
            if "hash" in one["content"][0]["attachment"]  # a document made on demand has none
        )

    assert sorted(xds.ids) == stable(federated)
    each: list[str] = []
    for node in three.values():
        own = Browser(node.url).get(
            "/fhir/DocumentReference", params={"status": "current", "_count": "1000", **PATIENT}
        )
        each += stable(own.json())
    assert sorted(each) == stable(federated)


def test_a_document_reference_is_the_same_everywhere(three: dict[str, Member], sent: Any) -> None:
    """What 大阪 says of its entry over MHD and what 大阪 says of it in a federated answer: one content."""
    params = {"status": "current", "_count": "1000", **PATIENT}
    (own,) = [one for one in matches(Browser(three["大阪"].url).get("/fhir/DocumentReference", params=params).json())
              if one["masterIdentifier"]["value"].endswith(f":{UNIQUE}")]  # fmt: skip
    (joint,) = [one for one in matches(ask(three["大阪"], "/fhir/DocumentReference", **params))
                if one["masterIdentifier"]["value"].endswith(f":{UNIQUE}")]  # fmt: skip
    joint["meta"] = own["meta"]
    assert joint == own
    (theirs,) = [one for one in matches(ask(three["長崎"], "/fhir/DocumentReference", **params))
                 if one["masterIdentifier"]["value"].endswith(f":{UNIQUE}")]  # fmt: skip
    same = {name: own[name] for name in own if name not in ("meta", "subject", "content", "relatesTo", "contained")}
    assert {name: theirs[name] for name in same} == same


def test_a_responding_gateway_answers_later(three: dict[str, Member], sent: Any) -> None:
    heard: list[tuple[str, bytes]] = []
    there = threading.Semaphore(0)

    def take(handler: Any, data: bytes) -> None:
        heard.append((handler.headers["Content-Type"], data))
        write(handler, Reply(202, "text/plain", b""))
        there.release()

    node = three["大阪"]
    later = Deliveries(requests.Session(), node.parts.outbox)
    client = create_app(app.Node(node.settings, node.parts).http({}, later=later)).test_client()
    slots = [(f"{D}PatientId", (str(MEDICAL_ID),), False), (f"{D}Status", STATUS, True)]
    query = ebxml.adhoc_query_request("urn:uuid:14d4debf-8f97-4251-9a74-a90016b0af0d", OSAKA, "LeafClass", slots)
    wanted = ebxml.retrieve_request([(OSAKA, f"{ARC}.20.2", UNIQUE)])
    with serve(take) as url:
        for action, request in ((iti38.TRANSACTION.action, query), (iti39.TRANSACTION.action, wanted)):
            data = soap.request(action, "urn:uuid:7", "http://localhost/", request)
            data = data.replace(soap.ANONYMOUS.encode(), f"{url}/answers".encode(), 1)
            answer = client.post("/xca", data=data, content_type=soap.MEDIA_TYPE)
            assert (answer.status_code, answer.data) == (202, b"")
            assert there.acquire(timeout=10)
    later.close()
    (plain, first), (packed, second) = heard
    assert plain.startswith(soap.MEDIA_TYPE) and b"<wsa:RelatesTo>urn:uuid:7<" in first and UNIQUE.encode() in first
    assert packed.startswith(mtom.MULTIPART) and LETTER in second
    package = mtom.collect([second], packed, io.BytesIO)
    assert b"/answers</wsa:To>" in package.root.read()
    data = soap.request(iti38.TRANSACTION.action, "urn:uuid:8", "http://localhost/", query)
    data = data.replace(soap.ANONYMOUS.encode(), b"http://192.0.2.1/inside", 1)
    assert client.post("/xca", data=data, content_type=soap.MEDIA_TYPE).status_code == 500
