"""Documents made when asked for: what is in them, that they are the same for the same content, and the snapshot."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest
from lxml import etree

from gateway.codec import ebxml, ebxml_read
from gateway.errors import TooManyResults, UnknownDocument, UnknownPatient
from gateway.ihe import iti43, iti61
from gateway.model.caller import UNRESTRICTED, Scope
from gateway.model.code import Code
from gateway.model.document import IS_SNAPSHOT_OF, ON_DEMAND
from gateway.profiles.validator import Validator
from gateway.services.ondemand import gathering
from gateway.services.ondemand.kinds import LOINC, kinds
from gateway.services.ondemand.making import OnDemand
from tests.registry_parts import Registry, document, registry, simple
from tests.services.ondemand.parts import RESOURCES, fill, observation

pytestmark = pytest.mark.usefixtures("each_engine")

CDA = "{urn:hl7-org:v3}"


@pytest.fixture
def r(tmp_path: Path) -> Iterator[Registry]:
    with registry(tmp_path) as one:
        fill(one.store)
        assert one.services.changing is not None
        made = OnDemand(one.store.resources, one.store.identities, "結びの里", "http://h/fhir", one.services.changing)
        one.services = replace(one.services, ondemand=made)
        yield one


def registered(r: Registry, kind: str, mime: str = "application/fhir+json", number: int = 1, **changes: object) -> str:
    """uniqueId of an on-demand entry of this kind."""
    said: dict[str, object] = {
        "objectType": ON_DEMAND, "hash": "", "size": 0, "creationTime": "", "serviceStartTime": "", "mimeType": mime,
        "typeCode": Code(kinds()[kind].loinc, LOINC, "x"),
    }  # fmt: skip
    entry = document(r.patient, number, **(said | changes))
    assert r.codes(iti61.TRANSACTION, simple(r.patient, entry, number=number)) == []
    return entry.uniqueId


def make(r: Registry, unique_id: str, scope: Scope = UNRESTRICTED) -> Any:
    assert r.services.ondemand is not None
    (entry,) = r.services.documents.by_unique_id((unique_id,), scope)
    return r.services.ondemand.make(entry, scope)


def entries(content: bytes) -> dict[str, dict[str, Any]]:
    bundle = orjson.loads(content)
    assert bundle["type"] == "document" and bundle["identifier"]["value"].startswith("urn:uuid:")
    return {one["fullUrl"].removeprefix("http://h/fhir/"): one["resource"] for one in bundle["entry"]}


def test_the_summary_holds_each_resource_as_it_is_stored(r: Registry) -> None:
    found = entries(make(r, registered(r, "summary")).content)
    composition, *_ = found.values()
    assert composition["resourceType"] == "Composition"
    sections = {one["code"]["coding"][0]["code"]: one for one in composition["section"]}
    assert [one["reference"] for one in sections["11450-4"]["entry"]] == ["Condition/c1"]
    assert {one["reference"] for one in sections["30954-2"]["entry"]} == {f"Observation/o{n}" for n in (1, 2, 3)}
    for empty in ("48765-2", "10160-0", "47519-4", "11369-6"):
        assert "entry" not in sections[empty] and sections[empty]["emptyReason"]["coding"][0]["code"] == "unavailable"
    for one in RESOURCES:
        stored = r.store.resources.read(one["resourceType"], one["id"], UNRESTRICTED)
        assert stored is not None and found[f"{stored.type}/{stored.id}"] == orjson.loads(stored.body)
    assert "&lt;糖尿病&gt;" in sections["11450-4"]["text"]["div"]


def test_the_document_passes_the_check_of_r4(r: Registry) -> None:
    content = make(r, registered(r, "summary")).content
    for one in (orjson.loads(content), *entries(content).values()):
        if one["resourceType"] in ("Bundle", "Composition", "Device"):
            findings = Validator.default().check(one)
            assert [finding for finding in findings if finding.severity in ("error", "fatal")] == []


def test_an_independent_reader_takes_it(r: Registry) -> None:
    bundle = pytest.importorskip("fhir.resources.R4B.composition")
    composition, *_ = entries(make(r, registered(r, "summary")).content).values()
    bundle.Composition.model_validate(composition)


def test_the_same_content_is_the_same_document_and_another_is_another(r: Registry) -> None:
    unique_id = registered(r, "summary")
    one, again = make(r, unique_id), make(r, unique_id)
    assert one == again and one.uniqueId.startswith("2.25.")
    fill(r.store, *RESOURCES, observation("o9", "2026-03-01"))
    other = make(r, unique_id)
    assert other.uniqueId != one.uniqueId and other.content != one.content


@pytest.mark.parametrize(
    ("start", "stop", "expected"),
    [
        ("", "", {"o1", "o2"}),
        ("20260101", "20260131", {"o1"}),
        ("20260111", "", {"o2"}),
        ("", "202601", {"o1"}),
        ("2027", "", set()),
        ("20260109150000", "20260109155959", {"o1"}),
    ],
)
def test_laboratory_results_of_a_period(r: Registry, start: str, stop: str, expected: set[str]) -> None:
    """Of the laboratory alone; a day of the hospital begins at 15:00 UTC of the day before."""
    unique_id = registered(r, "laboratory", serviceStartTime=start, serviceStopTime=stop)
    found = entries(make(r, unique_id).content)
    assert {address.removeprefix("Observation/") for address in found if address.startswith("Obs")} == expected


def test_the_summary_as_cda_says_the_same_lines(r: Registry) -> None:
    root = etree.fromstring(make(r, registered(r, "summary", "text/xml")).content)
    assert root.tag == f"{CDA}ClinicalDocument"
    order = [etree.QName(one).localname for one in root]
    assert order == [
        "typeId", "id", "code", "title", "effectiveTime", "confidentialityCode", "languageCode", "recordTarget",
        "author", "custodian", "component",
    ]  # fmt: skip
    assert root.findtext(f".//{CDA}patient/{CDA}name/{CDA}family") == "見本"
    assert root.find(f".//{CDA}administrativeGenderCode").get("code") == "F"  # type: ignore[union-attr]
    lines = [item.text for item in root.iter(f"{CDA}item")]
    assert "2020-01-02 高血圧 & <糖尿病>" in lines and "2026-01-10 クレアチニン 1 mg/dL" in lines
    assert len(list(root.iter(f"{CDA}section"))) == 6


def test_what_is_no_document_of_ours_is_unknown(r: Registry) -> None:
    for number, (kind, mime) in enumerate((("summary", "application/pdf"), ("medications", "text/xml")), start=1):
        with pytest.raises(UnknownDocument):
            make(r, registered(r, kind, mime, number))
    with pytest.raises(UnknownDocument):
        make(r, registered(r, "summary", number=3, typeCode=Code("1", LOINC, "x")))


def test_nobody_is_shown_what_his_scope_hides(r: Registry) -> None:
    unique_id = registered(r, "summary")
    hidden = Scope(patients=None, confidentiality=None, excluded_facilities=frozenset({"1.2.392.200119.99999.2"}))
    (entry,) = r.services.documents.by_unique_id((unique_id,), UNRESTRICTED)
    assert r.services.ondemand is not None
    with pytest.raises(UnknownPatient):
        r.services.ondemand.make(entry, hidden)


def test_a_person_with_too_much_is_an_error_and_no_half_document(r: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    unique_id = registered(r, "summary")
    monkeypatch.setattr(gathering, "MAX_RESOURCES", 2)
    with pytest.raises(TooManyResults):
        make(r, unique_id)


def retrieved(r: Registry, unique_id: str) -> Any:
    body = ebxml.retrieve_request([("", "1.2.392.200119.99999.1.2", unique_id)])
    return r.send(iti43.TRANSACTION, body)


def test_retrieve_names_the_document_that_was_made(r: Registry) -> None:
    unique_id = registered(r, "summary")
    before = r.counts()
    said = b"".join(retrieved(r, unique_id).body)
    made = make(r, unique_id)
    assert f"<xds:NewDocumentUniqueId>{made.uniqueId}</xds:NewDocumentUniqueId>".encode() in said
    assert b"NewRepositoryUniqueId" not in said and made.content in said
    assert r.counts() == before, "nothing is kept unless it is configured"


def test_a_snapshot_is_kept_once_and_tied_to_its_entry(r: Registry) -> None:
    unique_id = registered(r, "summary")
    assert r.services.ondemand is not None
    r.services = replace(r.services, ondemand=replace(r.services.ondemand, snapshots=True))
    said = b"".join(retrieved(r, unique_id).body)
    assert b"<xds:NewRepositoryUniqueId>1.2.392.200119.99999.1.2</xds:NewRepositoryUniqueId>" in said
    kept = r.counts()
    made = make(r, unique_id)
    assert r.counts() == kept, "the same document is one snapshot"
    assert [(one.associationType, one.targetObject) for one in r.links(made.uniqueId) if one.associationType == IS_SNAPSHOT_OF] == [
        (IS_SNAPSHOT_OF, r.one(unique_id).entryUUID)
    ]  # fmt: skip
    stable = b"".join(retrieved(r, made.uniqueId).body)
    assert made.content in stable and b"NewDocumentUniqueId" not in stable
    assert ebxml_read.read_object(r.one(made.uniqueId)).mimeType == "application/fhir+json"  # type: ignore[union-attr]
