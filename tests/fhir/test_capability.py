"""The CapabilityStatement: valid, and true."""

from typing import Any

import pytest

from gateway.services.search import PARAMETERS


def test_an_independent_reader_takes_it(node: Any) -> None:
    model = pytest.importorskip("fhir.resources.R4B.capabilitystatement").CapabilityStatement
    model.model_validate_json(node.ask("/metadata").body)


def test_it_says_what_this_server_is(node: Any) -> None:
    statement = node.json("/metadata")
    assert statement["fhirVersion"] == "4.0.1" and statement["software"] == {"name": "Musubi", "version": "0.1.0"}
    assert statement["implementation"]["url"] == "http://localhost:8080/fhir"
    assert "no authentication" in statement["rest"][0]["security"]["description"]


def test_every_parameter_it_lists_is_answered(node: Any) -> None:
    """Also those on every type; and nothing the table holds is left out."""
    values = {"token": "1", "date": "2024", "string": "a", "reference": "a", "uri": "a"}
    for one in node.json("/metadata")["rest"][0]["resource"]:
        assert [p["name"] for p in one["searchParam"]] == ["_id", "_lastUpdated", *PARAMETERS[one["type"]]]
        query = [(p["name"], values[p["type"]]) for p in one["searchParam"]]
        query += [("_include", name) for name in one.get("searchInclude", ())]
        query += [("_revinclude", name) for name in one["searchRevInclude"]]
        bundle = node.json(f"/{one['type']}", *query, headers={"prefer": "handling=strict"})
        assert bundle["total"] == 0


def test_every_interaction_it_lists_works(node: Any) -> None:
    node.add({"resourceType": "Organization", "id": "o"})
    listed = next(r for r in node.json("/metadata")["rest"][0]["resource"] if r["type"] == "Organization")
    addresses = {
        "read": "/Organization/o",
        "vread": "/Organization/o/_history/1",
        "history-instance": "/Organization/o/_history",
        "search-type": "/Organization",
    }
    assert {one["code"] for one in listed["interaction"]} == set(addresses)
    for address in addresses.values():
        assert node.ask(address).status == 200
