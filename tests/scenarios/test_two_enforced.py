"""A doctor asks two communities in enforced mode: over real sockets, with certificates, assertions, tokens and consent."""

import json
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.app import serving
from gateway.codec import ebxml
from gateway.ihe import iti18, iti38, iti43, iti45
from gateway.model.document import APPROVED
from gateway.model.identity import PatientId
from gateway.serve.metrics import MllpMetrics
from tests.enforced_parts import (
    CLINIC,
    DESK,
    HOME_A,
    HOME_B,
    PERSON,
    SHARED,
    Two,
    assertion,
    bearer,
    call,
    consent,
    fhir,
    post,
    reasons,
    two,
)
from tests.pix_parts import adt, pid
from tests.policy_parts import HOSPITAL, logical
from tests.v3_parts import pix_query

HERE = f"urn:oid:{PERSON.authority}|{PERSON.value}"


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Two]:
    with two(tmp_path / "keys") as found:
        yield found


def ask(pair: Two, token: str) -> dict[str, Any]:
    body = json.dumps({"patient": str(PERSON), "types": ["lab"]})
    status, _, answer = call(
        pair.a, "POST", "/api/query", body, **{"Content-Type": "application/json", "Authorization": token}
    )
    assert status == 200, answer
    found: dict[str, Any] = json.loads(answer)
    return found


def outcomes(found: dict[str, Any]) -> list[str]:
    return [one["outcome"] for one in found["communities"]]


def stored_query(pair: Two, id_: str, path: str = "/xca/initiating") -> str:
    slots = [
        ("$XDSDocumentEntryPatientId", (str(PERSON),), False),
        ("$XDSDocumentEntryStatus", (APPROVED,), True),
    ]
    body = ebxml.adhoc_query_request(iti18.FIND_DOCUMENTS, "", "LeafClass", slots)
    status, answer = post(pair.a, path, iti18.TRANSACTION.action, body, assertion(pair.a, id_=id_))
    assert status == 200, answer
    return answer.decode()


def test_a_question_to_both_shows_what_each_consent_permits(pair: Two) -> None:
    assert outcomes(ask(pair, bearer(pair.a))) == ["nothing", "nothing"]
    consent(pair.a, PERSON)
    assert outcomes(ask(pair, bearer(pair.a))) == ["ok", "nothing"]
    consent(pair.b, PatientId("1", CLINIC))
    found = ask(pair, bearer(pair.a))
    assert outcomes(found) == ["ok", "ok"]
    assert {row["community"] for row in found["rows"]} == {one["community"] for one in found["communities"]}


def test_the_other_side_hears_who_asks(pair: Two) -> None:
    consent(pair.b, PatientId("1", CLINIC))
    ask(pair, bearer(pair.a))
    there = [one.record for one in pair.b.node.parts.trail.after(0, 1000) if one.record.transaction == "ITI-55"]
    assert [one.actor.partition("@")[0] for one in there] == ["u-0001"] and there[0].outcome == 0


def test_a_refusal_of_the_other_side_is_named(tmp_path: Path) -> None:
    with two(tmp_path / "keys", grants_b=DESK) as pair:
        consent(pair.a, PERSON)
        consent(pair.b, PatientId("1", CLINIC))
        assert outcomes(ask(pair, bearer(pair.a))) == ["ok", "refused"]
        status, bundle = fhir(pair.a, f"/fhir/Observation?_federated=true&patient.identifier={HERE}", bearer(pair.a))
        told = [one["resource"] for one in bundle["entry"] if one["search"]["mode"] == "outcome"]
        assert status == 200 and [one["issue"][0]["code"] for one in told] == ["forbidden"]
        assert "XDSUnavailableCommunity" in stored_query(pair, "_r1")
        assert any(detail.startswith("denied no-grant") for detail in reasons(pair.b))


def test_a_federated_search_and_a_federated_query_of_documents(pair: Two) -> None:
    address = f"/fhir/Observation?_federated=true&_count=100&patient.identifier={HERE}"
    status, bundle = fhir(pair.a, address, bearer(pair.a))
    assert (status, bundle["total"]) == (200, 0)
    answer = stored_query(pair, "_q1")
    assert "Type:Success" in answer and "ExtrinsicObject" not in answer
    consent(pair.a, PERSON)
    consent(pair.b, PatientId("1", CLINIC))
    status, bundle = fhir(pair.a, address, bearer(pair.a))
    found = [one["resource"]["id"] for one in bundle["entry"] if one["search"]["mode"] == "match"]
    # Neither what is labelled R: the grant reaches up to N.
    assert sorted(found) == ["bp-1-2", "bp-1-4", "lab-1-2", "lab-1-4", "oldlab-1-2", "oldlab-1-4"]
    answer = stored_query(pair, "_q2")
    homes = {one.partition('"')[0] for one in answer.split('home="')[1:]}
    assert "Type:Success" in answer and len(homes) == 2


def test_a_token_shows_no_more_in_other_communities_than_here(pair: Two) -> None:
    consent(pair.a, PERSON)
    consent(pair.b, PatientId("1", CLINIC))
    narrow = bearer(pair.a, scope="user/Patient.rs user/DocumentReference.rs")
    assert all(row["type"] != "lab" for row in ask(pair, narrow)["rows"])
    address = f"/fhir/Observation?_federated=true&patient.identifier={HERE}"
    status, bundle = fhir(pair.a, address, narrow)
    assert status == 403 or bundle["total"] == 0


def test_both_communities_give_their_documents_to_one_retrieval(pair: Two) -> None:
    def retrieve(id_: str) -> str:
        body = ebxml.retrieve_request([(home, repository, unique) for home, repository, unique in wanted])
        status, answer = post(
            pair.a, "/xca/initiating", iti43.TRANSACTION.action, body, assertion(pair.a, id_=id_, home=HOME_B)
        )
        assert status == 200, answer
        return answer.decode("utf-8", "replace")

    wanted = []
    for node, home in ((pair.a, HOME_A), (pair.b, HOME_B)):
        sql = "SELECT uniqueId FROM registry_object WHERE mimeType <> '' ORDER BY 1 LIMIT 1"
        with node.node.parts.engine.connect() as connection:
            wanted.append((home, node.node.settings.community.repository, connection.exec_driver_sql(sql).scalar_one()))
    assert "DocumentUniqueId>" not in retrieve("_g1").replace("DocumentUniqueIdError", "")
    consent(pair.a, PERSON)
    consent(pair.b, PatientId("1", CLINIC))
    answer = retrieve("_g2")
    assert "Type:Success" in answer and all(unique in answer for _, _, unique in wanted)


FACES = {
    "/xds/registry": iti18.TRANSACTION.action,
    "/xca": iti38.TRANSACTION.action,
}


@pytest.mark.parametrize("path", FACES)
def test_documents_over_soap_follow_consent(pair: Two, path: str) -> None:
    def ask(id_: str) -> str:
        slots = [("$XDSDocumentEntryPatientId", (eid,), False), ("$XDSDocumentEntryStatus", (APPROVED,), True)]
        body = ebxml.adhoc_query_request(iti18.FIND_DOCUMENTS, HOME_A, "LeafClass", slots)
        status, answer = post(pair.a, path, FACES[path], body, assertion(pair.a, id_=id_))
        assert status == 200, answer
        return answer.decode()

    eid = str(PERSON)
    assert "<rim:ExtrinsicObject" not in ask("_s1")
    consent(pair.a, PERSON)
    assert ask("_s2").count("<rim:ExtrinsicObject ") > 2
    pharmacist = assertion(pair.a, role="PHARMACIST", id_="_s3")
    slots = [("$XDSDocumentEntryPatientId", (eid,), False), ("$XDSDocumentEntryStatus", (APPROVED,), True)]
    body = ebxml.adhoc_query_request(iti18.FIND_DOCUMENTS, HOME_A, "LeafClass", slots)
    refused = post(pair.a, path, FACES[path], body, pharmacist)[1].decode()
    assert "policy does not permit this" in refused and "type" not in refused.partition("policy")[2][:60]
    assert "denied type" in reasons(pair.a)


def test_persons_over_soap_are_found_by_whoever_may_ask(pair: Two) -> None:
    query = pix_query(PERSON)
    status, answer = post(pair.a, "/pixv3", iti45.TRANSACTION.action, query, assertion(pair.a, id_="_p1"))
    assert status == 200 and SHARED.value.encode() in answer
    consent(pair.a, PERSON, "deny")  # an explicit dissent hides who somebody is
    status, answer = post(pair.a, "/pixv3", iti45.TRANSACTION.action, query, assertion(pair.a, id_="_p2"))
    assert status == 200 and SHARED.value.encode() not in answer
    clerk = assertion(pair.a, role="CLERK", id_="_p3")
    status, answer = post(pair.a, "/pixv3", iti45.TRANSACTION.action, query, clerk)
    assert status == 200 and b'typeCode code="AR"' in answer and SHARED.value.encode() not in answer


def test_fhir_shows_what_grants_scopes_and_consent_permit_together(pair: Two) -> None:
    everything = f"/fhir/Observation?patient.identifier={HERE}"
    assert fhir(pair.a, everything, bearer(pair.a))[1]["total"] == 0
    consent(pair.a, PERSON)
    assert fhir(pair.a, everything, bearer(pair.a))[1]["total"] == 3
    laboratory = bearer(pair.a, scope="user/Observation.rs?category=laboratory")
    assert fhir(pair.a, everything, laboratory)[1]["total"] == 2
    assert fhir(pair.a, everything, bearer(pair.a, scope="user/Observation.r"))[0] == 403
    assert fhir(pair.a, "/fhir/Observation/lab-1-2", bearer(pair.a, scope="user/Observation.s"))[0] == 403
    assert fhir(pair.a, "/fhir/Observation/lab-1-2", laboratory)[0] == 200
    assert fhir(pair.a, "/fhir/Observation/bp-1-2", laboratory)[0] == 404
    assert fhir(pair.a, everything, bearer(pair.a, "PHARMACIST"))[0] == 403
    assert "denied token" in " ".join(reasons(pair.a))


def test_documents_on_the_fhir_face_and_whole_records(pair: Two) -> None:
    person = logical(PERSON)
    paths = (
        f"/fhir/DocumentReference?patient.identifier={HERE}&status=current",
        f"/fhir/List?patient.identifier={HERE}&status=current&code=submissionset",
    )
    for path in paths:
        status, found = fhir(pair.a, path, bearer(pair.a))
        assert (status, found.get("total")) == (200, 0), (path, found)
    assert fhir(pair.a, f"/fhir/Patient/{person}/$summary", bearer(pair.a))[0] in (200, 404)
    consent(pair.a, PERSON)
    status, found = fhir(pair.a, paths[0], bearer(pair.a))
    assert status == 200 and found["total"] > 2
    url = found["entry"][0]["resource"]["content"][0]["attachment"]["url"]
    content = "/" + url.split("/", 3)[3]
    assert call(pair.a, "GET", content, Authorization=bearer(pair.a))[0] == 200
    assert fhir(pair.a, paths[0], bearer(pair.a, "PHARMACIST"))[0] == 403
    assert call(pair.a, "GET", content, Authorization=bearer(pair.a, "PHARMACIST"))[0] in (403, 404)
    status, found = fhir(pair.a, f"/fhir/Patient/{person}/$everything", bearer(pair.a, "PHARMACIST"))
    types = {one["resource"]["resourceType"] for one in found["entry"]} if status == 200 else set()
    assert types <= {"Patient", "MedicationRequest", "OperationOutcome"}


def test_the_terminal_asks_with_a_token_or_a_key_of_its_own(pair: Two) -> None:
    consent(pair.a, PERSON)
    consent(pair.b, PatientId("1", CLINIC))
    folder = pair.a.federation.folder
    (folder / "token").write_text(bearer(pair.a, home=HOME_A).removeprefix("Bearer "))
    asked = ["query", "--patient", str(PERSON), "--type", "lab", "--config", str(folder / "node-a.toml"), "--json"]
    key = ["--client", "demo-client", "--client-key", str(folder / "client.key.json")]
    for who in (["--token", str(folder / "token")], key):
        done = terminal(*asked, *who)
        assert done.returncode == 0, done.stderr
        assert outcomes(json.loads(done.stdout)) == ["ok", "ok"], who
    assert terminal(*asked).returncode == 2


def terminal(*words: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "gateway.cli", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture
def feeding(pair: Two) -> Iterator[tuple[Two, int]]:
    """The first node with its MLLP listener too."""
    settings = pair.a.node.settings
    server = serving._mllp(pair.a.node, MllpMetrics())
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        yield pair, settings.mllp.port
    finally:
        server.stop()
        thread.join(20)


def test_over_mllp_the_certificate_says_who_feeds(feeding: tuple[Two, int]) -> None:
    pair, port = feeding
    context = pair.a.federation.client("node-b")
    text = pid(f"77^^^&{HOSPITAL}&ISO")
    sent = adt("A04", text)
    plain = socket.create_connection(("localhost", port), 10)
    with plain, context.wrap_socket(plain, server_hostname="localhost") as channel:
        channel.settimeout(10)
        channel.sendall(b"\x0b" + sent + b"\x1c\x0d")
        answer = channel.recv(4096)
    assert b"MSA|AA" in answer, answer
    nodes = {one.record.node for one in pair.a.node.parts.trail.after(0, 1000) if one.record.event == "110110"}
    assert nodes == {HOME_B}
