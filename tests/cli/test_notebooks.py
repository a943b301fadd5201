"""Medication notebooks (お薬手帳) from the command line: convert, ingest, export."""

import json
from pathlib import Path
from typing import Any

import pytest

from gateway.codec.jahistc import parse
from tests.translate.jahistc.notebooks import HEADS, data

OWNER = "0001^^^&1.2.392.200119.99999.2&ISO"
USAGE = "301,1,【分３　毎食後】,14,日分,1,1,,1"
WHOLE = data(
    "5,20250610,1", *HEADS, "201,1,薬Ａ,3,錠,1,,1", USAGE, "201,2,薬Ｂ,1,本,1,,1", "301,2,【点眼】,1,調剤,5,1,,1"
)


@pytest.fixture
def parts(tmp_path: Path) -> tuple[Path, Path]:
    one, two = tmp_path / "parts" / "b.csv", tmp_path / "parts" / "a.csv"
    one.parent.mkdir()
    one.write_bytes(data("5,20250610,1", *HEADS, "201,1,薬Ａ,3,錠,1,,1", USAGE, "911,77,2,1"))
    two.write_bytes(data("5,20250610,1", *HEADS, "201,2,薬Ｂ,1,本,1,,1", "301,2,【点眼】,1,調剤,5,1,,1", "911,77,2,2"))
    return one, two


def drugs(bundle: dict[str, Any]) -> list[str]:
    resources = [entry["resource"] for entry in bundle["entry"]]
    return [r["medicationCodeableConcept"]["text"] for r in resources if r["resourceType"] == "MedicationDispense"]


def test_parts_are_one_document_in_whatever_order_they_are_named(musubi: Any, parts: tuple[Path, Path]) -> None:
    for files in (parts, parts[::-1]):
        result = musubi("convert", *files)
        assert result.code == 0
        (bundle,) = result.documents
        assert drugs(bundle) == ["薬Ａ", "薬Ｂ"]


def test_a_part_alone_is_refused_with_the_part_that_is_missing(musubi: Any, parts: tuple[Path, Path]) -> None:
    result = musubi("convert", parts[0])
    assert result.code == 1 and "part 2 of 2 missing" in result.err
    assert [entry["resource"]["resourceType"] for entry in result.documents[0]["entry"]] == ["OperationOutcome"]


def test_parts_do_not_hide_the_other_inputs(musubi: Any, parts: tuple[Path, Path], tmp_path: Path) -> None:
    other = tmp_path / "z.csv"
    other.write_bytes(WHOLE)
    result = musubi("convert", parts[0], other, parts[1])
    assert [drugs(bundle) for bundle in result.documents] == [["薬Ａ", "薬Ｂ"]] * 2


@pytest.mark.parametrize("size", [37, 100, 333])
def test_pieces_of_qr_symbols_are_joined_as_bytes(musubi: Any, tmp_path: Path, size: int) -> None:
    pieces = []
    for number, at in enumerate(range(0, len(WHOLE), size)):
        pieces.append(tmp_path / f"{number:02}.bin")
        pieces[-1].write_bytes(WHOLE[at : at + size])
    result = musubi("convert", "--join", *pieces)
    assert result.code == 0 and drugs(result.documents[0]) == ["薬Ａ", "薬Ｂ"]


def test_a_notebook_is_stored_only_for_a_named_person(musubi: Any, node: Any, tmp_path: Path) -> None:
    config, file = node(), tmp_path / "notebook.csv"
    file.write_bytes(WHOLE)
    refused = musubi("ingest", file, "-c", config, "--json")
    assert refused.code == 1 and json.loads(refused.out)["rejected"] == 1
    assert "no-patient" in (config.parent / "rejects.jsonl").read_text("utf-8")
    taken = musubi("ingest", file, "-c", config, "--patient", OWNER, "--json")
    assert taken.code == 0 and json.loads(taken.out)["resources"]["MedicationDispense"] == 2
    assert json.loads(musubi("ingest", file, "-c", config, "--patient", OWNER, "--json").out)["unchanged"] == 1


def test_what_was_stored_is_written_again(musubi: Any, node: Any, tmp_path: Path) -> None:
    config, file = node(), tmp_path / "notebook.csv"
    file.write_bytes(WHOLE)
    musubi("ingest", file, "-c", config, "--patient", OWNER)
    result = musubi("export", "--format", "jahistc", "--patient", OWNER, "-c", config)
    assert result.code == 0
    assert [r.text().rstrip(",") for r in parse(result.out).records] == [
        r.text().rstrip(",") for r in parse(WHOLE).records
    ]


def test_a_long_notebook_is_written_in_parts_that_join_again(musubi: Any, node: Any, tmp_path: Path) -> None:
    config, file, folder, limit = node(), tmp_path / "notebook.csv", tmp_path / "out", len(WHOLE) - 5
    file.write_bytes(WHOLE)
    musubi("ingest", file, "-c", config, "--patient", OWNER)
    musubi(
        "export", "--format", "jahistc", "--patient", OWNER, "--output", folder, "--max-bytes", str(limit), "-c", config
    )
    written = sorted(folder.iterdir())
    assert len(written) == 2 and all(path.stat().st_size <= limit for path in written)
    assert drugs(musubi("convert", *written).documents[0]) == ["薬Ａ", "薬Ｂ"]


def test_parts_in_one_folder_are_stored_as_one(musubi: Any, node: Any, parts: tuple[Path, Path]) -> None:
    config = node()
    result = json.loads(musubi("ingest", parts[0].parent, "-c", config, "--patient", OWNER, "--json").out)
    assert (result["ingested"], result["unchanged"], result["rejected"]) == (1, 1, 0)
    assert result["resources"]["MedicationDispense"] == 2


def test_a_part_waits_for_the_others(musubi: Any, node: Any, parts: tuple[Path, Path]) -> None:
    config, late = node(), parts[1].read_bytes()
    parts[1].unlink()
    first = json.loads(musubi("ingest", parts[0].parent, "-c", config, "--patient", OWNER, "--json").out)
    assert first["rejected"] == 1
    parts[1].write_bytes(late)
    second = json.loads(musubi("ingest", parts[0].parent, "-c", config, "--patient", OWNER, "--json").out)
    assert second["rejected"] == 0 and second["resources"]["MedicationDispense"] == 2


@pytest.mark.parametrize(
    "options",
    [("--format", "jahistc"), ("--patient", OWNER), ("--format", "jahistc", "--patient", "0001")],
)
def test_the_person_has_to_be_named_and_only_for_notebooks(musubi: Any, node: Any, options: tuple[str, ...]) -> None:
    result = musubi("export", "-c", node(), *options)
    assert result.code == 2 and "--patient" in result.err


@pytest.mark.parametrize(("birth", "sex"), [("S450103", "1"), ("19700102", "2")])
def test_a_notebook_of_somebody_else_is_refused_and_not_stored(
    musubi: Any, node: Any, tmp_path: Path, birth: str, sex: str
) -> None:
    config, own, other = node(), tmp_path / "own.csv", tmp_path / "other.csv"
    own.write_bytes(data("5,20250610,1", *HEADS, "201,1,薬Ａ,3,錠,1,,1", USAGE, patient="1,試験 太郎,1,S450102"))
    other.write_bytes(data("5,20250611,1", *HEADS, "201,1,薬Ｂ,3,錠,1,,1", USAGE, patient=f"1,別人 次郎,{sex},{birth}"))
    assert musubi("ingest", own, "-c", config, "--patient", OWNER).code == 0
    for options in (("--dry-run",), ()):
        refused = musubi("ingest", other, "-c", config, "--patient", OWNER, "--json", *options)
        summary = json.loads(refused.out)
        assert (refused.code, summary["ingested"], summary["rejected"]) == (1, 0, 1)
    (line,) = (config.parent / "rejects.jsonl").read_text("utf-8").splitlines()
    assert json.loads(line)["code"] == "patient-mismatch" and "別人" not in line
    stored = musubi("export", "-c", config).documents
    assert [r["medicationCodeableConcept"]["text"] for r in stored if r["resourceType"] == "MedicationDispense"] == [
        "薬Ａ"
    ]
    assert [r["birthDate"] for r in stored if r["resourceType"] == "Patient"] == ["1970-01-02"]


def test_two_people_in_one_run_are_not_made_one(musubi: Any, node: Any, tmp_path: Path) -> None:
    config, folder = node(), tmp_path / "in"
    folder.mkdir()
    for n, birth in enumerate(("S450102", "S450102", "H010203")):
        (folder / f"{n}.csv").write_bytes(data(f"5,2025061{n}", patient=f"1,試験 太郎,1,{birth}"))
    result = json.loads(musubi("ingest", folder, "-c", config, "--patient", OWNER, "--json").out)
    assert (result["ingested"], result["rejected"]) == (2, 1)
