"""Storages as they are found: several volumes, versions that contradict each other, odd names, moving files."""

import itertools
import os
import unicodedata
from pathlib import Path

import orjson
import pytest

from gateway.services.ingest import Summary
from gateway.services.ingest.files import renamed
from tests.services.ingest.test_reading import lab
from tests.services.ingest.trees import export, node

PATIENT = "0000012345"


def put(
    root: Path,
    time: str,
    flag: str = "1",
    value: str = "1",
    *,
    patient: str = PATIENT,
    order: str = "000000000000777",
    data_type: str = "OML-11",
    department: str = "01",
) -> Path:
    """One laboratory result in a storage; `value` stands in OBX-5."""
    folder = root / (patient[:3] or "-") / (patient[3:6] or "-") / patient / "20260105" / data_type
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{patient}_20260105_{data_type}_{order}_{time}_{department}_{flag}"
    path.write_bytes(lab(patient, f"MSG{time}", value))
    return path


def run(here: Path, *paths: Path) -> tuple[Summary, list[bytes]]:
    with node(here) as (ingestor, store):
        return ingestor.run([str(path) for path in paths], rejects_file=here / "r.jsonl"), export(store)


def values(exported: list[bytes]) -> list[str]:
    found = [orjson.loads(line) for line in exported]
    return [str(one["valueQuantity"]["value"]) for one in found if one["resourceType"] == "Observation"]


T1, T2, T3, T4 = (f"2026010510300{n}000" for n in range(1, 5))


@pytest.mark.parametrize(
    ("files", "shown"),
    [
        (((T1, "2", "1"), (T2, "1", "2")), ["2"]),
        (((T1, "1", "1"), (T2, "1", "2")), ["2"]),  # two valid files: the newer one
        (((T1, "1", "1"), (T2, "2", "2")), ["1"]),  # the flag beats the time
        (((T1, "2", "1"), (T2, "2", "2")), []),
        (((T1, "0", "1"), (T2, "0", "2")), []),
        (((T1, "0", "1"), (T2, "0", "2"), (T3, "1", "3")), ["3"]),  # alive again
        (((T1, "0", "1"), (T2, "0", "2"), (T3, "2", "3"), (T4, "1", "4")), ["4"]),
        (((T1, "1", "1"), (T2, "0", "2")), []),  # the deletion is newer, the rename is still to come
        (((T1, "1", "1"), (T1, "1", "1")), ["1"]),
    ],
)
def test_versions_in_any_order_of_arrival(
    tmp_path: Path, files: tuple[tuple[str, str, str], ...], shown: list[str]
) -> None:
    paths = [put(tmp_path / "1310000001", *one) for one in files]
    exports = []
    for number, order in enumerate(itertools.permutations(dict.fromkeys(paths))):
        with node(tmp_path / f"n{number}") as (ingestor, store):
            for path in order:
                ingestor.run([str(path)], rejects_file=tmp_path / "r.jsonl")
            exports.append(export(store))
    assert values(exports[0]) == shown
    assert all(one == exports[0] for one in exports)


def test_two_valid_files_of_one_key_are_told_of(tmp_path: Path) -> None:
    put(tmp_path / "s", T1)
    put(tmp_path / "s", T2, value="2")
    assert run(tmp_path / "n", tmp_path / "s")[0].issues["two-current-files"] == 1


@pytest.mark.parametrize("order", ["777", "0000000000777", "00777"])
def test_order_numbers_of_other_lengths_are_the_same_key(tmp_path: Path, order: str) -> None:
    put(tmp_path / "s", T1, "2", "1")
    put(tmp_path / "s", T2, "1", "2", order=order)
    _, found = run(tmp_path / "n", tmp_path / "s")
    assert values(found) == ["2"]


def test_the_department_is_not_part_of_the_key(tmp_path: Path) -> None:
    put(tmp_path / "s", T1, "2", "1")
    put(tmp_path / "s", T2, "1", "2", department="ABCDE")
    assert values(run(tmp_path / "n", tmp_path / "s")[1]) == ["2"]


@pytest.mark.parametrize("patient", ["1", "12", "123", "12345", "123456", "A-1", "A" * 15, "P_1", "１２３"])
def test_patient_ids_of_any_length(tmp_path: Path, patient: str) -> None:
    put(tmp_path / "1310000001", T1, patient=patient)
    summary, found = run(tmp_path / "n", tmp_path / "1310000001")
    assert summary.states == {"ingested": 1} and values(found) == ["1"]
    (person,) = (one for one in map(orjson.loads, found) if one["resourceType"] == "Patient")
    assert person["identifier"][0]["value"] == patient


def test_volumes_of_one_facility_are_merged_by_key(tmp_path: Path) -> None:
    volumes = [tmp_path / name for name in ("1310000001_STD01", "1310000001-2", "1310000001 (歯科)")]
    for volume, time, flag in zip(volumes, (T1, T2, T3), "221", strict=True):
        put(volume, time, flag, time[13])
    together = run(tmp_path / "a", *volumes)[1]
    assert values(together) == ["3"]
    assert run(tmp_path / "b", tmp_path)[1] == together


def test_the_file_name_wins_over_its_folders(tmp_path: Path) -> None:
    path = put(tmp_path / "s", T1)
    other = path.parent.parent / "ADT-31"
    other.mkdir()
    path.rename(other / path.name)
    summary, found = run(tmp_path / "n", tmp_path / "s")
    assert summary.issues["path-conflict"] == 1 and values(found) == ["1"]


@pytest.mark.parametrize("data_type", ["OML-12", "XYZ-99", "拡張"])
def test_types_outside_the_list_are_kept(tmp_path: Path, data_type: str) -> None:
    put(tmp_path / "s", T1, data_type=data_type)
    summary, found = run(tmp_path / "n", tmp_path / "s")
    assert summary.states == {"ingested": 1}
    assert {"Patient", "Provenance"} <= {orjson.loads(line)["resourceType"] for line in found}


def test_stray_files_cost_nothing(tmp_path: Path) -> None:
    path = put(tmp_path / "s", T1)
    for name in ("Thumbs.db", ".DS_Store", f"{path.name}.bak", "~$x.doc", "SSMIXIDX.mdb", ".hidden"):
        (path.parent / name).write_bytes(b"x")
    (path.parent / f"{path.name}.tmp").mkdir()
    (path.parent / "readme.txt").write_text("no message", "utf-8")
    summary, found = run(tmp_path / "n", tmp_path / "s")
    assert summary.states == {"ingested": 1, "ignored": 6, "rejected": 1} and values(found) == ["1"]


def test_a_name_in_decomposed_unicode_is_the_same_name(tmp_path: Path) -> None:
    kinds = [unicodedata.normalize(form, "ガ行") for form in ("NFC", "NFD")]
    assert kinds[0] != kinds[1]
    put(tmp_path / "s", T1, "2", "1", data_type=kinds[0])
    put(tmp_path / "t", T2, "1", "2", data_type=kinds[1])
    summary, found = run(tmp_path / "n", tmp_path / "s", tmp_path / "t")
    assert summary.states == {"ingested": 1, "superseded": 1}
    assert len([line for line in found if b'"resourceType":"Provenance"' in line]) == 1


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_folder_that_may_not_be_read_is_listed_and_the_rest_is_read(tmp_path: Path) -> None:
    put(tmp_path / "s", T1)
    closed = put(tmp_path / "s", T1, patient="9990012345").parent
    closed.chmod(0)
    try:
        summary, found = run(tmp_path / "n", tmp_path / "s")
    finally:
        closed.chmod(0o755)
    assert summary.states == {"ingested": 1, "rejected": 1} and values(found) == ["1"]


def test_a_file_that_is_renamed_while_the_walk_is_on_its_way_is_read_under_its_new_name(tmp_path: Path) -> None:
    path = put(tmp_path / "s", T1)
    with node(tmp_path / "n") as (ingestor, store):
        make = ingestor.make_reader

        def late() -> object:
            path.rename(path.with_name(path.name[:-1] + "2"))
            return make()

        ingestor.make_reader = late  # type: ignore[assignment]
        summary = ingestor.run([str(tmp_path / "s")], rejects_file=tmp_path / "r.jsonl")
        assert summary.states == {"superseded": 1} and values(export(store)) == []
    assert run(tmp_path / "n", tmp_path / "s")[0].states == {"unchanged": 1}


def test_where_a_renamed_file_is_looked_for(tmp_path: Path) -> None:
    (tmp_path / "c_2").mkdir()
    (tmp_path / "c_2" / "a.pdf").write_bytes(b"x")
    known = {"c_1", "c_2", "c_0"}.__contains__
    assert renamed(os.fsencode(tmp_path / "c_1" / "a.pdf"), known) == os.fsencode(tmp_path / "c_2" / "a.pdf")
    assert renamed(os.fsencode(tmp_path / "c_1" / "b.pdf"), known) is None
    assert renamed(os.fsencode(tmp_path / "d_1"), known) is None
    assert renamed(b"/", known) is None


def test_links_are_files_or_nothing(tmp_path: Path) -> None:
    path = put(tmp_path / "elsewhere", T1)
    link = tmp_path / "s" / "000" / "001" / PATIENT / "20260105" / "OML-11"
    link.mkdir(parents=True)
    (link / path.name).symlink_to(path)
    (tmp_path / "s" / "up").symlink_to(tmp_path)
    summary, found = run(tmp_path / "n", tmp_path / "s")
    assert summary.states == {"ingested": 1} and values(found) == ["1"]
