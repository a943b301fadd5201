"""gateway/fhir/patient_match.py: what is certain, and what several certain ones are."""

import json
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

from gateway.fhir import FhirRequest
from gateway.fhir.patient_match import match
from gateway.model.caller import UNRESTRICTED
from gateway.model.identity import PatientId
from gateway.model.person import Demographics, PersonName
from tests.persons_fake import FakePersons

TOKYO, OSAKA = "1.2.392.200119.99999.2", "1.2.392.200119.99999.4"
KNOWN = Demographics((PersonName("ミホン", "ユイコ", kind="kana"),), "19800203")
ASKED = {"resourceType": "Patient", "name": [{"family": "ミホン", "given": ["ユイコ"]}], "birthDate": "1980-02-03"}


class Stored:
    def read(self, type_: str, id_: str, scope: Any) -> Any:
        return SimpleNamespace(deleted=False, body=json.dumps({"resourceType": type_, "id": id_}).encode())


def asked(persons: FakePersons, **parameters: Any) -> Any:
    named = [{"name": name, **value} for name, value in parameters.items()]
    body = {"resourceType": "Parameters", "parameter": [{"name": "resource", "resource": ASKED}, *named]}
    request = FhirRequest("POST", "/Patient/$match", [], {}, b"", "http://localhost/fhir")
    return json.loads(match(request, body, persons, Stored(), UNRESTRICTED).body)  # type: ignore[arg-type]


def test_of_several_certain_persons_none_is_the_answer() -> None:
    persons = FakePersons(score=lambda record, demographics: (Decimal("0.99"), "certain"))
    persons.put("e1", KNOWN, PatientId("1", TOKYO))
    persons.put("e2", KNOWN, PatientId("2", OSAKA))
    assert asked(persons)["total"] == 2
    answer = asked(persons, onlyCertainMatches={"valueBoolean": True})
    assert answer["total"] == 0
    assert [(e["search"]["mode"], e["resource"]["issue"][0]["code"]) for e in answer["entry"]] == [
        ("outcome", "multiple-matches")
    ]


def test_records_of_one_person_are_one_certain_answer() -> None:
    persons = FakePersons(score=lambda record, demographics: (Decimal("0.99"), "certain"))
    persons.put("e1", KNOWN, PatientId("1", TOKYO), PatientId("2", OSAKA))
    answer = asked(persons, onlyCertainMatches={"valueBoolean": True})
    assert [e["search"]["extension"][0]["valueCode"] for e in answer["entry"]] == ["certain", "certain"]


def test_only_certain_and_nobody_is() -> None:
    persons = FakePersons(score=lambda record, demographics: (Decimal("0.60"), "possible"))
    persons.put("e1", KNOWN, PatientId("1", TOKYO))
    answer = asked(persons, onlyCertainMatches={"valueBoolean": True})
    assert answer["total"] == 0 and "entry" not in answer


def test_count_limits_what_is_shown_and_not_what_was_found() -> None:
    persons = FakePersons(score=lambda record, demographics: (Decimal(record.id.value), "possible"))
    for n in ("0.3", "0.9", "0.6"):
        persons.put(f"e{n}", KNOWN, PatientId(n, TOKYO))
    answer = asked(persons, count={"valueInteger": 2})
    assert answer["total"] == 3 and [e["search"]["score"] for e in answer["entry"]] == [0.9, 0.6]
