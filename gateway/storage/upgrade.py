"""Brings a database to the schema this version writes. Migrations are modules of the package, also inside a wheel."""

from pathlib import Path

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util.exc import CommandError
from sqlalchemy import Engine

from gateway.errors import ConfigurationError
from gateway.storage.engines import database_of
from gateway.storage.schema import metadata

_SCRIPTS = Path(__file__).parent / "migrations"


def upgrade(engine: Engine) -> None:
    """Runs missing migrations in one transaction; nothing is written when there are none.

    Raises ConfigurationError when the database was written by a newer version.
    """
    config = _config()
    head = ScriptDirectory.from_config(config).get_current_head()
    with engine.connect() as connection:
        if MigrationContext.configure(connection).get_current_revision() == head:
            return
    database = database_of(engine)
    with engine.execution_options(write=True).connect() as connection:
        raw = connection.connection.driver_connection
        # A statement that moves a whole table is undone from what it puts aside: as large as the table.
        database.aside(raw, memory=False)
        with connection.begin():
            config.attributes["connection"] = connection
            try:
                command.upgrade(config, "head")
            except CommandError:
                raise ConfigurationError("the database was written by a newer version of this program") from None
            database.settle(connection)
        database.aside(raw, memory=True)


def differences(engine: Engine) -> list[object]:
    """What a database lacks or has beyond schema; empty when they agree."""
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": False})
        return list(compare_metadata(context, metadata))


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(_SCRIPTS).replace("%", "%%"))
    return config
