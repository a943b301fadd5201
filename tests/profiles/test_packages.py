import gzip
import json
import tarfile
from pathlib import Path

import pytest

from gateway.errors import BadInput
from gateway.profiles import packages
from gateway.profiles.packages import conformance_resources

SYSTEM = {"resourceType": "CodeSystem", "url": "urn:s"}


def test_packages_in_three_forms(tmp_path: Path) -> None:
    content = json.dumps(SYSTEM).encode()
    (tmp_path / "a.json").write_bytes(content)
    with gzip.open(tmp_path / "b.json.gz", "wb") as out:
        out.write(json.dumps({"resourceType": "Bundle", "entry": [{"resource": SYSTEM}, {"resource": {}}]}).encode())
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "CodeSystem-s.json").write_bytes(content)
    with tarfile.open(tmp_path / "c.tgz", "w:gz") as archive:
        archive.add(tmp_path / "package" / "CodeSystem-s.json", "package/CodeSystem-s.json")
        archive.add(tmp_path / "package" / "CodeSystem-s.json", "package/example/CodeSystem-s.json")
    assert [r["url"] for r in conformance_resources(tmp_path)] == ["urn:s"] * 4
    assert len(list(conformance_resources(tmp_path / "c.tgz"))) == 1


def test_broken_packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, content in (("a.tgz", b"x"), ("a.json.gz", b"x"), ("a.json", b"{")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(BadInput):
            list(conformance_resources(tmp_path / name))
    monkeypatch.setattr(packages, "MAX_FILE", 3)
    (tmp_path / "a.json").write_bytes(b'{"a":1}')
    with pytest.raises(BadInput):
        list(conformance_resources(tmp_path / "a.json"))
