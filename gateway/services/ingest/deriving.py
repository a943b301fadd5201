"""Pure functions that storage calls inside its transaction (ports.Derivations), made of the layers it must not import."""

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any

from gateway.codec import fhir
from gateway.model.identity import PatientId
from gateway.model.ingest import Kept
from gateway.model.outcome import StayEvent
from gateway.ports import Derivations, Describing
from gateway.services import identity
from gateway.services.search import index
from gateway.translate import document_entry, stay
from gateway.translate.exchange_spec import resend
from gateway.translate.ranks import CORRECTION


def derivations(affinity_domain: str, persons: Describing | None = None) -> Derivations:
    """`affinity_domain`: OID of the enterprise patient ids. `persons`: how the person index is kept."""
    return Derivations(
        reindex=reindex,
        project=project,
        unmatched=stay.unmatched,
        revise=revise,
        link=identity.link,
        enterprise_id=partial(_enterprise_id, affinity_domain),
        association_id=document_entry.association_id,
        persons=persons,
        retire=retire,
    )


def kept_resource(resource: dict[str, Any], rank: int, patient: str) -> Kept:
    """Rendered, indexed and hashed."""
    return Kept.of(index(resource, rank=rank, patient=patient if resource["resourceType"] not in NOBODYS else ""))


NOBODYS = frozenset({"Practitioner", "PractitionerRole", "Organization", "Location", "Medication"})
"""Types that are about no patient, whichever message they came in."""


def reindex(body: bytes, rank: int, patient: str) -> Kept:
    return Kept.of(index(fhir.parse(body), rank=rank, patient=patient))


def project(events: Sequence[StayEvent]) -> list[Kept]:
    """Encounters of stays and their Provenance, in the order they are made; of one id given twice the first counts."""
    found: dict[tuple[str, str], Kept] = {}
    for resource in stay.project(events):
        key = (resource["resourceType"], resource["id"])
        if key not in found:
            found[key] = kept_resource(resource, 0, events[0].patient)
    return list(found.values())


def revise(bodies: Sequence[bytes], earlier: str, patient: str) -> list[Kept]:
    """A resent record as a correction of what came before (exchange convention, 更新日時)."""
    parsed = [fhir.parse(body) for body in bodies]
    return [kept_resource(one, CORRECTION, patient) for one in resend.corrected(parsed, earlier)]


def retire(body: bytes, survivor: str) -> Kept:
    """A Patient whose number was merged into another: inactive, and it says which one to use (R4 Patient.link)."""
    patient = fhir.parse(body)
    link = {"other": {"reference": f"Patient/{survivor}"}, "type": "replaced-by"}
    others = [one for one in patient.get("link", ()) if one.get("type") != "replaced-by"]
    shown = {**patient, "active": False, "link": [*others, link]}
    return kept_resource(shown, CORRECTION, patient["id"])


def _enterprise_id(affinity_domain: str, cluster: Iterable[PatientId]) -> str:
    return identity.enterprise_id(affinity_domain, cluster)
