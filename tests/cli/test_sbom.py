"""`musubi sbom`: the parts that carry the trust are in it, each with a version."""

import json
from importlib.metadata import PackageNotFoundError, distribution
from typing import Any

import pytest


def test_it_names_what_runs(musubi: Any) -> None:
    try:
        distribution("musubi-gateway")
    except PackageNotFoundError:
        pytest.skip("this checkout is not installed")
    result = musubi("sbom")
    found = json.loads(result.out)
    names = {one["name"].lower(): one for one in found["components"]}
    assert result.code == 0 and found["bomFormat"] == "CycloneDX"
    assert {"lxml", "flask", "sqlalchemy"} <= names.keys()
    assert all(one["version"] and one["purl"].startswith("pkg:pypi/") for one in names.values())
    known = {one["bom-ref"] for one in found["components"]} | {found["metadata"]["component"]["bom-ref"]}
    assert {ref for one in found["dependencies"] for ref in (one["ref"], *one["dependsOn"])} <= known
