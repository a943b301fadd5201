"""ITI-65 Provide Document Bundle and ITI-105: what is stored, what is refused and by which code, and that a refusal stores
nothing."""

import hashlib
from base64 import b64encode
from collections.abc import Iterator
from typing import Any

import orjson
import pytest

from gateway.profiles.validator import Validator
from gateway.profiles.xml_format import FhirXml
from tests.mhd_parts import BASE, DOMAIN, FACILITY, JSON, TARO, Face, face
from tests.provide_parts import (
    ARC,
    BINARY,
    DOCUMENT,
    EXTENSION,
    FOLDER,
    LOINC,
    PDF,
    PROFILE,
    SET,
    binary,
    bundle,
    code,
    entry,
    folder,
    reference,
    submission_set,
)

Json = dict[str, Any]
XML = FhirXml(Validator.default().tables)


@pytest.fixture
def node(tmp_path_factory: pytest.TempPathFactory, shared: Face) -> Iterator[Face]:
    yield shared


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Face]:
    with face(tmp_path_factory.mktemp("node")) as found:
        yield found


_NUMBER = iter(range(1000, 10_000))


def next_() -> int:
    """A number no other test used: one node serves them all."""
    return next(_NUMBER)


def send(node: Face, sent: Json, status: int = 200, **headers: str) -> Json:
    answer = node.ask("/", method="POST", body=orjson.dumps(sent), **{"content_type": JSON, **headers})
    assert answer.status == status, answer.body
    found: Json = orjson.loads(answer.body)
    return found


def documents(node: Face, number: int) -> list[Json]:
    return node.matches("/DocumentReference", f"identifier=urn:oid:{ARC}.1.{number}")


def counts(node: Face) -> tuple[int, ...]:
    """Rows of everything a submission touches."""
    tables = ("registry_object", "association", "blob", "outbox")
    with node.parts.engine.connect() as connection:
        return tuple(connection.exec_driver_sql(f"SELECT count(*) FROM {table}").scalar_one() for table in tables)


def one(number: int, level: str = "Comprehensive", set_: Json | None = None, **more: Any) -> Json:
    """A Bundle with one document."""
    return bundle(
        entry(SET, set_ or submission_set(number)), entry(DOCUMENT, reference(number, **more)), entry(BINARY, binary()),
        level=level,
    )  # fmt: skip


def test_a_document_is_registered_and_comes_back(node: Face) -> None:
    number = next_()
    answer = send(node, one(number))
    assert [part["response"]["status"] for part in answer["entry"]] == ["201 Created"] * 3
    (found,) = documents(node, number)
    assert [part["response"]["location"] for part in answer["entry"]][1:] == [
        f"DocumentReference/{found['id']}", f"Binary/{found['id']}",
    ]  # fmt: skip
    sent = reference(number)
    for name in ("masterIdentifier", "status", "type", "category", "description", "securityLabel"):
        assert found[name] == sent[name], name
    attachment, given = found["content"][0]["attachment"], sent["content"][0]["attachment"]
    assert {name: attachment[name] for name in ("contentType", "language", "size", "hash", "title")} == {
        name: given[name] for name in ("contentType", "language", "size", "hash", "title")
    }
    assert found["context"]["practiceSetting"] == sent["context"]["practiceSetting"]
    assert found["context"]["period"] == sent["context"]["period"]
    names = [part["name"][0]["family"] for part in found["contained"] if "name" in part]
    assert names == ["医師", "見本"]
    got = node.ask(attachment["url"].removeprefix(BASE))
    assert node.content(got) == PDF
    (list_,) = node.matches("/List", f"identifier=urn:oid:{ARC}.2.{number}")
    assert list_["entry"] == [{"item": {"reference": f"DocumentReference/{found['id']}"}}]
    assert node.json(f"/List/{list_['id']}") == list_


def test_the_answer_is_valid_fhir(node: Face) -> None:
    answer = send(node, one(next_()))
    findings = Validator.default().check({"id": "x", **answer})
    assert [str(finding) for finding in findings if finding.severity in ("error", "fatal")] == []


def test_one_audit_record_in_the_commit(node: Face) -> None:
    before, number = len(node.audits()), next_()
    send(node, one(number))
    (record,) = node.audits()[before:]
    assert record[:4] == ("110107", "ITI-65", "C", 0) and record[5] == f"{ARC}.2.{number}"
    send(node, one(number), status=409)
    assert [each[3] for each in node.audits()[before:]] == [0, 4]


def test_in_xml(node: Face) -> None:
    number = next_()
    body = XML.render(one(number))
    answer = node.ask("/", method="POST", body=body, content_type="application/fhir+xml", accept="application/fhir+xml")
    assert answer.status == 200 and b"transaction-response" in answer.body
    assert len(documents(node, number)) == 1


@pytest.mark.parametrize("url", [PROFILE, PROFILE.replace("https", "http")])
@pytest.mark.parametrize("level", ["Minimal", "Comprehensive", "UnContained.Comprehensive"])
def test_each_level(node: Face, level: str, url: str) -> None:
    number = next_()
    send(node, {**one(number), "meta": {"profile": [url.format(level)]}})
    assert len(documents(node, number)) == 1


def test_minimal_metadata_claim_no_more_than_they_have(node: Face) -> None:
    number = next_()
    set_ = submission_set(number, extension=submission_set(number)["extension"][:1], title=None)
    content = [{"attachment": {"contentType": "application/pdf", "url": BINARY}}]
    bare = dict.fromkeys(("contained", "type", "category", "author", "description", "securityLabel", "context"))
    send(node, one(number, "Minimal", set_, content=content, **bare))
    (found,) = documents(node, number)
    assert found["meta"]["profile"] == [
        "https://profiles.ihe.net/ITI/MHD/StructureDefinition/IHE.MHD.Minimal.DocumentReference"
    ]
    assert not {"type", "category", "securityLabel", "author"} & set(found)
    assert found["content"][0]["attachment"]["size"] == len(PDF)
    (list_,) = node.matches("/List", f"identifier=urn:oid:{ARC}.2.{number}")
    assert [each["url"].rpartition("-")[2] for each in list_["extension"]] == ["HomeCommunityId", "sourceId"]


def test_uncontained_resources_of_the_bundle_and_of_the_server(node: Face) -> None:
    number, doctor = next_(), "urn:uuid:aaaaaaaa-bbbb-4ccc-8ddd-00000000000d"
    practitioner = {"resourceType": "Practitioner", "name": [{"family": "外科", "given": ["花子"]}]}
    sent = bundle(
        entry(SET, submission_set(number)),
        entry(DOCUMENT, reference(number, contained=reference()["contained"][1:], author=[{"reference": doctor}], subject={"reference": f"Patient/{node.patient()}"})),
        entry(BINARY, binary()),
        entry(doctor, practitioner),
        level="UnContained.Comprehensive",
    )  # fmt: skip
    answer = send(node, sent)
    assert "location" not in answer["entry"][3]["response"] and "outcome" in answer["entry"][3]["response"]
    (found,) = documents(node, number)
    assert found["contained"][0]["name"][0]["family"] == "外科"
    comprehensive = {**sent, "meta": {"profile": [PROFILE.format("Comprehensive")]}}
    assert "contained" in send(node, comprehensive, 400)["issue"][0]["diagnostics"]


@pytest.mark.parametrize("how", ["reference", "absolute", "identifier", "affinity domain", "bundle", "contained"])
def test_the_patient_by_every_name(node: Face, how: str) -> None:
    number, url, id_ = next_(), "urn:uuid:aaaaaaaa-bbbb-4ccc-8ddd-00000000000a", node.patient()
    known = {"resourceType": "Patient", "identifier": [{"system": f"urn:oid:{FACILITY}", "value": TARO}]}
    domain = node.matches("/DocumentReference", f"patient={id_}&status=current")[0]["subject"]["identifier"]
    subject: Json = {
        "reference": {"reference": f"Patient/{id_}"},
        "absolute": {"reference": f"{BASE}/Patient/{id_}"},
        "identifier": {"identifier": known["identifier"][0]},
        "affinity domain": {"identifier": domain},
        "bundle": {"reference": url},
        "contained": {"reference": "#p"},
    }[how]
    contained = [*reference()["contained"], {**known, "id": "p"}] if how == "contained" else reference()["contained"]
    set_ = submission_set(number, subject=subject, contained=[{**known, "id": "p"}] if how == "contained" else None)
    document = reference(number, subject=subject, contained=contained)
    entries = [entry(SET, set_), entry(DOCUMENT, document), entry(BINARY, binary())]
    answer = send(node, bundle(*entries, *([entry(url, known)] if how == "bundle" else [])))
    assert documents(node, number)[0]["subject"]["identifier"] == domain
    if how == "bundle":
        assert answer["entry"][3]["response"]["location"] == f"Patient/{id_}"


def test_several_documents_and_a_folder_in_any_order(node: Face) -> None:
    first, second = next_(), next_()
    other, other_binary = DOCUMENT[:-1] + "8", BINARY[:-1] + "9"
    sent = bundle(
        entry(FOLDER, folder(first, DOCUMENT, other)),
        entry(BINARY, binary()),
        entry(other, reference(second, b"two", "text/plain", other_binary)),
        entry(other_binary, binary(b"two", "text/plain")),
        entry(SET, submission_set(first, DOCUMENT, other, FOLDER)),
        entry(DOCUMENT, reference(first)),
    )
    answer = send(node, sent)
    assert [part["response"]["location"].partition("/")[0] for part in answer["entry"]] == [
        "List", "Binary", "DocumentReference", "Binary", "List", "DocumentReference",
    ]  # fmt: skip
    (found,) = node.matches("/List", f"identifier=urn:oid:{ARC}.3.{first}&code=folder")
    ids = {documents(node, number)[0]["id"] for number in (first, second)}
    assert {item["item"]["reference"].removeprefix("DocumentReference/") for item in found["entry"]} == ids
    (set_,) = node.matches("/List", f"identifier=urn:oid:{ARC}.2.{first}")
    assert len(set_["entry"]) == 3 and found["date"] > "2026"
    included = node.json("/List", f"identifier=urn:oid:{ARC}.2.{first}&_include=List:item")["entry"]
    assert [each["resource"]["resourceType"] for each in included] == [
        "List",
        "DocumentReference",
        "DocumentReference",
        "List",
    ]


@pytest.mark.parametrize("how", ["url", "absolute", "uuid", "uniqueId"])
@pytest.mark.parametrize("kind", ["replaces", "appends", "transforms", "signs"])
def test_relations_to_what_is_registered(node: Face, kind: str, how: str) -> None:
    old, new = next_(), next_()
    send(node, one(old))
    (before,) = documents(node, old)
    target: Json = {
        "url": {"reference": f"DocumentReference/{before['id']}"},
        "absolute": {"reference": f"{BASE}/DocumentReference/{before['id']}"},
        "uuid": {"identifier": before["identifier"][0]},
        "uniqueId": {"identifier": before["masterIdentifier"]},
    }[how]
    send(node, one(new, relatesTo=[{"code": kind, "target": target}]))
    (after,) = documents(node, new)
    assert after["relatesTo"] == [{"code": kind, "target": {"reference": f"DocumentReference/{before['id']}"}}]
    assert documents(node, old)[0]["status"] == ("superseded" if kind == "replaces" else "current")
    if kind == "replaces":
        answer = send(node, one(next_(), relatesTo=[{"code": kind, "target": target}]), status=409)
        assert answer["issue"][0]["details"]["text"] == "XDSRegistryDeprecatedDocumentError".replace(
            "Registry", "Repository"
        )


def test_the_update_of_what_is_replaced(node: Face) -> None:
    old, new = next_(), next_()
    send(node, one(old))
    (before,) = documents(node, old)
    path = f"DocumentReference/{before['id']}"
    update = {"fullUrl": f"{BASE}/{path}", "resource": {**reference(old), "id": before["id"], "status": "superseded"}}
    update["request"] = {"method": "PUT", "url": path}
    sent = one(new, relatesTo=[{"code": "replaces", "target": {"reference": path}}])
    answer = send(node, {**sent, "entry": [*sent["entry"], update]})
    assert answer["entry"][3]["response"] == {**answer["entry"][3]["response"], "status": "200 OK", "location": path}
    assert documents(node, old)[0]["status"] == "superseded"
    lone = one(next_())
    assert send(node, {**lone, "entry": [*lone["entry"], update]}, status=400)


def test_hash_as_the_published_examples_write_it(node: Face) -> None:
    number, content = next_(), reference()["content"]
    content[0]["attachment"]["hash"] = b64encode(hashlib.sha1(PDF).hexdigest().encode()).decode()
    send(node, one(number, content=content))
    assert (
        documents(node, number)[0]["content"][0]["attachment"]["hash"] == b64encode(hashlib.sha1(PDF).digest()).decode()
    )


def test_a_fhir_document_is_published_as_it_is(node: Face) -> None:
    number = next_()
    inner = {
        "resourceType": "Bundle",
        "type": "document",
        "identifier": {"system": "urn:x", "value": "1"},
        "timestamp": "2026-01-01T00:00:00Z",
    }
    composition = {
        "resourceType": "Composition",
        "status": "final",
        "type": code("18842-5"),
        "date": "2026-01-01",
        "title": "t",
        "author": [{"display": "d"}],
    }
    inner["entry"] = [{"fullUrl": "urn:uuid:aaaaaaaa-bbbb-4ccc-8ddd-0000000000aa", "resource": composition}]
    content = reference()["content"]
    content[0]["attachment"] = {
        name: value for name, value in content[0]["attachment"].items() if name not in ("hash", "size")
    } | {"contentType": "application/fhir+json"}
    sent = bundle(
        entry(SET, submission_set(number)), entry(DOCUMENT, reference(number, content=content)),
        {"fullUrl": BINARY, "resource": inner, "request": {"method": "POST", "url": "Bundle"}},
    )  # fmt: skip
    send(node, sent)
    (found,) = documents(node, number)
    url = found["content"][0]["attachment"]["url"].removeprefix(BASE)
    assert orjson.loads(node.content(node.ask(url, accept="application/fhir+json"))) == inner


def test_the_other_parts_of_a_submission_set(node: Face) -> None:
    number = next_()
    recipient = {
        "resourceType": "Practitioner",
        "id": "to",
        "telecom": [{"system": "email", "value": "dr@hospital.example"}],
    }
    institution = {"resourceType": "Organization", "id": "from", "name": "見本病院"}
    extensions = [
        *submission_set(number)["extension"],
        {"url": f"{EXTENSION}intendedRecipient", "valueReference": {"reference": "#to"}},
    ]
    source = {"extension": [{"url": f"{EXTENSION}authorOrg", "valueReference": {"reference": "#from"}}]}
    set_ = submission_set(
        number, contained=[recipient, institution], extension=extensions, source=source, note=[{"text": "急ぎ"}]
    )
    send(node, one(number, set_=set_))
    (found,) = node.matches("/List", f"identifier=urn:oid:{ARC}.2.{number}")
    assert found["note"] == [{"text": "急ぎ"}]
    assert found["contained"][0]["telecom"] == recipient["telecom"]
    assert found["contained"][1]["name"] == "見本病院"
    assert found["source"]["extension"][0]["valueReference"] == {"reference": "#author-1"}


def test_references_that_xds_cannot_hold_are_named(node: Face) -> None:
    number = next_()
    context = {
        **reference()["context"],
        "related": [{"identifier": {"system": "urn:oid:1.2.3", "value": "77"}}, {"reference": "ServiceRequest/1"}],
        "encounter": [{"identifier": {"system": "urn:oid:1.2.4", "value": "V1"}}],
    }
    answer = send(node, one(number, context=context))
    (issue,) = answer["entry"][1]["response"]["outcome"]["issue"]
    assert issue["severity"] == "warning" and "related[1]" in issue["expression"][0]
    (found,) = documents(node, number)
    assert found["context"]["encounter"][0]["identifier"]["value"] == "V1"
    hits = node.matches(
        "/DocumentReference", f"patient={node.patient()}&status=current&related:identifier=urn:oid:1.2.3|77"
    )
    assert [hit["id"] for hit in hits] == [found["id"]]


M = "XDSRepositoryMetadataError"


def without(made: Json, *path: Any) -> Json:
    """A copy without the element at the path."""
    copy = orjson.loads(orjson.dumps(made))
    at = copy
    for step in path[:-1]:
        at = at[step]
    del at[path[-1]]
    return copy  # type: ignore[no-any-return]


def with_(made: Json, value: Any, *path: Any) -> Json:
    copy = orjson.loads(orjson.dumps(made))
    at = copy
    for step in path[:-1]:
        at = at[step]
    at[path[-1]] = value
    return copy  # type: ignore[no-any-return]


S, D, B = ("entry", 0, "resource"), ("entry", 1, "resource"), ("entry", 2, "resource")
ATTACHMENT = (*D, "content", 0, "attachment")
LEVEL = ("meta", "profile", 0)
FAULTS: list[tuple[str, Any, str, str]] = [
    ("no profile", lambda b: without(b, "meta"), M, "Bundle.meta.profile"),
    ("another profile", lambda b: with_(b, PROFILE.format("Maximal"), *LEVEL), M, "Bundle.meta.profile"),
    ("no set", lambda b: with_(b, b["entry"][1:], "entry"), M, "Bundle.entry"),
    ("two sets", lambda b: with_(b, [*b["entry"], entry(FOLDER, submission_set(9))], "entry"), M, "Bundle.entry"),
    ("no sourceId", lambda b: with_(b, b["entry"][0]["resource"]["extension"][1:], *S, "extension"), M, "entry[0].resource.extension"),
    ("no uniqueId of the set", lambda b: with_(b, b["entry"][0]["resource"]["identifier"][:1], *S, "identifier"), M, "entry[0].resource.identifier"),
    ("no submission time", lambda b: without(b, *S, "date"), M, "entry[0].resource.date"),
    ("no designation", lambda b: with_(b, b["entry"][0]["resource"]["extension"][:1], *S, "extension"), M, "entry[0].resource.extension"),
    ("a snapshot", lambda b: with_(b, "snapshot", *S, "mode"), M, "entry[0].resource.mode"),
    ("a retired set", lambda b: with_(b, "retired", *S, "status"), M, "entry[0].resource.status"),
    ("a set of no kind", lambda b: with_(b, code("other"), *S, "code"), M, "entry[0].resource.code"),
    ("no patient of the set", lambda b: without(b, *S, "subject"), M, "entry[0].resource.subject"),
    ("no patient", lambda b: without(b, *D, "subject"), M, "entry[1].resource.subject"),
    ("an unknown patient", lambda b: with_(b, "404", *D, "subject", "identifier", "value"), "XDSUnknownPatientId", "entry[1].resource.subject"),
    ("two patients", lambda b: with_(b, "0001000111", *D, "subject", "identifier", "value"), "XDSPatientIdDoesNotMatch", "entry[0].resource.subject"),
    ("no masterIdentifier", lambda b: without(b, *D, "masterIdentifier"), M, "entry[1].resource.masterIdentifier"),
    ("a masterIdentifier that is no OID", lambda b: with_(b, "abc", *D, "masterIdentifier", "value"), M, "entry[1].resource.masterIdentifier"),
    ("an entryUUID that is none", lambda b: with_(b, [{"value": "urn:uuid:1"}], *D, "identifier"), M, "entry[1].resource.identifier"),
    ("superseded", lambda b: with_(b, "superseded", *D, "status"), M, "entry[1].resource.status"),
    ("docStatus", lambda b: with_(b, "final", *D, "docStatus"), M, "entry[1].resource.docStatus"),
    ("no type", lambda b: without(b, *D, "type"), M, "entry[1].resource.type"),
    ("a type in words", lambda b: with_(b, {"text": "紹介状"}, *D, "type"), M, "entry[1].resource.type"),
    ("no category", lambda b: without(b, *D, "category"), M, "entry[1].resource.category"),
    ("no label", lambda b: without(b, *D, "securityLabel"), M, "entry[1].resource.securityLabel"),
    ("no facility", lambda b: without(b, *D, "context", "facilityType"), M, "entry[1].resource.context.facilityType"),
    ("no setting", lambda b: without(b, *D, "context", "practiceSetting"), M, "entry[1].resource.context.practiceSetting"),
    ("no source patient", lambda b: without(without(b, *D, "contained", 1), *D, "context", "sourcePatientInfo"), M, "entry[1].resource.context.sourcePatientInfo"),
    ("an author who is not there", lambda b: with_(b, "#nobody", *D, "author", 0, "reference"), M, "entry[1].resource.author[0]"),
    ("no language", lambda b: without(b, *ATTACHMENT, "language"), M, "content[0].attachment"),
    ("no creation", lambda b: without(b, *ATTACHMENT, "creation"), M, "content[0].attachment"),
    ("no media type", lambda b: without(b, *ATTACHMENT, "contentType"), M, "attachment.contentType"),
    ("no format", lambda b: without(b, *D, "content", 0, "format"), M, "content[0].format"),
    ("a wrong hash", lambda b: with_(b, "AAAA", *ATTACHMENT, "hash"), M, "attachment.hash"),
    ("a wrong size", lambda b: with_(b, 1, *ATTACHMENT, "size"), M, "attachment.size"),
    ("a document elsewhere", lambda b: with_(b, "http://10.0.0.1/secret", *ATTACHMENT, "url"), "XDSMissingDocument", "attachment.url"),
    ("a document in a file", lambda b: with_(b, "file:///etc/passwd", *ATTACHMENT, "url"), "XDSMissingDocument", "attachment.url"),
    ("no document", lambda b: with_(b, b["entry"][:2], "entry"), "XDSMissingDocument", "attachment.url"),
    ("another media type of the Binary", lambda b: with_(b, "text/plain", *B, "contentType"), M, "attachment.contentType"),
    ("no base64", lambda b: with_(b, "####", *B, "data"), M, "entry[2].resource.data"),
    ("two contents", lambda b: with_(b, [b["entry"][1]["resource"]["content"][0]] * 2, *D, "content"), M, "entry[1].resource.content"),
    ("an unlisted document", lambda b: with_(b, [], *S, "entry"), M, "entry[0].resource.entry"),
    ("an item that is nothing", lambda b: with_(b, "urn:uuid:zzz", *S, "entry", 0, "item", "reference"), "UnresolvedReferenceException", "entry[0].resource.entry[0].item"),
    ("a relation to nothing", lambda b: with_(b, [{"code": "replaces", "target": {"reference": "DocumentReference/x"}}], *D, "relatesTo"), "UnresolvedReferenceException", "relatesTo[0].target"),
    ("a foreign resource", lambda b: with_(b, [*b["entry"], entry(FOLDER, {"resourceType": "Observation", "status": "final", "code": code("1")})], "entry"), M, "entry[3].resource"),
    ("an element that is none", lambda b: with_(b, "x", *D, "colour"), M, "entry[1].resource"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("change", "name", "where"), [fault[1:] for fault in FAULTS], ids=[fault[0] for fault in FAULTS]
)
def test_each_fault_by_its_code_and_nothing_is_stored(node: Face, change: Any, name: str, where: str) -> None:
    before = counts(node)
    answer = send(node, change(one(next_())), status=400)
    found = [(issue["details"]["text"], issue["expression"][0]) for issue in answer["issue"]]
    assert any(each[0] == name and where in each[1] for each in found), found
    assert counts(node) == before
    assert TARO not in orjson.dumps(answer).decode()
    assert node.audits()[-1][:4] == ("110107", "ITI-65", "C", 4)


def test_all_or_nothing(node: Face) -> None:
    number, before = next_(), counts(node)
    other = DOCUMENT[:-1] + "8"
    sent = bundle(
        entry(SET, submission_set(number, DOCUMENT, other)),
        entry(DOCUMENT, reference(number)),
        entry(other, reference(number, subject={"identifier": {"system": "urn:oid:9.9", "value": "x"}})),
        entry(BINARY, binary()),
    )
    send(node, sent, status=400)
    assert counts(node) == before and documents(node, number) == []


def test_known_numbers(node: Face) -> None:
    number = next_()
    send(node, one(number))
    set_ = submission_set(next_())
    send(node, one(number, set_=set_))  # the same bytes again are another submission of the same document
    changed = bundle(
        entry(SET, submission_set(next_())), entry(DOCUMENT, reference(number, b"else")), entry(BINARY, binary(b"else"))
    )
    answer = send(node, changed, status=409)
    assert answer["issue"][0]["details"]["text"] == "XDSNonIdenticalHash"


def test_two_documents_with_one_number(node: Face) -> None:
    number, other = next_(), DOCUMENT[:-1] + "8"
    sent = bundle(
        entry(SET, submission_set(number, DOCUMENT, other)), entry(DOCUMENT, reference(number)),
        entry(other, reference(number)), entry(BINARY, binary()),
    )  # fmt: skip
    names = [issue["details"]["text"] for issue in send(node, sent, status=400)["issue"]]
    assert names == ["XDSRepositoryDuplicateUniqueIdInMessage"]


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"{", {}, 400),
        (b"[]", {}, 400),
        (b'{"resourceType":"Patient"}', {}, 400),
        (b'{"resourceType":"Bundle","type":"batch"}', {}, 400),
        (b'{"resourceType":"Bundle","type":"transaction"}', {"content_type": "text/plain"}, 415),
        (b'{"resourceType":"Bundle","type":"transaction"}', {"accept": "text/html"}, 406),
        (b'<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><Bundle xmlns="http://hl7.org/fhir"/>', {"content_type": "application/fhir+xml"}, 400),
        (b'{"resourceType":"Bundle","type":"transaction","entry":[' + b"[" * 100 + b"]" * 100 + b"]}", {}, 413),
        (b'{"resourceType":"Bundle","type":"transaction","entry":5}', {}, 400),
        (b'{"resourceType":"Bundle","type":"transaction","entry":[5]}', {}, 400),
    ],
)  # fmt: skip
def test_what_is_no_bundle(node: Face, body: bytes, headers: dict[str, str], status: int) -> None:
    before = counts(node)
    answer = node.ask("/", method="POST", body=body, **{"content_type": JSON, **headers})
    assert answer.status == status and b"OperationOutcome" in answer.body
    assert counts(node) == before


def test_a_large_document(node: Face) -> None:
    number, content = next_(), bytes(range(256)) * 32_768  # 8 MB
    sent = bundle(
        entry(SET, submission_set(number)), entry(DOCUMENT, reference(number, content)), entry(BINARY, binary(content))
    )
    send(node, sent)
    (found,) = documents(node, number)
    answer = node.ask(found["content"][0]["attachment"]["url"].removeprefix(BASE))
    assert hashlib.sha256(node.content(answer)).digest() == hashlib.sha256(content).digest()


# -- ITI-105 ---------------------------------------------------------------------------------------------------------


def simplified(number: int, **more: Any) -> Json:
    content = reference()["content"]
    attachment = {name: value for name, value in content[0]["attachment"].items() if name != "url"}
    return reference(
        number, content=[{**content[0], "attachment": {**attachment, "data": b64encode(PDF).decode()}}], **more
    )


def publish(node: Face, sent: Json, status: int, **headers: str) -> Any:
    answer = node.ask("/DocumentReference", method="POST", body=orjson.dumps(sent), content_type=JSON, **headers)
    assert answer.status == status, answer.body
    return answer


def test_simplified_publish(node: Face) -> None:
    number = next_()
    answer = publish(node, simplified(number), 201)
    found = orjson.loads(answer.body)
    assert dict(answer.headers)["Location"] == f"{BASE}/DocumentReference/{found['id']}"
    assert documents(node, number) == [found] and "data" not in found["content"][0]["attachment"]
    assert node.content(node.ask(found["content"][0]["attachment"]["url"].removeprefix(BASE))) == PDF
    sets = node.matches(
        "/List", f"patient={node.patient()}&code=submissionset&status=current&sourceId=urn:oid:1.2.392.200119.99999.1"
    )
    assert any(f"DocumentReference/{found['id']}" in orjson.dumps(each).decode() for each in sets)
    assert any(record[:4] == ("110107", "ITI-105", "C", 0) for record in node.audits())
    assert publish(node, simplified(next_()), 201, prefer="return=minimal").body == b""


def test_simplified_publish_refuses(node: Face) -> None:
    publish(node, reference(next_()), 400)
    publish(node, simplified(next_(), subject=None), 400)
    publish(node, simplified(next_(), masterIdentifier=None), 400)
    publish(node, {"resourceType": "Patient"}, 400)


def test_the_capability_statement_lists_them(node: Face) -> None:
    rest = node.json("/metadata")["rest"][0]
    assert rest["interaction"][0]["code"] == "transaction"
    resources = {each["type"]: each for each in rest["resource"]}
    assert {"code": "create"} in resources["DocumentReference"]["interaction"] and "List" in resources
    assert DOMAIN and LOINC


def test_the_identifiers_of_the_published_examples(node: Face) -> None:
    """The OID stands as `official`, a number of no OID as `usual`: that one has no place in XDS, and is named."""
    numbers = [
        {"use": "official", "system": "urn:ietf:rfc:3986", "value": "urn:oid:1.2.129.6.58.92.88337.5"},
        {"use": "usual", "system": "http://example.org/documents", "value": "23425234-23470-5"},
    ]
    made = bundle(
        entry(SET, submission_set(identifier=numbers)), entry(DOCUMENT, reference()), entry(BINARY, binary()),
        level="Minimal",
    )  # fmt: skip
    answer = node.json("/", method="POST", body=orjson.dumps(made), content_type="application/fhir+json")
    first = answer["entry"][0]["response"]
    (issue,) = first["outcome"]["issue"]
    assert issue["severity"] == "warning" and issue["expression"] == ["Bundle.entry[0].resource.identifier[1]"]
    stored = node.json(f"/{first['location']}")
    assert numbers[0]["value"] in {one["value"] for one in stored["identifier"]}
