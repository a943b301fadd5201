"""`musubi convert`: one JSON document a message, whatever the input is."""

import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len

from gateway.profiles.validator import Validator
from gateway.translate.observation import JLAC10

EXPLAINED = ["input", "bundle", "issues", "lineage", "residue", "unmapped"]


def test_a_file_is_a_transaction_that_puts_every_resource_under_its_id(musubi: Any, labs: Path) -> None:
    result = musubi("convert", labs)
    (bundle,) = result.documents
    assert result.code == 0 and bundle["type"] == "transaction"
    assert bundle["identifier"]["value"] == hashlib.sha256(labs.read_bytes()).hexdigest()
    assert bundle["meta"]["source"] == labs.name
    assert {entry["resource"]["resourceType"] for entry in bundle["entry"]} > {"Patient", "Observation", "Provenance"}
    for entry in bundle["entry"]:
        assert entry["request"] == {
            "method": "PUT",
            "url": f"{entry['resource']['resourceType']}/{entry['resource']['id']}",
        }


def test_a_collection_has_the_same_resources_and_no_requests(musubi: Any, labs: Path) -> None:
    (collection,) = musubi("convert", "--bundle", "collection", labs).documents
    (transaction,) = musubi("convert", labs).documents
    assert collection["type"] == "collection" and not any("request" in entry for entry in collection["entry"])
    assert [e["resource"] for e in collection["entry"]] == [e["resource"] for e in transaction["entry"]]


def test_what_is_printed_is_valid(musubi: Any, labs: Path, tmp_path: Path) -> None:
    for document in musubi("convert", labs, "--bundle", "collection").documents:
        assert [f for f in Validator.default().check(document) if f.severity == "error"] == []


def test_the_same_file_twice_gives_the_same_bytes(musubi: Any, labs: Path) -> None:
    one, other = musubi("convert", labs, "--explain").out, musubi("convert", labs, "--explain").out
    assert one == other and len(one) > 1000


def test_several_files_are_lines_in_the_order_given(musubi: Any, labs: Path, basics: Path) -> None:
    sources = [d["meta"]["source"] for d in musubi("convert", labs, basics, labs).documents]
    assert sources == [labs.name, basics.name, labs.name]


def test_a_folder_stands_for_all_its_files(musubi: Any, tokyo: Path) -> None:
    result = musubi("convert", tokyo)
    files = [path for path in tokyo.rglob("*") if path.is_file()]
    assert result.code == 0 and len(files) == 34
    assert sorted(d["meta"]["source"] for d in result.documents) == sorted(path.name for path in files)
    assert result.out == musubi("convert", tokyo).out


def test_a_folder_leaves_out_what_is_no_document_and_does_not_follow_links(
    musubi: Any, tmp_path: Path, basics: Path
) -> None:
    shutil.copy(basics, tmp_path / basics.name)
    (tmp_path / "Thumbs.db").write_bytes(b"x")
    (tmp_path / "up").symlink_to(tmp_path, target_is_directory=True)
    assert [d["meta"]["source"] for d in musubi("convert", ".").documents] == [basics.name]


def test_an_empty_folder_says_so(musubi: Any, tmp_path: Path) -> None:
    (tmp_path / "none").mkdir()
    assert musubi("convert", "none") == (0, b"", "musubi: no files to convert\n")


def test_several_messages_in_one_file_are_several_documents(
    musubi: Any, tmp_path: Path, labs: Path, basics: Path
) -> None:
    (tmp_path / "batch").write_bytes(labs.read_bytes() + basics.read_bytes())
    documents = musubi("convert", "batch").documents
    assert [d["identifier"]["value"] for d in documents] == [
        hashlib.sha256(file.read_bytes()).hexdigest() for file in (labs, basics)
    ]


def test_a_deleted_file_deletes_its_resources(musubi: Any, deleted: Path) -> None:
    (bundle,) = musubi("convert", deleted).documents
    assert bundle["entry"] and {entry["request"]["method"] for entry in bundle["entry"]} == {"DELETE"}
    assert not any("resource" in entry for entry in bundle["entry"])
    assert not any(entry["request"]["url"].startswith("Patient/") for entry in bundle["entry"])


def test_a_superseded_file_has_no_entries(musubi: Any, superseded: Path) -> None:
    (bundle,) = musubi("convert", superseded).documents
    assert "entry" not in bundle and bundle["type"] == "transaction"


def test_explain_has_the_promised_shape(musubi: Any, labs: Path, tmp_path: Path) -> None:
    data = labs.read_bytes() + b"ZZ1|1|a value of the sender's own\r"
    (tmp_path / "file").write_bytes(data)
    result = musubi("convert", "--explain", "file")
    (document,) = result.documents
    assert list(document) == EXPLAINED and result.err == ""
    assert document["input"] == {
        "file": "file",
        "sha256": hashlib.sha256(data).hexdigest(),
        "source": "ss-mix2",
        "charset": "ISO-2022-JP",
        "lineEnds": "CR",
    }
    (plain,) = musubi("convert", "file").documents
    assert document["bundle"] == plain
    assert {"where": "ZZ1[1]-2", "value": "a value of the sender's own"} in document["residue"]
    for part, keys in (
        ("issues", ["severity", "code", "where", "text"]),
        ("lineage", ["target", "source", "rule", "table", "cite", "via", "codes"]),
        ("residue", ["where", "value"]),
        ("unmapped", ["where", "reason"]),
    ):
        assert document[part], f"this message has no {part}"
        assert {tuple(row) for row in document[part]} == {tuple(keys)}


UNREADABLE = {
    "pdf": b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n1 0 obj",
    "empty": b"",
    "blank": b"\r\n\r\n",
    "no-patient": b"MSH|^~\\&|A|B|C|D|20240101000000||ADT^A08|1|P|2.5\r",
    "utf-16": "MSH|^~\\&|A".encode("utf-16"),
    "zip": b"PK\x03\x04" + bytes(64),
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_an_unreadable_input_prints_its_document_and_the_others_go_on(
    musubi: Any, tmp_path: Path, basics: Path, name: str
) -> None:
    (tmp_path / name).write_bytes(UNREADABLE[name])
    result = musubi("convert", name, basics)
    bad, good = result.documents
    assert result.code == 1
    assert bad["identifier"]["value"] == hashlib.sha256(UNREADABLE[name]).hexdigest()
    (entry,) = bad["entry"]
    assert entry["resource"]["resourceType"] == "OperationOutcome"
    assert entry["resource"]["issue"][0]["severity"] in ("fatal", "error")
    assert good["meta"]["source"] == basics.name and len(good["entry"]) > 1
    assert [f for f in Validator.default().check(bad) if f.severity == "error"] == []


def test_a_file_that_cannot_be_opened_has_its_document_too(musubi: Any, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "dangling").symlink_to("nowhere")
    result = musubi("convert", "folder", "--json")
    (document,) = result.documents
    assert result.code == 1 and "identifier" not in document, "nobody knows its SHA-256"
    assert [f for f in Validator.default().check(document) if f.severity == "error"] == []
    assert json.loads(result.err)["code"] == "unreadable"


def test_a_file_above_the_limit_is_refused_whole_and_named_by_its_whole_hash(
    musubi: Any, labs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MUSUBI_INGEST__MAX_FILE_BYTES", "1000")
    result = musubi("convert", labs, "--json")
    (document,) = result.documents
    assert result.code == 1 and json.loads(result.err)["code"] == "too-large"
    assert document["identifier"]["value"] == hashlib.sha256(labs.read_bytes()).hexdigest()
    assert [entry["resource"]["resourceType"] for entry in document["entry"]] == ["OperationOutcome"]


def test_the_facility_of_the_option_wins(musubi: Any, node: Any, labs: Path) -> None:
    config = node()
    ids = []
    for facility in ([], ["--facility", "1.2.392.200119.99999.22"]):
        result = musubi("convert", labs, "-c", config, "--json", *facility)
        codes = [json.loads(line)["code"] for line in result.err.splitlines()]
        assert ("facility-conflict" in codes) == bool(facility)
        ids.append(result.documents[0]["entry"][0]["resource"]["identifier"][0]["system"])
    assert ids == ["urn:oid:1.2.392.100495.20.3.51.11310000001", "urn:oid:1.2.392.100495.20.3.51.12710000001"]


@pytest.mark.parametrize(
    "arguments", [["--facility", "TOKYO-HP"], ["--bundle", "batch"], ["--source", "jahis"], ["--explain=x"]]
)
def test_options_with_a_wrong_value_are_2(musubi: Any, labs: Path, arguments: list[str]) -> None:
    result = musubi("convert", labs, *arguments)
    assert result.code == 2 and result.out == b"" and arguments[0].partition("=")[0] in result.err


def test_findings_go_to_stderr_as_words_or_as_json(musubi: Any, labs: Path) -> None:
    words = musubi("convert", labs).err.splitlines()
    lines = [json.loads(line) for line in musubi("convert", labs, "--json").err.splitlines()]
    assert words and len(words) == len(lines)
    for word, line in zip(words, lines, strict=True):
        assert set(line) == {"file", "severity", "code", "where", "text"}
        assert word.startswith(f"{labs}: {line['severity']} {line['code']}")


def test_pretty_is_the_same_document(musubi: Any, basics: Path) -> None:
    pretty = musubi("convert", basics, "--pretty").out
    assert pretty.count(b"\n") > 10 and json.loads(pretty) == musubi("convert", basics).documents[0]


@pytest.mark.parametrize("name", [b"\x8c\x9f\x8d\xb8", "検査 結果\n次".encode(), b"50%|x"])
def test_any_file_name_is_carried(musubi: Any, tmp_path: Path, basics: Path, name: bytes) -> None:
    path = os.fsencode(tmp_path) + b"/" + name
    try:
        shutil.copy(basics, os.fsdecode(path))
    except OSError:
        pytest.skip("this file system refuses such a name")
    for arguments in ([], ["--explain"], ["--json"]):
        result = musubi("convert", os.fsdecode(path), *arguments)
        assert result.code == 0 and len(result.documents) == 1


def test_nothing_is_stored(musubi: Any, tmp_path: Path, labs: Path) -> None:
    musubi("convert", labs)
    assert list(tmp_path.iterdir()) == []


# -- explain, table, dialect ------------------------------------------------------------------------------------------


def test_explain_names_the_rows_of_code_tables_and_the_converters(musubi: Any, labs: Path) -> None:
    (said,) = musubi("convert", labs, "--explain").documents
    lineage = said["lineage"]
    assert all(set(row) == {"target", "source", "rule", "table", "cite", "via", "codes"} for row in lineage)
    status = next(row for row in lineage if row["table"] == "observation-status")
    assert status["codes"] == [{"table": "observation-status", "source": "F", "target": "final"}]
    code = next(row for row in lineage if row["source"].endswith("-3") and row["source"].startswith("OBX"))
    assert {"table": "code-systems", "source": "JC10", "target": JLAC10} in code["codes"] and code["via"]
    assert all(row["cite"] and (row["via"] or row["table"]) for row in lineage)


def test_a_table_is_for_people_and_needs_no_terminal(musubi: Any, labs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "240")
    result = musubi("convert", labs, "--format", "table")
    text = result.out.decode()
    assert result.code == 0 and "\x1b" not in text and result.err == ""
    for words in ("FHIR element", "Observation#1.status", "OBX[1]-11", "observation-status: F → final", "table 0085"):
        assert words in text
    assert "residue (残余):" in text and "left out on purpose:" in text and "issues (指摘):" in text


def test_wide_characters_keep_the_columns_in_line(musubi: Any, basics: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "300")
    text = musubi("convert", basics, "--format", "table").out.decode()
    lines = [line for line in text.splitlines() if "PID[1]-" in line]
    places = {cell_len(line.partition("PID[1]-")[0]) for line in lines if line.partition("PID[1]-")[0].strip()}
    assert len(lines) > 3 and len(places - {0}) == 1


def test_a_table_of_what_cannot_be_read_says_why(musubi: Any, tmp_path: Path) -> None:
    (tmp_path / "x.hl7").write_bytes(b"MSH|\x1b[31m|")
    result = musubi("convert", tmp_path / "x.hl7", "--format", "table")
    assert result.code == 1 and b"\x1b" not in result.out and b"fatal" in result.out


def test_a_narrow_screen_folds_and_cuts_nothing(musubi: Any, labs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    text = musubi("convert", labs, "--format", "table").out.decode()
    assert all(cell_len(line) <= 60 for line in text.splitlines())
    # Folded values stand below each other: of the reason of a field left out, every letter is still there.
    column = [line[-47:].strip() for line in text.partition("left out on purpose")[2].splitlines()]
    assert "positionofthesegmentinthemessage" in "".join(column).replace(" ", "")


@pytest.mark.parametrize(("dialect", "system"), [("1.2.0", "http"), ("clins", "http"), ("1.1.2", "oid")])
def test_a_dialect_rewrites_the_systems(musubi: Any, labs: Path, dialect: str, system: str) -> None:
    result = musubi("convert", labs, "--dialect", dialect)
    names = {"http": JLAC10, "oid": "urn:oid:1.2.392.200119.4.504"}
    other = names["oid" if system == "http" else "http"]
    assert names[system].encode() in result.out and other.encode() not in result.out
    specimen = b"JP_Specimen_Common" if dialect == "1.2.0" else b'JP_Specimen"'
    assert specimen in result.out


def test_the_dialect_of_the_settings_holds_unless_said_otherwise(musubi: Any, node: Any, labs: Path) -> None:
    config = node(more='[mapping]\ndialect = "1.1.2"\n')
    assert b"urn:oid:1.2.392.200119.4.504" in musubi("convert", labs, "--config", config).out
    assert JLAC10.encode() in musubi("convert", labs, "--config", config, "--dialect", "1.2.0").out


@pytest.mark.parametrize("arguments", [("--dialect", "1.3"), ("--format", "xml"), ("--source", "no-such")])
def test_words_nobody_knows_are_wrong_usage(musubi: Any, labs: Path, arguments: tuple[str, str]) -> None:
    result = musubi("convert", labs, *arguments)
    assert result.code == 2 and result.out == b"" and arguments[0] in result.err


def test_cells_too_narrow_to_read_stand_below_each_other(
    musubi: Any, labs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "50")
    text = musubi("convert", labs, "--format", "table").out.decode()
    assert all(cell_len(line) <= 50 for line in text.splitlines())
    assert "Observation#1.status\n  value: final\n  source: OBX[1]-11\n" in text
