"""registry: submission sets, folders, associations between any objects, versions; a set for what came as files"""

import re
from collections.abc import Iterator
from html import unescape
from typing import Any

import sqlalchemy as sa
from alembic import op

from gateway.codec.ebxml_packages import render_submission_set
from gateway.codec.ebxml_read import read_stored
from gateway.model.document import APPROVED, HAS_MEMBER, ORIGINAL, SUBMISSION_SET, DocumentEntry, member_id, set_of

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

STEP = 1000
"""Documents taken at a time: memory stays flat, whatever the database holds."""

_SAME = (
    "n", "entryUUID", "uniqueId", "eid", "patient", "facility", "key", "source", "kind", "status", "repositoryUniqueId",
    "mimeType", "objectType", "classCode", "classCodeScheme", "typeCode", "typeCodeScheme", "formatCode",
    "formatCodeScheme", "practiceSettingCode", "practiceSettingCodeScheme", "healthcareFacilityTypeCode",
    "healthcareFacilityTypeCodeScheme", "serviceStartTime", "serviceStopTime", "hash", "size", "blob", "xml",
)  # fmt: skip
_TITLE = re.compile(rb'</rim:Slot><rim:Name><rim:LocalizedString[^>]* value="([^"]*)"/></rim:Name><rim:VersionInfo')
_OBJECT = sa.table("registry_object", *map(sa.column, (*_SAME, "time", "title")))
_CODE = sa.table("registry_code", *map(sa.column, ("n", "attribute", "code", "scheme")))
_LINK = sa.table("association", *map(sa.column, ("n", "entryUUID", "type", "status", "source", "target", "label")))


def upgrade() -> None:
    op.drop_index("ix_association_target", table_name="association")
    op.rename_table("association", "association_before")
    op.rename_table("document_code", "document_code_before")
    create_tables()
    connection = op.get_bind()
    columns = ", ".join(f'"{name}"' for name in _SAME)
    op.execute(
        f'INSERT INTO registry_object ({columns}, "time") SELECT {columns}, "creationTime" FROM document ORDER BY n'
    )
    op.execute(
        "INSERT INTO registry_code (n, attribute, code, scheme)"
        " SELECT n, attribute, code, scheme FROM document_code_before ORDER BY n"
    )
    op.execute(
        'INSERT INTO association (n, "entryUUID", type, status, source, target)'
        f" SELECT row_number() OVER (ORDER BY source, target), \"entryUUID\", type, '{APPROVED}', source, target"
        " FROM association_before ORDER BY source, target"
    )
    for name in ("document", "document_code_before", "association_before"):
        op.drop_table(name)
    give_sets(connection)
    create_indexes()
    op.add_column("blob", sa.Column("ingested", sa.BigInteger(), server_default="1", nullable=False))


def give_sets(connection: Any) -> None:
    """Titles as a column, and a SubmissionSet for the documents of each file."""
    last: int = connection.execute(sa.text("SELECT coalesce(max(n), 0) FROM registry_object")).scalar_one()
    number = last
    link: int = connection.execute(sa.text("SELECT coalesce(max(n), 0) FROM association")).scalar_one()
    for rows in _pages(connection, last):
        titles: list[dict[str, Any]] = []
        sets: list[dict[str, Any]] = []
        codes: list[dict[str, Any]] = []
        links: list[dict[str, Any]] = []
        for row in rows:
            title = _TITLE.search(row.xml)
            titles.append({"number": row.n, "words": unescape(title[1].decode()) if title else ""})
            if row.kind != "original":
                continue
            entry = read_stored(row.xml, home="", patient_id="", status=row.status)
            number += 1
            sets.append(_set_row(number, row, entry))
            codes += _set_codes(number, row.facility, entry)
            members = sa.text(
                'SELECT n, "entryUUID" FROM registry_object WHERE n BETWEEN :low AND :high AND key = :key'
                " AND source = :source AND kind IN ('bundle', 'original')"
            )
            # Both entries of a file were stored together, one after the other.
            near = {"low": row.n - 1, "high": row.n + 1, "key": row.key, "source": row.source}
            for member, entry_uuid in connection.execute(members, near):
                link += 1
                links.append(
                    {"n": link, "entryUUID": member_id(entry_uuid), "type": HAS_MEMBER, "status": APPROVED,
                     "source": number, "target": member, "label": ORIGINAL}
                )  # fmt: skip
        title_of = sa.text("UPDATE registry_object SET title = :words WHERE n = :number")
        for statement, values in (
            (title_of, titles), (_OBJECT.insert(), sets), (_CODE.insert(), codes), (_LINK.insert(), links)
        ):  # fmt: skip
            if values:
                connection.execute(statement, values)


def _pages(connection: Any, last: int) -> Iterator[Any]:
    wanted = sa.text(
        "SELECT n, kind, key, source, status, eid, patient, facility, xml FROM registry_object"
        " WHERE n > :after AND n <= :last ORDER BY n LIMIT :step"
    )
    after = 0
    while rows := connection.execute(wanted, {"after": after, "last": last, "step": STEP}).all():
        yield rows
        after = rows[-1].n


def _set_row(number: int, row: Any, entry: DocumentEntry) -> dict[str, Any]:
    made = set_of(entry, row.facility)
    empty = dict.fromkeys(_SAME, "")
    return empty | {
        "n": number, "entryUUID": made.entryUUID, "uniqueId": made.uniqueId, "objectType": SUBMISSION_SET,
        "status": APPROVED, "eid": row.eid, "patient": row.patient, "facility": row.facility, "key": row.key,
        "source": row.source, "kind": "set", "time": made.submissionTime, "title": made.title, "size": 0,
        "xml": render_submission_set(made),
    }  # fmt: skip


def _set_codes(number: int, facility: str, entry: DocumentEntry) -> list[dict[str, Any]]:
    values = {("sourceId", facility, ""), ("contentTypeCode", entry.classCode.code, entry.classCode.scheme)}
    values |= {("authorPerson", author.person, "") for author in entry.author if author.person}
    return [
        {"n": number, "attribute": attribute, "code": code, "scheme": scheme}
        for attribute, code, scheme in sorted(values)
    ]


def create_tables() -> None:
    op.create_table(
        "registry_object",
        sa.Column("n", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("entryUUID", sa.Text(), nullable=False),
        sa.Column("lid", sa.Text(), server_default="", nullable=False),
        sa.Column("version", sa.BigInteger(), server_default="1", nullable=False),
        sa.Column("uniqueId", sa.Text(), nullable=False),
        sa.Column("objectType", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), server_default="", nullable=False),
        sa.Column("availability", sa.Text(), server_default="", nullable=False),
        sa.Column("eid", sa.Text(), server_default="", nullable=False),
        sa.Column("patient", sa.Text(), server_default="", nullable=False),
        sa.Column("facility", sa.Text(), server_default="", nullable=False),
        sa.Column("key", sa.Text(), server_default="", nullable=False),
        sa.Column("source", sa.Text(), server_default="", nullable=False),
        sa.Column("kind", sa.Text(), server_default="", nullable=False),
        sa.Column("time", sa.Text(), server_default="", nullable=False),
        sa.Column("title", sa.Text(), server_default="", nullable=False),
        sa.Column("repositoryUniqueId", sa.Text(), server_default="", nullable=False),
        sa.Column("mimeType", sa.Text(), server_default="", nullable=False),
        sa.Column("classCode", sa.Text(), server_default="", nullable=False),
        sa.Column("classCodeScheme", sa.Text(), server_default="", nullable=False),
        sa.Column("typeCode", sa.Text(), server_default="", nullable=False),
        sa.Column("typeCodeScheme", sa.Text(), server_default="", nullable=False),
        sa.Column("formatCode", sa.Text(), server_default="", nullable=False),
        sa.Column("formatCodeScheme", sa.Text(), server_default="", nullable=False),
        sa.Column("practiceSettingCode", sa.Text(), server_default="", nullable=False),
        sa.Column("practiceSettingCodeScheme", sa.Text(), server_default="", nullable=False),
        sa.Column("healthcareFacilityTypeCode", sa.Text(), server_default="", nullable=False),
        sa.Column("healthcareFacilityTypeCodeScheme", sa.Text(), server_default="", nullable=False),
        sa.Column("serviceStartTime", sa.Text(), server_default="", nullable=False),
        sa.Column("serviceStopTime", sa.Text(), server_default="", nullable=False),
        sa.Column("hash", sa.Text(), server_default="", nullable=False),
        sa.Column("size", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("blob", sa.Text(), server_default="", nullable=False),
        sa.Column("xml", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("n", name=op.f("pk_registry_object")),
        sa.UniqueConstraint("entryUUID", name=op.f("uq_registry_object_entryUUID")),
    )
    op.create_table(
        "registry_code",
        sa.Column("n", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("attribute", sa.Text(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("scheme", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("n", "attribute", "code", "scheme", name=op.f("pk_registry_code")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "association",
        sa.Column("n", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("entryUUID", sa.Text(), nullable=False),
        sa.Column("lid", sa.Text(), server_default="", nullable=False),
        sa.Column("version", sa.BigInteger(), server_default="1", nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), server_default="", nullable=False),
        sa.Column("source", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("target", sa.BigInteger(), nullable=True),
        sa.Column("target_association", sa.BigInteger(), nullable=True),
        sa.Column("label", sa.Text(), server_default="", nullable=False),
        sa.Column("extra", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("n", name=op.f("pk_association")),
        sa.UniqueConstraint("entryUUID", name=op.f("uq_association_entryUUID")),
    )
    op.create_table(
        "submission",
        sa.Column("message_id", sa.Text(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("recorded", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("message_id", "digest", name=op.f("pk_submission")),
        sqlite_with_rowid=False,
    )


def create_indexes() -> None:
    op.create_index(
        "ix_registry_object_blob",
        "registry_object",
        ["blob"],
        unique=False,
        sqlite_where=sa.text("key = '' AND blob <> ''"),
        postgresql_where=sa.text("key = '' AND blob <> ''"),
    )
    op.create_index(
        op.f("ix_registry_object_eid_objectType_status_time"),
        "registry_object",
        ["eid", "objectType", "status", "time"],
        unique=False,
    )
    op.create_index(
        "ix_registry_object_key",
        "registry_object",
        ["key"],
        unique=False,
        sqlite_where=sa.text("key <> ''"),
        postgresql_where=sa.text("key <> ''"),
    )
    op.create_index(
        "ix_registry_object_lid",
        "registry_object",
        ["lid"],
        unique=False,
        sqlite_where=sa.text("lid <> ''"),
        postgresql_where=sa.text("lid <> ''"),
    )
    op.create_index(op.f("ix_registry_object_uniqueId"), "registry_object", ["uniqueId"], unique=False)
    op.create_index(
        "ix_association_lid",
        "association",
        ["lid"],
        unique=False,
        sqlite_where=sa.text("lid <> ''"),
        postgresql_where=sa.text("lid <> ''"),
    )
    op.create_index(op.f("ix_association_source"), "association", ["source"], unique=False)
    op.create_index(op.f("ix_association_target"), "association", ["target"], unique=False)
    op.create_index(
        "ix_association_target_association",
        "association",
        ["target_association"],
        unique=False,
        sqlite_where=sa.text("target_association IS NOT NULL"),
        postgresql_where=sa.text("target_association IS NOT NULL"),
    )
