"""ITI-18 and ITI-43 at the initiating gateway: 東京 with a good community and a bad one behind it."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from gateway import app
from gateway.codec import ebxml, soap
from gateway.ihe._later import Deliveries
from gateway.sandbox import misbehaving
from gateway.sandbox.stub_community import Reply, serve, well, write
from gateway.serve.http import create_app
from gateway.storage.opening import Storage
from tests.conftest import SHARED
from tests.federation_parts import (
    ARC,
    BAD,
    MEDICAL_ID,
    STUB,
    TOKYO,
    client_of,
    fed_node,
    find_documents,
    peer,
    retrieve,
    settings,
    stored_query,
    stub,
)

GET_DOCUMENTS = "urn:uuid:5c4f972b-d56b-40ac-a5fc-c8ca9b40b9d4"
DEADLINE_S = 1.0


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Storage]]:
    directory = tmp_path_factory.mktemp("node")
    with fed_node(directory) as parts:
        yield directory, parts


@pytest.fixture(autouse=True)
def forget(place: tuple[Path, Storage]) -> None:
    """Each test meets strangers."""
    engine = place[1].engine.execution_options(write=True)
    with engine.connect() as connection, connection.begin():
        for table in ("peer_health", "peer_correlation"):
            connection.exec_driver_sql(f"DELETE FROM {table}")


def asked(place: tuple[Path, Storage], *peers: dict[str, Any]) -> Any:
    return client_of(*place, *peers, federation={"deadline_s": DEADLINE_S})


def own(place: tuple[Path, Storage]) -> list[str]:
    return find_documents(asked(place)).ids


def test_all_answer_own_first(place: tuple[Path, Storage]) -> None:
    with serve(well(stub())) as url:
        found = find_documents(asked(place, peer(STUB, url)))
    mine = own(place)
    assert found.status == "Success" and found.errors == []
    assert found.ids[: len(mine)] == mine and len(mine) > 0
    theirs = found.ids[len(mine) :]
    assert theirs == sorted(one.uniqueId for one in stub().entries())
    assert found.homes == [TOKYO] * len(mine) + [STUB] * 2


EXPECTED = {
    "hang": ("PartialSuccess", "XDSUnavailableCommunity", False),
    "half-open": ("PartialSuccess", "XDSUnavailableCommunity", False),
    "drip": ("PartialSuccess", "XDSUnavailableCommunity", False),
    "cut": ("PartialSuccess", "XDSUnavailableCommunity", False),
    "garbage": ("PartialSuccess", "XDSUnavailableCommunity", False),
    "endless": ("PartialSuccess", "XDSUnavailableCommunity", False),
    "bomb": ("PartialSuccess", "XDSUnavailableCommunity", False),
    "wrong-home": ("PartialSuccess", "XDSRegistryError", False),
    "no-home": ("PartialSuccess", "XDSMissingHomeCommunityId", True),
    "wrong-patient": ("PartialSuccess", "XDSRegistryError", False),
    "wrong-relation": ("PartialSuccess", "XDSUnavailableCommunity", False),
    "no-relation": ("Success", "", True),
    "unasked": ("Success", "", True),
    "lost": ("Success", "", True),
    "partial": ("PartialSuccess", "XDSRegistryError", True),
    "error": ("PartialSuccess", "XDSUnavailableCommunity", False),
    "refuses": ("PartialSuccess", "XDSUnavailableCommunity", False),
    "redirect": ("PartialSuccess", "XDSUnavailableCommunity", False),
}


@pytest.mark.parametrize("kind", sorted(misbehaving.KINDS))
def test_a_bad_peer_is_named_and_harms_nobody_else(place: tuple[Path, Storage], kind: str) -> None:
    status, code, gives = EXPECTED[kind]
    bad = stub(BAD, 1)
    with serve(well(stub())) as good_url, serve(misbehaving.KINDS[kind](bad)) as bad_url:
        client = asked(place, peer(STUB, good_url), peer(BAD, bad_url))
        began = time.monotonic()
        found = find_documents(client)
        took = time.monotonic() - began
    assert took < DEADLINE_S + 0.3, took
    assert found.status == status
    assert found.errors == ([(code, BAD)] if code else [])
    assert found.homes.count(STUB) == 2 and found.homes.count(TOKYO) == len(own(place))
    assert found.homes.count(BAD) == (1 if gives else 0)


def test_own_registry_and_silence_all_around_is_partial(place: tuple[Path, Storage]) -> None:
    dead = peer(STUB, "http://127.0.0.1:1")
    found = find_documents(asked(place, dead, peer(BAD, "http://127.0.0.1:1")))
    assert found.status == "PartialSuccess"
    assert sorted(found.errors) == [("XDSUnavailableCommunity", STUB), ("XDSUnavailableCommunity", BAD)]
    nobody = find_documents(asked(place, dead), MEDICAL_ID.__class__("1234567890123456", f"{ARC}.3"))
    assert (nobody.status, nobody.ids) == ("PartialSuccess", [])


def test_who_knows_nobody_has_answered(place: tuple[Path, Storage]) -> None:
    from dataclasses import replace

    with serve(well(replace(stub(), patient=""))) as url:
        found = find_documents(asked(place, peer(STUB, url)))
    assert found.status == "Success" and STUB not in found.homes


def test_queries_by_ids_go_to_the_community_they_name(place: tuple[Path, Storage]) -> None:
    (first, _) = stub().entries()
    slots = [("$XDSDocumentEntryUniqueId", (first.uniqueId,), True)]
    with serve(well(stub(documents=1))) as url:
        client = asked(place, peer(STUB, url))
        found = stored_query(client, GET_DOCUMENTS, slots, STUB)
        assert (found.status, found.ids, found.homes) == ("Success", [first.uniqueId], [STUB])
        assert stored_query(client, GET_DOCUMENTS, slots, STUB.removeprefix("urn:oid:")).ids == [first.uniqueId]
        missing = stored_query(client, GET_DOCUMENTS, slots)
        assert (missing.status, missing.errors[0][0]) == ("Failure", "XDSMissingHomeCommunityId")
        unknown = stored_query(client, GET_DOCUMENTS, slots, "urn:oid:1.2.3")
        assert (unknown.status, unknown.errors[0][0]) == ("Failure", "XDSUnknownCommunity")
        ours = stored_query(client, GET_DOCUMENTS, [("$XDSDocumentEntryUniqueId", (own(place)[0],), True)], TOKYO)
        assert ours.homes == [TOKYO]


def test_an_object_nobody_asked_for_is_dropped(place: tuple[Path, Storage]) -> None:
    slots = [("$XDSDocumentEntryUniqueId", (stub().entries()[0].uniqueId,), True)]
    with serve(well(stub(documents=2))) as url:
        found = stored_query(asked(place, peer(STUB, url)), GET_DOCUMENTS, slots, STUB)
    assert found.status == "PartialSuccess" and len(found.ids) == 1
    assert found.errors == [("XDSRegistryError", STUB)]


def test_a_wrong_question_is_nobody_elses_business(place: tuple[Path, Storage]) -> None:
    with serve(well(stub())) as url:
        slots = [("$XDSDocumentEntryPatientId", (str(MEDICAL_ID),), False)]
        found = stored_query(asked(place, peer(STUB, url)), "urn:uuid:14d4debf-8f97-4251-9a74-a90016b0af0d", slots)
    assert found.status == "Failure" and [code for code, _ in found.errors] == ["XDSStoredQueryMissingParam"]


def test_documents_come_from_where_they_are(place: tuple[Path, Storage]) -> None:
    one, two = stub().entries()
    mine = own(place)[0]
    repository = f"{ARC}.1.2"
    with serve(well(stub())) as url:
        for step in (0, 1):
            client = asked(place, peer(STUB, url, documents_per_request=step))
            wanted = [(TOKYO, repository, mine)] + [(STUB, x.repositoryUniqueId, x.uniqueId) for x in (one, two)]
            found = retrieve(client, *wanted)
            assert found.status == "Success" and found.errors == []
            assert found.homes == [TOKYO, STUB, STUB]
            assert set(found.documents[1:]) == {data for _, data, _ in stub().content}
        partly = retrieve(client, ("", repository, mine), ("urn:oid:1.2.3", repository, "1.2"), wanted[0])
        assert partly.status == "PartialSuccess" and len(partly.documents) == 1
        assert sorted(code for code, _ in partly.errors) == ["XDSMissingHomeCommunityId", "XDSUnknownCommunity"]


@pytest.mark.parametrize(
    ("kind", "code", "gives"),
    [
        ("hang", "XDSUnavailableCommunity", 0),
        ("drip", "XDSUnavailableCommunity", 0),
        ("cut", "XDSUnavailableCommunity", 0),
        ("error", "XDSUnavailableCommunity", 0),
        ("wrong-home", "XDSRepositoryError", 0),
        ("unasked", "XDSRepositoryError", 0),
        ("lost", "XDSRepositoryError", 0),
        ("wrong-relation", "XDSUnavailableCommunity", 0),
        ("no-home", "", 1),
    ],
)
def test_documents_of_a_bad_peer(place: tuple[Path, Storage], kind: str, code: str, gives: int) -> None:
    bad, good = stub(BAD, 1), stub()
    wanted = [
        (x.homeCommunityId or home, x.repositoryUniqueId, x.uniqueId)
        for home, s in ((STUB, good), (BAD, bad))
        for x in s.entries()
    ]
    with serve(well(good)) as good_url, serve(misbehaving.KINDS[kind](bad)) as bad_url:
        found = retrieve(asked(place, peer(STUB, good_url), peer(BAD, bad_url)), *wanted)
    assert found.homes.count(STUB) == 2 and found.homes.count(BAD) == gives
    assert {one for one, _ in found.errors} == ({code} if code else set())
    assert {where for _, where in found.errors} <= {BAD}
    assert found.status == ("Success" if not code else "PartialSuccess")


def test_answers_are_valid_by_the_schema(place: tuple[Path, Storage]) -> None:
    if not SHARED.is_dir():
        pytest.skip("the shared schemas are not beside this checkout")
    from lxml import etree

    from tests.federation_parts import post
    from tests.oracle.xsd import errors_of

    slots = [
        ("$XDSDocumentEntryPatientId", (str(MEDICAL_ID),), False),
        ("$XDSDocumentEntryStatus", ("urn:oasis:names:tc:ebxml-regrep:StatusType:Approved",), True),
    ]
    body = ebxml.adhoc_query_request("urn:uuid:14d4debf-8f97-4251-9a74-a90016b0af0d", "", "LeafClass", slots)
    with serve(well(stub())) as url:
        client = asked(place, peer(STUB, url), peer(BAD, "http://127.0.0.1:1"))
        answer = post(client, "urn:ihe:iti:2007:RegistryStoredQuery", body)
    (found,) = etree.fromstring(b"".join(answer.body))[1]
    assert errors_of(SHARED, found) == []


def test_a_question_too_many_is_busy_and_told_at_once(place: tuple[Path, Storage]) -> None:
    with serve(misbehaving.hang(stub())) as url:
        client = client_of(*place, peer(STUB, url), federation={"deadline_s": 1.5, "max_questions": 1})
        box: list[Any] = []
        waiting = threading.Thread(target=lambda: box.append(find_documents(client)))
        waiting.start()
        time.sleep(0.3)
        began = time.monotonic()
        found = find_documents(client.application.test_client())
        took = time.monotonic() - began
        waiting.join()
    assert took < 0.3 and found.status == "Failure" and [code for code, _ in found.errors] == ["XDSRegistryBusy"]
    assert box[0].status == "PartialSuccess"


def test_an_asynchronous_answer_is_a_message_of_its_own(place: tuple[Path, Storage]) -> None:
    """WS-Addressing ReplyTo: 202 now, the answer as a new POST, for queries and for retrieval."""
    heard: list[tuple[str, bytes]] = []
    there = threading.Semaphore(0)

    def take(handler: Any, body: bytes) -> None:
        heard.append((handler.headers["Content-Type"], body))
        write(handler, Reply(202, "text/plain", b""))
        there.release()

    with serve(take) as url, serve(well(stub())) as peer_url:
        peers = [peer(STUB, peer_url)]
        node = app.Node(settings(place[0], *peers), place[1])
        later = Deliveries(requests.Session(), place[1].outbox)
        client = create_app(node.http({}, later=later)).test_client()
        entry = stub().entries()[0]
        slots = [
            ("$XDSDocumentEntryPatientId", (str(MEDICAL_ID),), False),
            ("$XDSDocumentEntryStatus", ("urn:oasis:names:tc:ebxml-regrep:StatusType:Approved",), True),
        ]
        query = ebxml.adhoc_query_request("urn:uuid:14d4debf-8f97-4251-9a74-a90016b0af0d", "", "ObjectRef", slots)
        wanted = ebxml.retrieve_request([(STUB, entry.repositoryUniqueId, entry.uniqueId)])
        for action, body in (
            ("urn:ihe:iti:2007:RegistryStoredQuery", query),
            ("urn:ihe:iti:2007:RetrieveDocumentSet", wanted),
        ):
            data = soap.request(action, "urn:uuid:7", "http://localhost/", body)
            data = data.replace(soap.ANONYMOUS.encode(), f"{url}/answers".encode(), 1)
            answer = client.post("/xca/initiating", data=data, content_type=soap.MEDIA_TYPE)
            assert (answer.status_code, answer.data) == (202, b"")
            assert there.acquire(timeout=10)
        later.close()
    (plain, first), (packed, second) = heard
    assert plain.startswith(soap.MEDIA_TYPE) and b"<wsa:RelatesTo>urn:uuid:7<" in first and b"ObjectRef" in first
    assert packed.startswith("multipart/related") and stub().content[0][1] in second
    # Nobody can point us at an address that is not a configured one.
    data = soap.request("urn:ihe:iti:2007:RegistryStoredQuery", "urn:uuid:8", "http://localhost/", query)
    data = data.replace(soap.ANONYMOUS.encode(), b"http://192.0.2.1/inside", 1)
    assert client.post("/xca/initiating", data=data, content_type=soap.MEDIA_TYPE).status_code == 500
