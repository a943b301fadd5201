"""gateway/serve/medical_id_api.py over a real store and the simulator: the life of a medical ID, and who may have one."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway import app
from gateway.errors import ConfigurationError
from gateway.serve.http import create_app
from gateway.settings import load
from tests.serve.test_persons_api import OSAKA, TOKYO, others, put

MEDICAL = "1.2.392.200119.99999.3"
CONFIG = f"""
[security]
mode = "open"
[matching]
mode = "off"
[medical_id]
agency = "simulator"
[[authorities]]
oid = "{TOKYO}"
namespace = "TOKYO-HP"
[[authorities]]
oid = "{OSAKA}"
namespace = "OSAKA-HP"
[[authorities]]
oid = "{MEDICAL}"
kind = "medical-id"
"""
PARTICIPANT = f"""
[[participants]]
institution = "1311234567"
name = "東京総合病院"
authorities = ["TOKYO-HP"]
since = "2020-04-01"
[[participants]]
institution = "2711234567"
authorities = ["{OSAKA}"]
until = "2020-03-31"
"""


def cx(oid: str, value: str) -> str:
    return f"{value}^^^&{oid}&ISO"


def client_of(folder: Path, config: str) -> Any:
    (folder / "musubi.toml").write_text(config, "utf-8")
    settings = load(folder / "musubi.toml", {})
    return settings


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Any]:
    settings = client_of(tmp_path, CONFIG)
    with app.storage(settings) as parts:
        yield create_app(app.Node(settings, parts).http({})).test_client()


def say(client: Any, act: str, **body: str) -> Any:
    return client.post(f"/api/medical-ids/${act}", json=body)


def issued(client: Any, oid: str, value: str) -> str:
    answer = say(client, "issue", holder=cx(oid, value))
    assert answer.status_code == 200, answer.data
    return str(answer.json["id"])


def test_from_issue_to_resume(client: Any) -> None:
    put(client, TOKYO, "0001")
    put(client, OSAKA, "777")
    assert others(client, TOKYO, "0001") == []
    number = issued(client, TOKYO, "0001")
    assert issued(client, OSAKA, "777") == number, "one person, one number"
    assert issued(client, OSAKA, "777") == number, "and asking again changes nothing"
    assert others(client, TOKYO, "0001") == ["777"]

    new = say(client, "replace", id=number, reason="カード紛失").json["id"]
    assert client.get("/api/medical-ids", query_string={"id": number}).json == {
        "id": number, "state": "replaced", "holders": [], "replacedBy": new,
    }  # fmt: skip
    assert others(client, TOKYO, "0001") == ["777"]
    assert say(client, "suspend", id=new, reason="不正利用").json["state"] == "suspended"
    assert others(client, TOKYO, "0001") == []
    assert say(client, "suspend", id=new).status_code == 404
    back = say(client, "resume", id=new, reason="確認済").json
    assert back["state"] == "active" and back["holders"] == [cx(TOKYO, "0001"), cx(OSAKA, "777")]

    lines = client.get("/api/medical-ids/history", query_string={"id": new}).json["history"]
    assert [(line["what"], line["rule"]) for line in lines] == [
        ("replaced", "カード紛失"), ("suspended", "不正利用"), ("resumed", "確認済"),
    ]  # fmt: skip
    whole = client.get("/api/persons/history", query_string={"id": cx(TOKYO, "0001"), "person": "true"}).json["history"]
    assert [line["what"] for line in whole].count("issued") == 2


def test_the_simulator_remembers_after_a_restart(tmp_path: Path) -> None:
    settings = client_of(tmp_path, CONFIG)
    with app.storage(settings) as parts:
        client = create_app(app.Node(settings, parts).http({})).test_client()
        put(client, TOKYO, "0001")
        number = issued(client, TOKYO, "0001")
        say(client, "suspend", id=number)
    with app.storage(settings) as parts:
        client = create_app(app.Node(settings, parts).http({})).test_client()
        assert say(client, "issue", holder=cx(TOKYO, "0001")).status_code == 400, "it is suspended at the agency too"
        assert say(client, "resume", id=number).json["state"] == "active"
    assert "ミホンマツ" not in (tmp_path / "medical-id-simulator.json").read_text("utf-8")


def test_only_participants_are_given_numbers_and_only_in_their_time(tmp_path: Path) -> None:
    settings = client_of(tmp_path, CONFIG + PARTICIPANT)
    with app.storage(settings) as parts:
        client = create_app(app.Node(settings, parts).http({})).test_client()
        put(client, TOKYO, "0001")
        put(client, OSAKA, "777")
        assert say(client, "issue", holder=cx(TOKYO, "0001")).status_code == 200
        assert say(client, "issue", holder=cx(OSAKA, "777")).status_code == 403, "it left the consortium in 2020"
        shown = client.get("/api/medical-ids/participants").json["participants"]
        assert [(one["institution"], one["until"]) for one in shown] == [
            ("1311234567", None), ("2711234567", "2020-03-31"),
        ]  # fmt: skip


@pytest.mark.parametrize(
    ("act", "body", "status"),
    [
        ("issue", {"holder": cx(TOKYO, "unknown")}, 404),
        ("issue", {"holder": "0001"}, 400),
        ("issue", {}, 400),
        ("replace", {"id": cx(TOKYO, "0001")}, 400),
        ("replace", {"id": cx(MEDICAL, "M1")}, 404),
        ("suspend", {"id": cx(MEDICAL, "M1"), "reason": "x" * 3000}, 400),
        ("resume", {"id": cx(MEDICAL, "M1")}, 400),
    ],
)
def test_what_is_refused(client: Any, act: str, body: dict[str, str], status: int) -> None:
    put(client, TOKYO, "0001")
    assert say(client, act, **body).status_code == status


def test_a_form_of_a_web_page_is_not_taken(client: Any) -> None:
    assert client.post("/api/medical-ids/$issue", data={"holder": "x"}).status_code == 400


def test_without_an_agency_there_is_no_such_face(tmp_path: Path) -> None:
    settings = client_of(tmp_path, CONFIG.replace('agency = "simulator"', ""))
    with app.storage(settings) as parts:
        client = create_app(app.Node(settings, parts).http({})).test_client()
        assert say(client, "issue", holder=cx(TOKYO, "1")).status_code == 404


@pytest.mark.parametrize(
    "config",
    [
        CONFIG.replace('"simulator"', '"nobody"'),
        CONFIG.replace('kind = "medical-id"', ""),
        CONFIG + PARTICIPANT.replace("TOKYO-HP", "NOBODY"),
        CONFIG + PARTICIPANT.replace('"1311234567"', '"4811234567"'),
        CONFIG + PARTICIPANT.replace('"2020-04-01"', '"April"'),
    ],
)
def test_a_configuration_that_cannot_work_is_refused(tmp_path: Path, config: str) -> None:
    with pytest.raises(ConfigurationError):
        settings = client_of(tmp_path, config)
        with app.storage(settings) as parts:
            app.Node(settings, parts).medical_ids()
