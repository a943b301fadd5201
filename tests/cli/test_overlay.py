"""A site's overlay from the settings to the output, in processes of their own: a process has one mapping."""

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.translate.messages import er7, file_name

Run = Callable[..., "subprocess.CompletedProcess[bytes]"]

BASICS = (
    "PID|1||0000012345^^^^PI||見本^結子^^^^^L^I||19700405|F||||||||M^既婚^99MAR",
    "OBX|1|NM|9N001000000000001^身長^JC10||158|センチ|||||F",
)
ROWS = """
segment = "PID"
resource = "Patient"
row = [{ from = "PID-16", to = "maritalStatus", via = "cwe", cite = "our own agreement 2024-3" }]
"""
FILES: dict[str, str] = {
    "tables/ucum-units.csv": "source,target\nセンチ,cm\n",
    "tables/code-systems.csv": "name,system,pattern,published\n99MAR,http://hospital.example/marital,[A-Z],no\n",
    "rows/ss-mix2/PID-Patient.toml": ROWS,
}


@pytest.fixture
def run(start: Callable[..., Any]) -> Run:
    def finished(*arguments: object) -> "subprocess.CompletedProcess[bytes]":
        process = start(*arguments)
        out, err = process.communicate(timeout=120)
        return subprocess.CompletedProcess([], process.returncode, out, err)

    return finished


@pytest.fixture
def config(tmp_path: Path, node: Callable[..., Path]) -> Path:
    """A node whose settings name the overlay `site` beside them."""
    made = node(more='[mapping]\noverlay = "site"\n')
    for name, text in FILES.items():
        file = made.parent / "site" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    return made


@pytest.fixture
def message(tmp_path: Path) -> Path:
    file = tmp_path / file_name("ADT-00")
    file.write_bytes(er7("ADT-00", BASICS[1], pid=BASICS[0]))
    return file


def of(bundle: dict[str, Any], type_: str) -> dict[str, Any]:
    return next(e["resource"] for e in bundle["entry"] if e["resource"]["resourceType"] == type_)


def test_local_units_codes_and_fields_are_read(run: Run, config: Path, message: Path) -> None:
    plain = json.loads(run("convert", message, "--explain").stdout)
    done = run("convert", message, "--explain", "--config", config)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    coding = {"system": "http://hospital.example/marital", "code": "M", "display": "既婚"}
    assert of(said["bundle"], "Patient")["maritalStatus"] == {"coding": [coding], "text": "既婚"}
    quantity = of(said["bundle"], "Observation")["valueQuantity"]
    assert (quantity["unit"], quantity["code"]) == ("センチ", "cm")
    assert {"where": "PID[1]-16", "value": "M^既婚^99MAR"} in plain["residue"] and said["residue"] == []
    assert "code" not in of(plain["bundle"], "Observation")["valueQuantity"]
    (row,) = (row for row in said["lineage"] if row["source"] == "PID[1]-16")
    assert row["cite"] == "our own agreement 2024-3" and "overlay" in row["rule"]


def test_a_z_segment_of_the_site_goes_to_the_patient(run: Run, config: Path, tmp_path: Path) -> None:
    rows = """
segment = "ZXP"
resource = "Patient"
row = [{ from = "ZXP-2", to = "communication[]", via = "annotation", cite = "ours" }]
unmapped = [{ from = "ZXP-1", reason = "position" }]
"""
    file = tmp_path / file_name("ADT-12")
    file.write_bytes(er7("ADT-12", "PV1|1|O", "ZXP|1|日本語|x"))
    (config.parent / "site" / "rows" / "ss-mix2" / "ZXP-Patient.toml").write_text(rows, encoding="utf-8")
    said = json.loads(run("convert", file, "--explain", "--config", config).stdout)
    assert of(said["bundle"], "Patient")["communication"] == [{"text": "日本語"}]
    assert {"where": "ZXP[1]-3", "value": "x"} in said["residue"]
    assert {"where": "ZXP[1]-1", "reason": "position"} in said["unmapped"]
    assert run("mapping", "lint", "--config", config).returncode == 0


@pytest.mark.parametrize("name", ["ZXP-Observation", "NTE-Patient", "ZPR-Patient", "XYZ-Patient"])
def test_rows_that_nobody_would_read_stop_the_start(run: Run, config: Path, message: Path, name: str) -> None:
    segment, _, target = name.partition("-")
    file = config.parent / "site" / "rows" / "ss-mix2" / f"{name}.toml"
    file.write_text(f'segment = "{segment}"\nresource = "{target}"\n', encoding="utf-8")
    done = run("convert", message, "--config", config)
    assert done.returncode == 2 and b"no structure reads" in done.stderr
    assert b"no structure reads" in run("mapping", "lint", "--config", config).stdout


def test_worker_processes_read_with_the_overlay_too(run: Run, config: Path, tmp_path: Path, message: Path) -> None:
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(201):  # above 200 files ingest uses worker processes
        shutil.copy(message, folder / file_name("ADT-00", order=f"{number:015}"))
    done = run("ingest", folder, "--dry-run", "--workers", "1", "--json", "--config", config)
    summary = json.loads(done.stdout.splitlines()[-1])
    assert summary["seen"] == 201 and summary["rejected"] == 0
    assert "PID-16" not in summary["residue"]


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("tables/ucum-units.csv", "source,target\nmg,g\n", "only adds"),
        ("tables/no-such-table.csv", "source,target\na,b\n", "takes additions"),
        ("rows/ss-mix2/PID-Patient.toml", ROWS.replace("PID-16", "PID-8"), "read by our own rows"),
        ("rows/ss-mix2/PID-Patient.toml", ROWS.replace("PID-16", "PID-1"), "left out on purpose"),
        ("rows/ss-mix2/PID-Patient.toml", ROWS.replace("cwe", "no_such"), "no converter"),
        ("rows/ss-mix2/PID-Patient.toml", "varying = []\n" + ROWS, "cannot be set"),
        ("rows/ss-mix2/PID-Patient.toml", ROWS.replace('"Patient"', '"Person"'), "Patient"),
        ("rows/ss-mix2/PID-Patient.toml", ROWS.replace("cite", "city"), "without cite"),
        ("rows/ss-mix2/PID-Patient.toml", ROWS.replace('via = "cwe", ', ""), "one of via and table"),
        ("rows/ss-mix2/PID-Patient.toml", ROWS.replace('"PID-16"', "16"), "text"),
        ("rows/ss-mix2/PID-Patient.toml", ROWS.replace("PID-16", "PID"), "a field"),
        ("rows/ss-mix2/PID-Patient.toml", ROWS.replace("[{", "{").replace("}]", "}"), "list of tables"),
        ("rows/ss-mix3/PID-Patient.toml", ROWS, "no rows of a source"),
        ("tables/code-systems.csv", "name,system\n99A,not a uri\n", "absolute URI"),
        ("tables/code-systems.csv", "name,system,pattern\n99A,http://a.example,[\n", "regular expression"),
    ],
)
def test_an_overlay_with_a_fault_stops_the_start(
    run: Run, config: Path, message: Path, name: str, text: str, words: str
) -> None:
    (config.parent / "site" / name).parent.mkdir(exist_ok=True)
    (config.parent / "site" / name).write_text(text, encoding="utf-8")
    done = run("convert", message, "--config", config)
    assert done.returncode == 2 and done.stdout == b""
    assert words in done.stderr.decode() and done.stderr.count(b"\n") == 1


def test_an_overlay_that_is_not_there_is_said(run: Run, node: Callable[..., Path], message: Path) -> None:
    done = run("convert", message, "--config", node(more='[mapping]\noverlay = "nowhere"\n'))
    assert done.returncode == 2 and b"no such folder" in done.stderr


def test_lint_finds_with_file_and_line_what_the_start_refuses(run: Run, config: Path) -> None:
    assert run("mapping", "lint", "--config", config).returncode == 0
    (config.parent / "site" / "tables" / "ucum-units.csv").write_text("source,target\n甲,g\nmg,g\n", encoding="utf-8")
    done = run("mapping", "lint", "--json", "--config", config)
    (fault,) = (f for f in json.loads(done.stdout)["findings"] if f["severity"] == "error")
    assert done.returncode == 1 and fault["line"] == 3 and fault["file"].endswith("site/tables/ucum-units.csv")


def test_the_documentation_shows_the_sites_rows(run: Run, config: Path) -> None:
    page = run("mapping", "docs", "--config", config).stdout.decode()
    assert "| PID-16 | `maritalStatus` |" in page and "our own agreement 2024-3" in page
