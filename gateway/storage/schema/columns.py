"""What all tables are written with."""

from sqlalchemy import Column, Integer, MetaData, Text
from sqlalchemy.types import BigInteger

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# SQLite gives an integer key its row number only when the type is spelled INTEGER.
Serial = BigInteger().with_variant(Integer, "sqlite")


def text_column(name: str, *, default: str | None = "") -> Column[str]:
    return Column(name, Text, nullable=default is None, server_default=default)


def int_column(name: str, *, default: int | None = 0) -> Column[int]:
    return Column(name, BigInteger, nullable=default is None, server_default=None if default is None else str(default))
