"""`musubi export`: the current view, one resource a line, in canonical order."""

from pathlib import Path
from typing import Any

import pytest

from gateway.profiles.validator import Validator
from gateway.translate.exchange_spec import exact
from tests.translate.exchange_spec.making import canonical, envelope, person, record


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


def test_a_format_that_is_not_there(musubi: Any, fed: Path) -> None:
    result = musubi("export", "-c", fed, "--format", "csv")
    assert result.code == 2 and "--format" in result.err and result.out == b""


# -- exchange-spec ----------------------------------------------------------------------------------------------------


@pytest.fixture
def exchanged(musubi: Any, node: Any, tmp_path: Path) -> tuple[Path, dict[str, Any]]:
    """A node fed with one exchange file, and the file."""
    document = envelope(*(person("P1", **{name: [record(name)]}) for name in ("hba1c",)))
    document["person_information"][0] |= person("P1", weighing_scale=[record("weighing_scale")])
    path = tmp_path / "sent.json"
    path.write_bytes(exact.dumps(document))
    config: Path = node()
    assert musubi("ingest", path, "-c", config).code == 0
    return config, document


def test_exchange_files_come_out_as_they_came_in(musubi: Any, exchanged: tuple[Path, dict[str, Any]]) -> None:
    config, document = exchanged
    result = musubi("export", "-c", config, "--format", "exchange-spec")
    assert result.code == 0 and canonical(exact.loads(result.out.decode())) == canonical(document)
    assert result.err == "2 records in 1 files\n"


def test_exchange_files_go_into_a_folder(musubi: Any, exchanged: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    config, document = exchanged
    result = musubi("export", "-c", config, "--format", "exchange-spec", "--output", tmp_path / "out")
    (file,) = (tmp_path / "out").iterdir()
    assert result.out == b"" and file.name == "HX_TST001_20171005210000123.json"
    assert canonical(exact.loads(file.read_text("utf-8"))) == canonical(document)


def test_the_dialect_names_the_input_code(musubi: Any, exchanged: tuple[Path, dict[str, Any]]) -> None:
    config, _ = exchanged
    assert b'"data_input_code"' in musubi("export", "-c", config, "--format", "exchange-spec").out
    other = musubi("export", "-c", config, "--format", "exchange-spec", "--dialect", "h28").out
    assert b'"input_method_code"' in other and b'"data_input_code"' not in other


@pytest.mark.parametrize(
    "options", [("--format", "exchange-spec", "--dialect", "1.2.0"), ("--dialect", "seed"), ("--output", "x")]
)
def test_options_that_belong_to_the_other_format(musubi: Any, fed: Path, options: tuple[str, ...]) -> None:
    result = musubi("export", "-c", fed, *options)
    assert result.code == 2 and result.out == b""


def test_hospital_results_are_no_exchange_records(musubi: Any, fed: Path) -> None:
    result = musubi("export", "-c", fed, "--format", "exchange-spec")
    assert result.code == 0 and result.out == b"" and "0 records in 0 files" in result.err
    assert "not exported, other-kind: " in result.err
