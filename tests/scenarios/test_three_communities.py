"""One patient, three hospitals with a number each, one medical ID: 東京, 大阪 and 長崎 as real nodes that ask one another."""

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from gateway.model.caller import UNRESTRICTED
from gateway.model.identity import PatientId
from tests.federation_parts import ARC, MEDICAL_ID, NAGASAKI, OSAKA, TOKYO, Member, find_documents, region

PERSON = f"urn:oid:{MEDICAL_ID.authority}|{MEDICAL_ID.value}"
PATIENT = {"patient.identifier": PERSON}


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Member]]:
    quick = {"deadline_s": 3, "breaker_failures": 2, "breaker_pause_s": 0.3, "breaker_longest_pause_s": 1}
    with region(tmp_path_factory.mktemp("region"), federation=quick) as members:
        yield members


class Browser:
    """A test client over the network, with the same words as Flask's."""

    def __init__(self, base: str) -> None:
        self.base, self.session = base, requests.Session()
        self.session.trust_env = False

    def get(self, path: str, **more: Any) -> requests.Response:
        return self.session.get(f"{self.base}{path}", timeout=30, **more)

    def post(self, path: str, data: bytes, content_type: str) -> Any:
        answer = self.session.post(f"{self.base}{path}", data=data, headers={"Content-Type": content_type}, timeout=30)
        answer.data = answer.content  # type: ignore[attr-defined]
        return answer


def ask(member: Member, path: str, **parameters: str) -> dict[str, Any]:
    answer = Browser(member.url).get(path, params={"_federated": "true", **parameters})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def matches(bundle: dict[str, Any]) -> list[dict[str, Any]]:
    return [one["resource"] for one in bundle.get("entry", ()) if one["search"]["mode"] == "match"]


def outcomes(bundle: dict[str, Any]) -> list[dict[str, Any]]:
    return [one["resource"]["issue"][0] for one in bundle.get("entry", ()) if one["search"]["mode"] == "outcome"]


def audits(member: Member, transaction: str) -> int:
    with member.parts.engine.connect() as connection:
        sql = 'SELECT count(*) FROM audit WHERE "transaction" = ?'
        return int(connection.exec_driver_sql(sql, (transaction,)).scalar_one())


def home_of(resource: dict[str, Any]) -> str:
    return str(resource["meta"]["source"]).partition("#")[0]


def test_labs_of_two_and_prescriptions_of_the_third(three: dict[str, Member]) -> None:
    before = {name: audits(member, "ITI-55") for name, member in three.items()}
    labs = ask(three["東京"], "/fhir/Observation", category="laboratory", _count="500", **PATIENT)
    assert {home_of(one) for one in matches(labs)} == {TOKYO, OSAKA}
    assert labs["total"] == len(matches(labs)) > 50 and outcomes(labs) == []
    dates = [one["effectiveDateTime"] for one in matches(labs)]
    assert dates == sorted(dates, reverse=True)
    for one in matches(labs):
        (tag,) = one["meta"]["tag"]
        assert (tag["code"], tag["display"]) in {(TOKYO, "東京"), (OSAKA, "大阪")}
    provenances = [one["resource"] for one in labs["entry"] if one["resource"]["resourceType"] == "Provenance"]
    assert {one["agent"][0]["who"]["identifier"]["value"] for one in provenances} == {TOKYO, OSAKA}
    targets = {target["reference"] for one in provenances for target in one["target"]}
    assert targets == {one["fullUrl"] for one in labs["entry"] if one["search"]["mode"] == "match"}
    prescribed = ask(three["東京"], "/fhir/MedicationRequest", _count="500", **PATIENT)
    assert {home_of(one) for one in matches(prescribed)} == {NAGASAKI}
    # Everybody was asked once who the patient is, and wrote down what was asked of them.
    assert {name: audits(member, "ITI-55") - before[name] for name, member in three.items()} == {
        "東京": 0, "大阪": 1, "長崎": 1,
    }  # fmt: skip
    assert audits(three["東京"], "rest") >= 2 and audits(three["大阪"], "rest") and audits(three["長崎"], "rest")


def test_any_number_of_hers_asks_about_her(three: dict[str, Member]) -> None:
    by_medical_id = ask(three["東京"], "/fhir/Observation", category="laboratory", _count="500", **PATIENT)
    local = Browser(three["東京"].url).get("/fhir/Patient", params={"identifier": PERSON}).json()
    (patient,) = [one["resource"] for one in local["entry"] if one["search"]["mode"] == "match"]
    number = next(one["value"] for one in patient["identifier"] if "51.1" in one["system"])
    for person in ({"patient": f"Patient/{patient['id']}"}, {"patient.identifier": f"urn:oid:{ARC}.2|{number}"}):
        found = ask(three["東京"], "/fhir/Observation", category="laboratory", _count="500", **person)
        assert [one["id"] for one in matches(found)] == [one["id"] for one in matches(by_medical_id)]
    headed = Browser(three["東京"].url).get(
        "/fhir/Observation", params={"category": "laboratory", **PATIENT}, headers={"X-Musubi-Federated": "true"}
    )
    assert headed.json()["total"] == by_medical_id["total"]


def test_the_same_documents_over_xds_and_fhir(three: dict[str, Member]) -> None:
    over_xds = find_documents(Browser(three["大阪"].url))
    over_fhir = ask(three["大阪"], "/fhir/DocumentReference", status="current", _count="1000", **PATIENT)
    assert over_xds.status == "Success" and over_xds.homes[0] == OSAKA
    unique = [one["masterIdentifier"]["value"].removeprefix("urn:oid:") for one in matches(over_fhir)]
    assert sorted(unique) == sorted(one.removeprefix("urn:oid:") for one in over_xds.ids)
    assert {home_of(one) for one in matches(over_fhir)} == {TOKYO, OSAKA, NAGASAKI} == set(over_xds.homes)


def test_pages_belong_together(three: dict[str, Member]) -> None:
    browser = Browser(three["東京"].url)
    whole = ask(three["東京"], "/fhir/Observation", _count="500", **PATIENT)
    seen: list[str] = []
    page = ask(three["東京"], "/fhir/Observation", _count="40", **PATIENT)
    while True:
        assert page["total"] == whole["total"]
        seen += [one["id"] for one in matches(page)]
        links = {one["relation"]: one["url"] for one in page["link"]}
        if "next" not in links:
            break
        page = browser.session.get(links["next"], timeout=10).json()
    assert seen == [one["id"] for one in matches(whole)]
    forged = links["self"] + "&_cursor=AAAA"
    assert browser.session.get(forged, timeout=10).status_code == 400


def test_everything(three: dict[str, Member]) -> None:
    local = Browser(three["東京"].url).get("/fhir/Patient", params={"identifier": PERSON}).json()
    (patient,) = [one["resource"]["id"] for one in local["entry"] if one["search"]["mode"] == "match"]
    found = ask(three["東京"], f"/fhir/Patient/{patient}/$everything", _count="1000")
    kinds = {(home_of(one), one["resourceType"]) for one in matches(found)}
    assert {(TOKYO, "Patient"), (OSAKA, "Patient"), (NAGASAKI, "Patient"), (NAGASAKI, "MedicationRequest"),
            (OSAKA, "Observation"), (TOKYO, "DocumentReference")} <= kinds  # fmt: skip
    assert outcomes(found) == []


def test_summary(three: dict[str, Member]) -> None:
    local = Browser(three["東京"].url).get("/fhir/Patient", params={"identifier": PERSON}).json()
    (patient,) = [one["resource"]["id"] for one in local["entry"] if one["search"]["mode"] == "match"]
    found = ask(three["東京"], f"/fhir/Patient/{patient}/$summary")
    resources = [one["resource"] for one in found["entry"]]
    composition = resources[0]
    assert (found["type"], composition["resourceType"], composition["status"]) == ("document", "Composition", "final")
    assert composition["subject"]["reference"] == found["entry"][1]["fullUrl"] and resources[1]["id"] == patient
    filled = {one["code"]["coding"][0]["code"] for one in composition["section"] if one.get("entry")}
    assert {"10160-0", "30954-2"} <= filled
    references = {one["reference"] for section in composition["section"] for one in section.get("entry", ())}
    assert references == {one["fullUrl"] for one in found["entry"][2:]}
    assert {home_of(one) for one in resources[2:]} == {TOKYO, OSAKA, NAGASAKI}


def test_answers_come_as_they_are_there(three: dict[str, Member]) -> None:
    asked = {"_type": "Observation,MedicationRequest", **PATIENT}
    with Browser(three["東京"].url).get("/fhir/$federated-stream", params=asked, stream=True) as answer:
        assert answer.headers["Content-Type"].startswith("application/x-ndjson")
        lines = [json.loads(line) for line in answer.iter_lines()]
    said = {one["community"]: one["outcome"] for one in lines if "outcome" in one}
    assert said == {TOKYO: "ok", OSAKA: "ok", NAGASAKI: "ok"}
    given = {(one["community"], one["resource"]["resourceType"]) for one in lines if "resource" in one}
    assert (NAGASAKI, "MedicationRequest") in given and (OSAKA, "Observation") in given


def test_a_community_down_and_back(three: dict[str, Member]) -> None:
    tokyo, osaka = three["東京"], three["大阪"]
    osaka.stop()
    try:
        found = ask(tokyo, "/fhir/Observation", category="laboratory", **PATIENT)
        assert {home_of(one) for one in matches(found)} == {TOKYO}
        (issue,) = outcomes(found)
        assert issue["code"] == "transient" and OSAKA in issue["diagnostics"]
        xds = find_documents(Browser(tokyo.url))
        assert xds.status == "PartialSuccess" and xds.errors == [("XDSUnavailableCommunity", OSAKA)]
        # Two failures opened the breaker: now nobody waits for it, and it is still named.
        topology = {one["id"]: one for one in Browser(tokyo.url).get("/api/topology").json()}
        assert topology[OSAKA]["state"] == "down" and topology[NAGASAKI]["state"] == "up"
        assert outcomes(ask(tokyo, "/fhir/Observation", **PATIENT))[0]["code"] == "transient"
    finally:
        osaka.start()
    until = time.monotonic() + 20
    while outcomes(found := ask(tokyo, "/fhir/Observation", category="laboratory", **PATIENT)):
        assert time.monotonic() < until, "the community did not come back"
        time.sleep(0.1)
    assert {home_of(one) for one in matches(found)} == {TOKYO, OSAKA}


def test_topology(three: dict[str, Member]) -> None:
    rows = Browser(three["長崎"].url).get("/api/topology").json()
    assert [one["id"] for one in rows] == [NAGASAKI, TOKYO, OSAKA] and rows[0]["state"] == "self"
    assert rows[1]["software"].startswith("Musubi") and "ITI-38" in rows[1]["transactions"]
    assert rows[1]["breaker"] == "closed" and rows[1]["certificateDays"] is None


def test_a_posted_search_and_a_read(three: dict[str, Member]) -> None:
    browser = Browser(three["東京"].url)
    form = f"_federated=true&category=laboratory&_count=1&patient.identifier={PERSON}".encode()
    posted = browser.post("/fhir/Observation/_search", form, "application/x-www-form-urlencoded").json()
    assert posted["total"] == ask(three["東京"], "/fhir/Observation", category="laboratory", **PATIENT)["total"]
    everywhere = {"X-Musubi-Federated": "true"}
    assert browser.get("/fhir/metadata", headers=everywhere).json()["resourceType"] == "CapabilityStatement"
    one = matches(posted)[0]
    read = browser.get(f"/fhir/Observation/{one['id']}", headers=everywhere)
    assert read.status_code in (200, 404) and "Bundle" not in read.text[:40]
    xml = browser.get("/fhir/Observation", params={"_federated": "true", "_format": "xml", "_count": "2", **PATIENT})
    assert xml.status_code == 200 and xml.content.startswith((b"<?xml", b"<Bundle"))


def test_our_own_id_of_her_works_over_xds_too(three: dict[str, Member]) -> None:
    browser = Browser(three["東京"].url)
    by_medical_id = find_documents(browser)
    eid = three["東京"].parts.identities.enterprise_id(MEDICAL_ID, UNRESTRICTED)
    assert eid
    own = find_documents(browser, PatientId(eid, f"{ARC}.1.1"))
    assert (own.status, own.ids, own.homes) == ("Success", by_medical_id.ids, by_medical_id.homes)


def test_a_wrong_question_is_told_so(three: dict[str, Member]) -> None:
    browser = Browser(three["東京"].url)
    for path, parameters, status in (
        ("/fhir/Observation", {}, 400),
        ("/fhir/Observation", {"patient": "Patient/nobody"}, 404),
        ("/fhir/Observation", {"date": "yesterday", **PATIENT}, 400),
        ("/fhir/Shoe", PATIENT, 404),
        ("/fhir/$federated-stream", PATIENT, 400),
    ):
        answer = browser.get(path, params={"_federated": "true", **parameters})
        assert (answer.status_code, answer.json()["resourceType"]) == (status, "OperationOutcome"), path
