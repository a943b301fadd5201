"""Our verdicts beside those of the HL7 validator. Needs Java 17 and the shared FHIR packages; runs in about a minute."""

import copy
import json
import random
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from gateway.profiles.validator import Validator
from tests.oracle import hl7_validator

pytestmark = pytest.mark.oracle

DIFFERENCES: dict[str, str] = {}
"""Samples where we and the oracle disagree on purpose: file name -> reason."""

Resource = dict[str, Any]


@pytest.fixture(scope="module", autouse=True)
def _oracle() -> None:
    reason = hl7_validator.missing()
    if reason:
        pytest.skip(reason)


def ours(file: Path) -> bool:
    resource = json.loads(file.read_text("utf-8"), parse_float=Decimal)
    return not any(f.severity == "error" for f in Validator.default().check(resource))


def test_the_samples_of_jp_core(shared: Path) -> None:
    verdicts = hl7_validator.validate(shared / "samples" / "jp-core")
    assert len(verdicts) == 40
    for verdict in verdicts:
        file = Path(verdict.file)
        assert verdict.accepted is (file.parent.name == "valid"), (file.name, verdict.errors)
        assert (ours(file) is verdict.accepted) is (file.name not in DIFFERENCES), file.name


def _without(resource: Resource, path: tuple[Any, ...]) -> Resource:
    less = copy.deepcopy(resource)
    parent: Any = less
    for step in path[:-1]:
        parent = parent[step]
    del parent[path[-1]]
    return less


def _paths(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    children = list(value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ())
    return [p for key, child in children for p in [(*path, key), *_paths(child, (*path, key))]]


def test_the_same_verdict_when_something_is_removed(shared: Path, tmp_path: Path) -> None:
    """150 deletions at places drawn with a fixed seed. An array that became empty is left out: R4 forbids it, the
    oracle lets it pass (docs/validation.md); so is the code of a required Coding, for the same reason."""
    draw = random.Random(20240501)
    files = sorted((shared / "samples" / "jp-core" / "valid").glob("*.json"))
    made = 0
    while made < 150:
        file = draw.choice(files)
        resource = json.loads(file.read_text("utf-8"), parse_float=Decimal)
        path = draw.choice(_paths(resource))
        if isinstance(path[-1], int) or path[-1] == "code" or path[0] in ("resourceType", "meta"):
            continue
        text = json.dumps(_without(resource, path), ensure_ascii=False, default=float)
        (tmp_path / f"{made:03d}-{'.'.join(map(str, path))}.json").write_text(text, "utf-8")
        made += 1
    verdicts = hl7_validator.validate(tmp_path)
    disagreeing = [(Path(v.file).name, v.errors) for v in verdicts if v.accepted is not ours(Path(v.file))]
    assert disagreeing == []


def test_the_form_of_our_bundles(shared: Path, tmp_path: Path) -> None:
    """fullUrl urn:uuid with relative references passes in a collection and in a transaction; no fullUrl passes in none."""
    valid = shared / "samples" / "jp-core" / "valid"
    patient = json.loads((valid / "Patient-jp-patient-example-1.json").read_text("utf-8"))
    condition = json.loads((valid / "Condition-jp-condition-example-1.json").read_text("utf-8"))
    patient["id"], condition["id"] = "c757873d-ec9a-4326-a141-556f43239520", "0f3151b1-5b4f-5f0b-8d0e-6b4a3a1f4c55"
    condition["subject"] = {"reference": f"Patient/{patient['id']}"}
    for form in ("collection", "transaction"):
        entries: list[Resource] = [{"resource": resource} for resource in (patient, condition)]
        if form == "transaction":
            for entry in entries:
                url = f"{entry['resource']['resourceType']}/{entry['resource']['id']}"
                entry["request"] = {"method": "PUT", "url": url}
        named = [{"fullUrl": f"urn:uuid:{entry['resource']['id']}", **entry} for entry in entries]
        for name, content in (("with", named), ("without", entries)):
            bundle = {"resourceType": "Bundle", "type": form, "entry": content}
            (tmp_path / f"{form}-{name}.json").write_text(json.dumps(bundle), "utf-8")
    verdicts = {Path(v.file).stem: v.accepted for v in hl7_validator.validate(tmp_path)}
    assert verdicts == {
        "collection-with": True,
        "collection-without": False,
        "transaction-with": True,
        "transaction-without": False,
    }
    assert ours(tmp_path / "collection-with.json")
    assert ours(tmp_path / "transaction-with.json")
    assert not ours(tmp_path / "collection-without.json")
