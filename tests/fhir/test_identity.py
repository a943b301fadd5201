"""ITI-83, ITI-104, ITI-119 and ITI-78 on /fhir, over a real store: what one feeds, the others find."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest
from lxml import etree

from gateway import app
from gateway.fhir import FhirRequest, FhirResponse, handle
from gateway.model.caller import UNRESTRICTED, Caller
from gateway.settings import load

TOKYO, OSAKA, MEDICAL = "1.2.392.200119.99999.2", "1.2.392.200119.99999.5", "1.2.392.200119.99999.3"
CONFIG = f"""
[security]
mode = "open"
[matching]
mode = "auto"
[[authorities]]
oid = "{TOKYO}"
namespace = "TOKYO-HP"
[[authorities]]
oid = "{OSAKA}"
namespace = "OSAKA-HP"
[[authorities]]
oid = "{MEDICAL}"
namespace = "MEDICAL-ID"
kind = "medical-id"
"""
Ask = Callable[..., FhirResponse]


def patient(*ids: tuple[str, str], **more: Any) -> dict[str, Any]:
    return {
        "resourceType": "Patient",
        "identifier": [{"system": f"urn:oid:{oid}", "value": value} for oid, value in ids],
        "name": [
            {
                "extension": [
                    {
                        "url": "http://hl7.org/fhir/StructureDefinition/iso21090-EN-representation",
                        "valueCode": "SYL",
                    }
                ],
                "family": "ミホン",
                "given": ["ユイコ"],
            }
        ],
        "birthDate": "1980-02-03",
        "gender": "female",
        **more,
    }


@pytest.fixture
def ask(tmp_path: Path) -> Iterator[Ask]:
    (tmp_path / "musubi.toml").write_text(CONFIG, "utf-8")
    settings = load(tmp_path / "musubi.toml", {})
    with app.storage(settings) as parts:
        services = app.Node(settings, parts).fhir()

        def call(method: str, address: str, body: Any = None, **headers: str) -> FhirResponse:
            path, _, query = address.partition("?")
            data = body if isinstance(body, bytes) else json.dumps(body).encode() if body is not None else b""
            given = {"content-type": "application/fhir+json", **{k.replace("_", "-"): v for k, v in headers.items()}}
            request = FhirRequest(
                method, path, parse_qsl(query, keep_blank_values=True), given, data, "http://localhost/fhir"
            )
            return handle(request, services, Caller(), UNRESTRICTED)

        yield call


def fed(ask: Ask, oid: str, value: str, *others: tuple[str, str], **more: Any) -> FhirResponse:
    return ask("PUT", f"/Patient?identifier=urn:oid:{oid}|{value}", patient((oid, value), *others, **more))


def said(response: FhirResponse) -> Any:
    return json.loads(response.body)


def problem(response: FhirResponse) -> tuple[int, str, str]:
    issue = said(response)["issue"][0]
    return response.status, issue["code"], issue["diagnostics"]


def pix(ask: Ask, oid: str, value: str, *targets: str) -> FhirResponse:
    wanted = "".join(f"&targetSystem=urn:oid:{target}" for target in targets)
    return ask("GET", f"/Patient/$ihe-pix?sourceIdentifier=urn:oid:{oid}|{value}{wanted}")


def found(response: FhirResponse) -> list[str]:
    assert response.status == 200, response.body
    parameters = said(response).get("parameter", ())
    return [p["valueIdentifier"]["value"] for p in parameters if p["name"] == "targetIdentifier"]


def test_a_first_feed_creates_and_the_next_revises(ask: Ask) -> None:
    first, again = fed(ask, TOKYO, "0001"), fed(ask, TOKYO, "0001", gender="male")
    assert (first.status, again.status) == (201, 200)
    assert said(again)["gender"] == "male" and said(first)["id"] == said(again)["id"]
    location = dict(again.headers)["Location"]
    assert location == f"http://localhost/fhir/Patient/{said(again)['id']}/_history/{said(again)['meta']['versionId']}"
    assert ask("GET", location.removeprefix("http://localhost/fhir")).status == 200


def test_ids_that_share_a_medical_id_are_cross_referenced(ask: Ask) -> None:
    fed(ask, TOKYO, "0001", (MEDICAL, "900"))
    fed(ask, OSAKA, "777", (MEDICAL, "900"))
    assert sorted(found(pix(ask, TOKYO, "0001"))) == sorted({"777", "900", *found(pix(ask, TOKYO, "0001"))} - {"0001"})
    assert found(pix(ask, TOKYO, "0001", OSAKA)) == ["777"]
    assert found(pix(ask, OSAKA, "777", TOKYO)) == ["0001"]
    references = [p["valueReference"]["reference"] for p in said(pix(ask, TOKYO, "0001", OSAKA))["parameter"][1:]]
    assert len(references) == 1 and ask("GET", references[0].removeprefix("http://localhost/fhir")).status == 200


def test_the_published_error_cases_of_the_query(ask: Ask) -> None:
    fed(ask, TOKYO, "0001")
    assert problem(pix(ask, TOKYO, "9999")) == (404, "not-found", "sourceIdentifier Patient Identifier not found")
    assert problem(pix(ask, "1.2.3", "1")) == (400, "code-invalid", "sourceIdentifier Assigning Authority not found")
    assert problem(pix(ask, TOKYO, "0001", "1.2.3")) == (403, "code-invalid", "targetSystem not found")
    assert found(pix(ask, TOKYO, "0001", OSAKA)) == []
    assert ask("GET", "/Patient/$ihe-pix").status == 400
    assert ask("GET", "/Patient/$ihe-pix?sourceIdentifier=0001").status == 400
    assert ask("DELETE", "/Patient/$ihe-pix?sourceIdentifier=a|b").status == 405


def test_the_query_is_posted_too(ask: Ask) -> None:
    fed(ask, TOKYO, "0001", (MEDICAL, "900"))
    body = {
        "resourceType": "Parameters",
        "parameter": [
            {"name": "sourceIdentifier", "valueString": f"urn:oid:{TOKYO}|0001"},
            {"name": "targetSystem", "valueUri": f"urn:oid:{MEDICAL}"},
        ],
    }
    assert found(ask("POST", "/Patient/$ihe-pix", body)) == ["900"]


def test_a_merge_moves_the_links_and_retires_the_number(ask: Ask) -> None:
    fed(ask, TOKYO, "0001", (MEDICAL, "900"))
    fed(ask, TOKYO, "0002", birthDate="1990-01-01")
    other = {"identifier": {"system": f"urn:oid:{TOKYO}", "value": "0002"}}
    gone = patient((TOKYO, "0001"), active=False, link=[{"type": "replaced-by", "other": other}])
    merged = ask("PUT", f"/Patient?identifier=urn:oid:{TOKYO}|0001", gone)
    assert merged.status == 200
    assert ask("PUT", f"/Patient?identifier=urn:oid:{TOKYO}|0001", gone).status == 200
    assert pix(ask, TOKYO, "0001").status == 404
    assert "900" in found(pix(ask, TOKYO, "0002"))
    back = patient(
        (TOKYO, "0002"),
        active=False,
        link=[{"type": "replaced-by", "other": {"identifier": {"system": f"urn:oid:{TOKYO}", "value": "0001"}}}],
    )
    assert problem(ask("PUT", f"/Patient?identifier=urn:oid:{TOKYO}|0002", back))[:2] == (422, "business-rule")


def test_a_removed_record_is_unknown_and_removing_again_does_no_harm(ask: Ask) -> None:
    fed(ask, TOKYO, "0001")
    for _ in range(2):
        assert ask("DELETE", f"/Patient?identifier=urn:oid:{TOKYO}|0001").status == 204
    assert pix(ask, TOKYO, "0001").status == 404
    assert ask("DELETE", "/Patient?identifier=urn:oid:1.2.3|1").status == 400


@pytest.mark.parametrize(
    ("address", "body", "status"),
    [
        (f"/Patient?identifier=urn:oid:{TOKYO}|0001", {"resourceType": "Observation"}, 400),
        (f"/Patient?identifier=urn:oid:{TOKYO}|0001", patient((TOKYO, "0002")), 400),
        (f"/Patient?identifier=urn:oid:{TOKYO}|0001", patient((TOKYO, "0001"), gender="f"), 422),
        (f"/Patient?identifier=urn:oid:{TOKYO}|0001", patient((TOKYO, "0001"), birthDate="1980-13-01"), 422),
        ("/Patient?identifier=urn:oid:1.2.3|0001", patient(("1.2.3", "0001")), 400),
        ("/Patient?identifier=0001", patient((TOKYO, "0001")), 400),
        ("/Patient", patient((TOKYO, "0001")), 400),
        (f"/Patient?identifier=urn:oid:{TOKYO}|0001", b"{", 400),
        (f"/Patient?identifier=urn:oid:{TOKYO}|0001", b"[]", 400),
    ],
)
def test_a_feed_that_is_wrong_stores_nothing(ask: Ask, address: str, body: Any, status: int) -> None:
    answer = ask("PUT", address, body)
    assert answer.status == status and said(answer)["resourceType"] == "OperationOutcome"
    assert said(ask("GET", "/Patient"))["total"] == 0


def test_what_was_fed_is_found_by_demographics(ask: Ask) -> None:
    fed(ask, TOKYO, "0001", address=[{"city": "架空市", "state": "東京都", "postalCode": "100-0001"}], active=True)
    for query in (
        "family=ミホン&gender=female",
        "birthdate=1980-02-03&family=ﾐﾎﾝ",
        "given=ゆいこ",
        "address-city=架空市",
        "address-state=東京都&active=true",
        f"identifier=urn:oid:{TOKYO}|0001",
        f"identifier=urn:oid:{TOKYO}|",
        "family:exact=ミホン",
    ):
        assert said(ask("GET", f"/Patient?{query}"))["total"] == 1, query
    assert said(ask("GET", "/Patient?family:exact=みほん"))["total"] == 0
    assert said(ask("GET", "/Patient?family=ミホン&birthdate=1981-02-03"))["total"] == 0


def test_a_telephone_number_is_found_in_any_writing(ask: Ask) -> None:
    fed(ask, TOKYO, "0001", telecom=[{"system": "phone", "value": "03-1234-5678"}])
    for number in ("0312345678", "03-1234-5678", "phone|(03)1234-5678", "%2B81-3-1234-5678"):
        for name in ("telecom", "phone"):
            if name == "telecom" or "|" not in number:
                assert said(ask("GET", f"/Patient?{name}={number}"))["total"] == 1, (name, number)
    assert said(ask("GET", "/Patient?telecom=0312345679"))["total"] == 0


def test_who_has_no_name_is_a_newborn_or_is_refused(ask: Ask) -> None:
    path = f"/Patient?identifier=urn:oid:{TOKYO}|0009"
    body = {key: value for key, value in patient((TOKYO, "0009")).items() if key != "name"}
    refused = ask("PUT", path, body)
    assert refused.status == 422 and said(refused)["issue"][0]["code"] == "required"
    absent = {"url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason", "valueCode": "unknown"}
    assert ask("PUT", path, {**body, "name": [{"extension": [absent]}]}).status == 201
    assert ask("PUT", path, {**body, "multipleBirthInteger": 2}).status == 200


def test_match_orders_by_score_and_names_the_grade(ask: Ask) -> None:
    fed(ask, TOKYO, "0001", telecom=[{"system": "phone", "value": "03-1234-5678"}])
    wanted = patient(telecom=[{"system": "phone", "value": "0312345678"}])
    answer = said(
        ask(
            "POST",
            "/Patient/$match",
            {"resourceType": "Parameters", "parameter": [{"name": "resource", "resource": wanted}]},
        )
    )
    (entry,) = answer["entry"]
    assert entry["resource"]["birthDate"] == "1980-02-03" and 0.5 < entry["search"]["score"] <= 1
    assert entry["search"]["extension"][0]["valueCode"] in ("certain", "probable")
    assert said(ask("POST", "/Patient/$match", wanted))["total"] == 1


def test_match_needs_somebody_to_match(ask: Ask) -> None:
    assert ask("POST", "/Patient/$match", {"resourceType": "Patient"}).status == 422
    assert ask("POST", "/Patient/$match", {"resourceType": "Parameters"}).status == 400
    assert ask("GET", "/Patient/$match").status == 405


def test_xml_is_read_and_written(ask: Ask) -> None:
    text = (
        '<Patient xmlns="http://hl7.org/fhir">'
        f'<identifier><system value="urn:oid:{TOKYO}"/><value value="0001"/></identifier>'
        f'<identifier><system value="urn:oid:{MEDICAL}"/><value value="900"/></identifier>'
        '<name><family value="ミホン"/></name><birthDate value="1980-02-03"/></Patient>'
    ).encode()
    address = f"/Patient?identifier=urn:oid:{TOKYO}|0001"
    created = ask("PUT", address, text, content_type="application/fhir+xml", accept="application/fhir+xml")
    assert created.status == 201
    assert dict(created.headers)["Content-Type"] == "application/fhir+xml; charset=utf-8"
    assert etree.fromstring(created.body).find("{http://hl7.org/fhir}birthDate").get("value") == "1980-02-03"
    answer = ask(
        "GET", f"/Patient/$ihe-pix?sourceIdentifier=urn:oid:{TOKYO}|0001&targetSystem=urn:oid:{MEDICAL}&_format=xml"
    )
    assert (
        etree.QName(etree.fromstring(answer.body)).localname == "Parameters" and b'<value value="900"/>' in answer.body
    )
    unknown = ask("GET", f"/Patient/$ihe-pix?sourceIdentifier=urn:oid:{TOKYO}|x&_format=application/fhir+xml")
    assert unknown.status == 404 and etree.QName(etree.fromstring(unknown.body)).localname == "OperationOutcome"
    searched = ask("GET", "/Patient?family=ミホン", accept="application/fhir+xml")
    assert etree.QName(etree.fromstring(searched.body)).localname == "Bundle"
    assert ask("GET", "/Patient?_format=text/turtle").status == 406


def test_the_capability_statement_says_so(ask: Ask) -> None:
    resources = said(ask("GET", "/metadata"))["rest"][0]["resource"]
    (one,) = (resource for resource in resources if resource["type"] == "Patient")
    assert one["conditionalUpdate"] is True and {o["name"] for o in one["operation"]} == {
        "everything",
        "ihe-pix",
        "match",
        "summary",
    }
