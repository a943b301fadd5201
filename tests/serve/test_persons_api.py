"""gateway/serve/persons_api.py over a real store: doubtful pairs, decisions, preview, history."""

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway import app
from gateway.serve.http import create_app
from gateway.settings import load

TOKYO, OSAKA = "1.2.392.200119.99999.2", "1.2.392.200119.99999.5"
CONFIG = f"""
[security]
mode = "open"
[matching]
mode = "review"
[[authorities]]
oid = "{TOKYO}"
namespace = "TOKYO-HP"
[[authorities]]
oid = "{OSAKA}"
namespace = "OSAKA-HP"
"""


def patient(oid: str, value: str, **more: Any) -> dict[str, Any]:
    kana = {"url": "http://hl7.org/fhir/StructureDefinition/iso21090-EN-representation", "valueCode": "SYL"}
    return {
        "resourceType": "Patient",
        "identifier": [{"system": f"urn:oid:{oid}", "value": value}],
        "name": [{"extension": [kana], "family": "ミホンマツ", "given": ["ユイコ"]}],
        "birthDate": "1980-02-03",
        "gender": "female",
        "telecom": [{"system": "phone", "value": "03-1234-5678"}],
        **more,
    }


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Any]:
    (tmp_path / "musubi.toml").write_text(CONFIG, "utf-8")
    settings = load(tmp_path / "musubi.toml", {})
    with app.storage(settings) as parts:
        yield create_app(app.Node(settings, parts).http({})).test_client()


def put(client: Any, oid: str, value: str, **more: Any) -> None:
    answer = client.put(f"/fhir/Patient?identifier=urn:oid:{oid}|{value}", json=patient(oid, value, **more))
    assert answer.status_code == 201, answer.data


def others(client: Any, oid: str, value: str) -> list[str]:
    answer = client.get(f"/fhir/Patient/$ihe-pix?sourceIdentifier=urn:oid:{oid}|{value}&targetSystem=urn:oid:{OSAKA}")
    return [
        p["valueIdentifier"]["value"] for p in json.loads(answer.data).get("parameter", ()) if "valueIdentifier" in p
    ]


def test_a_pair_is_decided_and_the_decision_taken_back(client: Any) -> None:
    put(client, TOKYO, "0001")
    put(client, OSAKA, "777")
    (pair,) = client.get("/api/reviews").json["reviews"]
    assert {pair["one"]["id"], pair["other"]["id"]} == {f"0001^^^&{TOKYO}&ISO", f"777^^^&{OSAKA}&ISO"}
    assert pair["state"] == "open" and pair["comparison"]["attributes"]
    assert others(client, TOKYO, "0001") == []
    number = pair["number"]
    decided = client.post(f"/api/reviews/{number}", json={"decision": "same", "reason": "本人に確認"})
    assert decided.status_code == 200 and decided.json["decision"] == "same" and decided.json["reason"] == "本人に確認"
    assert others(client, TOKYO, "0001") == ["777"]
    assert client.get("/api/reviews").json["reviews"] == []
    assert [one["number"] for one in client.get("/api/reviews?state=decided").json["reviews"]] == [number]
    assert client.delete(f"/api/reviews/{number}/decision").status_code == 200
    assert others(client, TOKYO, "0001") == []
    assert client.delete(f"/api/reviews/{number}/decision").status_code == 400


def test_pages_of_the_queue(client: Any) -> None:
    for n in range(3):
        more = {
            "name": [{**patient(TOKYO, "x")["name"][0], "family": "ミホン" + "アイウ"[n] * 2}],
            "birthDate": f"198{n}-01-02",
        }
        more["telecom"] = [{"system": "phone", "value": f"03-1111-000{n}"}]
        put(client, TOKYO, f"{n}", **more)
        put(client, OSAKA, f"9{n}", **more)
    first = client.get("/api/reviews?limit=2").json
    rest = client.get(f"/api/reviews?limit=2&after={first['next']}").json
    numbers = [one["number"] for one in (*first["reviews"], *rest["reviews"])]
    assert len(first["reviews"]) == 2 and rest["next"] is None and len(set(numbers)) == 3 and numbers == sorted(numbers)


def test_a_preview_stores_nothing(client: Any) -> None:
    put(client, TOKYO, "0001")
    answer = client.post("/api/persons/$preview", json={"patient": patient(OSAKA, "777")})
    (candidate,) = answer.json["candidates"]
    assert candidate["record"]["id"] == f"0001^^^&{TOKYO}&ISO"
    assert client.get("/fhir/Patient").json["total"] == 1


def test_the_history_of_an_id(client: Any) -> None:
    put(client, TOKYO, "0001")
    lines = client.get(f"/api/persons/history?id=0001^^^%26{TOKYO}%26ISO").json["history"]
    assert [line["what"] for line in lines][:1] == ["added"]


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("get", "/api/reviews?state=some", None, 400),
        ("get", "/api/reviews?after=x", None, 400),
        ("get", "/api/reviews/99", None, 404),
        ("post", "/api/reviews/99", {"decision": "same"}, 404),
        ("post", "/api/reviews/99", {"decision": "perhaps"}, 400),
        ("post", "/api/reviews/99", {"decision": "same", "reason": "x" * 3000}, 400),
        ("delete", "/api/reviews/99/decision", None, 404),
        ("post", "/api/persons/$preview", {}, 400),
        ("post", "/api/persons/$preview", {"patient": patient("1.2.3", "1")}, 400),
        ("get", "/api/persons/history?id=1", None, 400),
    ],
)
def test_what_cannot_be_done_is_said(client: Any, method: str, path: str, body: Any, status: int) -> None:
    answer = getattr(client, method)(path, json=body) if body is not None else getattr(client, method)(path)
    assert answer.status_code == status and set(answer.json) == {"error", "text"}


def test_a_web_page_cannot_decide_without_asking(client: Any) -> None:
    assert client.post("/api/reviews/1", data=b'{"decision": "same"}', content_type="text/plain").status_code == 400


def test_what_was_shown_is_in_the_audit_log(client: Any, tmp_path: Path) -> None:
    put(client, TOKYO, "0001")
    put(client, OSAKA, "777")
    client.get("/api/reviews")
    with sqlite3.connect(tmp_path / "musubi.db") as connection:
        rows = connection.execute("SELECT patient, object FROM audit WHERE [transaction] = 'persons'").fetchall()
    ((patients, route),) = rows
    assert {f"0001^^^&{TOKYO}&ISO", f"777^^^&{OSAKA}&ISO"} == set(patients.split()) and route == "/api/reviews"


def cx(oid: str, value: str) -> str:
    return f"{value}^^^&{oid}&ISO"


def retire(client: Any, value: str, survivor: str) -> None:
    link = [{"type": "replaced-by", "other": {"identifier": {"system": f"urn:oid:{TOKYO}", "value": survivor}}}]
    body = patient(TOKYO, value, active=False, link=link)
    assert client.put(f"/fhir/Patient?identifier=urn:oid:{TOKYO}|{value}", json=body).status_code == 200


def test_a_merge_is_taken_back_with_a_reason(client: Any) -> None:
    put(client, TOKYO, "0001")
    put(client, TOKYO, "0002")
    assert client.post("/api/persons/$undo-merge", json={"id": cx(TOKYO, "0002")}).status_code == 404
    retire(client, "0002", "0001")
    whole = client.get("/api/persons/history", query_string={"id": cx(TOKYO, "0001"), "person": "true"}).json["history"]
    assert {"added", "merged"} <= {line["what"] for line in whole}
    assert {cx(TOKYO, "0001"), cx(TOKYO, "0002")} <= {id_ for line in whole for id_ in line["ids"]}
    back = client.post("/api/persons/$undo-merge", json={"id": cx(TOKYO, "0002"), "reason": "別人と判明"})
    assert back.status_code == 200 and back.json["changed"]
    assert client.get("/api/persons", query_string={"id": cx(TOKYO, "0002")}).json["records"][0]["active"]
    lines = client.get("/api/persons/history", query_string={"id": cx(TOKYO, "0002")}).json["history"]
    assert ("undone", "別人と判明") in [(line["what"], line["rule"]) for line in lines]
    assert all(line["at"] for line in lines)


def test_two_records_are_linked_and_held_apart_by_hand(client: Any) -> None:
    put(client, TOKYO, "0001")
    put(client, OSAKA, "777")
    body = {"id": cx(TOKYO, "0001"), "other": cx(OSAKA, "777"), "reason": "保険証で確認"}
    linked = client.post("/api/persons/$link", json=body)
    assert linked.status_code == 200 and linked.json["ids"] == [cx(OSAKA, "777")]
    assert others(client, TOKYO, "0001") == ["777"]
    shown = client.get("/api/persons", query_string={"id": cx(TOKYO, "0001")}).json
    assert [one["id"] for one in shown["records"]] == [cx(TOKYO, "0001"), cx(OSAKA, "777")]
    assert client.post("/api/persons/$unlink", json=body).json["ids"] == []
    assert others(client, TOKYO, "0001") == []
    for wrong, status in (
        ({**body, "other": body["id"]}, 400),
        ({**body, "other": cx(OSAKA, "9")}, 404),
        ({**body, "other": cx("1.2.3", "9")}, 400),
        ({"id": body["id"]}, 400),
    ):
        assert client.post("/api/persons/$link", json=wrong).status_code == status
