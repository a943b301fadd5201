"""fixtures/samples: what README.md shows an integrator converts to valid FHIR."""

from pathlib import Path
from typing import Any

import pytest

from gateway.profiles.validator import Validator

SAMPLES = sorted((Path(__file__).parents[2] / "fixtures" / "samples").iterdir())
TYPES = {
    "contrast-ct.hl7": {"Procedure", "ImagingStudy"},
    "exchange.json": {"Observation", "Device"},
    "microbiology.hl7": {"DiagnosticReport", "Observation", "Specimen"},
    "notebook.csv": {"MedicationDispense", "MedicationStatement", "Communication"},
    "vaccine.hl7": {"Immunization", "MedicationAdministration"},
}


@pytest.mark.parametrize("file", SAMPLES, ids=lambda file: file.name)
def test_a_sample_converts_to_valid_resources_of_its_kind(musubi: Any, file: Path) -> None:
    result = musubi("convert", file)
    assert result.code == 0
    resources = [entry["resource"] for entry in result.documents[0]["entry"]]
    assert {resource["resourceType"] for resource in resources} >= TYPES[file.name]
    check = Validator.default().check
    assert [finding for one in resources for finding in check(one) if finding.severity in ("error", "fatal")] == []


def test_the_list_is_complete() -> None:
    assert {file.name for file in SAMPLES} == set(TYPES)
