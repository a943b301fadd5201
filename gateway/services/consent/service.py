"""The desk where consents are recorded: one version, its rules and its audit record in one commit."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from gateway.codec import fhir
from gateway.errors import InvalidParameter, UnknownPatient
from gateway.model.audit import AuditObject, AuditRecord
from gateway.model.caller import UNRESTRICTED, Caller
from gateway.model.clock import Chance, Clock
from gateway.model.consent import Consent, Source
from gateway.model.identity import PatientId
from gateway.ports import Consents, Identities, KnownFacts
from gateway.services.consent.provisions import understand
from gateway.services.persons import Persons

EVENT: Final = "110113"
"""DICOM EventID Security Alert; with type 110129, Security Attributes Changed, for a consent."""


@dataclass(frozen=True, slots=True)
class ConsentDesk:
    """Put together by gateway.app."""

    consents: Consents
    persons: Persons
    identities: Identities
    facts: KnownFacts
    clock: Clock
    chance: Chance

    def record(
        self,
        resource: Mapping[str, Any],
        caller: Caller,
        *,
        id_: str = "",
        expected: int | None = None,
        source: Source = "fhir",
        evidence: str = "",
        transaction: str = "ITI-108",
    ) -> Consent:
        """Stores the next version. Raises InvalidParameter (also Unenforceable), UnknownPatient, Conflict."""
        patient = self.patient_of(resource)
        understood = understand(resource, self._organization)
        id_ = id_ or str(self.chance.new_uuid())
        body = fhir.render(_ours(resource, id_))
        made = Consent(
            id_,
            0,
            understood.active,
            understood.category,
            str(patient),
            understood.given,
            understood.organizations,
            understood.rules,
            body,
            source,
            evidence,
            caller.user or caller.node,
        )
        audit = AuditRecord(
            EVENT,
            transaction,
            "C" if not expected and self.consents.read(id_) is None else "U",
            0,
            caller.user or caller.node,
            patient=str(patient),
            object=f"Consent/{id_}",
            detail="active" if understood.active else "withdrawn",
            objects=(AuditObject("consent", f"Consent/{id_}"),),
        ).by(caller)
        return self.consents.put(made, audit, expected)

    def patient_of(self, resource: Mapping[str, Any]) -> PatientId:
        """The person a Consent is about. Raises InvalidParameter, UnknownPatient."""
        given = resource.get("patient")
        given = given if isinstance(given, Mapping) else {}
        identifier = given.get("identifier")
        if isinstance(identifier, Mapping) and identifier.get("system") and identifier.get("value"):
            oid = self._authority(str(identifier["system"]))
            if not oid:
                raise InvalidParameter("Consent.patient.identifier is of an authority that is not known here")
            return PatientId(str(identifier["value"]), oid)
        kind, _, id_ = str(given.get("reference", "")).rpartition("/")
        if kind.rpartition("/")[2] != "Patient" or not id_:
            raise InvalidParameter("Consent.patient is a reference to a Patient, or its identifier")
        row = self.persons.index.by_patient(id_, UNRESTRICTED)
        if row is None:
            raise UnknownPatient("Consent.patient is not known here")
        return row.id

    def of_person(self, patient: PatientId) -> list[Consent]:
        """The newest versions of this person's consents, oldest first."""
        eid = self.identities.enterprise_id(patient, UNRESTRICTED)
        found = self.consents.find([eid], None, None, 0, 1000) if eid else []
        return [one for _, one in found]

    def _authority(self, system: str) -> str:
        for authority in self.persons.domains():
            names = {f"urn:oid:{authority.oid}", authority.oid, authority.patient_system, authority.namespace}
            if system in names or system in authority.aliases:
                return authority.oid
        return ""

    def _organization(self, reference: Mapping[str, Any]) -> str:
        """OID of an organisation: its identifier, or that of the facility an Organization here came from."""
        identifier = reference.get("identifier")
        if isinstance(identifier, Mapping) and identifier.get("value"):
            value = str(identifier["value"]).removeprefix("urn:oid:")
            return value if value[:2] in ("0.", "1.", "2.") else self._authority(value)
        kind, _, id_ = str(reference.get("reference", "")).rpartition("/")
        if kind.rpartition("/")[2] != "Organization" or not id_:
            return ""
        found = self.facts.of_resources("Organization", [id_]).get(id_)
        return found.facility if found else (id_ if id_[:2] in ("0.", "1.", "2.") else "")


def answered(consent: Consent) -> bytes:
    """As FHIR: with the version and the time it was recorded."""
    resource = fhir.parse(consent.body)
    meta = {"versionId": str(consent.version), "lastUpdated": consent.recorded, **resource.get("meta", {})}
    return fhir.render({**resource, "meta": meta})


def _ours(resource: Mapping[str, Any], id_: str) -> dict[str, Any]:
    meta = {key: value for key, value in resource.get("meta", {}).items() if key not in ("versionId", "lastUpdated")}
    rest = {key: value for key, value in resource.items() if key not in ("resourceType", "id", "meta")}
    return {"resourceType": "Consent", "id": id_, **({"meta": meta} if meta else {}), **rest}
