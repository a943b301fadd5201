"""Migrations on a database that holds something."""

from pathlib import Path

from alembic import command
from sqlalchemy import Engine, text

from gateway.codec import ebxml, xml
from gateway.codec.ebxml import render_extrinsic
from gateway.model.caller import UNRESTRICTED
from gateway.model.document import APPROVED, HAS_MEMBER, SUBMISSION_SET, XFRM, set_of
from gateway.model.ingest import Version
from gateway.storage.engines import Lookups, open_engine
from gateway.storage.registry import RegistryTable
from gateway.storage.upgrade import _config, differences, upgrade
from tests.storage.making import DOMAIN, HOSPITAL, document_entry


def _upgrade_to(engine: Engine, revision: str) -> None:
    config = _config()
    with engine.execution_options(write=True).connect() as connection, connection.begin():
        config.attributes["connection"] = connection
        command.upgrade(config, revision)


def test_documents_of_files_keep_their_associations_and_get_a_set(tmp_path: Path) -> None:
    engine = open_engine(f"sqlite:///{tmp_path / 'x.db'}")
    _upgrade_to(engine, "0002")
    version = Version("20260101000500000", "ab", "01", 1)
    made = [document_entry(kind, "key", version, kind.encode()) for kind in ("bundle", "original")]
    insert = text(
        'INSERT INTO document (n, "entryUUID", "uniqueId", eid, patient, facility, key, source, kind, status,'
        ' "objectType", "creationTime", blob, size, xml)'
        " VALUES (:n, :id, :unique, 'e', 'p', :facility, 'key', 's', :kind, :status, :type, :time, 'b', 3, :xml)"
    )
    with engine.execution_options(write=True).connect() as connection, connection.begin():
        for n, (kind, entry) in enumerate(zip(("bundle", "original"), made, strict=True), start=1):
            connection.execute(
                insert,
                {"n": n, "id": entry.entryUUID, "unique": entry.uniqueId, "facility": HOSPITAL, "kind": kind,
                 "status": APPROVED, "type": entry.objectType, "time": entry.creationTime,
                 "xml": render_extrinsic(entry)},
            )  # fmt: skip
        connection.execute(text("INSERT INTO document_code VALUES (1, 'confidentialityCode', 'N', 'urn:c')"))
        connection.execute(
            text(f"INSERT INTO association (source, target, type, \"entryUUID\") VALUES (1, 2, '{XFRM}', 'urn:uuid:x')")
        )
    upgrade(engine)
    assert differences(engine) == []
    registry = RegistryTable(Lookups(engine), DOMAIN)
    wanted = set_of(made[1], HOSPITAL)
    (found,) = registry.by_entry_uuid((wanted.entryUUID,), UNRESTRICTED)
    assert (found.objectType, found.uniqueId, found.time) == (SUBMISSION_SET, wanted.uniqueId, "20260101000500")
    node = xml.parse(
        b'<l xmlns:rim="%s">%s</l>' % (ebxml.RIM.encode(), ebxml.complete(found, "urn:oid:1.2")), xml.REQUEST
    )[0]
    assert node.get("home") == "urn:oid:1.2" and node.get("lid") == wanted.entryUUID
    links = registry.associations((made[0].entryUUID,), UNRESTRICTED)
    assert {(one.associationType, one.sourceObject, one.targetObject, one.slot("SubmissionSetStatus")) for one in links} == {
        (XFRM, made[0].entryUUID, made[1].entryUUID, ""),
        (HAS_MEMBER, wanted.entryUUID, made[0].entryUUID, "Original"),
    }  # fmt: skip
    with engine.connect() as connection:
        codes = connection.execute(text("SELECT n, attribute, code FROM registry_code ORDER BY n, attribute")).all()
    assert [tuple(row) for row in codes] == [
        (1, "confidentialityCode", "N"),
        (3, "contentTypeCode", "class"),
        (3, "sourceId", HOSPITAL),
    ]
