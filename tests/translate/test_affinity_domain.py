"""The codes documents get: each table whole, each data type in every table, and a site's rows in the place of ours."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway import mapping_files
from gateway.errors import ConfigurationError
from gateway.model.code import Code
from gateway.translate import affinity_domain

LOINC = affinity_domain.LOINC_OID
TABLES = ("class", "type", "format", "facility-type", "practice-setting", "confidentiality", "event", "content-type")
PRINTED_LOINC = {"11502-2", "57833-6"}
EXTENDED_LOINC = {"11506-3", "34108-1", "34112-3", "18842-5", "57133-1"}
"""Of data type folders of the extended storage, as NHO names them."""


def rows(table: str) -> list[dict[str, str]]:
    return list(mapping_files.read_csv(mapping_files.path("affinity-domain", f"{table}.csv")))


@pytest.mark.parametrize("table", TABLES)
def test_every_row_is_whole_and_no_loinc_number_is_invented(table: str) -> None:
    keys = [next(iter(row.values())) for row in rows(table)]
    assert len(keys) == len(set(keys)) > 0
    for row in rows(table):
        assert None not in row
        assert None not in row.values()
        assert row["scheme"]
        assert row["cite"]
        assert (row["scheme"] == LOINC) <= (row["code"] in PRINTED_LOINC | EXTENDED_LOINC)


def test_every_data_type_has_a_class_a_type_and_an_event_code() -> None:
    tables = {table: {row["data_type"] for row in rows(table)} for table in ("class", "type", "event")}
    assert tables["class"] == tables["type"] == tables["event"] | {"*"} | EXTENDED_LOINC
    assert {row["data_type"] for row in rows("resource")} <= tables["class"]


@pytest.mark.parametrize(
    ("key", "code", "title"),
    [
        ("OML-11", "11502-2", "検体検査結果"),
        ("OMP-01", "57833-6", "処方オーダ"),
        ("18842-5", "18842-5", "退院時サマリー"),
        ("57133-1", "57133-1", "診療情報提供書"),
        ("XYZ", "other", "診療情報"),
    ],
)
def test_the_japanese_default(key: str, code: str, title: str) -> None:
    found = affinity_domain.class_and_type(key)
    assert (found[1].code, found[2]) == (code, title)


@pytest.mark.parametrize(
    ("resource", "key"),
    [
        (composition := {"resourceType": "Composition", "type": {"coding": [{"system": "http://loinc.org", "code": "18842-5"}]}}, "18842-5"),
        ({**composition, "type": {"coding": [{"system": "http://x.example", "code": "18842-5"}]}}, "*"),
        ({"resourceType": "DiagnosticReport", "category": [{"coding": [{"code": "LAB"}]}]}, "OML-11"),
        ({"resourceType": "MedicationRequest"}, "OMP-01"),
        ({"resourceType": "MedicationRequest", "category": [{"coding": [{"code": "OHI"}]}]}, "OMP-02"),
        ({"resourceType": "Basic"}, "*"),
    ],
)  # fmt: skip
def test_the_key_of_a_resource(resource: dict[str, object], key: str) -> None:
    assert affinity_domain.key_of(resource) == key


def test_the_other_defaults() -> None:
    assert affinity_domain.language("OML-11") == "ja-JP"
    assert affinity_domain.confidentiality("OML-11").code == "N"
    assert affinity_domain.content_type("57133-1").code == "57133-1"
    assert affinity_domain.content_type("else").code == "registration"
    assert affinity_domain.practice_setting("01") == Code("01", "urn:oid:1.2.392.200250.2.2.2")


# -- a site's own ---------------------------------------------------------------------------------------------------


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty folder for tables, in a process that has read nothing yet."""
    monkeypatch.setattr(mapping_files, "_State", type("_State", (), {"site": None, "used": False}))
    affinity_domain.tables.cache_clear()
    folder = tmp_path / "site" / "affinity-domain"
    folder.mkdir(parents=True)
    yield folder
    affinity_domain.tables.cache_clear()


def test_a_row_of_the_site_takes_the_place_of_ours(site: Path) -> None:
    (site / "class.csv").write_text("data_type,code,scheme\nOML-11,LAB,1.2.3\nOML-99,NEW,1.2.3\n", "utf-8")
    (site / "language.csv").write_text("data_type,language\n*,ja\n", "utf-8")
    mapping_files.configure(site.parent)
    assert affinity_domain.class_and_type("OML-11")[0] == Code("LAB", "1.2.3")
    assert affinity_domain.class_and_type("OML-99")[0] == Code("NEW", "1.2.3")
    assert affinity_domain.class_and_type("OML-01")[0].code == "laboratory-order"
    assert affinity_domain.language("OML-11") == "ja"


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("colour.csv", "a,b\n1,2\n", "no table 'colour'"),
        ("class.csv", "data_type,code\nOML-11,LAB\n", "the columns are"),
    ],
)
def test_a_table_that_nobody_reads_stops_the_start(site: Path, name: str, text: str, words: str) -> None:
    (site / name).write_text(text, "utf-8")
    with pytest.raises(ConfigurationError, match=words):
        mapping_files.configure(site.parent)
