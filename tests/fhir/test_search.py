"""search-type: the Bundle, its links, its pages."""

from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import orjson
import pytest

from gateway.errors import BadInput
from gateway.fhir.search import parse_form
from gateway.model.caller import Caller, Scope

FORM = {"content-type": "application/x-www-form-urlencoded"}


def link(bundle: dict[str, Any], relation: str) -> str | None:
    return next((one["url"] for one in bundle["link"] if one["relation"] == relation), None)


def follow(node: Any, url: str) -> Any:
    parts = urlsplit(url)
    assert parts.netloc == "localhost:8080" and parts.path.startswith("/fhir/")
    return node.ask(parts.path.removeprefix("/fhir"), *parse_qsl(parts.query, keep_blank_values=True))


def ids(bundle: dict[str, Any]) -> list[str]:
    return [entry["resource"]["id"] for entry in bundle.get("entry", ()) if entry["search"]["mode"] == "match"]


def test_the_bundle(node: Any, observation: Any) -> None:
    node.add(observation("o1"))
    answer = node.ask("/Observation", ("code", "http://codes|Na"), ("_format", "json"))
    pytest.importorskip("fhir.resources.R4B.bundle").Bundle.model_validate_json(answer.body)
    bundle = orjson.loads(answer.body)
    assert (bundle["type"], bundle["total"]) == ("searchset", 1)
    (entry,) = bundle["entry"]
    assert entry["fullUrl"] == "http://localhost:8080/fhir/Observation/o1" and entry["search"] == {"mode": "match"}
    assert entry["resource"] == node.json("/Observation/o1")
    assert link(bundle, "self") == "http://localhost:8080/fhir/Observation?code=http://codes|Na&_format=json"
    assert link(bundle, "next") is None


def test_nothing_found_has_no_entry(node: Any) -> None:
    bundle = node.json("/Observation")
    assert bundle["total"] == 0 and "entry" not in bundle
    pytest.importorskip("fhir.resources.R4B.bundle").Bundle.model_validate(bundle)


def test_pages_visit_each_resource_once_while_others_arrive(node: Any, observation: Any) -> None:
    for at in range(12):
        node.add(observation(f"o{at}", date=f"2024-05-{1 + at % 3:02d}"))
    whole = ids(node.json("/Observation", ("code", "Na")))
    answer, seen = node.ask("/Observation", ("code", "Na"), ("_count", "5")), []
    for turn in range(10):
        bundle = orjson.loads(answer.body)
        seen += ids(bundle)
        node.add(observation(f"late{turn}", date="2025-01-01"))
        if (url := link(bundle, "next")) is None:
            break
        answer = follow(node, url)
        assert answer.status == 200
    assert seen == whole


def test_a_cursor_serves_its_query_its_caller_and_its_node_only(node: Any, another: Any, observation: Any) -> None:
    for at in range(3):
        node.add(observation(f"o{at}"))
    url = link(node.json("/Observation", ("code", "Na"), ("_count", "1")), "next")
    assert url is not None
    assert follow(node, url).status == 200
    for wrong in (url.replace("code=Na", "code=K"), url.replace("_count=1", "_count=2"), url[:-3] + "AAA"):
        refused = follow(node, wrong)
        assert refused.status == 400 and b"_cursor" in refused.body
    assert follow(another(caller=Caller(user="someone else")), url).status == 400
    assert follow(another(key=b"x" * 32), url).status == 400


def test_post_search(node: Any, observation: Any) -> None:
    node.add(observation("o1"))
    node.add(observation("o2", "p2"))
    body = urlencode([("patient", "p1"), ("code", "Na")]).encode()
    bundle = node.json("/Observation/_search", ("_count", "5"), method="POST", headers=FORM, body=body)
    assert ids(bundle) == ["o1"]
    assert link(bundle, "self") == "http://localhost:8080/fhir/Observation?_count=5&patient=p1&code=Na"
    assert ids(node.json("/Observation/_search", method="POST", headers=FORM)) == ["o2", "o1"]


@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        ({}, b"", 415),
        ({"content-type": "application/json"}, b"{}", 415),
        (FORM, b"code=%FF", 400),
        (FORM, b"\xff=1", 400),
        (FORM, b"code", 400),
        (FORM, b"a=1" * 200_000, 413),
        (FORM, b"_format=ttl", 406),
    ],
)
def test_search_forms_that_are_refused(node: Any, headers: dict[str, str], body: bytes, status: int) -> None:
    node.json("/Observation/_search", method="POST", headers=headers, body=body, status=status)


def test_japanese_in_queries(node: Any) -> None:
    node.add({"resourceType": "Patient", "id": "p1", "name": [{"text": "山田 花子", "family": "山田"}]})
    assert ids(node.json("/Patient", ("name", "山田"))) == ["p1"]
    assert parse_form("name=山田".encode()) == parse_form(urlencode({"name": "山田"}).encode()) == [("name", "山田")]
    with pytest.raises(BadInput):
        parse_form(b"name")
    assert parse_form(b"") == []


def test_unknown_parameters(node: Any, observation: Any) -> None:
    node.add(observation("o1"))
    bundle = node.json("/Observation", ("code", "Na"), ("shoe-size", "42"))
    assert ids(bundle) == ["o1"] and "shoe" not in str(bundle["link"])
    told = bundle["entry"][-1]
    assert told["search"]["mode"] == "outcome"
    assert told["resource"]["issue"][0]["diagnostics"] == "not known on Observation and ignored: shoe-size"
    pytest.importorskip("fhir.resources.R4B.bundle").Bundle.model_validate(bundle)
    for prefer in ("handling=strict", "return=minimal, handling=strict", "respond-async; handling=strict"):
        node.json("/Observation", ("shoe-size", "42"), headers={"prefer": prefer}, status=400)
    node.json("/Observation", ("shoe-size", "42"), headers={"prefer": "handling=lenient"})


def test_counting_only(node: Any, observation: Any) -> None:
    node.add(observation("o1"))
    for query in (("_summary", "count"), ("_count", "0")):
        bundle = node.json("/Observation", query)
        assert bundle["total"] == 1 and "entry" not in bundle and link(bundle, "next") is None
    assert "total" not in node.json("/Observation", ("_total", "none"))


def test_included_resources_are_marked(node: Any, observation: Any) -> None:
    node.add({"resourceType": "Patient", "id": "p1"})
    node.add(observation("o1"))
    node.add({"resourceType": "Provenance", "id": "v", "target": [{"reference": "Observation/o1"}]})
    query = (("_include", "Observation:patient"), ("_revinclude", "Provenance:target"))
    bundle = node.json("/Observation", *query)
    assert bundle["total"] == 1
    assert [(e["resource"]["resourceType"], e["search"]["mode"]) for e in bundle["entry"]] == [
        ("Observation", "match"),
        ("Patient", "include"),
        ("Provenance", "include"),
    ]


def test_a_reference_by_our_own_address(node: Any, observation: Any) -> None:
    node.add(observation("o1"))
    assert ids(node.json("/Observation", ("subject", "http://localhost:8080/fhir/Patient/p1"))) == ["o1"]
    assert ids(node.json("/Observation", ("subject", "http://elsewhere/fhir/Patient/p1"))) == []


def test_the_scope_holds_on_every_page(node: Any, another: Any, observation: Any) -> None:
    for at in range(6):
        node.add(observation(f"o{at}", f"p{at % 2}"))
    limited = another(scope=Scope(frozenset({"p1"}), None))
    first = limited.json("/Observation", ("_count", "2"))
    assert first["total"] == 3
    url = link(first, "next")
    assert url is not None
    rest = orjson.loads(follow(limited, url).body)
    assert sorted(ids(first) + ids(rest)) == ["o1", "o3", "o5"] and link(rest, "next") is None


def test_the_same_question_gives_the_same_bytes(node: Any, observation: Any) -> None:
    for at in range(4):
        node.add(observation(f"o{at}"))
    asked = (("code", "Na"), ("_count", "2"))
    assert node.ask("/Observation", *asked).body == node.ask("/Observation", *asked).body
