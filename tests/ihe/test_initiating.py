"""One community asked end to end: by its documents, over real sockets, well and badly."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import orjson
import pytest

from gateway import app
from gateway.codec import fhir, hl7v3, soap
from gateway.codec.hl7v3 import II, Head
from gateway.sandbox import misbehaving
from gateway.sandbox.stub_community import FHIR_JSON, Reply, Stub, serve, well, write
from gateway.storage.opening import Storage
from tests.federation_parts import (
    ARC,
    BAD,
    DEMO,
    MEDICAL_ID,
    STUB,
    TOKYO,
    client_of,
    fed_node,
    lab_bundle,
    peer,
    settings,
    stub,
)

PATIENT = {"_federated": "true", "patient.identifier": f"urn:oid:{MEDICAL_ID.authority}|{MEDICAL_ID.value}"}
LABS = {**PATIENT, "category": "laboratory", "_count": "500"}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Storage]]:
    directory = tmp_path_factory.mktemp("node")
    with fed_node(directory) as parts:
        yield directory, parts


@pytest.fixture(autouse=True)
def forget(place: tuple[Path, Storage]) -> None:
    engine = place[1].engine.execution_options(write=True)
    with engine.connect() as connection, connection.begin():
        for table in ("peer_health", "peer_correlation"):
            connection.exec_driver_sql(f"DELETE FROM {table}")


def ask(place: tuple[Path, Storage], *peers: dict[str, Any], path: str = "/fhir/Observation", **more: str) -> Any:
    client = client_of(*place, *peers, federation={"deadline_s": 1.0})
    answer = client.get(path, query_string={**LABS, **more})
    assert answer.status_code == 200, answer.data
    return answer.json


def of(bundle: Any, home: str) -> list[str]:
    return [
        one["resource"]["id"]
        for one in bundle.get("entry", ())
        if one["search"]["mode"] == "match" and one["resource"]["meta"]["source"].startswith(home)
    ]


def issues(bundle: Any) -> list[tuple[str, str]]:
    return [
        (one["resource"]["issue"][0]["code"], one["resource"]["issue"][0]["diagnostics"].split()[0].rstrip(":"))
        for one in bundle.get("entry", ())
        if one["search"]["mode"] == "outcome"
    ]


def test_documents_become_resources_and_the_search_is_applied_to_them(place: tuple[Path, Storage]) -> None:
    with serve(well(stub())) as url:
        found = ask(place, peer(STUB, url))
        assert of(found, STUB) == ["stub-o2", "stub-o1"] and len(of(found, TOKYO)) > 10 and issues(found) == []
        assert of(ask(place, peer(STUB, url), date="ge2025-02-01"), STUB) == ["stub-o2"]
        assert of(ask(place, peer(STUB, url), code="urn:oid:1.2.392.200119.99999.9|K1"), STUB) == ["stub-o1"]
        assert of(ask(place, peer(STUB, url), category="vital-signs"), STUB) == []
        assert of(ask(place, peer(STUB, url), _sort="date"), STUB) == ["stub-o1", "stub-o2"]


def test_the_bundle_is_valid_fhir(place: tuple[Path, Storage]) -> None:
    check = app.validator().check
    with serve(well(stub())) as good, serve(misbehaving.error(stub(BAD))) as bad:
        for path, more in (
            ("/fhir/Observation", {}),
            ("/fhir/DocumentReference", {"category": "", "status": "current"}),
        ):
            client = client_of(*place, peer(STUB, good), peer(BAD, bad))
            asked = {name: value for name, value in {**LABS, **more}.items() if value}
            bundle = fhir.parse(client.get(path, query_string=asked).data)
            everything = [bundle, *(one["resource"] for one in bundle["entry"])]
            found = [
                (one["resourceType"], told.text)
                for one in everything
                for told in check(one)
                if told.severity in ("error", "fatal")
            ]
            assert found == [] and len(everything) > 10 and issues(bundle) == [("transient", BAD)]


def test_a_message_of_hl7_v2_is_translated_here_to_the_same_fact(place: tuple[Path, Storage]) -> None:
    """大阪 gives its laboratory message (ER7) and nothing else: its results have the ids they have in 大阪."""
    messages = sorted((DEMO / "osaka").rglob("*_OML-11_*_1"))
    message = next(one for one in messages if "結子" in one.read_bytes().decode("iso2022_jp", "replace"))
    content = (("er7", message.read_bytes(), "x-application/hl7-v2+er7"),)
    who = Stub("urn:oid:1.2.392.200119.99999.20", f"{ARC}.22", "0001000052", content=content)
    number = message.name.split("_")[0]
    with serve(well(replace(who, patient=number))) as url:
        found = ask(place, peer(who.home, url))
    ids = of(found, who.home)
    assert len(ids) > 5 and all(one[14] == "5" for one in ids), "name-based ids of the facility's own facts"
    twice = replace(who, home=STUB, patient=number)
    with serve(well(replace(who, patient=number))) as one, serve(well(twice)) as other:
        both = ask(place, peer(who.home, one), peer(STUB, other))
    held = [one["resource"] for one in both["entry"] if one["resource"].get("id") in ids]
    assert len(held) == len(ids), "a fact of two communities is one entry"
    assert {tag["code"] for tag in held[0]["meta"]["tag"]} == {who.home, STUB}


EXPECTED = {
    "hang": "timeout",
    "half-open": "timeout",
    "drip": "timeout",
    "endless": "processing",
    "cut": "transient",
    "garbage": "processing",
    "bomb": "processing",
    "wrong-home": "processing",
    "wrong-patient": "processing",
    "wrong-relation": "processing",
    "unasked": "processing",
    "lost": "processing",
    "partial": "processing",
    "error": "transient",
    "refuses": "forbidden",
    "redirect": "processing",
    "no-home": "",
    "no-relation": "",
}


@pytest.mark.parametrize("kind", sorted(misbehaving.KINDS))
def test_bad_peers_are_named_and_never_harm_others(place: tuple[Path, Storage], kind: str) -> None:
    with serve(well(stub())) as good, serve(misbehaving.KINDS[kind](stub(BAD, 1))) as bad:
        found = ask(place, peer(STUB, good), peer(BAD, bad))
    assert len(of(found, STUB)) == 2 and len(of(found, TOKYO)) > 10
    # What a deadline met in the middle of a slow answer is a timeout; an endless one is too large or too slow.
    expected = EXPECTED[kind]
    if kind == "endless":
        assert issues(found) in ([("processing", BAD)], [("timeout", BAD)])
    elif kind == "cut":
        assert issues(found) in ([("transient", BAD)], [("processing", BAD)])
    else:
        assert issues(found) == ([(expected, BAD)] if expected else [])
    assert len(of(found, BAD)) == (1 if kind in ("no-home", "no-relation", "partial") else 0)


def test_documents_of_somebody_else_are_dropped(place: tuple[Path, Storage]) -> None:
    strangers = (
        lab_bundle(1, patient="1111111111111111"),
        lab_bundle(1, born="1980-01-01"),
    )
    for content in strangers:
        bad = replace(stub(BAD, 0), content=(("lab", content, FHIR_JSON),))
        with serve(well(bad)) as url:
            found = ask(place, peer(BAD, url))
        assert of(found, BAD) == [] and issues(found) == [("processing", BAD)]


def test_a_person_who_is_somebody_else_there_is_not_asked_for(place: tuple[Path, Storage]) -> None:
    with serve(well(replace(stub(), birth_date="19800101"))) as url:
        found = ask(place, peer(STUB, url))
    assert of(found, STUB) == [] and issues(found) == [], "nobody there is this person: an answer"


def test_who_is_not_asked_is_not_named(place: tuple[Path, Storage]) -> None:
    found = ask(place, {"id": STUB, "name": "no face"})
    assert issues(found) == []


def test_the_caller_may_shorten_the_wait(place: tuple[Path, Storage]) -> None:
    with serve(misbehaving.hang(stub())) as url:
        client = client_of(*place, peer(STUB, url), federation={"deadline_s": 10})
        answer = client.get("/fhir/Observation", query_string=LABS, headers={"Prefer": "wait=0.3"})
    assert issues(answer.json) == [("timeout", STUB)] and len(of(answer.json, TOKYO)) > 10


def test_a_fhir_server_is_asked_by_fhir_and_distrusted(place: tuple[Path, Storage]) -> None:
    patient = {"resourceType": "Patient", "id": "1", "birthDate": "1970-04-05",
               "identifier": [{"system": f"urn:oid:{ARC}.3", "value": MEDICAL_ID.value}]}  # fmt: skip
    stranger = {"resourceType": "Patient", "id": "2", "birthDate": "1999-01-01"}
    lab = orjson.loads(lab_bundle(1))["entry"][1]["resource"]
    good = lab | {"id": "good", "subject": {"reference": "Patient/1"}}
    other = lab | {"id": "other", "subject": {"reference": "Patient/2"}, "code": {"text": "x"}}
    foreign = good | {"id": "foreign", "meta": {"source": "urn:oid:1.2.3.4"}, "code": {"text": "y"}}
    asked: list[str] = []

    def server(handler: BaseHTTPRequestHandler, body: bytes) -> None:
        asked.append(handler.path)
        if handler.path.endswith("/metadata"):
            resource = {"type": "Observation", "interaction": [{"code": "search-type"}],
                        "searchInclude": ["Observation:patient"]}  # fmt: skip
            said: Any = {"resourceType": "CapabilityStatement", "rest": [{"mode": "server", "resource": [resource]}]}
        elif "page=2" in handler.path:
            said = {"resourceType": "Bundle", "entry": [{"resource": foreign, "search": {"mode": "match"}}]}
        else:
            base = f"http://{handler.headers['Host']}/fhir"
            rows = [(good, "match"), (other, "match"), (patient, "include"), (stranger, "include")]
            entries = [{"fullUrl": f"{base}/{one['resourceType']}/{one['id']}", "resource": one, "search": {"mode": mode}}
                       for one, mode in rows]  # fmt: skip
            said = {"resourceType": "Bundle", "entry": entries,
                    "link": [{"relation": "next", "url": f"{base}/Observation?page=2"}]}  # fmt: skip
        write(handler, Reply(200, "application/fhir+json", orjson.dumps(said)))

    with serve(server) as url:
        found = ask(place, {"id": STUB, "name": "fhir", "fhir": f"{url}/fhir/"})
    assert of(found, STUB) == ["good"] and issues(found) == [("processing", STUB)]
    (entry,) = [one for one in found["entry"] if one["resource"].get("id") == "good"]
    assert entry["fullUrl"] == f"{url}/fhir/Observation/good"
    assert any("patient.identifier=" in path and "_include=Observation:patient" in path for path in asked)


@pytest.mark.parametrize(
    ("body", "word"),
    [
        (b'{"resourceType":"OperationOutcome","issue":[{"severity":"error","code":"suppressed"}]}', "consent"),
        (b'{"resourceType":"OperationOutcome","issue":[{"severity":"error","code":"forbidden"}]}', "refused"),
        (b"<html>", "refused"),
    ],
)
def test_a_refusal_for_consent_is_told_apart(place: tuple[Path, Storage], body: bytes, word: str) -> None:
    def server(handler: BaseHTTPRequestHandler, _: bytes) -> None:
        write(handler, Reply(403, "application/fhir+json", body))

    with serve(server) as url:
        found = ask(place, {"id": STUB, "name": "fhir", "fhir": f"{url}/fhir"})
    assert issues(found) == [("forbidden", STUB)]
    (said,) = [one["resource"]["issue"][0] for one in found["entry"] if one["search"]["mode"] == "outcome"]
    assert said["diagnostics"].endswith(word)


def test_a_next_link_to_somewhere_else_is_not_followed(place: tuple[Path, Storage]) -> None:
    def server(handler: BaseHTTPRequestHandler, body: bytes) -> None:
        links = [{"relation": "next", "url": "http://127.0.0.1:1/inside"}]
        said = {"resourceType": "Bundle", "link": links}
        write(handler, Reply(200, "application/fhir+json", orjson.dumps(said)))

    with serve(server) as url:
        found = ask(place, {"id": STUB, "fhir": f"{url}/fhir"})
    assert issues(found) == [("processing", STUB)]


def test_a_hub_answers_for_those_behind_it(place: tuple[Path, Storage]) -> None:
    behind = "urn:oid:1.2.392.200119.99999.404"
    with serve(misbehaving.wrong_home(stub())) as url:
        found = ask(place, peer(STUB, url, homes=[behind]))
    assert len(of(found, STUB)) == 2 and issues(found) == []


def test_a_busy_community_answers_later_and_the_next_question_knows(place: tuple[Path, Storage]) -> None:
    """ITI-55 deferred: AE ResponderBusy at once, the answer to our /xcpd afterwards."""
    good, later, client_box = stub(), threading.Event(), []

    def server(handler: BaseHTTPRequestHandler, body: bytes) -> None:
        if b"PRPA_IN201305UV02" not in body:
            write(handler, good.answer(body))
            return
        message = good._person(body)  # the answer to exactly this question
        oid = good.home.removeprefix("urn:oid:")
        if b"Deferred" in body:
            ack = hl7v3.message(
                Head("MCCI_IN000002UV01", II(oid, "r"), "20260101", oid, II("1")),
                hl7v3.acknowledgement("CA", II("1")),
            )
            action = "urn:hl7-org:v3:MCCI_IN000002UV01"
            write(handler, Reply(200, soap.MEDIA_TYPE, soap.answer(action, "urn:uuid:1", "", ack)))
            client_box.append(message)
            later.set()
            return
        refused = message.replace(b'typeCode code="AA"', b'typeCode code="AE"')
        start, end = refused.index(b"<subject "), refused.index(b"</subject>") + len(b"</subject>")
        refused = refused[:start] + hl7v3.detected_issue(("ResponderBusy",)).encode() + refused[end:]
        action = "urn:hl7-org:v3:PRPA_IN201306UV02:CrossGatewayPatientDiscovery"
        write(handler, Reply(200, soap.MEDIA_TYPE, soap.answer(action, "urn:uuid:1", "", refused)))

    with serve(server) as url:
        client = client_of(*place, peer(STUB, url), federation={"deadline_s": 2.0})
        first = client.get("/fhir/Observation", query_string=LABS).json
        assert issues(first) == [("processing", STUB)] and later.wait(10)
        action = "urn:hl7-org:v3:PRPA_IN201306UV02:Deferred:CrossGatewayPatientDiscovery"
        envelope = soap.request(action, "urn:uuid:2", "http://localhost/xcpd", client_box[0])
        receipt = client.post("/xcpd", data=envelope, content_type=soap.MEDIA_TYPE)
        assert receipt.status_code == 200 and b'typeCode code="CA"' in receipt.data
        place[1].audit.record()  # the writer works in order: what was learnt before is stored now
        second = client.get("/fhir/Observation", query_string=LABS).json
    assert len(of(second, STUB)) == 2 and issues(second) == []


def test_what_the_settings_say_is_what_is_built(tmp_path: Path) -> None:
    assert settings(tmp_path, peer(STUB, "http://127.0.0.1:1", homes=["urn:oid:1.2"])).peers[0].homes == (
        "urn:oid:1.2",
    )
