"""tests/golden/exchange-spec: whole files with their whole outputs."""

from pathlib import Path

import pytest

from gateway.codec import fhir
from gateway.profiles.validator import Validator
from tests.oracle import hl7_validator
from tests.translate.exchange_spec.making import convert

FOLDERS = sorted(file.parent for file in (Path(__file__).parents[2] / "golden" / "exchange-spec").rglob("in.json"))
each = pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)


@each
def test_the_output_is_the_expected_one(folder: Path, update_golden: bool) -> None:
    (converted,) = convert((folder / "in.json").read_bytes(), path="in.json")
    said = fhir.render_pretty({"issues": [" | ".join(issue) for issue in converted.translated.issues]})
    for name, made in (("bundle.json", fhir.render_pretty(converted.bundle)), ("explain.json", said)):
        file = folder / name
        if update_golden:
            file.write_bytes(made)
        assert made == file.read_bytes(), f"{folder.name}/{name} differs; see --update-golden"


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
