from pathlib import Path

import pytest
from sqlalchemy import inspect, text

from gateway.errors import ConfigurationError
from gateway.storage.engines import open_engine
from gateway.storage.schema import metadata
from gateway.storage.upgrade import differences, upgrade


def test_migrations_lead_to_the_schema_of_the_code(tmp_path: Path) -> None:
    engine = open_engine(f"sqlite:///{tmp_path / 'x.db'}")
    assert differences(engine)
    upgrade(engine)
    assert differences(engine) == []


def test_migrated_tables_are_made_of_the_same_words(tmp_path: Path) -> None:
    """What the comparison of Alembic does not see: WITHOUT ROWID, INTEGER keys, partial and descending indexes."""
    migrated, created = (open_engine(f"sqlite:///{tmp_path / name}") for name in ("a.db", "b.db"))
    upgrade(migrated)
    metadata.create_all(created)
    sql = text("SELECT name, sql FROM sqlite_master WHERE name NOT LIKE 'alembic%' AND name NOT LIKE 'sqlite%'")
    found = []
    for engine in (migrated, created):
        with engine.connect() as connection:
            rows = {row.name: row.sql or "" for row in connection.execute(sql)}
        found.append(
            {name: sorted(words.replace(",", " ").replace("(", " ( ").split()) for name, words in rows.items()}
        )
    assert found[0] == found[1]


def test_an_up_to_date_database_is_not_written(tmp_path: Path) -> None:
    file = tmp_path / "x.db"
    engine = open_engine(f"sqlite:///{file}")
    upgrade(engine)
    with engine.connect() as connection:
        before = connection.execute(text("PRAGMA data_version")).scalar()
        upgrade(open_engine(f"sqlite:///{file}"))
        assert connection.execute(text("PRAGMA data_version")).scalar() == before


def test_a_database_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    engine = open_engine(f"sqlite:///{tmp_path / 'x.db'}")
    upgrade(engine)
    with engine.execution_options(write=True).connect() as connection, connection.begin():
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(ConfigurationError, match="newer"):
        upgrade(engine)


def test_every_table_is_there(tmp_path: Path) -> None:
    engine = open_engine(f"sqlite:///{tmp_path / 'x.db'}")
    upgrade(engine)
    assert set(inspect(engine).get_table_names()) == {*metadata.tables, "alembic_version"}
