"""Many answers as one: doubles, order, tags."""

from typing import Any
from uuid import NAMESPACE_OID, uuid5

from gateway.services.federation.facts import COMMUNITY_SYSTEM, Fact, key_of_fact, merge, provenance
from gateway.services.federation.question import Resource
from gateway.translate.document_reference import of_community
from tests.xds_parts import HOME, document_pair

OWN, A, B = "urn:oid:1", "urn:oid:2", "urn:oid:3"
FACT = str(uuid5(NAMESPACE_OID, "one result"))


def lab(id_: str, date: str = "", **more: Any) -> Resource:
    body = {"resourceType": "Observation", "id": id_, "code": {"text": "K"}, **more}
    return Resource(body | ({"effectiveDateTime": date} if date else {}))


def merged(*answers: tuple[str, list[Resource]], sort: str = "-date") -> list[Fact]:
    return merge(OWN, [(home, home[-1], resources) for home, resources in answers], sort)


def test_a_fact_held_at_several_communities_appears_once_with_a_tag_each() -> None:
    (fact,) = merged((B, [lab(FACT, "2024")]), (A, [lab(FACT, "2024")]), (OWN, [lab(FACT, "2024", status="final")]))
    body = fact.tagged()
    assert fact.home == OWN and body["status"] == "final", "our own form is shown"
    assert body["meta"]["source"] == OWN
    assert [one["code"] for one in body["meta"]["tag"]] == [OWN, A, B]
    again = merged((OWN, [Resource(body)]), (A, [lab(FACT)]))[0].tagged()
    assert [one["code"] for one in again["meta"]["tag"]] == [OWN, A], "tags of another question do not stay"


def test_ids_that_mean_something_in_their_own_server_only() -> None:
    assert len(merged((A, [lab("1")]), (B, [lab("1")]))) == 2
    number = {"identifier": [{"system": "urn:x", "value": "9"}]}
    assert len(merged((A, [lab("1", **number)]), (B, [lab("7", **number)]))) == 1
    other = {"identifier": [{"system": "urn:x", "value": "10"}]}
    assert len(merged((A, [lab("1", **number)]), (B, [lab("1", **other)]))) == 2


def test_a_document_is_its_home_repository_and_unique_id() -> None:
    entry, _, _ = document_pair()
    one = Resource(of_community(entry, A))
    two = Resource(of_community(entry, A) | {"id": "other"})
    assert key_of_fact(one, A) == key_of_fact(two, B)
    assert key_of_fact(Resource(of_community(entry, B)), A) != key_of_fact(one, A)
    assert of_community(entry, HOME)["masterIdentifier"]["value"].startswith("urn:")


def test_newest_first_then_home_then_id_and_what_has_no_date_last() -> None:
    found = merged(
        (B, [lab("b", "2024-01-02"), lab("z")]),
        (
            A,
            [lab("d", "2024-01-02"), lab("c", "2024-01-02"), lab("n", "2024-01-03T00:30:00+09:00"), lab("bad", "soon")],
        ),
    )
    assert [(one.home, one.resource.id) for one in found] == [
        (A, "n"), (A, "c"), (A, "d"), (B, "b"), (A, "bad"), (B, "z"),
    ]  # fmt: skip
    assert [one.resource.id for one in merged((A, [lab("new", "2024"), lab("old", "2023")]), sort="date")] == [
        "old",
        "new",
    ]


def test_the_source_keeps_what_was_said_behind_the_community() -> None:
    (fact,) = merged((A, [lab("1", meta={"source": "file.hl7", "tag": [{"system": "x", "code": "y"}]})]))
    meta = fact.tagged()["meta"]
    assert meta["source"] == f"{A}#file.hl7" and meta["tag"][0] == {"system": "x", "code": "y"}
    assert meta["tag"][1] == {"system": COMMUNITY_SYSTEM, "code": A, "display": "2"}


def test_provenance_is_the_same_for_the_same() -> None:
    one = provenance(A, "大阪", ["Observation/1"], "2026-01-01T00:00:00Z")
    assert one == provenance(A, "大阪", ["Observation/1"], "2026-01-01T00:00:00Z")
    assert one["agent"][0]["who"] == {"display": "大阪", "identifier": {"system": COMMUNITY_SYSTEM, "value": A}}
