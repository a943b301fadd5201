"""`musubi validate`: one OperationOutcome a file, in order, with FHIRPath places."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

NAME = {"use": "official", "text": "見本 結子"}
PATIENT = {"resourceType": "Patient", "name": [NAME], "gender": "female"}
BAD = {**PATIENT, "gender": "onna"}


@pytest.fixture
def write(tmp_path: Path) -> Any:
    def write(name: str, *resources: Any) -> Path:
        path = tmp_path / name
        path.write_text("\n".join(one if isinstance(one, str) else json.dumps(one) for one in resources), "utf-8")
        return path

    return write


def issues(result: Any) -> list[dict[str, Any]]:
    return [issue for document in result.documents for issue in document["issue"]]


def test_a_good_resource(musubi: Any, write: Any) -> None:
    result = musubi("validate", write("a.json", PATIENT), "--json")
    (outcome,) = result.documents
    assert result.code == 0 and outcome["resourceType"] == "OperationOutcome"
    assert [issue["severity"] for issue in outcome["issue"]] == ["information"]


def test_a_bad_value_is_named_by_its_fhirpath(musubi: Any, write: Any) -> None:
    result = musubi("validate", write("a.json", BAD), "--json")
    (issue,) = issues(result)
    assert result.code == 1 and issue["severity"] == "error" and issue["expression"] == ["Patient.gender"]
    assert "onna" not in result.out.decode(), "findings hold no values"


def test_for_people_one_outcome_is_indented(musubi: Any, write: Any) -> None:
    result = musubi("validate", write("a.json", BAD))
    assert result.out.count(b"\n") > 5 and json.loads(result.out)["resourceType"] == "OperationOutcome"


def test_several_files_are_lines_in_order_and_the_worst_counts(musubi: Any, write: Any) -> None:
    result = musubi("validate", write("a", BAD), write("b", PATIENT), write("c", BAD))
    assert result.code == 1
    assert [d["issue"][0]["severity"] for d in result.documents] == ["error", "information", "error"]


def test_ndjson_is_one_outcome_that_names_lines(musubi: Any, write: Any) -> None:
    result = musubi("validate", write("a.ndjson", PATIENT, BAD, '{"resourceType":'), "--json")
    first, second = issues(result)
    assert result.code == 1 and len(result.documents) == 1
    assert first["details"]["text"].startswith("line 2: ") and first["expression"] == ["Patient.gender"]
    assert second["details"]["text"].startswith("line 3: ") and second["severity"] == "fatal"


@pytest.mark.parametrize("text", ["", "not json", "[1]", '"x"', '{"resourceType":"Patient",', '{"a":1,"a":2}', "NaN"])
def test_what_is_no_json_object_is_a_fatal_finding_without_a_place(musubi: Any, write: Any, text: str) -> None:
    result = musubi("validate", write("a", text), "--json")
    (issue,) = issues(result)
    assert result.code == 1 and issue["severity"] == "fatal" and "expression" not in issue


@pytest.mark.parametrize("resource", [{}, {"resourceType": "Nix"}, {"resourceType": 7}, {"resourceType": ["Patient"]}])
def test_what_is_no_resource_is_an_error(musubi: Any, write: Any, resource: Any) -> None:
    result = musubi("validate", write("a", resource), "--json")
    assert result.code == 1 and {issue["severity"] for issue in issues(result)} == {"error"}


def test_a_bundle_is_checked_with_its_entries(musubi: Any, write: Any) -> None:
    entry = {"fullUrl": "urn:uuid:9e2b1d10-7c2f-4a51-8f0e-2b7b1f6f3b11", "resource": BAD}
    result = musubi(
        "validate", write("a", {"resourceType": "Bundle", "type": "collection", "entry": [entry]}), "--json"
    )
    assert result.code == 1
    assert [i["expression"] for i in issues(result)] == [["Bundle.entry[0].resource.gender"]]


def test_what_convert_makes_is_good(musubi: Any, labs: Path, tmp_path: Path) -> None:
    (tmp_path / "made").write_bytes(musubi("convert", "--bundle", "collection", labs).out)
    result = musubi("validate", "made", "--json")
    assert result.code == 0, result.out


@pytest.mark.parametrize("name", ["JP_Patient", "http://jpfhir.jp/fhir/core/StructureDefinition/JP_Patient"])
def test_a_profile_by_name_or_url(musubi: Any, write: Any, name: str) -> None:
    assert musubi("validate", write("a", PATIENT)).code == 0
    result = musubi("validate", write("a", PATIENT), "--profile", name, "--json")
    assert result.code == 1
    assert any("identifier" in issue["diagnostics"] for issue in issues(result)), "JP_Patient wants an identifier"


@pytest.mark.parametrize("name", ["JP_Nix", "http://example.org/nix"])
def test_a_profile_nobody_knows_is_wrong_usage(musubi: Any, write: Any, name: str) -> None:
    result = musubi("validate", write("a", PATIENT), "--profile", name)
    assert result.code == 2 and name in result.err and result.out == b""


def test_packages_that_are_not_there(musubi: Any, write: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    file = write("a", PATIENT)
    assert musubi("validate", file, "--packages", "nix").err == "musubi: nix: no such file or folder\n"
    monkeypatch.setenv("MUSUBI_FHIR_PACKAGES", "nix")
    assert musubi("validate", file).code == 2


def test_a_package_brings_a_profile(musubi: Any, write: Any, tmp_path: Path) -> None:
    element = {"id": "Patient.birthDate", "path": "Patient.birthDate", "min": 1}
    definition = {
        "resourceType": "StructureDefinition", "url": "http://example.org/born", "name": "Born", "status": "active",
        "kind": "resource", "abstract": False, "type": "Patient", "derivation": "constraint",
        "baseDefinition": "http://hl7.org/fhir/StructureDefinition/Patient",
        "differential": {"element": [{"id": "Patient", "path": "Patient"}, element]},
        "snapshot": {"element": [{"id": "Patient", "path": "Patient", "min": 0, "max": "*"}, {**element, "max": "1"}]},
    }  # fmt: skip
    package = tmp_path / "packages" / "example" / "package"
    package.mkdir(parents=True)
    (package / "package.json").write_text('{"name":"example","version":"1.0.0","fhirVersions":["4.0.1"]}')
    (package / "StructureDefinition-born.json").write_text(json.dumps(definition))
    arguments = ["validate", write("a", PATIENT), "--profile", "http://example.org/born", "--json"]
    assert musubi(*arguments).code == 2
    result = musubi(*arguments, "--packages", tmp_path / "packages")
    assert result.code == 1 and any("birthDate" in issue["details"]["text"] for issue in issues(result))


def test_a_folder_in_the_place_of_a_file(musubi: Any, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    result = musubi("validate", "folder")
    assert (result.code, result.err) == (2, "musubi: folder: Is a directory\n")


def test_a_name_with_a_line_feed(musubi: Any, write: Any, tmp_path: Path) -> None:
    shutil.copy(write("a", PATIENT), tmp_path / "検査 結果\n次")
    assert musubi("validate", "検査 結果\n次").code == 0
