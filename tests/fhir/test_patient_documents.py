"""$everything and $summary on one Patient."""

from typing import Any

import pytest

PATIENT = {"resourceType": "Patient", "id": "p1", "identifier": [{"system": "urn:oid:1.2.3", "value": "1"}]}


@pytest.fixture
def filled(node: Any, observation: Any) -> Any:
    node.add(PATIENT)
    for at in range(5):
        node.add(observation(f"o{at}"))
    return node


def ids(bundle: dict[str, Any]) -> list[str]:
    return [f"{one['resource']['resourceType']}/{one['resource']['id']}" for one in bundle.get("entry", ())]


def next_of(bundle: dict[str, Any]) -> list[tuple[str, str]]:
    from urllib.parse import parse_qsl, urlsplit

    (url,) = [one["url"] for one in bundle["link"] if one["relation"] == "next"] or [""]
    return parse_qsl(urlsplit(url).query)


def test_everything_of_a_person_on_one_page(filled: Any) -> None:
    bundle = filled.json("/Patient/p1/$everything")
    assert bundle["type"] == "searchset" and not next_of(bundle)
    assert ids(bundle)[0] == "Patient/p1" and set(ids(bundle)[1:]) == {f"Observation/o{at}" for at in range(5)}


@pytest.mark.parametrize("count", [1, 2, 3, 6])
def test_pages_are_the_whole_and_nothing_twice(filled: Any, count: int) -> None:
    seen: list[str] = []
    query = [("_count", str(count))]
    while query:
        bundle = filled.json("/Patient/p1/$everything", *query)
        assert len(ids(bundle)) <= count
        seen += ids(bundle)
        query = next_of(bundle)
    assert len(seen) == len(set(seen)) == 6


def test_types_and_since(filled: Any) -> None:
    assert set(ids(filled.json("/Patient/p1/$everything", ("_type", "Patient")))) == {"Patient/p1"}
    assert ids(filled.json("/Patient/p1/$everything", ("_since", "2031-01-01T00:00:00Z"))) == []


@pytest.mark.parametrize(
    "query", [("_count", "0"), ("_count", "x"), ("_type", "Practitioner"), ("_since", "today"), ("start", "2020"),
              ("_cursor", "AAAA")],
)  # fmt: skip
def test_what_is_not_understood_is_refused(filled: Any, query: tuple[str, str]) -> None:
    filled.json("/Patient/p1/$everything", query, status=400)


def test_the_summary_is_the_document(filled: Any) -> None:
    bundle = filled.json("/Patient/p1/$summary")
    assert bundle["type"] == "document" and ids(bundle)[0].startswith("Composition/")


def test_an_unknown_patient_has_none(filled: Any) -> None:
    for operation in ("$everything", "$summary"):
        filled.json(f"/Patient/p2/{operation}", status=404)
        filled.json(f"/Patient/p1/{operation}", method="POST", status=405)
        filled.json(f"/Observation/o1/{operation}", status=404)


def test_it_leaves_an_audit_record(filled: Any) -> None:
    filled.ask("/Patient/p1/$everything")
    last = filled.audit.records[-1]
    assert (last.object, last.patient, last.action) == ("Patient/p1/$everything", "Patient/p1", "R")
