"""A merge that comes as a file: the same as over MLLP, whatever order the files come in."""

from collections import Counter
from collections.abc import Iterator
from itertools import permutations
from pathlib import Path

import pytest

from gateway import app
from gateway.errors import UnknownPatient
from gateway.model.caller import UNRESTRICTED
from gateway.model.identity import PatientId
from gateway.services.persons import Desk
from gateway.settings import Settings
from tests.pix_parts import MEDICAL, OSAKA, TOKYO, adt, pid

ARC = "1.2.392.200119.99999"
SETTINGS = {
    "matching": {"mode": "off"},
    "authorities": [
        {"oid": f"{ARC}.2", "namespace": "TOKYO-HP"},
        {"oid": f"{ARC}.22", "namespace": "OSAKA-HP"},
        {"oid": f"{ARC}.3", "namespace": "MEDICAL-ID", "kind": "medical-id"},
    ],
}


def message(trigger: str, *segments: str, time: str = "20260102110000") -> bytes:
    return adt(
        trigger, *segments, version="2.5", time=time, facility="TOKYO-HP", id_=f"C{abs(hash((trigger, segments)))}"
    )


FILES = {
    "a1": message("A08", pid(f"A1^^^{TOKYO}~M1^^^{MEDICAL}")),
    "a2": message("A08", pid(f"A2^^^{TOKYO}")),
    "b1": message("A08", pid(f"B1^^^{OSAKA}~M1^^^{MEDICAL}")).replace(b"|TOKYO-HP|", b"|OSAKA-HP|"),
    "merge": message("A40", pid(f"A2^^^{TOKYO}"), f"MRG|A1^^^{TOKYO}", time="20260103090000"),
}


@pytest.fixture
def settings(tmp_path: Path) -> Iterator[Settings]:
    yield Settings.model_validate({"directory": tmp_path / "node", **SETTINGS})


def ingest(settings: Settings, folder: Path, files: dict[str, bytes]) -> tuple[Counter[str], list[str], object]:
    """(files by state, ids of B1's person at 東京, A1's history) after these files, one run each."""
    folder.mkdir()
    settings.directory.mkdir(exist_ok=True)
    states: Counter[str] = Counter()
    with app.storage(settings) as parts:
        for number, (name, data) in enumerate(files.items()):
            (folder / f"{number}-{name}.hl7").write_bytes(data)
            summary = app.ingestor(settings, parts).run(
                [str(folder / f"{number}-{name}.hl7")], rejects_file=settings.directory / "r.jsonl", workers=1
            )
            states += summary.states
        persons = app.Node(settings, parts).persons()
        try:
            found = persons.cross_reference(PatientId("B1", f"{ARC}.22"), (f"{ARC}.2",), UNRESTRICTED)
        except UnknownPatient:
            found = ()
        history = Desk(persons).history(PatientId("A1", f"{ARC}.2"), UNRESTRICTED)
    return states, [one.value for one in found], [(line.what, line.rule) for line in history]


@pytest.mark.parametrize("order", list(permutations(FILES)), ids="-".join)
def test_a_merge_moves_the_links_in_whatever_order_the_files_come(
    settings: Settings, tmp_path: Path, order: tuple[str, ...]
) -> None:
    states, found, history = ingest(settings, tmp_path / "in", {name: FILES[name] for name in order})
    assert states["rejected"] == 0
    assert found == ["A2"]
    assert ("merged", "storage") in history  # type: ignore[operator]


def test_a_file_under_its_storage_name_too(settings: Settings, tmp_path: Path) -> None:
    named = {name: data for name, data in FILES.items() if name != "merge"}
    folder = tmp_path / "in" / "A2" / "-" / "ADT-00"
    ingest(settings, tmp_path / "in", named)
    folder.mkdir(parents=True)
    (folder / "A2_-_ADT-00_000000000000000_20260103090000000_-_1").write_bytes(FILES["merge"])
    with app.storage(settings) as parts:
        summary = app.ingestor(settings, parts, facility=f"{ARC}.2").run(
            [str(tmp_path / "in")], rejects_file=tmp_path / "r.jsonl", workers=1
        )
        assert summary.states["rejected"] == 0 and summary.states["ingested"] == 1
        persons = app.Node(settings, parts).persons()
        found = persons.cross_reference(PatientId("B1", f"{ARC}.22"), (f"{ARC}.2",), UNRESTRICTED)
        assert [one.value for one in found] == ["A2"]


@pytest.mark.parametrize(
    "mrg",
    [
        "",
        "MRG|",
        f"MRG|A2^^^{TOKYO}",
        f"MRG|X1^^^{OSAKA}",
        "MRG|X1^^^&1.2.3.4&ISO",
        f"MRG|A1^^^{TOKYO}\rMRG|A3^^^{TOKYO}",
    ],
    ids=["no MRG", "empty", "itself", "another domain", "unknown authority", "two"],
)
def test_a_merge_that_cannot_be_read_is_rejected_whole(settings: Settings, tmp_path: Path, mrg: str) -> None:
    wrong = message("A40", pid(f"A2^^^{TOKYO}"), *([mrg] if mrg else []), time="20260103090000")
    states, found, history = ingest(settings, tmp_path / "in", {**FILES, "merge": wrong})
    assert states["rejected"] == 1 and found == ["A1"] and ("merged", "storage") not in history  # type: ignore[operator]


def test_the_same_file_again_and_a_circle_change_nothing(settings: Settings, tmp_path: Path) -> None:
    circle = message("A40", pid(f"A1^^^{TOKYO}"), f"MRG|A2^^^{TOKYO}", time="20260104090000")
    states, found, _ = ingest(settings, tmp_path / "in", {**FILES, "again": FILES["merge"], "circle": circle})
    assert states["rejected"] == 0 and found == ["A2"]
