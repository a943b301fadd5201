from gateway.codec import fhir
from gateway.model.document import RPLC
from gateway.model.identity import PatientId
from gateway.model.outcome import StayEvent
from gateway.services.ingest.deriving import derivations, kept_resource, project, reindex

PROVENANCE = {"resourceType": "Provenance", "id": "v", "meta": {}, "target": [{"reference": "Observation/o"}]}


def test_a_resource_that_names_no_patient_belongs_to_the_patient_of_its_message() -> None:
    assert kept_resource(PROVENANCE, 0, "p").patient == "p"
    hospital = {"resourceType": "Organization", "id": "o", "meta": {}, "name": "H"}
    assert kept_resource(hospital, 1, "p").patient == ""


def test_indexing_stored_bytes_gives_what_was_indexed_when_they_were_made() -> None:
    first = kept_resource(PROVENANCE, 1, "p")
    assert reindex(first.body, 1, "p") == first


def test_the_hash_follows_the_bytes() -> None:
    changed = fhir.parse(fhir.render(PROVENANCE)) | {"recorded": "2026-01-01T00:00:00Z"}
    assert kept_resource(PROVENANCE, 0, "p").hash != kept_resource(changed, 0, "p").hash
    assert len(kept_resource(PROVENANCE, 0, "p").hash) == 16


def stay_event(data_type: str, time: str) -> StayEvent:
    fragment = {"resourceType": "Encounter", "meta": {}, "class": {"code": "IMP"}, "period": {}}
    return StayEvent("p", data_type, time, "20260101000000000", f"f|{data_type}|{time}", fragment=fragment)


def test_stays_are_projected_the_same_in_any_order() -> None:
    events = [stay_event("ADT-22", "2026-01-01T10:00:00+09:00"), stay_event("ADT-52", "2026-01-05T10:00:00+09:00")]
    assert project(events) == project(events[::-1])
    assert {kept.type for kept in project(events)} == {"Encounter"}
    assert all(kept.patient == "p" for kept in project(events))


def test_ids_are_deterministic() -> None:
    made = derivations("1.2.3")
    assert (
        made.association_id(RPLC, "a", "b")
        == made.association_id(RPLC, "a", "b")
        != made.association_id(RPLC, "b", "a")
    )
    assert made.enterprise_id([PatientId("1", "2")]) != derivations("1.2.4").enterprise_id([PatientId("1", "2")])
