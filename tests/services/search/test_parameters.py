"""The table of search parameters: read strictly, and true to the standards."""

import gzip
import json
import re
from pathlib import Path

import pytest

from gateway import mapping_files
from gateway.errors import ConfigurationError
from gateway.services.ingest.deriving import NOBODYS
from gateway.services.search.parameters import PARAMETERS, Step, parse_path, read_parameters

HEAD = "type,param,kind,path,system,cite\n"
BEYOND_R4 = {"patient-extensions-Patient-mothersMaidenName"}
"""Parameters that a profile asks for and the core specification does not list: IHE PDQm (ITI-78)."""
DOCS = Path(__file__).resolve().parents[3] / "docs" / "fhir.md"


def test_paths() -> None:
    assert parse_path("effective[x]") == (Step("effective", choice=True),)
    assert parse_path("telecom(phone)") == (Step("telecom", filter="phone"),)
    assert parse_path("a.b") == (Step("a"), Step("b"))
    with pytest.raises(ConfigurationError):
        parse_path("a..b")


@pytest.mark.parametrize(
    "row",
    [
        "Patient,a,token,a,,c\nPatient,a,token,a,,c",
        "Patient,a,number,a,,c",
        "Patient,a,token,a,,",
        "Patient,a,code,a,,c",
        "Patient,a,token,a,http://system,c",
        "Patient,a,token,a b,,c",
    ],
)
def test_a_wrong_row_stops_the_start(tmp_path: Path, row: str) -> None:
    file = tmp_path / "parameters.csv"
    file.write_text(HEAD + row + "\n", encoding="utf-8")
    with pytest.raises(ConfigurationError):
        read_parameters(file)


def test_each_type_has_at_most_one_main_date() -> None:
    mains = {type_: [p.name for p in table.values() if p.main_date] for type_, table in PARAMETERS.items()}
    assert mains["Observation"] == ["date"] and mains["MedicationRequest"] == ["authoredon"]
    assert mains["Condition"] == ["onset-date"] and mains["Organization"] == []
    assert all(len(names) <= 1 for names in mains.values())


def test_every_type_a_converter_makes_can_be_asked_for() -> None:
    """By identifier and patient at least, and by status and date where R4 has them; a type without rows answers 404."""
    made = set()
    for file in (Path(__file__).resolve().parents[2] / "golden").glob("**/*.json"):
        made |= set(re.findall(r'"resourceType": ?"([A-Za-z]+)"', file.read_text(encoding="utf-8")))
    made |= {"MedicationStatement", "Communication", "CareTeam"}  # of medication notebooks
    for type_ in made - {"Bundle", "OperationOutcome"}:
        known = PARAMETERS[type_]
        assert "identifier" in known or type_ == "Provenance", type_
        assert {"patient"} <= known.keys() or type_ in NOBODYS | {"Patient"}, type_


def test_every_row_is_a_parameter_of_the_standard(shared: Path) -> None:
    bundle = json.loads(gzip.decompress((shared / "fhir" / "r4" / "r4-search-parameters.json.gz").read_bytes()))
    entries = bundle["entry"] if isinstance(bundle, dict) else bundle
    standard = {one["id"]: one for one in (entry.get("resource", entry) for entry in entries)}
    for type_, table in PARAMETERS.items():
        for parameter in table.values():
            if parameter.name.startswith("jp-") or parameter.cite in BEYOND_R4:
                continue
            cited = standard[parameter.cite]
            assert (cited["code"], cited["type"]) == (parameter.name, parameter.wire_kind), parameter
            assert type_ in cited["base"], parameter


def test_the_documentation_lists_the_same() -> None:
    text = DOCS.read_text(encoding="utf-8")
    for type_, table in PARAMETERS.items():
        line = next(line for line in text.splitlines() if line.startswith(f"| {type_} |"))
        listed = [word.strip().partition(":") for word in line.split("|")[2].split(",")]
        assert [(name, kind) for name, _, kind in listed] == [(p.name, p.wire_kind) for p in table.values()], type_


def test_system_aliases_name_each_pair_once() -> None:
    rows = list(mapping_files.read_csv(mapping_files.path("tables", "system-aliases.csv")))
    assert len({(row["oid"], row["http"]) for row in rows}) == len(rows) > 30
    assert len({row["oid"] for row in rows}) == len(rows)
