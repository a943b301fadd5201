"""tests/golden/jahistc: whole notebooks with their whole outputs."""

from pathlib import Path

import pytest

from gateway.codec import fhir
from gateway.profiles.validator import Validator
from gateway.translate.context import Facilities
from gateway.translate.jahistc.source import read_file
from tests.oracle import hl7_validator

FOLDERS = sorted(file.parent for file in (Path(__file__).parents[2] / "golden" / "jahistc").rglob("in.csv"))
each = pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)


@each
def test_the_output_is_the_expected_one(folder: Path, update_golden: bool) -> None:
    (made,) = read_file((folder / "in.csv").read_bytes(), "in.csv", Facilities(), explain=True)
    told = {
        "issues": [" | ".join(issue) for issue in made.translated.issues],
        "residue": [f"{row.where}: {row.value}" for row in made.translated.residue],
        "lineage": [f"{row.source} -> {row.target}" for row in made.translated.lineage],
    }
    for name, content in (("bundle.json", made.bundle), ("explain.json", told)):
        file, written = folder / name, fhir.render_pretty(content)
        if update_golden:
            file.write_bytes(written)
        assert written == file.read_bytes(), f"{folder.name}/{name} differs; see --update-golden"


@each
def test_the_output_is_valid(folder: Path) -> None:
    found = Validator.default().check(fhir.parse((folder / "bundle.json").read_bytes()))
    assert [one for one in found if one.severity in ("error", "fatal", "warning")] == []


@pytest.mark.oracle
def test_the_hl7_validator_accepts_every_golden(tmp_path: Path, shared: Path) -> None:
    if reason := hl7_validator.missing():
        pytest.skip(reason)
    for folder in FOLDERS:
        (tmp_path / f"{folder.name}.json").write_bytes((folder / "bundle.json").read_bytes())
    verdicts = hl7_validator.validate(tmp_path)
    assert [(Path(v.file).stem, v.errors) for v in verdicts if not v.accepted] == [] and len(verdicts) == len(FOLDERS)
