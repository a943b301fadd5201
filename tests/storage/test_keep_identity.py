"""Linking as rows: eid on everything of a person, in the transaction of the file that linked."""

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from gateway.model.caller import UNRESTRICTED
from gateway.model.document import APPROVED, DocumentQuery
from gateway.model.identity import PatientId
from gateway.model.ingest import KeptMessage
from gateway.services.identity import enterprise_id
from gateway.storage.keep_identity import MAX_HOLDERS, facts_of
from gateway.storage.opening import Storage
from tests.storage.making import DOMAIN, HOSPITAL, MEDICAL_ID, kept, message, outcome, record, storage

pytestmark = pytest.mark.usefixtures("each_engine")

OTHER = "1.2.392.200119.99999.22"
M1 = PatientId("M1", MEDICAL_ID)


def visit(number: str, facility: str = HOSPITAL, time: int = 0, flag: int = 1, **more: Any) -> KeptMessage:
    patient = f"p{number}-{facility[-2:]}"
    resources = [kept("Patient", patient, number, patient=patient)]
    return message(
        "a", time, number, flag, number=number, facility=facility, patient=patient, resources=resources, **more
    )


def keep(store: Storage, *messages: KeptMessage) -> dict[str, int]:
    return store.keeping.keep([outcome(one) for one in messages], record).issues


def eid(store: Storage, number: str, facility: str = HOSPITAL) -> str | None:
    return store.identities.enterprise_id(PatientId(number, facility), UNRESTRICTED)


def test_a_shared_id_makes_two_ids_one_person_and_rewrites_their_rows(tmp_path: Path) -> None:
    with storage(tmp_path) as store:
        keep(store, visit("1"), visit("2", OTHER))
        assert eid(store, "1") != eid(store, "2", OTHER)
        keep(store, visit("1", time=1, shared=[M1]), visit("2", OTHER, time=1, shared=[M1]))
        one = eid(store, "1")
        assert one is not None
        assert one == eid(store, "2", OTHER) == enterprise_id(DOMAIN, [PatientId("1", HOSPITAL), PatientId("2", OTHER)])
        assert store.identities.enterprise_id(M1, UNRESTRICTED) == one
        assert len(store.documents.find(DocumentQuery(one, (APPROVED,)), UNRESTRICTED)) == 4
        with store.engine.connect() as connection:
            assert connection.execute(text("SELECT DISTINCT eid FROM resource")).scalars().all() == [one]


def test_a_correction_that_takes_the_id_away_unlinks(tmp_path: Path) -> None:
    with storage(tmp_path) as store:
        keep(store, visit("1", shared=[M1]), visit("2", OTHER, shared=[M1]))
        assert eid(store, "1") == eid(store, "2", OTHER)
        keep(store, visit("2", OTHER, time=1))
        assert eid(store, "1") != eid(store, "2", OTHER)
        assert store.identities.enterprise_id(M1, UNRESTRICTED) == eid(store, "1")


def test_a_contradiction_is_counted_and_links_nobody(tmp_path: Path) -> None:
    with storage(tmp_path) as store:
        issues = keep(store, visit("1", shared=[M1]), visit("2", OTHER, shared=[M1], sex="F"))
        assert issues == {"identity-conflict": 1}
        assert eid(store, "1") != eid(store, "2", OTHER)
        assert store.identities.enterprise_id(M1, UNRESTRICTED) is None


def test_an_id_that_too_many_carry_links_nobody(tmp_path: Path) -> None:
    with storage(tmp_path) as store:
        keep(store, *(visit(str(number), shared=[M1]) for number in range(MAX_HOLDERS)))
        assert eid(store, "0") == eid(store, "1")
        keep(store, visit("x", shared=[M1]))
        assert eid(store, "0") != eid(store, "1")
        keep(store, visit("y", shared=[M1]))
        assert len({eid(store, number) for number in ("0", "1", "x", "y")}) == 4
        keep(store, visit("x", time=1), visit("y", time=1))
        assert eid(store, "0") == eid(store, "1")


def test_equal_facts_are_equal_text() -> None:
    two = [PatientId("b", "1"), PatientId("a", "1")]
    assert facts_of(visit("1", shared=two).person) == facts_of(visit("1", shared=two[::-1]).person)


VISITS = st.lists(
    st.builds(
        visit,
        st.sampled_from("123"),
        st.sampled_from([HOSPITAL, OTHER]),
        time=st.integers(0, 1),
        flag=st.sampled_from([1, 1, 1, 2, 0]),
        shared=st.lists(st.sampled_from([M1, PatientId("M2", MEDICAL_ID)]), max_size=2, unique=True),
        birth_date=st.sampled_from(["19500101", "1950", "19600101"]),
        sex=st.sampled_from(["M", "F", ""]),
    ),
    min_size=1,
    max_size=7,
    # One set of bytes says one thing about its patient.
    unique_by=lambda one: one.version.sha256,
)


def links(store: Storage) -> list[Sequence[object]]:
    sql = (
        "SELECT 'id', authority, value, eid FROM identity UNION ALL SELECT 'patient', patient, facility, eid"
        " FROM identity_patient UNION ALL SELECT 'resource', type, rid, eid FROM resource"
        " UNION ALL SELECT 'document', \"entryUUID\", status, eid FROM registry_object"
    )
    with store.engine.connect() as connection:
        return sorted(map(tuple, connection.execute(text(sql))))


ARRIVALS = (
    VISITS,
    st.randoms(use_true_random=False),
    st.booleans(),
)


@pytest.mark.parametrize("each_engine", ["sqlite"], indirect=True)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(*ARRIVALS)
def test_the_order_of_arrival_does_not_decide_who_is_linked(
    visits: list[KeptMessage], chance: Any, single: bool
) -> None:
    shuffled = visits.copy()
    chance.shuffle(shuffled)
    with TemporaryDirectory() as one, TemporaryDirectory() as other:
        with storage(Path(one)) as store:
            keep(store, *visits)
            expected = links(store)
        with storage(Path(other)) as store:
            for group in [[visit] for visit in shuffled] if single else [shuffled]:
                keep(store, *group)
            assert links(store) == expected


@pytest.mark.parametrize("each_engine", ["postgresql"], indirect=True)
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow])  # two databases each
@given(*ARRIVALS)
def test_the_order_of_arrival_does_not_decide_who_is_linked_on_a_server(
    visits: list[KeptMessage], chance: Any, single: bool
) -> None:
    test_the_order_of_arrival_does_not_decide_who_is_linked.hypothesis.inner_test(visits, chance, single)
