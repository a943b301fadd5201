"""The trail is chained in every commit, and whatever is done to it afterwards is found."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gateway.model.audit import AuditObject, AuditRecord, AuditSearch
from gateway.storage.audit_chain import FIRST
from gateway.storage.engines import open_engine
from gateway.storage.opening import Storage, opened_trail
from tests.storage.making import database_url, message, outcome, record, storage

pytestmark = pytest.mark.usefixtures("each_engine")

RECORD = AuditRecord("110112", "ITI-18", "E", 0, "someone", patient="1^^^&1.2&ISO", user="u", roles=("a^^b",),
                     objects=(AuditObject("query", "q", b"<q/>", (("QueryEncoding", "UTF-8"),)),), patients=("e1", "e2"))  # fmt: skip


def filled(store: Storage, count: int = 5) -> None:
    for _ in range(count):
        store.audit.record(RECORD)


def findings(folder: Path) -> list[str]:
    with opened_trail(database_url(folder)) as trail:
        return list(trail.broken())


def change(folder: Path, sql: str) -> None:
    """What somebody does to the tables, past the program."""
    engine = open_engine(database_url(folder))
    with engine.begin() as connection:
        connection.exec_driver_sql(sql)
    engine.dispose()


def test_a_record_comes_back_as_it_was_and_the_chain_is_whole(tmp_path: Path) -> None:
    with storage(tmp_path) as store:
        filled(store)
        stored = store.trail.after(0, 10)
        assert [one.n for one in stored] == [1, 2, 3, 4, 5] and {one.record for one in stored} == {RECORD}
        assert [n for n, _ in store.trail.hashes(0, 10)] == [1, 2, 3, 4, 5] and store.trail.size() == 5
        assert len(FIRST) == 32 and list(store.trail.broken()) == []


def test_records_of_ingest_are_chained_in_the_same_commit(tmp_path: Path) -> None:
    with storage(tmp_path) as store:
        store.keeping.keep([outcome(message("1", 0, "a"))], record)
        assert store.trail.size() == 1 and list(store.trail.broken()) == []


def test_a_trail_of_before_the_chain_is_closed_when_it_is_opened(tmp_path: Path) -> None:
    with storage(tmp_path) as store:
        filled(store)
    change(tmp_path, "DELETE FROM audit_chain")
    with storage(tmp_path) as store:
        assert store.trail.size() == 5


@pytest.mark.parametrize(
    ("sql", "says"),
    [
        ("UPDATE audit SET patient = 'x' WHERE n = 3", "record 3 was altered"),
        ("UPDATE audit SET recorded = '2020' WHERE n = 1", "record 1 was altered"),
        ("UPDATE audit SET more = '' WHERE n = 2", "record 2 was altered"),
        ("DELETE FROM audit WHERE n = 3", "records 3 to 3 are missing"),
        ("DELETE FROM audit WHERE n < 3", "records 1 to 2 are missing"),
        ("DELETE FROM audit WHERE n > 3", "records 4 to 5 are missing"),
        ("DELETE FROM audit_chain WHERE n = 4", "record 4 has no link in the chain"),
        ("UPDATE audit SET n = CASE n WHEN 2 THEN 93 ELSE n END", "records 2 to 2 are missing"),
        (
            "UPDATE audit_chain SET hash = (SELECT hash FROM audit_chain WHERE n = 1) WHERE n = 2",
            "record 2 was altered",
        ),
        (
            'INSERT INTO audit SELECT 0, recorded, event, "transaction", action, outcome, actor, address, patient, object,'
            " detail, who, organization, purpose, break_glass, more FROM audit WHERE n = 2",
            "record 0 was inserted",
        ),
        ("UPDATE audit SET n = -3 WHERE n = 3", "record -3 was inserted"),
        ("INSERT INTO audit_chain SELECT -1, hash FROM audit_chain WHERE n = 1", "link -1 was inserted"),
        ("INSERT INTO audit_chain SELECT 6, hash FROM audit_chain WHERE n = 1", "records 6 to 6 are missing"),
        ("UPDATE audit SET more = '{\"patients\": 3' WHERE n = 2", "record 2 was altered"),
        ("DELETE FROM audit_patient WHERE n = 2", "the index of persons was altered at record 2"),
        ("INSERT INTO audit_patient VALUES ('e9', 2)", "the index of persons was altered at record 2"),
        ("INSERT INTO audit_patient VALUES ('e9', 77)", "the index of persons was altered at record 77"),
    ],
)
def test_what_was_done_to_it_is_named(tmp_path: Path, sql: str, says: str) -> None:
    with storage(tmp_path) as store:
        filled(store)
    change(tmp_path, sql)
    assert says in findings(tmp_path)


def test_two_records_that_changed_places_are_both_named(tmp_path: Path) -> None:
    with storage(tmp_path) as store:
        for detail in "abc":
            store.audit.record(AuditRecord("110112", "t", "E", 0, "x", detail=detail))
    for sql in ("UPDATE audit SET n = 99 WHERE n = 1", "UPDATE audit SET n = 1 WHERE n = 2"):
        change(tmp_path, sql)
    change(tmp_path, "UPDATE audit SET n = 2 WHERE n = 99")
    assert findings(tmp_path)[:2] == ["record 1 was altered", "record 2 was altered"]


def test_a_search_finds_a_person_by_every_name_and_by_whose_data_were_shown(tmp_path: Path) -> None:
    with storage(tmp_path) as store:
        filled(store, 3)
        store.audit.record(
            AuditRecord("110112", "rest", "E", 4, "x", patient="Patient/p1", user="v", purpose="TREATMENT")
        )
        assert [one.n for one in store.trail.search(AuditSearch(eid="e2"))] == [3, 2, 1]
        by_names = AuditSearch(patients=("Patient/p1", "9^^^&1.2&ISO"), eid="?")
        assert [one.n for one in store.trail.search(by_names)] == [4]
        assert [one.n for one in store.trail.search(AuditSearch(user="v", outcome=4))] == [4]
        assert [one.n for one in store.trail.search(AuditSearch(after=3, limit=1))] == [2]
        assert store.trail.search(AuditSearch(date_from="2030")) == []


WRITER = """
import sys
from pathlib import Path
from gateway.storage.opening import opened
from tests.storage.making import DOMAIN, derivations, message, outcome, record, ticking
folder, url = Path(sys.argv[1]), sys.argv[2]
with opened(url, folder / "blobs", affinity_domain=DOMAIN, derive=derivations(), clock=ticking()) as store:
    print("ready", flush=True)
    for n in range(100_000):
        store.keeping.keep([outcome(message(str(n), n, str(n)))], record)
        print(n, flush=True)
"""


def test_killed_at_any_moment_the_chain_is_whole_and_no_act_is_without_its_record(tmp_path: Path, long: bool) -> None:
    url = database_url(tmp_path)
    told = 0
    for round_ in range(20 if long else 3):
        process = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path), url], stdout=subprocess.PIPE, text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )  # fmt: skip
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
        time.sleep(0.1 + 0.05 * round_)
        process.send_signal(signal.SIGKILL)
        told = max(told, len(process.stdout.read().split()) - 1)
        process.wait()
        assert findings(tmp_path) == []
    with storage(tmp_path) as store, store.engine.connect() as connection:
        acts = connection.exec_driver_sql("SELECT DISTINCT sha256 FROM source_file").scalars().all()
        recorded = {one.record.object for one in store.trail.after(0, 1_000_000)}
        assert len(acts) >= told > 0 and set(acts) <= recorded
        assert list(store.trail.broken()) == []
