"""python -m gateway.sandbox: exit codes, and a manifest on stdout that is the manifest of what was written."""

import json
from pathlib import Path

import pytest

from gateway.codec.transaction_storage import records
from gateway.sandbox.__main__ import main


def test_a_storage_and_its_manifest(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = tmp_path / "storage"
    assert main(["--out", str(root), "--seed", "2", "--patients", "3", "--files", "20", "--utf8", "1"]) == 0
    told = json.loads(capsys.readouterr().out)
    written = [path for path in root.rglob("*") if path.is_file()]
    assert told["files"] == len(written) == 20
    assert told["bytes"] == sum(path.stat().st_size for path in written)
    assert told["charsets"] == {"UTF-8": 20}


def test_writing_twice_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--out", str(tmp_path), "--patients", "1"]
    assert main(arguments) == 0
    assert main(arguments) == 2
    assert "exists" in capsys.readouterr().err


def test_demo_writes_three_storages(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--out", str(tmp_path), "--demo"]) == 0
    assert sorted(json.loads(capsys.readouterr().out)) == sorted(path.name for path in tmp_path.iterdir())


def test_how_many_patients_must_be_said(tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["--out", str(tmp_path)])
    assert stop.value.code == 2


def test_the_same_data_as_a_transaction_file(tmp_path: Path) -> None:
    file = tmp_path / "TR_20240601000000000_00001.DAT"
    out = tmp_path / "1310000001"
    arguments = ["--out", str(out), "--patients", "3", "--files", "30", "--transactions", str(file)]
    assert main(arguments) == 0
    found = records(file.read_bytes())
    stored = {path.name: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    assert {one.name.name: one.message for one in found} == stored and len(stored) == 30


def test_records_of_people_as_lines_and_as_messages(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines, text = tmp_path / "people.ndjson", tmp_path / "people.hl7"
    assert main(["--out", str(lines), "--persons", "50"]) == 0
    written = json.loads(capsys.readouterr().out)["records"]
    assert lines.read_bytes().count(b"\n") == written >= 50
    assert main(["--out", str(text), "--persons", "50", "--adt", "20240101120000"]) == 0
    assert text.read_bytes().count(b"MSH|") == written
    assert main(["--out", str(lines), "--persons", "50"]) == 2
