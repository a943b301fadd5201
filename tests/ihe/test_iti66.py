"""ITI-66 Find Document Lists: submission sets and folders by every parameter."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import orjson
import pytest

from gateway.model.caller import UNRESTRICTED
from gateway.profiles.validator import Validator
from tests.mhd_parts import FACILITY, HOME, JSON, TARO, Face, face
from tests.provide_parts import (
    ARC,
    BINARY,
    DOCUMENT,
    FOLDER,
    SET,
    binary,
    bundle,
    entry,
    folder,
    reference,
    submission_set,
)


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Face]:
    """Beside the sets of the files one that was submitted, with a folder and an author."""
    doctor = {"resourceType": "Practitioner", "id": "a", "name": [{"family": "Welby", "given": ["Marcus"]}]}
    set_ = submission_set(1, DOCUMENT, FOLDER, contained=[doctor], source={"reference": "#a"})
    sent = bundle(entry(SET, set_), entry(DOCUMENT, reference(1)), entry(BINARY, binary()), entry(FOLDER, folder(1)))
    with face(tmp_path_factory.mktemp("node")) as found:
        answer = found.ask("/", method="POST", body=orjson.dumps(sent), content_type=JSON)
        assert answer.status == 200, answer.body
        yield found


@pytest.fixture(scope="module")
def who(node: Face) -> str:
    return f"patient={node.patient()}&status=current"


def found(node: Face, query: str) -> list[dict[str, Any]]:
    return node.matches("/List", query)


@pytest.mark.parametrize(
    ("query", "number"),
    [
        ("code=submissionset", 8),
        ("code=https://profiles.ihe.net/ITI/MHD/CodeSystem/MHDlistTypes|submissionset", 8),
        ("code=folder", 1),
        ("code=folder,submissionset", 9),
        ("code=folder&code=submissionset", 0),
        ("code=other", 0),
        ("code=submissionset&designationType=http://loinc.org|57133-1", 1),
        ("code=folder&designationType=57133-1", 1),
        ("code=folder&designationType=else", 0),
        ("code=submissionset&designationType=57133-1&designationType=11502-2", 0),
        (f"code=submissionset&sourceId=urn:oid:{ARC}", 1),
        (f"code=submissionset&sourceId=urn:ietf:rfc:3986|urn:oid:{ARC}", 1),
        (f"code=submissionset&sourceId=urn:oid:{FACILITY}", 7),
        (f"code=submissionset&sourceId=urn:oid:{FACILITY}&sourceId=urn:oid:{ARC}", 0),
        ("code=submissionset&source.family=welby", 1),
        ("code=submissionset&source.family=wel&source.given=marc", 1),
        ("code=submissionset&source.given=welby", 0),
        ("code=folder&source.given=welby", 1),
        ("code=submissionset&date=ge2026-01-02&date=lt2026-01-03", 1),
        ("code=submissionset&date=2026-01-02T01:05:00Z", 1),
        ("code=submissionset&date=lt2000", 0),
        ("code=folder&date=ge2026", 1),
        (f"code=submissionset&targetCommunityIdList={HOME}", 8),
        (f"code=submissionset&identifier=urn:oid:{ARC}.2.1", 1),
        (f"code=folder&identifier=urn:oid:{ARC}.2.1", 0),
    ],
)
def test_parameters(node: Face, who: str, query: str, number: int) -> None:
    assert len(found(node, f"{who}&{query}")) == number


def test_the_patient_by_identifier(node: Face) -> None:
    assert len(found(node, f"patient.identifier=urn:oid:{FACILITY}|{TARO}&status=current&code=submissionset")) == 8
    assert found(node, "patient=nobody&status=current&code=submissionset") == []


def test_what_a_list_says(node: Face) -> None:
    (one,) = found(node, f"identifier=urn:oid:{ARC}.2.1")
    assert (one["mode"], one["title"], one["date"]) == ("working", "紹介", "2026-01-02T01:05:00+00:00")
    assert one["source"] == {"reference": "#author-1"} and one["contained"][0]["name"][0]["family"] == "Welby"
    assert {item["item"]["reference"].partition("/")[0] for item in one["entry"]} == {"DocumentReference", "List"}


def test_every_answer_is_valid_fhir(node: Face, who: str) -> None:
    check = Validator.default().check
    for one in found(node, f"{who}&code=submissionset,folder"):
        assert [str(finding) for finding in check(one) if finding.severity in ("error", "fatal")] == []


def test_retired_is_superseded(node: Face, who: str) -> None:
    query = who.replace("current", "superseded") + "&code=submissionset,folder"
    assert [one["status"] for one in found(node, query)] == ["retired"] * len(
        found(node, query.replace("superseded", "retired"))
    )


def test_pages_hold_everything_once(node: Face, who: str) -> None:
    whole = [one["id"] for one in found(node, f"{who}&code=submissionset")]
    seen: list[str] = []
    url = f"?{who}&code=submissionset&_count=3"
    while url:
        answer = node.json("/List", urlsplit(url).query)
        assert answer["total"] == len(whole)
        seen += [one["resource"]["id"] for one in answer["entry"]]
        url = next((one["url"] for one in answer["link"] if one["relation"] == "next"), "")
    assert seen == whole and len(set(seen)) == 8


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("{who}", "code is required"),
        ("code=folder&status=current", "patient or patient.identifier"),
        ("{patient}&code=folder", "status is required"),
        ("{who}&code=folder&status:not=current", "modifier"),
        ("{who}&code=folder&_include=List:source", "_include"),
    ],
)
def test_what_is_wrong_is_named(node: Face, who: str, query: str, words: str) -> None:
    asked = query.replace("{who}", who).replace("{patient}", who.partition("&")[0])
    assert words in node.json("/List", asked, status=400)["issue"][0]["diagnostics"]


def test_by_post_in_xml_and_audited(node: Face, who: str) -> None:
    form = "application/x-www-form-urlencoded"
    answer = node.ask(
        "/List/_search",
        method="POST",
        body=f"{who}&code=folder".encode(),
        content_type=form,
        accept="application/fhir+xml",
    )
    assert answer.status == 200 and b"<List" in answer.body
    assert node.audits()[-1][:4] == ("110112", "ITI-66", "E", 0) and node.audits()[-1][5] == "List?patient&status&code"


def test_what_the_scope_hides(node: Face, who: str) -> None:
    blind = node.within(replace(UNRESTRICTED, excluded_facilities=frozenset({FACILITY})))
    assert (
        blind.json("/List", f"patient.identifier=urn:oid:{FACILITY}|{TARO}&status=current&code=submissionset")["total"]
        == 0
    )
    (one,) = found(node, f"identifier=urn:oid:{ARC}.2.1")
    assert blind.ask(f"/List/{one['id']}").status == 404 and node.ask("/List/none").status == 404
