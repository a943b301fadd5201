"""Every resource made of the sample storages, judged by our own check and by the HL7 validator."""

import tarfile
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from gateway.codec import fhir
from gateway.profiles.validator import Validator
from gateway.translate.context import Facilities
from gateway.translate.sources import read_file
from tests.oracle import hl7_validator

ARCHIVES = ("storage-20p.tar.gz", "nho-testing-tool-samples.tar.gz")
A_FILE = 400
"""Resources in one Bundle for the validator: few large files are quicker than many small ones."""

Resource = dict[str, Any]


@pytest.fixture(scope="module")
def resources(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], list[Resource]]:
    """(archive, part) -> resources of some files, each id once: whole messages, so that their references resolve."""
    found: dict[tuple[str, str], dict[str, Resource]] = defaultdict(dict)
    for archive in ARCHIVES:
        part = 0
        folder = tmp_path_factory.mktemp("samples")
        with tarfile.open(shared / "samples" / "ssmix2" / archive) as packed:
            packed.extractall(folder, filter="data")
        for path in sorted(path for path in folder.rglob("*_[012]") if path.is_file()):
            for converted in read_file(path.read_bytes(), str(path), Facilities()):
                found[archive, f"{part:03d}"] |= {r["id"]: r for r in converted.resources}
            part += len(found[archive, f"{part:03d}"]) >= A_FILE
    return {key: list(by_id.values()) for key, by_id in sorted(found.items())}


def test_our_own_check_finds_no_error(resources: dict[tuple[str, str], list[Resource]]) -> None:
    validator = Validator.default()
    wrong = [
        (archive, resource["resourceType"], finding)
        for (archive, _), several in resources.items()
        for resource in several
        for finding in validator.check(resource)
        if finding.severity in ("error", "fatal")
    ]
    assert wrong == []
    assert sum(len(several) for several in resources.values()) > 2000


@pytest.mark.oracle
def test_the_hl7_validator_finds_no_error(resources: dict[tuple[str, str], list[Resource]], tmp_path: Path) -> None:
    if reason := hl7_validator.missing():
        pytest.skip(reason)
    for (archive, part), several in resources.items():
        entries = [{"fullUrl": f"urn:uuid:{one['id']}", "resource": one} for one in several]
        bundle = {"resourceType": "Bundle", "type": "collection", "entry": entries}
        (tmp_path / f"{archive.partition('-')[0]}-{part}.json").write_bytes(fhir.render(bundle))
    verdicts = hl7_validator.validate(tmp_path, timeout_s=900)
    assert len(verdicts) == len(resources)
    assert [(Path(v.file).stem, v.errors[:5]) for v in verdicts if not v.accepted] == []
