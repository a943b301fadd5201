"""Order of arrival, re-runs and splits never matter; a batch is stored whole or not at all."""

from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select, text

from gateway.model.caller import UNRESTRICTED
from gateway.model.identity import PatientId
from gateway.model.ingest import FileOutcome, KeptMessage, Reject
from gateway.model.outcome import StayEvent
from gateway.storage.opening import Storage
from gateway.storage.schema import metadata
from tests.storage.making import MEDICAL_ID, kept, message, outcome, record, storage

pytestmark = pytest.mark.usefixtures("each_engine")


def event(number: str, data_type: str, time: int) -> StayEvent:
    return StayEvent(f"p{number}", data_type, f"2026-01-0{time + 1}", f"{time:017}", f"src{data_type}{time}")


def sighting(order: str, time: int, content: str, flag: int) -> KeptMessage:
    """One file as it may be met: document a, b or c of one of two patients, version, content, flag.

    Documents share resources on purpose: the Patient everywhere (owner in a), one Observation in b and c.
    """
    number = "2" if order == "c" else "1"
    text = f"{order}{time}{content}"
    resources = [
        kept("Patient", f"p{number}", f"name {content}", patient=f"p{number}", rank=0 if order == "a" else 1),
        kept("Observation", f"of-{order}", text, patient=f"p{number}"),
        kept("Organization", "hospital", f"hospital {content}", patient="", rank=1),
    ]
    if order != "a":
        resources.append(kept("AllergyIntolerance", f"allergy-{number}", content, patient=f"p{number}", rank=1))
    events = [event(number, "ADT-22", time)] if order != "b" else []
    shared = [PatientId("M1", MEDICAL_ID)] if content == "x" else []
    return message(order, time, content, flag, resources=resources, events=events, number=number, shared=shared)


SIGHTINGS = st.lists(
    st.builds(
        sighting,
        st.sampled_from(["a", "b", "c"]),
        st.integers(0, 2),
        st.sampled_from(["x", "y"]),
        st.sampled_from([1, 2, 0]),
    ),
    min_size=1,
    max_size=8,
)


def state(store: Storage) -> dict[str, Any]:
    """Everything about the store that must not depend on the order, with row numbers replaced by names.

    A stay is projected from what is current at the time, so its history (and its tombstone) tells of that time.
    """
    projected = "type = 'Encounter'"
    queries = {
        "resources": "SELECT type, rid, deleted, CAST(body AS TEXT), patient, eid, facility, status, date_start, hash,"
        " CASE deleted WHEN 0 THEN source_time END, CASE deleted WHEN 0 THEN rank END FROM resource"
        f" WHERE NOT ({projected} AND deleted = 1)",
        "tokens": "SELECT r.rid, t.param, t.code, t.system, t.type, t.patient, t.date_start"
        " FROM resource_token t JOIN resource r ON r.n = t.n",
        "strings": "SELECT r.rid, t.param, t.value FROM resource_string t JOIN resource r ON r.n = t.n",
        "references": "SELECT r.rid, t.param, t.target FROM resource_reference t JOIN resource r ON r.n = t.n",
        "contents": "SELECT r.rid, v.hash FROM resource r JOIN resource_version v ON v.n = r.n"
        f" WHERE v.deleted = 0 AND NOT {projected} UNION SELECT rid, hash FROM resource WHERE deleted = 0",
        "files": "SELECT key, timestamp, sha256, flag, current FROM source_file WHERE key NOT LIKE 'stay|%'",
        "documents": 'SELECT "entryUUID", status, eid, patient FROM registry_object',
        "associations": 'SELECT s."entryUUID", t."entryUUID", a.type FROM association a'
        " JOIN registry_object s ON s.n = a.source JOIN registry_object t ON t.n = a.target",
        "identity": "SELECT authority, value, eid FROM identity",
        "patients": "SELECT patient, authority, value, eid FROM identity_patient",
        "blobs": "SELECT sha256 FROM blob",
        # Links that came and went on the way were told to their subscribers when they did.
        "jobs": "SELECT kind, payload FROM outbox WHERE kind NOT IN ('identity-changed', 'xad-pid-changed')",
    }
    with store.engine.connect() as connection:
        return {name: sorted(map(tuple, connection.execute(text(sql))), key=repr) for name, sql in queries.items()}


def rows(store: Storage) -> dict[str, int]:
    with store.engine.connect() as connection:
        return {
            table.name: connection.execute(select(func.count()).select_from(table)).scalar_one()
            for table in metadata.sorted_tables
        }


def keep_split(store: Storage, files: list[FileOutcome], cuts: list[int]) -> None:
    edges = [0, *sorted(cut % (len(files) + 1) for cut in cuts), len(files)]
    for start, end in pairwise(edges):
        if start < end:
            store.keeping.keep(files[start:end], record)


ARRIVALS = (
    SIGHTINGS,
    st.randoms(use_true_random=False),
    st.lists(st.integers(0, 20), max_size=4),
)


@pytest.mark.parametrize("each_engine", ["sqlite"], indirect=True)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(*ARRIVALS)
def test_any_order_any_split_and_any_repetition_give_the_same_store(
    sightings: list[KeptMessage], chance: Any, cuts: list[int]
) -> None:
    files = [outcome(one) for one in sightings]
    shuffled = files + chance.sample(files, k=chance.randint(0, len(files)))
    chance.shuffle(shuffled)
    with TemporaryDirectory() as one, TemporaryDirectory() as other:
        with storage(Path(one)) as store:
            store.keeping.keep(files, record)
            expected, exported = state(store), export(store)
        with storage(Path(other)) as store:
            keep_split(store, shuffled, cuts)
            assert state(store) == expected
            assert export(store) == exported


@pytest.mark.parametrize("each_engine", ["postgresql"], indirect=True)
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow])  # two databases each
@given(*ARRIVALS)
def test_any_order_any_split_and_any_repetition_give_the_same_store_on_a_server(
    sightings: list[KeptMessage], chance: Any, cuts: list[int]
) -> None:
    test_any_order_any_split_and_any_repetition_give_the_same_store.hypothesis.inner_test(sightings, chance, cuts)


def export(store: Storage) -> list[tuple[str, str, bytes]]:
    """The export without versionId and lastUpdated, which may differ."""
    found = []
    for one in store.resources.export(UNRESTRICTED):
        head, _, rest = one.body.partition(b'"versionId":')
        found.append((one.type, one.id, head + rest.partition(b'Z",')[2]))
    return found


def test_keeping_the_same_files_again_writes_nothing(tmp_path: Path) -> None:
    files = [outcome(sighting(order, time, "x", 1)) for order in "abc" for time in (0, 1)]
    with storage(tmp_path) as store:
        store.keeping.keep(files, record)
        before = rows(store), state(store)
        applied = store.keeping.keep(files, record)
        assert applied.states == ["unchanged"] * 6
        assert applied.resources == {}
        assert (rows(store), state(store)) == before


def test_states_of_a_life_with_replacement_and_deletion(tmp_path: Path) -> None:
    old, new = sighting("a", 0, "x", 1), sighting("a", 1, "y", 1)
    with storage(tmp_path) as store:

        def states(*messages: KeptMessage) -> list[str]:
            return list(store.keeping.keep([outcome(one) for one in messages], record).states)

        assert states(old) == ["ingested"]
        assert states(new) == ["ingested"]
        assert states(sighting("a", 0, "x", 2)) == ["superseded"]
        assert states(sighting("a", 0, "x", 2)) == ["unchanged"]
        assert states(sighting("a", 1, "y", 0)) == ["deleted"]
        assert store.resources.read("Observation", "of-a", UNRESTRICTED).deleted  # type: ignore[union-attr]
        assert states(sighting("a", 2, "x", 1)) == ["ingested"]
        assert not store.resources.read("Observation", "of-a", UNRESTRICTED).deleted  # type: ignore[union-attr]


def test_two_valid_versions_are_doubtful_until_the_older_is_renamed(tmp_path: Path) -> None:
    with storage(tmp_path) as store:
        applied = store.keeping.keep([outcome(sighting("a", 0, "x", 1)), outcome(sighting("a", 1, "y", 1))], record)
        assert len(applied.doubtful) == 1
        assert store.keeping.doubtful(applied.doubtful) == 1
        store.keeping.keep([outcome(sighting("a", 0, "x", 2))], record)
        assert store.keeping.doubtful(applied.doubtful) == 0


def test_two_contents_of_one_timestamp_are_reported(tmp_path: Path) -> None:
    with storage(tmp_path) as store:
        applied = store.keeping.keep([outcome(sighting("a", 0, "x", 1)), outcome(sighting("a", 0, "y", 1))], record)
        assert applied.issues == {"same-timestamp": 1}


def test_a_batch_that_fails_half_way_leaves_nothing(tmp_path: Path) -> None:
    good, bad = outcome(sighting("a", 0, "x", 1)), outcome(sighting("b", 0, "x", 1))

    def refuse(file: FileOutcome, state: str) -> Any:
        if file is bad:
            raise RuntimeError("audit refused")
        return record(file, state)

    with storage(tmp_path) as store:
        before = rows(store)
        with pytest.raises(RuntimeError, match="audit refused"):
            store.keeping.keep([good, bad], refuse)
        assert rows(store) == before
        store.keeping.keep([good], record)
        assert rows(store)["source_file"] > 0


def test_stays_follow_the_current_files_only(tmp_path: Path) -> None:
    with storage(tmp_path) as store:

        def body() -> bytes:
            found = store.resources.read("Encounter", "stay-of-p1", UNRESTRICTED)
            assert found is not None
            return found.body

        store.keeping.keep([outcome(sighting("a", 0, "x", 1))], record)
        assert b"ADT-22@2026-01-01" in body()
        store.keeping.keep([outcome(sighting("a", 1, "x", 1))], record)
        assert b"ADT-22@2026-01-02" in body() and b"2026-01-01" not in body().partition(b'"text"')[2]
        store.keeping.keep([outcome(sighting("a", 1, "x", 0))], record)
        assert body() == b""


def test_the_ledger_knows_files_and_lists_rejects_once(tmp_path: Path) -> None:
    bad = FileOutcome(b"/tree/bad", 5, 7, "ff", rejects=(Reject("1", 3, "fatal", "not-hl7", "no MSH"),))
    with storage(tmp_path) as store:
        assert store.keeping.keep([bad], record).states == ["rejected"]
        assert store.keeping.seen([b"/tree/bad", b"/tree/new"])[b"/tree/bad"].outcome == "rejected"
        assert list(store.keeping.rejects()) == [(b"/tree/bad", bad.rejects)]
        before = rows(store)
        store.keeping.keep([bad], record)
        assert rows(store) == before
        store.keeping.forget([b"/tree/bad"])
        assert list(store.keeping.rejects()) == []


def test_one_audit_record_and_two_jobs_for_each_new_file(tmp_path: Path) -> None:
    with storage(tmp_path) as store:
        store.keeping.keep([outcome(sighting("a", 0, "x", 1)), outcome(sighting("b", 0, "x", 2))], record)
        with store.engine.connect() as connection:
            found = connection.execute(text("SELECT object, detail FROM audit ORDER BY n")).all()
        assert [detail for _, detail in found] == ["ingested", "superseded"]
        assert len(store.outbox.pending("notify-document", 10)) == 4
