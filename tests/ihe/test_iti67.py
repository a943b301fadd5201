"""ITI-67 Find Document References: every parameter, paging, includes, what is refused; over a node that was fed."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import orjson
import pytest

from gateway.model.caller import UNRESTRICTED, Scope
from gateway.profiles.validator import Validator
from tests.mhd_parts import BASE, DOMAIN, FACILITY, HOME, TARO, Face, face

LOINC = "http://loinc.org"
DEPARTMENTS = "urn:oid:1.2.392.200250.2.2.2"
LOCAL = "urn:oid:1.2.392.200119.99999.10"


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Face]:
    with face(tmp_path_factory.mktemp("node")) as found:
        yield found


@pytest.fixture(scope="module")
def taro(node: Face) -> str:
    return node.patient()


def found(node: Face, query: str) -> list[dict[str, Any]]:
    return node.matches("/DocumentReference", query)


def issue(node: Face, query: str, status: int = 400) -> dict[str, Any]:
    one: dict[str, Any] = node.json("/DocumentReference", query, status=status)["issue"][0]
    return one


def test_everything_current_of_a_patient_newest_first(node: Face, taro: str) -> None:
    answer = node.json("/DocumentReference", f"patient={taro}&status=current")
    documents = [one["resource"] for one in answer["entry"]]
    assert (answer["type"], answer["total"], len(documents)) == ("searchset", 12, 12)
    assert [one["date"] for one in documents] == sorted((one["date"] for one in documents), reverse=True)
    assert {one["subject"]["reference"] for one in documents} == {f"Patient/{taro}"}
    assert all(one["fullUrl"] == f"{BASE}/DocumentReference/{one['resource']['id']}" for one in answer["entry"])


def test_a_document_says_what_the_registry_knows(node: Face, taro: str) -> None:
    (one,) = found(
        node,
        f"patient={taro}&status=current&type={LOINC}|11502-2&format={LOCAL}.3|fhir-r4-collection-bundle-jp-core-1.2.0",
    )[:1]
    attachment = one["content"][0]["attachment"]
    assert one["meta"]["profile"][0].endswith("IHE.MHD.Comprehensive.DocumentReference")
    assert one["masterIdentifier"]["value"].startswith("urn:oid:2.25.") and one["masterIdentifier"]["use"] == "usual"
    assert one["identifier"] == [{"use": "official", "system": "urn:ietf:rfc:3986", "value": f"urn:uuid:{one['id']}"}]
    assert (attachment["contentType"], attachment["language"]) == ("application/fhir+json", "ja-JP")
    assert attachment["url"] == f"{BASE}/Binary/{one['id']}" and len(attachment["hash"]) == 28
    assert one["securityLabel"][0]["coding"][0]["system"] == "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
    assert [part["resourceType"] for part in one["contained"]][-1] == "Patient"
    assert one["context"]["sourcePatientInfo"]["identifier"] == {"system": f"urn:oid:{FACILITY}", "value": TARO}
    assert [one_["valueOid"] for one_ in one["extension"]] == [HOME, "urn:oid:1.2.392.200119.99999.1.2"]
    (relation,) = one["relatesTo"]
    assert relation["code"] == "transforms"
    original = node.json("/" + relation["target"]["reference"])
    assert original["content"][0]["attachment"]["contentType"] == "application/hl7-v2"


def test_every_answer_is_valid_fhir(node: Face, taro: str) -> None:
    check = Validator.default().check
    for one in found(node, f"patient={taro}&status=current"):
        assert [str(finding) for finding in check(one) if finding.severity in ("error", "fatal")] == []


@pytest.mark.parametrize(
    ("query", "number"),
    [
        ("", 12),
        (f"type={LOINC}|11502-2", 4),
        ("type=11502-2", 4),
        ("type=urn:oid:2.16.840.1.113883.6.1|11502-2", 4),
        ("type=2.16.840.1.113883.6.1|11502-2", 4),
        ("type=http://snomed.info/sct|11502-2", 0),
        ("type=|11502-2", 0),
        ("type=11502-2,ADT-00", 6),
        ("type=11502-2&type=ADT-00", 0),
        (f"category={LOINC}|11502-2", 4),
        (f"event={LOCAL}.6|OML-11", 4),
        ("event=OML-11&event=ADT-00", 0),
        ("security-label=N", 12),
        ("security-label=R", 0),
        ("facility=medical-institution", 12),
        (f"format={LOCAL}.3|ss-mix2-hl7-v2.5-er7", 6),
        (f"identifier=urn:oid:{DOMAIN}|nobody", 0),
        ("creation=ge2024", 12),
        ("creation=lt2024", 0),
        ("date=ge2100-01-01", 0),
        ("date=ge2024-01-01&date=lt2100", 12),
        ("period=lt2000", 0),
        ("targetCommunityIdList=" + HOME, 12),
        ("related=urn:oid:1.2.3|77", 0),
    ],
)
def test_parameters(node: Face, taro: str, query: str, number: int) -> None:
    assert len(found(node, f"patient={taro}&status=current&{query}")) == number


def test_setting_by_any_name_of_its_system(node: Face, taro: str) -> None:
    all_ = found(node, f"patient={taro}&status=current")
    coded = [one["context"]["practiceSetting"]["coding"][0] for one in all_]
    wanted = next(one for one in coded if one["system"] != f"{LOCAL}.5")
    number = coded.count(wanted)
    assert len(found(node, f"patient={taro}&status=current&setting={wanted['system']}|{wanted['code']}")) == number
    assert len(found(node, f"patient={taro}&status=current&setting={DEPARTMENTS}|{wanted['code']}")) == number


def test_the_patient_by_every_name(node: Face, taro: str) -> None:
    by_reference = [f"patient={taro}", f"patient=Patient/{taro}", f"patient={BASE}/Patient/{taro}"]
    (subject,) = {one["subject"]["identifier"]["value"] for one in found(node, f"patient={taro}&status=current")}
    by_identifier = [f"patient.identifier=urn:oid:{FACILITY}|{TARO}", f"patient.identifier=urn:oid:{DOMAIN}|{subject}"]
    for words in (*by_reference, *by_identifier, f"patient={taro}&patient.identifier=urn:oid:{FACILITY}|{TARO}"):
        assert len(found(node, f"{words}&status=current")) == 12, words


@pytest.mark.parametrize(
    "words",
    ["patient=nobody", f"patient.identifier=urn:oid:{FACILITY}|404", "patient.identifier=urn:oid:9.9|1", "patient=http://elsewhere.example/fhir/Patient/1"],
)  # fmt: skip
def test_nobody_has_no_documents(node: Face, words: str) -> None:
    assert node.json("/DocumentReference", f"{words}&status=current")["total"] == 0


def test_two_names_of_two_persons_find_nothing(node: Face, taro: str) -> None:
    assert found(node, f"patient={taro}&patient.identifier=urn:oid:{FACILITY}|0001000111&status=current") == []


def test_period_is_an_interval_that_overlaps(node: Face, taro: str) -> None:
    start = found(node, f"patient={taro}&status=current&type=11502-2")[0]["context"]["period"]["start"][:10]
    for words, more in ((f"period=ge{start}", True), (f"period=le{start}", True), (f"period=eb{start}", False)):
        hits = [
            one["context"]["period"]["start"][:10]
            for one in found(node, f"patient={taro}&status=current&type=11502-2&{words}")
        ]
        assert (start in hits) == more, words


def test_author_by_the_parts_of_the_name(node: Face, taro: str) -> None:
    authors = [
        part["name"][0]
        for one in found(node, f"patient={taro}&status=current")
        for part in one.get("contained", ())
        if part["resourceType"] == "Practitioner" and "name" in part
    ]
    assert authors, "the demo names doctors"
    family, given = authors[0]["family"], authors[0]["given"][0]
    number = len(found(node, f"patient={taro}&status=current&author.family={family}&author.given={given}"))
    assert 0 < number <= 12
    assert len(found(node, f"patient={taro}&status=current&author.family={family[0]}")) >= number
    # What begins a given name does not begin a family name.
    assert found(node, f"patient={taro}&status=current&author.family={given}") == []
    first = node.json("/DocumentReference", f"patient={taro}&status=current&author.family={family}&_count=1")
    assert first["total"] >= 1 and len(first["entry"]) == 1


def test_by_identifier_and_by_id(node: Face, taro: str) -> None:
    one = found(node, f"patient={taro}&status=current")[3]
    for words in (
        f"identifier=urn:ietf:rfc:3986|{one['masterIdentifier']['value']}",
        f"identifier={one['masterIdentifier']['value']}",
        f"identifier=urn:ietf:rfc:3986|urn:uuid:{one['id']}",
        f"_id={one['id']}",
        f"_id={one['id']}&patient={taro}&status=current",
    ):
        assert [hit["id"] for hit in found(node, words)] == [one["id"]], words
    assert found(node, f"_id={one['id']}&patient.identifier=urn:oid:{FACILITY}|0001000111&status=current") == []
    assert found(node, f"_id={one['id']}&status=superseded") == []


@pytest.mark.parametrize("more", ["", "&author.family=a"])
def test_pages_hold_everything_once(node: Face, taro: str, more: str) -> None:
    whole = [one["id"] for one in found(node, f"patient={taro}&status=current&_count=100")]
    seen: list[str] = []
    url = f"?patient={taro}&status=current&_count=5"
    while url:
        answer = node.json("/DocumentReference", urlsplit(url).query)
        assert answer["total"] == len(whole)
        seen += [one["resource"]["id"] for one in answer["entry"]]
        url = next((one["url"] for one in answer["link"] if one["relation"] == "next"), "")
    assert seen == whole


def test_a_cursor_of_another_search_is_refused(node: Face, taro: str) -> None:
    links = node.json("/DocumentReference", f"patient={taro}&status=current&_count=2")["link"]
    cursor = next(one["url"] for one in links if one["relation"] == "next").rpartition("_cursor=")[2]
    assert "_cursor" in issue(node, f"patient={taro}&status=superseded&_count=2&_cursor={cursor}")["diagnostics"]


def test_counts_alone(node: Face, taro: str) -> None:
    for words in ("_summary=count", "_count=0"):
        answer = node.json("/DocumentReference", f"patient={taro}&status=current&{words}")
        assert answer["total"] == 12 and "entry" not in answer
    assert "total" not in node.json("/DocumentReference", f"patient={taro}&status=current&_total=none")


def test_superseded_and_current(node: Face, taro: str) -> None:
    old = found(node, f"patient={taro}&status=superseded")
    assert {one["status"] for one in old} == {"superseded"} and len(old) == 2
    both = found(node, f"patient={taro}&status=current,superseded")
    assert len(both) == 14
    replaced = {
        part["target"]["reference"] for one in both for part in one.get("relatesTo", ()) if part["code"] == "replaces"
    }
    assert replaced < {f"DocumentReference/{one['id']}" for one in old}
    assert len(found(node, f"patient={taro}&status=http://hl7.org/fhir/document-reference-status|current")) == 12
    assert found(node, f"patient={taro}&status=entered-in-error") == []
    assert found(node, f"patient={taro}&status=current&status=superseded") == []


@pytest.mark.parametrize(
    ("query", "code", "words"),
    [
        ("status=current", "required", "patient or patient.identifier"),
        ("patient={taro}", "required", "status is required"),
        ("patient={taro},x&status=current", "invalid", "one patient"),
        ("patient={taro}&patient={taro}&status=current", "invalid", "more than once"),
        ("patient.identifier=123&status=current", "invalid", "system|value"),
        ("patient={taro}&status=final", "invalid", "current or superseded"),
        ("patient={taro}&status=current&type=", "invalid", "empty value"),
        ("patient={taro}&status=current&type=a|b|c", "invalid", "type"),
        ("patient={taro}&status=current&type:not=a", "invalid", "modifier"),
        ("patient={taro}&status=current&date=yesterday", "invalid", "date"),
        ("patient={taro}&status=current&date=ne2024", "invalid", "prefix"),
        ("patient={taro}&status=current&_count=many", "invalid", "_count"),
        ("patient={taro}&status=current&_sort=type", "invalid", "_sort"),
        ("patient={taro}&status=current&_include=DocumentReference:custodian", "invalid", "_include"),
        ("patient={taro}&status=current&_cursor=abc", "invalid", "_cursor"),
    ],
)
def test_what_is_wrong_is_named(node: Face, taro: str, query: str, code: str, words: str) -> None:
    one = issue(node, query.replace("{taro}", taro))
    assert one["code"] == code and words in one["diagnostics"] and taro not in one["diagnostics"]


def test_another_community_cannot_be_asked_here(node: Face, taro: str) -> None:
    one = issue(node, f"patient={taro}&status=current&targetCommunityIdList=urn:oid:9.9.9", status=404)
    assert one["code"] == "not-found"


def test_unknown_parameters_are_named_or_refused(node: Face, taro: str) -> None:
    answer = node.json("/DocumentReference", f"patient={taro}&status=current&colour=red")
    assert answer["total"] == 12 and "colour" in answer["entry"][-1]["resource"]["issue"][0]["diagnostics"]
    strict = node.ask("/DocumentReference", f"patient={taro}&status=current&colour=red", prefer="handling=strict")
    assert strict.status == 400


def test_by_post_and_in_xml(node: Face, taro: str) -> None:
    form = "application/x-www-form-urlencoded"
    query = f"patient={taro}&status=current&type=11502-2".encode()
    posted = node.ask("/DocumentReference/_search", method="POST", body=query, content_type=form)
    assert orjson.loads(posted.body)["total"] == 4
    xml = node.ask("/DocumentReference/_search", method="POST", body=query + b"&_format=xml", content_type=form)
    assert b"<Bundle" in xml.body and b"<DocumentReference" in xml.body
    assert node.ask("/DocumentReference/_search", method="POST", body=query, content_type="text/plain").status == 415
    accepted = node.ask("/DocumentReference", query.decode(), accept="application/fhir+xml")
    assert b"<Bundle" in accepted.body
    assert node.ask("/DocumentReference", query.decode(), accept="text/html").status == 406


def test_includes(node: Face, taro: str) -> None:
    words = f"patient={taro}&status=current&type=11502-2&_include=DocumentReference:patient"
    entries = node.json("/DocumentReference", f"{words}&_count=1&_include=DocumentReference:relatesto")["entry"]
    modes = [(one["resource"]["resourceType"], one["search"]["mode"]) for one in entries]
    assert modes[0] == ("DocumentReference", "match") and ("Patient", "include") in modes


def test_one_by_its_id(node: Face, taro: str) -> None:
    one = found(node, f"patient={taro}&status=current")[0]
    assert node.json(f"/DocumentReference/{one['id']}") == one
    assert b"<DocumentReference" in node.ask(f"/DocumentReference/{one['id']}", accept="application/fhir+xml").body
    assert node.ask("/DocumentReference/none").status == 404


def test_what_the_scope_hides_is_not_there(node: Face, taro: str) -> None:
    one = found(node, f"patient={taro}&status=current")[0]
    for scope in (
        Scope(frozenset(), None),
        replace(UNRESTRICTED, confidentiality=frozenset({"R"})),
        replace(UNRESTRICTED, excluded_facilities=frozenset({FACILITY})),
    ):
        blind = node.within(scope)
        answer = blind.json("/DocumentReference", f"patient.identifier=urn:oid:{FACILITY}|{TARO}&status=current")
        assert answer["total"] == 0 and "entry" not in answer
        assert blind.ask(f"/DocumentReference/{one['id']}").status == 404


def test_the_audit_record_names_the_patient_and_no_value(node: Face, taro: str) -> None:
    node.json("/DocumentReference", f"patient={taro}&status=current&author.family=秘密")
    assert node.audits()[-1] == (
        "110112",
        "ITI-67",
        "E",
        0,
        f"Patient/{taro}",
        "DocumentReference?patient&status&author.family",
    )
    node.ask("/DocumentReference", f"patient={taro}")
    assert node.audits()[-1][3] == 4


def test_the_capability_statement_lists_it(node: Face) -> None:
    resources = {one["type"]: one for one in node.json("/metadata")["rest"][0]["resource"]}
    names = [one["name"] for one in resources["DocumentReference"]["searchParam"]]
    assert {"creation", "related", "targetCommunityIdList", "author", "security-label"} <= set(names)
    assert len(names) == len(set(names)) and resources["Binary"]["interaction"] == [{"code": "read"}]
