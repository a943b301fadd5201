"""`musubi export`: the current view, one resource a line, in canonical order."""

from pathlib import Path
from typing import Any

import pytest

from gateway.profiles.validator import Validator


@pytest.fixture
def fed(musubi: Any, node: Any, tokyo: Path) -> Path:
    config: Path = node()
    assert musubi("ingest", tokyo, "-c", config).code == 0
    return config


def test_every_resource_once_by_type_and_id(musubi: Any, fed: Path) -> None:
    result = musubi("export", "-c", fed)
    keys = [(document["resourceType"], document["id"]) for document in result.documents]
    assert result.code == 0 and keys == sorted(set(keys)) and {type_ for type_, _ in keys} >= {"Patient", "Observation"}
    assert result.err == f"{len(keys):,} resources\n"
    assert all(set(d["meta"]) >= {"versionId", "lastUpdated"} for d in result.documents)


def test_all_of_it_is_valid(musubi: Any, fed: Path) -> None:
    check = Validator.default().check
    assert [f for d in musubi("export", "-c", fed).documents for f in check(d) if f.severity == "error"] == []


def test_again_the_same_bytes(musubi: Any, fed: Path) -> None:
    assert musubi("export", "-c", fed).out == musubi("export", "-c", fed).out


def test_a_deleted_file_is_not_in_it(musubi: Any, fed: Path, deleted: Path) -> None:
    (bundle,) = musubi("convert", "-c", fed, deleted).documents
    gone = {entry["request"]["url"] for entry in bundle["entry"]}
    assert gone and not gone & {f"{d['resourceType']}/{d['id']}" for d in musubi("export", "-c", fed).documents}


def test_without_a_database_none_is_made(musubi: Any, node: Any) -> None:
    config = node()
    result = musubi("export", "-c", config)
    assert result.code == 2 and "no database yet" in result.err
    assert [path.name for path in config.parent.iterdir()] == ["musubi.toml"]


def test_another_format_is_not_there_yet(musubi: Any, fed: Path) -> None:
    result = musubi("export", "-c", fed, "--format", "exchange-spec")
    assert result.code == 2 and "--format" in result.err and result.out == b""
