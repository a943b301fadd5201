"""The extended storage through real ingest: registry entries, bytes, flags by renaming the content folder."""

import hashlib
import os
import shutil
from pathlib import Path
from typing import Any

import orjson
import pytest
from sqlalchemy import select

from gateway.codec import ssmix2
from gateway.model.caller import UNRESTRICTED
from gateway.services.ingest import Summary
from gateway.services.ingest.files import Found, walk
from gateway.services.ingest.messages import ReadingRules
from gateway.storage.opening import Storage
from gateway.storage.schema import registry_object
from tests.codec.test_cda import CDA
from tests.services.ingest.trees import AUTHORITIES, RULES, export, make_reader, node

NUMBER = "0000012345"
TYPE = "^（サマリー）^^18842-5^退院時サマリー^LN"
NAME = f"{NUMBER}_20240601_{TYPE}_000000000000777_20240601120000123_01_"
BIG = b"%PDF-1.7 " + b"0123456789abcdef" * 20_000


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The content folder, with a CDA and a picture of 320 kB."""
    made = tmp_path / "1310000001_ANX01" / "000" / "001" / NUMBER / "20240601" / TYPE / f"{NAME}1"
    made.mkdir(parents=True)
    (made / "summary.xml").write_bytes(CDA.encode())
    (made / "scan.pdf").write_bytes(BIG)
    (made / "Thumbs.db").write_bytes(b"junk")
    return made


def ingest(here: Path, *paths: Path) -> tuple[Summary, list[dict[str, Any]], list[dict[str, Any]]]:
    """(summary, current resources, registry rows)"""
    with node(here) as (ingestor, store):
        summary = ingestor.run([str(path) for path in paths], rejects_file=here / "rejects.jsonl")
        return summary, [orjson.loads(line) for line in export(store)], registry(store)


def registry(store: Storage) -> list[dict[str, Any]]:
    with store.engine.connect() as connection:
        wanted = select(registry_object).where(registry_object.c.kind != "set")
        rows = connection.execute(wanted.order_by(registry_object.c.mimeType, registry_object.c.time))
        return [dict(row._mapping) for row in rows]


def types(resources: list[dict[str, Any]]) -> list[str]:
    return sorted(one["resourceType"] for one in resources)


def status(rows: list[dict[str, Any]]) -> list[str]:
    return [row["status"].rpartition(":")[2] for row in rows]


def test_every_file_is_registered_with_its_type_and_its_bytes(tmp_path: Path, folder: Path) -> None:
    with node(tmp_path / "n") as (ingestor, store):
        summary = ingestor.run([str(tmp_path / "1310000001_ANX01")], rejects_file=tmp_path / "r.jsonl")
        assert summary.states == {"ingested": 2, "ignored": 1}
        rows = registry(store)
        assert [row["mimeType"] for row in rows] == ["application/pdf", "text/xml"]
        assert {row["typeCode"] for row in rows} == {"18842-5"}
        assert status(rows) == ["Approved", "Approved"]
        for row, content in zip(rows, (BIG, CDA.encode()), strict=True):
            assert row["size"] == len(content) and row["hash"] == hashlib.sha1(content).hexdigest()
            with store.blobs.open(row["blob"]) as stream:
                assert stream.read() == content
            (found,) = store.documents.by_unique_id((row["uniqueId"],), UNRESTRICTED)
            assert found.patientId
        found = [orjson.loads(line) for line in export(store)]
        assert types(found) == ["DocumentReference"] * 2 + ["Patient"] + ["Provenance"] * 2
        ids = {one["masterIdentifier"]["value"] for one in found if one["resourceType"] == "DocumentReference"}
        assert ids == {f"urn:oid:{row['uniqueId']}" for row in rows}


def test_a_second_run_looks_only(tmp_path: Path, folder: Path) -> None:
    ingest(tmp_path / "n", folder)
    assert ingest(tmp_path / "n", folder)[0].states == {"unchanged": 2, "ignored": 1}


@pytest.mark.parametrize(("flag", "state"), [("2", "superseded"), ("0", "deleted")])
def test_renaming_the_content_folder_changes_the_flag_of_all_its_files(
    tmp_path: Path, folder: Path, flag: str, state: str
) -> None:
    ingest(tmp_path / "n", tmp_path / "1310000001_ANX01")
    folder.rename(folder.with_name(NAME + flag))
    summary, found, rows = ingest(tmp_path / "n", tmp_path / "1310000001_ANX01")
    assert summary.states == {state: 2, "ignored": 1}
    assert "DocumentReference" not in types(found)
    assert status(rows) == ["Deprecated", "Deprecated"]
    fresh = ingest(tmp_path / "fresh", tmp_path / "1310000001_ANX01")
    assert fresh[1] == found and status(fresh[2]) == status(rows)


def test_a_new_version_replaces_the_old_one(tmp_path: Path, folder: Path) -> None:
    newer = folder.with_name(NAME.replace("20240601120000123", "20240603080000000") + "1")
    shutil.copytree(folder, newer)
    (newer / "scan.pdf").write_bytes(BIG + b"corrected")
    folder.rename(folder.with_name(NAME + "2"))
    with node(tmp_path / "n") as (ingestor, store):
        ingestor.run([str(tmp_path / "1310000001_ANX01")], rejects_file=tmp_path / "r.jsonl")
        rows = [row for row in registry(store) if row["mimeType"] == "application/pdf"]
        assert status(rows) == ["Deprecated", "Approved"]
        links = store.documents.associations((rows[1]["entryUUID"],), UNRESTRICTED)
        replaced = [(link.associationType.rpartition(":")[2], link.targetObject) for link in links]
        assert sorted(replaced) == [("HasMember", rows[1]["entryUUID"]), ("RPLC", rows[0]["entryUUID"])]


def test_a_patient_that_is_only_a_number_never_hides_one_with_a_name(tmp_path: Path, folder: Path) -> None:
    message = (
        "MSH|^~\\&|A|TOKYO-HP|B|B|20200101000000||ADT^A08^ADT_A01|1|P|2.5\rEVN||20200101\r"
        f"PID|1||{NUMBER}^^^^PI||結び^太郎^^^^^L^I||19500101|M\rPV1|1|N\r"
    )
    name = f"{NUMBER}_-_OMP-01_000000000000001_20200101000000000_01_1"
    (tmp_path / name).write_text(message, "utf-8")
    for order in ((folder, tmp_path / name), (tmp_path / name, folder)):
        here = tmp_path / f"n-{order[0].name[:40]}"
        for path in order:
            _, found, _ = ingest(here, path)
        (patient,) = (one for one in found if one["resourceType"] == "Patient")
        assert "name" in patient


def test_a_cda_of_another_patient_is_rejected_and_its_neighbour_kept(tmp_path: Path, folder: Path) -> None:
    (folder / "summary.xml").write_bytes(CDA.replace(NUMBER, "0000099999").encode())
    summary, _, rows = ingest(tmp_path / "n", folder)
    assert (summary.states["rejected"], summary.states["ingested"]) == (1, 1)
    assert summary.reject_codes == {"patient-mismatch": 1}
    assert [row["mimeType"] for row in rows] == ["application/pdf"]
    assert b"99999" not in (tmp_path / "n" / "rejects.jsonl").read_bytes().replace(NUMBER.encode(), b"")


def test_a_large_document_is_not_bound_by_the_limit_of_messages(tmp_path: Path, folder: Path) -> None:
    def states(rules: ReadingRules) -> dict[str, str]:
        reader = make_reader(rules)
        found = [reader.read(one) for one in _found(folder)]
        return {
            outcome.path.rpartition(b"/")[2].decode(): "".join(r.code for r in outcome.rejects) for outcome in found
        }

    small = ReadingRules(AUTHORITIES, RULES.repository, max_file_bytes=1000)
    assert states(small) == {"summary.xml": "", "scan.pdf": ""}
    smaller = ReadingRules(AUTHORITIES, RULES.repository, max_document_bytes=10_000)
    assert states(smaller) == {"summary.xml": "", "scan.pdf": "too-large"}


def _found(folder: Path) -> list[Found]:
    return [one for one in walk([str(folder)], lambda name: bool(ssmix2.ignored(name))) if one]


def test_a_file_that_changes_between_reading_and_copying_is_not_kept(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with node(tmp_path / "n") as (ingestor, store):
        keep = ingestor.keeping.keep

        def late(outcomes: Any, record: Any) -> Any:
            (folder / "scan.pdf").write_bytes(BIG[:-1] + b"X")
            return keep(outcomes, record)

        monkeypatch.setattr(ingestor.keeping, "keep", late)
        summary = ingestor.run([str(folder)], rejects_file=tmp_path / "r.jsonl")
        assert summary.reject_codes == {"changed-while-read": 1}
        assert [row["mimeType"] for row in registry(store)] == ["text/xml"]
    again = ingest(tmp_path / "n", folder)
    assert again[0].states["ingested"] == 1 and len(again[2]) == 2
    assert not list((tmp_path / "n" / "blobs").rglob("*.part"))


def test_names_in_the_charset_of_a_japanese_file_server(tmp_path: Path, folder: Path) -> None:
    other = tmp_path / "cp932" / "1310000001" / "000" / "001" / NUMBER / "20240601"
    raw = bytes(other) + b"/" + TYPE.encode("cp932") + b"/" + (NAME + "1").encode("cp932")
    os.makedirs(raw)
    with open(raw + b"/scan.pdf", "wb") as file:
        file.write(BIG)
    _, found, _ = ingest(tmp_path / "a", tmp_path / "cp932")
    (one,) = (one for one in found if one["resourceType"] == "DocumentReference")
    assert one["description"] == "（サマリー）"
    _, found, _ = ingest(tmp_path / "b", folder / "scan.pdf")
    assert one["id"] in {other["id"] for other in found}


def test_files_of_a_content_folder_may_have_any_name(tmp_path: Path, folder: Path) -> None:
    for name in ("old.bak", "echo.db", "TR_20240601000000000_00001.DAT", "x.tmp", "~$x.doc", ".hidden"):
        (folder / name).write_bytes(b"x")
    (folder.parent / "beside.bak").write_bytes(b"x")
    summary, found, _ = ingest(tmp_path / "n", tmp_path / "1310000001_ANX01")
    assert summary.states["ignored"] == 5 and summary.states["ingested"] == 5
    titles = {one["content"][0]["attachment"]["title"] for one in found if one["resourceType"] == "DocumentReference"}
    assert {"old.bak", "echo.db", "TR_20240601000000000_00001.DAT"} <= titles
