"""Who is who, as answered. Implements ports.Identities; the rows are written by storage/keep_identity.py."""

from sqlalchemy import ColumnElement, Connection, Engine, select

from gateway.model.caller import Scope
from gateway.model.identity import PatientId
from gateway.storage.schema import identity, identity_patient


class IdentityTable:
    """ports.Identities over one database. `affinity_domain`: OID under which enterprise ids are ids themselves."""

    def __init__(self, engine: Engine, affinity_domain: str) -> None:
        self._engine, self._affinity_domain = engine, affinity_domain

    def enterprise_id(self, patient: PatientId, scope: Scope) -> str | None:
        """None also for a shared id whose holders are not all one person, and for a person the scope does not see."""
        wanted = select(identity.c.eid).limit(1)
        if patient.authority == self._affinity_domain:
            wanted = wanted.where(identity.c.eid == patient.value)
        else:
            wanted = wanted.where(identity.c.authority == patient.authority, identity.c.value == patient.value)
        with self._engine.connect() as connection:
            eid = connection.execute(wanted).scalar()
            return eid if eid and _visible(connection, eid, scope) else None

    def identifiers(self, enterprise_id: str, scope: Scope) -> tuple[PatientId, ...]:
        wanted = select(identity.c.value, identity.c.authority).where(identity.c.eid == enterprise_id)
        with self._engine.connect() as connection:
            if not _visible(connection, enterprise_id, scope):
                return ()
            hidden = _hidden(connection, enterprise_id, scope)
            ids = [PatientId(*row) for row in connection.execute(wanted)]
        return tuple(sorted((id_ for id_ in ids if id_ not in hidden), key=lambda id_: (id_.authority, id_.value)))

    def patients(self, enterprise_id: str, scope: Scope) -> tuple[str, ...]:
        wanted = (
            select(identity_patient.c.patient)
            .where(identity_patient.c.eid == enterprise_id, *_facilities(scope))
            .order_by(identity_patient.c.patient)
        )
        with self._engine.connect() as connection:
            if not _visible(connection, enterprise_id, scope):
                return ()
            return tuple(connection.execute(wanted).scalars())


def _visible(connection: Connection, eid: str, scope: Scope) -> bool:
    """Allowed by patient, and known at a facility that is not hidden."""
    if scope.patients is not None and eid not in scope.patients:
        return False
    wanted = select(identity_patient.c.patient).where(identity_patient.c.eid == eid, *_facilities(scope)).limit(1)
    return connection.execute(wanted).first() is not None


def _facilities(scope: Scope) -> list[ColumnElement[bool]]:
    excluded = sorted(scope.excluded_facilities)
    return [identity_patient.c.facility.not_in(excluded)] if excluded else []


def _hidden(connection: Connection, eid: str, scope: Scope) -> set[PatientId]:
    """Numbers the person has at hidden facilities."""
    if not scope.excluded_facilities:
        return set()
    wanted = select(identity_patient.c.value, identity_patient.c.authority).where(
        identity_patient.c.eid == eid, identity_patient.c.facility.in_(sorted(scope.excluded_facilities))
    )
    return {PatientId(*row) for row in connection.execute(wanted)}
