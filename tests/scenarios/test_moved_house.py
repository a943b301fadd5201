"""A person who moves: the new region learns of the old one's records, and a merge there makes everybody ask again."""

from pathlib import Path
from typing import Any

import pytest

from gateway import app
from gateway.model.caller import Caller
from gateway.model.identity import PatientId
from gateway.model.person import Demographics, PersonFeed, PersonName
from tests.federation_parts import ARC, MEDICAL_ID, OSAKA, TOKYO, Member, find_documents, region
from tests.scenarios.test_three_communities import Browser, ask, audits, home_of, matches, outcomes

HOSPITAL = f"{ARC}.42"
HER = Demographics(
    (PersonName("見本", "結子", kind="kanji"), PersonName("ミホン", "ユイコ", kind="kana")), "19700405", "F"
)
CALLER = Caller(node="desk")


@pytest.fixture
def three(tmp_path: Path) -> Any:
    with region(tmp_path, federation={"deadline_s": 5}) as members:
        yield members


def register(member: Member, *ids: PatientId, who: Demographics = HER, time: str = "") -> None:
    app.Node(member.settings, member.parts).persons().feed(
        PersonFeed("add", ids, demographics=who, event_time=time, transaction="ITI-8", control_id=str(ids[0])), CALLER
    )


def asked(member: Member, patient: PatientId) -> dict[str, Any]:
    person = f"urn:oid:{patient.authority}|{patient.value}"
    return ask(member, "/fhir/Observation", **{"category": "laboratory", "_count": "500", "patient.identifier": person})


def test_moved_house(three: dict[str, Member]) -> None:
    nagasaki = three["長崎"]
    before = audits(three["東京"], "ITI-55")
    # A new hospital number in 長崎, registered with her name alone: nobody but the demographics says who she is.
    new = PatientId("9000000001", HOSPITAL)
    register(nagasaki, new, time="20260101090000000")
    found = asked(nagasaki, new)
    assert {home_of(one) for one in matches(found)} == {TOKYO, OSAKA} and outcomes(found) == []
    assert audits(three["東京"], "ITI-55") == before + 1
    asked(nagasaki, new)
    assert audits(three["東京"], "ITI-55") == before + 1, "what was learnt is remembered"
    # The medical ID is added at the desk: the person is known better now, and everybody is asked again.
    register(nagasaki, new, MEDICAL_ID, time="20260102090000000")
    again = asked(nagasaki, new)
    assert {one["id"] for one in matches(again)} == {one["id"] for one in matches(found)}
    assert audits(three["東京"], "ITI-55") == before + 2


def test_an_id_that_was_merged_away_over_there_is_asked_for_anew(three: dict[str, Member]) -> None:
    """大阪 knows her by an id of 東京 that 東京 has no longer: XDSUnknownPatientId, and the answer is there all the same."""
    osaka = three["大阪"]
    asked(osaka, MEDICAL_ID)
    engine = osaka.parts.engine.execution_options(write=True)
    with engine.connect() as connection, connection.begin():
        changed = connection.exec_driver_sql(
            "UPDATE peer_correlation SET ids = ? WHERE home = ?", (f'[["gone", "{ARC}.1.1"]]', TOKYO)
        )
    assert changed.rowcount == 1
    before = audits(three["東京"], "ITI-55")
    found = find_documents(Browser(osaka.url))
    assert found.status == "Success" and TOKYO in found.homes
    assert audits(three["東京"], "ITI-55") == before + 1
