"""Who is who, as answered. Implements ports.Identities; the rows are written by storage/keep_identity.py."""

from collections.abc import Sequence

from gateway.model.caller import Scope
from gateway.model.identity import PatientId
from gateway.storage.engines import Lookups
from gateway.storage.scope import hidden_persons

_PERSON = (
    "SELECT eid, facility FROM identity_patient"
    " WHERE eid = coalesce((SELECT eid FROM identity WHERE authority = ? AND value = ?), ?)"
)
_RECORDS = "SELECT value, authority, facility, patient FROM identity_patient WHERE eid = ?"
_IDS = "SELECT value, authority FROM identity WHERE eid = ?"


class IdentityTable:
    """ports.Identities over one database. `affinity_domain`: OID under which enterprise ids are ids themselves."""

    def __init__(self, lookups: Lookups, affinity_domain: str) -> None:
        self._ask, self._affinity_domain = lookups, affinity_domain

    def enterprise_id(self, patient: PatientId, scope: Scope) -> str | None:
        """None also for a shared id whose holders are not all one person, and for a person the scope does not see."""
        # Our own number may stand for itself; one that was fed from outside stands in the table.
        own = patient.value if patient.authority == self._affinity_domain else None
        rows = self._ask.rows(_PERSON, (patient.authority, patient.value, own))
        if not rows or (scope.patients is not None and rows[0][0] not in scope.patients):
            return None
        hidden = self._dissent(str(rows[0][0]), [row[1] for row in rows], scope)
        return str(rows[0][0]) if any(row[1] not in hidden for row in rows) else None

    def identifiers(self, enterprise_id: str, scope: Scope) -> tuple[PatientId, ...]:
        if not self.visible(enterprise_id, scope):
            return ()
        hidden = self.hidden(enterprise_id, scope)
        ids = [PatientId(*row) for row in self._ask.rows(_IDS, (enterprise_id,))]
        return tuple(sorted((id_ for id_ in ids if id_ not in hidden), key=lambda id_: (id_.authority, id_.value)))

    def patients(self, enterprise_id: str, scope: Scope) -> tuple[str, ...]:
        if scope.patients is not None and enterprise_id not in scope.patients:
            return ()
        rows = self._ask.rows(_RECORDS, (enterprise_id,))
        hidden = self._dissent(enterprise_id, [row[2] for row in rows], scope)
        return tuple(sorted(patient for *_, facility, patient in rows if facility not in hidden))

    def visible(self, eid: str, scope: Scope) -> bool:
        """Allowed by patient, and known at a facility that is not hidden."""
        if scope.patients is not None and eid not in scope.patients:
            return False
        rows = self._ask.rows(_RECORDS, (eid,))
        hidden = self._dissent(eid, [row[2] for row in rows], scope)
        return any(row[2] not in hidden for row in rows)

    def hidden(self, eid: str, scope: Scope) -> set[PatientId]:
        """Numbers the person has at hidden facilities."""
        if not scope.excluded_facilities and scope.consent is None:
            return set()
        rows = self._ask.rows(_RECORDS, (eid,))
        hidden = self._dissent(eid, [row[2] for row in rows], scope)
        return {PatientId(row[0], row[1]) for row in rows if row[2] in hidden}

    def _dissent(self, eid: str, facilities: Sequence[str], scope: Scope) -> frozenset[str]:
        """Facilities of these that are hidden, by the scope or because the person said no."""
        if scope.consent is None:
            return scope.excluded_facilities
        said = hidden_persons(self._ask, scope, [(eid, facility) for facility in facilities])
        return scope.excluded_facilities | {facility for _, facility in said}
