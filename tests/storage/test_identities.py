from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.model.caller import UNRESTRICTED, Scope
from gateway.model.identity import PatientId
from gateway.storage.opening import Storage
from tests.storage.making import DOMAIN, HOSPITAL, MEDICAL_ID, kept, message, outcome, record, storage

pytestmark = pytest.mark.usefixtures("each_engine")

OTHER = "1.2.392.200119.99999.22"
M1 = PatientId("M1", MEDICAL_ID)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Storage]:
    with storage(tmp_path) as made:
        for number, facility in (("1", HOSPITAL), ("2", OTHER)):
            patient = f"p{number}"
            resources = [kept("Patient", patient, number, patient=patient)]
            one = message("a", 0, number, number=number, facility=facility, resources=resources, shared=[M1])
            made.keeping.keep([outcome(one)], record)
        yield made


def eid(store: Storage, id_: PatientId, scope: Scope = UNRESTRICTED) -> str | None:
    return store.identities.enterprise_id(id_, scope)


def test_any_id_leads_to_the_person(store: Storage) -> None:
    found = {eid(store, id_) for id_ in (PatientId("1", HOSPITAL), PatientId("2", OTHER), M1)}
    assert len(found) == 1
    (one,) = found
    assert one is not None
    assert eid(store, PatientId(one, DOMAIN)) == one
    assert store.identities.identifiers(one, UNRESTRICTED) == (PatientId("1", HOSPITAL), PatientId("2", OTHER), M1)
    assert store.identities.patients(one, UNRESTRICTED) == ("p1", "p2")


@pytest.mark.parametrize("id_", [PatientId("1", OTHER), PatientId("M1", HOSPITAL), PatientId("M1", DOMAIN)])
def test_an_unknown_id_leads_nowhere(store: Storage, id_: PatientId) -> None:
    assert eid(store, id_) is None


def test_a_hidden_facility_hides_its_number_and_its_patient(store: Storage) -> None:
    scope = Scope(None, None, frozenset({OTHER}))
    one = eid(store, M1, scope)
    assert one is not None
    assert store.identities.identifiers(one, scope) == (PatientId("1", HOSPITAL), M1)
    assert store.identities.patients(one, scope) == ("p1",)


def test_a_person_out_of_scope_is_unknown(store: Storage) -> None:
    one = eid(store, M1)
    assert one is not None
    for scope in (Scope(frozenset({"else"}), None), Scope(None, None, frozenset({HOSPITAL, OTHER}))):
        assert eid(store, M1, scope) is None
        assert store.identities.identifiers(one, scope) == ()
        assert store.identities.patients(one, scope) == ()
