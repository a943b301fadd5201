"""What is PostgreSQL's own: processes that take turns, connections that are lost, text in byte order, NUL."""

import os
import random
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from sqlalchemy import text

from gateway.errors import ConfigurationError, Unavailable
from gateway.storage.engines import Driver, Lookups, database_of, driver_of, open_engine
from gateway.storage.postgresql import spoken
from gateway.storage.schema import ledger, resource_string
from gateway.storage.upgrade import differences, upgrade
from gateway.storage.writer import Writer
from tests.postgres import Cluster, used
from tests.storage.making import kept, message, outcome, record, storage

CHECKOUT = Path(__file__).resolve().parents[2]


@pytest.fixture
def url(postgresql: Cluster, tmp_path: Path) -> str:
    return postgresql.database(tmp_path)


def test_a_statement_says_the_same_to_psycopg() -> None:
    assert spoken("SELECT 1 WHERE a = ? AND b LIKE '%' AND c IN (@)") == (
        "SELECT 1 WHERE a = %s AND b LIKE '%%' AND c = ANY(%s)"
    )


def test_migrations_lead_to_the_schema_of_the_code(postgresql: Cluster) -> None:
    engine = open_engine(postgresql.empty("bare"))
    assert differences(engine)
    upgrade(engine)
    assert differences(engine) == []
    with engine.connect() as connection:
        assert database_of(connection).damage(connection) == []
    engine.dispose()


def test_all_text_is_in_byte_order(url: str) -> None:
    engine = open_engine(url)
    sql = text(
        "SELECT count(*) FROM information_schema.columns WHERE table_schema = 'public' AND data_type = 'text'"
        " AND table_name <> 'alembic_version' AND collation_name IS DISTINCT FROM 'C'"
    )
    words = ["a", "B", "Z", "é", "ｱ", "\U00020bb7", "a b", "ab"]
    with engine.connect() as connection:
        assert connection.execute(sql).scalar() == 0
        driver = driver_of(connection)
        driver.insert(resource_string, [(n, "p", word, "T") for n, word in enumerate(words)])
        assert [row[0] for row in driver.rows("SELECT value FROM resource_string ORDER BY value")] == sorted(words)
    engine.dispose()


def test_a_prefix_is_asked_of_the_index(url: str) -> None:
    engine = open_engine(url)
    with engine.connect() as connection:
        driver = driver_of(connection)
        driver.insert(resource_string, [(n, "name", f"{n:05}", "Patient") for n in range(5000)])
        driver.run("ANALYZE resource_string")
        plan = driver.rows(
            "EXPLAIN SELECT n FROM resource_string WHERE type = 'Patient' AND param = 'name'"
            " AND value >= '0100' AND value < '0100\U0010ffff'"
        )
    engine.dispose()
    assert any("ix_resource_string_type_param_value" in row[0] for row in plan), plan


@pytest.mark.parametrize("rows", [1, 20])
def test_a_nul_in_text_stops_nothing(url: str, rows: int) -> None:
    """One row goes by INSERT, twenty by COPY."""
    engine = open_engine(url)
    with engine.connect() as connection:
        driver = driver_of(connection)
        driver.insert(ledger, [(b"/\0%d" % n, n, 0, "", "a\0b", None) for n in range(rows)])
        assert driver.row("SELECT count(*) FROM ledger WHERE outcome = ?", ("a\0b",)) == (rows,)
        assert driver.row("SELECT path, outcome FROM ledger ORDER BY size LIMIT 1") == (b"/\x000", "a\ufffdb")
    engine.dispose()


def test_the_database_has_to_keep_utf_8(postgresql: Cluster) -> None:
    postgresql.sql("CREATE DATABASE latin TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C'")
    engine = open_engine(postgresql.url("latin"))
    with pytest.raises(ConfigurationError, match="UTF8"):
        upgrade(engine)
    engine.dispose()


def test_a_server_that_is_not_there_is_unavailable_and_its_password_is_not_told(tmp_path: Path) -> None:
    pytest.importorskip("psycopg")
    engine = open_engine(f"postgresql+psycopg://u:topsecret@/x?host={tmp_path}")
    with pytest.raises(Unavailable) as caught:
        upgrade(engine)
    assert "topsecret" not in str(caught.value)
    lookups = Lookups(engine)
    with pytest.raises(Unavailable):
        lookups.rows("SELECT 1")


def end_connections(server: Cluster, url: str) -> None:
    name = url.rpartition("/")[0] and url.partition("@/")[2].partition("?")[0]
    server.sql(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")


def test_a_lost_connection_fails_the_write_whole_and_the_next_one_works(postgresql: Cluster, url: str) -> None:
    writer = Writer(open_engine(url, connections=1, writer=True))

    def half(driver: Driver) -> None:
        driver.insert(ledger, [(b"lost", 1, 0, "", "", None)])
        end_connections(postgresql, url)
        driver.insert(ledger, [(b"lost too", 1, 0, "", "", None)])

    with pytest.raises(Unavailable, match=r"connection|terminat"):
        writer.run(half)
    end_connections(postgresql, url)  # the one the pool keeps, too
    writer.run(lambda driver: driver.insert(ledger, [(b"kept", 1, 0, "", "", None)]))
    assert writer.run(lambda driver: driver.rows("SELECT path FROM ledger")) == [(b"kept",)]
    writer.close()


def test_readers_come_back_after_the_server_does(postgresql: Cluster, url: str) -> None:
    engine = open_engine(url)
    lookups = Lookups(engine)
    assert lookups.rows("SELECT count(*) FROM ledger") == [(0,)]
    with engine.connect() as connection:
        connection.execute(text("SELECT 1"))
        end_connections(postgresql, url)
        with pytest.raises(Unavailable):
            connection.execute(text("SELECT 1"))
    assert lookups.rows("SELECT count(*) FROM ledger") == [(0,)]
    with engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM ledger")).scalar() == 0
    lookups.close()
    engine.dispose()


def test_an_error_tells_no_values(url: str) -> None:
    writer = Writer(open_engine(url, connections=1, writer=True))
    row = ("1.2.3", "山田太郎", "eid")

    def twice(driver: Driver) -> None:
        for _ in range(2):
            driver.run("INSERT INTO identity (authority, value, eid) VALUES (?, ?, ?)", row)

    with pytest.raises(Unavailable, match="duplicate key") as caught:
        writer.run(twice)
    assert "山田" not in str(caught.value)
    with pytest.raises(Unavailable) as caught:
        writer.run(lambda driver: driver.run("UPDATE ledger SET size = ?", ("山田太郎",)))
    assert "山田" not in str(caught.value)
    writer.close()


def test_writers_of_many_threads_and_engines_never_give_a_number_twice(url: str) -> None:
    writers = [Writer(open_engine(url, connections=1, writer=True)) for _ in range(3)]

    def add(driver: Driver) -> int:
        n = driver.number("audit")
        driver.run(
            "INSERT INTO audit (n, recorded, event, \"transaction\", action, outcome, actor) VALUES (?, '', '', '', '', 0, '')",
            (n,),
        )
        return n

    given: list[int] = []
    threads = [
        threading.Thread(target=lambda writer=writer: given.extend(writer.run(add) for _ in range(30)))
        for writer in writers
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for writer in writers:
        writer.close()
    assert sorted(given) == list(range(1, 181))


_PROCESS = """
import sys
from pathlib import Path
from gateway.storage.opening import opened
from tests.storage.making import DOMAIN, derivations, ticking
from tests.storage.test_postgresql import files
from tests.storage.making import record
with opened(sys.argv[1], Path(sys.argv[2]), affinity_domain=DOMAIN, derive=derivations(), clock=ticking()) as store:
    for one in files(int(sys.argv[3])):
        store.keeping.keep([one], record)
"""


def files(seed: int) -> list:  # type: ignore[type-arg]
    """The same forty files in an order of the seed: versions of ten documents of three patients."""
    made = [
        outcome(
            message(
                f"o{n % 10}", n, f"text {n}", number=str(n % 3), resources=[kept("Observation", f"r{n % 10}", f"t{n}")]
            )
        )
        for n in range(40)
    ]
    random.Random(seed).shuffle(made)
    return made


def test_two_processes_write_the_same_files_at_the_same_time(postgresql: Cluster, tmp_path: Path) -> None:
    """Nothing fails, nothing is there twice, and the store is that of one process."""
    url = postgresql.database(tmp_path)
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", _PROCESS, url, str(tmp_path / "blobs"), str(seed)],
            cwd=CHECKOUT,
            env={**os.environ, "PYTHONPATH": str(CHECKOUT)},
        )
        for seed in (1, 2)
    ]
    assert [process.wait(120) for process in processes] == [0, 0]
    found = {}
    with used(postgresql):
        for folder in (tmp_path, tmp_path / "alone"):
            folder.mkdir(exist_ok=True)
            with storage(folder) as store:
                if folder != tmp_path:
                    for one in files(3):
                        store.keeping.keep([one], record)
                found[folder.name] = [
                    sorted(store.lookups.rows(sql))
                    for sql in (
                        "SELECT type, rid, body, deleted FROM resource",
                        'SELECT "entryUUID", status, eid FROM registry_object',
                        "SELECT authority, value, eid FROM identity",
                        "SELECT kind, payload FROM outbox",
                        "SELECT sha256 FROM blob",
                    )
                ]
    one, two = found.values()
    assert one == two
    postgresql.drop(tmp_path)
